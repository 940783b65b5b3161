//! Stories through real processes: the stand-in for the Functions host drives the built handler.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use poolkeeper::app::{App, Clock};
use poolkeeper::journal::verify_all;
use poolkeeper::local::host::{Host, Options};
use serde_json::{Value, json};

use crate::alerts::{alert, known};
use crate::azurite::{Azurite, Security};
use crate::world::{PROJECT, World};

pub(crate) const HANDLER: &str = env!("CARGO_BIN_EXE_poolkeeper");
/// Leases of a killed process run out within this time, and then some.
const SETTLED_WITHIN: Duration = Duration::from_secs(90);

pub(crate) async fn host(settings: BTreeMap<String, String>) -> Host {
    let host = Host::start(Options {
        told_its_url: None,
        app: PROJECT.into(),
        port: 0,
        settings,
        executable: HANDLER.into(),
    })
    .await
    .expect("a host");
    host.ready(Duration::from_secs(30))
        .await
        .expect("a handler");
    host
}

pub(crate) fn kill(pid: u32) {
    let killed = std::process::Command::new("kill")
        .args(["-9", &pid.to_string()])
        .status();
    assert!(killed.expect("kill").success());
}

/// Kills the handler, ends its leases, and lets the next one take up what was accepted.
pub(crate) async fn killed(world: &World, host: &Host) {
    let pid = host.handler_pid().expect("a process");
    kill(pid);
    world.simulator.advance(Duration::from_secs(20));
    until("a new process", Duration::from_secs(30), || async {
        host.handler_pid().filter(|new| *new != pid)
    })
    .await;
    host.ready(Duration::from_secs(30))
        .await
        .expect("a handler");
}

/// Looks again and again until `look` finds something.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> F,
) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(started.elapsed() < limit, "{what}: not within {limit:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The run at a place, once it has ended.
pub(crate) async fn ended(world: &World, place: &str) -> Value {
    until("the run ends", SETTLED_WITHIN, || async {
        let run = world.get(place.to_owned()).await;
        (!run["finished"].is_null()).then_some(run)
    })
    .await
}

pub(crate) async fn run_by_hand(world: &World, host: &Host, function: &str) -> u16 {
    let answer = world
        .http
        .post(format!("{}/admin/functions/{function}", host.url()))
        .header("x-functions-key", host.admin_key())
        .body("{}")
        .send()
        .await
        .expect("an answer");
    answer.status().as_u16()
}

/// All runs that are known, by id, and how many are waiting.
pub(crate) async fn all_runs(world: &World, base: &str) -> (BTreeMap<String, String>, u64) {
    let mut runs = BTreeMap::new();
    let mut from = String::new();
    loop {
        let page = world
            .get(format!("{base}/api/runs?most=500&from={from}"))
            .await;
        for run in page["runs"].as_array().expect("runs") {
            runs.insert(
                run["id"].as_str().expect("an id").to_owned(),
                run["state"].as_str().expect("a state").to_owned(),
            );
        }
        match page["next"].as_str() {
            Some(next) => {
                from = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
            }
            None => return (runs, page["waiting"].as_u64().expect("a number")),
        }
    }
}

pub(crate) async fn journal_is_clean(app: &App, chains: usize) {
    let (store, anchors) = (app.store().expect("a store"), app.anchors());
    let verdict = verify_all(store, anchors.expect("anchors"))
        .await
        .expect("a verdict");
    let broken: Vec<_> = verdict.broken().collect();
    assert!(broken.is_empty(), "{broken:?}");
    assert_eq!(verdict.chains.len(), chains);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_deliveries_to_two_hosts_make_one_run() {
    let world = World::start().await;
    twenty_deliveries(&world, world.settings(), &world.app(Clock::System)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_deliveries_to_two_hosts_on_azurite_make_one_run() {
    let (world, azurite) = (
        World::start().await,
        Azurite::start(Security::SignatureOverHttp).await,
    );
    twenty_deliveries(&world, azurite.settings(), &azurite.app()).await;
}

async fn twenty_deliveries(world: &World, settings: BTreeMap<String, String>, app: &App) {
    let hosts = [host(settings.clone()).await, host(settings).await];
    let body = alert("twice", "Fired");
    known(world, "twice", "Fired").await;
    let answers =
        join_all((0..20).map(|i| world.post(format!("{}/api/alerts", hosts[i % 2].url()), &body)))
            .await;
    assert!(answers.iter().all(|(s, _)| *s == 202), "{answers:?}");
    let run = answers[0].1["run"].as_str().expect("a run").to_owned();
    let place = format!("{}/api/runs/{run}", hosts[0].url());
    let done = until("the run ends", SETTLED_WITHIN, || async {
        let run = world.get(place.clone()).await;
        (run["state"] == "succeeded").then_some(run)
    })
    .await;
    assert_eq!(done["tasks"].as_array().map(Vec::len), Some(1), "{done}");
    let (runs, waiting) = all_runs(world, &hosts[1].url()).await;
    assert_eq!((runs.len(), waiting), (1, 0), "{runs:?}");
    // The run's chain, and that of its incident.
    journal_is_clean(app, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_ticks_of_one_occurrence_on_two_hosts_make_one_run() {
    let world = World::start().await;
    // Due an hour ago on the wall in Tokyo, whatever the time of the day, and the day before.
    let zone = chrono_tz::Asia::Tokyo;
    let hour_ago = (chrono::Utc::now() - chrono::Duration::hours(1)).with_timezone(&zone);
    let at = format!("at = \"{}\"", hour_ago.format("%H:%M"));
    let settings = world.settings_with_estate(|estate| estate.replacen("at = \"02:00\"", &at, 1));
    let before = chrono::Utc::now() - chrono::Duration::hours(30);
    let early = world
        .handler_with(settings.clone(), Clock::Fixed(before))
        .await;
    world.tick(&early, "daily-maintenance").await;
    let hosts = [host(settings.clone()).await, host(settings).await];
    let told = join_all((0..20).map(|i| run_by_hand(&world, &hosts[i % 2], "daily-maintenance")));
    assert!(told.await.iter().all(|status| *status == 202));
    until("maintenance is done", SETTLED_WITHIN, || async {
        let (runs, waiting) = all_runs(&world, &hosts[0].url()).await;
        let done = runs.values().filter(|s| s.starts_with("succeeded")).count();
        (waiting == 0 && done >= 1).then_some(())
    })
    .await;
    let (runs, _) = all_runs(&world, &hosts[0].url()).await;
    let states: Vec<&str> = runs.values().map(String::as_str).collect();
    assert_eq!(states, ["missed", "succeeded_with_findings"], "{runs:?}");
    journal_is_clean(&world.app(Clock::System), runs.len()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_kills_under_load_lose_no_accepted_alert() {
    let world = Arc::new(World::start().await);
    let host = Arc::new(host(world.settings()).await);
    let stop = Arc::new(AtomicBool::new(false));
    let senders: Vec<_> = (0..4)
        .map(|sender| {
            let (world, host, stop) = (Arc::clone(&world), Arc::clone(&host), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut accepted = Vec::new();
                for n in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let body = alert(&format!("k-{sender}-{n}"), "Fired");
                    let answer = world
                        .http
                        .post(format!("{}/api/alerts", host.url()))
                        .json(&body)
                        .send()
                        .await
                        .expect("the front answers");
                    // Whoever gets anything but 202 knows that it must send again.
                    if answer.status() == 202 {
                        let answer: Value = answer.json().await.expect("JSON");
                        accepted.push(answer["run"].as_str().expect("a run").to_owned());
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                accepted
            })
        })
        .collect();
    // Random moments, the same in every test run.
    let mut seed: u64 = 0x5eed;
    for _ in 0..50 {
        host.ready(Duration::from_secs(60))
            .await
            .expect("a handler");
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        tokio::time::sleep(Duration::from_micros(seed >> 48)).await;
        let pid = host.handler_pid().expect("a process");
        kill(pid);
        until("it is noticed", Duration::from_secs(10), || async {
            (host.handler_pid() != Some(pid)).then_some(())
        })
        .await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut accepted = BTreeSet::new();
    for sender in senders {
        accepted.extend(sender.await.expect("a sender"));
    }
    assert!(
        accepted.len() >= 50,
        "only {} were accepted",
        accepted.len()
    );
    host.ready(Duration::from_secs(60))
        .await
        .expect("a handler");
    let runs = until("all is worked", Duration::from_secs(180), || async {
        run_by_hand(&world, &host, "minute-tick").await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (runs, waiting) = all_runs(&world, &host.url()).await;
        (waiting == 0).then_some(runs)
    })
    .await;
    for run in &accepted {
        // Azure knows nothing of these, which is a finding where it could be asked.
        let state = runs.get(run).map(String::as_str).unwrap_or_default();
        assert!(state.starts_with("succeeded"), "{run}: {state}");
    }
    // And the chains of the incidents: what Azure denies, and what could not be asked.
    let app = world.app(Clock::System);
    let incidents = app.store().expect("a store").list_all("incidents/").await;
    journal_is_clean(&app, runs.len() + incidents.expect("names").len()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_killed_between_acceptance_and_work_is_caught_up_by_the_minute_tick() {
    let world = World::start().await;
    let mut settings = world.settings();
    // The message stays in the queue, out of everybody's sight.
    settings.insert("AzureWebJobs.work.Disabled".into(), "1".into());
    let host = host(settings).await;
    known(&world, "hidden", "Fired").await;
    let (status, answer) = world
        .post(
            format!("{}/api/alerts", host.url()),
            &alert("hidden", "Fired"),
        )
        .await;
    let started = Instant::now();
    assert_eq!(status, 202);
    let pid = host.handler_pid().expect("a process");
    kill(pid);
    let place = format!(
        "{}/api/runs/{}",
        host.url(),
        answer["run"].as_str().expect("a run")
    );
    until("a new process", Duration::from_secs(30), || async {
        host.handler_pid().filter(|new| *new != pid)
    })
    .await;
    host.ready(Duration::from_secs(30))
        .await
        .expect("a handler");
    assert_eq!(world.get(place.clone()).await["state"], "accepted");
    until("the minute tick works it", SETTLED_WITHIN, || async {
        (world.get(place.clone()).await["state"] == "succeeded").then_some(())
    })
    .await;
    // Whoever is on duty was paged by then.
    let sent = world.simulator.sent().await;
    let pages = sent
        .iter()
        .filter(|s| s.channel == "pagerduty" && s.kind == "trigger");
    assert_eq!(pages.count(), 1, "{sent:#?}");
    assert!(started.elapsed() < Duration::from_secs(90));
}

/// One `poolkeeper local` with its output.
struct Command {
    child: tokio::process::Child,
    url: String,
    /// The command that approves what it proposed, as it was printed.
    approve: String,
}

/// What was changed in the simulated estate.
async fn changed(http: &reqwest::Client, data: &Path) -> Vec<String> {
    let read = |name: &str| std::fs::read_to_string(data.join(name)).expect("a file");
    let answer = http
        .get(format!("{}/_sim/changes", read("sim.url")))
        .header("x-sim-key", read("sim.key"))
        .send()
        .await
        .expect("an answer");
    answer.json().await.expect("JSON")
}

async fn local(data: &Path) -> Command {
    use tokio::io::AsyncBufReadExt as _;
    let mut child = tokio::process::Command::new(HANDLER)
        .args(["local", "--port", "0", "--maintain", "daily", "--data"])
        .arg(data)
        .current_dir(PROJECT)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("a process");
    let mut lines = tokio::io::BufReader::new(child.stdout.take().expect("output")).lines();
    let mut said = Vec::new();
    while let Ok(Some(line)) = lines.next_line().await {
        let url = line
            .trim()
            .strip_suffix("version and ok")
            .and_then(|l| l.trim().strip_suffix("/api/health"))
            .map(str::to_owned);
        said.push(line);
        if let Some(url) = url {
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            assert!(
                said.iter()
                    .any(|l| l == "daily maintenance: succeeded with findings"),
                "{said:#?}"
            );
            let approve = said.iter().find(|l| l.contains(" changes approve "));
            let approve = approve.cloned().unwrap_or_default();
            return Command {
                child,
                url,
                approve,
            };
        }
    }
    panic!("it never came up: {said:#?}");
}

async fn poolkeeper(data: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = tokio::process::Command::new(HANDLER)
        .arg("--settings")
        .arg(data.join("settings.json"))
        .args(arguments)
        .output()
        .await
        .expect("a process");
    let text = String::from_utf8(output.stdout).expect("text");
    (output.status.code(), text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_command_runs_all_and_goes_on_where_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let http = reqwest::Client::new();
    let mut first = local(folder.path()).await;
    let fixture = Path::new(PROJECT).join("tests/fixtures/alerts/metric-fired.json");
    let payload: Value =
        serde_json::from_slice(&std::fs::read(fixture).expect("the fixture")).expect("JSON");
    let answer = http
        .post(format!("{}/api/alerts", first.url))
        .json(&payload)
        .send()
        .await
        .expect("an answer");
    let answer: Value = answer.json().await.expect("JSON");
    let run = answer["run"].as_str().expect("a run").to_owned();
    let (code, shown) = poolkeeper(folder.path(), &["runs", &run, "--follow", "--json"]).await;
    assert_eq!(code, Some(0), "{shown}");
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    // Nobody raised it in Azure: it is taken, told to who looks after security, and not believed.
    assert_eq!(shown["state"], "succeeded_with_findings");
    assert_eq!(shown["tasks"][0]["findings"][0]["code"], "alert-unknown");
    let (code, records) = poolkeeper(folder.path(), &["journal", "show", &run]).await;
    assert_eq!(code, Some(0));
    let before = changed(&http, folder.path()).await;
    assert_eq!(before.len(), 0);
    // What it proposes is printed with the command that approves it.
    let printed: Vec<String> = first
        .approve
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    let at = printed.iter().position(|word| word == "changes");
    let mut words: Vec<&str> = printed[at.expect("a command")..]
        .iter()
        .map(|word| word.trim_matches('\''))
        .collect();
    let reason = words.iter().position(|word| *word == "--reason");
    words.truncate(reason.expect("a reason") + 2);
    let (code, shown) = poolkeeper(folder.path(), &words).await;
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("verified: "), "{shown}");
    let lines = changed(&http, folder.path()).await;
    assert!(
        lines.len() > 200 && lines[0].contains("app-logs: deleted"),
        "{lines:?}"
    );
    // A dry run on the command line says what it would do, and does nothing.
    let daily = ["run", "maintenance", "daily", "--dry-run", "--json"];
    let (code, shown) = poolkeeper(folder.path(), &daily).await;
    assert_eq!(code, Some(0), "{shown}");
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(shown["state"], "succeeded_with_findings");
    let (code, _) = poolkeeper(folder.path(), &["changes", "list", "--json"]).await;
    assert_eq!(code, Some(0));
    assert_eq!(changed(&http, folder.path()).await.len(), lines.len());
    assert!(records.contains("receive_alert"), "{records}");
    // The command is killed, and its handler does not outlive it.
    let status: Value = http
        .get(format!("{}/api/health", first.url))
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    assert_eq!(status["ok"], true);
    first.child.kill().await.expect("killed");
    let mut second = local(folder.path()).await;
    let (code, list) = poolkeeper(folder.path(), &["runs", "--json"]).await;
    assert_eq!(code, Some(0));
    let list: Value = serde_json::from_str(&list).expect("JSON");
    assert_eq!(list["runs"].as_array().map(Vec::len), Some(5), "{list}");
    let (code, verdict) = poolkeeper(folder.path(), &["journal", "verify"]).await;
    assert_eq!(code, Some(0), "{verdict}");
    assert!(
        verdict.contains("6 chains, 0 broken; held against"),
        "{verdict}"
    );
    let pid = second.child.id().expect("a process");
    let stopped = std::process::Command::new("kill")
        .args(["-TERM", &pid.to_string()])
        .status();
    assert!(stopped.expect("kill").success());
    let status = second.child.wait().await.expect("an end");
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn wrong_use_says_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = |arguments: &'static [&'static str]| {
        let folder = folder.path().to_owned();
        async move {
            let output = tokio::process::Command::new(HANDLER)
                .args(arguments)
                .current_dir(folder)
                .env_remove("POOLKEEPER_BLOB_ENDPOINT")
                .output()
                .await
                .expect("a process");
            let text = String::from_utf8(output.stderr).expect("text");
            (output.status.code(), text)
        }
    };
    for (arguments, code, words) in [
        (&["runs"][..], 2, "POOLKEEPER_BLOB_ENDPOINT is missing"),
        (&["--settings", "none.json", "runs"], 2, "none.json"),
        (&["local", "--data", "d"], 3, "host.json"),
        (&["check", "none.toml"], 2, "none.toml"),
        (&[], 2, "--help"),
        (&["runs", "NO-RUN"], 2, "not a run id"),
    ] {
        let (given, text) = output(arguments).await;
        assert_eq!(given, Some(code), "{arguments:?}: {text}");
        assert!(text.contains(words), "{arguments:?}: {text}");
    }
}

#[test]
fn check_tells_what_contradicts_itself_and_what_is_wrong_with_its_code() {
    const SHIPPED: &str = include_str!("../../infra/estate.toml");
    let folder = tempfile::tempdir().expect("a folder");
    let check = |name: &str, text: &str, json: bool| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("an estate");
        let mut command = std::process::Command::new(HANDLER);
        command.arg("check").arg(&path).env_clear();
        if json {
            command.arg("--json");
        }
        let output = command.output().expect("a process");
        let text = String::from_utf8(output.stdout).expect("text");
        (output.status.code(), text)
    };
    let (code, text) = check("right.toml", SHIPPED, false);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("is right"), "{text}");
    let halved = SHIPPED.replace("down_percent = 20", "down_percent = 40");
    let (code, text) = check("halved.toml", &halved, false);
    assert_eq!(code, Some(1), "{text}");
    let line = SHIPPED.lines().position(|l| l == "down_percent = 20");
    let line = format!(
        "line {}: `scaling.cosmos.down_percent`",
        line.expect("a line") + 1
    );
    assert!(
        text.contains(&line) && text.contains("(flapping)"),
        "{text}"
    );
    let told = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    let (code, text) = check("halved.toml", &halved, true);
    let told_of = told(&text);
    assert_eq!(code, Some(1), "{text}");
    assert_eq!(told_of["problems"], json!([]));
    assert_eq!(told_of["contradictions"][0]["kind"], "flapping");
    assert_eq!(
        told_of["contradictions"][0]["key"],
        "scaling.cosmos.down_percent"
    );
    // What is wrong is told alone: what it would mean is not known.
    let wrong = halved.replace("target_percent = 80", "target_percent = 800");
    let (code, text) = check("wrong.toml", &wrong, true);
    let told_of = told(&text);
    assert_eq!(code, Some(1), "{text}");
    assert_eq!(
        told_of["problems"][0]["key"],
        "scaling.cosmos.target_percent"
    );
    assert_eq!(told_of["contradictions"], json!([]));
}

/// What the journal shows when a run id is asked for that was never accepted.
#[tokio::test]
async fn a_run_that_does_not_exist_is_told_as_such() {
    let world = World::start().await;
    let base = world.handler(Clock::System).await;
    let answer = world
        .http
        .get(format!("{base}/api/runs/none"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status().as_u16(), 404);
    let body: Value = answer.json().await.expect("JSON");
    assert_eq!(body, json!({ "error": "there is no such run" }));
}
