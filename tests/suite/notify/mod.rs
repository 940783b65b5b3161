//! People and ticket systems are told: the outbox over every kind of channel.

mod mail;
mod outside;
mod secrets;
mod trouble;

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use poolkeeper::app::{App, Clock};
use poolkeeper::domain::{Act, Class, Contact, GroupKey, IncidentId, Message, Notice, Priority};
use poolkeeper::notify::{self, ToldState};

use crate::world::World;
use outside::{Outside, Trouble};

/// One channel of each kind, beside those of the estate that ships.
const CHANNELS: &str = r#"
[[channels]]
name = "slack"
kind = "slack"
secret = "SLACK"

[[channels]]
name = "issues"
kind = "jira"
url = "https://example.atlassian.net"
user = "poolkeeper@example.com"
secret = "ISSUES"
project = "OPS"

[[channels]]
name = "boards"
kind = "azure_devops"
url = "https://dev.azure.com/example"
project = "Operations"

[[channels]]
name = "boards-token"
kind = "azure_devops"
url = "https://dev.azure.com/example"
project = "Operations"
secret = "BOARDS"

[[channels]]
name = "tickets-oauth"
kind = "servicenow"
url = "https://example.service-now.com"
client_id = "client"
secret = "TICKETS"

[[channels]]
name = "azure-mail"
kind = "acs_email"
url = "https://example.communication.azure.com"
from = "poolkeeper@example.com"
to = "operations@example.com"

[[channels]]
name = "tenant-a"
kind = "webhook"
url = "https://hooks.example.com/poolkeeper"
secret = "TENANT_A"
tenants = ["tenant-a"]
"#;

pub(crate) const SECRETS: [(&str, &str); 8] = [
    ("PAGER", "pager-secret-0123456789abcdef0123"),
    ("MAIL", "mail-secret-0123456789"),
    (
        "CHAT",
        "https://example.logic.azure.com/workflows/chat-path-secret/triggers?sp=run&sig=chat-sig-secret",
    ),
    ("TICKETS", "tickets-secret-0123456789"),
    (
        "SLACK",
        "https://hooks.slack.com/services/T0/B0/slack-path-secret",
    ),
    ("ISSUES", "issues-secret-0123456789"),
    ("BOARDS", "boards-secret-0123456789"),
    ("TENANT_A", "tenant-a-secret-0123456789"),
];

/// A world, and what its channels lead to.
struct Scene {
    _world: World,
    outside: Outside,
    settings: BTreeMap<String, String>,
}

impl Scene {
    async fn new() -> Self {
        let (world, outside) = (World::start_unrecorded().await, Outside::start().await);
        let mut settings = world.settings_with_estate(|estate| format!("{estate}\n{CHANNELS}"));
        settings.insert("POOLKEEPER_OUTSIDE_ENDPOINT".into(), outside.base.clone());
        for (name, secret) in SECRETS {
            settings.insert(format!("POOLKEEPER_SECRET_{name}"), secret.to_owned());
        }
        Self {
            _world: world,
            outside,
            settings,
        }
    }

    /// One more process, so many seconds after the beginning.
    fn at(&self, seconds: i64) -> App {
        World::app_with(&self.settings, Clock::Fixed(noon(seconds)))
    }

    /// A minute tick.
    async fn tick(&self, seconds: i64) -> notify::Drained {
        let app = self.at(seconds);
        notify::drain(&app, Duration::from_secs(30))
            .await
            .expect("drained")
    }

    async fn told(&self, number: u32) -> Vec<notify::Told> {
        notify::told(&self.at(0), &incident(number))
            .await
            .expect("told")
    }
}

fn noon(seconds: i64) -> DateTime<Utc> {
    let noon: DateTime<Utc> = "2026-03-02T12:00:00Z".parse().expect("a time");
    noon + chrono::Duration::seconds(seconds)
}

fn incident(number: u32) -> IncidentId {
    let key = GroupKey {
        rule: "p95".into(),
        tenant: None,
        resource: None,
    };
    IncidentId::new(&key, number)
}

fn notice(number: u32, id: &str, act: Act, channels: &[&str]) -> Notice {
    Notice {
        id: id.into(),
        recipient: "l1 (l1-a)".into(),
        contacts: channels
            .iter()
            .map(|channel| Contact {
                channel: (*channel).into(),
                to: String::new(),
            })
            .collect(),
        message: Message {
            incident: incident(number),
            act,
            priority: Priority::Critical,
            class: Class::Operations,
            tenant: None,
            title: "p95 is above 3 s".into(),
            text: "応答が遅い。".into(),
            facts: vec![("p95".into(), "3.4 s".into())],
            link: None,
            at: noon(0),
        },
    }
}

const PAGER: &str = "events.pagerduty.com";
const TICKETS: &str = "example.service-now.com";

#[tokio::test]
async fn every_kind_of_channel_creates_updates_and_resolves() {
    let scene = Scene::new().await;
    let app = scene.at(0);
    for (channel, ticket, said) in [
        ("pager", None, ["queued", "nothing to page for", "resolved"]),
        ("mail", None, ["taken by the stand-in"; 3]),
        ("chat", None, ["posted"; 3]),
        ("slack", None, ["posted"; 3]),
        (
            "tickets",
            Some("INC0000001"),
            ["opened", "noted", "resolved"],
        ),
        (
            "tickets-oauth",
            Some("INC0000002"),
            ["opened", "noted", "resolved"],
        ),
        ("issues", Some("OPS-1"), ["opened", "noted", "closed"]),
        ("boards", Some("#1"), ["opened", "noted", "closed"]),
        ("boards-token", Some("#2"), ["opened", "noted", "closed"]),
        ("azure-mail", None, ["sent"; 3]),
        ("tenant-a", None, ["taken with status 200"; 3]),
    ] {
        let trial = notify::trial(&app, channel, "").await.expect("a trial");
        assert!(trial.findings.is_empty(), "{channel}: {:?}", trial.findings);
        let found: Vec<&str> = trial.answers.iter().map(|a| a.said.as_str()).collect();
        assert_eq!(found, said, "{channel}");
        assert_eq!(trial.ticket.as_deref(), ticket, "{channel}");
    }
    for (system, count) in [("servicenow", 2), ("jira", 1), ("azure_devops", 2)] {
        let tickets = scene.outside.tickets(system);
        assert_eq!(tickets.len(), count, "{system}");
        assert!(tickets.iter().all(|(_, closed)| *closed), "{system}");
    }
    // Who signs in, and how.
    let first =
        |host: &str, at: usize| scene.outside.came(host)[at].headers["authorization"].clone();
    assert!(first("dev.azure.com", 0).starts_with("Bearer "));
    assert!(first("dev.azure.com", 5).starts_with("Basic "));
    assert!(first(TICKETS, 0).starts_with("Basic "));
    assert!(first("example.communication.azure.com", 0).starts_with("Bearer "));
    let oauth = scene.outside.came(TICKETS);
    assert!(oauth.iter().any(|c| {
        c.headers
            .get("authorization")
            .is_some_and(|a| a == "Bearer servicenow-token")
    }));
    let mail = &scene.outside.came("smtp")[0];
    assert_eq!(mail.path, "/smtp.example.com");
    assert_eq!(mail.headers["x-mail-to"], "operations@example.com");
    assert_eq!(scene.outside.tickets("acs").len(), 3, "one mail each");
}

#[tokio::test]
async fn a_channel_without_its_secret_is_a_finding_and_its_notices_go_elsewhere() {
    let mut scene = Scene::new().await;
    scene.settings.remove("POOLKEEPER_SECRET_PAGER");
    let app = scene.at(0);
    let trial = notify::trial(&app, "pager", "").await.expect("a trial");
    assert_eq!(trial.findings[0].code, "secret-missing");
    assert!(
        trial.findings[0]
            .message
            .contains("POOLKEEPER_SECRET_PAGER")
    );
    assert!(notify::trial(&app, "nobody", "").await.is_err());
    notify::post(&app, &notice(1, "opened.0", Act::Trigger, &["pager"]))
        .await
        .expect("posted");
    let done = notify::deliver(&app, &incident(1))
        .await
        .expect("delivered");
    // The channel's fallback is mail.
    assert_eq!((done.delivered, done.handed_over, done.waiting), (1, 1, 0));
    let told = scene.told(1).await;
    assert_eq!(told[0].channel, "mail");
    assert_eq!(told[0].attempts.len(), 3, "{:?}", told[0].attempts);
    assert!(scene.outside.came(PAGER).is_empty());
}

#[tokio::test]
async fn a_notice_is_kept_once_and_delivered_once_whoever_is_at_it() {
    let scene = Scene::new().await;
    let (one, other) = (scene.at(0), scene.at(1));
    let notice = notice(1, "opened.0", Act::Trigger, &["pager"]);
    for app in [&one, &other, &one] {
        notify::post(app, &notice).await.expect("posted");
    }
    let id = incident(1);
    let (a, b, c) = tokio::join!(
        notify::deliver(&one, &id),
        notify::deliver(&other, &id),
        notify::drain(&other, Duration::from_secs(5)),
    );
    let delivered =
        a.expect("done").delivered + b.expect("done").delivered + c.expect("done").delivered;
    assert_eq!(delivered, 1);
    // Posted once more after it is delivered: nothing more comes.
    notify::post(&one, &notice).await.expect("posted");
    scene.tick(60).await;
    assert_eq!(scene.outside.came(PAGER).len(), 1);
    let told = scene.told(1).await;
    assert_eq!(told.len(), 1);
    assert!(
        matches!(told[0].state, ToldState::Delivered { .. }),
        "{told:?}"
    );
    let (waiting, count) = notify::pending(&one).await.expect("pending");
    assert_eq!((waiting.len(), count), (0, 0));
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused() {
    let scene = Scene::new().await;
    let app = scene.at(0);
    for (id, channels) in [
        ("", &["pager"][..]),
        ("../x", &["pager"]),
        ("a b", &["pager"]),
        ("opened.0", &[]),
        ("opened.0", &["../pager"]),
    ] {
        let refused = notify::post(&app, &notice(1, id, Act::Trigger, channels)).await;
        assert!(refused.is_err(), "{id} {channels:?}");
    }
    assert!(scene.told(1).await.is_empty());
}

#[tokio::test]
async fn order_outlives_trouble_and_a_restart() {
    let scene = Scene::new().await;
    scene.outside.always(PAGER, Trouble::status(500));
    let app = scene.at(0);
    // One contact whose channel has no fallback that could take it.
    for (id, act) in [
        ("opened.0", Act::Trigger),
        ("acknowledged.0", Act::Acknowledge),
        ("resolved.0", Act::Resolve),
    ] {
        notify::post(&app, &notice(1, id, act, &["tickets"]))
            .await
            .expect("posted");
        notify::post(&app, &notice(2, id, act, &["pager"]))
            .await
            .expect("posted");
    }
    let done = notify::deliver(&app, &incident(2))
        .await
        .expect("delivered");
    assert_eq!((done.delivered, done.waiting), (0, 3));
    assert_eq!(scene.outside.seen(PAGER, "event_action"), ["trigger"]);
    drop(app);
    scene.outside.heal(PAGER);
    // Another process, a minute later.
    let done = scene.tick(60).await;
    assert_eq!((done.delivered, done.waiting), (6, 0), "{done:?}");
    assert_eq!(
        scene.outside.seen(PAGER, "event_action"),
        ["trigger", "trigger", "acknowledge", "resolve"]
    );
    assert_eq!(
        scene.outside.tickets("servicenow"),
        [(incident(1).to_string(), true)]
    );
    let told = scene.told(1).await;
    assert!(
        told.iter()
            .all(|t| t.ticket.as_deref() == Some("INC0000001")),
        "{told:?}"
    );
    let ids: Vec<&str> = told.iter().map(|t| t.notice.as_str()).collect();
    assert_eq!(ids, ["opened.0", "acknowledged.0", "resolved.0"]);
}

#[tokio::test]
async fn a_ticket_whose_acknowledgement_is_lost_is_not_opened_twice() {
    let scene = Scene::new().await;
    for (number, channel, host, system) in [
        (1, "tickets", TICKETS, "servicenow"),
        (2, "issues", "example.atlassian.net", "jira"),
        (3, "boards-token", "dev.azure.com", "azure_devops"),
        (4, "azure-mail", "example.communication.azure.com", "acs"),
    ] {
        let app = scene.at(0);
        // The first request looks for a ticket, the second opens it.
        let look = if system == "acs" { 404 } else { 200 };
        let nothing = match system {
            "servicenow" => r#"{"result":[]}"#,
            "jira" => r#"{"issues":[]}"#,
            "azure_devops" => r#"{"workItems":[]}"#,
            _ => "{}",
        };
        scene
            .outside
            .next(host, Trouble::Answer(look, Vec::new(), nothing.into()));
        scene.outside.next(host, Trouble::DoneAndLost);
        let opened = notice(number, "opened.0", Act::Trigger, &[channel]);
        notify::post(&app, &opened).await.expect("posted");
        let done = notify::deliver(&app, &incident(number))
            .await
            .expect("done");
        assert_eq!((done.delivered, done.waiting), (0, 1), "{channel}");
        let done = scene.tick(60).await;
        assert_eq!(
            (done.delivered, done.waiting),
            (1, 0),
            "{channel}: {done:?}"
        );
        assert_eq!(scene.outside.tickets(system).len(), 1, "{channel}");
        let told = scene.told(number).await;
        assert_eq!(
            told[0].ticket.is_some(),
            system != "acs",
            "{channel}: {told:?}"
        );
        assert_eq!(told[0].attempts.len(), 2, "{channel}");
    }
}

#[tokio::test]
async fn a_tenants_channel_carries_nothing_of_others() {
    let scene = Scene::new().await;
    let app = scene.at(0);
    for (number, tenant, text, is_theirs) in [
        (1, Some("tenant-a"), "slow", true),
        (2, Some("tenant-b"), "slow", false),
        (3, None, "slow", false),
        (4, Some("tenant-a"), "as with tenant-b", false),
    ] {
        let mut notice = notice(number, "tenant.0", Act::Trigger, &["tenant-a"]);
        notice.message.tenant = tenant.map(Into::into);
        notice.message.text = text.into();
        notify::post(&app, &notice).await.expect("posted");
        let done = notify::deliver(&app, &incident(number))
            .await
            .expect("done");
        assert_eq!(done.delivered, usize::from(is_theirs), "{number}");
    }
    let came = scene.outside.came("hooks.example.com");
    assert_eq!(came.len(), 1);
    assert_eq!(came[0].json()["tenant"], "tenant-a");
    let signature = &came[0].headers["x-poolkeeper-signature"];
    assert!(signature.starts_with("sha256=") && signature.len() == 7 + 64);
}
