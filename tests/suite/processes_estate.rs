//! The embedded estate as a newcomer starts it, and the scenario that it plays.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tokio::io::AsyncBufReadExt as _;

use crate::processes::HANDLER;
use crate::world::PROJECT;

/// A `poolkeeper local` that was started in a folder of its own.
struct Estate {
    folder: tempfile::TempDir,
    child: tokio::process::Child,
    lines: tokio::io::Lines<tokio::io::BufReader<tokio::process::ChildStdout>>,
    http: reqwest::Client,
}

impl Estate {
    fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut child = tokio::process::Command::new(HANDLER)
            .args(["local", "--port", "0", "--app", PROJECT, "--data", "data"])
            .args(arguments)
            .current_dir(folder.path())
            .env_remove("POOLKEEPER_ESTATE")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("a process");
        let output = child.stdout.take().expect("output");
        Self {
            folder,
            child,
            lines: tokio::io::BufReader::new(output).lines(),
            http: reqwest::Client::new(),
        }
    }

    /// What it said up to the line that begins so.
    async fn said_until(&mut self, ends: &[&str]) -> Vec<String> {
        let mut said = Vec::new();
        while let Ok(Some(line)) = self.lines.next_line().await {
            let is_it = ends.iter().any(|end| line.starts_with(end));
            said.push(line);
            if is_it {
                return said;
            }
        }
        panic!("it ended before it said any of {ends:?}: {said:#?}");
    }

    fn read(&self, name: &str) -> String {
        let path = self.folder.path().join("data").join(name);
        std::fs::read_to_string(path).expect("a file")
    }

    async fn simulator(&self, path: &str) -> Value {
        let answer = self
            .http
            .get(format!("{}/{path}", self.read("sim.url")))
            .header("x-sim-key", self.read("sim.key"))
            .send()
            .await
            .expect("an answer");
        answer.json().await.expect("JSON")
    }

    async fn ask(&self, path: &str, body: Value) {
        let answer = self
            .http
            .post(format!("{}/{path}", self.read("sim.url")))
            .header("x-sim-key", self.read("sim.key"))
            .json(&body)
            .send()
            .await
            .expect("an answer");
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
    }

    async fn now(&self) -> DateTime<Utc> {
        time(&self.simulator("_sim/now").await["now"])
    }

    /// A command, started in a folder that has nothing to do with any of it.
    async fn command(&self, arguments: &[&str]) -> Value {
        let elsewhere = tempfile::tempdir().expect("a folder");
        let output = tokio::process::Command::new(HANDLER)
            .arg("--settings")
            .arg(self.folder.path().join("data/settings.json"))
            .args(arguments)
            .current_dir(elsewhere.path())
            .env_remove("POOLKEEPER_ESTATE")
            .output()
            .await
            .expect("a process");
        let (said, wrong) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert_eq!(
            output.status.code(),
            Some(0),
            "{arguments:?}: {said}{wrong}"
        );
        serde_json::from_str(&said).unwrap_or_else(|_| json!(said))
    }

    async fn stop(mut self) {
        let pid = self.child.id().expect("a process");
        let stopped = std::process::Command::new("kill")
            .args(["-TERM", &pid.to_string()])
            .status();
        assert!(stopped.expect("kill").success());
        self.child.wait().await.expect("an end");
    }
}

fn time(value: &Value) -> DateTime<Utc> {
    let text = value.as_str().expect("a time");
    text.parse().expect("a time")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_go_by_the_clock_of_the_embedded_estate_from_any_folder() {
    let mut estate = Estate::start(&["--requests-per-minute", "0"]);
    let banner = estate.said_until(&["State is kept in"]).await.join("\n");
    for told in [
        "/api/incidents what is wrong, who has it and what is next",
        "/inbox",
        " incidents list",
        " oncall who",
        " quiet list",
        " notify test pager",
    ] {
        assert!(banner.contains(told), "{told}: {banner}");
    }
    let settings: Value = serde_json::from_str(&estate.read("settings.json")).expect("JSON");
    let file = text(&settings["Values"]["POOLKEEPER_ESTATE"]);
    assert!(
        Path::new(&file).is_absolute() && Path::new(&file).is_file(),
        "{file}"
    );

    let days = chrono::Duration::days(9);
    estate
        .ask(
            "_sim/clock",
            json!({ "advanceSeconds": days.num_seconds() }),
        )
        .await;
    for words in [["oncall", "who", "--json"], ["quiet", "list", "--json"]] {
        let before = estate.now().await;
        assert!(before - Utc::now() > days - chrono::Duration::minutes(1));
        let at = time(&estate.command(&words).await["at"]);
        // It is asked how far it is ahead, which takes a moment.
        assert!(
            at >= before - chrono::Duration::seconds(1) && at <= estate.now().await,
            "{words:?}: {at}, and it was {before}"
        );
    }
    // What is kept quiet for an hour from now is so by that clock too.
    let add = "quiet add --rule some-rule --until +1h --reason tried --json";
    let added = estate.command(&add.split(' ').collect::<Vec<_>>()).await;
    assert!(time(&added["what"]["from"]) > Utc::now() + days - chrono::Duration::hours(1));
    let listed = estate.command(&["quiet", "list", "--json"]).await;
    let in_force = listed["inForce"].as_array().expect("a list");
    assert!(in_force.iter().any(|q| q["reason"] == "tried"), "{listed}");
    let listed = estate.command(&["incidents", "list", "--json"]).await;
    assert!(listed["incidents"].is_array(), "{listed}");
    estate.command(&["notify", "test", "pager"]).await;
    estate.stop().await;
}

/// The incident of this rule, of the newest one if there were more.
fn of_rule<'i>(incidents: &'i [Value], rule: &str) -> &'i Value {
    let mut all = incidents.iter();
    all.find(|incident| incident["key"]["rule"] == rule)
        .unwrap_or_else(|| panic!("no incident of {rule}: {incidents:#?}"))
}

fn recipients(incident: &Value) -> Vec<String> {
    let all = incident["recipients"].as_array().into_iter().flatten();
    all.map(|one| {
        let channel = one["contacts"][0]["channel"].as_str().unwrap_or_default();
        format!("{} by {channel}", text(&one["name"]))
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bad_day_comes_as_it_is_told_and_a_restart_heals() {
    let mut estate = Estate::start(&[
        "--requests-per-minute",
        "3",
        "--scenario",
        "bad-day",
        "--storm",
        "60",
    ]);
    let ends = ["The scenario is over", "the scenario ended early"];
    let said = tokio::time::timeout(Duration::from_secs(240), estate.said_until(&ends)).await;
    let said = said.expect("an end");
    let last = said.last().expect("a line");
    assert!(last.starts_with(ends[0]), "{said:#?}");

    let listed = estate
        .command(&["incidents", "list", "--most", "500", "--json"])
        .await;
    let incidents = listed["incidents"].as_array().expect("incidents");
    let inbox = estate.simulator("inbox.json").await;
    let sent = inbox["sent"].as_array().expect("what was sent");
    let told = |channel: &str, kind: &str, words: &str| {
        let fits = |one: &&Value| {
            one["channel"] == channel
                && one["kind"] == kind
                && text(&one["subject"]).contains(words)
        };
        sent.iter().filter(fits).count()
    };
    assert!(sent.iter().all(|one| !text(&one["subject"]).is_empty()));

    // The outage: restarted once, verified, healed, and over.
    let changes = estate.simulator("_sim/changes").await;
    let restarts = changes.as_array().expect("changes").iter();
    let restarts = restarts.filter(|line| text(line).contains("agent-api--a1b2c3: restarted"));
    assert!(restarts.count() >= 1, "{changes}");
    let made = estate.command(&["changes", "list", "--json"]).await;
    let made = made["changes"].as_array().expect("changes");
    let restart = made
        .iter()
        .filter(|made| made["change"]["kind"] == "app_restart")
        .min_by_key(|made| text(&made["proposed"]));
    let outcome = restart.map(|made| &made["outcome"]["is"]);
    assert_eq!(outcome, Some(&json!("verified")), "{made:#?}");
    let outage = of_rule(incidents, "agent-api-down");
    assert_eq!(outage["status"], "resolved", "{outage:#}");
    assert!(
        told(
            "pagerduty",
            "trigger",
            "agent-api-jpe is not well: status 503"
        ) >= 1
    );
    assert!(
        told(
            "servicenow",
            "create",
            "agent-api-jpe is not well: status 503"
        ) == 1
    );
    assert!(told("pagerduty", "resolve", "agent-api-jpe is not well") >= 1);

    // Coming and going is told once, and no fourth end was believed at once.
    let flapping = of_rule(incidents, "agent-worker-down");
    assert_eq!(flapping["turns"].as_array().map(Vec::len), Some(3));
    assert_eq!(told("servicenow", "update", "It comes and goes"), 1);
    assert_eq!(flapping["status"], "resolved", "{flapping:#}");
    assert!(told("servicenow", "update", "it has been calm for 15 minutes") >= 1);

    // The storm: so many alerts, and much fewer pages.
    let storm = of_rule(incidents, "alert-storm");
    assert_eq!(storm["priority"], "medium", "{storm:#}");
    let pages = told("pagerduty", "trigger", ": storm-");
    assert!((1..60).contains(&pages), "{pages} pages of 60 alerts");
    assert_eq!(told("pagerduty", "trigger", "A storm of alerts"), 1);

    // The boundary: the security line, and no machine ends it.
    let boundary = of_rule(incidents, "agent-api-boundary");
    assert_eq!(
        (&boundary["class"], &boundary["priority"]),
        (&json!("security"), &json!("critical"))
    );
    assert_ne!(boundary["status"], "resolved", "{boundary:#}");
    let who = recipients(boundary);
    assert!(
        who[0].starts_with("Security (security-") && who[0].ends_with("by pager"),
        "{who:?}"
    );

    // Night: L2 is not there, and L3 hears of it.
    let night = of_rule(incidents, "agent-api-errors");
    assert_eq!(
        (&night["priority"], &night["status"]),
        (&json!("high"), &json!("resolved"))
    );
    let who = recipients(night);
    assert!(
        who[0].starts_with("L3 (l3-") && who[0].ends_with("by pager"),
        "{who:?}"
    );
    assert_eq!(told("pagerduty", "trigger", "agent-api-errors fired"), 1);
    assert_eq!(told("pagerduty", "resolve", "agent-api-errors fired"), 1);
    estate.stop().await;
}

/// A figure of each minute of what `agent-api` answered, as Log Analytics gives it.
async fn answered(estate: &Estate) -> Vec<(DateTime<Utc>, f64, f64)> {
    let settings: Value = serde_json::from_str(&estate.read("settings.json")).expect("JSON");
    let setting = |name: &str| text(&settings["Values"][name]);
    let audience = "https%3A%2F%2Fapi.loganalytics.io";
    let token: Value = estate
        .http
        .get(format!(
            "{}?api-version=2019-08-01&resource={audience}",
            setting("IDENTITY_ENDPOINT")
        ))
        .header("x-identity-header", setting("IDENTITY_HEADER"))
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    let workspace = crate::world::estate().stamps[0].workspace.clone();
    let workspace = workspace.and_then(|workspace| workspace.customer_id);
    let query = "AppRequests | where AppRoleName == 'agent-api' \
                 | summarize failed = todouble(countif(toint(ResultCode) >= 500)) / count(), \
                   p95 = percentile(DurationMs, 95) by bin(TimeGenerated, 1m) | order by TimeGenerated asc";
    let answer = estate
        .http
        .post(format!(
            "{}/v1/workspaces/{}/query",
            setting("POOLKEEPER_LOGS_ENDPOINT"),
            workspace.expect("a workspace")
        ))
        .bearer_auth(token["access_token"].as_str().expect("a token"))
        .json(&json!({ "query": query, "timespan": "PT30M" }))
        .send()
        .await
        .expect("an answer");
    let answer: Value = answer.json().await.expect("JSON");
    let rows = answer["tables"][0]["rows"].as_array();
    let rows = rows.unwrap_or_else(|| panic!("no rows: {answer}"));
    let number = |value: &Value| value.as_f64().expect("a number");
    rows.iter()
        .map(|row| (time(&row[0]), number(&row[1]), number(&row[2])))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_logs_tell_of_what_is_wrong_with_an_app_for_as_long_as_it_is() {
    let mut estate = Estate::start(&["--requests-per-minute", "60", "--services-only"]);
    estate.said_until(&["What would be sent is at"]).await;
    // (what, the least share of failures, the least p95 in milliseconds)
    for (kind, least_failed, least_p95) in [
        (json!("hang"), 1.0, 30_000.0),
        (json!("crash"), 1.0, 0.0),
        (json!({ "slow": { "ms": 4000 } }), 0.0, 4000.0),
        (json!({ "fail": { "status": 500 } }), 0.9, 0.0),
    ] {
        let begun = estate.now().await;
        estate
            .ask("_sim/apps", json!({ "app": "agent-api", "kind": kind }))
            .await;
        estate
            .ask("_sim/clock", json!({ "advanceSeconds": 240 }))
            .await;
        let ended = estate.now().await;
        let healed = estate
            .http
            .delete(format!("{}/_sim/apps", estate.read("sim.url")))
            .header("x-sim-key", estate.read("sim.key"))
            .send()
            .await;
        assert!(healed.expect("an answer").status().is_success());
        estate
            .ask("_sim/clock", json!({ "advanceSeconds": 180 }))
            .await;
        let minute = chrono::Duration::minutes(1);
        let seen = crate::processes::until("it is told", Duration::from_secs(120), || async {
            let seen = answered(&estate).await;
            let last = seen.last().map(|(at, ..)| *at);
            last.is_some_and(|last| last >= ended + minute)
                .then_some(seen)
        })
        .await;
        let during: Vec<_> = seen
            .iter()
            .filter(|(at, ..)| *at >= begun + minute && *at + minute <= ended - minute)
            .collect();
        assert!(!during.is_empty(), "{kind}: {seen:#?}");
        for (at, failed, p95) in during {
            let is_told = *failed >= least_failed && *p95 >= least_p95;
            assert!(is_told, "{kind} at {at}: {failed}, {p95}");
        }
        let after: Vec<_> = seen
            .iter()
            .filter(|(at, ..)| *at > ended + minute)
            .collect();
        let well = after
            .iter()
            .filter(|(_, failed, p95)| *failed < 0.5 && *p95 < 4000.0);
        assert_eq!(well.count(), after.len(), "{kind}: {after:#?}");
    }
    estate.stop().await;
}
