//! Telemetry of the estate, asked through the Logs API with the shipped queries: answers agree with
//! what the world itself counted.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poolkeeper::app::Clock;
use poolkeeper::azure::logs::{Scope, Table, query};
use poolkeeper::azure::{Error, log_analytics};
use poolkeeper::domain::ResourceId;
use poolkeeper::kql::exec::Limits;
use poolkeeper::local::telemetry::{Cell, Conditions, Model, Plan, Telemetry, Written, generate};
use poolkeeper::queries::{Param, Query};

use crate::world::{World, estate};

const FROM: &str = "2026-10-05T00:00:00Z";
const UNTIL: &str = "2026-10-06T00:00:00Z";

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("an instant")
}

struct Told {
    world: World,
    model: Model,
    written: Written,
    _folder: tempfile::TempDir,
}

/// A day of a small world, with its telemetry behind the Logs API.
async fn told() -> Told {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = Plan {
        tenants: 8,
        rows_per_minute: 6.0,
        ..Plan::default()
    };
    let model = Model::new(plan, &estate());
    let (from, until) = (at(FROM).timestamp() / 60, at(UNTIL).timestamp() / 60);
    let written = generate(
        folder.path(),
        &model,
        &Conditions::default(),
        from,
        until,
        &|_, _| {},
    )
    .expect("telemetry");
    let world = World::start_with(Arc::new(Telemetry::new(folder.path(), Limits::default()))).await;
    Told {
        world,
        model,
        written,
        _folder: folder,
    }
}

impl Told {
    async fn ask(&self, text: &str) -> Result<Table, Error> {
        let app = self.world.app(Clock::System);
        let azure = app.azure().expect("a handle");
        let workspace = ResourceId::new(
            "11111111-2222-4333-8444-555555555555",
            "rg-agents-jpe",
            "Microsoft.OperationalInsights/workspaces",
            "log-agents-jpe",
        );
        let id = log_analytics::customer_id(azure, &workspace).await?;
        query(azure, &Scope::Workspace(id), text, None).await
    }

    fn counted(&self, tenant: &str) -> Cell {
        let at = self
            .model
            .tenants()
            .position(|id| id == tenant)
            .expect("a tenant of the world");
        self.written.counters.total(Some(at))
    }
}

#[tokio::test]
async fn the_monthly_numbers_are_those_that_the_world_counted() {
    let told = told().await;
    let tenants: Vec<String> = told.model.tenants().map(str::to_owned).collect();
    let text = Query::MonthlySla
        .text(&[
            ("from_", Param::DateTime(at(FROM))),
            ("to_", Param::DateTime(at(UNTIL))),
            ("objective_percent_", Param::Real(99.9)),
            ("tenants_", Param::List(tenants.clone())),
        ])
        .expect("a query");
    let table = told.ask(&text).await.expect("an answer");
    let mut seen = 0;
    for row in table.rows() {
        let tenant = row
            .string("Tenant")
            .expect("a text")
            .expect("a tenant")
            .to_owned();
        if tenant == "(none)" {
            continue;
        }
        seen += 1;
        let counted = told.counted(&tenant);
        let requests = row.long("Requests").expect("a number").expect("requests");
        assert_eq!(
            u64::try_from(requests).expect("a count"),
            counted.requests,
            "{tenant}"
        );
        let Some(p95) = row.real("P95Ms").expect("a number") else {
            continue;
        };
        // The world counts latencies of all requests in steps of 2 %; the report leaves failures out.
        let expected = counted.latencies.quantile(0.95).expect("latencies");
        assert!(
            (p95 / expected - 1.0).abs() < 0.10,
            "{tenant}: {p95} and {expected}"
        );
    }
    assert_eq!(seen, tenants.len());
}

#[tokio::test]
async fn failures_and_request_units_are_those_that_the_world_counted() {
    let told = told().await;
    let failures = "AppRequests | where toint(ResultCode) >= 500 \
        | summarize Failed = sum(ItemCount) by Tenant = tostring(Properties.tenantId)";
    let mut failed = 0;
    for row in told.ask(failures).await.expect("an answer").rows() {
        let tenant = row
            .string("Tenant")
            .expect("a text")
            .expect("a tenant")
            .to_owned();
        let count = row.long("Failed").expect("a number").expect("a count");
        assert_eq!(
            u64::try_from(count).expect("a count"),
            told.counted(&tenant).server_failures,
            "{tenant}"
        );
        failed += count;
    }
    assert_eq!(
        u64::try_from(failed).expect("a count"),
        told.written.counters.total(None).server_failures
    );

    let text = Query::RuShareByTenant
        .text(&[
            ("metric_", Param::String("cosmos_ru_consumption".into())),
            ("at_", Param::DateTime(at(UNTIL))),
            ("window_", Param::TimeSpan(chrono::TimeDelta::days(1))),
            ("lag_", Param::TimeSpan(chrono::TimeDelta::zero())),
        ])
        .expect("a query");
    for row in told.ask(&text).await.expect("an answer").rows() {
        let tenant = row
            .string("Tenant")
            .expect("a text")
            .expect("a tenant")
            .to_owned();
        let units = row.real("RequestUnits").expect("a number").expect("units");
        let counted = told.counted(&tenant).charge;
        assert!(
            (units / counted - 1.0).abs() < 1e-6,
            "{tenant}: {units} and {counted}"
        );
    }
}

#[tokio::test]
async fn wrong_queries_are_refused_with_the_place_in_the_text() {
    let told = told().await;
    for (text, expected) in [
        ("AppRequests | wher x", "where"),
        ("AppRequests | where Durationms > 1", "DurationMs"),
        ("AppRequests | reduce by Name", "not implemented"),
    ] {
        let error = told
            .ask(text)
            .await
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[tokio::test]
async fn a_resource_sees_only_its_own_rows() {
    let told = told().await;
    let app = told.world.app(Clock::System);
    let azure = app.azure().expect("a handle");
    let count = |resource: ResourceId| async move {
        let table = query(
            azure,
            &Scope::Resource(resource),
            "CDBDataPlaneRequests | count",
            None,
        )
        .await
        .expect("an answer");
        table
            .rows()
            .next()
            .expect("a row")
            .long("Count")
            .expect("a number")
            .expect("a count")
    };
    let all = told
        .ask("CDBDataPlaneRequests | summarize Count = count() by _ResourceId")
        .await
        .expect("an answer");
    for row in all.rows() {
        let id = row
            .string("_ResourceId")
            .expect("a text")
            .expect("a resource")
            .to_owned();
        let own = row.long("Count").expect("a number").expect("a count");
        assert!(own > 0);
        assert_eq!(count(ResourceId::from_text(&id)).await, own, "{id}");
    }
}

#[tokio::test]
async fn the_evidence_for_an_index_is_in_the_telemetry() {
    let told = told().await;
    let text = Query::CosmosQueryEvidence
        .text(&[
            ("account_", Param::String("cosmos-agents-jpe".into())),
            ("database_", Param::String("agents".into())),
            ("container_", Param::String("messages".into())),
            ("at_", Param::DateTime(at(UNTIL))),
            ("window_", Param::TimeSpan(chrono::TimeDelta::days(1))),
            ("lag_", Param::TimeSpan(chrono::TimeDelta::zero())),
        ])
        .expect("a query");
    let table = told.ask(&text).await.expect("an answer");
    let mut filtered = 0;
    for row in table.rows() {
        let asked = row
            .string("QueryText")
            .expect("a text")
            .unwrap_or_default()
            .to_owned();
        let units = row.real("RequestUnits").expect("a number");
        assert!(units.is_none_or(|units| units > 0.0), "{asked}");
        filtered += usize::from(asked.contains("WHERE"));
    }
    assert!(filtered > 0, "no query of the container was told");
}
