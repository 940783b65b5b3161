//! Simulated Azure Storage: the Blob and Queue services, good enough for the official SDK.
//!
//! State is one SQLite file. Every change goes through one thread that commits all waiting
//! changes together, so an answer means that the change survives the process.

mod blobs;
mod db;
mod queues;
mod sas;
mod wire;

use std::path::Path;

use anyhow::Context as _;
use axum::body::Bytes;
use axum::http::request::Parts;
use axum::response::Response;

pub(super) use db::Db;
pub(super) use sas::Key;
pub(super) use wire::{Refusal, rfc1123};

/// The simulator's storage account.
pub(super) const ACCOUNT: &str = "poolkeeperlocal";

/// The two services on one state.
pub(super) struct Storage {
    pub(super) db: Db,
    pub(super) key: Key,
}

impl Storage {
    /// Opens the state in `folder`.
    ///
    /// Errors: the folder is in use by another process.
    pub(super) async fn open(folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("make the folder `{}`", folder.display()))?;
        let db = Db::open(&folder.join("estate.sqlite3"))?;
        let key = Key::load(&db).await?;
        Ok(Self { db, key })
    }

    pub(super) async fn answer(&self, parts: &Parts, body: Bytes) -> Result<Response, Refusal> {
        let call = wire::Call::read(parts, body, self.db.clock.now_ms())?;
        self.key.admit(&call)?;
        match call.service.as_str() {
            "blob" => blobs::answer(&self.db, call).await,
            "queue" => queues::answer(&self.db, call).await,
            _ => Err(Refusal::new(
                404,
                "ResourceNotFound",
                "there is no such service",
            )),
        }
    }
}
