//! The life of the handler process.

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command as Process};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::package::Command;

/// Counted failures that end the host.
const MOST_ERRORS: usize = 3;
/// A failure is forgotten after this time.
const ERRORS_COUNT_FOR: Duration = Duration::from_secs(30 * 60);
/// How soon the platform starts a host again that has ended: later every time that the handler did
/// not even answer, up to the most.
const HOST_RESTART: Duration = Duration::from_millis(500);
const HOST_RESTART_MOST: Duration = Duration::from_secs(30);
const READY_EVERY: Duration = Duration::from_millis(25);

#[derive(Debug, Clone, Copy)]
enum State {
    Starting {
        pid: Option<u32>,
    },
    Ready {
        port: u16,
        pid: u32,
    },
    /// It exited with 0, and the host never restarts that.
    Ended,
}

/// Starts the handler, watches it, starts it again.
pub(super) struct Handler {
    state: watch::Receiver<State>,
    kills: mpsc::Sender<()>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Handler {
    fn drop(&mut self) {
        if let Some(task) = self
            .task
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        {
            task.abort();
        }
    }
}

impl Handler {
    pub(super) fn start(
        command: Command,
        settings: BTreeMap<String, String>,
        start_limit: Duration,
    ) -> Self {
        let (tell, state) = watch::channel(State::Starting { pid: None });
        let (kills, ordered) = mpsc::channel(1);
        let keeper = Keeper {
            command,
            settings,
            start_limit,
            tell,
            ordered,
            answered: false,
        };
        Self {
            state,
            kills,
            task: Mutex::new(Some(tokio::spawn(keeper.keep()))),
        }
    }

    /// The handler's port, once it answers.
    pub(super) async fn ready(&self, limit: Duration) -> anyhow::Result<u16> {
        let mut state = self.state.clone();
        let wait = state.wait_for(|s| !matches!(s, State::Starting { .. }));
        let state = *tokio::time::timeout(limit, wait)
            .await
            .with_context(|| format!("the handler did not answer within {limit:?}"))??;
        match state {
            State::Ready { port, .. } => Ok(port),
            _ => anyhow::bail!("the handler exited with 0, which the host takes for the end"),
        }
    }

    pub(super) fn pid(&self) -> Option<u32> {
        match *self.state.borrow() {
            State::Ready { pid, .. } => Some(pid),
            State::Starting { pid } => pid,
            State::Ended => None,
        }
    }

    /// Kills the process because an invocation took too long; it is started again.
    pub(super) async fn restart(&self) {
        let _ = self.kills.send(()).await;
    }

    /// Kills the process for good.
    pub(super) async fn kill(&self) {
        let task = self
            .task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(task) = task {
            // The child dies with its owner.
            task.abort();
            let _ = task.await;
        }
    }
}

struct Keeper {
    command: Command,
    settings: BTreeMap<String, String>,
    start_limit: Duration,
    tell: watch::Sender<State>,
    ordered: mpsc::Receiver<()>,
    /// Whether the last process came to answer.
    answered: bool,
}

/// How one process ended.
enum End {
    Exit(ExitStatus),
    Ordered,
    Error(String),
}

impl Keeper {
    async fn keep(mut self) {
        let mut errors: VecDeque<Instant> = VecDeque::new();
        let mut pause = HOST_RESTART;
        loop {
            self.answered = false;
            self.tell.send_replace(State::Starting { pid: None });
            let why = match self.once().await {
                Err(error) => format!("{error:#}"),
                Ok(End::Ordered) => continue,
                Ok(End::Exit(status)) if status.code() == Some(0) => {
                    tracing::error!("the handler exited with 0 and is not started again");
                    self.tell.send_replace(State::Ended);
                    return;
                }
                Ok(End::Exit(status)) if status.code() == Some(200) => continue,
                Ok(End::Exit(status)) => format!("it ended with {status}"),
                Ok(End::Error(why)) => why,
            };
            let now = Instant::now();
            errors.retain(|at| now.duration_since(*at) < ERRORS_COUNT_FOR);
            errors.push_back(now);
            tracing::warn!(failures = errors.len(), "the handler is restarted: {why}");
            if errors.len() >= MOST_ERRORS {
                tracing::error!("the handler failed {MOST_ERRORS} times: the host starts afresh");
                errors.clear();
                if self.answered {
                    pause = HOST_RESTART;
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(HOST_RESTART_MOST);
            }
        }
    }

    /// Starts one process and stays with it to its end.
    async fn once(&mut self) -> anyhow::Result<End> {
        let port = free_port().await?;
        let mut child = self.spawn(port)?;
        let pid = child.id().context("the handler has no process id")?;
        self.tell.send_replace(State::Starting { pid: Some(pid) });
        // Waiting for a child closes its input, and that is the leash.
        let _leash = child.stdin.take();
        let said = Arc::new(Mutex::new(VecDeque::new()));
        pump(child.stdout.take(), false, &said);
        pump(child.stderr.take(), true, &said);
        let end = tokio::select! {
            status = child.wait() => Some(End::Exit(status?)),
            () = answers(port) => None,
            () = tokio::time::sleep(self.start_limit) => Some(End::Error(format!(
                "it did not answer within {:?}", self.start_limit
            ))),
        };
        let end = match end {
            Some(end) => end,
            None => {
                self.tell.send_replace(State::Ready { port, pid });
                self.answered = true;
                tokio::select! {
                    status = child.wait() => End::Exit(status?),
                    _ = self.ordered.recv() => End::Ordered,
                }
            }
        };
        child.kill().await.context("kill the handler")?;
        Ok(match end {
            End::Exit(status) if !matches!(status.code(), Some(0 | 200)) => {
                let said = said.lock().unwrap_or_else(PoisonError::into_inner);
                let words: Vec<&str> = said.iter().map(String::as_str).collect();
                End::Error(format!("it ended with {status} {}", words.join(" | ")))
            }
            end => end,
        })
    }

    fn spawn(&self, port: u16) -> anyhow::Result<Child> {
        let mut settings = self.settings.clone();
        let id = uuid::Uuid::new_v4().to_string();
        for (name, value) in [
            ("FUNCTIONS_CUSTOMHANDLER_PORT", port.to_string()),
            ("FUNCTIONS_HTTPWORKER_PORT", port.to_string()),
            ("FUNCTIONS_CUSTOMHANDLER_WORKER_ID", id.clone()),
            ("FUNCTIONS_HTTPWORKER_ID", id),
            (
                "FUNCTIONS_APP_ROOT_PATH",
                self.command.root.display().to_string(),
            ),
            // The handler ends when this pipe closes, so that none outlives a killed host.
            (crate::local::LEASH, "stdin".into()),
        ] {
            settings.insert(name.into(), value);
        }
        let mut process = Process::new(&self.command.program);
        // Ctrl-C in a terminal is for the host; it is the host that stops the handler.
        #[cfg(unix)]
        process.process_group(0);
        process
            .args(&self.command.arguments)
            .current_dir(&self.command.folder)
            .envs(settings)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start `{}`", self.command.program.display()))
    }
}

async fn free_port() -> anyhow::Result<u16> {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    Ok(listener.local_addr()?.port())
}

/// Any HTTP answer means ready; only a failed connection means not yet.
async fn answers(port: u16) {
    let Ok(http) = reqwest::Client::builder().no_proxy().build() else {
        return std::future::pending().await;
    };
    let url = format!("http://127.0.0.1:{port}/");
    while http.get(&url).send().await.is_err() {
        tokio::time::sleep(READY_EVERY).await;
    }
}

/// Shows what the process writes. Standard error is an error to the host.
fn pump(
    from: Option<impl AsyncRead + Unpin + Send + 'static>,
    is_error: bool,
    said: &Arc<Mutex<VecDeque<String>>>,
) {
    let Some(from) = from else { return };
    let said = Arc::clone(said);
    tokio::spawn(async move {
        let mut lines = BufReader::new(from).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if !is_error {
                tracing::info!(target: "handler", "{line}");
                continue;
            }
            if line.to_ascii_lowercase().contains("warn") {
                tracing::warn!(target: "handler", "{line}");
            } else {
                tracing::error!(target: "handler", "{line}");
            }
            let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
            said.push_back(line);
            if said.len() > 3 {
                said.pop_front();
            }
        }
    });
}
