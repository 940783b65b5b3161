//! The list of what a deletion deletes, kept under the hash of its own text.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::domain::ResourceId;
use crate::journal::Hash;

/// The blobs of one deletion, each as it was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub account: ResourceId,
    pub container: String,
    pub older_than: DateTime<Utc>,
    pub blobs: Vec<Listed>,
}

/// One blob of a list: name, version, bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed(pub String, pub String, pub u64);

impl Manifest {
    /// The blob container.
    #[must_use]
    pub fn resource(&self) -> ResourceId {
        self.account.blob_container(&self.container)
    }

    /// The hash of the list, as text.
    pub fn hash(&self) -> anyhow::Result<String> {
        Ok(Hash::of(&serde_json::to_vec(self)?).as_str().to_owned())
    }

    /// Keeps the list under the hash of its text, and gives that hash. Safe to repeat.
    pub async fn keep(&self, app: &App) -> anyhow::Result<String> {
        let text = serde_json::to_vec(self)?;
        let hash = self.hash()?;
        app.store()?.create_bytes(&path(&hash), text.into()).await?;
        Ok(hash)
    }

    /// Reads a list back; `Err` with why, if it is not the one that the hash names.
    pub(super) async fn read(app: &App, hash: &str) -> anyhow::Result<Result<Self, String>> {
        let Some(text) = app.store()?.bytes(&path(hash)).await? else {
            return Ok(Err("the list of blobs is gone".into()));
        };
        if Hash::of(&text).as_str() != hash {
            return Ok(Err("the list of blobs was edited".into()));
        }
        Ok(serde_json::from_slice(&text).map_err(|e| e.to_string()))
    }
}

fn path(hash: &str) -> String {
    format!("manifests/{hash}.json")
}
