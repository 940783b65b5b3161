use std::time::Duration;

use azure_storage_queue::models::{QueueClientSendMessageOptions, QueueMessage};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;

use super::error::answer;
use super::retry::tried;
use super::{Error, Store};

/// A queue message holds 64 KiB of text, and base64 makes three bytes four.
const MOST_BYTES: usize = 48 * 1024;

/// The key of a message that only says where its text is.
const OVERFLOW: &str = "overflow";

impl Store {
    /// Sends a message to the work queue, not to be seen before `delay` is over.
    ///
    /// A message that is too long for the queue is kept as a document and the message names it.
    /// Sending twice is harmless: a message is only a nudge, its work is known by its run.
    pub async fn send<T: Serialize>(&self, message: &T, delay: Duration) -> Result<(), Error> {
        let path = "a queue message";
        let mut body = serde_json::to_vec(message).map_err(|e| Error::Unreadable {
            path: path.into(),
            why: e.to_string(),
        })?;
        if body.len() > MOST_BYTES {
            let name = format!("overflow/{}.json", uuid::Uuid::new_v4());
            self.create_bytes(&name, body.into()).await?;
            body = serde_json::json!({ OVERFLOW: name })
                .to_string()
                .into_bytes();
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
}
