//! Poolkeeper: the operations team of a pooled multi-tenant Azure service, as one Azure Functions
//! custom handler.
//!
//! # Code map
//!
//! - [`app`]: everything an operation may reach.
//! - [`azure`]: one careful handle, and one file per Azure service.
//! - [`changes`]: the only door through which anything outside is changed.
//! - [`cli`]: the commands.
//! - [`config`]: the environment, read once, all problems at once.
//! - [`domain`]: vocabulary shared by all rooms; imports nothing of ours.
//! - [`estate`]: the estate file, strict, all problems at once, and what in it contradicts itself.
//! - [`journal`]: one hash chain per run, the runs, and the anchors that prove them.
//! - `kql` (feature `local`): Kusto's query language, offline.
//! - `local` (feature `local`): the embedded estate: simulated Azure, and the telemetry it leaves.
//! - [`notify`]: the outbox, and the channels by which people and ticket systems are told.
//! - [`operations`]: what Poolkeeper does, one room per capability.
//! - [`queries`]: every query that is asked of Log Analytics, with typed parameters.
//! - [`store`]: documents with etags, leases, append logs and queue messages on Azure Storage.
//! - [`triggers`]: the only room that knows the Functions wire.
//!
//! Deliberately absent: a trait over Azure and mocks of our own client. Endpoints are settings,
//! and whatever answers the same REST calls will do.

pub mod app;
pub mod azure;
pub mod changes;
pub mod cli;
pub mod config;
pub mod domain;
pub mod estate;

pub mod journal;
#[cfg(feature = "local")]
pub mod kql;
#[cfg(feature = "local")]
pub mod local;
pub mod notify;
pub mod operations;
pub mod queries;
pub mod store;
pub mod triggers;
