//! Log Analytics, asked by our client and as strangers ask it.

use std::time::Duration;

use poolkeeper::app::Clock;
use poolkeeper::azure::logs::{Scope, Table, Timespan, query};
use poolkeeper::azure::{Error, log_analytics};
use poolkeeper::domain::ResourceId;
use poolkeeper::local::simulator::{
    Fault, FaultKind, LogsError, LogsErrorKind, LogsScope, Service,
};
use serde_json::{Value, json};

use crate::engine::table;
use crate::world::World;

const SUBSCRIPTION: &str = "11111111-2222-4333-8444-555555555555";
const TEXT: &str = "AppRequests | summarize count() by Name";

fn workspace() -> ResourceId {
    ResourceId::new(
        SUBSCRIPTION,
        "rg-agents-jpe",
        "Microsoft.OperationalInsights/workspaces",
        "log-agents-jpe",
    )
}

fn app_id() -> ResourceId {
    ResourceId::new(
        SUBSCRIPTION,
        "rg-agents-jpe",
        "Microsoft.App/containerApps",
        "agent-api",
    )
}

async fn asked(world: &World, timespan: Option<Timespan>) -> Result<Table, Error> {
    let app = world.app(Clock::System);
    let azure = app.azure().expect("a handle");
    let id = log_analytics::customer_id(azure, &workspace()).await?;
    query(azure, &Scope::Workspace(id), TEXT, timespan).await
}

fn answer(world: &World) {
    let columns = [("Name", "string"), ("count_", "long"), ("At", "datetime")];
    let rows = vec![
        vec![
            json!("GET /"),
            json!(3),
            json!("2026-11-25T01:02:03.1234567Z"),
        ],
        vec![json!(""), Value::Null, Value::Null],
    ];
    world.answers.answer(Ok(table(&columns, rows)));
}

#[tokio::test]
async fn a_query_is_asked_of_a_workspace_or_of_one_resource() {
    let world = World::start().await;
    answer(&world);
    let last = Timespan::Last(Duration::from_secs(3600));
    let table = asked(&world, Some(last)).await.expect("a table");
    let rows: Vec<_> = table
        .rows()
        .map(|row| {
            let name = row.string("Name").expect("a text");
            (
                name,
                row.long("count_").expect("a number"),
                row.datetime("At").expect("a time"),
            )
        })
        .collect();
    assert_eq!((rows[0].0, rows[0].1), (Some("GET /"), Some(3)));
    assert_eq!(
        rows[0].2.map(|at| at.timestamp_subsec_nanos()),
        Some(123_456_700)
    );
    assert_eq!(rows[1], (Some(""), None, None));
    let app = world.app(Clock::System);
    let azure = app.azure().expect("a handle");
    let one = query(azure, &Scope::Resource(app_id()), TEXT, None).await;
    assert_eq!(one.expect("a table").rows().len(), 2);

    let asked = world.answers.asked();
    assert_eq!(asked[0].text, TEXT);
    assert_eq!(asked[0].scope, LogsScope::Workspace(workspace()));
    let (from, to) = asked[0].timespan.expect("a timespan");
    assert_eq!((to - from, to), (chrono::Duration::hours(1), asked[0].now));
    assert_eq!(asked[1].scope, LogsScope::Resource(app_id()));
    assert_eq!(asked[1].timespan, None);
    assert!(
        world.simulator.mutations().is_empty(),
        "a query changes nothing"
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_query_is_told_and_nothing_is_asked_again() {
    let world = World::start().await;
    for (kind, place, expected) in [
        (
            LogsErrorKind::Syntax,
            Some((1, 5)),
            "(SyntaxError): it ends too soon (line 1, column 5)",
        ),
        (
            LogsErrorKind::Semantic,
            None,
            "(SemanticError): it ends too soon",
        ),
        (
            LogsErrorKind::NotImplemented,
            None,
            "(NotImplemented): it ends too soon",
        ),
        (
            LogsErrorKind::Limit,
            None,
            "(QueryExecutionLimit): it ends too soon",
        ),
    ] {
        world.answers.answer(Err(LogsError {
            kind,
            message: "it ends too soon".into(),
            place,
        }));
        let before = world.answers.asked().len();
        let error = asked(&world, None).await.expect_err("it is wrong");
        assert!(matches!(error, Error::Query { .. }), "{error:?}");
        assert!(error.to_string().ends_with(expected), "{error}");
        assert!(!error.to_string().contains(TEXT), "{error}");
        assert_eq!(world.answers.asked().len(), before + 1);
    }
}

#[tokio::test]
async fn a_query_meets_trouble_as_azure_has_it() {
    let world = World::start().await;
    answer(&world);
    let fault = |kind| {
        world.simulator.fault(Fault {
            kind,
            service: Some(Service::Logs),
            times: Some(1),
            ..Fault::default()
        });
    };
    for kind in [
        FaultKind::Throttle,
        FaultKind::Unavailable,
        FaultKind::Error,
    ] {
        fault(kind);
        let begun = std::time::Instant::now();
        assert_eq!(asked(&world, None).await.expect("a table").rows().len(), 2);
        let waited = begun.elapsed() >= Duration::from_secs(1);
        assert!(
            waited || kind != FaultKind::Throttle,
            "Retry-After says a second"
        );
    }
    fault(FaultKind::PartialAnswer);
    let error = asked(&world, None).await.expect_err("a part");
    assert!(matches!(error, Error::Partial { .. }), "{error:?}");
    fault(FaultKind::Denied);
    let error = asked(&world, None).await.expect_err("no access");
    assert!(matches!(error, Error::Denied { .. }), "{error:?}");

    // What may be read is granted table by table, or for all of them.
    let may = "Microsoft.OperationalInsights/workspaces/query/read";
    let read = "Microsoft.OperationalInsights/workspaces/read";
    for (granted, goes) in [
        (&[read, may][..], false),
        (
            &[
                read,
                may,
                "Microsoft.OperationalInsights/workspaces/query/*/read",
            ],
            true,
        ),
        (&["*/read"], true),
        (&["Microsoft.Insights/logs/*/read", read], false),
    ] {
        world.simulator.grant_only(granted);
        let answer = asked(&world, None).await;
        assert_eq!(answer.is_ok(), goes, "{granted:?}: {answer:?}");
    }
}

/// The contract names no such status, and the documentation does.
#[tokio::test]
async fn a_workspace_without_anything_in_it_answers_nothing() {
    let world = World::start_unrecorded().await;
    world.answers.answer(Ok(table(&[], Vec::new())));
    let nothing = asked(&world, None).await.expect("nothing");
    assert_eq!((nothing.columns.len(), nothing.rows().len()), (0, 0));
}

/// What our client never sends, and what Azure says to it.
#[tokio::test]
async fn strangers_are_refused_as_azure_refuses_them() {
    let world = World::start_unrecorded().await;
    answer(&world);
    let token = world.token("https://api.loganalytics.io").await;
    let newer = world.token("https://api.loganalytics.azure.com").await;
    let other = world.token("https://management.azure.com").await;
    let app = world.app(Clock::System);
    let id = log_analytics::customer_id(app.azure().expect("a handle"), &workspace())
        .await
        .expect("an id");
    let workspace = format!("/v1/workspaces/{id}/query");
    let body = json!({ "query": TEXT });
    let whole = body.to_string();
    let odd = json!({ "query": TEXT, "timespan": "soon" }).to_string();
    let more = json!({ "query": TEXT, "workspaces": ["other"] }).to_string();
    for (name, path, token, prefer, kind, body, expected) in [
        (
            "right",
            workspace.as_str(),
            Some(&token),
            "wait=30",
            "application/json",
            whole.as_str(),
            (200, ""),
        ),
        (
            "the newer audience",
            &workspace,
            Some(&newer),
            "include-statistics=true, wait=30",
            "application/json",
            &whole,
            (200, ""),
        ),
        (
            "no token",
            &workspace,
            None,
            "",
            "application/json",
            &whole,
            (401, "AuthenticationFailed"),
        ),
        (
            "another token",
            &workspace,
            Some(&other),
            "",
            "application/json",
            &whole,
            (403, "InvalidAuthenticationToken"),
        ),
        (
            "another workspace",
            "/v1/workspaces/00000000-0000-0000-0000-000000000000/query",
            Some(&token),
            "",
            "application/json",
            &whole,
            (404, "PathNotFoundError"),
        ),
        (
            "another path",
            "/v1/workspaces",
            Some(&token),
            "",
            "application/json",
            &whole,
            (404, "PathNotFoundError"),
        ),
        (
            "too long a wait",
            &workspace,
            Some(&token),
            "wait=601",
            "application/json",
            &whole,
            (400, "BadArgumentError"),
        ),
        (
            "no time",
            &workspace,
            Some(&token),
            "",
            "application/json",
            &odd,
            (400, "BadArgumentError"),
        ),
        (
            "more workspaces",
            &workspace,
            Some(&token),
            "",
            "application/json",
            &more,
            (400, "BadArgumentError"),
        ),
        (
            "no JSON",
            &workspace,
            Some(&token),
            "",
            "application/json",
            "{",
            (400, "BadArgumentError"),
        ),
        (
            "not said to be JSON",
            &workspace,
            Some(&token),
            "",
            "text/plain",
            &whole,
            (200, ""),
        ),
    ] {
        let mut request = world
            .http
            .post(format!("{}{path}", world.simulator.url()))
            .header("content-type", kind)
            .header("prefer", prefer)
            .body(body.to_owned());
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        let text = answer.text().await.expect("text");
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        let code = answer["error"]["code"].as_str().unwrap_or_default();
        assert_eq!((status, code), expected, "{name}: {text}");
        assert_eq!(text.is_empty(), kind == "text/plain", "{name}");
    }
}

#[tokio::test]
async fn without_an_engine_the_api_is_unavailable() {
    let world = World::start_without_engine().await;
    let token = world.token("https://api.loganalytics.io").await;
    let url = format!("{}/v1{}/query", world.simulator.url(), app_id());
    let request = world.http.post(url).bearer_auth(token);
    let answer = request.json(&json!({ "query": TEXT })).send().await;
    assert_eq!(answer.expect("an answer").status().as_u16(), 503);
}
