//! Capacity: how much was used, how much will be needed, and what there should be.
//!
//! Hourly history comes from Azure Monitor's metrics, forecasts of it are kept in one document for each
//! Cosmos account and for the apps of each stamp, and what capacity should be is only ever said: scaling
//! owns throughput and replicas, and people own their limits.

pub mod advise;
mod advised;
pub mod chart;
#[cfg(test)]
mod corrections;
pub mod forecast;
mod gather;
pub mod hourly;
mod kept;
mod places;
mod refresh;

pub use advised::{Advised, Together, advise, documents, keep, last};
pub use kept::{Ahead, Candidate, Coming, Document, Kept, Measure, Needs, STALE, Shift, Subject};
pub use places::{Container, Place, PlaceKind, places};
pub use refresh::{RENEWED, Refreshed, refresh};
