use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::triage::shown;
use crate::app::App;
use crate::domain::{Alert, Condition, IncidentId};
use crate::estate::Estate;
use crate::journal::RunId;
use crate::store::{Created, Error};

/// One alert over its life: the deliveries that fired and resolved it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertRecord {
    pub alert: Alert,
    /// What the alert names, held against the estate when the first delivery was worked.
    #[serde(default)]
    pub targets: Vec<Target>,
    pub fired: Option<Delivery>,
    pub resolved: Option<Delivery>,
    /// The incident that it belongs to, once it was taken into one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentId>,
}

/// One resource that an alert names. The id is the sender's word and good for reading only: what
/// is acted on comes from [`Estate::target`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    pub id: String,
    /// Stamp of the estate that it belongs to; `None` if it is outside the estate.
    pub stamp: Option<String>,
}

impl Target {
    /// Holds the targets of an alert against the estate.
    pub(super) fn find(alert: &Alert, estate: &Estate) -> Vec<Self> {
        alert
            .targets
            .iter()
            .map(|id| Self {
                id: id.clone(),
                stamp: estate.target(id).map(|t| t.resource().stamp.clone()),
            })
            .collect()
    }
}

/// One delivery and the run that worked it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    pub at: DateTime<Utc>,
    pub run: RunId,
}

impl AlertRecord {
    fn new(alert: &Alert, targets: &[Target]) -> Self {
        Self {
            alert: alert.clone(),
            targets: targets.to_vec(),
            fired: None,
            resolved: None,
            incident: None,
        }
    }

    /// Adds a delivery. The first of each condition stays: a repetition changes nothing, and
    /// Resolved may arrive before Fired.
    fn add(&mut self, alert: &Alert, run: &RunId) {
        let (slot, at) = match alert.condition {
            Condition::Fired => (&mut self.fired, alert.fired),
            Condition::Resolved => (&mut self.resolved, alert.resolved.unwrap_or(alert.fired)),
        };
        if slot.is_none() {
            *slot = Some(Delivery {
                at,
                run: run.clone(),
            });
        }
    }

    pub(super) fn summary(&self) -> String {
        let rule = self.alert.rule.as_deref();
        let rule = rule.map_or("an alert without a rule".to_owned(), shown);
        match (&self.fired, &self.resolved) {
            (Some(_), None) => format!("{rule}: fired"),
            (None, Some(_)) => format!("{rule}: resolved, its firing has not been seen"),
            (Some(fired), Some(resolved)) => format!(
                "{rule}: fired, and resolved after {} minutes",
                (resolved.at - fired.at).num_minutes()
            ),
            (None, None) => format!("{rule}: no delivery"),
        }
    }
}

/// Files a delivery with its alert, however many processes do so at once.
pub(super) async fn file(
    app: &App,
    alert: &Alert,
    targets: &[Target],
    run: &RunId,
) -> Result<AlertRecord, Error> {
    let store = app.store()?;
    let path = format!("alerts/{}.json", alert.pair_key());
    loop {
        match store.get::<AlertRecord>(&path).await? {
            None => {
                let mut record = AlertRecord::new(alert, targets);
                record.add(alert, run);
                if let Created::New(_) = store.create(&path, &record).await? {
                    return Ok(record);
                }
            }
            Some(stored) => {
                let mut record = stored.value.clone();
                record.add(alert, run);
                if record == stored.value {
                    return Ok(record);
                }
                match store.replace(&path, &record, &stored.etag, None).await {
                    Ok(_) => return Ok(record),
                    Err(Error::Conflict(_)) => {}
                    Err(e) => return Err(e),
                }
            }
        }
    }
}

/// Writes down which incident an alert belongs to.
pub(super) async fn belongs(app: &App, alert: &Alert, incident: &IncidentId) -> Result<(), Error> {
    let store = app.store()?;
    let path = format!("alerts/{}.json", alert.pair_key());
    loop {
        let Some(stored) = store.get::<AlertRecord>(&path).await? else {
            return Ok(());
        };
        if stored.value.incident.as_ref() == Some(incident) {
            return Ok(());
        }
        let mut record = stored.value;
        record.incident = Some(incident.clone());
        match store.replace(&path, &record, &stored.etag, None).await {
            Ok(_) => return Ok(()),
            Err(Error::Conflict(_)) => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fired_and_resolved_are_paired_in_any_order_and_repetitions_change_nothing() {
        let at = |minutes: i64| DateTime::UNIX_EPOCH + chrono::Duration::minutes(minutes);
        let alert = |condition, resolved| Alert {
            id: "a".into(),
            rule: Some("p95".into()),
            severity: None,
            condition,
            service: String::new(),
            fired: at(0),
            resolved,
            targets: vec![],
            description: None,
            tenant: None,
            correlation: None,
        };
        let fired = alert(Condition::Fired, None);
        let resolved = alert(Condition::Resolved, Some(at(7)));
        let run: RunId = "alert-1".parse().expect("an id");
        let cases = [
            (
                "in order",
                vec![&fired, &resolved],
                "p95: fired, and resolved after 7 minutes",
            ),
            (
                "out of order",
                vec![&resolved, &fired],
                "p95: fired, and resolved after 7 minutes",
            ),
            ("repeated", vec![&fired, &fired], "p95: fired"),
            (
                "alone",
                vec![&resolved],
                "p95: resolved, its firing has not been seen",
            ),
        ];
        for (name, deliveries, expected) in cases {
            let mut record = AlertRecord::new(deliveries[0], &[]);
            for delivery in deliveries {
                record.add(delivery, &run);
            }
            assert_eq!(record.summary(), expected, "{name}");
        }
        let endless = Alert {
            rule: Some("a\nb".repeat(5_000)),
            ..fired
        };
        let mut record = AlertRecord::new(&endless, &[]);
        record.add(&endless, &run);
        let summary = record.summary();
        assert!(summary.len() < 700 && !summary.contains('\n'), "{summary}");
    }
}
