//! From what is written to what is owned, each resource with rules of its own.

use chrono::Duration;

use super::{AppPrice, CosmosPrice, Prices, ReplicaRules, Scaling, ThroughputRules, file, plain};
use crate::domain::{Currency, Money, ResourceId};
use crate::estate::{Kind, Reader, Resource, Stamp, duration};

/// More is never given by scaling; specification 6.1.1.
const MOST_SCALED_RU: u32 = 20_000;
const LEAST_RU: u32 = 400;
/// Source: "Set scaling rules in Azure Container Apps", scale limits.
const MOST_REPLICAS: u32 = 1000;
/// What is busy and what is calm must lie so far apart, percent.
const APART: u32 = 10;

/// A field and what is wrong with it.
type Wrong = (&'static str, String);

impl Reader<'_> {
    pub(in crate::estate) fn scaling(
        &mut self,
        written: &file::Scaling,
        prices: Option<&file::Prices>,
        stamps: &[Stamp],
        resources: &[Resource],
    ) -> Scaling {
        let mut scaling = Scaling {
            containers: self.throughputs(written, stamps),
            apps: self.apps(written, stamps, resources),
            prices: Prices::default(),
        };
        if let Some(prices) = prices {
            scaling.prices = self.prices(prices);
        }
        scaling
    }

    fn throughputs(
        &mut self,
        written: &file::Scaling,
        stamps: &[Stamp],
    ) -> Vec<(ResourceId, ThroughputRules)> {
        let mut wrong = Vec::new();
        let all = throughput(
            &written.cosmos.rules,
            ThroughputRules::default(),
            &mut wrong,
        );
        wrong.extend(throughput_limits(&all));
        self.tell_all("scaling.cosmos", &wrong, &[]);
        let mut known: Vec<Owned<ThroughputRules>> = Vec::new();
        for stamp in stamps {
            let Some(cosmos) = &stamp.cosmos else {
                continue;
            };
            let account = ResourceId::new(
                &stamp.subscription,
                &stamp.resource_group,
                Kind::CosmosAccount.azure(),
                &cosmos.account,
            );
            let database = account.child("sqlDatabases", &cosmos.database);
            let one = |id: ResourceId, name: &str, is_database| Owned {
                id,
                stamp: stamp.name.clone(),
                name: name.to_owned(),
                is_database,
                own: written.cosmos.own,
                rules: all,
                entry: None,
            };
            for name in &cosmos.containers {
                let id = database.child("containers", name);
                if known.iter().all(|other| other.id != id) {
                    known.push(one(id, name, false));
                }
            }
            if known.iter().all(|other| other.id != database) {
                known.push(one(database, &cosmos.database, true));
            }
        }
        let databases = written.databases.iter().map(|d| Entry {
            what: "database",
            stamp: d.stamp.as_deref(),
            name: &d.database,
            own: d.own,
            rules: &d.rules,
        });
        let containers = written.containers.iter().map(|c| Entry {
            what: "container",
            stamp: c.stamp.as_deref(),
            name: &c.container,
            own: c.own,
            rules: &c.rules,
        });
        let entries = [
            ("scaling.databases", databases.collect::<Vec<_>>(), true),
            ("scaling.containers", containers.collect(), false),
        ];
        for (list, entries, is_database) in entries {
            for (index, entry) in entries.into_iter().enumerate() {
                let key = format!("{list}[{index}]");
                let mut own_wrong = Vec::new();
                let rules = throughput(entry.rules, all, &mut own_wrong);
                own_wrong.extend(throughput_limits(&rules));
                self.tell_all(&key, &own_wrong, &wrong);
                let of_kind = known.iter_mut().filter(|o| o.is_database == is_database);
                self.otherwise(&key, &entry, rules, of_kind, stamps);
            }
        }
        let owned = known.into_iter().filter(|one| one.own);
        owned.map(|one| (one.id, one.rules)).collect()
    }

    fn apps(
        &mut self,
        written: &file::Scaling,
        stamps: &[Stamp],
        resources: &[Resource],
    ) -> Vec<(ResourceId, ReplicaRules)> {
        let mut wrong = Vec::new();
        let all = replicas(&written.apps.rules, ReplicaRules::default(), &mut wrong);
        wrong.extend(replica_limits(&all));
        self.tell_all("scaling.apps", &wrong, &[]);
        let apps = resources.iter().filter(|r| r.kind == Kind::ContainerApp);
        let mut known: Vec<Owned<ReplicaRules>> = apps
            .map(|app| Owned {
                id: app.id.clone(),
                stamp: app.stamp.clone(),
                name: app.name.clone(),
                is_database: false,
                own: written.apps.own,
                rules: all,
                entry: None,
            })
            .collect();
        for (index, app) in written.container_apps.iter().enumerate() {
            let key = format!("scaling.container_apps[{index}]");
            let mut own_wrong = Vec::new();
            let rules = replicas(&app.rules, all, &mut own_wrong);
            own_wrong.extend(replica_limits(&rules));
            self.tell_all(&key, &own_wrong, &wrong);
            let entry = Entry {
                what: "app",
                stamp: app.stamp.as_deref(),
                name: &app.app,
                own: app.own,
                rules: &app.rules,
            };
            self.otherwise(&key, &entry, rules, known.iter_mut(), stamps);
        }
        let owned = known.into_iter().filter(|one| one.own);
        owned.map(|one| (one.id, one.rules)).collect()
    }

    /// Gives what an entry names the rules that it says.
    fn otherwise<'k, R: Copy + 'k, W>(
        &mut self,
        key: &str,
        entry: &Entry<'_, W>,
        rules: R,
        known: impl Iterator<Item = &'k mut Owned<R>>,
        stamps: &[Stamp],
    ) {
        let what = entry.what;
        if let Some(stamp) = entry.stamp
            && stamps.iter().all(|known| known.name != stamp)
        {
            let message = format!("is `{stamp}`: no stamp of the estate");
            self.tell(&format!("{key}.stamp"), message);
            return;
        }
        let mut found = false;
        for one in known {
            let here = entry.stamp.is_none_or(|stamp| stamp == one.stamp);
            if !here || one.name != entry.name {
                continue;
            }
            found = true;
            if let Some(before) = &one.entry {
                let message = format!(
                    "is `{}`, which `{before}` names for stamp `{}` as well",
                    entry.name, one.stamp
                );
                self.tell(&format!("{key}.{what}"), message);
                continue;
            }
            one.entry = Some(key.to_owned());
            let id = one.id.as_str().to_ascii_lowercase();
            self.entries.insert(id, key.to_owned());
            one.own = entry.own.unwrap_or(one.own);
            one.rules = rules;
        }
        if !found {
            let of = entry
                .stamp
                .map_or("a stamp".to_owned(), |s| format!("stamp `{s}`"));
            let message = format!("is `{}`: no {what} of {of}", entry.name);
            self.tell(&format!("{key}.{what}"), message);
        }
    }

    /// Tells what is wrong, but for what was told of the rules that hold for all.
    fn tell_all(&mut self, key: &str, wrong: &[Wrong], told: &[Wrong]) {
        for (field, message) in wrong.iter().filter(|one| !told.contains(one)) {
            self.tell(&format!("{key}.{field}"), message);
        }
    }

    fn prices(&mut self, written: &file::Prices) -> Prices {
        let currency: Option<Currency> = written
            .currency
            .parse()
            .map_err(|_| {
                let message = format!("is `{}`: JPY or USD is possible", written.currency);
                self.tell("prices.currency", message);
            })
            .ok();
        let mut prices = Prices::default();
        for (index, one) in written.cosmos.iter().enumerate() {
            let key = format!("prices.cosmos[{index}]");
            let before = prices.cosmos.iter().map(|p| p.region.as_str());
            let region = self.region(&key, &one.region, before);
            let hundred = self.amount(&key, "hundred_ru_hour", &one.hundred_ru_hour, currency);
            if let (Some(region), Some(hundred_an_hour)) = (region, hundred) {
                prices.cosmos.push(CosmosPrice {
                    region,
                    hundred_an_hour,
                });
            }
        }
        for (index, one) in written.apps.iter().enumerate() {
            let key = format!("prices.apps[{index}]");
            let before = prices.apps.iter().map(|p| p.region.as_str());
            let region = self.region(&key, &one.region, before);
            let vcpu = self.amount(&key, "vcpu_hour", &one.vcpu_hour, currency);
            let gib = self.amount(&key, "gib_hour", &one.gib_hour, currency);
            if let (Some(region), Some(vcpu_hour), Some(gib_hour)) = (region, vcpu, gib) {
                prices.apps.push(AppPrice {
                    region,
                    vcpu_hour,
                    gib_hour,
                });
            }
        }
        prices
    }

    fn region<'p>(
        &mut self,
        key: &str,
        text: &str,
        mut before: impl Iterator<Item = &'p str>,
    ) -> Option<String> {
        let key = format!("{key}.region");
        let region = plain(text);
        if region.is_empty() || !region.bytes().all(|b| b.is_ascii_alphanumeric()) {
            self.tell(
                &key,
                format!("is `{text}`: a region such as japaneast is possible"),
            );
            return None;
        }
        if before.any(|other| other == region) {
            self.tell(&key, format!("is `{region}`, which has a price before"));
            return None;
        }
        Some(region)
    }

    fn amount(
        &mut self,
        key: &str,
        field: &str,
        amount: &file::Amount,
        currency: Option<Currency>,
    ) -> Option<Money> {
        // More than this for an hour is a slip of the pen, and would not be counted exactly.
        let fits = |micros: &i64| (1..=1_000_000_000_000).contains(micros);
        let Some(micros) = amount.micros().filter(fits) else {
            let message = "is no price: a number above 0 with six decimals at most is possible";
            self.tell(&format!("{key}.{field}"), message);
            return None;
        };
        Some(Money::new(micros, currency?))
    }
}

/// Something that scaling may own.
struct Owned<R> {
    id: ResourceId,
    stamp: String,
    name: String,
    is_database: bool,
    own: bool,
    rules: R,
    /// Key of the entry that says otherwise than what holds for all.
    entry: Option<String>,
}

/// What is scaled otherwise than all.
struct Entry<'a, W> {
    what: &'static str,
    stamp: Option<&'a str>,
    name: &'a str,
    own: Option<bool>,
    rules: &'a W,
}

fn time(
    field: &'static str,
    text: Option<&String>,
    default: Duration,
    (least, most): (Duration, Duration),
    wrong: &mut Vec<Wrong>,
) -> Duration {
    let Some(text) = text else { return default };
    let Some(time) = duration(text) else {
        let message = format!("is `{text}`: a time such as 15m, 1h or 1d is possible");
        wrong.push((field, message));
        return default;
    };
    if !(least..=most).contains(&time) {
        let message = format!(
            "is `{text}`: {}m to {}h is possible",
            least.num_minutes(),
            most.num_hours()
        );
        wrong.push((field, message));
    }
    time
}

fn throughput(
    written: &file::Throughput,
    all: ThroughputRules,
    wrong: &mut Vec<Wrong>,
) -> ThroughputRules {
    let (hour, day, week) = (Duration::hours(1), Duration::days(1), Duration::days(7));
    let mut time = |field, text: &Option<String>, default, limits| {
        time(field, text.as_ref(), default, limits, wrong)
    };
    ThroughputRules {
        least: written.least.unwrap_or(all.least),
        most: written.most.unwrap_or(all.most),
        up_percent: written.up_percent.unwrap_or(all.up_percent),
        down_percent: written.down_percent.unwrap_or(all.down_percent),
        hot_samples: written.hot_samples.unwrap_or(all.hot_samples),
        of_samples: written.of_samples.unwrap_or(all.of_samples),
        throttled_percent: written.throttled_percent.unwrap_or(all.throttled_percent),
        good_latency_ms: written.good_latency_ms.unwrap_or(all.good_latency_ms),
        foresee: time(
            "foresee",
            &written.foresee,
            all.foresee,
            (Duration::zero(), hour),
        ),
        target_percent: written.target_percent.unwrap_or(all.target_percent),
        least_step_percent: written.least_step_percent.unwrap_or(all.least_step_percent),
        calm: time("calm", &written.calm, all.calm, (hour, day)),
        between_downs: time(
            "between_downs",
            &written.between_downs,
            all.between_downs,
            (hour, week),
        ),
        ahead: time("ahead", &written.ahead, all.ahead, (Duration::zero(), day)),
        most_changes_per_day: written
            .most_changes_per_day
            .unwrap_or(all.most_changes_per_day),
    }
}

fn range(wrong: &mut Vec<Wrong>, field: &'static str, number: u32, least: u32, most: u32) {
    if !(least..=most).contains(&number) {
        wrong.push((field, format!("is {number}: {least} to {most} is possible")));
    }
}

/// What lies outside of limits, or does not go together.
fn throughput_limits(rules: &ThroughputRules) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    for (field, ru) in [("least", rules.least), ("most", rules.most)] {
        if !ru.is_multiple_of(100) || !(LEAST_RU..=MOST_SCALED_RU).contains(&ru) {
            let message = format!(
                "is {ru}: {LEAST_RU} to {MOST_SCALED_RU} RU/s in steps of 100 are possible"
            );
            wrong.push((field, message));
        }
    }
    if rules.least > rules.most {
        wrong.push((
            "least",
            format!("is {}, and most {}", rules.least, rules.most),
        ));
    }
    for (field, percent) in [
        ("up_percent", rules.up_percent),
        ("down_percent", rules.down_percent),
        ("throttled_percent", rules.throttled_percent),
        ("target_percent", rules.target_percent),
        ("least_step_percent", rules.least_step_percent),
    ] {
        range(&mut wrong, field, percent, 1, 100);
    }
    if rules.up_percent < rules.down_percent.saturating_add(APART) {
        let message = format!(
            "is {}, which is less than {APART} below up_percent ({})",
            rules.down_percent, rules.up_percent
        );
        wrong.push(("down_percent", message));
    }
    range(&mut wrong, "of_samples", rules.of_samples, 1, 60);
    samples(&mut wrong, rules.hot_samples, rules.of_samples);
    range(
        &mut wrong,
        "good_latency_ms",
        rules.good_latency_ms,
        1,
        60_000,
    );
    range(
        &mut wrong,
        "most_changes_per_day",
        rules.most_changes_per_day,
        1,
        288,
    );
    wrong
}

fn samples(wrong: &mut Vec<Wrong>, hot: u32, of: u32) {
    if !(1..=of.max(1)).contains(&hot) {
        let message = format!("is {hot}: 1 to {of}, which is of_samples, is possible");
        wrong.push(("hot_samples", message));
    }
}

fn replicas(written: &file::Replicas, all: ReplicaRules, wrong: &mut Vec<Wrong>) -> ReplicaRules {
    let limits = |least| (Duration::minutes(least), Duration::days(1));
    let mut time = |field, text: &Option<String>, default, limits| {
        time(field, text.as_ref(), default, limits, wrong)
    };
    ReplicaRules {
        least: written.least.unwrap_or(all.least),
        most: written.most.unwrap_or(all.most),
        cpu_percent: written.cpu_percent.unwrap_or(all.cpu_percent),
        memory_percent: written.memory_percent.unwrap_or(all.memory_percent),
        hot_samples: written.hot_samples.unwrap_or(all.hot_samples),
        of_samples: written.of_samples.unwrap_or(all.of_samples),
        burst: time("burst", &written.burst, all.burst, limits(5)),
        calm: time("calm", &written.calm, all.calm, limits(1)),
    }
}

fn replica_limits(rules: &ReplicaRules) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    range(&mut wrong, "least", rules.least, 1, MOST_REPLICAS);
    range(&mut wrong, "most", rules.most, 1, MOST_REPLICAS);
    if rules.least > rules.most {
        wrong.push((
            "least",
            format!("is {}, and most {}", rules.least, rules.most),
        ));
    }
    range(&mut wrong, "cpu_percent", rules.cpu_percent, 1, 100);
    range(&mut wrong, "memory_percent", rules.memory_percent, 1, 100);
    range(&mut wrong, "of_samples", rules.of_samples, 1, 60);
    samples(&mut wrong, rules.hot_samples, rules.of_samples);
    wrong
}
