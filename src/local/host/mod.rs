//! A stand-in for the Functions host: it reads the same files, starts the real handler process and
//! calls it as the host does, traps included.
//!
//! What differs, on purpose: timers run in UTC, function keys are not asked for (as with the
//! developers' tools), and when the handler has failed three times this host starts afresh by
//! itself, where Azure's ends and is started again by the platform.

mod connection;
mod envelope;
mod handler;
mod invoke;
mod monitor;
mod package;
mod queues;
mod timers;
mod web;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::clock::Clock;
use super::loopback;
use connection::Connection;
use handler::Handler;
use invoke::Invoker;
use package::{Function, Package, Trigger};

/// Version that is told to the handler.
const HOST_VERSION: &str = "4.1037.0.0";

/// How to start a [`Host`].
pub struct Options {
    /// Folder of `host.json`.
    pub app: PathBuf,
    /// Loopback port of the front, 0 for any.
    pub port: u16,
    /// App settings: what the handler gets as its environment, and what `%NAME%` means.
    pub settings: BTreeMap<String, String>,
    /// Name of a setting that is told where functions are called, when it is not set already.
    pub told_its_url: Option<&'static str>,
    /// Started when `defaultExecutablePath` names no file in the app folder.
    pub executable: PathBuf,
}

/// A running host. Dropping it kills the handler.
pub struct Host {
    port: u16,
    admin_key: String,
    handler: Arc<Handler>,
    tasks: JoinSet<()>,
    clock: Clock,
    dials: timers::Dials,
}

impl Host {
    /// Reads the app folder, starts the handler, the timers, the queue and the front.
    ///
    /// Errors: `host.json` cannot be read, no storage is named, the port is taken. A function
    /// whose `function.json` is wrong is left out with a logged error, as the host does.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        Self::start_by(Clock::default(), options).await
    }

    /// As [`Host::start`], with timers that go by this clock.
    pub(super) async fn start_by(clock: Clock, mut options: Options) -> anyhow::Result<Self> {
        let package = Package::read(&options.app, &options.settings)?;
        let listener = loopback::listen(options.port).await?;
        let port = listener.local_addr()?.port();
        if let Some(name) = options.told_its_url {
            let url = || format!("http://127.0.0.1:{port}");
            options.settings.entry(name.to_owned()).or_insert_with(url);
        }
        let storage = match options.settings.get("AzureWebJobsStorage") {
            Some(text) => Arc::new(Connection::parse(text)?),
            None => anyhow::bail!("the setting AzureWebJobsStorage is missing"),
        };
        let handler = Arc::new(Handler::start(
            package.command(&options.executable),
            options.settings.clone(),
            package.start_limit,
        ));
        let invoker = Arc::new(Invoker::new(
            Arc::clone(&handler),
            package.start_limit * 4,
            package.function_timeout,
        )?);
        let admin_key = uuid::Uuid::new_v4().simple().to_string();
        let mut tasks = JoinSet::new();
        let dials = timers::Dials::default();
        for function in &package.functions {
            let by = (&clock, &dials);
            start_trigger(&mut tasks, function, &package, &invoker, &storage, by)?;
        }
        let by = clock.clone();
        let front = web::router(&package, invoker, Arc::clone(&storage), &admin_key, by)?;
        tasks.spawn(async move {
            if let Err(error) = axum::serve(listener, front).await {
                tracing::error!(%error, "the front ended");
            }
        });
        Ok(Self {
            port,
            admin_key,
            handler,
            tasks,
            clock,
            dials,
        })
    }

    /// Where functions are called.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What `/admin` asks for in `x-functions-key`; new at every start.
    #[must_use]
    pub fn admin_key(&self) -> &str {
        &self.admin_key
    }

    /// Waits until the handler answers.
    pub async fn ready(&self, limit: Duration) -> anyhow::Result<()> {
        self.handler.ready(limit).await.map(drop)
    }

    /// The handler's process, while it runs.
    #[must_use]
    pub fn handler_pid(&self) -> Option<u32> {
        self.handler.pid()
    }

    /// Whether each timer has fired for the time that it is, and has come to its end.
    pub(super) fn has_ticked(&self) -> bool {
        self.dials.wait_beyond(self.clock.now())
    }

    /// Stops taking calls and kills the handler with SIGKILL, as the host does.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
        self.handler.kill().await;
    }
}

fn start_trigger(
    tasks: &mut JoinSet<()>,
    function: &Function,
    package: &Package,
    invoker: &Arc<Invoker>,
    storage: &Arc<Connection>,
    (clock, dials): (&Clock, &timers::Dials),
) -> anyhow::Result<()> {
    if function.disabled {
        tracing::warn!(function = function.name, "is disabled by a setting");
        return Ok(());
    }
    let (function, invoker, storage) = (function.clone(), Arc::clone(invoker), Arc::clone(storage));
    match function.trigger.clone() {
        Trigger::Http(_) => {}
        Trigger::Timer(timer) => {
            tasks.spawn(timers::run(
                function,
                timer,
                invoker,
                storage,
                clock.clone(),
                dials.clone(),
            ));
        }
        Trigger::Queue { queue, .. } => {
            let options = package.queues;
            tasks.spawn(queues::run(function, queue, options, invoker, storage));
        }
    }
    Ok(())
}
