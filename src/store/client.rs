use std::sync::Arc;
use std::time::Duration;

use azure_core::http::{RetryOptions, Transport, Url};
use azure_storage_blob::models::BlobContainerClientCreateOptions;
use azure_storage_blob::{
    BlobClient, BlobContainerClient, BlobServiceClient, BlobServiceClientOptions,
};
use azure_storage_queue::{QueueClient, QueueServiceClient, QueueServiceClientOptions};

use super::Error;
use super::error::answer;
use crate::azure::credential;
use crate::config::StoreSettings;

/// The newest version that Azure, the simulator and Azurite all speak.
const SERVICE_VERSION: &str = "2025-11-05";

/// The store of one Poolkeeper: a container of documents and logs, and the work queue.
///
/// Cheap to share behind an `Arc`. Opening it touches nothing; containers and queue are made on
/// the first write that misses them.
pub struct Store {
    pub(super) container: BlobContainerClient,
    pub(super) queue: QueueClient,
}

impl Store {
    /// The store of documents and work.
    pub fn open(settings: &StoreSettings) -> Result<Self, Error> {
        Self::in_container(settings, &settings.container)
    }

    /// The store of anchors: a container of its own, which the cloud makes immutable.
    pub fn open_anchors(settings: &StoreSettings) -> Result<Self, Error> {
        Self::in_container(settings, &settings.anchor_container)
    }

    fn in_container(settings: &StoreSettings, container: &str) -> Result<Self, Error> {
        let blob_url = endpoint("POOLKEEPER_BLOB_ENDPOINT", settings.blob_endpoint.reveal())?;
        let queue_url = endpoint(
            "POOLKEEPER_QUEUE_ENDPOINT",
            settings.queue_endpoint.reveal(),
        )?;
        let credential = match (signed(&blob_url), signed(&queue_url)) {
            (true, true) => None,
            _ => Some(credential(&settings.identity).map_err(Error::Setting)?),
        };
        let http = match &settings.http {
            Some(http) => http.clone(),
            None => patient()?,
        };
        let transport = Transport::new(Arc::new(http));
        let mut options = BlobServiceClientOptions {
            version: SERVICE_VERSION.into(),
            ..Default::default()
        };
        options.client_options.retry = RetryOptions::none();
        options.client_options.transport = Some(transport.clone());
        let for_url = |url: &Url| {
            if signed(url) {
                None
            } else {
                credential.clone()
            }
        };
        let blobs = BlobServiceClient::new(blob_url.clone(), for_url(&blob_url), Some(options))
            .map_err(|e| Error::Setting(format!("POOLKEEPER_BLOB_ENDPOINT: {e}")))?;
        let mut options = QueueServiceClientOptions {
            version: SERVICE_VERSION.into(),
            ..Default::default()
        };
        options.client_options.retry = RetryOptions::none();
        options.client_options.transport = Some(transport.clone());
        let queue = QueueServiceClient::new(queue_url.clone(), for_url(&queue_url), Some(options))
            .and_then(|queues| queues.queue_client(&settings.queue))
            .map_err(|e| Error::Setting(format!("POOLKEEPER_QUEUE_ENDPOINT: {e}")))?;
        Ok(Self {
            container: blobs.blob_container_client(container),
            queue,
        })
    }

    /// Makes the container and the queue if they are missing. Safe to repeat.
    pub async fn ensure(&self) -> Result<(), Error> {
        // The mark keeps every cleanup away, by whatever name the account is reached.
        let options = BlobContainerClientCreateOptions {
            metadata: Some([("poolkeeper".to_owned(), "journal".to_owned())].into()),
            ..Default::default()
        };
        if let Err(e) = self.container.create(Some(options)).await
            && answer(&e).0.map(u16::from) != Some(409)
        {
            return Err(Error::from_sdk("create the store's container", &e));
        }
        if let Err(e) = self.queue.create(None).await
            && answer(&e).0.map(u16::from) != Some(409)
        {
            return Err(Error::from_sdk("create the work queue", &e));
        }
        Ok(())
    }

    pub(super) fn blob(&self, path: &str) -> BlobClient {
        self.container.blob_client(path)
    }
}

/// An answer that has not come by then never comes: well below a lease of 15 seconds, so that a
/// hanging request cannot outlive the right to make it, and below the patience of a webhook.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
const CONNECT_LIMIT: Duration = Duration::from_secs(3);

fn patient() -> Result<reqwest::Client, Error> {
    reqwest::Client::builder()
        .connect_timeout(CONNECT_LIMIT)
        .timeout(ANSWER_LIMIT)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|e| Error::Setting(format!("the HTTP client: {e}")))
}

fn endpoint(name: &str, text: &str) -> Result<Url, Error> {
    // The text itself may hold a SAS, so it is never quoted.
    Url::parse(text).map_err(|e| Error::Setting(format!("{name} is not a URL: {e}")))
}

/// Whether the URL brings its own permission, a shared access signature.
fn signed(url: &Url) -> bool {
    url.query_pairs().any(|(name, _)| name == "sig")
}
