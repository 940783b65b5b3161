//! KQL, offline: text -> tokens -> syntax -> bound, typed plan -> Arrow batches.
//!
//! The engine has never heard of Azure: tables come from a catalog of the caller's. What Kusto has
//! and this does not is refused by name ([`error::Kind::NotImplemented`]), never answered with
//! something near.

pub mod aggregates;
pub mod bind;
pub mod column;
pub mod convert;
pub mod error;
pub mod exec;
pub mod explain;
pub mod expr;
pub mod functions;
pub mod json;
mod lexer;
pub mod output;
pub mod parser;
pub mod plan;
mod prune;
pub mod signature;
pub mod source;
pub mod syntax;
pub mod text;
pub mod types;
pub mod value;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use error::Result;
use exec::{Limits, Run};
use plan::{Batch, Catalog, Plan};
use types::Schema;

/// How a query is evaluated.
#[derive(Debug, Clone)]
pub struct Options {
    /// What `now()` is, in ticks.
    pub now: i64,
    pub limits: Limits,
    /// Set to end the evaluation.
    pub cancelled: Arc<AtomicBool>,
}

impl Options {
    /// With the usual limits.
    #[must_use]
    pub fn at(now: i64) -> Self {
        Self {
            now,
            limits: Limits::default(),
            cancelled: Arc::default(),
        }
    }

    /// With the usual limits, at this instant.
    #[must_use]
    pub fn at_time(now: chrono::DateTime<chrono::Utc>) -> Self {
        Self::at(text::datetime::from_chrono(now))
    }
}

/// An answer.
#[derive(Debug)]
pub struct Table {
    pub schema: Schema,
    pub batches: Vec<Batch>,
    pub render: Option<bind::Render>,
}

impl Table {
    #[must_use]
    pub fn rows(&self) -> usize {
        self.batches.iter().map(|batch| batch.rows).sum()
    }
}

/// Binds a query without evaluating it: its columns, and whether it is sound. Operators whose columns
/// depend on rows (`evaluate`) do look at them.
pub fn check(text: &str, catalog: &dyn Catalog, options: &Options) -> Result<Schema> {
    let query = parser::parse(text)?;
    let run = run(options);
    exec::deep(|| Ok(bind::bind(&query, catalog, &run)?.plan.schema))
}

/// The plan of a query, pruned.
pub fn plan(text: &str, catalog: &dyn Catalog, options: &Options) -> Result<Plan> {
    let query = parser::parse(text)?;
    let run = run(options);
    exec::deep(|| Ok(prune::prune(bind::bind(&query, catalog, &run)?.plan)))
}

/// Evaluates a query.
pub fn query(text: &str, catalog: &dyn Catalog, options: &Options) -> Result<Table> {
    let query = parser::parse(text)?;
    let run = run(options);
    exec::deep(|| {
        let bound = bind::bind(&query, catalog, &run)?;
        let schema = bound.plan.schema.clone();
        let batches = exec::collect(&prune::prune(bound.plan), &run)?;
        Ok(Table {
            schema,
            batches,
            render: bound.render,
        })
    })
}

fn run(options: &Options) -> Arc<Run> {
    Arc::new(Run::new(
        options.now,
        options.limits.clone(),
        options.cancelled.clone(),
    ))
}
