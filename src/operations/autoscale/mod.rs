//! Scaling: throughput of Cosmos containers and replicas of container apps follow the load, within
//! limits.

pub mod decide;
mod facts;
pub mod gather;

pub use facts::{
    AppFacts, AppMinute, Capped, ContainerFacts, Minute, Past, Raised, Range, Share, Supply,
};
