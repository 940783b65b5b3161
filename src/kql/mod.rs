//! KQL, offline: text -> tokens -> syntax -> bound, typed plan -> Arrow batches.
//!
//! The engine has never heard of Azure: tables come from a catalog of the caller's.

pub mod aggregates;
pub mod bind;
pub mod column;
pub mod convert;
pub mod error;
pub mod exec;
pub mod expr;
pub mod functions;
pub mod json;
pub mod plan;
mod prune;
pub mod signature;
pub mod syntax;
pub mod text;
pub mod types;
pub mod value;
