use std::time::Duration;

use azure_storage_queue::models::{QueueClientSendMessageOptions, QueueMessage};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::answer;
use super::retry::tried;
use super::{Error, Store};

/// A queue message holds 64 KiB of text, and base64 makes three bytes four.
const MOST_BYTES: usize = 48 * 1024;

const OVERFLOW_FOLDER: &str = "overflow/";

/// A message that only says where its text is.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Overflow {
    overflow: String,
}

impl Store {
    /// Sends a message to the work queue, not to be seen before `delay` is over.
    ///
    /// A message that is too long for the queue is kept as a document and the message names it.
    /// Sending twice is harmless: a message is only a nudge, its work is known by its run.
    pub async fn send<T: Serialize>(&self, message: &T, delay: Duration) -> Result<(), Error> {
        let unreadable = |e: serde_json::Error| Error::Unreadable {
            path: "a queue message".into(),
            why: e.to_string(),
        };
        let mut body = serde_json::to_vec(message).map_err(unreadable)?;
        if body.len() > MOST_BYTES {
            let overflow = format!("{OVERFLOW_FOLDER}{}.json", uuid::Uuid::new_v4());
            self.create_bytes(&overflow, body.into()).await?;
            body = serde_json::to_vec(&Overflow { overflow }).map_err(unreadable)?;
        }
        let text = BASE64_STANDARD.encode(body);
        let visibility = i32::try_from(delay.as_secs())
            .unwrap_or(i32::MAX)
            .min(604_800);
        let send = || async {
            let message = QueueMessage {
                message_text: Some(text.clone()),
            };
            let options = QueueClientSendMessageOptions {
                visibility_timeout: (visibility > 0).then_some(visibility),
                ..Default::default()
            };
            self.queue
                .send_message(message.try_into()?, Some(options))
                .await
        };
        let mut outcome = tried(send).await;
        if let Err(e) = &outcome.result
            && answer(e).0.map(u16::from) == Some(404)
        {
            self.ensure().await?;
            outcome = tried(send).await;
        }
        outcome
            .result
            .map(drop)
            .map_err(|e| Error::from_sdk("send a queue message", &e))
    }

    /// Reads the text of a message that [`Store::send`] sent, from its document if it was long.
    ///
    /// Errors: `Unreadable` if it is no such text, or if its document is gone.
    pub async fn message<T: DeserializeOwned>(&self, text: &str) -> Result<T, Error> {
        let unreadable = |why: String| Error::Unreadable {
            path: "a queue message".into(),
            why,
        };
        match serde_json::from_str::<Overflow>(text) {
            Ok(Overflow { overflow }) if overflow.starts_with(OVERFLOW_FOLDER) => self
                .get(&overflow)
                .await?
                .map(|stored| stored.value)
                .ok_or_else(|| unreadable(format!("`{overflow}` is gone"))),
            _ => serde_json::from_str(text).map_err(|e| unreadable(e.to_string())),
        }
    }

    /// Deletes what a message left behind, once it is worked. Safe to repeat.
    pub async fn forget_message(&self, text: &str) -> Result<(), Error> {
        match serde_json::from_str::<Overflow>(text) {
            Ok(Overflow { overflow }) if overflow.starts_with(OVERFLOW_FOLDER) => {
                self.delete(&overflow).await
            }
            _ => Ok(()),
        }
    }
}
