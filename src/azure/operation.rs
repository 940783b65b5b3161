//! Long-running operations, followed to their end.
//!
//! Source: Azure Resource Manager, "Track asynchronous Azure operations".

use std::time::Duration;

use reqwest::{Method, Url};
use serde_json::Value;
use tokio::time::Instant;

use super::{Answer, Azure, Call, Error};

/// One invocation has ten minutes, and other work to do in them.
const LIMIT: Duration = Duration::from_secs(240);
const FIRST_LOOK: Duration = Duration::from_millis(400);
const LONGEST_LOOK: Duration = Duration::from_secs(15);

/// Where an operation stands.
enum Stand {
    Done,
    Running,
    Failed(String),
}

impl Azure {
    /// Makes a call and waits until Azure has done what it asked for.
    ///
    /// `Azure-AsyncOperation` is asked before `Location`; without either, the state in the body
    /// counts. The caller reads back what there is then: a finished operation proves nothing.
    ///
    /// Errors: those of [`Azure::send`] if Azure did not take the request. Once it has,
    /// [`Error::StillRunning`] after four minutes, else [`Error::Accepted`]: the operation failed,
    /// it cannot be followed, or its address is none of Azure's, and then no token was sent there.
    pub async fn finish(&self, call: &Call<'_>) -> Result<(), Error> {
        let started = self.send(call).await?;
        self.follow(call, &started)
            .await
            .map_err(|error| match error {
                Error::StillRunning { .. } => error,
                error => Error::Accepted {
                    what: call.what.to_owned(),
                    why: error.to_string(),
                },
            })
    }

    async fn follow(&self, call: &Call<'_>, started: &Answer) -> Result<(), Error> {
        let Some((mut url, by_status)) = poll_address(started, call.what)? else {
            return self.settle_by_state(call, started).await;
        };
        let deadline = Instant::now() + LIMIT;
        let mut pause = FIRST_LOOK;
        let mut asked = started.asked_pause();
        loop {
            let wait = asked.unwrap_or(pause).min(LONGEST_LOOK);
            if Instant::now() + wait > deadline {
                return Err(Error::StillRunning {
                    what: call.what.to_owned(),
                    why: format!("not done after {} s", LIMIT.as_secs()),
                });
            }
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(LONGEST_LOOK);
            let poll = Call::new(call.plane, Method::GET, url.clone(), call.action, call.what);
            let answer = self.send(&poll).await?;
            asked = answer.asked_pause();
            let stand = if by_status {
                of_status(&answer.read(call.what)?)
            } else if answer.status == 202 {
                Stand::Running
            } else {
                Stand::Done
            };
            match stand {
                Stand::Done => return Ok(()),
                Stand::Running => {
                    if !by_status && let Some((moved, false)) = poll_address(&answer, call.what)? {
                        url = moved;
                    }
                }
                Stand::Failed(why) => return Err(failed(call, &why)),
            }
        }
    }

    /// Without a poll address: the resource itself says whether it is still being changed.
    async fn settle_by_state(&self, call: &Call<'_>, started: &Answer) -> Result<(), Error> {
        let mut body: Value = started.read(call.what)?;
        let deadline = Instant::now() + LIMIT;
        let mut pause = FIRST_LOOK;
        loop {
            match of_state(&body) {
                Stand::Done => return Ok(()),
                Stand::Failed(why) => return Err(failed(call, &why)),
                Stand::Running if call.method == Method::POST => return Ok(()),
                Stand::Running => {}
            }
            if Instant::now() + pause > deadline {
                return Err(Error::StillRunning {
                    what: call.what.to_owned(),
                    why: format!("not done after {} s", LIMIT.as_secs()),
                });
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_LOOK);
            body = self
                .get(call.plane, call.url.clone(), call.action, call.what)
                .await?;
        }
    }
}

/// Where to ask, and whether the answer is a status document.
fn poll_address(answer: &Answer, what: &str) -> Result<Option<(Url, bool)>, Error> {
    for (name, by_status) in [("azure-asyncoperation", true), ("location", false)] {
        if let Some(text) = answer.header(name) {
            let url = Url::parse(text).map_err(|e| Error::Unexpected {
                what: what.to_owned(),
                why: format!("poll address: {e}"),
            })?;
            return Ok(Some((url, by_status)));
        }
    }
    Ok(None)
}

fn of_status(body: &Value) -> Stand {
    let status = body["status"].as_str().unwrap_or_default();
    of_word(status, || {
        let error = &body["error"];
        let text = |name: &str| error[name].as_str().unwrap_or_default();
        format!("{} {}", text("code"), text("message"))
            .trim()
            .to_owned()
    })
}

fn of_state(body: &Value) -> Stand {
    match body["properties"]["provisioningState"].as_str() {
        None => Stand::Done,
        Some(state) => of_word(state, || state.to_owned()),
    }
}

fn of_word(word: &str, why: impl Fn() -> String) -> Stand {
    if word.eq_ignore_ascii_case("Succeeded") {
        Stand::Done
    } else if word.eq_ignore_ascii_case("Failed") || word.eq_ignore_ascii_case("Canceled") {
        Stand::Failed(why())
    } else {
        Stand::Running
    }
}

fn failed(call: &Call<'_>, why: &str) -> Error {
    Error::Refused {
        what: call.what.to_owned(),
        status: 200,
        code: "OperationFailed".into(),
        why: why.to_owned(),
    }
}
