//! What happens now and then: probes, deployments, sign-ins, scaling, what was ingested.

use chrono::{DateTime, Datelike as _, TimeZone as _};

use super::faults::FaultKind;
use super::model::{Conditions, MINUTE, Model, Now};
use super::names::{VERSION, guid};
use super::random::{Random, hash};
use super::rows::{Batch, Table, Value};

const LOCATIONS: [&str; 3] = ["Japan East", "Southeast Asia", "East US"];
/// Minutes between two probes from one place.
const PROBE_EVERY: i64 = 5;

pub(super) fn events(model: &Model, now: &Now, conditions: &Conditions, out: &mut Batch) {
    let seed = model.plan.seed;
    let mut random = Random::of(&[seed, 0x5E1D, now.minute.cast_unsigned()]);
    probes(now, &mut random, out);
    boundaries(model, now, &mut random, out);
    signins(now, &mut random, out);
    deployment(model, now, out);
    scaling(model, now, conditions, out);
    if now.minute.rem_euclid(60) == 0 {
        usage(model, now, out);
    }
}

fn time(now: &Now, random: &mut Random) -> i64 {
    now.begins() + i64::try_from(random.below(600_000_000)).unwrap_or(0) * 100
}

fn new_guid(random: &mut Random) -> Value {
    Value::Guid(random.next(), random.next())
}

fn probes(now: &Now, random: &mut Random, out: &mut Batch) {
    for (place, location) in LOCATIONS.iter().enumerate() {
        if (now.minute + place as i64).rem_euclid(PROBE_EVERY) != 0 {
            continue;
        }
        let success = now.answers() && !random.chance(0.0005);
        let slow = now
            .faults
            .iter()
            .filter(|f| f.is_general())
            .fold(1.0, |slow, f| match f.kind {
                FaultKind::Slow(factor) => slow * factor,
                _ => slow,
            });
        let took = if success {
            (40.0 + 70.0 * place as f64) * random.lognormal(0.2) * slow
        } else {
            30_000.0
        };
        let trace = (random.next(), random.next());
        out.of(Table::Availability).push(
            time(now, random),
            [
                Value::Span(random.next()),
                Value::text("agent-api health"),
                Value::text(location),
                Value::Bool(success),
                Value::text(if success {
                    "Passed"
                } else {
                    "Failed: no answer within 30 seconds"
                }),
                Value::Real((took * 1e4).round() / 1e4),
                Value::text("agent-api health"),
                Value::Operation(trace.0, trace.1),
                Value::text("Application Insights Availability Monitoring"),
                Value::Int(1),
            ],
        );
    }
}

/// A structured event for each attempt that was stopped: who, at whose, and what.
fn boundaries(model: &Model, now: &Now, random: &mut Random, out: &mut Batch) {
    for fault in now.faults.iter().filter(|f| f.kind == FaultKind::Boundary) {
        let asked = fault.tenant.as_deref();
        let place = model
            .tenants
            .iter()
            .position(|t| asked.is_none_or(|asked| asked == t.id));
        let Some((place, (_, app))) = place.zip(model.names.app(0)) else {
            continue;
        };
        let (tenant, target) = (
            &model.tenants[place],
            &model.tenants[(place + 1) % model.tenants.len()],
        );
        let second = u64::try_from(now.minute * 60).unwrap_or(0);
        let trace = (second << 32 | random.next() & 0xffff_ffff, random.next());
        let operation = model.names.operations[2].name;
        let properties = serde_json::json!({
            "tenantId": tenant.id,
            "targetTenantId": target.id,
            "userId": model.words.get(tenant.people[0].id),
            "resource": format!("threads/{:08x}", random.next() >> 32),
            "action": "read",
            "outcome": "denied",
            "region": tenant.region,
        });
        out.of(Table::Events).push(
            time(now, random),
            [
                Value::text("tenant_boundary_violation"),
                Value::text(properties.to_string()),
                Value::Word(operation),
                Value::Operation(trace.0, trace.1),
                Value::Word(model.names.common.version),
                Value::Word(app.name_word),
                Value::Word(app.replicas[0]),
                Value::Int(1),
            ],
        );
    }
}

/// Error code and what Entra says about it.
const SIGNIN_FAILURES: [(&str, &str); 3] = [
    (
        "50126",
        "Error validating credentials due to invalid username or password.",
    ),
    (
        "50053",
        "The account is locked because a wrong password was given too often.",
    ),
    (
        "500121",
        "Authentication failed during strong authentication request.",
    ),
];
const OPERATORS: [&str; 4] = ["Sato Yuki", "Suzuki Hana", "Takahashi Ren", "Tanaka Aoi"];

fn signins(now: &Now, random: &mut Random, out: &mut Batch) {
    for _ in 0..random.round(0.12 * now.load) {
        let at = time(now, random);
        let name = *random.of_these(&OPERATORS);
        let failure = random
            .chance(0.08)
            .then(|| *random.of_these(&SIGNIN_FAILURES));
        let (code, told) = failure.unwrap_or(("0", ""));
        let user = hash(&[name.len() as u64, u64::from(name.as_bytes()[1])]);
        let address = format!("203.0.113.{}", user % 200 + 10);
        let principal = format!(
            "{}@agents.example.com",
            name.to_lowercase().replace(' ', ".")
        );
        let place = serde_json::json!({"city": "Tokyo", "state": "Tokyo", "countryOrRegion": "JP"});
        let status = serde_json::json!({ "errorCode": code.parse::<i64>().unwrap_or(0), "failureReason": told });
        out.of(Table::Signins).push(
            at,
            [
                Value::text("Sign-in activity"),
                Value::text("SignInLogs"),
                Value::text(code),
                Value::text(told),
                new_guid(random),
                Value::text(name),
                Value::text("JP"),
                Value::text("Azure Portal"),
                Value::text("c44b4083-3bb0-49c1-b47d-974e53cbdf3c"),
                Value::text("multiFactorAuthentication"),
                Value::text("Browser"),
                Value::text(if code == "0" { "success" } else { "notApplied" }),
                Value::Time(at),
                Value::Bool(true),
                new_guid(random),
                Value::text(address),
                Value::text(place.to_string()),
                Value::text("Windows Azure Service Management API"),
                Value::text(status.to_string()),
                Value::text(name),
                Value::text(guid(user, hash(&[user]))),
                Value::text(principal),
                Value::text("Member"),
            ],
        );
    }
    // The service's own identity asks for tokens day and night.
    if now.minute.rem_euclid(15) == 7 {
        let at = time(now, random);
        let fails = random.chance(0.01);
        out.of(Table::ServiceSignins).push(
            at,
            [
                Value::text("Sign-in activity"),
                Value::text("ServicePrincipalSignInLogs"),
                Value::text(if fails { "7000222" } else { "0" }),
                Value::text(if fails {
                    "The provided client secret keys are expired."
                } else {
                    ""
                }),
                new_guid(random),
                Value::text("JP"),
                Value::text("00000000-aaaa-4bbb-8ccc-0000000000a1"),
                Value::text("clientSecret"),
                Value::Time(at),
                new_guid(random),
                Value::text("20.188.0.10"),
                Value::text("Microsoft Graph"),
                Value::text("00000000-aaaa-4bbb-8ccc-0000000000b1"),
                Value::text("agents-deploy"),
            ],
        );
    }
}

/// On two working days of five, around eleven in the estate's zone: started, and done two minutes
/// later.
fn deployment(model: &Model, now: &Now, out: &mut Batch) {
    let Some(at) = DateTime::from_timestamp(now.minute * 60, 0) else {
        return;
    };
    let local = model.zone.from_utc_datetime(&at.naive_utc());
    let day = u64::try_from(local.date_naive().num_days_from_ce()).unwrap_or(0);
    let mut random = Random::of(&[model.plan.seed, 0xDE, day]);
    if local.weekday().num_days_from_monday() > 4 || !random.chance(0.4) {
        return;
    }
    let Some((_, app)) = model.names.app(random.below(2)) else {
        return;
    };
    let begins = i64::try_from(10 * 60 + random.below(120)).unwrap_or(0);
    let correlation = (random.next(), random.next());
    let fails = random.chance(0.08);
    let minute = i64::from(chrono::Timelike::num_seconds_from_midnight(&local.time())) / 60;
    let (status, sub) = match minute - begins {
        0 => ("Start", "Accepted"),
        2 if fails => ("Failure", "Conflict"),
        2 => ("Success", "OK"),
        _ => return,
    };
    let id = model.words.get(app.id);
    let properties = serde_json::json!({
        "statusCode": sub, "resource": app.name, "entity": id,
        "message": "Microsoft.App/containerApps/write",
    });
    let at = now.begins() + MINUTE / 4;
    out.of(Table::Activity).push(
        at,
        [
            Value::text("Create or Update Container App"),
            Value::text("MICROSOFT.APP/CONTAINERAPPS/WRITE"),
            Value::text(if status == "Failure" {
                "Error"
            } else {
                "Informational"
            }),
            Value::text(status),
            Value::text(sub),
            Value::text(&model.names.group),
            Value::Guid(correlation.0, correlation.1),
            Value::text("agents-deploy@agents.example.com"),
            Value::text("Administrative"),
            Value::text(properties.to_string()),
            Value::text("MICROSOFT.APP"),
            Value::text(&app.name),
            new_guid(&mut random),
            Value::text(id.to_lowercase()),
        ],
    );
    let (reason, kind) = match status {
        "Start" => ("RevisionCreation", "Normal"),
        "Failure" => ("RevisionUpdate", "Warning"),
        _ => ("RevisionReady", "Normal"),
    };
    let log = format!(
        "{reason} of '{}' with image version {VERSION}",
        app.revision
    );
    system(model, app, at, log, reason, kind, out);
}

/// A line for each replica that an app gains or loses, and one of the app's own a minute.
fn scaling(model: &Model, now: &Now, conditions: &Conditions, out: &mut Batch) {
    for (place, app) in model.names.apps.iter().enumerate() {
        let before = model.app_at(now.minute - 1, place, conditions).replicas;
        let after = now.apps[place].replicas;
        if before != after {
            let (reason, at) = ("KEDAScaleTargetActivated", now.begins() + MINUTE / 3);
            let log = format!("Scaled {} from {before} to {after}", app.name);
            system(model, app, at, log, reason, "Normal", out);
        }
        let at = now.begins() + MINUTE / 2;
        let busy = (now.apps[place].busy * 100.0).round();
        out.of(Table::Console).push(
            at,
            [
                Value::Word(app.name_word),
                Value::Word(app.image),
                Value::Word(app.name_word),
                Value::text(&model.names.environment),
                Value::text(format!("info: health ok, replicas {after}, cpu {busy} %")),
                Value::Word(app.revision_word),
                Value::text("stdout"),
                Value::Time(at),
            ],
        );
    }
}

fn system(
    model: &Model,
    app: &super::names::App,
    at: i64,
    log: String,
    reason: &str,
    kind: &str,
    out: &mut Batch,
) {
    out.of(Table::System).push(
        at,
        [
            Value::Word(app.name_word),
            Value::text(&model.names.environment),
            Value::text("ContainerAppController"),
            Value::text(log),
            Value::text(reason),
            Value::Word(app.replicas[0]),
            Value::Word(app.revision_word),
            Value::text(kind),
            Value::Time(at),
        ],
    );
}

/// Rows that come of one request, by table: what the volume of the hour before is reckoned from.
const PER_REQUEST: [(Table, f64); 5] = [
    (Table::Requests, 1.0),
    (Table::Dependencies, 1.15),
    (Table::Traces, 0.2),
    (Table::CosmosRequests, 0.85),
    (Table::PartitionCharges, 0.5),
];

/// The megabytes of the hour before, as expected of its load.
fn usage(model: &Model, now: &Now, out: &mut Batch) {
    let from = now.minute - 60;
    let load: f64 = (from..now.minute).map(|minute| model.load.at(minute)).sum();
    for (table, rows) in PER_REQUEST {
        let bytes = load * model.requests * rows * table.billed_bytes();
        out.of(Table::Usage).push(
            now.begins(),
            [
                Value::Time(from * MINUTE),
                Value::Time(now.begins()),
                Value::text(table.name()),
                Value::text("LogManagement"),
                Value::Real(bytes.round() / 1e6),
                Value::text("MBytes"),
                Value::Bool(true),
            ],
        );
    }
}
