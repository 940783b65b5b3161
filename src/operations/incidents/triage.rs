//! What a webhook is worth: it is read back from Azure, held against the estate, and only then a
//! signal.
//!
//! A webhook may be there before Azure's own list of alerts knows of what it says, so for the first
//! ten minutes of an alert, counted from when it says it fired or from when it came, whichever is
//! earlier, what Azure does not know is asked again by each minute tick: until then it is no signal
//! and nobody hears of it. What Azure does not know after that is denied.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::Target;
use super::corroborate::{in_log, stamps_of};
use crate::app::App;
use crate::azure::{self, alerts};
use crate::domain::{
    Alert, Class, Condition, Finding, GroupKey, Priority, Severity, Signal, Trust,
};
use crate::estate::Estate;

/// How long reading an alert back may take.
const WAIT: Duration = Duration::from_secs(10);
/// By how much Azure's list of alerts may lag behind its webhooks.
const LAG: TimeDelta = TimeDelta::minutes(10);
/// Of a description that a stranger may have written, so much is shown.
const MOST_SHOWN: usize = 600;

/// What an alert is taken for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Triage {
    pub signal: Signal,
    pub findings: Vec<Finding>,
    /// What Azure may only not know yet: then it is too early to take the signal.
    pub early: Option<String>,
}

/// What could be found out about an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// As Azure has it.
    Azure(alerts::Alert),
    /// Azure knows no such alert.
    Nothing,
    /// The activity log holds what it is about, and its end if that is what it tells.
    Log,
    /// It could not be found out.
    Unknown(String),
}

/// Reads an alert that was accepted at that time back, and says what it is. Changes nothing.
///
/// Errors: none of what Azure says or does not say; that makes the signal unconfirmed.
pub async fn triage(
    app: &App,
    alert: &Alert,
    accepted: DateTime<Utc>,
    targets: &[Target],
) -> anyhow::Result<Triage> {
    let known = match tokio::time::timeout(WAIT, look(app, alert, targets)).await {
        Ok(known) => known,
        Err(_) => Known::Unknown(format!("there was no answer within {} s", WAIT.as_secs())),
    };
    // An alert is worked even if the estate file is broken: that night it is needed most.
    let (estate, now) = (app.estate().ok(), app.clock.now());
    let mut triage = decide(alert, &known, targets, estate, now);
    triage.early = early(alert, &known, accepted, now);
    Ok(triage)
}

/// What Azure does not know of an alert, if that may be because it is so new.
fn early(
    alert: &Alert,
    known: &Known,
    accepted: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Option<String> {
    let (missing, began) = match (known, alert.condition) {
        (Known::Nothing, Condition::Fired) => ("the alert", alert.fired),
        (Known::Nothing, Condition::Resolved) => ("the alert", end(alert)),
        (Known::Azure(found), Condition::Resolved)
            if condition(alert, Some(found), &mut Vec::new()) == Condition::Fired =>
        {
            ("its end", end(alert))
        }
        _ => return None,
    };
    // A time that is claimed may be in the future, and a clock may have been set back: neither makes
    // it wait longer than that.
    let began = began.min(accepted);
    let age = now - began;
    (age < LAG && age > -LAG).then(|| {
        let until = (began + LAG).format("%H:%M:%S UTC");
        format!("Azure does not know of {missing} yet: it is asked each minute until {until}")
    })
}

fn end(alert: &Alert) -> DateTime<Utc> {
    alert.resolved.unwrap_or(alert.fired)
}

async fn look(app: &App, alert: &Alert, targets: &[Target]) -> Known {
    let azure = match app.azure() {
        Ok(azure) => azure,
        Err(error) => return Known::Unknown(error.to_string()),
    };
    match alerts::get(azure, &alert.id).await {
        Ok(found) => Known::Azure(found),
        Err(azure::Error::NotFound { .. }) => Known::Nothing,
        Err(azure::Error::Foreign(_)) => held(app, alert, targets).await,
        Err(error) => Known::Unknown(error.to_string()),
    }
}

/// Alerts of activity logs and budgets have no id that can be read back.
async fn held(app: &App, alert: &Alert, targets: &[Target]) -> Known {
    let Some(correlation) = &alert.correlation else {
        return Known::Unknown(
            "its id is none that Azure reads alerts back by, and it names no operation".into(),
        );
    };
    let stamps: Vec<String> = targets.iter().filter_map(|t| t.stamp.clone()).collect();
    if stamps.is_empty() {
        return Known::Unknown("its id cannot be read back, and its target is not ours".into());
    }
    let mut why = match alert.condition {
        Condition::Fired => "the activity log does not hold it yet",
        Condition::Resolved => "the activity log tells of no end of it",
    }
    .to_owned();
    for stamp in stamps_of(app, &stamps) {
        match in_log(app, stamp, correlation, alert).await {
            Ok(true) => return Known::Log,
            Ok(false) => {}
            Err(error) => why = format!("the activity log could not be asked: {error:#}"),
        }
    }
    Known::Unknown(why)
}

/// Makes a signal of an alert. Where Azure says something else than the webhook, Azure is right.
#[must_use]
pub fn decide(
    alert: &Alert,
    known: &Known,
    targets: &[Target],
    estate: Option<&Estate>,
    now: DateTime<Utc>,
) -> Triage {
    let mut differs = Vec::new();
    let azures = match known {
        Known::Azure(found) => Some(found),
        _ => None,
    };
    let rule = rule(alert, azures, &mut differs);
    let condition = condition(alert, azures, &mut differs);
    let severity = severity(alert, azures, &mut differs);
    let resource = resource(targets, azures, estate, &mut differs);
    let (tenant, claimed) = tenant(alert, azures, estate, &mut differs);
    let findings = differs
        .iter()
        .map(|text| Finding::new("alert-differs", shown(&alert.id), text))
        .collect();
    let trust = match known {
        Known::Azure(_) => Trust::Confirmed {
            how: "read back from Azure".into(),
        },
        Known::Log => Trust::Confirmed {
            how: "the activity log holds it".into(),
        },
        Known::Nothing => Trust::Denied {
            why: "Azure knows no such alert".into(),
        },
        Known::Unknown(why) => Trust::Unconfirmed { why: why.clone() },
    };
    let priority = severity.map_or(Priority::Medium, Priority::from);
    let of_estate = estate.and_then(|estate| estate.rule(&rule));
    let lower = rule.to_ascii_lowercase();
    let is_security = of_estate.is_some_and(|rule| rule.class == Class::Security)
        || lower.contains("boundary")
        || alert
            .service
            .eq_ignore_ascii_case("Activity Log - Security");
    let (word, at) = match condition {
        Condition::Fired => (
            "fired",
            azures
                .and_then(|a| a.start_date_time)
                .unwrap_or(alert.fired),
        ),
        // Azure may know of the end before its webhook comes.
        Condition::Resolved => ("resolved", alert.resolved.unwrap_or(now)),
    };
    let about = tenant
        .clone()
        .or_else(|| {
            let id = resource.as_deref()?;
            Some(id.rsplit('/').next().unwrap_or(id).to_owned())
        })
        .unwrap_or_else(|| "something outside of the estate".into());
    let mut text = alert.description.as_deref().map_or_else(String::new, shown);
    for difference in &differs {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(difference);
        text.push('.');
    }
    if text.is_empty() {
        text = format!("An alert of Azure Monitor {word}.");
    }
    let mut facts = vec![
        ("source".to_owned(), "Azure Monitor".to_owned()),
        ("alert rule".to_owned(), rule.clone()),
        (
            "severity".to_owned(),
            severity.map_or("none".into(), |s| format!("{s:?}")),
        ),
    ];
    for (name, value) in [
        (
            "service",
            Some(alert.service.clone()).filter(|s| !s.is_empty()),
        ),
        ("tenant", tenant.clone()),
        ("claimed tenant", claimed),
        ("resource", resource.clone()),
        ("alert", Some(alert.id.clone())),
    ] {
        facts.extend(value.map(|value| (name.to_owned(), shown(&value))));
    }
    Triage {
        signal: Signal {
            title: format!("{about}: {rule} {word}"),
            key: GroupKey {
                rule,
                tenant,
                resource,
            },
            condition,
            priority,
            class: if is_security {
                Class::Security
            } else {
                Class::Operations
            },
            text,
            facts,
            at,
            occurrence: alert.pair_key(),
            trust,
        },
        findings,
        early: None,
    }
}

/// The rule's name without the path of its resource; a budget by its own name.
fn rule(alert: &Alert, azures: Option<&alerts::Alert>, differs: &mut Vec<String>) -> String {
    let named = |text: &str| -> Option<String> {
        let name = text.trim().trim_end_matches('/').rsplit('/').next()?;
        (!name.is_empty()).then(|| shown(name))
    };
    let sent = alert.rule.as_deref().and_then(named);
    let azures = azures.and_then(|a| a.alert_rule.as_deref()).and_then(named);
    match (sent, azures) {
        (sent, Some(azures)) => {
            if let Some(sent) = sent
                && !sent.eq_ignore_ascii_case(&azures)
            {
                differs.push(format!("the webhook names rule {sent}, Azure {azures}"));
            }
            azures
        }
        (Some(sent), None) => sent,
        (None, None) => named(&alert.id).map_or_else(
            || "unnamed-alert".into(),
            |name| match alert.service.as_str() {
                "CostAlerts" => format!("budget-{name}"),
                _ => name,
            },
        ),
    }
}

fn condition(
    alert: &Alert,
    azures: Option<&alerts::Alert>,
    differs: &mut Vec<String>,
) -> Condition {
    let condition = match azures.and_then(|a| a.monitor_condition.as_deref()) {
        Some(text) if text.eq_ignore_ascii_case("Fired") => Condition::Fired,
        Some(text) if text.eq_ignore_ascii_case("Resolved") => Condition::Resolved,
        _ => return alert.condition,
    };
    if condition != alert.condition {
        differs.push(format!(
            "the webhook says {}, Azure {}",
            alert.condition.as_str(),
            condition.as_str()
        ));
    }
    condition
}

fn severity(
    alert: &Alert,
    azures: Option<&alerts::Alert>,
    differs: &mut Vec<String>,
) -> Option<Severity> {
    let azures = azures
        .and_then(|a| a.severity.as_deref())
        .and_then(|text| serde_json::from_value::<Severity>(text.into()).ok());
    let Some(azures) = azures else {
        return alert.severity;
    };
    if let Some(sent) = alert.severity
        && sent != azures
    {
        differs.push(format!("the webhook says {sent:?}, Azure {azures:?}"));
    }
    Some(azures)
}

/// The resource as the estate names it; `None` if it is not of the estate.
fn resource(
    targets: &[Target],
    azures: Option<&alerts::Alert>,
    estate: Option<&Estate>,
    differs: &mut Vec<String>,
) -> Option<String> {
    let estate = estate?;
    let find = |id: &str| {
        let target = estate.target(id)?;
        Some(target.resource().id.to_string())
    };
    let Some(azures) = azures.and_then(|a| a.target_resource.as_deref()) else {
        return targets.iter().find_map(|target| find(&target.id));
    };
    let named = targets.iter().any(|target| {
        target
            .id
            .trim_end_matches('/')
            .eq_ignore_ascii_case(azures.trim_end_matches('/'))
    });
    if !named {
        differs.push(format!(
            "the webhook does not name {}, which Azure says it is about",
            shown(azures)
        ));
    }
    find(azures)
}

/// The tenant, as Azure's own alert and the estate name it; and the one that only the webhook names.
/// Whoever may send a webhook would decide else whose people hear of somebody else's incident.
fn tenant(
    alert: &Alert,
    azures: Option<&alerts::Alert>,
    estate: Option<&Estate>,
    differs: &mut Vec<String>,
) -> (Option<String>, Option<String>) {
    let sent = alert.tenant.as_ref();
    let Some(named) = azures.and_then(|azures| azures.tenant.as_ref()) else {
        return (None, sent.cloned());
    };
    if let Some(sent) = sent
        && sent != named
    {
        differs.push(format!(
            "the webhook names tenant {}, Azure {}",
            shown(sent),
            shown(named)
        ));
    }
    let mut tenants = estate.into_iter().flat_map(|estate| &estate.tenants);
    (tenants.find(|t| t.id == *named).map(|t| t.id.clone()), None)
}

/// Text of a stranger, as it may be shown: on one line, and not all of it if it is long.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MOST_SHOWN)
        .collect();
    if text.chars().nth(MOST_SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests;
