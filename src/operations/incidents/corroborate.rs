//! What else is known about an incident: what telemetry, Azure and the activity log say of it.

use std::time::Duration;

use anyhow::Context as _;
use chrono::{DateTime, TimeDelta, Utc};

use crate::app::App;
use crate::azure::log_analytics;
use crate::azure::logs::{Scope, Table, query};
use crate::domain::{Alert, Condition, GroupKey, IncidentEvent, ResourceId};
use crate::estate::{Stamp, Watch};
use crate::queries::{Param, Query};

const BY: &str = "poolkeeper/triage";
/// All of it together.
const WAIT: Duration = Duration::from_secs(10);
/// What is shown of a list.
const MOST: usize = 10;
const PERFORMANCE: TimeDelta = TimeDelta::minutes(30);
const CHANGES: TimeDelta = TimeDelta::hours(6);
const HEALTH: TimeDelta = TimeDelta::hours(6);
const EVENTS: TimeDelta = TimeDelta::days(3);

/// One thing that was found out: a few sentences, and figures.
struct Found {
    text: String,
    facts: Vec<(String, String)>,
}

/// Gathers evidence about a key as of `at`, within ten seconds. What could not be found out is told
/// as such. Changes nothing.
pub async fn corroborate(app: &App, key: &GroupKey, at: DateTime<Utc>) -> Vec<IncidentEvent> {
    let stamps = about(app, key);
    let (performance, changes, health, events, violations) = tokio::join!(
        bounded(performance(app, &stamps, key.tenant.as_deref(), at)),
        bounded(changes(app, &stamps, at)),
        bounded(health(app, &stamps, key.resource.as_deref(), at)),
        bounded(events(app, &stamps, at)),
        bounded(violations(app, &stamps, key, at)),
    );
    let mut evidence = Vec::new();
    for (title, found) in [
        ("Requests in the last 30 minutes", performance),
        ("Changes in Azure", changes),
        ("Resource health", health),
        ("Azure's own incidents and maintenance", events),
        ("Violations of the boundary", violations),
    ] {
        let Found { text, facts } = match found {
            Ok(Some(found)) => found,
            // It does not apply.
            Ok(None) => continue,
            Err(why) => Found {
                text: format!("No data: {why}."),
                facts: Vec::new(),
            },
        };
        evidence.push(IncidentEvent::Evidence {
            by: BY.into(),
            title: title.into(),
            text,
            facts,
        });
    }
    evidence
}

async fn bounded(
    work: impl Future<Output = anyhow::Result<Option<Found>>>,
) -> Result<Option<Found>, String> {
    match tokio::time::timeout(WAIT, work).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err(format!("{error:#}")),
        Err(_) => Err(format!("there was no answer within {} s", WAIT.as_secs())),
    }
}

/// The stamp of the resource; every one if that is not known.
fn about<'a>(app: &'a App, key: &GroupKey) -> Vec<&'a Stamp> {
    let Ok(estate) = app.estate() else {
        return Vec::new();
    };
    let target = key.resource.as_deref().and_then(|id| estate.target(id));
    let name = target.map(|t| t.resource().stamp.as_str());
    let stamps = estate.stamps.iter();
    stamps
        .filter(|stamp| name.is_none_or(|name| stamp.name == name))
        .collect()
}

/// The stamps of these names.
pub(super) fn stamps_of<'a>(app: &'a App, names: &[String]) -> Vec<&'a Stamp> {
    let Ok(estate) = app.estate() else {
        return Vec::new();
    };
    let stamps = estate.stamps.iter();
    stamps.filter(|s| names.contains(&s.name)).collect()
}

async fn ask(
    app: &App,
    stamp: &Stamp,
    asked: Query,
    params: &[(&str, Param)],
) -> anyhow::Result<Table> {
    let azure = app.azure()?;
    let workspace = stamp
        .workspace
        .as_ref()
        .with_context(|| format!("stamp {} has no workspace", stamp.name))?;
    let id = match &workspace.customer_id {
        Some(id) => id.clone(),
        None => log_analytics::customer_id(azure, &workspace.id).await?,
    };
    let text = asked.text(params)?;
    query(azure, &Scope::Workspace(id), &text, None)
        .await
        .with_context(|| format!("ask `{}` of stamp {}", asked.name(), stamp.name))
}

/// Error rate and response times, of the tenant alone where there is one.
async fn performance(
    app: &App,
    stamps: &[&Stamp],
    tenant: Option<&str>,
    at: DateTime<Utc>,
) -> anyhow::Result<Option<Found>> {
    let evaluator = app.estate()?.evaluator;
    let common = [
        ("at_", Param::DateTime(at)),
        ("window_", Param::TimeSpan(PERFORMANCE)),
        ("lag_", Param::TimeSpan(evaluator.lag)),
        ("minimum_requests_", Param::Long(1)),
    ];
    let (mut requests, mut failed, mut slowest) = (0, 0, None::<f64>);
    for stamp in stamps {
        let mut params = common.to_vec();
        let tenants = tenant.map(str::to_owned).into_iter().collect();
        params.push(("tenants_", Param::List(tenants)));
        let errors = ask(app, stamp, Query::ErrorRate, &params).await?;
        for row in errors.rows() {
            let of = row.string("Tenant")?;
            if tenant.is_none_or(|tenant| of == Some(tenant)) {
                requests += row.long("Requests")?.unwrap_or(0);
                failed += row.long("Failed")?.unwrap_or(0);
            }
        }
        let times = ask(app, stamp, Query::LatencyByTenant, &common).await?;
        for row in times.rows() {
            let of = row.string("Tenant")?;
            if tenant.is_none_or(|tenant| of == Some(tenant)) {
                let p95 = row.real("P95Ms")?.filter(|p95| p95.is_finite());
                slowest = match (slowest, p95) {
                    (Some(a), Some(b)) => Some(a.max(b)),
                    (a, b) => a.or(b),
                };
            }
        }
    }
    let who = tenant.map_or("all tenants".to_owned(), |t| format!("tenant {t}"));
    anyhow::ensure!(requests > 0, "telemetry has no request of {who}");
    let percent = 100.0 * failed as f64 / requests as f64;
    let p95 = slowest.map_or("no data".into(), |ms| format!("{:.2} s", ms / 1000.0));
    Ok(Some(Found {
        text: format!(
            "{failed} of {requests} requests of {who} failed ({percent:.2} %); the p95 {} {p95}.",
            if tenant.is_some() {
                "was"
            } else {
                "of the slowest tenant was"
            }
        ),
        facts: vec![
            ("requests".into(), requests.to_string()),
            ("failed".into(), failed.to_string()),
            ("error rate".into(), format!("{percent:.2} %")),
            ("p95".into(), p95),
        ],
    }))
}

/// What was changed lately in the resource groups of the stamps.
async fn changes(app: &App, stamps: &[&Stamp], at: DateTime<Utc>) -> anyhow::Result<Option<Found>> {
    let mut facts = Vec::new();
    for stamp in stamps {
        let params = [
            ("at_", Param::DateTime(at)),
            ("window_", Param::TimeSpan(CHANGES)),
            // One that is late is seen the next time; the newest matter most.
            ("lag_", Param::TimeSpan(TimeDelta::zero())),
            (
                "resource_group_",
                Param::String(stamp.resource_group.clone()),
            ),
        ];
        let table = ask(app, stamp, Query::RecentChanges, &params).await?;
        for row in table.rows() {
            let text = |name: &str| row.string(name).map(Option::unwrap_or_default);
            let target = ResourceId::from_text(text("Target")?);
            let when = row.datetime("Started")?.unwrap_or_default();
            facts.push((
                when.format("%Y-%m-%d %H:%M UTC").to_string(),
                format!(
                    "{} on {} by {}: {}",
                    text("Action")?,
                    target.short(),
                    text("Caller")?,
                    text("Status")?
                ),
            ));
        }
    }
    let hours = CHANGES.num_hours();
    Ok(Some(listed(
        facts,
        &format!(
            "Nothing was changed in Azure in the {hours} hours before, as far as the activity log tells by now."
        ),
        |count| format!("{count} changes in Azure in the {hours} hours before."),
    )))
}

/// What Azure told of the health of the resource, and of those beside it.
async fn health(
    app: &App,
    stamps: &[&Stamp],
    resource: Option<&str>,
    at: DateTime<Utc>,
) -> anyhow::Result<Option<Found>> {
    let own = resource.map(ResourceId::from_text);
    let (mut first, mut others) = (Vec::new(), Vec::new());
    for stamp in stamps {
        let table = health_events(app, stamp, at, HEALTH).await?;
        for row in table.rows() {
            let text = |name: &str| row.string(name).map(Option::unwrap_or_default);
            let target = text("Target")?;
            let when = row.datetime("Newest")?.unwrap_or_default();
            let is_own = own.as_ref().is_some_and(|own| own.holds(target));
            let facts = if is_own { &mut first } else { &mut others };
            facts.push((
                when.format("%Y-%m-%d %H:%M UTC").to_string(),
                format!(
                    "{} is {}, {} before: {} ({}, {}, {})",
                    ResourceId::from_text(target).short(),
                    text("Health")?,
                    text("HealthBefore")?,
                    text("Title")?,
                    text("Kind")?,
                    text("Cause")?,
                    text("Status")?
                ),
            ));
        }
    }
    let hours = HEALTH.num_hours();
    let owns = first.len();
    first.append(&mut others);
    Ok(Some(listed(
        first,
        &format!("Azure told of no change of health in the {hours} hours before."),
        |count| {
            let told =
                format!("Changes of health that Azure told of in the {hours} hours before: ");
            match &own {
                Some(own) => format!(
                    "{told}{owns} of {}, {} beside it.",
                    own.short(),
                    count - owns
                ),
                None => format!("{told}{count}."),
            }
        },
    )))
}

async fn health_events(
    app: &App,
    stamp: &Stamp,
    at: DateTime<Utc>,
    window: TimeDelta,
) -> anyhow::Result<Table> {
    let params = [
        ("at_", Param::DateTime(at)),
        ("window_", Param::TimeSpan(window)),
        ("lag_", Param::TimeSpan(TimeDelta::zero())),
        (
            "resource_group_",
            Param::String(stamp.resource_group.clone()),
        ),
    ];
    ask(app, stamp, Query::ResourceHealthEvents, &params).await
}

/// Incidents and planned maintenance of Azure itself.
async fn events(app: &App, stamps: &[&Stamp], at: DateTime<Utc>) -> anyhow::Result<Option<Found>> {
    let mut facts: Vec<(String, String)> = Vec::new();
    for stamp in stamps {
        let params = [
            ("at_", Param::DateTime(at)),
            ("window_", Param::TimeSpan(EVENTS)),
            ("lag_", Param::TimeSpan(TimeDelta::zero())),
        ];
        let table = ask(app, stamp, Query::ServiceHealthEvents, &params).await?;
        for row in table.rows() {
            let text = |name: &str| row.string(name).map(Option::unwrap_or_default);
            let name = format!("{} {}", text("IncidentType")?, text("TrackingId")?);
            let starts = Some(text("ImpactStart")?).filter(|t| !t.is_empty());
            let fact = format!(
                "{}: {} {} ({}){}",
                text("Stage")?,
                text("Title")?,
                text("Service")?,
                text("Region")?,
                starts.map_or(String::new(), |t| format!(", from {t}"))
            );
            // Stamps of one subscription hear the same.
            if !facts.iter().any(|(known, _)| *known == name) {
                facts.push((name, fact));
            }
        }
    }
    let days = EVENTS.num_days();
    Ok(Some(listed(
        facts,
        &format!("Azure told of no incident and no maintenance of its own in {days} days."),
        |count| {
            format!("Azure told of {count} incidents or maintenance of its own in {days} days.")
        },
    )))
}

/// The violations themselves, for Security: kept here, as telemetry forgets them.
async fn violations(
    app: &App,
    stamps: &[&Stamp],
    key: &GroupKey,
    at: DateTime<Utc>,
) -> anyhow::Result<Option<Found>> {
    let Some(rule) = app.estate()?.rule(&key.rule) else {
        return Ok(None);
    };
    let Watch::Boundary { window } = rule.watch else {
        return Ok(None);
    };
    let mut facts = Vec::new();
    for stamp in stamps {
        let params = [
            // Those that opened it may be as old as the window.
            ("at_", Param::DateTime(at + window)),
            ("window_", Param::TimeSpan(window * 3)),
            ("lag_", Param::TimeSpan(TimeDelta::zero())),
        ];
        let table = ask(app, stamp, Query::BoundaryViolations, &params).await?;
        for row in table.rows() {
            let text = |name: &str| row.string(name).map(Option::unwrap_or_default);
            let tenant = Some(text("Tenant")?).filter(|t| *t != "(none)");
            if tenant != key.tenant.as_deref() {
                continue;
            }
            let when = row.datetime("FirstSeen")?.unwrap_or_default();
            facts.push((
                format!(
                    "{} {}",
                    when.format("%Y-%m-%d %H:%M:%S UTC"),
                    text("EventId")?
                ),
                format!(
                    "{} reached for {} of {}, operation {}",
                    text("Principal")?,
                    text("Resource")?,
                    text("TargetTenant")?,
                    text("OperationId")?
                ),
            ));
        }
    }
    anyhow::ensure!(
        !facts.is_empty(),
        "telemetry does not hold the events any more"
    );
    Ok(Some(listed(facts, "", |count| {
        format!("{count} violations, with what was reached for. For Security only.")
    })))
}

fn listed(
    mut facts: Vec<(String, String)>,
    nothing: &str,
    text: impl Fn(usize) -> String,
) -> Found {
    let count = facts.len();
    facts.truncate(MOST);
    let mut text = if count == 0 {
        nothing.to_owned()
    } else {
        text(count)
    };
    if count > MOST {
        text.push_str(&format!(" The first {MOST} are shown."));
    }
    Found { text, facts }
}

/// Whether the activity log of a stamp holds what an alert names, on what it names: the operation or
/// the event of health that it fired for, or the end of that event. An operation has no end that an
/// alert could tell of.
///
/// Errors: it could not be asked.
pub(super) async fn in_log(
    app: &App,
    stamp: &Stamp,
    correlation: &str,
    alert: &Alert,
) -> anyhow::Result<bool> {
    let now = app.clock.now();
    // The operation came before the alert; and an alert of long ago is not looked for.
    let window =
        (now - alert.fired + TimeDelta::hours(1)).clamp(TimeDelta::hours(1), TimeDelta::days(3));
    let is_end = alert.condition == Condition::Resolved;
    let table = if alert.service.eq_ignore_ascii_case("Resource Health") {
        health_events(app, stamp, now, window).await?
    } else if is_end {
        return Ok(false);
    } else {
        let params = [
            ("at_", Param::DateTime(now)),
            ("window_", Param::TimeSpan(window)),
            ("lag_", Param::TimeSpan(TimeDelta::zero())),
            ("resource_group_", Param::String(String::new())),
        ];
        ask(app, stamp, Query::RecentChanges, &params).await?
    };
    for row in table.rows() {
        if is_end && row.string("Status")? != Some("Resolved") {
            continue;
        }
        let same = row
            .string("CorrelationId")?
            .is_some_and(|id| id.eq_ignore_ascii_case(correlation));
        let target = row.string("Target")?.unwrap_or_default();
        if same
            && alert
                .targets
                .iter()
                .any(|id| ResourceId::from_text(id).holds(target))
        {
            return Ok(true);
        }
    }
    Ok(false)
}
