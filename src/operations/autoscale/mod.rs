//! Scaling: throughput of Cosmos containers and replicas of container apps follow the load, within
//! limits.

pub mod decide;
mod facts;
pub mod gather;
mod judge;
mod open;
mod record;
mod remember;
#[cfg(feature = "local")]
pub mod replay;
mod request;
mod run;
mod tick;
mod view;
mod wake;

pub use facts::{
    AppFacts, AppMinute, Capped, ContainerFacts, Minute, Past, Raised, Range, Share, Supply,
};
pub use record::Last;
pub use request::{Refused, ask};
pub use run::decisions;
pub(super) use run::run;
pub use tick::tick;
pub use view::{One, Shown, show};
pub(super) use wake::{on_alert, on_signal};
