//! What tests ask of a running simulator without HTTP.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{
    AlertRule, Counts, Fault, Limit, Sent, Simulator, Ticket, Trouble, alarms, arm, outside,
    pressure,
};
use crate::local::storage::shelf::{self, Container};
use crate::local::world::pressure::{self as pressures, Pressure, Span};
use crate::local::world::troubles;

impl Simulator {
    /// Makes coming requests fail.
    pub fn fault(&self, fault: Fault) {
        self.shared.faults.add(fault);
    }

    /// Lets requests succeed again.
    pub fn clear_faults(&self) {
        self.shared.faults.clear();
    }

    /// Moves the clock of the estate ahead, also for later starts on the same state.
    pub fn advance(&self, by: Duration) {
        let ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.shared.storage.db.advance(ms);
    }

    /// The time of the estate.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.shared.storage.db.clock.now()
    }

    /// Begins a trouble of a container app.
    ///
    /// # Panics
    /// When there is no such app, or the state cannot be written.
    pub async fn app_trouble(&self, app: &str, trouble: Trouble) {
        let app = app.to_owned();
        let begun = self
            .shared
            .world
            .run(move |db, now| troubles::begin(db, &app, &trouble, now));
        begun.await.expect("the app is there");
    }

    /// Ends every trouble of a container app.
    ///
    /// # Panics
    /// When the state cannot be written.
    pub async fn heal_app(&self, app: &str) {
        let app = app.to_owned();
        let world = &self.shared.world;
        let ended = world.run(move |db, now| troubles::end(db, Some(&app), now));
        ended.await.expect("the state is writable");
    }

    /// Adds an alert rule, or replaces the one of its name.
    ///
    /// # Panics
    /// When it is about nothing that is there, or the state cannot be written.
    pub async fn alert_rule(&self, rule: AlertRule) {
        let added = self.shared.world.run(move |db, _| alarms::add(db, &rule));
        added.await.expect("the rule is about something");
    }

    /// Has alerts posted to `url`, when somebody looks at the rules: [`Simulator::look_at_rules`], or
    /// by itself after [`Simulator::watch_rules`].
    pub fn post_alerts_to(&self, url: &str) {
        let group = self.shared.action_group.lock();
        *group.unwrap_or_else(PoisonError::into_inner) = Some(url.to_owned());
    }

    /// Looks at the alert rules once, and posts what is due.
    ///
    /// # Panics
    /// When the state cannot be read or written.
    pub async fn look_at_rules(&self) {
        let looked = alarms::look(&self.shared).await;
        looked.expect("the state is readable");
    }

    /// Looks at the alert rules every second from now on, if nothing does yet.
    pub fn watch_rules(&self) {
        let mut task = self.alarms.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = std::sync::Arc::downgrade(&self.shared);
        task.get_or_insert_with(|| tokio::spawn(alarms::watch(shared)));
    }

    /// The alert rules, by name.
    ///
    /// # Panics
    /// When the state cannot be read.
    pub async fn alert_rules(&self) -> Vec<AlertRule> {
        let rules = self.shared.world.run(|db, _| alarms::list(db));
        rules.await.expect("the state is readable")
    }

    /// Everything that channels and ticket systems took, in order, without secrets.
    ///
    /// # Panics
    /// When the state cannot be read.
    pub async fn sent(&self) -> Vec<Sent> {
        let sent = self.shared.world.run(|db, _| outside::sent(db));
        sent.await.expect("the state is readable")
    }

    /// Every ticket of every system, and the incidents of the pager, in the order in which they
    /// were made.
    ///
    /// # Panics
    /// When the state cannot be read.
    pub async fn tickets(&self) -> Vec<Ticket> {
        let tickets = self.shared.world.run(|db, _| outside::tickets(db));
        tickets.await.expect("the state is readable")
    }

    /// Every change of the estate, a line each, in order. What was refused is not among them, and
    /// neither is anything in our own storage account.
    ///
    /// # Panics
    /// When the state cannot be read.
    pub async fn changes(&self) -> Vec<String> {
        let changes = self.shared.world.changes().await;
        changes.expect("the state is readable")
    }

    /// Every request that would change the estate, done or not: `METHOD path`, in order.
    #[must_use]
    pub fn mutations(&self) -> Vec<String> {
        let mutations = self.shared.mutations.lock();
        mutations.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Grants these actions and nothing else. `*` stands for anything.
    pub fn grant_only(&self, actions: &[&str]) {
        let actions = actions.iter().map(|action| (*action).to_owned()).collect();
        self.shared.permissions.grant(Some(actions));
    }

    /// Grants everything, as at the start.
    pub fn grant_all(&self) {
        self.shared.permissions.grant(None);
    }

    /// So many times the load of an account, a container or an app, by its id or name, within a time.
    ///
    /// # Panics
    /// When there is nothing that is called so, or the state cannot be written.
    pub async fn burst(
        &self,
        resource: &str,
        factor: f64,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
    ) {
        let pressed = self.shared.press(Pressure::Burst {
            resource: resource.to_owned(),
            factor,
            span: span(from, until),
        });
        pressed.await.expect("the resource is there");
    }

    /// A tenant has so many percent of a container's load within a time, all on one partition.
    ///
    /// # Panics
    /// When there is no such container, or the state cannot be written.
    pub async fn hot_partition(
        &self,
        container: &str,
        tenant: &str,
        percent: f64,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
    ) {
        let pressed = self.shared.press(Pressure::Hot {
            container: container.to_owned(),
            tenant: tenant.to_owned(),
            percent,
            span: span(from, until),
        });
        pressed.await.expect("the container is there");
    }

    /// Metrics of an account, a container or an app have no value within a time.
    ///
    /// # Panics
    /// When there is nothing that is called so, or the state cannot be written.
    pub async fn metric_gap(&self, resource: &str, from: DateTime<Utc>, until: DateTime<Utc>) {
        let pressed = self.shared.press(Pressure::Gap {
            resource: resource.to_owned(),
            span: span(from, until),
        });
        pressed.await.expect("the resource is there");
    }

    /// The newest minutes of which metrics tell nothing yet: 2 at first, and with `None`.
    ///
    /// # Panics
    /// When the state cannot be written.
    pub async fn metrics_lag(&self, minutes: Option<u32>) {
        let set = self
            .shared
            .world
            .run(move |db, _| pressures::set_lag(db, minutes));
        set.await.expect("the state is writable");
    }

    /// Takes back all bursts, hot partitions and gaps, also those that are over.
    ///
    /// # Panics
    /// When the state cannot be written.
    pub async fn no_pressure(&self) {
        let cleared = self.shared.world.run(|db, _| {
            let mut kinds = ["burst", "hot", "gap"].into_iter();
            kinds.try_for_each(|kind| pressures::clear(db, kind))
        });
        cleared.await.expect("the state is writable");
    }

    /// Sets how long a change of a resource takes, by the clock of the estate. At first 300 ms.
    pub fn operations_take(&self, time: Duration) {
        let ms = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        self.shared.operations_take_ms.store(ms, Ordering::SeqCst);
    }

    /// Limits the requests that fit, and counts them from nothing. There is one limit at a time.
    pub fn limit(&self, limit: Limit) {
        self.shared.limits.set(limit);
    }

    /// What became of the requests that fit the limit.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.limits.counts()
    }

    /// The same for each subscription, by its id, when the limit is one of each.
    #[must_use]
    pub fn counts_of_subscriptions(&self) -> BTreeMap<String, Counts> {
        self.shared.limits.counts_of_each()
    }

    /// Puts an alert there, or changes it: `severity` is `Sev0` to `Sev4`, `condition` is `Fired`
    /// or `Resolved`.
    ///
    /// # Panics
    /// When the state cannot be written.
    pub async fn raise(&self, id: &str, target: &str, rule: &str, severity: &str, condition: &str) {
        self.raise_of(None, id, target, rule, severity, condition)
            .await;
    }

    /// As [`Simulator::raise`], with a tenant that its dimensions name.
    ///
    /// # Panics
    /// When the state cannot be written.
    pub async fn raise_of(
        &self,
        tenant: Option<&str>,
        id: &str,
        target: &str,
        rule: &str,
        severity: &str,
        condition: &str,
    ) {
        let raised = arm::Raised {
            id: id.to_owned(),
            target: target.to_owned(),
            rule: rule.to_owned(),
            severity: severity.to_owned(),
            condition: condition.to_owned(),
            tenant: tenant.map(str::to_owned),
        };
        let raised = arm::raise(&self.shared.world, raised).await;
        raised.expect("the state is writable");
    }

    /// Blob service URL of an account, with a shared access signature.
    #[must_use]
    pub fn blob_url_of(&self, account: &str) -> String {
        let sas = self.shared.storage.key.account_sas(account, "b");
        format!("{}/blob/{account}?{sas}", self.url())
    }

    /// Puts `count` blobs `bulk/000001.log` and on into a container of the estate, which is made if
    /// it is missing; they were last written `age_days` ago. None of it is noted as a change.
    ///
    /// # Panics
    /// When the state cannot be written.
    pub async fn fill(&self, account: &str, container: &str, count: usize, age_days: i64) {
        let (account, container) = (account.to_owned(), container.to_owned());
        let filled = self.shared.world.run(move |db, now| {
            shelf::add_container(db, &account, &plain(&container, now))?;
            let at = now - age_days * 24 * 3600 * 1000;
            for number in 1..=count {
                let name = format!("bulk/{number:06}.log");
                shelf::put(db, &account, &container, &name, b"a line of a log\n", at)?;
            }
            Ok(())
        });
        filled.await.expect("the state is writable");
    }

    /// Puts one blob, which was last written `age_days` ago. It is not noted as a change.
    ///
    /// # Panics
    /// When the state cannot be written.
    pub async fn put_blob(&self, account: &str, container: &str, name: &str, age_days: i64) {
        let (account, container) = (account.to_owned(), container.to_owned());
        let name = name.to_owned();
        let put = self.shared.world.run(move |db, now| {
            shelf::add_container(db, &account, &plain(&container, now))?;
            let at = now - age_days * 24 * 3600 * 1000;
            shelf::put(db, &account, &container, &name, b"a line of a log\n", at)
        });
        put.await.expect("the state is writable");
    }

    /// Whether a blob is there.
    ///
    /// # Panics
    /// When the state cannot be read.
    pub async fn has_blob(&self, account: &str, container: &str, name: &str) -> bool {
        let (account, container) = (account.to_owned(), container.to_owned());
        let name = name.to_owned();
        let has = self
            .shared
            .world
            .run(move |db, _| shelf::has(db, &account, &container, &name));
        has.await.expect("the state is readable")
    }
}

fn span(from: DateTime<Utc>, until: DateTime<Utc>) -> Span {
    Span {
        from: pressure::minute(from),
        until: pressure::minute(until),
    }
}

fn plain(name: &str, now: i64) -> Container {
    Container {
        name: name.to_owned(),
        etag: String::new(),
        modified: now,
        metadata: "{}".to_owned(),
        legal_hold: false,
        immutable_days: None,
    }
}
