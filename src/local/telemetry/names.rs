//! How the resources of the estate are called in telemetry.

use super::platform::MetricWords;
use super::random::hash;
use super::service::{CLIENT_ERRORS, EXCEPTIONS, MESSAGES, OPERATIONS, QUERIES, SERVER_FAILURES};
use super::service::{DENIED, FAILED, THROTTLED};
use super::words::{Collector, Word};
use crate::domain::ResourceId;
use crate::estate::{Estate, Kind, Resource, Stamp};

/// The most replicas that an app ever has, so that each has a name.
pub(super) const MOST_REPLICAS: usize = 30;
/// The most physical partitions that a container ever has: three, split until they serve the
/// 1,000,000 RU/s that can be had without asking.
pub(super) const MOST_PARTITIONS: usize = 192;
pub(super) const VERSION: &str = "1.42.0";
pub(super) const WORKSPACE: &str = "5f0c3c1e-6a54-4c58-9d0f-0f6d2f1f7a11";
pub(super) const COSMOS_REGION: &str = "Japan East";

pub(super) struct App {
    pub(super) name: String,
    pub(super) id: Word,
    pub(super) name_word: Word,
    pub(super) image: Word,
    pub(super) revision: String,
    pub(super) revision_word: Word,
    pub(super) replicas: Vec<Word>,
}

pub(super) struct Container {
    pub(super) name: String,
    pub(super) word: Word,
    /// Where its documents are, as Cosmos writes it.
    pub(super) documents: Word,
    /// `PartitionId` and `PartitionKeyRangeId` of each physical partition that there can ever be.
    pub(super) partitions: Vec<(Word, Word)>,
    /// Names of dependencies: read, query, upsert, delete.
    pub(super) calls: [Word; 4],
}

/// A resource that has metrics of its own.
pub(super) struct Metered {
    pub(super) kind: Kind,
    pub(super) id: Word,
    pub(super) name: Word,
    pub(super) group: Word,
    pub(super) provider: Word,
}

pub(super) struct Operation {
    pub(super) name: Word,
    pub(super) url: Word,
    pub(super) success: Word,
}

/// Words that are no name of anything.
pub(super) struct Common {
    pub(super) empty: Word,
    pub(super) version: Word,
    pub(super) cosmos_operations: [Word; 4],
    pub(super) ok: Word,
    pub(super) throttled_code: Word,
    pub(super) failed_code: Word,
    pub(super) created: Word,
    pub(super) document: Word,
    pub(super) direct: Word,
    pub(super) agent: Word,
    pub(super) token: Word,
    pub(super) region: Word,
    pub(super) grain: Word,
    pub(super) messages: Vec<Word>,
    pub(super) throttled: Word,
    pub(super) failed: Word,
    pub(super) denied: Word,
    pub(super) metrics: [Word; 3],
    pub(super) assembly: Word,
    pub(super) handled_at: Word,
    pub(super) exceptions: Vec<Exception>,
    pub(super) server_failures: Vec<Word>,
    pub(super) client_errors: Vec<Word>,
    pub(super) queries: Vec<Word>,
}

pub(super) struct Exception {
    pub(super) code: &'static str,
    pub(super) problem: Word,
    pub(super) ty: Word,
    pub(super) message: Word,
    pub(super) method: Word,
}

/// A call to something that is not Cosmos: type, target, name and data.
#[derive(Clone, Copy)]
pub(super) struct Target {
    pub(super) ty: Word,
    pub(super) target: Word,
    pub(super) name: Word,
    pub(super) data: Word,
}

pub(super) struct Names {
    pub(super) subscription: String,
    pub(super) group: String,
    pub(super) environment: String,
    /// The resource of Application Insights.
    pub(super) application: String,
    /// The resource of the Cosmos account; empty without one.
    pub(super) cosmos: String,
    pub(super) account: Word,
    pub(super) database: Word,
    pub(super) cosmos_host: Word,
    pub(super) cosmos_type: Word,
    pub(super) containers: Vec<Container>,
    pub(super) apps: Vec<App>,
    pub(super) metered: Vec<Metered>,
    pub(super) operations: Vec<Operation>,
    pub(super) search: Option<Target>,
    pub(super) blob_read: Option<Target>,
    pub(super) blob_write: Option<Target>,
    pub(super) cache: Option<Target>,
    pub(super) common: Common,
    pub(super) metrics: MetricWords,
}

/// The stamp that telemetry tells of: the first that has a Cosmos account, or else the first.
pub(in crate::local) fn carrier(estate: &Estate) -> Option<&Stamp> {
    let stamps = &estate.stamps;
    let with_cosmos = stamps.iter().find(|stamp| stamp.cosmos.is_some());
    with_cosmos.or(stamps.first())
}

impl Names {
    pub(super) fn new(estate: &Estate, words: &mut Collector) -> Self {
        let stamp = carrier(estate);
        let text =
            |of: fn(&crate::estate::Stamp) -> &String| stamp.map(of).cloned().unwrap_or_default();
        let (name, group) = (text(|s| &s.name), text(|s| &s.resource_group));
        let subscription = text(|s| &s.subscription);
        let ours: Vec<&Resource> = estate
            .resources()
            .iter()
            .filter(|r| r.stamp == name)
            .collect();
        let first = |kind: Kind| ours.iter().copied().find(|r| r.kind == kind);
        let cosmos = stamp.and_then(|stamp| stamp.cosmos.as_ref());
        let application = ResourceId::new(
            &subscription,
            &group,
            "Microsoft.Insights/components",
            &format!("appi-{name}"),
        );
        let search = first(Kind::SearchService).map(|r| Target {
            ty: words.word("Azure search"),
            target: words.word(format!("{}.search.windows.net", r.name)),
            name: words.word("POST /indexes/agents/docs/search"),
            data: words.word(format!(
                "https://{}.search.windows.net/indexes/agents/docs/search",
                r.name
            )),
        });
        let mut blob = |verb: &str| {
            first(Kind::StorageAccount).map(|r| Target {
                ty: words.word("Azure blob"),
                target: words.word(format!("{}.blob.core.windows.net", r.name)),
                name: words.word(format!("{verb} {}", r.name)),
                data: words.word(format!("https://{}.blob.core.windows.net/files", r.name)),
            })
        };
        let (blob_read, blob_write) = (blob("GET"), blob("PUT"));
        Self {
            search,
            blob_read,
            blob_write,
            cache: first(Kind::Redis).map(|r| Target {
                ty: words.word("Redis"),
                target: words.word(format!("{}.redis.cache.windows.net:6380", r.name)),
                name: words.word("GET"),
                data: words.word("GET agents"),
            }),
            environment: format!("cae-{name}"),
            application: application.to_string(),
            cosmos: first(Kind::CosmosAccount).map_or_else(String::new, |r| r.id.to_string()),
            account: words.word(cosmos.map_or("", |c| c.account.as_str())),
            database: words.word(cosmos.map_or("", |c| c.database.as_str())),
            cosmos_host: words.word(cosmos.map_or_else(String::new, |c| {
                format!("{}.documents.azure.com", c.account)
            })),
            cosmos_type: words.word("Azure DocumentDB"),
            containers: cosmos.map_or_else(Vec::new, |cosmos| {
                let containers = cosmos.containers.iter();
                containers
                    .map(|name| container(name, &cosmos.database, words))
                    .collect()
            }),
            apps: ours
                .iter()
                .filter(|r| r.kind == Kind::ContainerApp)
                .map(|r| app(r, words))
                .collect(),
            metered: ours
                .iter()
                .filter_map(|r| metered(r, &group, words))
                .collect(),
            operations: OPERATIONS
                .iter()
                .map(|o| operation(o.name, o.success, words))
                .collect(),
            common: Common::new(words),
            metrics: MetricWords::new(words),
            subscription,
            group,
        }
    }

    /// The app with this place among those of the service, or the last one there is.
    pub(super) fn app(&self, place: usize) -> Option<(usize, &App)> {
        let place = place.min(self.apps.len().checked_sub(1)?);
        self.apps.get(place).map(|app| (place, app))
    }
}

fn app(app: &Resource, words: &mut Collector) -> App {
    let revision = format!("{}--a1b2c3", app.name);
    let replica = |number: usize| {
        let suffix = hash(&[number as u64, 0x4E]) & 0xfffff;
        words.word(format!("{revision}-6d8c5f9b7-{suffix:05x}"))
    };
    App {
        replicas: (0..MOST_REPLICAS).map(replica).collect(),
        id: words.word(app.id.to_string()),
        name_word: words.word(&app.name),
        image: words.word(format!("cragentsjpe.azurecr.io/{}:{VERSION}", app.name)),
        revision_word: words.word(&revision),
        name: app.name.clone(),
        revision,
    }
}

fn container(name: &str, database: &str, words: &mut Collector) -> Container {
    let salt = name.bytes().fold(3, |h, b| hash(&[h, u64::from(b)]));
    Container {
        word: words.word(name),
        documents: words.word(format!("/dbs/{database}/colls/{name}/docs")),
        partitions: (0..MOST_PARTITIONS as u64)
            .map(|number| {
                let (a, b) = (hash(&[salt, number]), hash(&[salt, number, 1]));
                (words.word(guid(a, b)), words.word(number.to_string()))
            })
            .collect(),
        calls: ["Read", "Query", "Upsert", "Delete"]
            .map(|verb| words.word(format!("{verb} {name}"))),
        name: name.to_owned(),
    }
}

fn metered(resource: &Resource, group: &str, words: &mut Collector) -> Option<Metered> {
    match resource.kind {
        Kind::CosmosAccount
        | Kind::ContainerApp
        | Kind::SearchService
        | Kind::StorageAccount
        | Kind::Redis => {}
        Kind::ResourceGroup | Kind::KeyVault | Kind::Registry | Kind::Workspace => return None,
    }
    let provider = resource.kind.azure().split('/').next().unwrap_or_default();
    Some(Metered {
        kind: resource.kind,
        // Azure writes what it exports in capitals.
        id: words.word(resource.id.to_string().to_uppercase()),
        name: words.word(resource.name.to_uppercase()),
        group: words.word(group.to_uppercase()),
        provider: words.word(provider.to_uppercase()),
    })
}

fn operation(name: &str, success: &str, words: &mut Collector) -> Operation {
    let path = name.split(' ').nth(1).unwrap_or_default();
    Operation {
        name: words.word(name),
        url: words.word(format!("https://agents.example.com{path}")),
        success: words.word(success),
    }
}

impl Common {
    fn new(words: &mut Collector) -> Self {
        Self {
            messages: MESSAGES.iter().map(|(text, _)| words.word(*text)).collect(),
            server_failures: SERVER_FAILURES
                .iter()
                .map(|(code, _)| words.word(*code))
                .collect(),
            client_errors: CLIENT_ERRORS
                .iter()
                .map(|(code, _)| words.word(*code))
                .collect(),
            queries: QUERIES.iter().map(|q| words.word(q.text)).collect(),
            exceptions: EXCEPTIONS
                .iter()
                .map(|(code, ty, message, method)| Exception {
                    code,
                    problem: words.word(format!("{ty} at {method}")),
                    ty: words.word(*ty),
                    message: words.word(*message),
                    method: words.word(*method),
                })
                .collect(),
            empty: words.word(""),
            version: words.word(VERSION),
            cosmos_operations: ["Read", "Query", "Upsert", "Delete"].map(|verb| words.word(verb)),
            ok: words.word("200"),
            throttled_code: words.word("429"),
            failed_code: words.word("500"),
            created: words.word("201"),
            document: words.word("Document"),
            direct: words.word("Direct"),
            agent: words.word("cosmos-netstandard-sdk/3.46.0|1|X64|Linux|.NET 8.0|"),
            token: words.word("AadToken"),
            region: words.word(COSMOS_REGION),
            grain: words.word("PT1M"),
            throttled: words.word(THROTTLED),
            failed: words.word(FAILED),
            denied: words.word(DENIED),
            metrics: [
                "cosmos_ru_consumption",
                "search_query_count",
                "storage_transactions",
            ]
            .map(|name| words.word(name)),
            assembly: words
                .word("Agents.Api, Version=1.42.0.0, Culture=neutral, PublicKeyToken=null"),
            handled_at: words.word("UserCode"),
        }
    }
}

/// Two numbers as a version 4 identifier.
pub(super) fn guid(high: u64, low: u64) -> String {
    let high = high & !0xf000 | 0x4000;
    let low = low & !(0b11 << 62) | 0b10 << 62;
    let bits = u128::from(high) << 64 | u128::from(low);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        bits >> 96,
        (bits >> 80) & 0xffff,
        (bits >> 64) & 0xffff,
        (bits >> 48) & 0xffff,
        bits & 0xffff_ffff_ffff
    )
}
