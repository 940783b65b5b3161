//! What people are told of endpoints. Pure.

use chrono::{DateTime, Utc};

use super::record::{Ended, Record, Told};
use crate::domain::{Class, Condition, GroupKey, Priority, Signal, Trust};
use crate::estate::Endpoint;

/// Who speaks, in the events of incidents.
pub(in crate::operations) const BY: &str = "poolkeeper/health";

/// The key of an endpoint's failure.
#[must_use]
pub fn key(endpoint: &Endpoint) -> GroupKey {
    GroupKey {
        rule: "health".into(),
        tenant: endpoint.tenant.clone(),
        resource: Some(endpoint.name.clone()),
    }
}

/// The key of the probe's own failure.
#[must_use]
pub fn probe_key() -> GroupKey {
    GroupKey {
        rule: "health-probe".into(),
        tenant: None,
        resource: None,
    }
}

fn certificate_key(endpoint: &Endpoint) -> GroupKey {
    GroupKey {
        rule: "health-certificate".into(),
        ..key(endpoint)
    }
}

fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}

fn what(record: &Record) -> String {
    let trouble = record.trouble.as_ref();
    trouble.map_or_else(|| "it does not answer".into(), |t| t.text.clone())
}

/// Names a failure: when it began.
pub(super) fn occurrence(record: &Record, now: DateTime<Utc>) -> String {
    let began = record.first_failure.unwrap_or(now);
    began.format("%Y%m%dT%H%M%SZ").to_string()
}

/// Names what of a failure goes on after its incident was ended.
pub(super) fn occurrence_after(
    record: &Record,
    ended: DateTime<Utc>,
    now: DateTime<Utc>,
) -> String {
    let began = occurrence(record, now);
    format!("{began}-after-{}", ended.format("%Y%m%dT%H%M%S%3fZ"))
}

/// What is said besides to whoever ended the incident of what goes on.
pub(super) fn in_spite_of(ended: Ended) -> String {
    format!(
        " It goes on although its incident was ended at {}.",
        time(ended.at)
    )
}

pub(super) fn fires(
    endpoint: &Endpoint,
    record: &Record,
    priority: Priority,
    occurrence: &str,
    now: DateTime<Utc>,
) -> Signal {
    let mut facts = vec![
        (
            "address".into(),
            endpoint.url.host_str().unwrap_or_default().to_owned(),
        ),
        ("app".into(), endpoint.app.short()),
        ("stamp".into(), endpoint.stamp.clone()),
        ("failures".into(), record.failures.to_string()),
        ("seen".into(), what(record)),
    ];
    if let Some(latency) = record.latency_ms {
        facts.push(("latency".into(), format!("{latency} ms")));
    }
    let all = if priority == Priority::Critical {
        " No other endpoint of the app is well."
    } else {
        ""
    };
    Signal {
        key: key(endpoint),
        condition: Condition::Fired,
        priority,
        class: Class::Operations,
        title: format!("{} is not well: {}", endpoint.name, what(record)),
        text: format!(
            "{} probes in a row of {} have failed since {}: {}.{all}",
            record.failures,
            endpoint.name,
            time(record.first_failure.unwrap_or(now)),
            what(record),
        ),
        facts,
        at: record.first_failure.unwrap_or(now),
        occurrence: occurrence.to_owned(),
        trust: Trust::Confirmed {
            how: format!("probed {} times", record.failures),
        },
    }
}

/// The end of what [`fires`] told; `why` says it for people.
pub(super) fn clears(
    endpoint: &Endpoint,
    priority: Priority,
    occurrence: &str,
    why: &str,
    now: DateTime<Utc>,
) -> Signal {
    Signal {
        key: key(endpoint),
        condition: Condition::Resolved,
        priority,
        class: Class::Operations,
        title: format!("{} is well again", endpoint.name),
        text: why.to_owned(),
        facts: Vec::new(),
        at: now,
        occurrence: occurrence.to_owned(),
        trust: Trust::Confirmed {
            how: "probed".into(),
        },
    }
}

/// The end of what was told of an endpoint that the estate does not name any more.
pub(super) fn forgotten(name: &str, told: &Told, now: DateTime<Utc>) -> Signal {
    Signal {
        key: told.key.clone(),
        condition: Condition::Resolved,
        priority: told.priority,
        class: Class::Operations,
        title: format!("{name} is not probed any more"),
        text: "The estate does not name it any more, so nothing is known of it.".into(),
        facts: Vec::new(),
        at: now,
        occurrence: told.occurrence.clone(),
        trust: Trust::Confirmed {
            how: "read in the estate".into(),
        },
    }
}

pub(super) fn suspects(names: &[String], why: &str, occurrence: &str, at: DateTime<Utc>) -> Signal {
    Signal {
        key: probe_key(),
        condition: Condition::Fired,
        priority: Priority::Critical,
        class: Class::Operations,
        title: "everything fails at once: the probe itself may be broken".into(),
        text: format!(
            "Everything fails at once: the probe itself may be broken; nothing was restarted. {why}."
        ),
        facts: vec![("failing".into(), names.join(", "))],
        at,
        occurrence: occurrence.to_owned(),
        trust: Trust::Unconfirmed {
            why: why.to_owned(),
        },
    }
}

pub(super) fn trusts(occurrence: &str, text: &str, now: DateTime<Utc>) -> Signal {
    Signal {
        key: probe_key(),
        condition: Condition::Resolved,
        priority: Priority::Critical,
        class: Class::Operations,
        title: "the probe can be trusted again".into(),
        text: text.to_owned(),
        facts: Vec::new(),
        at: now,
        occurrence: occurrence.to_owned(),
        trust: Trust::Confirmed {
            how: "probed".into(),
        },
    }
}

pub(super) fn expires(
    endpoint: &Endpoint,
    ends: DateTime<Utc>,
    priority: Priority,
    occurrence: &str,
    now: DateTime<Utc>,
) -> Signal {
    let name = &endpoint.name;
    let title = match (ends - now).num_days() {
        _ if ends <= now => format!("the certificate of {name} has ended"),
        days => format!("the certificate of {name} ends in {days} days"),
    };
    Signal {
        key: certificate_key(endpoint),
        condition: Condition::Fired,
        priority,
        class: Class::Operations,
        title,
        text: format!(
            "The certificate that {} shows ends at {}. Without another one, nobody connects after that.",
            endpoint.url.host_str().unwrap_or_default(),
            time(ends),
        ),
        facts: vec![("ends".into(), time(ends))],
        at: now,
        occurrence: occurrence.to_owned(),
        trust: Trust::Confirmed {
            how: "shown to a probe".into(),
        },
    }
}

/// The end of what [`expires`] told; `text` says it for people.
pub(super) fn renewed(
    endpoint: &Endpoint,
    occurrence: &str,
    text: &str,
    now: DateTime<Utc>,
) -> Signal {
    Signal {
        key: certificate_key(endpoint),
        condition: Condition::Resolved,
        priority: Priority::Medium,
        class: Class::Operations,
        title: format!("the certificate of {} is good again", endpoint.name),
        text: text.to_owned(),
        facts: Vec::new(),
        at: now,
        occurrence: occurrence.to_owned(),
        trust: Trust::Confirmed {
            how: "shown to a probe".into(),
        },
    }
}
