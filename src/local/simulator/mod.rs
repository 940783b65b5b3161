//! One loopback server for everything of Azure that is simulated.

mod alarms;
mod arm;
mod control;
mod faults;
mod graph;
mod handles;
mod identity;
mod inbox;
mod limits;
mod line;
mod logs;
mod metrics;
mod outside;
mod permissions;
mod pressure;
mod record;
mod service;
mod vault;

use std::path::PathBuf;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::http::header::{DATE, HeaderValue};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use axum::routing::get;

pub use crate::local::world::troubles::{Heals, Trouble, TroubleKind};
pub use alarms::{AlertRule, Crossing};
pub use faults::{Fault, FaultKind};
pub use limits::{Counts, Limit};
pub use logs::{LogsError, LogsErrorKind, LogsQuery, LogsScope, LogsTable, QueryEngine};
pub use outside::{Sent, Ticket};
pub use service::Service;

use super::clock::Clock;
use super::loopback;
use super::storage::{ACCOUNT, Refusal, Storage, rfc1123};
use super::telemetry::{Fault as Told, Trace};
use super::world::loads::Loads;
use super::world::operations::Ending;
use super::world::{World, seed};
use crate::estate::{Estate, Kind};
use faults::Faults;
use limits::{Limits, Verdict};
use permissions::Permissions;
use record::Recorder;

/// The largest request body, bytes.
const MOST_BODY_BYTES: usize = 256 * 1024 * 1024;

/// How long a change of a resource takes when nothing else is said.
const OPERATIONS_TAKE_MS: i64 = 300;

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
    /// What answers queries of Log Analytics; without it the API is unavailable.
    pub engine: Option<Arc<dyn QueryEngine>>,
}

struct Shared {
    storage: Storage,
    world: World,
    address: String,
    estate: Option<Estate>,
    /// What its resources are asked for.
    loads: RwLock<Arc<Loads>>,
    faults: Faults,
    limits: Limits,
    permissions: Permissions,
    engine: Option<Arc<dyn QueryEngine>>,
    /// How long a change of a resource takes, in milliseconds by the clock of the estate.
    operations_take_ms: AtomicI64,
    /// What was asked of the estate that would change it, done or not: method and path.
    mutations: Mutex<Vec<String>>,
    /// What telemetry is to tell of, as it was asked for.
    troubles: Mutex<Vec<(String, Told)>>,
    /// Where alerts are posted.
    action_group: Mutex<Option<String>>,
    /// Held by who looks at the alert rules: what is due is posted by one only.
    looking: tokio::sync::Mutex<()>,
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
    /// What looks at the alert rules, if anything does.
    alarms: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.server.abort();
        let alarms = self.alarms.get_mut();
        if let Some(alarms) = alarms.unwrap_or_else(PoisonError::into_inner) {
            alarms.abort();
        }
    }
}

/// The world as telemetry sees it, as long as it is there.
pub(super) struct Subject(Weak<Shared>);

impl Subject {
    /// The world, and what goes wrong in it and shows only in telemetry. `None` when it has ended.
    pub(super) fn look(&self) -> Option<(World, Vec<Told>)> {
        let shared = self.0.upgrade()?;
        let troubles = shared
            .troubles
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let troubles = troubles
            .iter()
            .map(|(_, trouble)| trouble.clone())
            .collect();
        Some((shared.world.clone(), troubles))
    }
}

impl Simulator {
    /// Opens the state and serves it on loopback.
    ///
    /// Errors: the folder is in use by another simulator, or the port is taken.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let accounts = options.estate.as_ref().map_or_else(Vec::new, |estate| {
            let all = estate.resources().iter();
            all.filter(|r| r.kind == Kind::StorageAccount)
                .map(|r| r.name.clone())
                .collect()
        });
        let storage = Storage::open(&options.data, accounts).await?;
        let recorder = options.record.as_deref().map(Recorder::open).transpose()?;
        let listener = loopback::listen(options.port).await?;
        let port = listener.local_addr()?.port();
        let world = World::new(storage.db.clone());
        let address = format!("http://127.0.0.1:{port}");
        if let Some(estate) = &options.estate {
            seed(&world, estate, &address)
                .await
                .map_err(|refusal| anyhow::anyhow!("make the simulated estate: {refusal}"))?;
        }
        let shared = Arc::new(Shared {
            storage,
            world,
            address,
            loads: RwLock::new(Arc::new(Loads::new(options.estate.as_ref(), None))),
            estate: options.estate,
            faults: Faults::default(),
            limits: Limits::default(),
            permissions: Permissions::default(),
            engine: options.engine,
            operations_take_ms: AtomicI64::new(OPERATIONS_TAKE_MS),
            mutations: Mutex::default(),
            troubles: Mutex::default(),
            action_group: Mutex::default(),
            looking: tokio::sync::Mutex::default(),
            recorder,
            sim_key: uuid::Uuid::new_v4().simple().to_string(),
            identity_header: uuid::Uuid::new_v4().simple().to_string(),
        });
        let router = router(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            let lines = line::Lines(listener);
            let serving = axum::serve(
                lines,
                router.into_make_service_with_connect_info::<line::Cut>(),
            );
            if let Err(error) = serving.await {
                tracing::error!(%error, "the simulator ended");
            }
        });
        Ok(Self {
            port,
            shared,
            server,
            alarms: Mutex::default(),
        })
    }

    /// Lets the load of every stamp follow a recorded one from now on, and in the past.
    pub fn follow(&self, trace: Trace) {
        let loads = Loads::new(self.shared.estate.as_ref(), Some(trace));
        let mut kept = self
            .shared
            .loads
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *kept = Arc::new(loads);
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What telemetry tells of.
    pub(super) fn subject(&self) -> Subject {
        Subject(Arc::downgrade(&self.shared))
    }

    /// The clock of the estate.
    pub(super) fn clock(&self) -> Clock {
        self.shared.storage.db.clock.clone()
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
        self.blob_url_of(ACCOUNT)
    }

    /// Queue service URL with a shared access signature.
    #[must_use]
    pub fn queue_url(&self) -> String {
        let sas = self.shared.storage.key.account_sas(ACCOUNT, "q");
        format!("{}?{sas}", self.service("queue"))
    }

    /// Both services in the form that `AzureWebJobsStorage` has.
    #[must_use]
    pub fn connection_string(&self) -> String {
        format!(
            "BlobEndpoint={};QueueEndpoint={};SharedAccessSignature={}",
            self.service("blob"),
            self.service("queue"),
            self.shared.storage.key.account_sas(ACCOUNT, "bq")
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

    /// Where people look at what would have been sent.
    #[must_use]
    pub fn inbox_url(&self) -> String {
        format!("{}/inbox", self.url())
    }

    /// What `/_sim` asks for in `x-sim-key`; new at every start.
    #[must_use]
    pub fn sim_key(&self) -> &str {
        &self.shared.sim_key
    }
}

fn router(shared: Arc<Shared>) -> Router {
    control::router(&shared)
        .merge(inbox::router())
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
    let service = Service::of(parts.uri.path());
    shared.note(service, &parts);
    let pass = match shared.limits.enter(service, &parts) {
        Verdict::Free => None,
        Verdict::Go(pass) => Some(pass),
        Verdict::Stop(response) => return response,
    };
    let failed = match &pass {
        Some(pass) => pass.wait(service).await,
        None => None,
    };
    let response = match failed {
        Some(response) => response,
        None => with_faults(&shared, service, &parts, body).await,
    };
    if let Some(pass) = &pass {
        pass.note(&response);
    }
    response
}

async fn with_faults(shared: &Shared, service: Service, parts: &Parts, body: Bytes) -> Response {
    let fault = shared.faults.take(service, parts);
    if let Some(refusal) = faults::before(fault, service, parts).await {
        return refusal;
    }
    let mut response = answer(shared, service, parts, body.clone(), faults::ending(fault))
        .await
        .unwrap_or_else(|refusal| service.refuse(refusal));
    if let Ok(date) = HeaderValue::from_str(&rfc1123(shared.storage.db.clock.now())) {
        response.headers_mut().insert(DATE, date);
    }
    let response = match &shared.recorder {
        Some(recorder) => recorder.note(parts, &body, response).await,
        None => response,
    };
    faults::after(fault, service, parts, response).await
}

async fn answer(
    shared: &Shared,
    service: Service,
    parts: &Parts,
    body: Bytes,
    ending: Ending,
) -> Result<Response, Refusal> {
    match service {
        Service::Arm => arm::answer(shared, parts, &body, ending).await,
        Service::Metrics => metrics::batch(shared, parts, &body).await,
        Service::Vault => vault::answer(shared, parts).await,
        Service::Graph => graph::answer(shared, parts).await,
        Service::Logs => logs::answer(shared, parts, &body).await,
        Service::Outside => outside::answer(shared, parts, body).await,
        Service::Identity => Ok(identity::answer(
            &shared.storage.key,
            &shared.identity_header,
            parts,
        )),
        Service::Blob | Service::Queue => {
            let allowed = |action: &str| shared.permissions.allow(action);
            shared.storage.answer(parts, body, allowed).await
        }
    }
}

impl Shared {
    fn loads(&self) -> Arc<Loads> {
        Arc::clone(&self.loads.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Remembers what would change the estate.
    fn note(&self, service: Service, parts: &Parts) {
        let path = parts.uri.path();
        let estate = match service {
            Service::Arm | Service::Vault => true,
            Service::Blob => !path.starts_with(&format!("/blob/{ACCOUNT}/")),
            Service::Queue
            | Service::Graph
            | Service::Logs
            | Service::Metrics
            | Service::Identity
            | Service::Outside => false,
        };
        if estate && !matches!(parts.method, Method::GET | Method::HEAD) {
            let line = format!("{} {path}", parts.method);
            let mut mutations = self
                .mutations
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            mutations.push(line);
        }
    }
}
