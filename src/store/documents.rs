use azure_core::http::RequestContent;
use azure_storage_blob::models::{
    BlobClientDeleteOptions, BlobContainerClientListBlobsOptions, BlockBlobClientUploadOptions,
};
use bytes::Bytes;
use futures::StreamExt;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::answer;
use super::lease::Lease;
use super::retry::tried;
use super::{Error, Store};

/// The version of a document: it changes with every write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Etag(pub(super) azure_core::http::Etag);

/// A document and the version of it that was read.
#[derive(Debug, Clone)]
pub struct Stored<T> {
    pub value: T,
    pub etag: Etag,
}

/// Whether [`Store::create`] wrote the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    /// It was not there, now it is.
    New(Etag),
    /// It was there already and is untouched.
    Exists,
}

/// Names in order, and where to go on.
#[derive(Debug, Clone, Default)]
pub struct Page {
    pub names: Vec<String>,
    /// Pass this to the next call; `None` on the last page.
    pub next: Option<String>,
}

impl Store {
    /// Reads a document, `None` if there is none.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Option<Stored<T>>, Error> {
        let Some((bytes, etag)) = self.read(path).await? else {
            return Ok(None);
        };
        let value = serde_json::from_slice(&bytes).map_err(|e| Error::Unreadable {
            path: path.to_owned(),
            why: e.to_string(),
        })?;
        Ok(Some(Stored { value, etag }))
    }

    /// Reads a document as it stands, `None` if there is none.
    pub async fn bytes(&self, path: &str) -> Result<Option<Bytes>, Error> {
        Ok(self.read(path).await?.map(|(bytes, _)| bytes))
    }

    /// Writes a document that must not exist yet. Safe to repeat.
    pub async fn create<T: Serialize>(&self, path: &str, value: &T) -> Result<Created, Error> {
        self.create_bytes(path, to_json(path, value)?).await
    }

    /// [`Store::create`] for JSON that is already text, as on the path of an alert.
    pub async fn create_bytes(&self, path: &str, body: Bytes) -> Result<Created, Error> {
        match self.put(path, &body, None, None).await {
            Ok(etag) => Ok(Created::New(etag)),
            Err(Error::Conflict(_)) => Ok(Created::Exists),
            Err(e) => Err(e),
        }
    }

    /// Replaces the version that was read; [`Error::Conflict`] if it is not the newest any more.
    ///
    /// With a lease the write also needs the lease to be ours still.
    pub async fn replace<T: Serialize>(
        &self,
        path: &str,
        value: &T,
        etag: &Etag,
        lease: Option<&Lease>,
    ) -> Result<Etag, Error> {
        let body = to_json(path, value)?;
        self.put(path, &body, Some(etag), lease).await
    }

    /// Deletes a document. One that is not there counts as deleted.
    pub async fn delete(&self, path: &str) -> Result<(), Error> {
        let blob = self.blob(path);
        let outcome = tried(|| blob.delete(Some(BlobClientDeleteOptions::default()))).await;
        match outcome.result {
            Ok(_) => Ok(()),
            Err(e) if answer(&e).0.map(u16::from) == Some(404) => Ok(()),
            Err(e) => Err(Error::from_sdk(format!("delete `{path}`"), &e)),
        }
    }

    /// Deletes the version that was read. One that is not there counts as deleted.
    ///
    /// Errors: [`Error::Conflict`] if it is not the newest any more; [`Error::NotOurs`] if somebody
    /// holds it.
    pub async fn delete_version(&self, path: &str, etag: &Etag) -> Result<(), Error> {
        let blob = self.blob(path);
        let delete = || async {
            let options = BlobClientDeleteOptions {
                if_match: Some(etag.0.clone()),
                ..Default::default()
            };
            blob.delete(Some(options)).await
        };
        let Err(error) = tried(delete).await.result else {
            return Ok(());
        };
        let (status, code) = answer(&error);
        match (status.map(u16::from), code) {
            (Some(404), _) => Ok(()),
            (_, Some(code)) if code.starts_with("Lease") => Err(Error::NotOurs(path.to_owned())),
            (Some(409 | 412), _) => Err(Error::Conflict(path.to_owned())),
            _ => Err(Error::from_sdk(format!("delete `{path}`"), &error)),
        }
    }

    /// The names that begin with `prefix`, in order, at most `most` of them (1 to 5,000).
    pub async fn list(
        &self,
        prefix: &str,
        from: Option<String>,
        most: usize,
    ) -> Result<Page, Error> {
        let outcome = tried(|| async {
            let options = BlobContainerClientListBlobsOptions {
                prefix: Some(prefix.to_owned()),
                marker: from.clone(),
                maxresults: Some(i32::try_from(most.clamp(1, 5000)).expect("within 5,000")),
                ..Default::default()
            };
            let mut pages = self.container.list_blobs(Some(options))?.into_pages();
            match pages.next().await {
                Some(page) => page?.into_model().map(Some),
                None => Ok(None),
            }
        })
        .await;
        match outcome.result {
            Ok(None) => Ok(Page::default()),
            Ok(Some(page)) => Ok(Page {
                next: page.next_marker.filter(|m| !m.is_empty()),
                names: page.blob_items.into_iter().filter_map(|b| b.name).collect(),
            }),
            Err(e) if answer(&e).0.map(u16::from) == Some(404) => Ok(Page::default()),
            Err(e) => Err(Error::from_sdk(format!("list `{prefix}`"), &e)),
        }
    }

    /// All names that begin with `prefix`, page after page.
    pub async fn list_all(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let mut names = Vec::new();
        let mut from = None;
        loop {
            let page = self.list(prefix, from, 5000).await?;
            names.extend(page.names);
            match page.next {
                Some(next) => from = Some(next),
                None => return Ok(names),
            }
        }
    }

    pub(super) async fn read(&self, path: &str) -> Result<Option<(Bytes, Etag)>, Error> {
        let blob = self.blob(path);
        let outcome = tried(|| async {
            let got = blob.download(None).await?;
            let etag = got.properties.etag.clone();
            let body = got.body.collect().await?;
            Ok((body, etag))
        })
        .await;
        match outcome.result {
            Ok((body, Some(etag))) => Ok(Some((body, Etag(etag)))),
            Ok((_, None)) => Err(Error::Unreadable {
                path: path.to_owned(),
                why: "storage gave no etag".into(),
            }),
            Err(e) if answer(&e).0.map(u16::from) == Some(404) => Ok(None),
            Err(e) => Err(Error::from_sdk(format!("read `{path}`"), &e)),
        }
    }

    /// Writes if the blob is absent (`etag` is `None`) or still the version given.
    async fn put(
        &self,
        path: &str,
        body: &Bytes,
        etag: Option<&Etag>,
        lease: Option<&Lease>,
    ) -> Result<Etag, Error> {
        let blob = self.blob(path);
        let upload = || async {
            let mut options = BlockBlobClientUploadOptions {
                blob_content_type: Some("application/json".into()),
                if_match: etag.map(|e| e.0.clone()),
                lease_id: lease.map(|l| l.id().to_owned()),
                ..Default::default()
            };
            if etag.is_none() {
                options.if_none_match = Some(azure_core::http::Etag::from("*"));
            }
            blob.upload(RequestContent::from(body.to_vec()), Some(options))
                .await
        };
        let mut outcome = tried(upload).await;
        if let Err(e) = &outcome.result
            && answer(e) == (Some(404.into()), Some("ContainerNotFound"))
        {
            self.ensure().await?;
            outcome = tried(upload).await;
        }
        match outcome.result {
            Ok(done) => match done.etag {
                Some(etag) => Ok(Etag(etag)),
                None => Err(Error::Unreadable {
                    path: path.to_owned(),
                    why: "storage gave no etag".into(),
                }),
            },
            Err(e) => {
                let (status, code) = answer(&e);
                match (status.map(u16::from), code) {
                    (_, Some(code)) if code.starts_with("Lease") => {
                        Err(Error::NotOurs(path.to_owned()))
                    }
                    (Some(409 | 412), _) => {
                        // The acknowledgement of an earlier try may have been lost.
                        if outcome.uncertain
                            && let Some((there, etag)) = self.read(path).await?
                            && there == *body
                        {
                            return Ok(etag);
                        }
                        Err(Error::Conflict(path.to_owned()))
                    }
                    _ => Err(Error::from_sdk(format!("write `{path}`"), &e)),
                }
            }
        }
    }
}

fn to_json<T: Serialize>(path: &str, value: &T) -> Result<Bytes, Error> {
    serde_json::to_vec(value)
        .map(Bytes::from)
        .map_err(|e| Error::Unreadable {
            path: path.to_owned(),
            why: e.to_string(),
        })
}
