//! Webhooks that are there before Azure's own list of alerts knows of what they say.

use chrono::{DateTime, TimeDelta};
use poolkeeper::app::{App, Clock};
use poolkeeper::domain::Trust;
use poolkeeper::operations::incidents::{Filter, Shown, list, show};

use crate::alerts::{alert, known};
use crate::world::World;

/// When the alerts of this page fire.
const FIRED: &str = "2026-03-02T06:00:00Z";

struct Story {
    world: World,
}

impl Story {
    fn clock(seconds: i64) -> Clock {
        let fired = DateTime::parse_from_rfc3339(FIRED).expect("a time");
        Clock::Fixed(fired.to_utc() + TimeDelta::seconds(seconds))
    }

    fn app(&self, seconds: i64) -> App {
        self.world.app(Self::clock(seconds))
    }

    /// A webhook so many seconds after it fired, and its message: what the run says of itself.
    async fn webhook(&self, seconds: i64, id: &str, condition: &str) -> String {
        let base = self.world.handler(Self::clock(seconds)).await;
        let body = alert(id, condition);
        let (status, answer) = self.world.post(format!("{base}/api/alerts"), &body).await;
        assert_eq!(status, 202, "{answer}");
        let run = answer["run"].as_str().expect("a run").to_owned();
        assert_eq!(self.world.deliver(&base, &run).await, 200);
        run
    }

    async fn state(&self, run: &str) -> String {
        let base = self.world.handler(Self::clock(0)).await;
        let run = self.world.get(format!("{base}/api/runs/{run}")).await;
        run["state"].as_str().expect("a state").to_owned()
    }

    /// Ticks in this second, by another process; the incidents there are then.
    async fn tick(&self, seconds: i64) -> Vec<Shown> {
        let base = self.world.handler(Self::clock(seconds)).await;
        self.world.tick(&base, "minute-tick").await;
        let app = self.app(seconds);
        let page = list(&app, &Filter::default(), None, 50).await;
        let mut found = Vec::new();
        for one in page.expect("a page").incidents {
            let shown = show(&app, &one.id).await.expect("shown");
            found.push(shown.expect("an incident"));
        }
        found
    }
}

#[tokio::test]
async fn an_alert_that_azure_knows_late_is_not_lost_and_a_forged_one_wakes_nobody() {
    let story = Story {
        world: World::start_unrecorded().await,
    };
    let early = story.webhook(20, "early", "Fired").await;
    let forged = story.webhook(30, "forged", "Fired").await;
    for seconds in [60, 120, 180] {
        assert_eq!(story.tick(seconds).await.len(), 0, "{seconds}");
    }
    assert_eq!(story.state(&early).await, "running");
    // Sent again, it is the same run, and still too early.
    assert_eq!(story.webhook(181, "early", "Fired").await, early);

    known(&story.world, "early", "Fired").await;
    let found = story.tick(240).await;
    assert_eq!(found.len(), 1);
    assert!(matches!(found[0].incident.trust, Trust::Confirmed { .. }));
    assert!(found[0].incident.title.contains("p95"));
    assert!(!found[0].told.is_empty());
    assert_eq!(story.state(&early).await, "succeeded");

    for minute in 5..10 {
        assert_eq!(story.tick(minute * 60 + 59).await.len(), 1, "{minute}");
    }
    assert_eq!(story.state(&forged).await, "running");
    let found = story.tick(600).await;
    assert_eq!(found.len(), 2);
    let denied = found
        .iter()
        .find(|one| matches!(one.incident.trust, Trust::Denied { .. }))
        .expect("one that is denied");
    let told: Vec<&str> = denied
        .told
        .iter()
        .map(|one| one.recipient.as_str())
        .collect();
    assert!(
        told.iter().all(|one| one.starts_with("Security")),
        "{told:?}"
    );
    assert_eq!(story.state(&forged).await, "succeeded_with_findings");
    // It was asked eleven times, and no process is held to have died over it.
    assert_eq!(story.tick(660).await.len(), 2);
}

#[tokio::test]
async fn an_end_that_azure_knows_late_ends_the_incident_all_the_same() {
    let story = Story {
        world: World::start_unrecorded().await,
    };
    known(&story.world, "a", "Fired").await;
    story.webhook(5, "a", "Fired").await;
    let ended = story.webhook(310, "a", "Resolved").await;
    let open = |found: &[Shown]| found[0].incident.resolved.is_none();
    assert!(open(&story.tick(360).await));
    assert_eq!(story.state(&ended).await, "running");
    known(&story.world, "a", "Resolved").await;
    assert!(!open(&story.tick(420).await));
    assert_eq!(story.state(&ended).await, "succeeded");

    // Where Azure goes on saying that it fires, it does.
    let story = Story {
        world: World::start_unrecorded().await,
    };
    known(&story.world, "b", "Fired").await;
    story.webhook(5, "b", "Fired").await;
    let claimed = story.webhook(310, "b", "Resolved").await;
    assert_eq!(story.tick(899).await.len(), 1);
    assert_eq!(story.state(&claimed).await, "running");
    let found = story.tick(900).await;
    assert!(open(&found), "{:?}", found[0].incident);
    assert_eq!(story.state(&claimed).await, "succeeded_with_findings");
}
