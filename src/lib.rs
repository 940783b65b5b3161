//! Poolkeeper: the operations team of a pooled multi-tenant Azure service, as one Azure Functions
//! custom handler.
//!
//! # Code map
//!
//! - [`config`]: the environment, read once, all problems at once.
//! - [`domain`]: vocabulary shared by all rooms; imports nothing of ours.
//! - [`journal`]: one hash chain per run, the runs, and the anchors that prove them.
//! - [`store`]: documents with etags, leases, append logs and queue messages on Azure Storage.
//!
//! Deliberately absent: a trait over Azure and mocks of our own client. Endpoints are settings,
//! and whatever answers the same REST calls will do.

pub mod config;
pub mod domain;
pub mod journal;
pub mod store;
