use azure_core::http::RequestContent;
use azure_storage_blob::models::{
    AppendBlobClientAppendBlockOptions, AppendBlobClientCreateOptions,
};
use bytes::Bytes;

use super::error::answer;
use super::retry::tried;
use super::{Error, Store};

/// Where a log ends: the next record goes exactly there or nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogTail(pub u64);

impl Store {
    /// The whole log, `None` if it was never written to.
    pub async fn log(&self, path: &str) -> Result<Option<Bytes>, Error> {
        self.bytes(path).await
    }

    /// Appends at the tail that the caller saw, and says where the log ends now.
    ///
    /// [`Error::Conflict`] if somebody else appended first: that is what fences off a process
    /// that was paused and believes it still holds the work. Safe to repeat: a record that is
    /// already there, because the answer to an earlier try was lost, counts as appended.
    pub async fn append(&self, path: &str, tail: LogTail, record: Bytes) -> Result<LogTail, Error> {
        let after = LogTail(tail.0 + record.len() as u64);
        if tail == LogTail::default() {
            self.create_log(path).await?;
        }
        let log = self.blob(path).append_blob_client();
        let position =
            i64::try_from(tail.0).map_err(|_| Error::Setting(format!("`{path}` is too long")))?;
        let outcome = tried(|| {
            let options = AppendBlobClientAppendBlockOptions {
                append_position: Some(position),
                ..Default::default()
            };
            log.append_block(
                RequestContent::from(record.to_vec()),
                record.len() as u64,
                Some(options),
            )
        })
        .await;
        match outcome.result {
            Ok(_) => Ok(after),
            Err(e) if matches!(answer(&e).0.map(u16::from), Some(409 | 412)) => {
                let there = self.log(path).await?.unwrap_or_default();
                let ours = usize::try_from(tail.0)
                    .ok()
                    .and_then(|from| there.get(from..from + record.len()));
                if outcome.uncertain && ours == Some(&record[..]) && there.len() as u64 == after.0 {
                    return Ok(after);
                }
                Err(Error::Conflict(path.to_owned()))
            }
            Err(e) => Err(Error::from_sdk(format!("append to `{path}`"), &e)),
        }
    }

    async fn create_log(&self, path: &str) -> Result<(), Error> {
        let log = self.blob(path).append_blob_client();
        let create = || {
            log.create(Some(AppendBlobClientCreateOptions {
                if_none_match: Some(azure_core::http::Etag::from("*")),
                ..Default::default()
            }))
        };
        let mut outcome = tried(create).await;
        if let Err(e) = &outcome.result
            && answer(e) == (Some(404.into()), Some("ContainerNotFound"))
        {
            self.ensure().await?;
            outcome = tried(create).await;
        }
        match outcome.result {
            Ok(_) => Ok(()),
            Err(e) if matches!(answer(&e).0.map(u16::from), Some(409 | 412)) => Ok(()),
            Err(e) => Err(Error::from_sdk(format!("create `{path}`"), &e)),
        }
    }
}
