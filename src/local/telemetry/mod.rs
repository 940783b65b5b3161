//! Telemetry of the embedded estate: what the service, its platform and its people leave behind.
//!
//! [`Model`] makes the rows of a minute, as a function of a seed, the minute and the estate's
//! conditions; [`generate()`] writes weeks of them at once and [`Living`] goes on with the clock. What
//! the world itself counted ([`Counters`]) does not come from the rows, so it can judge whoever
//! queries them. Readers need [`files()`] (which files count), [`schema`] (all columns, also those
//! that no file has) and [`classic`] (the old names).
//!
//! What holds of the numbers: the requests that a sampled row stands for are in `ItemCount`, also of
//! what belongs to the request. Cosmos logs every request, sampled or not, so
//! `CDBDataPlaneRequests`, `CDBPartitionKeyRUConsumption`, the metric `TotalRequestUnits` and the
//! application's own `cosmos_ru_consumption` add up to the same request units. The customer is
//! `Properties.tenantId`; the column `TenantId` is the workspace, as in Azure. Addresses are masked.

pub mod catalog;
mod columns;
mod counters;
mod engine;
mod faults;
pub mod files;
mod generate;
mod living;
mod load;
mod model;
pub(super) mod names;
mod platform;
pub(super) mod random;
mod rows;
pub mod schemas;
mod seldom;
pub(super) mod service;
mod tenants;
#[cfg(test)]
mod tests;
mod traffic;
mod words;
mod writer;

pub use counters::{Cell, Counters, Histogram};
pub use engine::Telemetry;
pub use faults::{Fault, FaultKind};
pub use files::files;
pub use generate::{Progress, generate};
pub use living::{Keeping, Living};
pub use load::{Load, Trace};
pub use model::{Conditions, Model, Plan, SAMPLED_ABOVE};
pub use rows::{Batch, Rows, Table, Value};
pub use schemas::{
    Source, View, ViewColumn, classic, classics, performance_bucket, schema, tables,
};
pub use words::{Word, Words};
pub use writer::Written;
