//! Requests of one minute and all that comes of them: calls, charges, traces, exceptions.

mod cosmos;
mod request;
mod used;

use super::counters::Counting;
use super::faults::FaultKind;
use super::model::{MINUTE, Model, Now};
use super::random::{Random, hash, running_shares};
use super::rows::Batch;
use super::service::{CLIENT_ERRORS, OPERATIONS, Operation, SERVER_FAILURES};
use super::tenants::{Person, Tenant};
use request::Request;
pub(super) use used::Used;

/// The minute as it is made up: what holds in it, what chance says, and where everything goes.
struct Scene<'a> {
    model: &'a Model,
    now: &'a Now<'a>,
    random: Random,
    out: &'a mut Batch,
    counting: &'a mut Counting,
    used: Used,
    operation_shares: Vec<f64>,
    client_errors: Vec<f64>,
    server_failures: Vec<f64>,
}

/// Makes up the requests of a minute; what they used.
pub(super) fn requests(model: &Model, now: &Now, out: &mut Batch, counting: &mut Counting) -> Used {
    let mut random = Random::of(&[model.plan.seed, 0x4E0, now.minute.cast_unsigned()]);
    // Apps that are asked for more or less than the load are asked by more or fewer requests.
    let factor = |operation: &Operation| {
        let place = model.names.app(operation.app).map_or(0, |(place, _)| place);
        now.apps.get(place).map_or(1.0, |app| app.factor)
    };
    let asked = OPERATIONS.iter().map(|o| o.weight * factor(o));
    let more = asked.clone().sum::<f64>() / OPERATIONS.iter().map(|o| o.weight).sum::<f64>();
    let rows = random.round(model.requests * now.load * more / f64::from(now.weight));
    let mut scene = Scene {
        model,
        now,
        random,
        out,
        counting,
        used: Used::new(model),
        operation_shares: running_shares(asked),
        client_errors: running_shares(CLIENT_ERRORS.iter().map(|(_, share)| *share)),
        server_failures: running_shares(SERVER_FAILURES.iter().map(|(_, share)| *share)),
    };
    for _ in 0..rows {
        scene.request();
    }
    let Scene { used, out, .. } = scene;
    used.tell(model, now, out);
    used
}

/// What the faults of the minute do to one request.
struct Trouble {
    out: bool,
    hangs: bool,
    slow: f64,
    delay_ms: f64,
    errors: f64,
    throttle: f64,
    silent: bool,
}

impl Trouble {
    fn of(now: &Now, tenant: &Tenant, app: &str) -> Self {
        let mut all = Self {
            out: false,
            hangs: false,
            slow: 1.0,
            delay_ms: 0.0,
            errors: 0.0,
            throttle: 0.0,
            silent: false,
        };
        let faults = now.faults.iter();
        for fault in faults.filter(|f| f.hits(now.minute, &tenant.id, tenant.region, app)) {
            match fault.kind {
                FaultKind::Outage => all.out = true,
                FaultKind::Hang => all.hangs = true,
                FaultKind::Slow(factor) => all.slow *= factor,
                FaultKind::Delay(ms) => all.delay_ms += ms,
                FaultKind::Errors(share) => all.errors = all.errors.max(share),
                FaultKind::Throttle(share) => all.throttle = all.throttle.max(share),
                FaultKind::Silence => all.silent = true,
                FaultKind::Boundary => {}
            }
        }
        all
    }
}

impl Scene<'_> {
    fn request(&mut self) {
        let (model, now) = (self.model, self.now);
        let random = &mut self.random;
        let tenant_place = random.by_share(&model.tenant_shares);
        let tenant = &model.tenants[tenant_place];
        let operation = random.by_share(&self.operation_shares);
        let spec = &OPERATIONS[operation];
        let person = one_of(&tenant.people, random);
        let ticks = i64::try_from(random.below(600_000_000)).unwrap_or(0);
        let (high, low) = (random.next(), random.next());
        let Some((app_place, app)) = model.names.app(spec.app) else {
            return;
        };
        let trouble = Trouble::of(now, tenant, &app.name);
        if trouble.silent {
            return;
        }
        let copes = now.apps[app_place];
        let replica = random.below(copes.replicas as usize) % app.replicas.len();
        let at = now.begins() + ticks * 100;
        let second = u64::try_from(at / 1_000_000_000).unwrap_or(0);
        let queueing = (0.5 / (1.0 - copes.busy)).max(0.8);
        let tail = if random.chance(0.002) { 8.0 } else { 1.0 };
        let chance = random.lognormal(spec.sigma);
        // What a request is answered with follows from what it meets, in this order.
        let overload = (copes.busy - 0.9).max(0.0) * 0.4;
        let told_to = random.chance(trouble.errors);
        let fails = random.chance(tenant.failure_rate + overload);
        let refused = random.chance(tenant.client_error_rate);
        let mut request = Request {
            at,
            operation,
            spec,
            tenant_place,
            properties: person.properties[spec.class],
            app,
            instance: app.replicas[replica],
            trace: (second << 32 | high & 0xffff_ffff, low),
            span: hash(&[high, low]),
            duration: spec.median_ms * tenant.slow * queueing * trouble.slow * tail * chance
                + trouble.delay_ms,
            throttled: 0,
            weight: now.weight,
            throttle: trouble.throttle,
        };
        let code = if trouble.out {
            request.duration = self.random.between(4.0, 30.0);
            "503"
        } else if trouble.hangs {
            request.duration = self.random.between(30_000.0, 30_400.0);
            "504"
        } else if refused {
            request.duration = self.random.between(2.0, 20.0);
            CLIENT_ERRORS[self.random.by_share(&self.client_errors)].0
        } else if request.calls(self) {
            "503"
        } else if told_to {
            "500"
        } else if fails {
            let (code, _) = SERVER_FAILURES[self.random.by_share(&self.server_failures)];
            if code == "504" {
                request.duration = self.random.between(30_000.0, 30_400.0);
            }
            code
        } else {
            spec.success
        };
        request.tell(self, person, code);
        self.count(&request, app_place, code);
    }

    fn count(&mut self, request: &Request, app: usize, code: &str) {
        let weight = u64::from(request.weight);
        self.used.requests[app] += weight;
        let cell = self.counting.at(self.now.minute, request.tenant_place);
        cell.requests += weight;
        cell.server_failures += if code.starts_with('5') { weight } else { 0 };
        cell.client_errors += if code.starts_with('4') { weight } else { 0 };
        cell.latencies.add(round(request.duration), weight);
    }

    /// `at`, kept in the minute, so that minutes can be written one after the other in the order of
    /// time.
    fn within(&self, at: i64) -> i64 {
        at.min(self.now.begins() + MINUTE - 100)
    }
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

/// Request units to the hundredth, as Cosmos gives them.
fn hundredths(charge: f64) -> f64 {
    (charge * 100.0).round() / 100.0
}

/// Nanoseconds of milliseconds, whole ticks.
#[expect(clippy::cast_possible_truncation, reason = "durations are short")]
fn ns(ms: f64) -> i64 {
    (ms * 1e4) as i64 * 100
}
