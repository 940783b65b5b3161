use super::cosmos::Cosmos;
use super::{Scene, ns, round};
use crate::local::telemetry::names::{App, Target};
use crate::local::telemetry::rows::{Table, Value};
use crate::local::telemetry::service::{
    CLIENT_ERRORS, Call, DELETE_CHARGE, MESSAGES, Operation, QUERIES, READ_CHARGE, SERVER_FAILURES,
    UPSERT_CHARGE,
};
use crate::local::telemetry::tenants::Person;
use crate::local::telemetry::words::Word;

/// One request while it is made up.
pub(super) struct Request<'a> {
    pub(super) at: i64,
    pub(super) operation: usize,
    pub(super) spec: &'static Operation,
    pub(super) tenant_place: usize,
    pub(super) properties: Word,
    pub(super) app: &'a App,
    pub(super) instance: Word,
    /// The trace id: begins with the second, as some tracers do, so that a reader of a sorted file can
    /// tell where an operation cannot be.
    pub(super) trace: (u64, u64),
    pub(super) span: u64,
    /// Milliseconds, growing as trouble is met.
    pub(super) duration: f64,
    /// Tries that Cosmos refused.
    pub(super) throttled: u32,
    /// Requests that it stands for.
    pub(super) weight: u32,
    /// Share of calls to Cosmos that a fault refuses.
    pub(super) throttle: f64,
}

impl Request<'_> {
    /// Makes the calls of the operation; whether Cosmos refused one for good.
    pub(super) fn calls(&mut self, scene: &mut Scene) -> bool {
        let names = &scene.model.names;
        let mut share = 0.15;
        for (call, probability) in self.spec.calls {
            if !scene.random.chance(*probability) {
                continue;
            }
            let took = self.duration * scene.random.between(0.2, 0.45);
            let start = scene.within(self.at + ns(self.duration * share));
            share += 0.2;
            let cosmos = |kind, container, charge, query| Cosmos {
                kind,
                container,
                charge,
                query,
                start,
                took,
            };
            let by = &mut scene.used.tenants[self.tenant_place];
            let (target, took) = match *call {
                Call::Read(_) | Call::Query(_) | Call::Upsert(_) | Call::Delete(_) => {
                    let cosmos = match *call {
                        Call::Query(query) => {
                            let spec = &QUERIES[query];
                            cosmos(1, spec.container, spec.charge, Some(query))
                        }
                        Call::Upsert(container) => cosmos(2, container, UPSERT_CHARGE, None),
                        Call::Delete(container) => cosmos(3, container, DELETE_CHARGE, None),
                        Call::Read(container) => cosmos(0, container, READ_CHARGE, None),
                        Call::Search | Call::BlobRead | Call::BlobWrite | Call::Cache => continue,
                    };
                    if self.cosmos(scene, &cosmos) {
                        return true;
                    }
                    continue;
                }
                Call::Search => {
                    scene.used.searches += u64::from(self.weight);
                    by.searches += self.weight;
                    (names.search, took)
                }
                Call::BlobRead | Call::BlobWrite => {
                    scene.used.blob_calls += u64::from(self.weight);
                    by.blob_calls += self.weight;
                    let reads = *call == Call::BlobRead;
                    (
                        if reads {
                            names.blob_read
                        } else {
                            names.blob_write
                        },
                        took,
                    )
                }
                Call::Cache => (names.cache, took.min(8.0)),
            };
            if let Some(target) = target {
                let fails = scene.random.chance(0.0005);
                let common = &names.common;
                let code = if fails { common.failed_code } else { common.ok };
                self.dependency(scene, target, start, took, code, !fails);
            }
        }
        false
    }

    pub(super) fn dependency(
        &self,
        scene: &mut Scene,
        target: Target,
        at: i64,
        took: f64,
        code: Word,
        success: bool,
    ) {
        let names = &scene.model.names;
        let id = scene.random.next();
        scene.out.of(Table::Dependencies).push(
            at,
            [
                Value::Span(id),
                Value::Word(target.target),
                Value::Word(target.ty),
                Value::Word(target.name),
                Value::Word(target.data),
                Value::Bool(success),
                Value::Word(code),
                Value::Real(round(took)),
                Value::Word(self.properties),
                Value::Word(names.operations[self.operation].name),
                Value::Operation(self.trace.0, self.trace.1),
                Value::Span(self.span),
                Value::Word(names.common.version),
                Value::Word(self.app.name_word),
                Value::Word(self.instance),
                Value::Int(self.weight.cast_signed()),
            ],
        );
    }

    /// Writes the request itself, and what the application said about it.
    pub(super) fn tell(&self, scene: &mut Scene, person: &Person, code: &str) {
        let names = &scene.model.names;
        let common = &names.common;
        let operation = &names.operations[self.operation];
        let failed = code.starts_with('5');
        let code_word = if code == self.spec.success {
            operation.success
        } else if let Some(at) = CLIENT_ERRORS.iter().position(|(c, _)| *c == code) {
            common.client_errors[at]
        } else {
            let at = SERVER_FAILURES.iter().position(|(c, _)| *c == code);
            common.server_failures[at.expect("an answer is a success or one of the lists")]
        };
        // Application Insights takes 401 for a success: it is how a client is told to sign in.
        let success = !failed && (!code.starts_with('4') || code == "401");
        scene.out.of(Table::Requests).push(
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
            self.line(scene, common.failed, 3);
            self.exception(scene, code);
        } else if self.throttled > 0 {
            self.line(scene, common.throttled, 2);
        } else if code == "403" {
            self.line(scene, common.denied, 2);
        } else if scene.random.chance(0.2) {
            let reads = self.spec.name.starts_with("GET");
            let data = scene.random.chance(0.6);
            let at = if data {
                usize::from(!reads)
            } else {
                2 + scene.random.below(3)
            };
            self.line(scene, common.messages[at], MESSAGES[at].1);
        }
    }

    fn line(&self, scene: &mut Scene, message: Word, level: i32) {
        let names = &scene.model.names;
        let at = scene.within(self.at + ns(self.duration * 0.1));
        scene.out.of(Table::Traces).push(
            at,
            [
                Value::Word(message),
                Value::Int(level),
                Value::Word(self.properties),
                Value::Word(names.operations[self.operation].name),
                Value::Operation(self.trace.0, self.trace.1),
                Value::Span(self.span),
                Value::Word(names.common.version),
                Value::Word(self.app.name_word),
                Value::Word(self.instance),
                Value::Int(self.weight.cast_signed()),
            ],
        );
    }

    fn exception(&self, scene: &mut Scene, code: &str) {
        let names = &scene.model.names;
        let common = &names.common;
        let Some(thrown) = common.exceptions.iter().find(|e| e.code == code) else {
            return;
        };
        scene.out.of(Table::Exceptions).push(
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
                Value::Word(names.operations[self.operation].name),
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
