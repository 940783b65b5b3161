//! Azure Cache for Redis: what state a cache is in, and its emptying.
//!
//! Source: Redis resource provider 2024-11-01.

use reqwest::Method;
use serde::Deserialize;

use super::{Action, Azure, Call, Error, Permit, Plane};
use crate::domain::ResourceId;

const API_VERSION: &str = "2024-11-01";

pub const READ_CACHE: Action = Action("Microsoft.Cache/redis/read");
pub const FLUSH_CACHE: Action = Action("Microsoft.Cache/redis/flush/action");

/// A cache, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    /// `Succeeded` when nothing is being done to it.
    pub state: String,
}

impl Cache {
    /// Whether Azure is not at work on it.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.state.eq_ignore_ascii_case("Succeeded")
    }
}

/// Reads a cache. How much is in it is not told here.
pub async fn cache(azure: &Azure, id: &ResourceId) -> Result<Cache, Error> {
    #[derive(Deserialize)]
    struct Body {
        properties: Properties,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Properties {
        provisioning_state: Option<String>,
    }
    let url = azure.arm(id.as_str(), API_VERSION)?;
    let body: Body = azure.get(Plane::Arm, url, READ_CACHE, id.as_str()).await?;
    Ok(Cache {
        state: body
            .properties
            .provisioning_state
            .unwrap_or_else(|| "unknown".into()),
    })
}

/// Deletes every key of a cache, and waits until Azure says that it is done. Not repeated by itself
/// when the answer is lost.
pub async fn flush(azure: &Azure, id: &ResourceId, permit: &dyn Permit) -> Result<(), Error> {
    let url = azure.arm(&format!("{id}/flush"), API_VERSION)?;
    let call = Call::new(Plane::Arm, Method::POST, url, FLUSH_CACHE, id.as_str()).permit(permit);
    azure.finish(&call).await
}
