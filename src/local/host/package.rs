//! The app folder as the host reads it: `host.json` and one folder per function.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;

/// How queues are polled. `host.json`, section `extensions.queues`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct QueueOptions {
    pub(super) batch: usize,
    pub(super) most_dequeues: i64,
    pub(super) visibility: Duration,
    pub(super) longest_poll: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HttpTrigger {
    pub(super) methods: Vec<String>,
    pub(super) route: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TimerTrigger {
    pub(super) binding: String,
    pub(super) schedule: String,
    pub(super) monitored: bool,
    pub(super) at_start: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trigger {
    Http(HttpTrigger),
    Timer(TimerTrigger),
    Queue { binding: String, queue: String },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) name: String,
    pub(super) trigger: Trigger,
    pub(super) disabled: bool,
}

/// What starts the handler.
#[derive(Debug, Clone)]
pub(super) struct Command {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<String>,
    pub(super) folder: PathBuf,
    pub(super) root: PathBuf,
}

#[derive(Debug)]
pub(super) struct Package {
    root: PathBuf,
    description: Description,
    pub(super) route_prefix: String,
    pub(super) function_timeout: Duration,
    pub(super) start_limit: Duration,
    pub(super) queues: QueueOptions,
    pub(super) functions: Vec<Function>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct HostJson {
    function_timeout: Option<String>,
    extensions: Extensions,
    custom_handler: Option<CustomHandler>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Extensions {
    http: HttpOptions,
    queues: QueuesJson,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct HttpOptions {
    route_prefix: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct QueuesJson {
    max_polling_interval: Option<String>,
    visibility_timeout: Option<String>,
    batch_size: Option<usize>,
    max_dequeue_count: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CustomHandler {
    description: Description,
    initialization_timeout: Option<String>,
    #[serde(default)]
    enable_forwarding_http_request: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Description {
    default_executable_path: String,
    #[serde(default)]
    arguments: Vec<String>,
    working_directory: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
struct FunctionJson {
    bindings: Vec<Binding>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Binding {
    name: String,
    r#type: String,
    direction: Option<String>,
    #[serde(default)]
    methods: Vec<String>,
    route: Option<String>,
    schedule: Option<String>,
    use_monitor: Option<bool>,
    #[serde(default)]
    run_on_startup: bool,
    queue_name: Option<String>,
}

impl Package {
    pub(super) fn read(root: &Path, settings: &BTreeMap<String, String>) -> anyhow::Result<Self> {
        let root = root
            .canonicalize()
            .with_context(|| format!("find the app folder `{}`", root.display()))?;
        let file = root.join("host.json");
        let text = std::fs::read_to_string(&file).with_context(|| {
            format!(
                "read `{}`: start in the folder of host.json, or name it with --app",
                file.display()
            )
        })?;
        let host: HostJson =
            serde_json::from_str(&text).with_context(|| format!("read `{}`", file.display()))?;
        let custom = host
            .custom_handler
            .context("host.json has no section `customHandler`")?;
        anyhow::ensure!(
            custom.enable_forwarding_http_request,
            "host.json must set `enableForwardingHttpRequest`: wrapped HTTP calls are not simulated"
        );
        let span = |text: Option<&str>, default: Duration| text.map_or(Ok(default), time_span);
        let queues = &host.extensions.queues;
        let functions = functions(&root, settings)?;
        anyhow::ensure!(
            !functions.is_empty(),
            "`{}` has no function: a function is a folder with a function.json",
            root.display()
        );
        Ok(Self {
            route_prefix: host
                .extensions
                .http
                .route_prefix
                .unwrap_or_else(|| "api".into()),
            function_timeout: span(
                host.function_timeout.as_deref(),
                Duration::from_secs(30 * 60),
            )?,
            start_limit: span(
                custom.initialization_timeout.as_deref(),
                Duration::from_secs(30),
            )?,
            queues: QueueOptions {
                batch: queues.batch_size.unwrap_or(16).clamp(1, 32),
                most_dequeues: queues.max_dequeue_count.unwrap_or(5).max(1),
                visibility: span(queues.visibility_timeout.as_deref(), Duration::ZERO)?,
                longest_poll: span(
                    queues.max_polling_interval.as_deref(),
                    Duration::from_secs(60),
                )?,
            },
            description: custom.description,
            root,
            functions,
        })
    }

    /// The handler's command line. The path is looked up in the app folder; otherwise it is
    /// `own`, since the embedded estate is the same program.
    pub(super) fn command(&self, own: &Path) -> Command {
        let packaged = self.root.join(&self.description.default_executable_path);
        Command {
            program: if packaged.is_file() {
                packaged
            } else {
                own.to_owned()
            },
            arguments: self.description.arguments.clone(),
            folder: match &self.description.working_directory {
                Some(folder) => self.root.join(folder),
                None => self.root.clone(),
            },
            root: self.root.clone(),
        }
    }
}

/// Functions lie beside `host.json` in a package, and in `functions/` in the source tree.
fn functions(root: &Path, settings: &BTreeMap<String, String>) -> anyhow::Result<Vec<Function>> {
    let mut found = Vec::new();
    for folder in [root.to_owned(), root.join("functions")] {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry?.path();
            let file = path.join("function.json");
            let Some(name) = path.file_name().and_then(|n| n.to_str()) else {
                continue;
            };
            if !file.is_file() {
                continue;
            }
            match read_function(name, &file, settings) {
                Ok(function) => found.push(function),
                Err(error) => {
                    tracing::error!(function = name, "is left out: {error:#}");
                }
            }
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn read_function(
    name: &str,
    file: &Path,
    settings: &BTreeMap<String, String>,
) -> anyhow::Result<Function> {
    let mut characters = name.chars();
    anyhow::ensure!(
        characters.next().is_some_and(|c| c.is_ascii_alphabetic())
            && characters.all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
            && name.len() <= 128
            && !name.eq_ignore_ascii_case("host"),
        "the name of a function is a letter, then letters, digits, - and _"
    );
    let json: FunctionJson = serde_json::from_str(&std::fs::read_to_string(file)?)?;
    let resolved = |text: &str| resolve(text, settings);
    let trigger = json
        .bindings
        .iter()
        .find(|b| b.r#type.to_ascii_lowercase().ends_with("trigger"))
        .context("there is no trigger")?;
    let others: Vec<_> = json
        .bindings
        .iter()
        .filter(|b| !std::ptr::eq(*b, trigger))
        .collect();
    let trigger = match trigger.r#type.as_str() {
        "httpTrigger" => {
            let plain = others.len() == 1
                && others[0].r#type == "http"
                && others[0].direction.as_deref() == Some("out");
            anyhow::ensure!(
                plain,
                "one `http` output beside the trigger, or the request is not forwarded"
            );
            Trigger::Http(HttpTrigger {
                methods: trigger.methods.clone(),
                route: route(trigger.route.as_deref().unwrap_or(name))?,
            })
        }
        "timerTrigger" => Trigger::Timer(TimerTrigger {
            binding: trigger.name.clone(),
            schedule: resolved(trigger.schedule.as_deref().context("no `schedule`")?)?,
            monitored: trigger.use_monitor.unwrap_or(true),
            at_start: trigger.run_on_startup,
        }),
        "queueTrigger" => Trigger::Queue {
            binding: trigger.name.clone(),
            queue: resolved(trigger.queue_name.as_deref().context("no `queueName`")?)?,
        },
        other => anyhow::bail!("`{other}` is not simulated"),
    };
    if let Trigger::Timer(timer) = &trigger {
        super::timers::cron(&timer.schedule)?;
    }
    Ok(Function {
        name: name.to_owned(),
        trigger,
        disabled: disabled(name, settings),
    })
}

fn disabled(name: &str, settings: &BTreeMap<String, String>) -> bool {
    [
        format!("AzureWebJobs.{name}.Disabled"),
        format!("AzureWebJobs_{}_Disabled", name.replace('-', "_")),
    ]
    .iter()
    .filter_map(|key| settings.get(key))
    .any(|value| value == "1" || value.eq_ignore_ascii_case("true"))
}

/// `%NAME%` means a setting.
fn resolve(text: &str, settings: &BTreeMap<String, String>) -> anyhow::Result<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        let (name, after) = after
            .split_once('%')
            .with_context(|| format!("`{text}` has a single %"))?;
        out.push_str(before);
        out.push_str(
            settings
                .get(name)
                .with_context(|| format!("`%{name}%` names a setting that does not exist"))?,
        );
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

fn route(text: &str) -> anyhow::Result<String> {
    let lower = text.to_ascii_lowercase();
    anyhow::ensure!(
        !lower.starts_with("admin") && !lower.starts_with("runtime"),
        "the route `{text}` begins with a word that the host keeps for itself"
    );
    anyhow::ensure!(
        !text.contains(':'),
        "the route `{text}` has a constraint, which is not simulated"
    );
    Ok(text.trim_matches('/').to_owned())
}

/// Reads `hh:mm:ss` or `d.hh:mm:ss`; -1 means without end, which is a day here.
fn time_span(text: &str) -> anyhow::Result<Duration> {
    if text == "-1" {
        return Ok(Duration::from_secs(86_400));
    }
    let bad = || format!("`{text}` is not a time span like 00:00:02");
    let (days, clock) = text.split_once('.').unwrap_or(("0", text));
    let mut seconds = days.parse::<u64>().with_context(bad)? * 24;
    let parts: Vec<u64> = clock
        .split(':')
        .map(str::parse)
        .collect::<Result<_, _>>()
        .with_context(bad)?;
    anyhow::ensure!(parts.len() == 3, bad());
    seconds = (seconds + parts[0]) * 3600 + parts[1] * 60 + parts[2];
    Ok(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_projects_own_folder_is_read_as_the_host_reads_it() {
        let settings = BTreeMap::from([
            ("POOLKEEPER_QUEUE".to_owned(), "q-1".to_owned()),
            (
                "AzureWebJobs.minute-tick.Disabled".to_owned(),
                "1".to_owned(),
            ),
        ]);
        let package =
            Package::read(Path::new(env!("CARGO_MANIFEST_DIR")), &settings).expect("a package");
        let names: Vec<&str> = package.functions.iter().map(|f| f.name.as_str()).collect();
        let ours: Vec<&str> = crate::triggers::table().iter().map(|f| f.name).collect();
        assert_eq!(names, ours);
        let work = package.functions.iter().find(|f| f.name == "work");
        assert!(
            matches!(work.map(|f| &f.trigger), Some(Trigger::Queue { queue, .. }) if queue == "q-1")
        );
        let off: Vec<&str> = package
            .functions
            .iter()
            .filter(|f| f.disabled)
            .map(|f| f.name.as_str())
            .collect();
        assert_eq!(off, ["minute-tick"]);
        assert_eq!(package.queues.longest_poll, Duration::from_secs(2));
    }

    #[test]
    fn time_spans() {
        for (text, seconds) in [
            ("00:00:02", Some(2)),
            ("1.00:10:00", Some(87_000)),
            ("-1", Some(86_400)),
            ("5", None),
            ("00:xx:00", None),
        ] {
            let read = time_span(text).ok().map(|d| d.as_secs());
            assert_eq!(read, seconds, "{text}");
        }
    }
}
