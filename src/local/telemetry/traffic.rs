//! Requests of one minute and all that comes of them: calls, charges, traces, exceptions.

use super::counters::Counting;
use super::faults::FaultKind;
use super::model::{MINUTE, Model, Now};
use super::names::{App, Target};
use super::random::{Random, hash, running_shares};
use super::rows::{Batch, Table, Value};
use super::service::{
    CLIENT_ERRORS, Call, MESSAGES, OPERATIONS, Operation, QUERIES, SERVER_FAILURES,
};
use super::tenants::{Person, Tenant};
use super::words::Word;

/// What a minute's requests used of the platform.
pub(super) struct Used {
    /// Requests by app, weighted.
    pub(super) requests: Vec<u64>,
    /// Request units, calls and refused calls by container.
    pub(super) charge: Vec<f64>,
    pub(super) calls: Vec<u64>,
    pub(super) refused: Vec<u64>,
    pub(super) searches: u64,
    pub(super) blob_calls: u64,
    pub(super) cache_calls: u64,
    /// By tenant.
    tenants: Vec<UsedBy>,
    /// Request units by container and tenant.
    by_partition_key: Vec<Vec<f64>>,
}

#[derive(Clone)]
struct UsedBy {
    charges: u32,
    sum: f64,
    least: f64,
    most: f64,
    searches: u32,
    blob_calls: u32,
}

/// One request while it is made up.
struct Request<'a> {
    at: i64,
    operation: usize,
    spec: &'static Operation,
    tenant: &'a Tenant,
    tenant_place: usize,
    properties: Word,
    app: &'a App,
    instance: Word,
    /// The trace id: begins with the second, as some tracers do, so that a reader of a sorted file can
    /// tell where an operation cannot be.
    trace: (u64, u64),
    span: u64,
    /// Milliseconds, growing as trouble is met.
    duration: f64,
    throttled: u32,
    weight: u32,
}

/// A sampled-out request still costs: Cosmos logs and charges all of them.
const TRIES: u32 = 4;

pub(super) fn requests(model: &Model, now: &Now, out: &mut Batch, counting: &mut Counting) -> Used {
    let mut used = Used::new(model);
    let mut random = Random::of(&[model.plan.seed, 0x4E0, now.minute.cast_unsigned()]);
    let rows = random.round(model.requests * now.load / f64::from(now.weight));
    let shares = Shares {
        client: running_shares(CLIENT_ERRORS.iter().map(|(_, share)| *share)),
        server: running_shares(SERVER_FAILURES.iter().map(|(_, share)| *share)),
    };
    for _ in 0..rows {
        one(model, now, &shares, &mut random, out, &mut used, counting);
    }
    used.tell(model, now, out);
    used
}

struct Shares {
    client: Vec<f64>,
    server: Vec<f64>,
}

/// What the faults of the minute do to one request.
struct Trouble {
    out: bool,
    slow: f64,
    errors: f64,
    throttle: f64,
    silent: bool,
}

fn trouble(now: &Now, tenant: &Tenant, app: &str) -> Trouble {
    let mut all = Trouble {
        out: false,
        slow: 1.0,
        errors: 0.0,
        throttle: 0.0,
        silent: false,
    };
    let faults = now.faults.iter();
    for fault in faults.filter(|f| f.hits(now.minute, &tenant.id, tenant.region, app)) {
        match fault.kind {
            FaultKind::Outage => all.out = true,
            FaultKind::Slow(factor) => all.slow *= factor,
            FaultKind::Errors(share) => all.errors = all.errors.max(share),
            FaultKind::Throttle(share) => all.throttle = all.throttle.max(share),
            FaultKind::Silence => all.silent = true,
            FaultKind::Boundary => {}
        }
    }
    all
}

fn one(
    model: &Model,
    now: &Now,
    shares: &Shares,
    random: &mut Random,
    out: &mut Batch,
    used: &mut Used,
    counting: &mut Counting,
) {
    let names = &model.names;
    let tenant_place = random.by_share(&model.tenant_shares);
    let tenant = &model.tenants[tenant_place];
    let operation = random.by_share(&model.operation_shares);
    let spec = &OPERATIONS[operation];
    let person = one_of(&tenant.people, random);
    let ticks = random.below(600_000_000).cast_signed() as i64;
    let trace = (random.next(), random.next());
    let Some((app_place, app)) = names.app(spec.app) else {
        return;
    };
    let trouble = trouble(now, tenant, &app.name);
    if trouble.silent {
        return;
    }
    let copes = now.apps[app_place];
    let replica = random.below(copes.replicas as usize) % app.replicas.len();
    let at = now.begins() + ticks * 100;
    let second = u64::try_from(at / 1_000_000_000).unwrap_or(0);
    let queueing = (0.5 / (1.0 - copes.busy)).max(0.8);
    let tail = if random.chance(0.002) { 8.0 } else { 1.0 };
    let duration = spec.median_ms
        * tenant.slow
        * queueing
        * trouble.slow
        * tail
        * random.lognormal(spec.sigma);
    let mut request = Request {
        at,
        operation,
        spec,
        tenant,
        tenant_place,
        properties: person.properties[spec.class],
        app,
        instance: app.replicas[replica],
        trace: (second << 32 | trace.0 & 0xffff_ffff, trace.1),
        span: hash(&[trace.0, trace.1]),
        duration,
        throttled: 0,
        weight: now.weight,
    };
    // What a request is answered with follows from what it meets, in this order.
    let overload = (copes.busy - 0.9).max(0.0) * 0.4;
    let fails = random.chance(tenant.failure_rate + overload) || random.chance(trouble.errors);
    let refused = random.chance(tenant.client_error_rate);
    let code = if trouble.out {
        request.duration = random.between(4.0, 30.0);
        "503"
    } else if refused {
        request.duration = random.between(2.0, 20.0);
        CLIENT_ERRORS[random.by_share(&shares.client)].0
    } else {
        let gave_up = request.calls(model, now, trouble.throttle, random, out, used, counting);
        if gave_up {
            "503"
        } else if fails && trouble.errors > 0.0 {
            "500"
        } else if fails {
            let (code, _) = SERVER_FAILURES[random.by_share(&shares.server)];
            if code == "504" {
                request.duration = random.between(30_000.0, 30_400.0);
            }
            code
        } else {
            spec.success
        }
    };
    request.tell(model, person, code, random, out);
    used.requests[app_place] += u64::from(now.weight);
    let cell = counting.at(now.minute, tenant_place);
    let weight = u64::from(now.weight);
    cell.requests += weight;
    cell.server_failures += if code.starts_with('5') { weight } else { 0 };
    cell.client_errors += if code.starts_with('4') { weight } else { 0 };
    cell.latencies.add(round(request.duration), weight);
}

/// Some people ask much more than others.
fn one_of<'a>(people: &'a [Person], random: &mut Random) -> &'a Person {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index"
    )]
    let at = (random.unit().powi(2) * people.len() as f64) as usize;
    &people[at.min(people.len() - 1)]
}

/// To the tenth of a microsecond, as it is told.
fn round(ms: f64) -> f64 {
    (ms * 1e4).round() / 1e4
}

impl Request<'_> {
    /// Makes the calls of the operation; whether Cosmos refused one for good.
    #[expect(clippy::too_many_arguments, reason = "the state of a minute")]
    fn calls(
        &mut self,
        model: &Model,
        now: &Now,
        throttle: f64,
        random: &mut Random,
        out: &mut Batch,
        used: &mut Used,
        counting: &mut Counting,
    ) -> bool {
        let mut share = 0.15;
        for (call, probability) in self.spec.calls {
            if !random.chance(*probability) {
                continue;
            }
            let took = self.duration * random.between(0.2, 0.45);
            let start = self.at + ns(self.duration * share);
            share += 0.2;
            let names = &model.names;
            let by = &mut used.tenants[self.tenant_place];
            match *call {
                Call::Read(container) => {
                    let cosmos = Cosmos {
                        kind: 0,
                        container,
                        charge: 1.0,
                        query: None,
                    };
                    if self.cosmos(
                        model, now, cosmos, start, took, throttle, random, out, used, counting,
                    ) {
                        return true;
                    }
                }
                Call::Query(query) => {
                    let Some(spec) = QUERIES.get(query) else {
                        continue;
                    };
                    let cosmos = Cosmos {
                        kind: 1,
                        container: spec.container,
                        charge: spec.charge,
                        query: Some(query),
                    };
                    if self.cosmos(
                        model, now, cosmos, start, took, throttle, random, out, used, counting,
                    ) {
                        return true;
                    }
                }
                Call::Upsert(container) => {
                    let cosmos = Cosmos {
                        kind: 2,
                        container,
                        charge: 10.3,
                        query: None,
                    };
                    if self.cosmos(
                        model, now, cosmos, start, took, throttle, random, out, used, counting,
                    ) {
                        return true;
                    }
                }
                Call::Delete(container) => {
                    let cosmos = Cosmos {
                        kind: 3,
                        container,
                        charge: 8.1,
                        query: None,
                    };
                    if self.cosmos(
                        model, now, cosmos, start, took, throttle, random, out, used, counting,
                    ) {
                        return true;
                    }
                }
                Call::Search => {
                    used.searches += u64::from(self.weight);
                    by.searches += self.weight;
                    self.depends(names.search, start, took, model, random, out);
                }
                Call::BlobRead | Call::BlobWrite => {
                    used.blob_calls += u64::from(self.weight);
                    by.blob_calls += self.weight;
                    let target = if *call == Call::BlobRead {
                        names.blob_read
                    } else {
                        names.blob_write
                    };
                    self.depends(target, start, took, model, random, out);
                }
                Call::Cache => {
                    used.cache_calls += u64::from(self.weight);
                    self.depends(names.cache, start, took.min(8.0), model, random, out);
                }
            }
        }
        false
    }

    /// One Cosmos call, tried again when it is refused; whether it was refused for good.
    #[expect(clippy::too_many_arguments, reason = "the state of a minute")]
    fn cosmos(
        &mut self,
        model: &Model,
        now: &Now,
        call: Cosmos,
        start: i64,
        took: f64,
        throttle: f64,
        random: &mut Random,
        out: &mut Batch,
        used: &mut Used,
        counting: &mut Counting,
    ) -> bool {
        let names = &model.names;
        let Some(place) = names
            .containers
            .iter()
            .position(|c| c.name == call.container)
        else {
            return false;
        };
        let container = &names.containers[place];
        // A busy second now and then meets the limit before the minute does.
        let natural = ((now.throughput_used[place] - 0.8) * 0.35).clamp(0.0, 0.9);
        let refusal = throttle.max(natural);
        let partitions = container.partitions.len() as u64;
        let partition = hash(&[self.tenant.id_word.0 as u64]) % partitions;
        let (partition, range) = container.partitions[partition as usize];
        let common = &names.common;
        let mut gave_up = false;
        let mut last_status = 200;
        // Each request of those that the row stands for; the first is the one that is told of.
        for copy in 0..self.weight {
            let mut tries = 0;
            loop {
                tries += 1;
                let refused = random.chance(refusal);
                let charge = if refused {
                    0.38
                } else {
                    call.charge * random.lognormal(0.25)
                };
                let charge = (charge * 100.0).round() / 100.0;
                let status = match (refused, call.kind) {
                    (true, _) => 429,
                    (false, 2) => 201,
                    (false, 3) => 204,
                    (false, _) => 200,
                };
                let waited = f64::from(tries - 1) * 60.0;
                let at = within(now, start + ns(waited) + i64::from(copy) * 1_000_100);
                let milliseconds = if refused { 0.4 } else { took * 0.6 };
                let activity = (random.next(), random.next());
                out.of(Table::CosmosRequests).push(
                    at,
                    [
                        Value::Word(names.account),
                        Value::Word(common.cosmos_operations[call.kind]),
                        Value::Word(common.direct),
                        Value::Guid(activity.0, activity.1),
                        Value::Word(common.agent),
                        Value::Word(common.document),
                        Value::Word(container.documents),
                        Value::Int(status),
                        Value::Real(charge),
                        Value::Real(round(milliseconds)),
                        Value::Real(if call.kind == 2 { 1840.0 } else { 420.0 }),
                        Value::Real((charge * 310.0).round()),
                        Value::Word(common.region),
                        Value::Word(partition),
                        Value::Word(names.database),
                        Value::Word(container.word),
                        Value::Word(common.token),
                    ],
                );
                // The full text of one query in eight is logged.
                if let Some(query) = call.query.filter(|_| activity.0 % 8 == 0 && !refused) {
                    out.of(Table::CosmosQueries).push(
                        at,
                        [
                            Value::Word(names.account),
                            Value::Word(names.database),
                            Value::Word(container.word),
                            Value::Word(range),
                            Value::Word(common.queries[query]),
                            Value::Guid(activity.0, activity.1),
                        ],
                    );
                }
                used.charge(self.tenant_place, place, charge, refused);
                counting.at(now.minute, self.tenant_place).charge += charge;
                if copy == 0 {
                    last_status = status;
                    self.throttled += u32::from(refused);
                }
                if !refused || tries == TRIES {
                    gave_up |= refused && copy == 0;
                    break;
                }
            }
        }
        self.duration += f64::from(self.throttled) * 60.0;
        let code = match last_status {
            429 => common.throttled_code,
            201 => common.created,
            _ => common.ok,
        };
        let name = container.calls[call.kind];
        let target = Target {
            ty: names.cosmos_type,
            target: names.cosmos_host,
            name,
            data: container.documents,
        };
        self.dependency(
            target,
            within(now, start),
            took,
            code,
            !gave_up,
            model,
            random,
            out,
        );
        gave_up
    }

    fn depends(
        &self,
        target: Option<Target>,
        start: i64,
        took: f64,
        model: &Model,
        random: &mut Random,
        out: &mut Batch,
    ) {
        let Some(target) = target else { return };
        let common = &model.names.common;
        let fails = random.chance(0.0005);
        let code = if fails { common.failed_code } else { common.ok };
        let start = start.min((self.at / MINUTE + 1) * MINUTE - 100);
        self.dependency(target, start, took, code, !fails, model, random, out);
    }

    #[expect(clippy::too_many_arguments, reason = "the columns of the table")]
    fn dependency(
        &self,
        target: Target,
        at: i64,
        took: f64,
        code: Word,
        success: bool,
        model: &Model,
        random: &mut Random,
        out: &mut Batch,
    ) {
        out.of(Table::Dependencies).push(
            at,
            [
                Value::Span(random.next()),
                Value::Word(target.target),
                Value::Word(target.ty),
                Value::Word(target.name),
                Value::Word(target.data),
                Value::Bool(success),
                Value::Word(code),
                Value::Real(round(took)),
                Value::Word(self.properties),
                Value::Word(model.names.operations[self.operation].name),
                Value::Operation(self.trace.0, self.trace.1),
                Value::Span(self.span),
                Value::Word(model.names.common.version),
                Value::Word(self.app.name_word),
                Value::Word(self.instance),
                Value::Int(self.weight.cast_signed()),
            ],
        );
    }

    /// Writes the request itself, and what the application said about it.
    fn tell(
        &self,
        model: &Model,
        person: &Person,
        code: &str,
        random: &mut Random,
        out: &mut Batch,
    ) {
        let (names, common) = (&model.names, &model.names.common);
        let operation = &names.operations[self.operation];
        let failed = code.starts_with('5');
        let code_word = if code == self.spec.success {
            operation.success
        } else if let Some(at) = CLIENT_ERRORS.iter().position(|(c, _)| *c == code) {
            common.client_errors[at]
        } else {
            let at = SERVER_FAILURES.iter().position(|(c, _)| *c == code);
            common.server_failures[at.unwrap_or(0)]
        };
        // Application Insights takes 401 for a success: it is how a client is told to sign in.
        let success = !failed && (!code.starts_with('4') || code == "401");
        out.of(Table::Requests).push(
            self.at,
            [
                Value::Span(self.span),
                Value::Word(operation.name),
                Value::Word(operation.url),
                Value::Bool(success),
                Value::Word(code_word),
                Value::Real(round(self.duration)),
                Value::Word(self.properties),
                Value::Word(operation.name),
                Value::Operation(self.trace.0, self.trace.1),
                Value::Word(common.empty),
                Value::Word(person.id),
                Value::Word(common.version),
                Value::Word(self.app.name_word),
                Value::Word(self.instance),
                Value::Word(person.city),
                Value::Int(self.weight.cast_signed()),
            ],
        );
        if failed {
            self.trace_line(common.failed, 3, model, out);
            self.exception(code, model, out);
        } else if self.throttled > 0 {
            self.trace_line(common.throttled, 2, model, out);
        } else if code == "403" {
            self.trace_line(common.denied, 2, model, out);
        } else if random.chance(0.2) {
            let reads = self.spec.name.starts_with("GET");
            let at = if random.chance(0.6) {
                usize::from(!reads)
            } else {
                2 + random.below(3)
            };
            self.trace_line(common.messages[at], MESSAGES[at].1, model, out);
        }
    }

    fn trace_line(&self, message: Word, level: i32, model: &Model, out: &mut Batch) {
        let at = (self.at + ns(self.duration * 0.1)).min((self.at / MINUTE + 1) * MINUTE - 100);
        out.of(Table::Traces).push(
            at,
            [
                Value::Word(message),
                Value::Int(level),
                Value::Word(self.properties),
                Value::Word(model.names.operations[self.operation].name),
                Value::Operation(self.trace.0, self.trace.1),
                Value::Span(self.span),
                Value::Word(model.names.common.version),
                Value::Word(self.app.name_word),
                Value::Word(self.instance),
                Value::Int(self.weight.cast_signed()),
            ],
        );
    }

    fn exception(&self, code: &str, model: &Model, out: &mut Batch) {
        let common = &model.names.common;
        let found = common.exceptions.iter().find(|e| e.code == code);
        let Some(thrown) = found else { return };
        out.of(Table::Exceptions).push(
            self.at,
            [
                Value::Word(thrown.problem),
                Value::Word(common.handled_at),
                Value::Word(thrown.ty),
                Value::Word(common.assembly),
                Value::Word(thrown.method),
                Value::Word(thrown.ty),
                Value::Word(thrown.message),
                Value::Word(thrown.method),
                Value::Word(thrown.ty),
                Value::Word(thrown.message),
                Value::Int(3),
                Value::Word(self.properties),
                Value::Word(model.names.operations[self.operation].name),
                Value::Operation(self.trace.0, self.trace.1),
                Value::Span(self.span),
                Value::Word(common.version),
                Value::Word(self.app.name_word),
                Value::Word(self.instance),
                Value::Int(self.weight.cast_signed()),
            ],
        );
    }
}

/// One call to Cosmos: an index into what it may do, where, for how much, and with which query.
struct Cosmos {
    kind: usize,
    container: &'static str,
    charge: f64,
    query: Option<usize>,
}

/// Nanoseconds of milliseconds, whole ticks.
#[expect(clippy::cast_possible_truncation, reason = "durations are short")]
fn ns(ms: f64) -> i64 {
    (ms * 1e4) as i64 * 100
}

/// Kept in the minute, so that minutes can be written one after the other in the order of time.
fn within(now: &Now, at: i64) -> i64 {
    at.min(now.begins() + MINUTE - 100)
}

impl Used {
    fn new(model: &Model) -> Self {
        let (apps, containers) = (model.names.apps.len(), model.names.containers.len());
        let nothing = UsedBy {
            charges: 0,
            sum: 0.0,
            least: f64::MAX,
            most: 0.0,
            searches: 0,
            blob_calls: 0,
        };
        Self {
            requests: vec![0; apps],
            charge: vec![0.0; containers],
            calls: vec![0; containers],
            refused: vec![0; containers],
            searches: 0,
            blob_calls: 0,
            cache_calls: 0,
            tenants: vec![nothing; model.tenants.len()],
            by_partition_key: vec![vec![0.0; model.tenants.len()]; containers],
        }
    }

    fn charge(&mut self, tenant: usize, container: usize, charge: f64, refused: bool) {
        self.charge[container] += charge;
        self.calls[container] += 1;
        self.refused[container] += u64::from(refused);
        self.by_partition_key[container][tenant] += charge;
        let by = &mut self.tenants[tenant];
        by.charges += 1;
        by.sum += charge;
        by.least = by.least.min(charge);
        by.most = by.most.max(charge);
    }

    /// What is counted before it is told: metrics by tenant, charges by partition key.
    fn tell(&self, model: &Model, now: &Now, out: &mut Batch) {
        let (names, common) = (&model.names, &model.names.common);
        let at = now.begins() + MINUTE - 100;
        let app = names.app(0).map_or(common.empty, |(_, app)| app.name_word);
        for (by, tenant) in self.tenants.iter().zip(&model.tenants) {
            let mut metric = |name: Word, count: u32, sum: f64, least: f64, most: f64| {
                if count > 0 {
                    out.of(Table::Metrics).push(
                        at,
                        [
                            Value::Word(name),
                            Value::Int(count.cast_signed()),
                            Value::Real((sum * 100.0).round() / 100.0),
                            Value::Real(least),
                            Value::Real(most),
                            Value::Word(tenant.properties),
                            Value::Word(common.version),
                            Value::Word(app),
                        ],
                    );
                }
            };
            let [charge, searches, blobs] = common.metrics;
            metric(charge, by.charges, by.sum, by.least, by.most);
            metric(searches, by.searches, f64::from(by.searches), 1.0, 1.0);
            metric(blobs, by.blob_calls, f64::from(by.blob_calls), 1.0, 1.0);
        }
        for (container, charges) in names.containers.iter().zip(&self.by_partition_key) {
            let partitions = container.partitions.len() as u64;
            for (charge, tenant) in charges.iter().zip(&model.tenants) {
                if *charge > 0.0 {
                    let partition = hash(&[tenant.id_word.0 as u64]) % partitions;
                    let (_, range) = container.partitions[partition as usize];
                    out.of(Table::PartitionCharges).push(
                        at,
                        [
                            Value::Word(names.account),
                            Value::Word(tenant.partition_key),
                            Value::Word(range),
                            Value::Word(common.region),
                            Value::Word(names.database),
                            Value::Word(container.word),
                            Value::Real((charge * 100.0).round() / 100.0),
                        ],
                    );
                }
            }
        }
    }
}
