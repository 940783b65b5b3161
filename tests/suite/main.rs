//! Capabilities through the front door: the real router over the official SDK over the simulated
//! storage, all on loopback.

mod alerts;
mod azure;
mod azurite;
mod blobs;
mod certificates;
mod changes;
mod cleanup;
mod engine;
mod estate;
mod faults;
mod host;
mod indexing;
mod journal;
mod kql_properties;
mod kqlt;
mod logs;
mod maintenance;
mod package;
mod processes;
mod queries;
mod rules;
mod store;
mod telemetry;
mod triage;
mod world;
