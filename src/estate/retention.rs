//! How long what is over is kept.

use chrono::Duration;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Reader;

/// How long what is over is kept, as it is written.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    /// Days for which it is kept who was told of an incident and how, since its end: 35 without it.
    outbox_days: Option<u32>,
    /// Days for which an incident, what a storm swallowed, and the alerts are kept, since their
    /// end: 400 without it. Its chain in the journal stays.
    incidents_days: Option<u32>,
}

/// How long what is over is kept, since its end. What is not over is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Who was told, and how.
    pub outbox: Duration,
    /// Incidents, what storms swallowed, and alerts; never shorter than `outbox`.
    pub incidents: Duration,
}

impl Reader<'_> {
    pub(super) fn retention(&mut self, written: &Written) -> Retention {
        let outbox = written.outbox_days.unwrap_or(35);
        let incidents = written.incidents_days.unwrap_or(400);
        for (key, days) in [("outbox_days", outbox), ("incidents_days", incidents)] {
            // Reports look back a month, and a reopened incident needs whom it told.
            if !(31..=4383).contains(&days) {
                let message = format!("is {days}: 31 to 4383 days are possible");
                self.tell(&format!("retention.{key}"), message);
            }
        }
        if incidents < outbox {
            self.tell(
                "retention.incidents_days",
                format!("is {incidents}, less than the {outbox} of `outbox_days`"),
            );
        }
        Retention {
            outbox: Duration::days(outbox.into()),
            incidents: Duration::days(incidents.into()),
        }
    }
}
