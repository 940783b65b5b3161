//! Patience with storage: a few tries with growing, jittered pauses.

use std::future::Future;
use std::time::Duration;

use super::error::{asked_pause, passing};

const PAUSES_MS: [u64; 4] = [50, 150, 450, 1200];

/// Storage that asks for more patience than this is left alone: the work comes round again.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// What a call came to, and whether an earlier try of it may have been carried out unseen.
pub(super) struct Tried<T> {
    pub(super) result: azure_core::Result<T>,
    /// A try before the last one ended without a clear answer: its effect may be there.
    pub(super) uncertain: bool,
}

/// Makes the call until it succeeds, fails for good, or patience (about two seconds) runs out.
pub(super) async fn tried<T, F>(mut call: impl FnMut() -> F) -> Tried<T>
where
    F: Future<Output = azure_core::Result<T>>,
{
    let mut uncertain = false;
    for pause in PAUSES_MS {
        match call().await {
            Err(error) if passing(&error) => {
                let asked = asked_pause(&error).unwrap_or_default();
                if asked > LONGEST_PAUSE {
                    return Tried {
                        result: Err(error),
                        uncertain,
                    };
                }
                uncertain = true;
                tokio::time::sleep(jittered(pause).max(asked)).await;
            }
            result => return Tried { result, uncertain },
        }
    }
    Tried {
        result: call().await,
        uncertain,
    }
}

/// Between half and the whole of the pause, so that instances do not come back in step.
fn jittered(pause_ms: u64) -> Duration {
    let spread = uuid::Uuid::new_v4().as_u128() as u64 % (pause_ms / 2 + 1);
    Duration::from_millis(pause_ms / 2 + spread)
}
