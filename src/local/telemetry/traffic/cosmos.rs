use super::request::Request;
use super::{Scene, hundredths, ns, round};
use crate::local::telemetry::model::ContainerNow;
use crate::local::telemetry::names::{Container, Target};
use crate::local::telemetry::rows::{Table, Value};
use crate::local::telemetry::service::REFUSED_CHARGE;
use crate::local::telemetry::tenants::Tenant;
use crate::local::telemetry::words::Word;
use crate::local::world::physics::container::{backlog_ms, refused_share};

/// How often a call is tried.
const TRIES: u32 = 4;
/// Milliseconds before a refused call is tried again.
const WAIT_MS: f64 = 60.0;

/// One call to Cosmos.
pub(super) struct Cosmos {
    /// Read, query, upsert, delete.
    pub(super) kind: usize,
    pub(super) container: &'static str,
    /// Median request units.
    pub(super) charge: f64,
    pub(super) query: Option<usize>,
    pub(super) start: i64,
    pub(super) took: f64,
}

impl Request<'_> {
    /// Makes the call for each of the requests that the row stands for, again when it is refused;
    /// whether the one that is told of was refused for good.
    ///
    /// Sampling leaves out what the application tells. Cosmos logs and charges all of it.
    pub(super) fn cosmos(&mut self, scene: &mut Scene, call: &Cosmos) -> bool {
        let names = &scene.model.names;
        let found = names
            .containers
            .iter()
            .position(|c| c.name == call.container);
        let Some(place) = found else { return false };
        let container = &names.containers[place];
        let now = scene.now.containers[place];
        let copies = scene.random.round(f64::from(self.weight) * now.factor);
        if copies == 0 {
            return false;
        }
        let (mut told, mut refused_tries, mut waits) = (200, 0, 0.0);
        for copy in 0..u32::try_from(copies).unwrap_or(u32::MAX) {
            let tenant = match now.hot {
                Some((hot, share)) if scene.random.chance(share) => hot,
                _ => self.tenant_place,
            };
            let partition = scene.model.tenants[tenant].partition_of(now.partitions);
            let ratio = now.used(partition);
            let refusal = self.throttle.max(refused_share(ratio));
            let took = call.took * 0.6 + backlog_ms(ratio);
            let mut tries = 0;
            let status = loop {
                let waited = ns(f64::from(tries) * WAIT_MS);
                tries += 1;
                let refused = scene.random.chance(refusal);
                let at = scene.within(call.start + waited + i64::from(copy) * 1_000_100);
                let status = Attempt {
                    call,
                    place,
                    tenant,
                    at,
                    took,
                    refused,
                }
                .log(scene);
                refused_tries += u32::from(refused && copy == 0);
                if !refused || tries == TRIES {
                    break status;
                }
            };
            if copy == 0 {
                told = status;
                waits = if status == 429 {
                    0.0
                } else {
                    backlog_ms(ratio)
                };
            }
        }
        self.throttled += refused_tries;
        self.duration += f64::from(refused_tries) * WAIT_MS + waits;
        let common = &names.common;
        let code = match told {
            429 => common.throttled_code,
            201 => common.created,
            _ => common.ok,
        };
        let target = Target {
            ty: names.cosmos_type,
            target: names.cosmos_host,
            name: container.calls[call.kind],
            data: container.documents,
        };
        self.dependency(
            scene,
            target,
            call.start,
            call.took + waits,
            code,
            told != 429,
        );
        told == 429
    }
}

/// One try as Cosmos sees it.
struct Attempt<'a> {
    call: &'a Cosmos,
    /// Of the container, and of the tenant whose documents are meant.
    place: usize,
    tenant: usize,
    at: i64,
    /// Milliseconds at the server, if it is served.
    took: f64,
    refused: bool,
}

impl Attempt<'_> {
    /// Logs and charges it; its status.
    fn log(&self, scene: &mut Scene) -> i32 {
        let Self {
            call,
            place,
            tenant,
            at,
            took,
            refused,
        } = *self;
        let names = &scene.model.names;
        let (common, container) = (&names.common, &names.containers[place]);
        let (partition, range) = partition(
            container,
            &scene.now.containers[place],
            &scene.model.tenants[tenant],
        );
        let charge = if refused {
            REFUSED_CHARGE
        } else {
            hundredths(call.charge * scene.random.lognormal(0.25))
        };
        let status = match (refused, call.kind) {
            (true, _) => 429,
            (false, 2) => 201,
            (false, 3) => 204,
            (false, _) => 200,
        };
        let activity = (scene.random.next(), scene.random.next());
        scene.out.of(Table::CosmosRequests).push(
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
                Value::Real(if refused { 0.4 } else { round(took) }),
                Value::Real(if call.kind == 2 { 1840.0 } else { 420.0 }),
                Value::Real((charge * 310.0).round()),
                Value::Word(common.region),
                Value::Word(partition),
                Value::Word(names.database),
                Value::Word(container.word),
                Value::Word(common.token),
            ],
        );
        // The text of one query in eight is logged.
        if let Some(query) = call
            .query
            .filter(|_| activity.0.is_multiple_of(8) && !refused)
        {
            scene.out.of(Table::CosmosQueries).push(
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
        scene.used.charge(tenant, place, charge, refused);
        let cell = scene.counting.at(scene.now.minute, tenant);
        cell.charge += charge;
        status
    }
}

/// The partition that holds a tenant's documents: its id and the id of its range.
pub(super) fn partition(
    container: &Container,
    now: &ContainerNow,
    tenant: &Tenant,
) -> (Word, Word) {
    container.partitions[tenant.partition_of(now.partitions)]
}
