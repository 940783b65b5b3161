//! Alert rules of the embedded estate: what they notice, what is posted, and what is not.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use poolkeeper::app::Clock;
use poolkeeper::local::simulator::{AlertRule, Crossing, Heals, Trouble, TroubleKind};
use serde_json::Value;

use crate::world::World;

/// A place that takes alerts, and answers as it is told to.
#[derive(Clone, Default)]
struct Receiver(Arc<Mutex<(Vec<Value>, u16)>>);

impl Receiver {
    async fn start(status: u16) -> (Self, String) {
        let receiver = Self::default();
        receiver.answer(status);
        let take = |State(Receiver(state)): State<Receiver>, body: String| async move {
            let mut state = state.lock().expect("a state");
            state.0.push(serde_json::from_str(&body).expect("JSON"));
            StatusCode::from_u16(state.1).expect("a status")
        };
        let router = Router::new()
            .route("/", post(take))
            .with_state(receiver.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        (receiver, url)
    }

    fn answer(&self, status: u16) {
        self.0.lock().expect("a state").1 = status;
    }

    fn count(&self) -> usize {
        self.0.lock().expect("a state").0.len()
    }

    fn essentials(&self) -> Vec<Value> {
        let state = self.0.lock().expect("a state");
        state
            .0
            .iter()
            .map(|body| body["data"]["essentials"].clone())
            .collect()
    }
}

fn down(minutes: u32) -> AlertRule {
    AlertRule {
        name: "agent-api-down".into(),
        what: Crossing::Outage,
        app: "agent-api".into(),
        tenant: None,
        severity: "Sev1".into(),
        target: None,
        minutes,
    }
}

fn crash(minutes: u32) -> Trouble {
    Trouble::new(TroubleKind::Crash, Heals::Time { minutes })
}

#[tokio::test]
async fn an_outage_fires_and_is_resolved_by_the_clock_of_the_estate() {
    let world = World::start().await;
    let simulator = &world.simulator;
    let (receiver, url) = Receiver::start(202).await;
    simulator.post_alerts_to(&url);
    simulator.alert_rule(down(1)).await;
    simulator.app_trouble("agent-api", crash(10)).await;
    simulator.look_at_rules().await;
    assert_eq!(receiver.count(), 0, "it was so for no minute yet");
    simulator.advance(Duration::from_secs(61));
    for _ in 0..2 {
        simulator.look_at_rules().await;
        assert_eq!(receiver.count(), 1, "it fires once");
    }
    simulator.advance(Duration::from_secs(10 * 60));
    simulator.look_at_rules().await;
    simulator.advance(Duration::from_secs(61));
    simulator.look_at_rules().await;
    let told = receiver.essentials();
    let conditions: Vec<&Value> = told.iter().map(|told| &told["monitorCondition"]).collect();
    assert_eq!(conditions, ["Fired", "Resolved"]);
    assert_eq!(told[0]["alertId"], told[1]["alertId"]);
    assert_eq!(told[0]["firedDateTime"], told[1]["firedDateTime"]);
    let target = told[0]["alertTargetIDs"][0].as_str().expect("a target");
    assert!(target.ends_with("/containerapps/agent-api"), "{target}");
    // It is there to be read back.
    let id = told[0]["alertId"]
        .as_str()
        .expect("an id")
        .rsplit('/')
        .next()
        .expect("a name");
    let path = format!("{target}/providers/Microsoft.AlertsManagement/alerts/{id}");
    let token = world.token("https://management.azure.com").await;
    let url = format!("{}{path}?api-version=2019-03-01", simulator.url());
    let request = world.http.get(url).bearer_auth(token);
    let alert: Value = request
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    assert_eq!(
        alert["properties"]["essentials"]["monitorCondition"],
        "Resolved"
    );
}

#[tokio::test]
async fn an_alert_that_is_not_taken_is_posted_again_and_then_there_is_silence() {
    let world = World::start().await;
    let simulator = &world.simulator;
    let (receiver, url) = Receiver::start(503).await;
    simulator.post_alerts_to(&url);
    simulator.alert_rule(down(0)).await;
    simulator.app_trouble("agent-api", crash(10_000)).await;
    simulator.look_at_rules().await;
    let mut posts = vec![receiver.count()];
    for seconds in [4, 1, 20, 5, 40, 5, 60] {
        simulator.advance(Duration::from_secs(seconds));
        simulator.look_at_rules().await;
        posts.push(receiver.count());
    }
    assert_eq!(
        posts,
        [1, 1, 2, 3, 4, 5, 6, 6],
        "six attempts and no seventh"
    );
    receiver.answer(202);
    simulator.heal_app("agent-api").await;
    simulator.look_at_rules().await;
    assert_eq!(receiver.count(), 6, "what happens in the silence is lost");
    simulator.advance(Duration::from_secs(15 * 60));
    simulator.app_trouble("agent-api", crash(10_000)).await;
    simulator.look_at_rules().await;
    assert_eq!(receiver.count(), 7);
    receiver.answer(400);
    simulator.heal_app("agent-api").await;
    simulator.look_at_rules().await;
    simulator.advance(Duration::from_secs(600));
    simulator.look_at_rules().await;
    assert_eq!(receiver.count(), 8, "what is refused is not posted again");
}

#[tokio::test]
async fn what_telemetry_tells_of_is_noticed_too() {
    let world = World::start().await;
    let simulator = &world.simulator;
    let (receiver, url) = Receiver::start(202).await;
    simulator.post_alerts_to(&url);
    let rule = AlertRule {
        name: "boundary".into(),
        what: Crossing::Boundary,
        severity: "Sev0".into(),
        ..down(0)
    };
    let http = |path: &str| {
        let url = format!("{}{path}", simulator.url());
        world
            .http
            .post(url)
            .header("x-sim-key", simulator.sim_key())
    };
    let added = http("/_sim/rules")
        .json(&rule)
        .send()
        .await
        .expect("an answer");
    assert_eq!(added.status(), 204);
    let nowhere = AlertRule {
        app: "nothing".into(),
        ..rule.clone()
    };
    let refused = http("/_sim/rules")
        .json(&nowhere)
        .send()
        .await
        .expect("an answer");
    assert_eq!(refused.status(), 404);
    simulator.look_at_rules().await;
    assert_eq!(receiver.count(), 0);
    let fault = serde_json::json!({ "fault": "boundary,tenant=tenant-a,for=30m" });
    let begun = http("/_sim/telemetry/faults")
        .json(&fault)
        .send()
        .await
        .expect("an answer");
    assert_eq!(begun.status(), 204);
    simulator.look_at_rules().await;
    assert_eq!(receiver.essentials()[0]["severity"], "Sev0");
    assert_eq!(simulator.alert_rules().await, [rule]);
}

#[tokio::test]
async fn the_handler_takes_what_the_action_group_posts() {
    let world = World::start().await;
    let base = world.handler(Clock::System).await;
    let simulator = &world.simulator;
    simulator.post_alerts_to(&format!("{base}/api/alerts"));
    simulator.alert_rule(down(0)).await;
    simulator.app_trouble("agent-api", crash(5)).await;
    simulator.look_at_rules().await;
    let runs = world.get(format!("{base}/api/runs")).await;
    let accepted = runs["accepted"].as_array().map_or(0, Vec::len);
    assert_eq!(accepted, 1, "{runs}");
}
