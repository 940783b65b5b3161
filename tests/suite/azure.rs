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
