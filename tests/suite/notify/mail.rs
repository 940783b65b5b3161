//! Mail as a server that others wrote takes and reads it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use poolkeeper::app::{App, Clock};
use poolkeeper::domain::{Act, Contact};
use poolkeeper::notify::{self, Outcome, ToldState};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::{incident, noon, notice};
use crate::world::{PROJECT, World};

struct Server {
    _child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    port: u64,
}

impl Server {
    async fn start(certificate: &Path, key: &Path, busy: u32) -> Self {
        let script = Path::new(PROJECT).join("tests/mail/server.js");
        assert!(
            Path::new(PROJECT)
                .join("tests/mail/node_modules/smtp-server")
                .is_dir(),
            "the mail server is not installed: `make test` does it, or `npm ci --prefix tests/mail`"
        );
        let mut child = Command::new("node")
            .arg(script)
            .args([certificate, key])
            .arg(busy.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("node");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let mut server = Self {
            _child: child,
            lines,
            port: 0,
        };
        server.port = server.line().await["port"].as_u64().expect("a port");
        server
    }

    async fn line(&mut self) -> Value {
        let line = tokio::time::timeout(Duration::from_secs(30), self.lines.next_line()).await;
        let line = line
            .expect("in time")
            .expect("a line")
            .expect("not the end");
        serde_json::from_str(&line).expect("JSON")
    }
}

/// A world whose mail goes to this server.
fn settings(
    world: &World,
    server: &Server,
    password: &str,
    trusted: bool,
) -> BTreeMap<String, String> {
    let mut settings = world.settings_with_estate(|estate| {
        let authority = if trusted { "authority = \"mail-authority.pem\"\n" } else { "" };
        format!(
            "{estate}\n[[channels]]\nname = \"real-mail\"\nkind = \"smtp\"\nhost = \"localhost\"\n\
             port = {}\nuser = \"poolkeeper\"\nsecret = \"MAIL\"\nfrom = \"ポールキーパー <pool@example.com>\"\n\
             {authority}",
            server.port
        )
    });
    settings.insert("POOLKEEPER_SECRET_MAIL".into(), password.into());
    settings
}

fn app(settings: &BTreeMap<String, String>, seconds: i64) -> App {
    World::app_with(settings, Clock::Fixed(noon(seconds)))
}

fn mail(number: u32, id: &str, act: Act) -> poolkeeper::domain::Notice {
    let mut notice = notice(number, id, act, &[]);
    notice.message.title = "応答時間が3秒を超えています".into();
    notice.message.text = "テナントの応答が<遅い>。\n確認してください。".into();
    notice.contacts = vec![Contact {
        channel: "real-mail".into(),
        to: "当番 <l1-a@example.com>".into(),
    }];
    notice
}

/// Writes what the server shows, and beside the estate what its certificate is held against.
fn certificates(settings: &BTreeMap<String, String>, pem: &str) {
    let estate = Path::new(&settings["POOLKEEPER_ESTATE"]);
    let folder = estate.parent().expect("a folder");
    std::fs::write(folder.join("mail-authority.pem"), pem).expect("written");
}

#[tokio::test]
async fn a_mail_in_japanese_is_read_as_it_was_meant() {
    let world = World::start_unrecorded().await;
    let folder = tempfile::tempdir().expect("a folder");
    let (authority, certificate, key) = crate::azurite::certificates(folder.path());
    // The server is busy at first, as a server that greylists is.
    let mut server = Server::start(&certificate, &key, 1).await;
    let settings = settings(&world, &server, "mail-secret-0123456789", true);
    certificates(&settings, &authority);
    let now = app(&settings, 0);
    notify::post(&now, &mail(1, "opened.0", Act::Trigger))
        .await
        .expect("posted");
    notify::post(&now, &mail(1, "resolved.0", Act::Resolve))
        .await
        .expect("posted");
    let done = notify::deliver(&now, &incident(1)).await.expect("done");
    let told = notify::told(&now, &incident(1)).await.expect("told");
    assert_eq!((done.delivered, done.waiting), (0, 2), "{told:?}");
    assert!(
        told[0].attempts[0].said.starts_with("the server said 451"),
        "{told:?}"
    );
    let later = app(&settings, 60);
    let done = notify::drain(&later, Duration::from_secs(20))
        .await
        .expect("done");
    let told = notify::told(&now, &incident(1)).await.expect("told");
    assert_eq!((done.delivered, done.waiting), (2, 0), "{told:?}");
    let (opened, resolved) = (server.line().await, server.line().await);
    assert_eq!(
        opened["subject"],
        format!("[critical] 応答時間が3秒を超えています ({})", incident(1))
    );
    assert_eq!(
        resolved["subject"],
        format!(
            "Resolved: [critical] 応答時間が3秒を超えています ({})",
            incident(1)
        )
    );
    assert_eq!(opened["from"], "pool@example.com");
    assert_eq!(opened["to"], serde_json::json!(["l1-a@example.com"]));
    assert_eq!(opened["user"], "poolkeeper");
    assert_ne!(opened["tls"], false);
    let text = opened["text"].as_str().expect("a text");
    assert!(
        text.contains("テナントの応答が<遅い>。\n確認してください。"),
        "{text}"
    );
    let html = opened["html"].as_str().expect("HTML");
    assert!(
        html.contains("テナントの応答が&lt;遅い&gt;。<br>"),
        "{html}"
    );
    let thread = format!("<{}@example.com>", incident(1));
    for mail in [&opened, &resolved] {
        assert_eq!(mail["inReplyTo"], thread.as_str());
        assert_eq!(mail["references"], thread.as_str());
    }
    assert_ne!(opened["messageId"], resolved["messageId"]);
}

#[tokio::test]
async fn a_wrong_password_or_an_unknown_certificate_sends_nothing_and_tells_no_secret() {
    let world = World::start_unrecorded().await;
    let folder = tempfile::tempdir().expect("a folder");
    let (authority, certificate, key) = crate::azurite::certificates(folder.path());
    let server = Server::start(&certificate, &key, 0).await;
    for (number, password, trusted, outcome) in [
        (1, "wrong-secret-0123456789", true, Outcome::Refused),
        (2, "mail-secret-0123456789", false, Outcome::Failed),
    ] {
        let settings = settings(&world, &server, password, trusted);
        certificates(&settings, &authority);
        let now = app(&settings, 0);
        notify::post(&now, &mail(number, "opened.0", Act::Trigger))
            .await
            .expect("posted");
        notify::deliver(&now, &incident(number))
            .await
            .expect("done");
        let told = notify::told(&now, &incident(number)).await.expect("told");
        let told = &told[0];
        assert!(
            !matches!(told.state, ToldState::Delivered { .. }),
            "{told:?}"
        );
        assert_eq!(told.attempts[0].outcome, outcome, "{told:?}");
        assert!(
            !format!("{told:?}").contains("secret-0123456789"),
            "{told:?}"
        );
    }
}
