//! The front: routes with their prefix, forwarding, and the host's own pages under `/admin`.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{MethodFilter, MethodRouter, get, on, post};
use serde_json::{Value, json};

use super::connection::Connection;
use super::envelope::{self, Message};
use super::invoke::Invoker;
use super::package::{Function, Package, Trigger};
use super::timers;
use crate::local::clock::Clock;
use crate::local::loopback;

/// The host takes bodies up to this size, bytes.
const MOST_BODY_BYTES: usize = 100 * 1024 * 1024;

struct Front {
    invoker: Arc<Invoker>,
    storage: Arc<Connection>,
    functions: Vec<Function>,
    admin_key: String,
    clock: Clock,
}

pub(super) fn router(
    package: &Package,
    invoker: Arc<Invoker>,
    storage: Arc<Connection>,
    admin_key: &str,
    clock: Clock,
) -> anyhow::Result<Router> {
    let mut router: Router<Arc<Front>> = Router::new();
    for function in package.functions.iter().filter(|f| !f.disabled) {
        let Trigger::Http(http) = &function.trigger else {
            continue;
        };
        let methods = filter(&http.methods)?;
        for path in paths(&package.route_prefix, &http.route) {
            router = router.route(&path, MethodRouter::new().merge(on(methods, forward)));
        }
    }
    let front = Arc::new(Front {
        invoker,
        storage,
        functions: package.functions.clone(),
        admin_key: admin_key.to_owned(),
        clock,
    });
    Ok(router
        .route("/admin/host/status", get(status))
        .route("/admin/functions/{name}", post(by_hand))
        .fallback(|| async { problem(StatusCode::NOT_FOUND, "no function has this route") })
        .layer(axum::middleware::from_fn(closed))
        .with_state(front))
}

fn filter(methods: &[String]) -> anyhow::Result<MethodFilter> {
    let all = [
        "GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE",
    ];
    let named: Vec<String> = methods.iter().map(|m| m.to_ascii_uppercase()).collect();
    let named: Vec<&str> = if named.is_empty() {
        all.to_vec()
    } else {
        named.iter().map(String::as_str).collect()
    };
    let mut filter: Option<MethodFilter> = None;
    for name in named {
        let one = MethodFilter::try_from(Method::from_bytes(name.as_bytes())?)?;
        filter = Some(filter.map_or(one, |f| f.or(one)));
    }
    filter.ok_or_else(|| anyhow::anyhow!("a function takes no method"))
}

/// The paths of a route template: an optional last segment makes two.
fn paths(prefix: &str, route: &str) -> Vec<String> {
    let whole = |route: &str| {
        let parts = [prefix.trim_matches('/'), route];
        let parts: Vec<&str> = parts.into_iter().filter(|p| !p.is_empty()).collect();
        format!("/{}", parts.join("/"))
    };
    let parts: Vec<&str> = route.split('/').collect();
    let optional = parts.iter().rev().take_while(|p| p.ends_with("?}")).count();
    (parts.len() - optional..=parts.len())
        .map(|count| whole(&parts[..count].join("/").replace("?}", "}")))
        .collect()
}

fn problem(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({ "error": why }))).into_response()
}

/// Only this machine's own programs, and pages that came from here.
async fn closed(request: Request, next: Next) -> Response {
    if let Err(why) = loopback::admit(request.headers()) {
        return problem(StatusCode::FORBIDDEN, why);
    }
    next.run(request).await
}

/// Repeated query keys arrive joined by commas, as the host does it.
fn merged(query: &str) -> String {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match pairs.iter_mut().find(|(k, _)| *k == key) {
            Some((_, all)) => {
                all.push(',');
                all.push_str(&value);
            }
            None => pairs.push((key.into_owned(), value.into_owned())),
        }
    }
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

async fn forward(State(front): State<Arc<Front>>, request: Request) -> Response {
    match try_forward(&front, request).await {
        Ok(response) => response,
        Err(error) => {
            tracing::error!("a request could not be passed on: {error:#}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn try_forward(front: &Front, request: Request) -> anyhow::Result<Response> {
    let (parts, body) = request.into_parts();
    // A body without a length is dropped, as the host does it.
    let length: usize = parts
        .headers
        .get(header::CONTENT_LENGTH)
        .and_then(|l| l.to_str().ok()?.parse().ok())
        .unwrap_or(0);
    if length > MOST_BODY_BYTES {
        return Ok(StatusCode::PAYLOAD_TOO_LARGE.into_response());
    }
    let body = if length > 0 {
        axum::body::to_bytes(body, MOST_BODY_BYTES).await?
    } else {
        Bytes::new()
    };
    let mut url = format!("{}{}", front.invoker.base().await?, parts.uri.path());
    if let Some(query) = parts.uri.query().filter(|q| !q.is_empty()) {
        url = format!("{url}?{}", merged(query));
    }
    let mut headers = parts.headers;
    for name in [
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::CONNECTION,
    ] {
        headers.remove(name);
    }
    Invoker::mark(&mut headers);
    let mut call = front
        .invoker
        .http
        .request(parts.method, url)
        .headers(headers);
    if !body.is_empty() {
        call = call.body(body);
    }
    let answer = call.send().await?;
    let mut response = Response::builder().status(answer.status());
    if let Some(headers) = response.headers_mut() {
        headers.extend(answer.headers().clone());
        headers.remove(header::TRANSFER_ENCODING);
        headers.remove(header::CONNECTION);
    }
    Ok(response.body(Body::from(answer.bytes().await?))?)
}

fn admitted(front: &Front, headers: &HeaderMap) -> bool {
    loopback::knows(headers, "x-functions-key", &front.admin_key)
}

async fn status(State(front): State<Arc<Front>>, headers: HeaderMap) -> Response {
    if !admitted(&front, &headers) {
        return problem(StatusCode::UNAUTHORIZED, "x-functions-key is wrong");
    }
    let names: Vec<&str> = front.functions.iter().map(|f| f.name.as_str()).collect();
    Json(json!({ "state": "Running", "version": super::HOST_VERSION, "functions": names }))
        .into_response()
}

/// Runs a timer or queue function now: `POST /admin/functions/<name>` with `{"input": "..."}`.
async fn by_hand(
    State(front): State<Arc<Front>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !admitted(&front, &headers) {
        return problem(StatusCode::UNAUTHORIZED, "x-functions-key is wrong");
    }
    let Some(function) = front.functions.iter().find(|f| f.name == name).cloned() else {
        return problem(StatusCode::NOT_FOUND, "there is no such function");
    };
    let envelope = match &function.trigger {
        Trigger::Http(_) => {
            return problem(
                StatusCode::BAD_REQUEST,
                "an HTTP function is called at its route",
            );
        }
        Trigger::Timer(timer) => {
            match timers::by_hand(&function, timer, &front.storage, &front.clock).await {
                Ok(envelope) => envelope,
                Err(error) => {
                    return problem(StatusCode::SERVICE_UNAVAILABLE, &format!("{error:#}"));
                }
            }
        }
        Trigger::Queue { binding, .. } => {
            let input = serde_json::from_slice::<Value>(&body)
                .ok()
                .and_then(|v| v.get("input")?.as_str().map(str::to_owned));
            let Some(text) = input else {
                return problem(
                    StatusCode::BAD_REQUEST,
                    "the body is {\"input\": \"text of the message\"}",
                );
            };
            let now = front.clock.now();
            let message = Message {
                id: uuid::Uuid::new_v4().to_string(),
                receipt: String::new(),
                text,
                dequeued: 0,
                inserted: now,
                expires: now,
                visible: now,
            };
            envelope::queue(&name, binding, &message, now)
        }
    };
    tokio::spawn(async move { timers::fire(&function, &front.invoker, &envelope).await });
    StatusCode::ACCEPTED.into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_become_paths() {
        assert_eq!(paths("api", "runs/{id?}"), ["/api/runs", "/api/runs/{id}"]);
        assert_eq!(
            paths("api", "changes/{id?}/{action?}"),
            [
                "/api/changes",
                "/api/changes/{id}",
                "/api/changes/{id}/{action}"
            ]
        );
        assert_eq!(paths("", "a/{b}"), ["/a/{b}"]);
        assert_eq!(paths("/v1/", "alerts"), ["/v1/alerts"]);
    }

    #[test]
    fn repeated_query_keys_are_joined() {
        assert_eq!(
            merged("task=a&dryRun=true&task=b"),
            "task=a%2Cb&dryRun=true"
        );
        assert_eq!(merged("q=a%20b"), "q=a+b");
    }
}
