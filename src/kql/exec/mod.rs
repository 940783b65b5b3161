//! Plans run: row by row operators stream, the others collect; parts of a table are worked on side
//! by side, and put together in the order of their rows.

pub(crate) mod bins;
mod compare;
mod compute;
pub(crate) mod eval;
pub(crate) mod expand;
mod group;
mod join;
pub(crate) mod keys;
mod lazy;
mod matching;
pub(crate) mod parse;
pub(crate) mod parse_kv;
pub(crate) mod series;
mod sort;
pub(crate) mod subquery;
pub(crate) mod top_nested;
pub(crate) mod unpack;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::column::{Builder, Column};
use super::error::{Error, Result};
use super::expr::{Expr, ExprKind};
use super::plan::{Batch, Node, Part, Plan, Stage};
use super::types::Type;
use super::value::Value;

/// Rows of a batch, where we make them.
pub(crate) const BATCH: usize = 16 * 1024;

/// What a query may use.
#[derive(Debug, Clone)]
pub struct Limits {
    pub time: Duration,
    /// Bytes held by collected rows and states, not counting what streams.
    pub memory: usize,
    /// Threads; 0 is one per core.
    pub threads: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(600),
            memory: 2 << 30,
            threads: 0,
        }
    }
}

/// One evaluation of a query: its clock, its limits, and the flag that ends it.
#[derive(Debug)]
pub struct Run {
    /// What `now()` is, in ticks.
    pub now: i64,
    deadline: Instant,
    limits: Limits,
    held: AtomicUsize,
    cancelled: Arc<AtomicBool>,
}

impl Run {
    #[must_use]
    pub fn new(now: i64, limits: Limits, cancelled: Arc<AtomicBool>) -> Self {
        Self {
            now,
            deadline: Instant::now() + limits.time,
            limits,
            held: AtomicUsize::new(0),
            cancelled,
        }
    }

    /// To be asked at every batch: fails when the time is up or somebody cancelled.
    pub fn tick(&self) -> Result<()> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(Error::execution("the query was cancelled"));
        }
        if Instant::now() > self.deadline {
            let seconds = self.limits.time.as_secs_f64();
            return Err(Error::execution(format!(
                "the query took longer than its limit of {seconds} s"
            )));
        }
        Ok(())
    }

    /// Takes note of bytes that stay held.
    pub fn hold(&self, bytes: usize) -> Result<()> {
        let held = self.held.fetch_add(bytes, Ordering::Relaxed);
        self.within(held.saturating_add(bytes))
    }

    /// Fails when that many bytes more would be too many; takes no note of them.
    pub fn fits(&self, bytes: usize) -> Result<()> {
        self.within(self.held.load(Ordering::Relaxed).saturating_add(bytes))
    }

    fn within(&self, bytes: usize) -> Result<()> {
        if bytes > self.limits.memory {
            let limit = self.limits.memory >> 20;
            return Err(Error::execution(format!(
                "the query needs more memory than its limit of {limit} MiB; filter or summarize earlier"
            )));
        }
        Ok(())
    }

    pub fn release(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn threads(&self) -> usize {
        match self.limits.threads {
            0 => cores(),
            threads => threads,
        }
    }
}

/// How many threads can work at once here.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// All rows of a plan.
pub fn collect(plan: &Plan, run: &Arc<Run>) -> Result<Vec<Batch>> {
    let parts = parts(plan, run)?;
    let collected = each(parts, run, |part| {
        let mut batches = Vec::new();
        for batch in part {
            let batch = batch?;
            if batch.rows > 0 {
                run.hold(batch.bytes())?;
                batches.push(batch);
            }
        }
        Ok(batches)
    })?;
    Ok(collected.into_iter().flatten().collect())
}

/// All rows as one batch.
pub(crate) fn whole(plan: &Plan, run: &Arc<Run>) -> Result<Batch> {
    Ok(Batch::concat(&plan.schema, &collect(plan, run)?))
}

/// Bytes of stack for work on plans, which recurses once or twice for each operator. Room for the
/// longest query that the binder lets pass, in a build without optimisation.
const STACK: usize = 256 << 20;

/// Works on a thread whose stack is deep enough for any plan. Callers' threads are often not.
pub(crate) fn deep<R: Send>(work: impl FnOnce() -> Result<R> + Send) -> Result<R> {
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("kql".into())
            .stack_size(STACK)
            .spawn_scoped(scope, work)
            .map_err(|error| Error::execution(format!("no thread to work on: {error}")))?
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Does the work for each part, on as many threads as there are, and keeps the order of the parts.
pub(crate) fn each<R: Send>(
    parts: Vec<Part>,
    run: &Run,
    work: impl Fn(Part) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    spread(parts, run.threads(), work)
}

/// Does the work for each item on so many threads; results in the order of the items. After a failure
/// no more work is begun.
pub(crate) fn spread<T: Send, R: Send>(
    items: Vec<T>,
    threads: usize,
    work: impl Fn(T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let threads = threads.min(items.len());
    if threads <= 1 {
        return items.into_iter().map(work).collect();
    }
    let queue: Mutex<VecDeque<(usize, T)>> = Mutex::new(items.into_iter().enumerate().collect());
    let done: Mutex<Vec<(usize, Result<R>)>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let worker = || {
                loop {
                    let next = queue
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner)
                        .pop_front();
                    let Some((index, item)) = next else { break };
                    let result = work(item);
                    let failed = result.is_err();
                    done.lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner)
                        .push((index, result));
                    if failed {
                        queue
                            .lock()
                            .unwrap_or_else(std::sync::PoisonError::into_inner)
                            .clear();
                    }
                }
            };
            std::thread::Builder::new()
                .stack_size(STACK)
                .spawn_scoped(scope, worker)
                .map_err(|error| Error::execution(format!("no thread to work on: {error}")))?;
        }
        Ok(())
    })?;
    let mut done = done
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

/// The rows of a plan, as streams.
pub(crate) fn parts(plan: &Plan, run: &Arc<Run>) -> Result<Vec<Part>> {
    run.tick()?;
    Ok(match &plan.node {
        Node::Scan {
            source,
            wanted,
            bounds,
            ..
        } => {
            let parts = source.scan(wanted, bounds, run)?;
            parts.into_iter().map(|part| watched(part, run)).collect()
        }
        Node::Rows(batches) => one(batches.as_ref().clone()),
        Node::Print(exprs) => {
            let none = Batch::new(Vec::new(), 1);
            let columns = exprs
                .iter()
                .map(|expr| Ok(eval::eval(expr, &none, run)?.into_column(1)));
            one(vec![Batch::new(columns.collect::<Result<_>>()?, 1)])
        }
        Node::Range { from, to, step } => {
            one(range(plan.schema.fields[0].ty, from, to, step, run)?)
        }
        Node::Filter { input, predicate } if predicate.is_ordered() => {
            one(vec![eval::filter(predicate, whole(input, run)?, run)?])
        }
        Node::Filter { input, predicate } => map(parts(input, run)?, run, {
            let predicate = predicate.clone();
            move |batch, run| eval::filter(&predicate, batch, run)
        }),
        Node::Project { input, exprs } if exprs.iter().any(Expr::is_ordered) => {
            let table = whole(input, run)?;
            one(vec![eval::project(exprs, &table, run)?])
        }
        Node::Project { input, exprs } => map(parts(input, run)?, run, {
            let exprs = exprs.clone();
            move |batch, run| eval::project(&exprs, &batch, run)
        }),
        Node::Stream { input, stage } => map(parts(input, run)?, run, {
            let stage: Arc<dyn Stage> = stage.clone();
            move |batch, run| stage.apply(batch, run)
        }),
        Node::Breaker { input, stage } => one(stage.apply(whole(input, run)?, run)?),
        Node::Summarize { input, keys, calls } => {
            vec![Box::new(
                group::summarize(plan, input, keys, calls, run)?
                    .into_iter()
                    .map(Ok),
            )]
        }
        Node::Sort { input, keys } => one(sort::sort(&whole(input, run)?, keys, None, run)?),
        Node::Top { input, keys, count } => {
            let count = count_of(count, run)?;
            one(sort::top(input, keys, count, run)?)
        }
        Node::Take { input, count } => {
            let count = count_of(count, run)?;
            take(parts(input, run)?, count)
        }
        Node::Join(join) => one(join::join(plan, join, run)?),
        Node::Union(inputs) => {
            let mut all = Vec::new();
            for input in inputs {
                all.extend(parts(input, run)?);
            }
            all
        }
        Node::Shared(shared) => one(shared.rows(run)?.as_ref().clone()),
    })
}

fn one(batches: Vec<Batch>) -> Vec<Part> {
    vec![Box::new(batches.into_iter().map(Ok))]
}

fn watched(part: Part, run: &Arc<Run>) -> Part {
    let run = run.clone();
    Box::new(part.map(move |batch| run.tick().and(batch)))
}

fn map(
    parts: Vec<Part>,
    run: &Arc<Run>,
    work: impl Fn(Batch, &Arc<Run>) -> Result<Batch> + Send + Sync + 'static,
) -> Vec<Part> {
    let work = Arc::new(work);
    let one = |part: Part| -> Part {
        let (work, run) = (work.clone(), run.clone());
        Box::new(part.map(move |batch| {
            run.tick()?;
            work(batch?, &run)
        }))
    };
    parts.into_iter().map(one).collect()
}

/// The first rows, in the order of the parts; what is not needed is not read.
fn take(parts: Vec<Part>, count: usize) -> Vec<Part> {
    let mut left = count;
    let mut chained = parts.into_iter().flatten();
    vec![Box::new(std::iter::from_fn(move || {
        if left == 0 {
            return None;
        }
        Some(chained.next()?.map(|batch| {
            let batch = if batch.rows > left {
                batch.slice(0, left)
            } else {
                batch
            };
            left -= batch.rows;
            batch
        }))
    }))]
}

/// The value of an expression that looks at no row.
pub(crate) fn constant(expr: &Expr, run: &Arc<Run>) -> Result<Value<'static>> {
    if let ExprKind::Const(value) = &expr.kind {
        return Ok(value.clone());
    }
    Ok(eval::eval(expr, &Batch::new(Vec::new(), 1), run)?
        .value(0)
        .into_owned())
}

fn count_of(expr: &Expr, run: &Arc<Run>) -> Result<usize> {
    let value = constant(expr, run)?;
    match value.as_long() {
        Some(count) if count >= 0 => Ok(usize::try_from(count).unwrap_or(usize::MAX)),
        _ => Err(Error::execution(format!(
            "a number of rows must be zero or more, not {value:?}"
        ))),
    }
}

/// `range x from a to b step c`: both ends included, nothing when the step leads away.
fn range(ty: Type, from: &Expr, to: &Expr, step: &Expr, run: &Arc<Run>) -> Result<Vec<Batch>> {
    let (from, to, step) = (
        constant(from, run)?,
        constant(to, run)?,
        constant(step, run)?,
    );
    let mut batches = Vec::new();
    let mut builder = Builder::new(ty, 0);
    let mut rows = 0;
    let mut push = |value: Value<'static>| -> Result<()> {
        builder.push(&value);
        rows += 1;
        if rows == BATCH {
            let column = builder.finish();
            run.tick()?;
            run.hold(column.bytes())?;
            batches.push(Batch::new(vec![column], rows));
            rows = 0;
        }
        Ok(())
    };
    match (&from, &to, &step) {
        (Value::Null, ..) | (_, Value::Null, _) | (.., Value::Null) => {}
        _ if ty == Type::Real => {
            let (from, to, step) = (real(&from), real(&to), real(&step));
            refuse_zero(step == 0.0)?;
            for i in 0.. {
                let at = step.mul_add(f64::from(i), from);
                if (step > 0.0 && at > to) || (step < 0.0 && at < to) || at.is_nan() {
                    break;
                }
                push(Value::Real(at))?;
            }
        }
        (Value::Decimal(from), Value::Decimal(to), Value::Decimal(step)) => {
            refuse_zero(step.is_zero())?;
            let mut at = *from;
            while (step.is_sign_positive() && at <= *to) || (step.is_sign_negative() && at >= *to) {
                push(Value::Decimal(at))?;
                match at.checked_add(*step) {
                    Some(next) => at = next,
                    None => break,
                }
            }
        }
        _ => {
            let parts = (from.as_long(), to.as_long(), step.as_long());
            let (Some(mut at), Some(to), Some(step)) = parts else {
                return Err(Error::execution(
                    "`range` needs numbers, datetimes or timespans",
                ));
            };
            refuse_zero(step == 0)?;
            while (step > 0 && at <= to) || (step < 0 && at >= to) {
                push(match ty {
                    Type::DateTime => Value::DateTime(at),
                    Type::TimeSpan => Value::TimeSpan(at),
                    _ => Value::Long(at),
                })?;
                match at.checked_add(step) {
                    Some(next) => at = next,
                    None => break,
                }
            }
        }
    }
    let last: Column = builder.finish();
    batches.push(Batch {
        rows: last.len(),
        columns: vec![last],
    });
    Ok(batches)
}

fn real(value: &Value<'_>) -> f64 {
    value.as_real().unwrap_or(f64::NAN)
}

fn refuse_zero(zero: bool) -> Result<()> {
    if zero {
        Err(Error::execution("the step of `range` is zero"))
    } else {
        Ok(())
    }
}
