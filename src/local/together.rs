//! Storage, host and handler in one command.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::host::{self, Host};
use super::samples::sample_secrets;
use super::scenario;
use super::simulator::{self, AlertRule, Crossing, Simulator};
use super::telemetry::{Telemetry, Trace};
use super::teller::Teller;
use crate::estate::{Estate, Kind};
use crate::kql::exec::Limits;

/// How to start a [`Local`].
pub struct Options {
    /// Port of the front.
    pub port: u16,
    /// Folder of the state.
    pub data: PathBuf,
    /// Folder of recorded exchanges.
    pub record: Option<PathBuf>,
    /// Folder of `host.json`.
    pub app: PathBuf,
    /// Rows of `AppRequests` a minute, in the mean; 0 for no telemetry at all.
    pub requests_per_minute: f64,
    /// A recorded load, which telemetry, metrics and what resources cope with follow.
    pub trace: Option<Trace>,
    /// Restarts, flushes and replicas are in mode act, whatever the estate file says: the estate is
    /// derived from it, and kept beside the state.
    pub acting: bool,
}

/// The simulated services, without a handler.
pub struct Services {
    simulator: Simulator,
    settings: PathBuf,
    values: BTreeMap<String, String>,
    estate: Estate,
    telemetry: PathBuf,
    requests_per_minute: f64,
    trace: Option<Trace>,
    teller: Option<Teller>,
}

impl Services {
    /// Starts them. `settings.json` in the data folder, for this user only, lets handlers and the
    /// other commands find them; `sim.url` and `sim.key` let faults be asked for.
    pub async fn start(options: &Options) -> anyhow::Result<Self> {
        let (path, mut text, mut estate) = estate(&options.app)?;
        if options.acting {
            text = scenario::acting(&text)?;
            estate = Estate::parse(&text)?;
        }
        let simulator = Simulator::start(simulator::Options {
            data: options.data.clone(),
            port: 0,
            record: options.record.clone(),
            estate: Some(estate.clone()),
            engine: Some(Arc::new(Telemetry::new(
                options.data.join("telemetry"),
                Limits::default(),
            ))),
        })
        .await?;
        if let Some(trace) = &options.trace {
            simulator.follow(trace.clone());
        }
        // New at every start, like the other keys.
        let people = ["operator", "reviewer"].map(|name| (name, uuid::Uuid::new_v4().simple()));
        let mut values = settings(
            &simulator,
            &people.map(|(name, key)| format!("{name}:{key}")),
        );
        values.extend(sample_secrets(&text));
        // Other commands are started in any folder.
        values.insert("POOLKEEPER_ESTATE".into(), path.display().to_string());
        if options.acting {
            let data = std::path::absolute(&options.data)?;
            let path = data.join("estate-acting.toml");
            write_private(&path, &text)?;
            values.insert("POOLKEEPER_ESTATE".into(), path.display().to_string());
        }
        let file = json!({ "IsEncrypted": false, "Values": values });
        let settings = options.data.join("settings.json");
        write_private(&settings, &serde_json::to_string_pretty(&file)?)?;
        for (name, key) in people {
            write_private(&options.data.join(format!("{name}.key")), &key.to_string())?;
        }
        write_private(&options.data.join("sim.key"), simulator.sim_key())?;
        write_private(&options.data.join("sim.url"), &simulator.url())?;
        Ok(Self {
            simulator,
            settings,
            values,
            estate,
            telemetry: options.data.join("telemetry"),
            requests_per_minute: options.requests_per_minute,
            trace: options.trace.clone(),
            teller: None,
        })
    }

    /// Begins to write telemetry to the folder `telemetry` of the data folder: what is missing of
    /// the last two days first, then as the clock of the estate goes. It stops when this is dropped.
    ///
    /// Errors: no thread can be started.
    pub fn tell(&mut self) -> anyhow::Result<()> {
        if self.requests_per_minute > 0.0 && self.teller.is_none() {
            self.teller = Some(Teller::start(
                self.simulator.subject(),
                self.estate.clone(),
                self.telemetry.clone(),
                self.requests_per_minute,
                self.trace.clone(),
            )?);
        }
        Ok(())
    }

    /// Lets alert rules fire into the front: those of the state, or at first one for each kind of
    /// trouble of each app.
    async fn alarm(&self, url: &str) {
        if self.simulator.alert_rules().await.is_empty() {
            for rule in alert_rules(&self.estate) {
                self.simulator.alert_rule(rule).await;
            }
        }
        self.simulator.post_alerts_to(url);
        self.simulator.watch_rules();
    }

    /// Where they are, and how to point a handler at them.
    #[must_use]
    pub fn what_to_try(&self) -> String {
        format!(
            "The simulated services are up on port {}; the settings for a handler are in {}.\nWhat would be sent is at {}. Ctrl-C stops them.",
            self.simulator.port(),
            self.settings.display(),
            self.simulator.inbox_url()
        )
    }
}

/// The embedded estate with a running handler.
pub struct Local {
    host: Host,
    // Dropped after the host, whose handler needs it to the last.
    services: Services,
    data: PathBuf,
}

/// The handler's first answer is waited for this long.
const START_LIMIT: Duration = Duration::from_secs(60);
/// A run that was asked for is waited for this long.
const RUN_LIMIT: Duration = Duration::from_secs(15 * 60);

impl Local {
    /// Starts everything and waits until the handler answers.
    ///
    /// `admin.key` in the data folder, for this user only, lets `/admin` be called.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let services = Services::start(&options).await?;
        let mut settings: BTreeMap<String, String> = std::env::vars().collect();
        settings.extend(developer_settings(&options.app)?);
        settings.extend(services.values.clone());
        let options_of_host = host::Options {
            app: options.app,
            port: options.port,
            settings,
            told_its_url: Some("POOLKEEPER_PUBLIC_URL"),
            executable: std::env::current_exe().context("find the running program")?,
        };
        // Timers fire by the estate's clock, and so does what they start.
        let host = Host::start_by(services.simulator.clock(), options_of_host).await?;
        write_private(&options.data.join("admin.key"), host.admin_key())?;
        host.ready(START_LIMIT).await?;
        services.alarm(&format!("{}/api/alerts", host.url())).await;
        Ok(Self {
            host,
            services,
            data: options.data,
        })
    }

    /// Begins to write telemetry; see [`Services::tell`].
    ///
    /// Errors: no thread can be started.
    pub fn tell(&mut self) -> anyhow::Result<()> {
        self.services.tell()
    }

    /// Starts maintenance through the front and waits for its end; gives a few lines about it.
    pub async fn maintain(&self, cadence: &str) -> anyhow::Result<String> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        let url = self.host.url();
        let taken: Value = http
            .post(format!("{url}/api/maintenance/{cadence}"))
            .send()
            .await?
            .error_for_status()?
            .json()
            .await?;
        let run = taken["run"].as_str().context("the answer names no run")?;
        let deadline = tokio::time::Instant::now() + RUN_LIMIT;
        loop {
            let shown: Value = http
                .get(format!("{url}/api/runs/{run}"))
                .send()
                .await?
                .error_for_status()?
                .json()
                .await?;
            if !shown["finished"].is_null() {
                let mut lines = vec![format!(
                    "{cadence} maintenance: {}",
                    text(&shown["state"]).replace('_', " ")
                )];
                let findings = |of: &Value| of["findings"].as_array().cloned().unwrap_or_default();
                for task in shown["tasks"].as_array().into_iter().flatten() {
                    lines.push(format!(
                        "  {}: {}",
                        text(&task["task"]),
                        text(&task["summary"])
                    ));
                    for finding in findings(task) {
                        lines.push(format!(
                            "    {} ({}): {}",
                            text(&finding["code"]),
                            text(&finding["subject"]),
                            text(&finding["message"])
                        ));
                    }
                }
                let open: Value = http
                    .get(format!("{url}/api/changes?outcome=awaiting_approval"))
                    .send()
                    .await?
                    .error_for_status()?
                    .json()
                    .await?;
                lines.extend(self.proposals(&open));
                return Ok(lines.join("\n"));
            }
            anyhow::ensure!(
                tokio::time::Instant::now() < deadline,
                "run {run} has not ended after {RUN_LIMIT:?}"
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Plays a scenario; `tell` gets each line of its narration. `storm`: how many alert rules a storm
    /// has, instead of what is written.
    ///
    /// Errors: there is no such scenario, the simulator does not do what it is asked, or what the
    /// scenario promises did not come.
    pub async fn play(
        &self,
        scenario: &str,
        storm: Option<u32>,
        tell: impl Fn(&str),
    ) -> anyhow::Result<()> {
        let stage = scenario::Stage {
            simulator: self.services.simulator.url(),
            key: self.services.simulator.sim_key().to_owned(),
            zone: self.services.estate.zone,
            host: &self.host,
            teller: self.services.teller.as_ref(),
        };
        stage.play(scenario, storm, tell).await
    }

    /// How this program is started so that it finds this estate.
    fn program(&self) -> String {
        let program = std::env::args()
            .next()
            .unwrap_or_else(|| "poolkeeper".into());
        if self.data == Path::new(".poolkeeper") {
            program
        } else {
            format!("{program} --settings {}/settings.json", self.data.display())
        }
    }

    /// What waits for a decision, with the command that approves it.
    fn proposals(&self, open: &Value) -> Vec<String> {
        let changes = open["changes"].as_array().into_iter().flatten();
        changes
            .flat_map(|record| {
                [
                    format!("\nProposed: {}", text(&record["difference"])),
                    format!(
                        "  {} changes approve {} --hash {} --reason 'looked at it'",
                        self.program(),
                        text(&record["id"]),
                        text(&record["hash"]).get(..12).unwrap_or_default()
                    ),
                ]
            })
            .collect()
    }

    /// What a newcomer can do now.
    #[must_use]
    pub fn what_to_try(&self) -> String {
        let channel = self.services.estate.channels.first();
        let channel = channel.map_or("CHANNEL", |channel| &channel.name);
        let (url, data) = (self.host.url(), self.data.display());
        let inbox = self.services.simulator.inbox_url();
        let program = self.program();
        let telemetry = if self.services.requests_per_minute > 0.0 {
            format!(
                "\x20 {program} query --data {data}/telemetry -q 'AppRequests | summarize count() by ResultCode'\n\
                 Telemetry is written to {data}/telemetry, a minute at a time.\n"
            )
        } else {
            String::new()
        };
        format!(
            "\nPoolkeeper is up, with no cloud. Open\n\
             \x20 {url}/api/incidents what is wrong, who has it and what is next\n\
             \x20 {inbox}         what people and ticket systems would have been told\n\
             \x20 {url}/api/runs      runs, newest first\n\
             \x20 {url}/api/changes   what was proposed and what became of it\n\
             \x20 {url}/api/capacity  what was used, what is forecast, and what there should be\n\
             \x20 {url}/api/autoscale what scaling decided last, and why\n\
             \x20 {url}/api/health    version and ok\n\
             or try in a second terminal\n\
             \x20 curl -X POST {url}/api/alerts -H 'content-type: application/json' -d @tests/fixtures/alerts/metric-fired.json\n\
             \x20 curl -X POST {url}/api/maintenance/daily -d ''\n\
             \x20 curl -X POST {url}/admin/functions/minute-tick -H \"x-functions-key: $(cat {data}/admin.key)\" -d '{{}}'\n\
             \x20 {program} incidents list\n\
             \x20 {program} oncall who\n\
             \x20 {program} quiet list\n\
             \x20 {program} notify test {channel}\n\
             \x20 {program} runs\n\
             \x20 {program} changes list\n\
             \x20 {program} run maintenance daily --dry-run\n\
             \x20 {program} autoscale show\n\
             \x20 {program} autoscale run --dry-run\n\
             \x20 {program} replay --load FILE\n\
             \x20 {program} journal verify\n\
             {telemetry}State is kept in {data}. Ctrl-C stops everything.\n"
        )
    }

    /// Kills the handler, then ends the rest.
    pub async fn stop(self) {
        self.host.stop().await;
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// What points the handler at the embedded estate.
fn settings(simulator: &Simulator, people: &[String]) -> BTreeMap<String, String> {
    [
        ("FUNCTIONS_WORKER_RUNTIME", "custom".to_owned()),
        ("AzureWebJobsStorage", simulator.connection_string()),
        ("POOLKEEPER_BLOB_ENDPOINT", simulator.blob_url()),
        ("POOLKEEPER_QUEUE_ENDPOINT", simulator.queue_url()),
        ("IDENTITY_ENDPOINT", simulator.identity_url()),
        ("IDENTITY_HEADER", simulator.identity_header().to_owned()),
        ("POOLKEEPER_ARM_ENDPOINT", simulator.url()),
        ("POOLKEEPER_LOGS_ENDPOINT", simulator.url()),
        ("POOLKEEPER_OUTSIDE_ENDPOINT", simulator.url()),
        ("POOLKEEPER_STORE_CONTAINER", "poolkeeper".into()),
        ("POOLKEEPER_ANCHOR_CONTAINER", "poolkeeper-anchors".into()),
        ("POOLKEEPER_QUEUE", "poolkeeper-work".into()),
        ("POOLKEEPER_OPERATOR_KEYS", people.join(",")),
        ("POOLKEEPER_LOG", "text".into()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// What the simulated Azure Monitor watches at first.
fn alert_rules(estate: &Estate) -> Vec<AlertRule> {
    let apps = estate.resources().iter();
    let apps = apps.filter(|r| r.kind == Kind::ContainerApp);
    let mut out = Vec::new();
    for app in apps {
        for (what, word, severity, minutes) in [
            (Crossing::Outage, "down", "Sev1", 1),
            (Crossing::Errors, "errors", "Sev2", 1),
            (Crossing::Slow, "slow", "Sev3", 1),
            (Crossing::Throttle, "throttled", "Sev2", 1),
            (Crossing::Boundary, "boundary", "Sev0", 0),
        ] {
            out.push(AlertRule {
                name: format!("{}-{word}", app.name),
                what,
                app: app.name.clone(),
                tenant: None,
                severity: severity.to_owned(),
                target: None,
                minutes,
            });
        }
    }
    out
}

/// The estate that is simulated, with its file and text: the one that the handler reads.
fn estate(app: &Path) -> anyhow::Result<(PathBuf, String, Estate)> {
    let file = std::env::var("POOLKEEPER_ESTATE").unwrap_or_else(|_| "infra/estate.toml".into());
    let path = std::path::absolute(app.join(file))?;
    let text = std::fs::read_to_string(&path).with_context(|| {
        format!(
            "read `{}`: start in the folder of host.json, or name it with --app",
            path.display()
        )
    })?;
    let estate = Estate::parse(&text)?;
    Ok((path, text, estate))
}

/// `local.settings.json` of the app folder, if a developer keeps one.
fn developer_settings(app: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let path = app.join("local.settings.json");
    if path.is_file() {
        crate::config::settings_file(&path)
    } else {
        Ok(BTreeMap::new())
    }
}

/// Writes a file that only this user can read, whole or not at all.
fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let new = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let write = || {
        options.open(&new)?.write_all(text.as_bytes())?;
        std::fs::rename(&new, path)
    };
    write().with_context(|| format!("write `{}`", path.display()))
}
