//! What load does to what the estate offers, as pure functions: request units over partitions,
//! refusals and latency of Cosmos; replicas, CPU and memory of container apps.

pub(in crate::local) mod app;
pub(in crate::local) mod container;
mod measured;

pub(in crate::local) use measured::Measured;
