//! Simulated Azure Storage: the Blob and Queue services, good enough for the official SDK.
//!
//! State is one SQLite file. Every change goes through one thread that commits all waiting
//! changes together, so an answer means that the change survives the process.

mod blobs;
mod db;
mod queues;
mod sas;
mod wire;

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;

use db::Db;
use sas::Key;
use wire::Refusal;

/// The simulator's storage account.
pub const ACCOUNT: &str = "poolkeeperlocal";

/// The largest request body, bytes.
const MOST_BODY_BYTES: usize = 256 * 1024 * 1024;

/// How to start a [`Simulator`].
pub struct Options {
    /// Folder of the state; made when missing.
    pub data: PathBuf,
    /// Loopback port, 0 for any.
    pub port: u16,
}

struct Shared {
    db: Db,
    key: Key,
}

/// Running storage. It ends when this is dropped.
pub struct Simulator {
    port: u16,
    shared: Arc<Shared>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Simulator {
    /// Opens the state and serves it on loopback.
    ///
    /// Errors: the folder is in use by another simulator, or the port is taken.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&options.data)
            .with_context(|| format!("make the folder `{}`", options.data.display()))?;
        let db = Db::open(&options.data.join("estate.sqlite3"))?;
        let key = Key::load(&db).await?;
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))
            .await
            .with_context(|| {
                format!(
                    "listen on 127.0.0.1:{}: is another one running? choose another port",
                    options.port
                )
            })?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared { db, key });
        let router = router(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the simulated storage ended");
            }
        });
        Ok(Self {
            port,
            shared,
            server,
        })
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Blob service URL with a shared access signature.
    #[must_use]
    pub fn blob_url(&self) -> String {
        let sas = self.shared.key.account_sas("b");
        format!("http://127.0.0.1:{}/blob/{ACCOUNT}?{sas}", self.port)
    }

    /// Queue service URL with a shared access signature.
    #[must_use]
    pub fn queue_url(&self) -> String {
        let sas = self.shared.key.account_sas("q");
        format!("http://127.0.0.1:{}/queue/{ACCOUNT}?{sas}", self.port)
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .fallback(serve)
        .layer(axum::middleware::from_fn(closed))
        .layer(DefaultBodyLimit::max(MOST_BODY_BYTES))
        .with_state(shared)
}

/// Only this machine's own programs are served: no page of another site, no rebound name.
async fn closed(request: Request, next: Next) -> Response {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|h| h.to_str().ok())
        .unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    if !matches!(name, "127.0.0.1" | "localhost" | "[::1]") {
        return Refusal::new(403, "HostNotAllowed", "only loopback names are served").into();
    }
    if request.headers().contains_key(header::ORIGIN) {
        return Refusal::new(403, "OriginNotAllowed", "pages are not served").into();
    }
    next.run(request).await
}

async fn serve(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = match axum::body::to_bytes(body, MOST_BODY_BYTES).await {
        Ok(body) => body,
        Err(_) => return Refusal::new(413, "RequestBodyTooLarge", "the body is too large").into(),
    };
    match answer(&shared, &parts, body).await {
        Ok(response) => response,
        Err(refusal) => refusal.into(),
    }
}

async fn answer(
    shared: &Shared,
    parts: &axum::http::request::Parts,
    body: Bytes,
) -> Result<Response, Refusal> {
    let call = wire::Call::read(parts, body)?;
    shared.key.admit(&call)?;
    match call.service.as_str() {
        "blob" => blobs::answer(&shared.db, call).await,
        "queue" => queues::answer(&shared.db, call).await,
        _ => Err(Refusal::new(
            404,
            "ResourceNotFound",
            "there is no such service",
        )),
    }
}
