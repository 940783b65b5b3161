use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use azure_core::http::RequestContent;
use azure_storage_blob::BlobClient;
use azure_storage_blob::models::{
    BlobClientAcquireLeaseResultHeaders as _, BlockBlobClientUploadOptions,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::answer;
use super::retry::tried;
use super::{Error, Store, Stored};

/// How long a lease lasts when it is not renewed. Short, because a killed process cannot let go:
/// this is how long its work waits for somebody else.
const LEASE_SECONDS: i32 = 15;

/// A document that counts its holders.
///
/// The number grows with every lease, so whoever holds an older one can be told apart, and a
/// write made in its name refused.
pub trait Fenced {
    fn fence(&self) -> u64;
    fn set_fence(&mut self, fence: u64);
}

/// The right to change one document, for fifteen seconds unless it is kept.
///
/// Renewed in the background while it lives; let go with [`Lease::release`], or by dropping it,
/// after which it runs out by itself.
pub struct Lease {
    id: String,
    path: String,
    fence: u64,
    blob: std::sync::Arc<BlobClient>,
    renewal: tokio::task::JoinHandle<()>,
    /// When it was last known to be ours: taken, or renewed.
    known: std::sync::Arc<Mutex<Instant>>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

impl Lease {
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The fencing number: larger than that of every earlier holder.
    #[must_use]
    pub fn fence(&self) -> u64 {
        self.fence
    }

    /// Whether the lease may be somebody else's by now: storage said so, or it has run out, as it
    /// does while a process is paused.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        let known = *self.known.lock().unwrap_or_else(PoisonError::into_inner);
        self.renewal.is_finished() || known.elapsed().as_secs() >= LEASE_SECONDS as u64
    }

    /// Lets go at once. A lease that ran out meanwhile is no error.
    pub async fn release(self) {
        if let Err(error) = self.blob.release_lease(self.id.clone(), None).await {
            tracing::debug!(path = %self.path, %error, "lease had run out before it was released");
        }
    }
}

impl Store {
    /// Takes the document for this process alone, and counts its fencing number up.
    ///
    /// `None` if it does not exist; [`Error::NotOurs`] if somebody holds it.
    pub async fn lease<T: Fenced + Serialize + DeserializeOwned>(
        &self,
        path: &str,
    ) -> Result<Option<(Lease, Stored<T>)>, Error> {
        let blob = std::sync::Arc::new(self.blob(path));
        // Before the call: the lease runs from some moment after this one.
        let known = std::sync::Arc::new(Mutex::new(Instant::now()));
        let doing = || format!("lease `{path}`");
        let id = match blob.acquire_lease(LEASE_SECONDS, None).await {
            Ok(answer) => answer
                .lease_id()
                .ok()
                .flatten()
                .ok_or_else(|| Error::Unreadable {
                    path: path.to_owned(),
                    why: "storage gave no lease id".into(),
                })?,
            Err(e) => {
                return match answer(&e).0.map(u16::from) {
                    Some(404) => Ok(None),
                    Some(409) => Err(Error::NotOurs(path.to_owned())),
                    _ => Err(Error::from_sdk(doing(), &e)),
                };
            }
        };
        let id = id.to_string();
        let renewal = tokio::spawn(renew(
            std::sync::Arc::clone(&blob),
            id.clone(),
            std::sync::Arc::clone(&known),
        ));
        let mut lease = Lease {
            id,
            path: path.to_owned(),
            fence: 0,
            blob,
            renewal,
            known,
        };
        let Some(mut stored) = self.get::<T>(path).await? else {
            return Ok(None);
        };
        lease.fence = stored.value.fence() + 1;
        stored.value.set_fence(lease.fence);
        stored.etag = self
            .replace(path, &stored.value, &stored.etag, Some(&lease))
            .await?;
        Ok(Some((lease, stored)))
    }

    /// Overwrites a document under its lease, whatever its version: only the holder may write.
    pub async fn overwrite<T: Serialize>(&self, value: &T, lease: &Lease) -> Result<(), Error> {
        let body = serde_json::to_vec(value).map_err(|e| Error::Unreadable {
            path: lease.path.clone(),
            why: e.to_string(),
        })?;
        let outcome = tried(|| {
            let options = BlockBlobClientUploadOptions {
                blob_content_type: Some("application/json".into()),
                lease_id: Some(lease.id.clone()),
                ..Default::default()
            };
            lease
                .blob
                .upload(RequestContent::from(body.clone()), Some(options))
        })
        .await;
        match outcome.result {
            Ok(_) => Ok(()),
            Err(e) if matches!(answer(&e).0.map(u16::from), Some(404 | 409 | 412)) => {
                Err(Error::NotOurs(lease.path.clone()))
            }
            Err(e) => Err(Error::from_sdk(format!("write `{}`", lease.path), &e)),
        }
    }
}

/// Keeps a lease alive. Stops when storage says that it is gone; writes under it then fail.
async fn renew(
    blob: std::sync::Arc<BlobClient>,
    id: String,
    known: std::sync::Arc<Mutex<Instant>>,
) {
    let every = std::time::Duration::from_secs(LEASE_SECONDS as u64 / 3);
    loop {
        tokio::time::sleep(every).await;
        let asked = Instant::now();
        match blob.renew_lease(id.clone(), None).await {
            Ok(_) => *known.lock().unwrap_or_else(PoisonError::into_inner) = asked,
            Err(e) if matches!(answer(&e).0.map(u16::from), Some(404 | 409 | 412)) => return,
            Err(_) => {}
        }
    }
}
