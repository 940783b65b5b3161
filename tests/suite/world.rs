use std::collections::BTreeMap;
use std::sync::Arc;

use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::time::OffsetDateTime;
use poolkeeper::app::{App, Clock};
use poolkeeper::config::{Config, Identity};
use poolkeeper::estate::Estate;
use poolkeeper::local::sample_secrets;
use poolkeeper::local::simulator::{Options, QueryEngine, Simulator};
use poolkeeper::local::telemetry::Trace;
use serde_json::{Value, json};

use crate::engine::Answers;

pub(crate) const PROJECT: &str = env!("CARGO_MANIFEST_DIR");

/// Keys of the two people who are known here.
pub(crate) const OPERATOR: &str = "operator-key-0123456789";
pub(crate) const REVIEWER: &str = "reviewer-key-0123456789";

/// An embedded estate with one or more handlers on it.
pub(crate) struct World {
    pub(crate) simulator: Simulator,
    pub(crate) http: reqwest::Client,
    /// What queries of logs are answered with.
    pub(crate) answers: Arc<Answers>,
    folder: tempfile::TempDir,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::start_recorded(recordings(), None, true).await
    }

    /// One whose exchanges are not recorded, for stories that send what Azure would not take.
    pub(crate) async fn start_unrecorded() -> Self {
        Self::start_recorded(None, None, true).await
    }

    /// One that answers no query of logs.
    pub(crate) async fn start_without_engine() -> Self {
        Self::start_recorded(None, None, false).await
    }

    /// One whose queries of logs are answered by this.
    pub(crate) async fn start_with(engine: Arc<dyn QueryEngine>) -> Self {
        Self::start_recorded(recordings(), Some(engine), true).await
    }

    /// One with an estate of its own.
    pub(crate) async fn start_of(estate: Estate) -> Self {
        Self::start_with_estate(recordings(), None, true, estate).await
    }

    async fn start_recorded(
        record: Option<std::path::PathBuf>,
        own: Option<Arc<dyn QueryEngine>>,
        engine: bool,
    ) -> Self {
        Self::start_with_estate(record, own, engine, estate()).await
    }

    async fn start_with_estate(
        record: Option<std::path::PathBuf>,
        own: Option<Arc<dyn QueryEngine>>,
        engine: bool,
        estate: Estate,
    ) -> Self {
        let answers = Arc::new(Answers::default());
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().to_owned();
        let simulator = Simulator::start(Options {
            data,
            port: 0,
            record,
            estate: Some(estate),
            engine: own.or_else(|| engine.then(|| Arc::clone(&answers) as Arc<dyn QueryEngine>)),
        })
        .await
        .expect("a simulator");
        Self {
            simulator,
            http: reqwest::Client::new(),
            answers,
            folder,
        }
    }

    /// Stops the storage and starts it again on what it kept.
    pub(crate) async fn restart_storage(self) -> Self {
        let Self {
            simulator,
            http,
            answers,
            folder,
        } = self;
        drop(simulator);
        let data = folder.path().to_owned();
        for _ in 0..200 {
            if let Ok(simulator) = Simulator::start(Options {
                data: data.clone(),
                port: 0,
                record: recordings(),
                estate: Some(estate()),
                engine: Some(Arc::clone(&answers) as Arc<dyn QueryEngine>),
            })
            .await
            {
                return Self {
                    simulator,
                    http,
                    answers,
                    folder,
                };
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("the storage did not let go of its state");
    }

    /// From now on, and in the past, the load is the same day and night, and on every day of the week.
    pub(crate) fn flat_load(&self) {
        let file = self.folder.path().join("flat.csv");
        std::fs::write(&file, "1998-04-30 21:30:00,2\n").expect("a file");
        let trace = Trace::read(&file).expect("a trace");
        self.simulator.follow(trace);
    }

    /// App settings that point at this storage.
    pub(crate) fn settings(&self) -> BTreeMap<String, String> {
        [
            ("AzureWebJobsStorage", self.simulator.connection_string()),
            ("POOLKEEPER_BLOB_ENDPOINT", self.simulator.blob_url()),
            ("POOLKEEPER_QUEUE_ENDPOINT", self.simulator.queue_url()),
            ("POOLKEEPER_ARM_ENDPOINT", self.simulator.url()),
            ("POOLKEEPER_LOGS_ENDPOINT", self.simulator.url()),
            ("POOLKEEPER_OUTSIDE_ENDPOINT", self.simulator.url()),
            ("IDENTITY_ENDPOINT", self.simulator.identity_url()),
            (
                "IDENTITY_HEADER",
                self.simulator.identity_header().to_owned(),
            ),
            ("POOLKEEPER_QUEUE", "poolkeeper-work".to_owned()),
            (
                "POOLKEEPER_OPERATOR_KEYS",
                format!("operator:{OPERATOR},reviewer:{REVIEWER}"),
            ),
            ("POOLKEEPER_LOG", "text".to_owned()),
            ("FUNCTIONS_APP_ROOT_PATH", PROJECT.to_owned()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .chain(sample_secrets(include_str!("../../infra/estate.toml")))
        .collect()
    }

    /// Settings with an estate of their own: the one that ships, turned by `turn`.
    pub(crate) fn settings_with_estate(
        &self,
        turn: impl FnOnce(&str) -> String,
    ) -> BTreeMap<String, String> {
        let text = turn(include_str!("../../infra/estate.toml"));
        Estate::parse(&text).expect("an estate that is right");
        let path = self
            .folder
            .path()
            .join(format!("estate-{}.toml", uuid::Uuid::new_v4().simple()));
        std::fs::write(&path, &text).expect("a file");
        let mut settings = self.settings();
        settings.extend(sample_secrets(&text));
        settings.insert("POOLKEEPER_ESTATE".into(), path.display().to_string());
        settings
    }

    pub(crate) fn app(&self, clock: Clock) -> App {
        Self::app_with(&self.settings(), clock)
    }

    pub(crate) fn app_with(values: &BTreeMap<String, String>, clock: Clock) -> App {
        let mut config = Config::read(|name| values.get(name).cloned()).expect("settings");
        config.add_secrets(values.clone().into_iter());
        // The SDK reads the endpoint of an identity from the process's own environment only.
        config.azure.identity = Identity::Given(Arc::new(SimulatedIdentity {
            url: values["IDENTITY_ENDPOINT"].clone(),
            header: values["IDENTITY_HEADER"].clone(),
        }));
        App::new(config, clock)
    }

    /// A handler on a port of its own; its base URL.
    pub(crate) async fn handler(&self, clock: Clock) -> String {
        self.handler_with(self.settings(), clock).await
    }

    pub(crate) async fn handler_with(
        &self,
        settings: BTreeMap<String, String>,
        clock: Clock,
    ) -> String {
        let app = Self::app_with(&settings, clock);
        let router = poolkeeper::triggers::router(Arc::new(app));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        base
    }

    pub(crate) async fn post(&self, url: String, body: &Value) -> (u16, Value) {
        let answer = self
            .http
            .post(url)
            .json(body)
            .send()
            .await
            .expect("an answer");
        (
            answer.status().as_u16(),
            answer.json().await.unwrap_or_default(),
        )
    }

    /// Sends something in the name of whoever has the key.
    pub(crate) async fn post_as(&self, key: &str, url: String, body: &Value) -> (u16, Value) {
        let answer = self
            .http
            .post(url)
            .header("x-poolkeeper-key", key)
            .json(body)
            .send()
            .await
            .expect("an answer");
        (
            answer.status().as_u16(),
            answer.json().await.unwrap_or_default(),
        )
    }

    pub(crate) async fn get(&self, url: String) -> Value {
        let answer = self.http.get(url).send().await.expect("an answer");
        answer.json().await.expect("JSON")
    }

    /// A token of the managed identity for an audience such as `https://management.azure.com`.
    pub(crate) async fn token(&self, audience: &str) -> String {
        let identity = SimulatedIdentity::of(self);
        let scope = format!("{audience}/.default");
        let token = identity.get_token(&[&scope], None).await;
        token.expect("a token").token.secret().to_owned()
    }

    /// Calls a timer function as the host does.
    pub(crate) async fn tick(&self, base: &str, function: &str) -> Value {
        let envelope = json!({ "Data": { "tick": { "ScheduleStatus": null, "IsPastDue": false } }, "Metadata": {} });
        let (status, answer) = self.post(format!("{base}/{function}"), &envelope).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// Calls the queue function as the host does.
    pub(crate) async fn deliver(&self, base: &str, run: &str) -> u16 {
        let text = json!({ "run": run }).to_string();
        let envelope = json!({ "Data": { "message": json!(text).to_string() }, "Metadata": { "Id": "\"1\"" } });
        self.post(format!("{base}/work"), &envelope).await.0
    }
}

/// Exchanges are recorded where the conformance tools look for them, when asked to.
pub(crate) fn recordings() -> Option<std::path::PathBuf> {
    std::env::var_os("POOLKEEPER_TEST_RECORD").map(Into::into)
}

/// The estate that ships.
pub(crate) fn estate() -> Estate {
    Estate::parse(include_str!("../../infra/estate.toml")).expect("the estate")
}

/// The managed identity of the simulator, asked as the SDK asks it.
#[derive(Debug)]
pub(crate) struct SimulatedIdentity {
    url: String,
    header: String,
}

impl SimulatedIdentity {
    pub(crate) fn of(world: &World) -> Self {
        Self {
            url: world.simulator.identity_url(),
            header: world.simulator.identity_header().to_owned(),
        }
    }
}

#[async_trait::async_trait]
impl TokenCredential for SimulatedIdentity {
    async fn get_token(
        &self,
        scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let resource = scopes[0].trim_end_matches("/.default");
        let answer: Value = reqwest::Client::new()
            .get(format!(
                "{}?api-version=2019-08-01&resource={resource}",
                self.url
            ))
            .header("x-identity-header", &self.header)
            .send()
            .await
            .expect("an answer")
            .json()
            .await
            .expect("JSON");
        let token = answer["access_token"].as_str().expect("a token").to_owned();
        let lives = std::time::Duration::from_secs(3600);
        Ok(AccessToken::new(token, OffsetDateTime::now_utc() + lives))
    }
}
