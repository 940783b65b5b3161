//! What the host remembers of each timer, in the blob where the host keeps it.

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};

use super::connection::Connection;

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Kept {
    pub(super) last: Option<DateTime<Utc>>,
    pub(super) next: DateTime<Utc>,
    pub(super) last_updated: Option<DateTime<Utc>>,
}

const CONTAINER: &str = "azure-webjobs-hosts";

fn path(function: &str) -> String {
    format!("{CONTAINER}/timers/poolkeeperlocal/Host.Functions.{function}/status")
}

pub(super) async fn read(storage: &Connection, function: &str) -> anyhow::Result<Option<Kept>> {
    let answer = storage
        .blob(Method::GET, &path(function), "")
        .send()
        .await
        .map_err(reqwest::Error::without_url)?;
    if answer.status() == StatusCode::NOT_FOUND {
        return Ok(None);
    }
    let answer = answer
        .error_for_status()
        .map_err(reqwest::Error::without_url)?;
    let kept = answer.json().await.map_err(reqwest::Error::without_url);
    Ok(Some(kept.context("read the state of a timer")?))
}

pub(super) async fn write(storage: &Connection, function: &str, kept: &Kept) -> anyhow::Result<()> {
    let put = || async {
        storage
            .blob(Method::PUT, &path(function), "")
            .header("x-ms-blob-type", "BlockBlob")
            .json(kept)
            .send()
            .await
            .map_err(reqwest::Error::without_url)
    };
    let mut answer = put().await?;
    if answer.status() == StatusCode::NOT_FOUND {
        storage
            .blob(Method::PUT, CONTAINER, "restype=container")
            .header("content-length", "0")
            .send()
            .await
            .map_err(reqwest::Error::without_url)?;
        answer = put().await?;
    }
    answer
        .error_for_status()
        .map_err(reqwest::Error::without_url)?;
    Ok(())
}
