//! The estate file: what there is, when maintenance is due, and what may be changed. Parsed
//! strictly, all problems at once.

mod channels;
mod check;
mod contradictions;
mod file;
mod health;
mod incidents;
mod logs;
mod oncall;
mod policy;
mod retention;
mod rules;
mod scaling;
mod target;
mod windows;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Duration, NaiveTime, Weekday};
use chrono_tz::Tz;

pub use channels::{
    Channel, ChannelKind, Login, MailSecurity, Servicenow, Smtp, Target, Way, is_loopback,
};
pub use check::Problem;
pub use contradictions::{Contradiction, ContradictionKind};
pub use health::{Endpoint, Health, forbidden};
pub use incidents::{After, Escalation, IncidentPolicy, Step};
pub use logs::{LogContainer, Logs, Mark, Protected};
pub use oncall::{Calendar, Duty, Hours, Level, OnCall, Person, Shift, Turns};
pub use policy::Policy;
pub use retention::Retention;
pub use rules::{
    Above, Evaluator, EvaluatorMode, Of, Response, Rule, Thousandths, Threshold, Watch,
};
pub use scaling::{
    AppPrice, CosmosPrice, MONTH_HOURS, Prices, ReplicaRules, Scaling, ThroughputRules,
};
pub use target::{EstateTarget, Kind, Resource};
pub use windows::QuietWindow;

use crate::domain::{Cadence, ChangeKind, ResourceId, Rhythm, Schedule, same_person};
use check::Source;
use contradictions::Written;

/// The estate and its policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Estate {
    pub zone: Tz,
    pub daily: Schedule,
    pub weekly: Schedule,
    pub monthly: Schedule,
    pub stamps: Vec<Stamp>,
    pub tenants: Vec<Tenant>,
    /// Days before its end at which a certificate is told, the most first.
    pub warn_days: Vec<u32>,
    /// Application (client) ids of Entra applications that are looked after.
    pub applications: Vec<String>,
    pub logs: Logs,
    pub indexing: Indexing,
    pub oncall: OnCall,
    pub windows: Vec<QuietWindow>,
    /// The ways by which people and ticket systems are told.
    pub channels: Vec<Channel>,
    pub incidents: IncidentPolicy,
    /// How long what is over is kept.
    pub retention: Retention,
    pub health: Health,
    pub evaluator: Evaluator,
    /// What is watched, in the order of the file.
    pub rules: Vec<Rule>,
    pub scaling: Scaling,
    policies: BTreeMap<ChangeKind, Policy>,
    resources: Vec<Resource>,
}

/// One deployment of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    pub name: String,
    pub subscription: String,
    pub resource_group: String,
    pub cosmos: Option<Cosmos>,
    pub workspace: Option<Workspace>,
}

/// Where a stamp's telemetry is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    pub id: ResourceId,
    /// By which its contents are asked for, where the estate says so.
    pub customer_id: Option<String>,
}

/// What is looked at before another index of a Cosmos container is proposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Indexing {
    /// Days of queries that are looked at.
    pub days: u32,
    /// With fewer queries of a container, nothing is taken out of its index.
    pub least_queries: u32,
    /// Logs hold the texts of queries as they were sent.
    pub full_text: bool,
}

/// What is kept in Cosmos.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosmos {
    pub account: String,
    pub database: String,
    pub containers: Vec<String>,
}

/// One tenant of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// As telemetry has it in `Properties.tenantId`.
    pub id: String,
    pub name: String,
    /// Who of the tenant is told of its own incidents.
    pub contacts: Vec<crate::domain::Contact>,
}

/// What is wrong with an estate file, all of it.
#[derive(Debug, thiserror::Error)]
#[error("estate:\n{}", .0.iter().map(|p| format!("  - {p}")).collect::<Vec<_>>().join("\n"))]
pub struct EstateError(pub Vec<Problem>);

/// The JSON Schema of the estate file, for editors.
#[must_use]
pub fn schema() -> serde_json::Value {
    file::schema()
}

impl Estate {
    /// Reads an estate file.
    ///
    /// Errors: everything that is wrong with it. Unknown keys are wrong.
    pub fn parse(text: &str) -> Result<Self, EstateError> {
        let source = Source::read(text).map_err(EstateError)?;
        Ok(Self::read(text, &source)?.0)
    }

    /// What contradicts itself in an estate file that is right, in the order of its lines. A service
    /// starts with it all the same.
    ///
    /// Errors: everything that is wrong with it.
    pub fn contradictions(text: &str) -> Result<Vec<Contradiction>, EstateError> {
        let source = Source::read(text).map_err(EstateError)?;
        let (estate, entries) = Self::read(text, &source)?;
        let written = Written {
            source: &source,
            entries: &entries,
        };
        Ok(contradictions::find(&estate, &written))
    }

    fn read(text: &str, source: &Source<'_>) -> Result<(Self, Entries), EstateError> {
        let problems = source.check(&file::schema());
        if !problems.is_empty() {
            return Err(EstateError(problems));
        }
        let file: file::File = toml::from_str(text).map_err(|e| {
            EstateError(vec![Problem {
                line: None,
                key: String::new(),
                message: e.to_string(),
            }])
        })?;
        let mut reader = Reader {
            source,
            problems: Vec::new(),
            entries: Entries::new(),
        };
        let estate = reader.estate(file);
        if reader.problems.is_empty() {
            Ok((estate, reader.entries))
        } else {
            Err(EstateError(reader.problems))
        }
    }

    #[must_use]
    pub fn schedule(&self, cadence: Cadence) -> &Schedule {
        match cadence {
            Cadence::Daily => &self.daily,
            Cadence::Weekly => &self.weekly,
            Cadence::Monthly => &self.monthly,
        }
    }

    /// The policy of a kind of change.
    #[must_use]
    pub fn policy(&self, kind: ChangeKind) -> Policy {
        self.policies
            .get(&kind)
            .cloned()
            .unwrap_or_else(|| Policy::default_of(kind))
    }

    /// Whether any policy names this person as one who may approve.
    #[must_use]
    pub fn is_approver(&self, name: &str) -> bool {
        self.policies
            .values()
            .flat_map(|policy| &policy.approvers)
            .any(|approver| same_person(approver, name))
    }

    /// Every resource, resource groups among them.
    #[must_use]
    pub fn resources(&self) -> &[Resource] {
        &self.resources
    }

    /// The resource that `text` names or lies in; `None` if it is not in the estate. A resource
    /// group is named only by itself: what else lies in it need not be ours.
    #[must_use]
    pub fn target(&self, text: &str) -> Option<EstateTarget<'_>> {
        self.resources
            .iter()
            .find(|r| match r.kind {
                Kind::ResourceGroup => r.id.is(text),
                _ => r.id.holds(text),
            })
            .map(EstateTarget::new)
    }
}

/// Turns the file into the estate and collects what is wrong on the way.
struct Reader<'a> {
    source: &'a Source<'a>,
    problems: Vec<Problem>,
    entries: Entries,
}

/// The entries that say of resources how they are scaled, by id in lower case.
type Entries = BTreeMap<String, String>;

impl Reader<'_> {
    fn tell(&mut self, key: &str, message: impl Into<String>) {
        self.problems.push(self.source.problem(key, message));
    }

    fn estate(&mut self, file: file::File) -> Estate {
        let zone: Tz = file.time_zone.parse().unwrap_or_else(|_| {
            self.tell(
                "time_zone",
                format!("is `{}`: no IANA time zone", file.time_zone),
            );
            chrono_tz::UTC
        });
        let [daily, weekly, monthly] = self.schedules(&file.maintenance, zone);
        let mut resources = Vec::new();
        let mut names = BTreeSet::new();
        let mut stamps = Vec::new();
        for (index, stamp) in file.stamps.into_iter().enumerate() {
            let key = format!("stamps[{index}]");
            if !names.insert(stamp.name.clone()) {
                let message = format!("is `{}`, as that of another stamp", stamp.name);
                self.tell(&format!("{key}.name"), message);
            }
            stamps.push(self.stamp(stamp, &key, &mut resources));
        }
        let mut ids = BTreeSet::new();
        let mut tenants = Vec::new();
        for (index, tenant) in file.tenants.into_iter().enumerate() {
            let key = format!("tenants[{index}].id");
            if tenant.id.trim().is_empty() {
                self.tell(&key, "is empty");
            }
            if !ids.insert(tenant.id.clone()) {
                self.tell(
                    &key,
                    format!("is `{}`, as that of another tenant", tenant.id),
                );
            }
            tenants.push(Tenant {
                name: tenant.name.unwrap_or_else(|| tenant.id.clone()),
                contacts: tenant.contacts,
                id: tenant.id,
            });
        }
        let mut warn_days = file.certificates.warn_days;
        if warn_days.is_empty() || warn_days.iter().any(|days| !(1..=3650).contains(days)) {
            self.tell(
                "certificates.warn_days",
                "wants at least one number of days, each from 1 to 3650",
            );
        }
        warn_days.sort_unstable_by(|a, b| b.cmp(a));
        warn_days.dedup();
        for (index, id) in file.certificates.applications.iter().enumerate() {
            if uuid::Uuid::try_parse(id).is_err() {
                let message = format!("is `{id}`: no application id");
                self.tell(&format!("certificates.applications[{index}]"), message);
            }
        }
        let logs = self.logs(file.logs, |name| {
            let is = |r: &&Resource| r.kind == Kind::StorageAccount && r.name == name;
            resources.iter().find(is).map(|r| r.id.clone())
        });
        let indexing = Indexing {
            days: file.indexing.days,
            least_queries: file.indexing.least_queries,
            full_text: file.indexing.full_text,
        };
        if !(1..=90).contains(&indexing.days) {
            let message = format!("is {}: 1 to 90 days are possible", indexing.days);
            self.tell("indexing.days", message);
        }
        if indexing.least_queries == 0 {
            self.tell(
                "indexing.least_queries",
                "is 0: no index is known to be unused",
            );
        }
        let oncall = self.oncall(file.oncall);
        let windows = self.windows(file.windows);
        let channels = self.channels(file.channels, &ids);
        let incidents = self.incidents(file.incidents);
        self.reachable(&incidents, &oncall, &channels, &tenants);
        let retention = self.retention(&file.retention);
        let health = self.health(file.health, &resources, &tenants);
        let evaluator = self.evaluator(&file.evaluator);
        let rules = self.rules(file.rules, evaluator);
        if !rules.is_empty() && !stamps.iter().any(|stamp| stamp.workspace.is_some()) {
            self.tell("rules", "have no telemetry: no stamp has a workspace");
        }
        let scaling = self.scaling(&file.scaling, file.prices.as_ref(), &stamps, &resources);
        let mut written = file.policy;
        let policies = ChangeKind::ALL
            .into_iter()
            .filter_map(|kind| Some((kind, self.policy(kind, written.of(kind)?))))
            .collect();
        Estate {
            zone,
            daily,
            weekly,
            monthly,
            stamps,
            tenants,
            warn_days,
            applications: file.certificates.applications,
            logs,
            indexing,
            oncall,
            windows,
            channels,
            incidents,
            retention,
            health,
            evaluator,
            rules,
            scaling,
            policies,
            resources,
        }
    }

    fn stamp(&mut self, stamp: file::Stamp, key: &str, resources: &mut Vec<Resource>) -> Stamp {
        if uuid::Uuid::try_parse(&stamp.subscription).is_err() {
            let message = format!("is `{}`: no subscription id", stamp.subscription);
            self.tell(&format!("{key}.subscription"), message);
        }
        let workspace = stamp.workspace.as_ref().map(|name| Workspace {
            id: ResourceId::new(
                &stamp.subscription,
                &stamp.resource_group,
                Kind::Workspace.azure(),
                name,
            ),
            customer_id: stamp.workspace_id.clone(),
        });
        if let Some(id) = &stamp.workspace_id {
            let field = format!("{key}.workspace_id");
            if uuid::Uuid::try_parse(id).is_err() {
                self.tell(&field, format!("is `{id}`: no customer id of a workspace"));
            }
            if workspace.is_none() {
                self.tell(&field, "is that of no workspace: name it as `workspace`");
            }
        }
        let one = |name: &Option<String>| name.iter().cloned().collect::<Vec<_>>();
        let account = stamp.cosmos.as_ref().map(|c| c.account.clone());
        let groups: [(&str, Kind, Vec<String>); 9] = [
            (
                "resource_group",
                Kind::ResourceGroup,
                vec![stamp.resource_group.clone()],
            ),
            ("cosmos.account", Kind::CosmosAccount, one(&account)),
            ("container_apps", Kind::ContainerApp, stamp.container_apps),
            ("search", Kind::SearchService, stamp.search),
            (
                "storage_accounts",
                Kind::StorageAccount,
                stamp.storage_accounts,
            ),
            ("key_vaults", Kind::KeyVault, stamp.key_vaults),
            ("redis", Kind::Redis, stamp.redis),
            ("registry", Kind::Registry, one(&stamp.registry)),
            ("workspace", Kind::Workspace, one(&stamp.workspace)),
        ];
        for (field, kind, names) in groups {
            for (index, name) in names.into_iter().enumerate() {
                let list = !matches!(
                    field,
                    "resource_group" | "cosmos.account" | "registry" | "workspace"
                );
                let key = if list {
                    format!("{key}.{field}[{index}]")
                } else {
                    format!("{key}.{field}")
                };
                if !fits_azure(&name) {
                    self.tell(&key, format!("is `{name}`: no name of an Azure resource"));
                }
                let id = match kind {
                    Kind::ResourceGroup => ResourceId::group(&stamp.subscription, &name),
                    _ => ResourceId::new(
                        &stamp.subscription,
                        &stamp.resource_group,
                        kind.azure(),
                        &name,
                    ),
                };
                // Two stamps may share a resource group, and nothing else.
                let known = resources.iter().any(|r| r.id == id);
                if known && kind != Kind::ResourceGroup {
                    self.tell(&key, format!("is `{name}`, which is named before"));
                } else if !known {
                    resources.push(Resource {
                        id,
                        kind,
                        name,
                        stamp: stamp.name.clone(),
                    });
                }
            }
        }
        if stamp
            .cosmos
            .as_ref()
            .is_some_and(|c| c.containers.is_empty())
        {
            self.tell(
                &format!("{key}.cosmos.containers"),
                "is empty: without it, threads, messages, runs and files are meant",
            );
        }
        Stamp {
            name: stamp.name,
            subscription: stamp.subscription,
            resource_group: stamp.resource_group,
            cosmos: stamp.cosmos.map(|c| Cosmos {
                account: c.account,
                database: c.database,
                containers: c.containers,
            }),
            workspace,
        }
    }

    fn schedules(&mut self, m: &file::Maintenance, zone: Tz) -> [Schedule; 3] {
        for (name, entry) in [("daily", &m.daily), ("monthly", &m.monthly)] {
            if entry.weekday.is_some() {
                let key = format!("maintenance.{name}.weekday");
                self.tell(&key, "belongs to weekly maintenance only");
            }
        }
        for (name, entry) in [("daily", &m.daily), ("weekly", &m.weekly)] {
            if entry.day.is_some() {
                let key = format!("maintenance.{name}.day");
                self.tell(&key, "belongs to monthly maintenance only");
            }
        }
        let weekday = m.weekly.weekday.as_deref().unwrap_or("sunday");
        let weekday = weekday.parse().unwrap_or_else(|_| {
            let message = format!("is `{weekday}`: no day of the week");
            self.tell("maintenance.weekly.weekday", message);
            Weekday::Sun
        });
        let day = m.monthly.day.unwrap_or(1);
        if !(1..=31).contains(&day) {
            let message = format!("is {day}: 1 to 31 is possible");
            self.tell("maintenance.monthly.day", message);
        }
        let at = self.time("daily", &m.daily, "02:00");
        let daily = Rhythm::Daily { at };
        let at = self.time("weekly", &m.weekly, "03:00");
        let weekly = Rhythm::Weekly { weekday, at };
        let at = self.time("monthly", &m.monthly, "04:00");
        let monthly = Rhythm::Monthly { day, at };
        let mut schedule = |rhythm, name, entry, default| Schedule {
            rhythm,
            zone,
            catch_up: self.catch_up(name, entry, default),
        };
        [
            schedule(daily, "daily", &m.daily, "20h"),
            schedule(weekly, "weekly", &m.weekly, "3d"),
            schedule(monthly, "monthly", &m.monthly, "5d"),
        ]
    }

    fn time(&mut self, name: &str, entry: &file::Entry, default: &str) -> NaiveTime {
        let text = entry.at.as_deref().unwrap_or(default);
        NaiveTime::parse_from_str(text, "%H:%M").unwrap_or_else(|_| {
            let message = format!("is `{text}`: a time such as 02:00 is possible");
            self.tell(&format!("maintenance.{name}.at"), message);
            NaiveTime::MIN
        })
    }

    fn catch_up(&mut self, name: &str, entry: &file::Entry, default: &str) -> Duration {
        let text = entry.catch_up.as_deref().unwrap_or(default);
        duration(text).unwrap_or_else(|| {
            let message = format!("is `{text}`: a time such as 90m, 20h or 3d is possible");
            self.tell(&format!("maintenance.{name}.catch_up"), message);
            Duration::zero()
        })
    }
}

/// What all names of Azure resources have in common; each service has more rules of its own.
fn fits_azure(name: &str) -> bool {
    (1..=90).contains(&name.len())
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '(' | ')'))
}

/// Minutes, hours or days: `90m`, `20h`, `3d`; a year at most.
fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: i64 = number.parse().ok()?;
    let duration = match unit {
        "m" => Duration::try_minutes(number)?,
        "h" => Duration::try_hours(number)?,
        "d" => Duration::try_days(number)?,
        _ => return None,
    };
    (Duration::zero()..=Duration::days(366))
        .contains(&duration)
        .then_some(duration)
}

#[cfg(test)]
mod tests;
