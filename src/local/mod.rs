//! The embedded estate: what runs when there is no cloud.
//!
//! This room imports no operation and no client of ours. They meet over HTTP, as they meet Azure,
//! which is what makes a run here evidence.

mod clock;
pub mod host;
mod leash;
mod loopback;
mod samples;
mod scenario;
pub mod simulator;
mod storage;
pub mod telemetry;
mod teller;
mod together;
mod world;

pub use leash::{LEASH, hold_leash};
pub use samples::sample_secrets;
pub use scenario::SCENARIOS;
pub use together::{Local, Options, Services};
