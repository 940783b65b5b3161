//! What somebody with access to storage may do to the journal, and how it is found.

use poolkeeper::app::{App, Clock};
use poolkeeper::journal::{Hash, Proof, Verification, verify_all};
use serde_json::{Value, json};

use crate::alerts::alert;
use crate::world::World;

/// Writes a log anew behind everybody's back, or removes it.
async fn tamper(world: &World, run: &str, lines: Option<&[String]>) {
    let url = world.simulator.blob_url();
    let (base, sas) = url.split_once('?').expect("a signature");
    let blob = format!("{base}/poolkeeper/journal/{run}.log?");
    let send = |request: reqwest::RequestBuilder| async move {
        let request = request.header("x-ms-version", "2025-11-05");
        let answer = request.send().await.expect("an answer");
        assert!(answer.status().is_success(), "{}", answer.status());
    };
    let http = &world.http;
    send(http.delete(format!("{blob}{sas}"))).await;
    if let Some(lines) = lines {
        let create = http.put(format!("{blob}{sas}"));
        send(create.header("x-ms-blob-type", "AppendBlob").body("")).await;
        let append = http.put(format!("{blob}comp=appendblock&{sas}"));
        send(append.body(lines.concat())).await;
    }
}

async fn verdict(app: &App) -> Verification {
    let (store, anchors) = (app.store().expect("a store"), app.anchors());
    verify_all(store, anchors.expect("anchors"))
        .await
        .expect("a verdict")
}

async fn worked(world: &World, base: &str, id: &str) -> String {
    let (status, answer) = world
        .post(format!("{base}/api/alerts"), &alert(id, "Fired"))
        .await;
    assert_eq!(status, 202);
    world.tick(base, "minute-tick").await;
    answer["run"].as_str().expect("a run").to_owned()
}

async fn anchored(world: &World, base: &str) {
    let (status, _) = world
        .post(
            format!("{base}/api/maintenance/daily?task=anchor_journal"),
            &json!({}),
        )
        .await;
    assert_eq!(status, 202);
    world.tick(base, "minute-tick").await;
}

/// The same story told anew, each hash right.
fn rewritten(lines: &[String]) -> Vec<String> {
    let mut before = Hash::genesis();
    lines
        .iter()
        .map(|line| {
            let mut record: Value = serde_json::from_str(&line[65..]).expect("JSON");
            record["at"] = json!("2026-01-01T00:00:00Z");
            record["prev"] = json!(before);
            let text = record.to_string();
            before = Hash::of(text.as_bytes());
            format!("{} {text}\n", before.as_str())
        })
        .collect()
}

fn edited(lines: &[String]) -> Vec<String> {
    let mut lines = lines.to_vec();
    lines[1] = lines[1].replace("\"fence\":1", "\"fence\":7");
    lines
}

fn reordered(lines: &[String]) -> Vec<String> {
    let mut lines = lines.to_vec();
    lines.swap(1, 2);
    lines
}

fn dropped(lines: &[String]) -> Vec<String> {
    let mut lines = lines.to_vec();
    lines.remove(1);
    lines
}

fn cut(lines: &[String]) -> Vec<String> {
    lines[..lines.len() - 1].to_vec()
}

#[tokio::test]
async fn tampering_is_found_and_what_an_anchor_adds() {
    type Change = fn(&[String]) -> Vec<String>;
    let world = World::start().await;
    let base = world.handler(Clock::System).await;
    let app = world.app(Clock::System);
    let run = worked(&world, &base, "tampered").await;
    let name = format!("journal/{run}.log");
    let log = app.store().expect("a store").log(&name).await;
    let log = log.expect("an answer").expect("a log");
    let whole: Vec<String> = String::from_utf8(log.to_vec())
        .expect("text")
        .split_inclusive('\n')
        .map(str::to_owned)
        .collect();
    assert!(whole.len() >= 4, "{whole:?}");
    let cases: [(&str, Change, bool, &str); 5] = [
        ("edited", edited, true, "edited"),
        ("dropped", dropped, true, "out of order"),
        ("reordered", reordered, true, "out of order"),
        // A chain alone cannot show these two: that is what anchors are for.
        ("cut", cut, false, "cut: an anchor knows"),
        ("rewritten", rewritten, false, "rewritten: an anchor knows"),
    ];
    for (name, change, _, _) in cases {
        assert_ne!(change(&whole), whole, "{name}");
    }
    let clean = verdict(&app).await;
    assert_eq!(clean.proof, Proof::TailUnproven);
    for (name, change, alone, _) in cases {
        tamper(&world, &run, Some(&change(&whole))).await;
        let found = verdict(&app).await;
        assert_eq!(found.broken().count(), usize::from(alone), "{name}");
    }
    tamper(&world, &run, Some(&whole)).await;
    anchored(&world, &base).await;
    let clean = verdict(&app).await;
    assert!(matches!(clean.proof, Proof::Anchored { .. }), "{clean:?}");
    assert_eq!(clean.broken().count(), 0, "{clean:?}");
    for (name, change, _, words) in cases {
        tamper(&world, &run, Some(&change(&whole))).await;
        let found = verdict(&app).await;
        let told: Vec<String> = found.broken().map(|(_, why)| why.to_string()).collect();
        assert_eq!(told.len(), 1, "{name}: {told:?}");
        assert!(told[0].contains(words), "{name}: {told:?}");
    }
    tamper(&world, &run, None).await;
    let found = verdict(&app).await;
    let told: Vec<String> = found.broken().map(|(_, why)| why.to_string()).collect();
    assert!(told.len() == 1 && told[0].starts_with("gone"), "{told:?}");

    // The next day's anchor tells it, and does not make it look right.
    anchored(&world, &base).await;
    let runs = world.get(format!("{base}/api/runs")).await;
    let newest = &runs["runs"][0];
    assert_eq!(newest["state"], "succeeded_with_findings", "{newest}");
    assert_eq!(newest["tasks"][0]["findings"][0]["code"], "journal-broken");
    assert_eq!(verdict(&app).await.broken().count(), 1);
}
