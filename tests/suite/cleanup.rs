//! `cleanup_old_logs`: what goes, what stays, and what happens when it is disturbed.

use std::collections::BTreeSet;
use std::time::Duration;

use poolkeeper::app::Clock;
use poolkeeper::local::simulator::{Fault, FaultKind, Limit};
use serde_json::{Value, json};

use crate::changes::acting;
use crate::processes::{all_runs, host, journal_is_clean, killed, run_by_hand, until};
use crate::world::{OPERATOR, World};

const ACCOUNT: &str = "stagentsjpe";

/// The estate with one container to clean, `bulk`, without asking.
fn bulk(estate: &str) -> String {
    let estate = acting("log_deletion")(estate);
    let (before, rest) = estate
        .split_once("[[logs.containers]]")
        .expect("the first container");
    let (_, after) = rest.split_once("# Never cleaned").expect("what follows");
    format!(
        "{before}[[logs.containers]]\naccount = \"{ACCOUNT}\"\ncontainer = \"bulk\"\n\n# Never cleaned{after}"
    )
    .replace("most_per_run = 1000\n", "most_per_run = 50000\n")
    .replace("most_share_percent = 50", "most_share_percent = 100")
}

async fn clean(world: &World, base: &str) -> Value {
    let url = format!("{base}/api/maintenance/daily?task=cleanup_old_logs");
    let (status, answer) = world.post(url, &json!({})).await;
    assert_eq!(status, 202, "{answer}");
    let run = answer["run"].as_str().expect("a run");
    world.deliver(base, run).await;
    world.get(format!("{base}/api/runs/{run}")).await
}

fn codes(run: &Value) -> Vec<String> {
    run["tasks"][0]["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .map(|f| {
            let subject = f["subject"].as_str().unwrap_or_default();
            let code = f["code"].as_str().unwrap_or_default();
            // Ids of changes differ from run to run.
            if code.starts_with("change-") {
                code.to_owned()
            } else {
                format!("{code} {subject}")
            }
        })
        .collect()
}

#[tokio::test]
async fn old_logs_go_and_all_that_is_held_marked_or_covered_stays() {
    let world = World::start().await;
    let settings = world.settings_with_estate(acting("log_deletion"));
    let base = world.handler_with(settings, Clock::System).await;
    let run = clean(&world, &base).await;
    let task = &run["tasks"][0];
    assert_eq!(run["state"], "succeeded_with_findings", "{run}");
    assert_eq!(
        codes(&run),
        [
            "no-lifecycle-rule stagentsjpe/app-logs",
            "blobs-skipped stagentsjpe/app-logs",
            "blobs-skipped stagentsjpe/gateway-logs",
            "container-protected stagentsjpe/audit-logs",
            "container-protected stagentsjpe/access-logs",
            "retention-below-policy log-agents-jpe/ContainerAppConsoleLogs_CL",
        ]
    );
    let counts = &task["counts"];
    for (name, expected) in [
        ("skipped_leased", 1),
        ("skipped_has_snapshot", 1),
        ("containers_protected", 2),
        ("changes_verified", 1),
    ] {
        assert_eq!(counts[name], expected, "{name}: {counts}");
    }
    let told = world.simulator.changes().await;
    assert_eq!(Some(told.len() as u64), counts["blobs_old"].as_u64());
    assert!(told.len() > 200, "{}", told.len());
    let elsewhere = told
        .iter()
        .filter(|line| !line.starts_with("stagentsjpe/app-logs: deleted 2"));
    assert_eq!(elsewhere.count(), 0, "{told:?}");
    // Nothing that was young went: whatever is left is proposed to nobody the next time.
    let again = clean(&world, &base).await;
    assert_eq!(again["changes"], json!([]), "{again}");
    assert_eq!(world.simulator.changes().await.len(), told.len());
}

#[tokio::test]
async fn a_blob_that_is_written_after_it_was_listed_survives_its_deletion() {
    let world = World::start().await;
    let base = world
        .handler_with(
            world.settings_with_estate(|e| bulk(e).replace("mode = \"act\"", "mode = \"propose\"")),
            Clock::System,
        )
        .await;
    world.simulator.fill(ACCOUNT, "bulk", 300, 40).await;
    let run = clean(&world, &base).await;
    let change = &run["changes"][0];
    assert_eq!(change["outcome"]["is"], "awaiting_approval", "{run}");
    // The same text, and another version.
    world
        .simulator
        .put_blob(ACCOUNT, "bulk", "bulk/000007.log", 40)
        .await;
    let id = change["id"].as_str().expect("an id");
    let (status, answer) = world
        .post_as(
            OPERATOR,
            format!("{base}/api/changes/{id}/approve"),
            &json!({ "hash": change["hash"], "reason": "old logs" }),
        )
        .await;
    assert_eq!(status, 202, "{answer}");
    let decided = answer["run"].as_str().expect("a run");
    world.deliver(&base, decided).await;
    let run = world.get(format!("{base}/api/runs/{decided}")).await;
    assert_eq!(
        run["changes"][0]["outcome"],
        json!({
            "is": "verified",
            "seen": "299 of 300 are gone; 1 were written since and are left alone",
        }),
        "{run}"
    );
    assert!(
        world
            .simulator
            .has_blob(ACCOUNT, "bulk", "bulk/000007.log")
            .await
    );
    assert_eq!(world.simulator.changes().await.len(), 299);
}

#[tokio::test]
async fn a_list_that_was_edited_after_its_approval_deletes_nothing() {
    let world = World::start().await;
    let settings =
        world.settings_with_estate(|e| bulk(e).replace("mode = \"act\"", "mode = \"propose\""));
    let base = world.handler_with(settings, Clock::System).await;
    world.simulator.fill(ACCOUNT, "bulk", 10, 40).await;
    let run = clean(&world, &base).await;
    let change = run["changes"][0].clone();
    let app = world.app(Clock::System);
    let store = app.store().expect("a store");
    let path = format!(
        "manifests/{}.json",
        change["what"]["manifest"].as_str().expect("a hash")
    );
    let stored = store
        .get::<Value>(&path)
        .await
        .expect("an answer")
        .expect("a list");
    let mut edited = stored.value;
    edited["blobs"].as_array_mut().expect("blobs").pop();
    store
        .replace(&path, &edited, &stored.etag, None)
        .await
        .expect("written");
    let id = change["id"].as_str().expect("an id");
    let body = json!({ "hash": change["hash"], "reason": "old logs" });
    let (_, answer) = world
        .post_as(OPERATOR, format!("{base}/api/changes/{id}/approve"), &body)
        .await;
    let decided = answer["run"].as_str().expect("a run");
    world.deliver(&base, decided).await;
    let run = world.get(format!("{base}/api/runs/{decided}")).await;
    assert_eq!(run["state"], "failed", "{run}");
    assert!(
        run["changes"][0]["outcome"]["why"]
            .as_str()
            .is_some_and(|w| w.contains("edited"))
    );
    assert!(world.simulator.mutations().is_empty());
}

/// What the estate does not name as protected, and its owner marked in Azure.
#[tokio::test]
async fn a_container_that_is_marked_in_azure_is_never_cleaned() {
    let world = World::start().await;
    let settings = world.settings_with_estate(|estate| {
        let (before, after) = estate
            .split_once("[[logs.protected]]")
            .expect("protected containers");
        let (_, after) = after.split_once("# What may be changed").expect("policies");
        let listed: String = ["evidence", "journal-copies", "reports"]
            .iter()
            .map(|name| {
                format!("[[logs.containers]]\naccount = \"{ACCOUNT}\"\ncontainer = \"{name}\"\n")
            })
            .collect();
        let whole = format!("{before}{listed}\n# What may be changed{after}");
        acting("log_deletion")(&whole)
    });
    let base = world.handler_with(settings, Clock::System).await;
    let run = clean(&world, &base).await;
    let told = codes(&run);
    for name in ["evidence", "journal-copies", "reports"] {
        let expected = format!("container-protected {ACCOUNT}/{name}");
        assert!(told.contains(&expected), "{told:?}");
    }
    let changed = world.simulator.changes().await;
    let elsewhere = changed.iter().filter(|line| !line.contains("/app-logs:"));
    assert_eq!(elsewhere.count(), 0, "{changed:?}");
}

#[tokio::test]
async fn what_is_to_be_kept_longer_since_it_was_listed_is_kept() {
    let world = World::start().await;
    let proposing = |estate: &str| bulk(estate).replace("mode = \"act\"", "mode = \"propose\"");
    let base = world
        .handler_with(world.settings_with_estate(proposing), Clock::System)
        .await;
    world.simulator.fill(ACCOUNT, "bulk", 10, 40).await;
    let run = clean(&world, &base).await;
    let change = &run["changes"][0];
    let longer = world.settings_with_estate(|estate| {
        proposing(estate).replacen("keep_days = 30", "keep_days = 90", 1)
    });
    let base = world.handler_with(longer, Clock::System).await;
    let id = change["id"].as_str().expect("an id");
    let body = json!({ "hash": change["hash"], "reason": "old logs" });
    let (_, answer) = world
        .post_as(OPERATOR, format!("{base}/api/changes/{id}/approve"), &body)
        .await;
    let decided = answer["run"].as_str().expect("a run");
    world.deliver(&base, decided).await;
    let run = world.get(format!("{base}/api/runs/{decided}")).await;
    let hold = &run["changes"][0]["outcome"]["hold"];
    assert_eq!(hold["because"], "protected", "{run}");
    assert!(world.simulator.mutations().is_empty());
}

#[tokio::test]
async fn too_much_at_once_is_refused_before_the_first_blob() {
    for (turn, because) in [
        ("most_per_run = 50000\n", "blast_radius"),
        ("most_share_percent = 100\n", "share"),
    ] {
        let world = World::start().await;
        let settings = world.settings_with_estate(|estate| {
            let tight = turn.replace("50000", "299").replace("100", "49");
            bulk(estate).replace(turn, &tight)
        });
        let base = world.handler_with(settings, Clock::System).await;
        world.simulator.fill(ACCOUNT, "bulk", 300, 40).await;
        for number in 0..300 {
            let name = format!("young/{number}");
            world.simulator.put_blob(ACCOUNT, "bulk", &name, 1).await;
        }
        let run = clean(&world, &base).await;
        let hold = &run["changes"][0]["outcome"]["hold"];
        assert_eq!(hold["because"], because, "{run}");
        assert_eq!(run["state"], "held");
        assert!(world.simulator.mutations().is_empty());
    }
}

#[tokio::test]
async fn a_missing_permission_is_named_and_stops_no_other_task() {
    let world = World::start().await;
    let settings = world.settings_with_estate(bulk);
    let base = world.handler_with(settings, Clock::System).await;
    world.simulator.fill(ACCOUNT, "bulk", 300, 40).await;
    world.simulator.grant_only(&[
        "Microsoft.Storage/storageAccounts/read",
        "Microsoft.Storage/storageAccounts/managementPolicies/read",
        "Microsoft.Storage/storageAccounts/blobServices/containers/read",
        "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read",
        "Microsoft.OperationalInsights/workspaces/tables/read",
    ]);
    let url = format!("{base}/api/maintenance/daily");
    let (_, answer) = world.post(url, &json!({})).await;
    let id = answer["run"].as_str().expect("a run");
    world.deliver(&base, id).await;
    let run = world.get(format!("{base}/api/runs/{id}")).await;
    assert_eq!(run["state"], "failed", "{run}");
    let states: Vec<&str> = run["tasks"]
        .as_array()
        .expect("tasks")
        .iter()
        .map(|t| t["state"].as_str().unwrap_or_default())
        .collect();
    let expected = ["failed", "failed", "failed", "succeeded", "succeeded"];
    assert_eq!(states, expected, "{run}");
    let seen = run["changes"][0]["outcome"]["seen"].as_str();
    assert!(
        seen.is_some_and(|s| s.contains("containers/blobs/delete")),
        "{run}"
    );
    assert!(world.simulator.changes().await.is_empty());
    // It gave up long before all of them were refused.
    assert!(world.simulator.mutations().len() <= 300);
}

#[tokio::test]
async fn trouble_on_the_way_is_waited_out() {
    let world = World::start().await;
    let settings = world.settings_with_estate(bulk);
    let base = world.handler_with(settings, Clock::System).await;
    world.simulator.fill(ACCOUNT, "bulk", 400, 40).await;
    world.simulator.limit(Limit {
        contains: format!("/blob/{ACCOUNT}/"),
        fail_percent: 20,
        ..Limit::default()
    });
    for kind in [
        FaultKind::LostAnswer,
        FaultKind::HalfAnswer,
        FaultKind::Throttle,
    ] {
        world.simulator.fault(Fault {
            kind,
            method: Some("DELETE".into()),
            times: Some(3),
            ..Fault::default()
        });
    }
    let run = clean(&world, &base).await;
    assert_eq!(run["changes"][0]["outcome"]["is"], "verified", "{run}");
    let told = world.simulator.changes().await;
    let names: BTreeSet<&String> = told.iter().collect();
    assert_eq!((told.len(), names.len()), (400, 400));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cleanup_that_is_killed_twenty_times_completes_and_deletes_nothing_twice() {
    const BLOBS: usize = 2000;
    let world = World::start_unrecorded().await;
    // So slow that all kills hit the cleanup, wherever it is.
    let settings = world.settings_with_estate(|estate| {
        bulk(estate).replacen(
            "keep_days = 30",
            "keep_days = 30\ncalls_per_second = 150",
            1,
        )
    });
    world.simulator.fill(ACCOUNT, "bulk", BLOBS, 40).await;
    for number in 0..50 {
        let name = format!("young/{number}.log");
        world.simulator.put_blob(ACCOUNT, "bulk", &name, 29).await;
    }
    world.simulator.limit(Limit {
        contains: format!("/blob/{ACCOUNT}/"),
        latency_ms: 40,
        ..Limit::default()
    });
    let host = host(settings).await;
    let url = format!("{}/api/maintenance/daily?task=cleanup_old_logs", host.url());
    let (status, answer) = world.post(url, &json!({})).await;
    assert_eq!(status, 202, "{answer}");
    let place = format!(
        "{}/api/runs/{}",
        host.url(),
        answer["run"].as_str().expect("a run")
    );
    let mut random = 20_261_125_u64;
    for kill_number in 0..20 {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        tokio::time::sleep(Duration::from_millis(100 + (random >> 33) % 900)).await;
        let run = world.get(place.clone()).await;
        assert!(
            run["finished"].is_null(),
            "kill {kill_number} came too late: {run}"
        );
        killed(&world, &host).await;
        run_by_hand(&world, &host, "minute-tick").await;
    }
    let run = until("the cleanup ends", Duration::from_secs(120), || async {
        let run = world.get(place.clone()).await;
        (!run["finished"].is_null()).then_some(run)
    })
    .await;
    assert_eq!(run["state"], "succeeded_with_findings", "{run}");
    let outcome = &run["changes"][0]["outcome"];
    assert_eq!(
        outcome["seen"],
        format!("{BLOBS} of {BLOBS} are gone"),
        "{run}"
    );
    let told = world.simulator.changes().await;
    let names: BTreeSet<&String> = told.iter().collect();
    assert_eq!((told.len(), names.len()), (BLOBS, BLOBS));
    let outside = told
        .iter()
        .filter(|line| !line.starts_with("stagentsjpe/bulk: deleted bulk/"));
    assert_eq!(outside.count(), 0);
    for number in 0..50 {
        let name = format!("young/{number}.log");
        assert!(
            world.simulator.has_blob(ACCOUNT, "bulk", &name).await,
            "{name}"
        );
    }
    let (runs, waiting) = all_runs(&world, &host.url()).await;
    assert_eq!(waiting, 0, "{runs:?}");
    journal_is_clean(&world.app(Clock::System), runs.len()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_kill_switch_stops_a_cleanup_that_is_under_way_within_five_seconds() {
    let world = World::start_unrecorded().await;
    let settings = world.settings_with_estate(bulk);
    world.simulator.fill(ACCOUNT, "bulk", 5000, 40).await;
    world.simulator.limit(Limit {
        contains: format!("/blob/{ACCOUNT}/"),
        latency_ms: 100,
        ..Limit::default()
    });
    let one = world.handler_with(settings.clone(), Clock::System).await;
    let other = world.handler_with(settings, Clock::System).await;
    let url = format!("{one}/api/maintenance/daily?task=cleanup_old_logs");
    let (_, answer) = world.post(url, &json!({})).await;
    let id = answer["run"].as_str().expect("a run").to_owned();
    let turn = async {
        until("it deletes", Duration::from_secs(30), || async {
            (!world.simulator.mutations().is_empty()).then_some(())
        })
        .await;
        let url = format!("{other}/api/changes/kill-switch/on");
        let turned = std::time::Instant::now();
        let (status, _) = world
            .post_as(OPERATOR, url, &json!({ "reason": "wrong logs" }))
            .await;
        assert_eq!(status, 200);
        turned
    };
    let (turned, status) = tokio::join!(turn, world.deliver(&one, &id));
    assert_eq!(status, 200);
    assert!(
        turned.elapsed() < Duration::from_secs(5),
        "{:?}",
        turned.elapsed()
    );
    let run = world.get(format!("{one}/api/runs/{id}")).await;
    assert_eq!(run["state"], "held", "{run}");
    let hold = &run["changes"][0]["outcome"]["hold"];
    assert_eq!(hold["reason"], "wrong logs", "{run}");
    assert!(world.simulator.changes().await.len() < 5000);
}

/// Calls that wait because storage asked for patience are not made once the switch is on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_kill_switch_stops_calls_that_wait_for_storage() {
    let world = World::start_unrecorded().await;
    let settings = world.settings_with_estate(bulk);
    world.simulator.fill(ACCOUNT, "bulk", 200, 40).await;
    let base = world.handler_with(settings, Clock::System).await;
    // Every deletion is refused, and asked to come back after a second.
    world.simulator.fault(Fault {
        kind: FaultKind::Throttle,
        method: Some("DELETE".into()),
        contains: Some(format!("/blob/{ACCOUNT}/")),
        ..Fault::default()
    });
    let url = format!("{base}/api/maintenance/daily?task=cleanup_old_logs");
    let (_, answer) = world.post(url, &json!({})).await;
    let id = answer["run"].as_str().expect("a run").to_owned();
    let turn = async {
        until("it tries", Duration::from_secs(30), || async {
            (!world.simulator.mutations().is_empty()).then_some(())
        })
        .await;
        let url = format!("{base}/api/changes/kill-switch/on");
        let body = json!({ "reason": "wrong logs" });
        let (status, _) = world.post_as(OPERATOR, url, &body).await;
        assert_eq!(status, 200);
    };
    let ((), status) = tokio::join!(turn, world.deliver(&base, &id));
    assert_eq!(status, 200);
    let run = world.get(format!("{base}/api/runs/{id}")).await;
    assert_eq!(
        run["changes"][0]["outcome"]["hold"]["because"], "kill_switch",
        "{run}"
    );
}

#[tokio::test]
async fn in_observe_mode_no_door_leads_to_a_change() {
    let world = World::start().await;
    let mut settings =
        world.settings_with_estate(|e| e.replace("mode = \"propose\"", "mode = \"act\""));
    settings.insert("POOLKEEPER_MODE".into(), "observe".into());
    let base = world.handler_with(settings, Clock::System).await;
    let mut places = vec![
        (format!("{base}/api/maintenance/daily"), json!({})),
        (format!("{base}/api/maintenance/weekly"), json!({})),
        (
            format!("{base}/api/alerts"),
            crate::alerts::alert("observed", "Fired"),
        ),
    ];
    for ask in [
        json!({ "kind": "cosmos_throughput", "resource": "cosmos-agents-jpe/agents/threads", "to": { "manual": 1200 } }),
        json!({ "kind": "app_replicas", "resource": "agent-api", "to": { "least": 3, "most": 10 } }),
        json!({ "kind": "app_restart", "resource": "agent-api" }),
    ] {
        places.push((
            format!("{base}/api/changes"),
            json!({ "ask": ask, "why": "busy" }),
        ));
    }
    for (url, body) in places {
        let (status, answer) = world.post_as(OPERATOR, url.clone(), &body).await;
        assert_eq!(status, 202, "{url}: {answer}");
    }
    for timer in [
        "daily-maintenance",
        "weekly-maintenance",
        "monthly-maintenance",
        "minute-tick",
    ] {
        world.tick(&base, timer).await;
    }
    let changes = world.get(format!("{base}/api/changes?most=500")).await;
    let changes = changes["changes"].as_array().expect("changes").clone();
    assert!(changes.len() >= 4, "{changes:?}");
    for change in &changes {
        assert_eq!(change["outcome"]["is"], "observed", "{change}");
    }
    assert_eq!(world.simulator.mutations(), Vec::<String>::new());
}
