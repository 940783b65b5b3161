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

pub(super) use blobs::shelf;
pub(super) use db::{Db, note};
pub(super) use sas::Key;
use sas::Who;
pub(super) use wire::{Refusal, rfc1123};

/// The simulator's storage account.
pub(super) const ACCOUNT: &str = "poolkeeperlocal";

/// The two services on one state.
pub(super) struct Storage {
    pub(super) db: Db,
    pub(super) key: Key,
    /// The storage accounts of the estate, besides our own.
    accounts: Vec<String>,
}

impl Storage {
    /// Opens the state in `folder`.
    ///
    /// Errors: the folder is in use by another process.
    pub(super) async fn open(folder: &Path, accounts: Vec<String>) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("make the folder `{}`", folder.display()))?;
        let db = Db::open(&folder.join("estate.sqlite3"))?;
        let key = Key::load(&db).await?;
        Ok(Self { db, key, accounts })
    }

    /// Answers one request. `allowed` tells whether who comes with a token may do what an action
    /// names in an account of the estate; a signature may do everything.
    pub(super) async fn answer(
        &self,
        parts: &Parts,
        body: Bytes,
        allowed: impl Fn(&str) -> bool,
    ) -> Result<Response, Refusal> {
        let call = wire::Call::read(parts, body, self.db.clock.now_ms())?;
        let known = call.account == ACCOUNT
            || (call.service == "blob" && self.accounts.contains(&call.account));
        if !known {
            return Err(Refusal::new(
                404,
                "ResourceNotFound",
                "there is no such account",
            ));
        }
        let who = self.key.admit(&call)?;
        if who == Who::Token && call.account != ACCOUNT && !allowed(blobs::action(&call)) {
            return Err(Refusal::new(
                403,
                "AuthorizationPermissionMismatch",
                "This request is not authorized to perform this operation using this permission.",
            ));
        }
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
