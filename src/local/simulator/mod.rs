//! One loopback server for everything of Azure that is simulated: storage and identity so far.

mod arm;
mod control;
mod faults;
mod handles;
mod identity;
mod record;

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::header::{DATE, HeaderValue};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use axum::routing::get;

pub use faults::{Fault, FaultKind};

use super::loopback;
use super::storage::{ACCOUNT, Refusal, Storage, rfc1123};
use super::world::{World, seed};
use crate::estate::Estate;
use faults::Faults;
use record::Recorder;

/// The largest request body, bytes.
const MOST_BODY_BYTES: usize = 256 * 1024 * 1024;

/// How to start a [`Simulator`].
pub struct Options {
    /// Folder of the state; made when missing.
    pub data: PathBuf,
    /// Loopback port, 0 for any.
    pub port: u16,
    /// Folder for recorded exchanges.
    pub record: Option<PathBuf>,
    /// What there is besides storage and identity.
    pub estate: Option<Estate>,
}

struct Shared {
    storage: Storage,
    world: World,
    address: String,
    faults: Faults,
    recorder: Option<Recorder>,
    /// What `/_sim` asks for.
    sim_key: String,
    /// What the identity endpoint asks for.
    identity_header: String,
}

/// Simulated Azure, running. It ends when this is dropped.
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
        let storage = Storage::open(&options.data).await?;
        let recorder = options.record.as_deref().map(Recorder::open).transpose()?;
        let listener = loopback::listen(options.port).await?;
        let port = listener.local_addr()?.port();
        let world = World::new(storage.db.clone());
        let address = format!("http://127.0.0.1:{port}");
        if let Some(estate) = &options.estate {
            seed(&world, estate, &address, storage.db.clock.now())
                .await
                .map_err(|refusal| anyhow::anyhow!("make the simulated estate: {refusal}"))?;
        }
        let shared = Arc::new(Shared {
            storage,
            world,
            address,
            faults: Faults::default(),
            recorder,
            sim_key: uuid::Uuid::new_v4().simple().to_string(),
            identity_header: uuid::Uuid::new_v4().simple().to_string(),
        });
        let router = router(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the simulator ended");
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

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        self.shared.address.clone()
    }

    fn service(&self, name: &str) -> String {
        format!("{}/{name}/{ACCOUNT}", self.url())
    }

    /// Blob service URL with a shared access signature.
    #[must_use]
    pub fn blob_url(&self) -> String {
        let sas = self.shared.storage.key.account_sas("b");
        format!("{}?{sas}", self.service("blob"))
    }

    /// Queue service URL with a shared access signature.
    #[must_use]
    pub fn queue_url(&self) -> String {
        let sas = self.shared.storage.key.account_sas("q");
        format!("{}?{sas}", self.service("queue"))
    }

    /// Both services in the form that `AzureWebJobsStorage` has.
    #[must_use]
    pub fn connection_string(&self) -> String {
        format!(
            "BlobEndpoint={};QueueEndpoint={};SharedAccessSignature={}",
            self.service("blob"),
            self.service("queue"),
            self.shared.storage.key.account_sas("bq")
        )
    }

    /// What `IDENTITY_ENDPOINT` names.
    #[must_use]
    pub fn identity_url(&self) -> String {
        format!("{}/msi/token", self.url())
    }

    /// What `IDENTITY_HEADER` holds.
    #[must_use]
    pub fn identity_header(&self) -> &str {
        &self.shared.identity_header
    }

    /// What `/_sim` asks for in `x-sim-key`; new at every start.
    #[must_use]
    pub fn sim_key(&self) -> &str {
        &self.shared.sim_key
    }
}

fn router(shared: Arc<Shared>) -> Router {
    control::router(&shared)
        .route("/msi/token", get(serve))
        .route("/{service}/{*rest}", axum::routing::any(serve))
        .fallback(|| async { refuse(404, "ResourceNotFound", "nothing is simulated here") })
        .layer(axum::middleware::from_fn(closed))
        .with_state(shared)
}

fn refuse(status: u16, code: &'static str, why: &str) -> Response {
    Refusal::new(status, code, why).into()
}

/// Only this machine's own programs are served.
async fn closed(request: Request, next: Next) -> Response {
    match loopback::admit(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(why) => refuse(403, "NotAllowed", why),
    }
}

async fn serve(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, MOST_BODY_BYTES).await else {
        return refuse(413, "RequestBodyTooLarge", "the body is too large");
    };
    let fault = shared.faults.take(&parts);
    if let Some(refusal) = faults::before(fault).await {
        return refusal;
    }
    let mut response = answer(&shared, &parts, body.clone()).await;
    if let Ok(date) = HeaderValue::from_str(&rfc1123(shared.storage.db.clock.now())) {
        response.headers_mut().insert(DATE, date);
    }
    let response = match &shared.recorder {
        Some(recorder) => recorder.note(&parts, &body, response).await,
        None => response,
    };
    faults::after(fault, response).await
}

async fn answer(shared: &Shared, parts: &Parts, body: Bytes) -> Response {
    if parts.uri.path() == "/msi/token" {
        return identity::answer(&shared.storage.key, &shared.identity_header, parts);
    }
    let path = parts.uri.path();
    let key = &shared.storage.key;
    if path.starts_with("/subscriptions/") {
        let answer = arm::resource(&shared.world, key, &shared.address, parts).await;
        return answer.unwrap_or_else(Response::from);
    }
    if path.starts_with("/vault/") {
        let answer = arm::vault(&shared.world, key, &shared.address, parts).await;
        return answer.unwrap_or_else(Response::from);
    }
    match shared.storage.answer(parts, body).await {
        Ok(response) => response,
        Err(refusal) => refusal.into(),
    }
}
