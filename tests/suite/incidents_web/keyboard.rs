//! The same from the command line.

use poolkeeper::app::Clock;
use poolkeeper::domain::Priority;
use serde_json::Value;

use super::{open_at, signal};
use crate::oncall::command;
use crate::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_keyboard_an_incident_is_found_by_a_part_of_its_id_and_ended() {
    let world = World::start().await;
    let esc = "slow \u{1b}[31mred";
    let slow = signal("p95", "tenant-a", Priority::High, esc);
    let id = open_at(&world, Clock::System, &slow).await;
    let other = signal("errors", "tenant-b", Priority::Low, "errors");
    let other = open_at(&world, Clock::System, &other).await;
    let short = &id.as_str()[..8];
    assert_ne!(short, &other.as_str()[..8]);

    let (code, out, err) = command(&world, &["incidents", "list"]).await;
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(out.lines().count(), 2, "{out}");
    assert!(!out.contains('\u{1b}'), "{out}");
    let wanted = [
        "incidents",
        "list",
        "--status",
        "open",
        "--priority",
        "high",
        "--json",
    ];
    let (_, out, _) = command(&world, &wanted).await;
    let page: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(page["incidents"].as_array().map(Vec::len), Some(1), "{out}");
    let (code, _, err) = command(&world, &["incidents", "list", "--status", "gone"]).await;
    assert_eq!(code, Some(2));
    assert!(err.contains("`gone` is no status"), "{err}");

    let ack = [
        "incidents",
        "ack",
        short,
        "--minutes",
        "5",
        "--as",
        "reviewer",
        "--json",
    ];
    let (code, out, err) = command(&world, &ack).await;
    assert_eq!(code, Some(0), "{err}");
    let said: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(said["acknowledgement"]["by"], "reviewer");
    for (action, then) in [
        (
            vec!["comment", short, "--reason", "looking"],
            "acknowledged",
        ),
        (vec!["unack", short], "open"),
        (
            vec!["escalate", short, "--level", "L2", "--reason", "help"],
            "open",
        ),
        (
            vec!["mitigate", short, "--reason", "rolled back"],
            "mitigated",
        ),
        (vec!["resolve", short, "--reason", "done"], "resolved"),
        (vec!["reopen", short, "--reason", "no"], "open"),
        (vec!["resolve", &short[4..], "--reason", "yes"], "resolved"),
    ] {
        let (code, out, err) = command(&world, &[&["incidents"], &action[..]].concat()).await;
        assert_eq!(code, Some(0), "{action:?}: {err}");
        assert!(out.contains(then), "{action:?}: {out}");
    }
    let (code, _, err) = command(&world, &["incidents", "ack", short]).await;
    assert_eq!(code, Some(1));
    assert!(
        err.contains("the incident is resolved: reopen it first"),
        "{err}"
    );
    let (code, _, err) = command(&world, &["incidents", "show", "inc-"]).await;
    assert_eq!(code, Some(3));
    assert!(err.contains("more than one begins with `inc-`"), "{err}");
    for nothing in ["inc-xyz", "../runs", "inc-0123456789ab-1"] {
        let (code, _, err) = command(&world, &["incidents", "show", nothing]).await;
        assert_eq!(code, Some(3), "{nothing}");
        assert!(err.contains("there is no incident"), "{err}");
    }
    let (code, out, _) = command(&world, &["incidents", "show", id.as_str()]).await;
    assert_eq!(code, Some(0));
    for part in [
        "escalated to L2",
        "rolled back",
        "resolved after",
        "through",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
    assert!(!out.contains('\u{1b}'), "{out}");
}
