//! The handle against what an answer may try: links and redirects that lead away.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Json, Redirect};
use axum::routing::any;
use poolkeeper::app::{App, Clock};
use poolkeeper::azure::{Error, key_vault};
use poolkeeper::config::{Config, Identity};
use poolkeeper::domain::ResourceId;
use serde_json::json;

use crate::world::World;

/// A server that counts what reaches it with a token.
async fn stranger() -> (String, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&count);
    let router = Router::new().fallback(any(move || async move {
        seen.fetch_add(1, Ordering::SeqCst);
        Json(json!({ "value": [] }))
    }));
    (serve(router).await, count)
}

async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// An app whose Azure is `arm`, with the simulator's own identity.
fn app(world: &World, arm: &str) -> App {
    let mut values = world.settings();
    values.insert("POOLKEEPER_ARM_ENDPOINT".into(), arm.into());
    let mut config = Config::read(|name| values.get(name).cloned()).expect("settings");
    config.azure.identity = Identity::Given(Arc::new(crate::world::SimulatedIdentity::of(world)));
    App::new(config, Clock::System)
}

#[tokio::test]
async fn no_token_follows_a_link_or_a_redirect_that_leads_away() {
    let world = World::start_unrecorded().await;
    let (away, count) = stranger().await;
    let vault = ResourceId::new(
        "11111111-2222-4333-8444-555555555555",
        "rg-agents-jpe",
        "Microsoft.KeyVault/vaults",
        "kv-agents-jpe",
    );
    let elsewhere = away.clone();
    let liar = Router::new().fallback(any(move |uri: axum::http::Uri| {
        let away = elsewhere.clone();
        async move {
            if uri.path().contains("/redirect/") {
                return Redirect::temporary(&away).into_response();
            }
            if uri.path().starts_with("/subscriptions/") {
                // The vault's own address leads away.
                return Json(json!({ "properties": { "vaultUri": away } })).into_response();
            }
            StatusCode::NOT_FOUND.into_response()
        }
    }));
    let arm = serve(liar).await;
    let app = app(&world, &arm);
    let azure = app.azure().expect("a handle");
    let answer = key_vault::items(azure, &vault).await;
    assert!(matches!(answer, Err(Error::Foreign(_))), "{answer:?}");
    let redirect = ResourceId::new("redirect", "redirect", "x", "y");
    let answer = key_vault::items(azure, &redirect).await;
    assert!(
        matches!(answer, Err(Error::Unexpected { .. } | Error::Foreign(_))),
        "{answer:?}"
    );

    // A list whose next link leads away.
    let elsewhere = away.clone();
    let host = Arc::new(std::sync::OnceLock::<String>::new());
    let own = Arc::clone(&host);
    let liar = Router::new().fallback(any(move |uri: axum::http::Uri| {
        let (away, own) = (elsewhere.clone(), Arc::clone(&own));
        async move {
            let own = own.get().expect("an address");
            if uri.path().starts_with("/subscriptions/") {
                return Json(json!({ "properties": { "vaultUri": format!("{own}/vault/kv/") } }));
            }
            Json(json!({ "value": [], "nextLink": format!("{away}/next") }))
        }
    }));
    let arm = serve(liar).await;
    host.set(arm.clone()).expect("once");
    let app = self::app(&world, &arm);
    let answer = key_vault::items(app.azure().expect("a handle"), &vault).await;
    assert!(matches!(answer, Err(Error::Foreign(_))), "{answer:?}");
    assert_eq!(
        count.load(Ordering::SeqCst),
        0,
        "nothing reached the stranger"
    );
}

#[tokio::test]
async fn lists_go_on_page_after_page() {
    let world = World::start().await;
    let app = world.app(Clock::System);
    let url = format!(
        "{}/vault/kv-agents-jpe/secrets?api-version=7.5&maxresults=5",
        world.simulator.url()
    );
    let rows: Vec<serde_json::Value> = app
        .azure()
        .expect("a handle")
        .list(
            poolkeeper::azure::Plane::Vault,
            url.parse().expect("a URL"),
            poolkeeper::azure::Action("read"),
            "secrets",
        )
        .await
        .expect("a list");
    // Four secrets, and one behind each of eight certificates.
    assert_eq!(rows.len(), 12);
}

/// Lets every call through.
struct Freely;

impl poolkeeper::azure::Permit for Freely {
    fn holds(&self) -> futures::future::BoxFuture<'_, Result<(), String>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// A change whose poll address leads away, by either header, or by a redirect of the write itself.
#[tokio::test]
async fn no_token_follows_a_poll_address_that_leads_away() {
    let world = World::start_unrecorded().await;
    for (name, status) in [
        ("azure-asyncoperation", 202),
        ("location", 202),
        ("location", 307),
    ] {
        let (away, count) = stranger().await;
        let writes = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&writes);
        let liar = Router::new().fallback(any(move |request: axum::extract::Request| {
            let (away, seen) = (away.clone(), Arc::clone(&seen));
            async move {
                if request.method() == axum::http::Method::PUT {
                    seen.fetch_add(1, Ordering::SeqCst);
                    let code = StatusCode::from_u16(status).expect("a status");
                    return (code, [(name, format!("{away}/poll"))]).into_response();
                }
                Json(json!({ "location": "Japan East", "properties": {} })).into_response()
            }
        }));
        let app = app(&world, &serve(liar).await);
        let container = ResourceId::new("s", "g", "Microsoft.DocumentDB/databaseAccounts", "a")
            .child("sqlDatabases", "d")
            .child("containers", "c");
        let answer = poolkeeper::azure::cosmos::set_throughput(
            app.azure().expect("a handle"),
            &container,
            "Japan East",
            poolkeeper::domain::Capacity::Manual(600),
            &Freely,
        )
        .await;
        assert!(
            matches!(
                answer,
                Err(Error::Accepted { .. } | Error::Unexpected { .. })
            ),
            "{name} {status}: {answer:?}"
        );
        assert_eq!(writes.load(Ordering::SeqCst), 1, "{name} {status}");
        assert_eq!(count.load(Ordering::SeqCst), 0, "{name} {status}");
    }
}

#[tokio::test]
async fn an_alert_is_read_back_from_azure_and_never_from_where_its_id_leads() {
    let world = World::start().await;
    let target = "/subscriptions/11111111-2222-4333-8444-555555555555/resourceGroups/rg-agents-jpe/providers/Microsoft.App/containerApps/agent-api";
    let guid = "66114d64-d9d9-478b-95c9-b789d6502100";
    let id = format!("{target}/providers/Microsoft.AlertsManagement/alerts/{guid}");
    world
        .simulator
        .raise(guid, target, "p95-too-high", "Sev2", "Fired")
        .await;
    let app = world.app(Clock::System);
    let azure = app.azure().expect("a handle");
    let alert = poolkeeper::azure::alerts::get(azure, &id)
        .await
        .expect("an alert");
    assert_eq!(alert.monitor_condition.as_deref(), Some("Fired"));
    assert_eq!(alert.severity.as_deref(), Some("Sev2"));
    let unknown = id.replace("66114d64", "00000000");
    let answer = poolkeeper::azure::alerts::get(azure, &unknown).await;
    assert!(matches!(answer, Err(Error::NotFound { .. })), "{answer:?}");

    let (away, count) = stranger().await;
    for hostile in [
        format!("{away}{id}"),
        format!("//{}{id}", away.trim_start_matches("http://")),
        format!("{id}/../../../../x"),
        format!("@{}/{id}", away.trim_start_matches("http://")),
    ] {
        let answer = poolkeeper::azure::alerts::get(azure, &hostile).await;
        assert!(
            matches!(answer, Err(Error::Foreign(_))),
            "{hostile}: {answer:?}"
        );
    }
    assert_eq!(count.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn accounts_containers_and_revisions_are_read_as_they_are() {
    let world = World::start().await;
    let app = world.app(Clock::System);
    let azure = app.azure().expect("a handle");
    let resource = |kind: &str, name: &str| {
        ResourceId::new(
            "11111111-2222-4333-8444-555555555555",
            "rg-agents-jpe",
            kind,
            name,
        )
    };
    let account = resource("Microsoft.DocumentDB/databaseAccounts", "cosmos-agents-jpe");
    let read = poolkeeper::azure::cosmos::account(azure, &account).await;
    let read = read.expect("an account");
    assert!(!read.serverless && !read.location.is_empty() && !read.write_regions.is_empty());
    let database = account.child("sqlDatabases", "agents");
    let mut names = poolkeeper::azure::cosmos::containers(azure, &database)
        .await
        .expect("containers");
    names.sort();
    assert_eq!(names, ["files", "leases", "messages", "runs", "threads"]);
    let shared = database.child("containers", "leases");
    let none = poolkeeper::azure::cosmos::throughput(azure, &shared).await;
    assert_eq!(none.expect("an answer"), None);
    let agent = resource("Microsoft.App/containerApps", "agent-api");
    let revisions = poolkeeper::azure::container_apps::revisions(azure, &agent)
        .await
        .expect("revisions");
    let active: Vec<_> = revisions.iter().filter(|r| r.active).collect();
    assert_eq!(active.len(), 1, "{revisions:?}");
    assert_eq!((active[0].traffic, active[0].replicas >= 2), (100, true));
}

#[tokio::test]
async fn our_reading_of_a_container_is_that_of_the_official_sdk() {
    use futures::StreamExt as _;
    let world = World::start().await;
    let account = ResourceId::new(
        "11111111-2222-4333-8444-555555555555",
        "rg-agents-jpe",
        "Microsoft.Storage/storageAccounts",
        "stagentsjpe",
    );
    for name in ["a&b/ü 1.log", "a<b>\"c'.log", "x%20y+z.log"] {
        world
            .simulator
            .put_blob("stagentsjpe", "app-logs", name, 3)
            .await;
    }
    let app = world.app(Clock::System);
    let azure = app.azure().expect("a handle");
    let endpoint = poolkeeper::azure::storage::blob_endpoint(azure, &account)
        .await
        .expect("an endpoint");
    let mut ours = Vec::new();
    let mut from = None;
    loop {
        let page =
            poolkeeper::azure::blobs::list(azure, &endpoint, "app-logs", "", from.as_deref())
                .await
                .expect("a page");
        ours.extend(page.blobs);
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    let url = world.simulator.blob_url_of("stagentsjpe");
    let options = azure_storage_blob::BlobServiceClientOptions {
        version: "2025-11-05".into(),
        ..Default::default()
    };
    let service = azure_storage_blob::BlobServiceClient::new(
        url.parse().expect("a URL"),
        None,
        Some(options),
    )
    .expect("a client");
    let container = service.blob_container_client("app-logs");
    let options = azure_storage_blob::models::BlobContainerClientListBlobsOptions {
        include: Some(vec![
            azure_storage_blob::models::ListBlobsIncludeItem::Snapshots,
        ]),
        maxresults: Some(100),
        ..Default::default()
    };
    let mut pages = container
        .list_blobs(Some(options))
        .expect("a listing")
        .into_pages();
    let mut theirs = Vec::new();
    while let Some(page) = pages.next().await {
        theirs.extend(
            page.expect("a page")
                .into_model()
                .expect("a model")
                .blob_items,
        );
    }
    assert!(ours.len() > 960, "{}", ours.len());
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(Some(&ours.name), theirs.name.as_ref());
        assert_eq!(ours.is_snapshot, theirs.snapshot.is_some(), "{}", ours.name);
        let properties = theirs.properties.as_ref().expect("properties");
        assert_eq!(Some(ours.bytes), properties.content_length, "{}", ours.name);
        let etag = properties.etag.as_ref().map(|e| e.to_string());
        let etag = etag.as_deref().map(|e| e.trim_matches('"'));
        assert_eq!(Some(ours.etag.trim_matches('"')), etag, "{}", ours.name);
        let modified = properties.last_modified.expect("a time").unix_timestamp();
        assert_eq!(ours.modified.timestamp(), modified, "{}", ours.name);
    }
}

/// Everything that Poolkeeper does, with the permissions that its functions declare and no other.
#[tokio::test]
async fn the_permissions_that_are_declared_are_enough_and_the_readme_names_them() {
    let world = World::start().await;
    let declared: Vec<&str> = poolkeeper::azure::declared()
        .into_iter()
        .map(poolkeeper::azure::Action::name)
        .collect();
    let distinct: std::collections::BTreeSet<_> = declared.iter().collect();
    assert_eq!(distinct.len(), declared.len());
    world.simulator.grant_only(&declared);
    let act = |estate: &str| estate.replace("mode = \"propose\"", "mode = \"act\"");
    let scaling = world.settings_with_estate(act);
    let owned = "[scaling.cosmos]\nown = true";
    let settings = world.settings_with_estate(|estate| {
        assert!(estate.contains(owned));
        act(estate).replace(owned, "[scaling.cosmos]\nown = false")
    });
    let base = world.handler_with(settings, Clock::System).await;
    let (_, answer) = world
        .post(format!("{base}/api/maintenance/daily"), &json!({}))
        .await;
    let id = answer["run"].as_str().expect("a run");
    world.deliver(&base, id).await;
    let run = world.get(format!("{base}/api/runs/{id}")).await;
    assert_eq!(run["state"], "succeeded_with_findings", "{run}");
    assert!(!run.to_string().contains("is needed"), "{run}");
    for ask in [
        json!({ "kind": "cosmos_throughput", "resource": "cosmos-agents-jpe/agents/runs", "to": { "manual": 600 } }),
        json!({ "kind": "app_replicas", "resource": "agent-api", "to": { "least": 3, "most": 10 } }),
        json!({ "kind": "cosmos_indexing", "resource": "cosmos-agents-jpe/agents/files", "to": {
            "includedPaths": [{ "path": "/*" }], "excludedPaths": [{ "path": "/text/*" }],
        } }),
        json!({ "kind": "app_restart", "resource": "agent-worker" }),
    ] {
        let body = json!({ "ask": ask, "why": "busy" });
        let url = format!("{base}/api/changes");
        let (_, answer) = world.post_as(crate::world::OPERATOR, url, &body).await;
        let id = answer["run"].as_str().expect("a run");
        world.deliver(&base, id).await;
        let run = world.get(format!("{base}/api/runs/{id}")).await;
        assert_eq!(run["changes"][0]["outcome"]["is"], "verified", "{run}");
    }
    let base = world.handler_with(scaling, Clock::System).await;
    world.tick(&base, "autoscale-check").await;
    let runs = world.get(format!("{base}/api/runs")).await;
    let all = runs["runs"].as_array().expect("runs");
    let mut scaling = all.iter().filter(|run| run["work"]["kind"] == "autoscale");
    let run = scaling.next().expect("a run of scaling");
    assert!(!run["tasks"][0]["counts"].is_null(), "{run}");
    assert!(!run.to_string().contains("is needed"), "{run}");
    assert!(!run.to_string().contains("unread"), "{run}");
    let readme = include_str!("../../README.md");
    for action in declared {
        assert!(readme.contains(action), "{action}");
    }
}
