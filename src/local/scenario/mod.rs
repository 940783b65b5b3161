//! Written scenarios: trouble that is played to a newcomer, with narration. They do what they do, and
//! see what they see, by HTTP.
//!
//! Nothing goes by the clock on the wall: the estate's clock moves a minute when all that was due in
//! the last one has been done, and a step is over when what it promises has been seen. So a slow
//! machine plays the same, only later.

use std::time::Duration;

use anyhow::Context as _;
use chrono::{DateTime, NaiveTime, TimeDelta, TimeZone as _, Utc};
use chrono_tz::Tz;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::host::Host;
use super::teller::Teller;
use crate::domain::ChangeKind;
use crate::estate::Estate;

/// The scenarios that there are, by name.
pub const SCENARIOS: [&str; 1] = ["bad-day"];
const BAD_DAY: &str = include_str!("bad-day.toml");

/// How often it is looked whether all is done.
const LOOK: Duration = Duration::from_millis(50);
/// What is not done by then is done beside what comes next.
const PATIENCE: Duration = Duration::from_secs(120);
/// So much news is told of a minute; the rest is counted.
const MOST_NEWS: usize = 6;
/// Rules of a storm are called so, and a number.
const STORM: &str = "storm-";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    #[serde(default)]
    say: Option<String>,
    /// The clock goes on to this time of the estate's day first.
    #[serde(default)]
    until: Option<NaiveTimeText>,
    /// So many minutes go by at once, after what the step does.
    #[serde(default)]
    later: u32,
    /// So many alert rules watch `agent-api` for an outage, until the scenario is over.
    #[serde(default)]
    storm: Option<u32>,
    /// As `/_sim/apps` takes it.
    #[serde(default)]
    trouble: Option<Value>,
    /// As `/_sim/telemetry/faults` takes it.
    #[serde(default)]
    telemetry: Option<String>,
    /// The severity that errors of `agent-api` have from now on.
    #[serde(default)]
    raise_errors: Option<String>,
    /// Everything that goes wrong ends.
    #[serde(default)]
    heal: bool,
    /// So many minutes of the estate's clock go by, or fewer where all of `sees` was seen before.
    #[serde(default)]
    minutes: u32,
    /// Each of these stands in a line of the step's news, or the scenario has failed.
    #[serde(default)]
    sees: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct NaiveTimeText(NaiveTime);

impl TryFrom<String> for NaiveTimeText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let time = NaiveTime::parse_from_str(&text, "%H:%M");
        time.map(Self)
            .map_err(|_| format!("`{text}` is no time such as 08:30"))
    }
}

/// Where a scenario is played.
pub(super) struct Stage<'a> {
    /// The simulator.
    pub(super) simulator: String,
    pub(super) key: String,
    pub(super) zone: Tz,
    /// Whose timers fire, and whose front says what is still worked on.
    pub(super) host: &'a Host,
    pub(super) teller: Option<&'a Teller>,
}

/// The estate with restarts, flushes and replicas in mode act, as its text.
///
/// Errors: the text is no estate.
pub(super) fn acting(text: &str) -> anyhow::Result<String> {
    let mut estate: toml::Table = text.parse().context("read the estate")?;
    let policies = estate
        .entry("policy")
        .or_insert_with(|| toml::Table::new().into());
    let policies = policies.as_table_mut().context("`policy` is no table")?;
    for kind in ChangeKind::ALL {
        if !matches!(
            kind.as_str(),
            "app_restart" | "app_replicas" | "cache_flush"
        ) {
            continue;
        }
        let policy = policies
            .entry(kind.as_str())
            .or_insert_with(|| toml::Table::new().into());
        if let Some(policy) = policy.as_table_mut() {
            policy.insert("mode".into(), "act".into());
        }
    }
    let text = toml::to_string(&estate)?;
    Estate::parse(&text)?;
    Ok(text)
}

impl Stage<'_> {
    /// Plays a scenario to its end; `tell` gets each line of the narration. `storm`: how many alert
    /// rules a storm has, instead of what is written.
    ///
    /// Errors: there is no such scenario, the simulator does not do what it is asked, or something
    /// that a step promises did not come.
    pub(super) async fn play(
        &self,
        name: &str,
        storm: Option<u32>,
        tell: impl Fn(&str),
    ) -> anyhow::Result<()> {
        let text = match name {
            "bad-day" => BAD_DAY,
            _ => anyhow::bail!("there is no scenario `{name}`: {}", SCENARIOS.join(", ")),
        };
        let scenario: Scenario = toml::from_str(text).context("read the scenario")?;
        let http = reqwest::Client::builder().no_proxy().build()?;
        let mut known = self.state(&http).await?;
        let size = scenario.steps.iter().find_map(|step| step.storm);
        let size = storm.or(size).unwrap_or_default().to_string();
        for step in &scenario.steps {
            if let Some(until) = &step.until {
                let now = self.now(&http).await?;
                let seconds = seconds_until(now, until.0, self.zone);
                self.advance(&http, seconds).await?;
            }
            if let Some(say) = &step.say {
                let say = say.replace("{storm}", &size);
                tell(&format!("\n[{}] {say}", self.time(&http).await?));
            }
            self.act(&http, step, storm).await?;
            if step.later > 0 {
                self.advance(&http, i64::from(step.later) * 60).await?;
            }
            let mut unseen: Vec<&String> = step.sees.iter().collect();
            for minute in 0..=step.minutes {
                if minute > 0 {
                    self.advance(&http, 60).await?;
                }
                self.settle(&http).await?;
                let state = self.state(&http).await?;
                let time = self.time(&http).await?;
                let news = news(&known, &state);
                for line in told(&news) {
                    tell(&format!("  {time}  {line}"));
                }
                unseen.retain(|text| !news.iter().any(|line| line.contains(text.as_str())));
                known = state;
                if unseen.is_empty() && !step.sees.is_empty() {
                    break;
                }
            }
            anyhow::ensure!(
                unseen.is_empty(),
                "it is {}, and nobody has seen: {unseen:?}",
                self.time(&http).await?
            );
        }
        let rules = format!("rules?prefix={STORM}");
        self.send(&http, Method::DELETE, &rules, Value::Null)
            .await?;
        tell(&format!(
            "\nThe scenario is over: {} messages, {} tickets, {} of them open, {} changes of the estate.",
            known.sent.len(),
            known.tickets.len(),
            known
                .tickets
                .iter()
                .filter(|ticket| ticket["open"] == true)
                .count(),
            known.changes.len()
        ));
        Ok(())
    }

    /// Moves the clock, when telemetry tells of the time until then: an application that runs is not
    /// silent for a night because nobody waited for it.
    async fn advance(&self, http: &reqwest::Client, seconds: i64) -> anyhow::Result<()> {
        let then = self.now(http).await? + TimeDelta::seconds(seconds);
        let minute = then.timestamp().div_euclid(60);
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while self.teller.is_some_and(|teller| !teller.has_told(minute)) {
            if tokio::time::Instant::now() >= deadline {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
        let body = json!({ "advanceSeconds": seconds });
        self.send(http, Method::POST, "clock", body).await.map(drop)
    }

    /// Waits until what is due by the estate's clock is done: alerts are raised, each timer has come
    /// to its end, and no run waits.
    async fn settle(&self, http: &reqwest::Client) -> anyhow::Result<()> {
        self.send(http, Method::POST, "rules/look", Value::Null)
            .await?;
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while tokio::time::Instant::now() < deadline {
            if self.host.has_ticked() && self.waiting(http).await? == 0 {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// How many runs are not finished.
    async fn waiting(&self, http: &reqwest::Client) -> anyhow::Result<u64> {
        let url = format!("{}/api/runs?most=1", self.host.url());
        let runs: Value = http.get(url).send().await?.json().await?;
        runs["waiting"]
            .as_u64()
            .context("the front does not say how many runs wait")
    }

    async fn act(
        &self,
        http: &reqwest::Client,
        step: &Step,
        storm: Option<u32>,
    ) -> anyhow::Result<()> {
        if step.heal {
            for what in ["apps", "telemetry/faults"] {
                self.send(http, Method::DELETE, what, Value::Null).await?;
            }
        }
        if let Some(count) = step.storm.map(|count| storm.unwrap_or(count)) {
            for number in 1..=count {
                let name = format!("{STORM}{number:03}");
                self.rule(http, &name, "outage", "Sev2", 0).await?;
            }
        }
        if let Some(severity) = &step.raise_errors {
            self.rule(http, "agent-api-errors", "errors", severity, 1)
                .await?;
        }
        if let Some(trouble) = &step.trouble {
            self.send(http, Method::POST, "apps", trouble.clone())
                .await?;
        }
        if let Some(fault) = &step.telemetry {
            let body = json!({ "fault": fault });
            self.send(http, Method::POST, "telemetry/faults", body)
                .await?;
        }
        Ok(())
    }

    async fn rule(
        &self,
        http: &reqwest::Client,
        name: &str,
        what: &str,
        severity: &str,
        minutes: u32,
    ) -> anyhow::Result<()> {
        let rule = json!({
            "name": name, "what": what, "app": "agent-api", "severity": severity, "minutes": minutes,
        });
        self.send(http, Method::POST, "rules", rule).await.map(drop)
    }

    async fn send(
        &self,
        http: &reqwest::Client,
        method: Method,
        what: &str,
        body: Value,
    ) -> anyhow::Result<reqwest::Response> {
        let url = format!("{}/_sim/{what}", self.simulator);
        let request = http.request(method, url).header("x-sim-key", &self.key);
        let answer = request.json(&body).send().await;
        let answer = answer.and_then(reqwest::Response::error_for_status);
        answer.with_context(|| format!("ask the simulator for `{what}`"))
    }

    async fn now(&self, http: &reqwest::Client) -> anyhow::Result<DateTime<Utc>> {
        let told: Value = self
            .send(http, Method::GET, "now", Value::Null)
            .await?
            .json()
            .await?;
        let now = told["now"].as_str().and_then(|text| text.parse().ok());
        now.context("the simulator says no time")
    }

    async fn time(&self, http: &reqwest::Client) -> anyhow::Result<String> {
        let now = self.now(http).await?.with_timezone(&self.zone);
        Ok(now.format("%a %H:%M:%S").to_string())
    }

    async fn state(&self, http: &reqwest::Client) -> anyhow::Result<State> {
        let get = async |what: &str| -> anyhow::Result<Value> {
            let answer = self.send(http, Method::GET, what, Value::Null).await?;
            Ok(answer.json().await?)
        };
        let outside = get("outside").await?;
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        Ok(State {
            sent: list(&outside["sent"]),
            tickets: list(&outside["tickets"]),
            changes: list(&get("changes").await?),
        })
    }
}

/// What has become of the estate and of those outside so far.
struct State {
    sent: Vec<Value>,
    tickets: Vec<Value>,
    changes: Vec<Value>,
}

/// What is new, a line each.
fn news(before: &State, after: &State) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let changes = after.changes.iter().skip(before.changes.len());
    let mut lines: Vec<String> = changes
        .map(|line| format!("changed: {}", text(line)))
        .collect();
    for sent in after.sent.iter().skip(before.sent.len()) {
        let (channel, kind) = (text(&sent["channel"]), text(&sent["kind"]));
        lines.push(format!("{channel} {kind}: {}", text(&sent["subject"])));
    }
    lines
}

/// What people get to read of it.
fn told(news: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = news.iter().take(MOST_NEWS).cloned().collect();
    if news.len() > lines.len() {
        lines.push(format!("and {} more", news.len() - lines.len()));
    }
    lines
}

/// Seconds to the next time that it is `at` in the zone.
fn seconds_until(now: DateTime<Utc>, at: NaiveTime, zone: Tz) -> i64 {
    let today = now.with_timezone(&zone).date_naive();
    let next = (0..3).find_map(|days| {
        let day = today + TimeDelta::days(days);
        let time = zone.from_local_datetime(&day.and_time(at)).earliest()?;
        (time > now).then_some(time)
    });
    next.map_or(0, |next| (next.with_timezone(&Utc) - now).num_seconds())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_can_be_read() {
        let scenario: Scenario = toml::from_str(BAD_DAY).expect("a scenario");
        assert!(scenario.steps.iter().any(|step| step.storm == Some(500)));
    }

    #[test]
    fn the_next_time_of_the_day_is_found_in_the_zone_of_the_estate() {
        let zone = chrono_tz::Asia::Tokyo;
        let half_past_eight = NaiveTime::from_hms_opt(8, 30, 0).expect("a time");
        for (now, seconds) in [
            ("2026-05-03T23:00:00Z", 30 * 60),
            ("2026-05-03T23:30:00Z", 24 * 3600),
            ("2026-05-04T00:30:00Z", 23 * 3600),
        ] {
            let now: DateTime<Utc> = now.parse().expect("a time");
            assert_eq!(seconds_until(now, half_past_eight, zone), seconds, "{now}");
        }
    }

    #[test]
    fn restarts_flushes_and_replicas_act_in_the_estate_of_a_scenario_and_nothing_else_does() {
        let text = acting(include_str!("../../../infra/estate.toml")).expect("an estate");
        let estate: toml::Table = text.parse().expect("TOML");
        for (kind, mode) in [
            ("app_restart", "act"),
            ("app_replicas", "act"),
            ("cosmos_throughput", "propose"),
            ("log_deletion", "propose"),
        ] {
            assert_eq!(
                estate["policy"][kind]["mode"].as_str(),
                Some(mode),
                "{kind}"
            );
        }
        assert!(acting("no [ toml").is_err());
    }
}
