use poolkeeper::app::Clock;
use poolkeeper::journal::{Cause, Run, Work};
use poolkeeper::store::{Created, Error, LogTail, Store};
use serde_json::{Value, json};

use crate::azurite::{Azurite, Security};
use crate::world::World;

/// The one suite: what the store promises, whoever keeps it.
async fn promises(store: &Store) {
    documents_are_created_once_and_replaced_only_as_they_were_read(store).await;
    lists_go_on_page_after_page_and_names_may_hold_anything(store).await;
    a_log_is_appended_where_it_ends_or_not_at_all(store).await;
    a_lease_keeps_others_out_and_its_number_grows(store).await;
    a_long_message_is_kept_beside_the_queue(store).await;
}

#[tokio::test]
async fn the_simulator_keeps_what_the_store_promises() {
    let world = World::start().await;
    let app = world.app(Clock::System);
    promises(app.store().expect("a store")).await;
}

#[tokio::test]
async fn azurite_keeps_what_the_store_promises_by_signature() {
    let azurite = Azurite::start(Security::SignatureOverHttp).await;
    let app = azurite.app();
    promises(app.store().expect("a store")).await;
}

#[tokio::test]
async fn azurite_keeps_what_the_store_promises_by_token() {
    let azurite = Azurite::start(Security::TokenOverHttps).await;
    let app = azurite.app();
    promises(app.store().expect("a store")).await;
}

async fn a_long_message_is_kept_beside_the_queue(store: &Store) {
    let short = json!({ "run": "r" });
    let read: Value = store.message(&short.to_string()).await.expect("a message");
    assert_eq!(read, short);
    let long = json!({ "run": "r", "filler": "x".repeat(100_000) });
    store
        .send(&long, std::time::Duration::ZERO)
        .await
        .expect("sent");
    let kept = store.list("overflow/", None, 10).await.expect("a page");
    assert_eq!(kept.names.len(), 1);
    let text = json!({ "overflow": kept.names[0] }).to_string();
    let read: Value = store.message(&text).await.expect("a message");
    assert_eq!(read, long);
    store.forget_message(&text).await.expect("forgotten");
    store
        .forget_message(&text)
        .await
        .expect("forgotten already");
    let gone = store.message::<Value>(&text).await;
    assert!(matches!(gone, Err(Error::Unreadable { .. })), "{gone:?}");
    let outside = json!({ "overflow": "runs/r.json" }).to_string();
    let read: Value = store.message(&outside).await.expect("a plain message");
    assert_eq!(
        read["overflow"], "runs/r.json",
        "only its own folder is read"
    );
}

async fn documents_are_created_once_and_replaced_only_as_they_were_read(store: &Store) {
    assert!(
        store
            .get::<Value>("a/b.json")
            .await
            .expect("an answer")
            .is_none()
    );
    assert!(matches!(
        store.create("a/b.json", &json!(1)).await,
        Ok(Created::New(_))
    ));
    assert_eq!(
        store
            .create("a/b.json", &json!(2))
            .await
            .expect("an answer"),
        Created::Exists
    );
    let first = store
        .get::<Value>("a/b.json")
        .await
        .expect("an answer")
        .expect("a document");
    assert_eq!(first.value, json!(1));
    store
        .replace("a/b.json", &json!(3), &first.etag, None)
        .await
        .expect("the newest version");
    let stale = store
        .replace("a/b.json", &json!(4), &first.etag, None)
        .await;
    assert!(matches!(stale, Err(Error::Conflict(_))), "{stale:?}");
    store.delete("a/b.json").await.expect("deleted");
    store.delete("a/b.json").await.expect("deleted already");
}

async fn lists_go_on_page_after_page_and_names_may_hold_anything(store: &Store) {
    let names = ["p/a b", "p/é", "p/障害&<1>", "p/%41", "q/other"];
    for name in names {
        store.create(name, &json!(name)).await.expect("created");
    }
    let mut found = Vec::new();
    let mut from = None;
    loop {
        let page = store.list("p/", from, 3).await.expect("a page");
        found.extend(page.names);
        match page.next {
            Some(next) => from = Some(next),
            None => break,
        }
    }
    let mut expected = names[..4].to_vec();
    expected.sort_unstable();
    assert_eq!(found, expected);
    for name in found {
        let stored = store
            .get::<Value>(&name)
            .await
            .expect("an answer")
            .expect("a document");
        assert_eq!(stored.value, json!(name));
    }
}

async fn a_log_is_appended_where_it_ends_or_not_at_all(store: &Store) {
    let tail = store
        .append("log", LogTail::default(), "one\n".into())
        .await
        .expect("appended");
    let late = store
        .append("log", LogTail::default(), "two\n".into())
        .await;
    assert!(matches!(late, Err(Error::Conflict(_))), "{late:?}");
    store
        .append("log", tail, "two\n".into())
        .await
        .expect("appended");
    let log = store.log("log").await.expect("an answer").expect("a log");
    assert_eq!(&log[..], b"one\ntwo\n");
}

async fn a_lease_keeps_others_out_and_its_number_grows(store: &Store) {
    let work = Work::Maintenance {
        cadence: poolkeeper::domain::Cadence::Daily,
        cause: Cause::Request,
        due: None,
        tasks: vec![],
        dry_run: false,
    };
    let run = Run::accepted(
        "r".parse().expect("an id"),
        work,
        chrono::DateTime::UNIX_EPOCH,
    );
    assert!(
        store
            .lease::<Run>("runs/r.json")
            .await
            .expect("an answer")
            .is_none()
    );
    store.create("runs/r.json", &run).await.expect("created");
    let (first, held) = store
        .lease::<Run>("runs/r.json")
        .await
        .expect("an answer")
        .expect("a lease");
    assert_eq!(first.fence(), 1);
    assert!(matches!(
        store.lease::<Run>("runs/r.json").await,
        Err(Error::NotOurs(_))
    ));
    let outside = store
        .replace("runs/r.json", &held.value, &held.etag, None)
        .await;
    assert!(matches!(outside, Err(Error::NotOurs(_))), "{outside:?}");
    store
        .overwrite(&held.value, &first)
        .await
        .expect("the holder may write");
    first.release().await;
    let (second, _) = store
        .lease::<Run>("runs/r.json")
        .await
        .expect("an answer")
        .expect("a lease");
    assert_eq!(second.fence(), 2);
}

#[tokio::test]
async fn what_was_written_survives_a_restart_of_the_storage() {
    let world = World::start().await;
    {
        let app = world.app(Clock::System);
        app.store()
            .expect("a store")
            .create("kept.json", &json!("kept"))
            .await
            .expect("created");
    }
    let world = world.restart_storage().await;
    let app = world.app(Clock::System);
    let kept = app
        .store()
        .expect("a store")
        .get::<Value>("kept.json")
        .await
        .expect("an answer");
    assert_eq!(kept.expect("a document").value, json!("kept"));
}
