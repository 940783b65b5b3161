//! Capabilities through the front door: the real router over the official SDK over the simulated
//! storage, all on loopback.

mod alarms;
mod alerts;
mod azure;
mod azurite;
mod blobs;
mod certificates;
mod changes;
mod cleanup;
mod clock;
mod engine;
mod estate;
mod faults;
mod health;
mod host;
mod incidents;
mod incidents_web;
mod indexing;
mod journal;
mod kql_properties;
mod kqlt;
mod logs;
mod maintenance;
mod notify;
mod oncall;
mod outside;
mod package;
mod processes;
mod queries;
mod quiet;
mod recovery;
mod rules;
mod store;
mod telemetry;
mod triage;
mod world;
