use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::journal::{Event, Journal, Run, RunId, RunState, Work, list_by_time, note};
use crate::store::{Created, Error};

const PATH: &str = "controls/kill-switch.json";

/// Whether anything outside may be changed at all. Read before every change and every few seconds
/// while one is made, so turning it on stops every instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct KillSwitch {
    pub on: bool,
    pub by: String,
    pub reason: String,
    pub at: Option<DateTime<Utc>>,
}

impl KillSwitch {
    /// How it stands now.
    pub async fn read(app: &App) -> Result<Self, Error> {
        let stored = app.store()?.get::<Self>(PATH).await?;
        Ok(stored.map(|s| s.value).unwrap_or_default())
    }

    /// Who turned it on and why, if it is on.
    #[must_use]
    pub fn stopped(self) -> Option<(String, String)> {
        self.on.then_some((self.by, self.reason))
    }
}

/// Turns the kill switch, and writes down in the journal who did and why. It holds when this
/// returns; turning it to where it is changes who and why.
///
/// Turning it on comes before the record, since it is what somebody waits for; turning it off comes
/// after, so that there is no start without a record of who started.
pub async fn turn(app: &App, on: bool, by: &str, reason: &str) -> anyhow::Result<RunId> {
    let switch = KillSwitch {
        on,
        by: by.to_owned(),
        reason: reason.to_owned(),
        at: Some(app.clock.now()),
    };
    let id = if on {
        put(app, &switch).await?;
        record(app, &switch).await?
    } else {
        let id = record(app, &switch).await?;
        put(app, &switch).await?;
        id
    };
    tracing::warn!(on, by, reason, "the kill switch was turned");
    Ok(id)
}

async fn put(app: &App, switch: &KillSwitch) -> Result<(), Error> {
    let store = app.store()?;
    loop {
        let done = match store.get::<KillSwitch>(PATH).await? {
            None => matches!(store.create(PATH, switch).await?, Created::New(_)),
            Some(stored) => match store.replace(PATH, switch, &stored.etag, None).await {
                Ok(_) => true,
                Err(Error::Conflict(_)) => false,
                Err(error) => return Err(error),
            },
        };
        if done {
            return Ok(());
        }
    }
}

/// A run of its own, whole.
async fn record(app: &App, switch: &KillSwitch) -> anyhow::Result<RunId> {
    let (store, now) = (app.store()?, app.clock.now());
    let id: RunId = format!("kill-switch-{}", uuid::Uuid::new_v4().simple()).parse()?;
    let work = Work::KillSwitch {
        on: switch.on,
        by: switch.by.clone(),
    };
    let mut run = Run::accepted(id.clone(), work, now);
    let (mut journal, _) = Journal::open(store, &id, 0).await?;
    for event in [
        Event::Started,
        Event::KillSwitch {
            on: switch.on,
            by: switch.by.clone(),
            reason: switch.reason.clone(),
        },
        Event::Finished {
            state: RunState::Succeeded,
        },
    ] {
        note(&mut journal, &mut run, event, now).await?;
    }
    list_by_time(store, &run).await?;
    store.create(&id.document(), &run).await?;
    Ok(id)
}
