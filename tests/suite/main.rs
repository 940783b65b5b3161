//! Capabilities through the front door: the real router over the official SDK over the simulated
//! storage, all on loopback.

mod alerts;
mod host;
mod maintenance;
mod processes;
mod store;
mod world;
