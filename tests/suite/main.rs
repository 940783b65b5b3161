//! Capabilities through the front door: the real router over the official SDK over the simulated
//! storage, all on loopback.

mod alerts;
mod maintenance;
mod store;
mod world;
