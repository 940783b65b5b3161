//! Secrets are seen nowhere but on their way to their channel.

use std::io::Write;
use std::sync::{Arc, Mutex};

use poolkeeper::domain::Act;
use poolkeeper::notify;

use super::outside::Trouble;
use super::{SECRETS, Scene, incident, notice};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("one thread").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_secret_is_logged_kept_or_told() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // With one alone, what another test comes upon first would be off here too.
    let _other = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());
    let _guard = tracing::subscriber::set_default(subscriber);
    let scene = Scene::new().await;
    let app = scene.at(0);
    let mut seen = format!("{:?} {:?}", app.config, app.estate().expect("an estate"));
    let mut number = 0;
    for channel in [
        "pager",
        "mail",
        "chat",
        "slack",
        "tickets",
        "issues",
        "boards-token",
        "tenant-a",
    ] {
        // As they are: first a server that gives back all that it got, then one that breaks off.
        for trouble in [401, 400, 500, 200] {
            number += 1;
            let mut notice = notice(number, "opened.0", Act::Trigger, &[channel]);
            notice.message.tenant = Some("tenant-a".into());
            if trouble != 200 {
                let echo: Vec<&str> = SECRETS.iter().map(|(_, secret)| *secret).collect();
                let echo =
                    serde_json::json!({ "message": format!("key {} is wrong", echo.join(" ")) });
                for host in [
                    "events.pagerduty.com",
                    "smtp",
                    "example.logic.azure.com",
                    "hooks.slack.com",
                    "example.service-now.com",
                    "example.atlassian.net",
                    "dev.azure.com",
                    "hooks.example.com",
                ] {
                    scene
                        .outside
                        .always(host, Trouble::Answer(trouble, Vec::new(), echo.to_string()));
                }
            }
            notify::post(&app, &notice).await.expect("posted");
            let done = notify::deliver(&app, &incident(number)).await;
            seen.push_str(&format!("{done:?}"));
            seen.push_str(&format!("{:?}", scene.told(number).await));
            let trial = notify::trial(&app, channel, "").await.expect("a trial");
            seen.push_str(&serde_json::to_string(&trial).expect("JSON"));
            for host in [
                "events.pagerduty.com",
                "smtp",
                "example.logic.azure.com",
                "hooks.slack.com",
                "example.service-now.com",
                "example.atlassian.net",
                "dev.azure.com",
                "hooks.example.com",
            ] {
                scene.outside.heal(host);
            }
        }
    }
    let store = app.store().expect("a store");
    let names = store.list_all("").await.expect("names");
    assert!(names.len() > 60, "{}", names.len());
    for name in names {
        let bytes = store.bytes(&name).await.expect("read").unwrap_or_default();
        seen.push_str(&name);
        seen.push_str(&String::from_utf8_lossy(&bytes));
    }
    let logged = lines.0.lock().expect("one thread").clone();
    let logged = String::from_utf8_lossy(&logged).into_owned();
    assert!(logged.contains("a notice was not taken"));
    for word in [
        "pager-secret",
        "mail-secret",
        "chat-path-secret",
        "chat-sig-secret",
        "tickets-secret",
        "slack-path-secret",
        "issues-secret",
        "boards-secret",
        "tenant-a-secret",
    ] {
        assert!(!seen.contains(word), "{word} is kept or told");
        let line = logged.lines().find(|line| line.contains(word));
        assert_eq!(line, None, "{word} is logged");
    }
}
