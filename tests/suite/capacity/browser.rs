//! The page of capacity in a real browser.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration as Wait;

use poolkeeper::app::Clock;
use poolkeeper::operations::capacity::{advise, keep};
use tokio::process::Command;

use super::{now, renewed, unscaled};
use crate::processes::host;
use crate::world::{PROJECT, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_phone_and_on_paper_each_thing_has_a_chart_that_can_be_read_with_a_real_browser() {
    let folder = Path::new(PROJECT).join("tests/browser");
    assert!(
        folder.join("node_modules/puppeteer-core").is_dir(),
        "the browser is not installed: `make test` does it, or `npm ci --prefix tests/browser`"
    );
    let world = World::start().await;
    // Only what people provision has money in it.
    let settings = world.settings_with_estate(unscaled);
    let app = World::app_with(&settings, Clock::Fixed(now(&world)));
    assert_eq!(renewed(&app).await.made, 2);
    let advised = advise(&app).await.expect("recommendations");
    keep(&app, &advised).await.expect("kept");
    let charts = advised.recommendations.len().to_string();
    let host = host(settings).await;
    // Unpacked anew each time: what another run is about to write is not started.
    let unpacked = tempfile::tempdir().expect("a folder");
    let story = Command::new("node")
        .env("TMPDIR", unpacked.path())
        .arg(folder.join("capacity.mjs"))
        .args([&host.url(), charts.as_str(), "応答 <b>"])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let told = tokio::time::timeout(Wait::from_secs(120), story)
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
}
