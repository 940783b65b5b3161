//! The pages of incidents in a real browser.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use poolkeeper::app::Clock;
use poolkeeper::domain::Priority;
use tokio::process::Command;

use super::{open_at, signal, status_of};
use crate::processes::host;
use crate::world::{OPERATOR, PROJECT, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_phone_an_incident_is_found_acknowledged_and_resolved_with_a_real_browser() {
    let folder = Path::new(PROJECT).join("tests/browser");
    assert!(
        folder.join("node_modules/puppeteer-core").is_dir(),
        "the browser is not installed: `make test` does it, or `npm ci --prefix tests/browser`"
    );
    let world = World::start().await;
    // As the Functions host passes it on, so that its own care about origins is part of it.
    let host = host(world.settings()).await;
    let base = host.url();
    let title = "応答が遅い <script>document.title='x'</script> \u{202e}🔥 averyverylongwordthatisnotbroken_byanything_at_all_whatsoever";
    let mut hostile = signal("p95", "tenant-a", Priority::Critical, title);
    hostile.facts.push(("endpoint".into(), "x".repeat(300)));
    let id = open_at(&world, Clock::System, &hostile).await;
    let others = [("errors", "Errors"), ("slow-checkout", "<b>Checkout</b>")];
    for (rule, title) in others {
        open_at(
            &world,
            Clock::System,
            &signal(rule, "tenant-b", Priority::Medium, title),
        )
        .await;
    }
    // Unpacked anew each time: what another run is about to write is not started.
    let unpacked = tempfile::tempdir().expect("a folder");
    let story = Command::new("node")
        .env("TMPDIR", unpacked.path())
        .arg(folder.join("story.mjs"))
        .args([&base, id.as_str(), OPERATOR, title])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let told = tokio::time::timeout(Duration::from_secs(120), story)
        .await
        .expect("in time")
        .expect("node");
    let (out, err) = (
        String::from_utf8_lossy(&told.stdout),
        String::from_utf8_lossy(&told.stderr),
    );
    assert!(
        told.status.success(),
        "{out}\n{err}\nIf no browser could be started: `apt-get install chromium`, and \
         POOLKEEPER_TEST_BROWSER=/usr/bin/chromium"
    );
    assert!(out.contains("\"browser\""), "{out}");
    println!("{out}");
    assert_eq!(status_of(&world, &base, &id).await, "resolved");
}
