use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{NOTICES, Pointer, fits_id, initial, lane_of, notice_document, rank};
use crate::app::App;
use crate::domain::{Contact, Notice};
use crate::notify::route::route;
use crate::store::{Created, Error, Store};

/// A notice as it was posted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Posted {
    pub(super) notice: Notice,
    /// The contacts in the order in which they are tried, fallbacks among them.
    pub(super) route: Vec<Contact>,
    pub(super) at: DateTime<Utc>,
    /// Its place in the order of its incident.
    pub(super) place: u32,
}

/// A notice that a lane has still to deliver.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Pending {
    pub(super) posted: Posted,
    /// Which contact of its route the lane is.
    pub(super) contact: usize,
    /// How often all contacts have failed.
    pub(super) round: u32,
    /// Not tried before, after all have failed.
    pub(super) not_before: Option<DateTime<Utc>>,
    /// Only a copy for whoever heard of the beginning here.
    #[serde(default)]
    pub(super) copy: bool,
}

impl Pending {
    /// Writes it where its lane finds it. One of an earlier round that lies there is replaced.
    pub(super) async fn put(&self, store: &Store) -> Result<(), Error> {
        let Some(pointer) = self.pointer() else {
            return Ok(());
        };
        let document = pointer.document();
        for _ in 0..8 {
            if let Created::New(_) = store.create(&document, self).await? {
                return Ok(());
            }
            let Some(there) = store.get::<Self>(&document).await? else {
                continue;
            };
            if there.value.round >= self.round {
                return Ok(());
            }
            match store.replace(&document, self, &there.etag, None).await {
                Ok(_) => return Ok(()),
                Err(Error::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::Conflict(document))
    }

    pub(super) fn pointer(&self) -> Option<Pointer> {
        let notice = &self.posted.notice;
        Some(Pointer {
            incident: notice.message.incident.clone(),
            lane: lane_of(self.posted.route.get(self.contact)?),
            place: self.posted.place,
            act: initial(notice.message.act),
            priority: rank(notice.message.priority),
            notice: notice.id.clone(),
        })
    }
}

/// Keeps a notice until it is delivered: durable when this returns. Nothing is sent here.
///
/// Safe to repeat: an incident keeps one notice of each id, whatever is posted by that id later.
///
/// Errors: the notice has no contact, or an id with other characters than letters, digits, `-` and
/// `.`; the store cannot be written.
pub async fn post(app: &App, notice: &Notice) -> anyhow::Result<()> {
    let incident = &notice.message.incident;
    anyhow::ensure!(
        fits_id(&notice.id),
        "the notice `{}` of {incident} has an id that cannot be kept",
        notice.id
    );
    anyhow::ensure!(
        !notice.contacts.is_empty(),
        "the notice `{}` of {incident} has no contact",
        notice.id
    );
    for contact in &notice.contacts {
        let name = &contact.channel;
        let fits = !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        anyhow::ensure!(
            fits,
            "the notice `{}` of {incident} names no channel",
            notice.id
        );
    }
    let store = app.store()?;
    let document = notice_document(incident, &notice.id);
    let posted = match store.get::<Posted>(&document).await? {
        Some(known) => known.value,
        None => {
            let before = store
                .list_all(&format!("{NOTICES}{incident}/"))
                .await?
                .len();
            let posted = Posted {
                notice: notice.clone(),
                route: route(&notice.contacts, app.estate()?),
                at: app.clock.now(),
                place: u32::try_from(before + 1).unwrap_or(u32::MAX),
            };
            match store.create(&document, &posted).await? {
                Created::New(_) => posted,
                Created::Exists => match store.get::<Posted>(&document).await? {
                    Some(known) => known.value,
                    None => posted,
                },
            }
        }
    };
    if posted.notice.recipient != notice.recipient {
        tracing::warn!(
            incident = %incident, notice = notice.id,
            "a notice is posted by the id of one for somebody else, and is not kept"
        );
    }
    let pending = Pending {
        posted,
        contact: 0,
        round: 0,
        not_before: None,
        copy: false,
    };
    // Also after a repetition: the one before may have come no further than the notice. A lane knows
    // what it has delivered.
    pending.put(store).await?;
    Ok(())
}
