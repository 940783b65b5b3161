//! Subqueries that run once for each row (`mv-apply`) or group (`partition`), over a table of its
//! own each time.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::UInt32Array;

use super::super::column::Column;
use super::super::error::{Error, Result};
use super::super::expr::Expr;
use super::super::plan::{Batch, Bound, Breaker, Join, Node, Part, Plan, Shared, Source, Stage};
use super::super::types::Schema;
use super::expand::Expand;
use super::group::Hasher;
use super::keys::Rows;
use super::{Run, collect, eval};

/// The place of the table that differs each time.
struct Hole(Schema);

impl Source for Hole {
    fn schema(&self) -> &Schema {
        &self.0
    }

    fn scan(&self, _: &[bool], _: &[Bound], _: &Arc<Run>) -> Result<Vec<Part>> {
        Err(Error::execution(
            "a scalar of a subquery looks at the table of the subquery; this is not implemented",
        ))
    }
}

/// A place to bind a subquery over.
pub(crate) fn hole(schema: Schema) -> Arc<dyn Source> {
    Arc::new(Hole(schema))
}

/// A subquery, pruned.
pub(crate) struct SubQuery {
    plan: Plan,
    hole: Arc<dyn Source>,
}

impl SubQuery {
    pub(crate) fn new(plan: Plan, hole: Arc<dyn Source>) -> Self {
        Self {
            plan: super::super::prune::prune(plan),
            hole,
        }
    }

    /// Which columns of its table the subquery reads.
    fn reads(&self) -> Vec<bool> {
        let mut wanted = vec![false; self.hole.schema().len()];
        mark(&self.plan, &self.hole, &mut wanted);
        wanted
    }

    fn over(&self, rows: Batch, run: &Arc<Run>) -> Result<Vec<Batch>> {
        let rows = Arc::new(vec![rows]);
        let filled = fill(&self.plan, &self.hole, &rows, &mut HashMap::new());
        let batches = collect(filled.as_ref().unwrap_or(&self.plan), run)?;
        run.release(batches.iter().map(Batch::bytes).sum());
        Ok(batches)
    }
}

fn same(a: &Arc<dyn Source>, b: &Arc<dyn Source>) -> bool {
    std::ptr::addr_eq(Arc::as_ptr(a), Arc::as_ptr(b))
}

fn mark(plan: &Plan, hole: &Arc<dyn Source>, wanted: &mut [bool]) {
    match &plan.node {
        Node::Scan {
            source,
            wanted: own,
            ..
        } if same(source, hole) => {
            wanted
                .iter_mut()
                .zip(own)
                .for_each(|(wanted, own)| *wanted |= own);
        }
        _ => plan
            .inputs()
            .into_iter()
            .for_each(|input| mark(input, hole, wanted)),
    }
}

type Made = HashMap<*const Shared, Arc<Shared>>;

/// The plan with rows in the place of the hole; none when the hole is not in it.
fn fill(
    plan: &Plan,
    hole: &Arc<dyn Source>,
    rows: &Arc<Vec<Batch>>,
    made: &mut Made,
) -> Option<Plan> {
    let node = match &plan.node {
        Node::Scan { source, .. } if same(source, hole) => Node::Rows(rows.clone()),
        Node::Scan { .. } | Node::Rows(_) | Node::Print(_) | Node::Range { .. } => return None,
        Node::Filter { input, predicate } => Node::Filter {
            input: Arc::new(fill(input, hole, rows, made)?),
            predicate: predicate.clone(),
        },
        Node::Project { input, exprs } => Node::Project {
            input: Arc::new(fill(input, hole, rows, made)?),
            exprs: exprs.clone(),
        },
        Node::Summarize { input, keys, calls } => Node::Summarize {
            input: Arc::new(fill(input, hole, rows, made)?),
            keys: keys.clone(),
            calls: calls.clone(),
        },
        Node::Sort { input, keys } => Node::Sort {
            input: Arc::new(fill(input, hole, rows, made)?),
            keys: keys.clone(),
        },
        Node::Top { input, keys, count } => Node::Top {
            input: Arc::new(fill(input, hole, rows, made)?),
            keys: keys.clone(),
            count: count.clone(),
        },
        Node::Take { input, count } => Node::Take {
            input: Arc::new(fill(input, hole, rows, made)?),
            count: count.clone(),
        },
        Node::Stream { input, stage } => Node::Stream {
            input: Arc::new(fill(input, hole, rows, made)?),
            stage: stage.clone(),
        },
        Node::Breaker { input, stage } => Node::Breaker {
            input: Arc::new(fill(input, hole, rows, made)?),
            stage: stage.clone(),
        },
        Node::Join(join) => {
            let left = fill(&join.left, hole, rows, made);
            let right = fill(&join.right, hole, rows, made);
            if left.is_none() && right.is_none() {
                return None;
            }
            Node::Join(Arc::new(Join {
                kind: join.kind,
                left: left.map_or_else(|| join.left.clone(), Arc::new),
                right: right.map_or_else(|| join.right.clone(), Arc::new),
                left_keys: join.left_keys.clone(),
                right_keys: join.right_keys.clone(),
            }))
        }
        Node::Union(inputs) => {
            let filled: Vec<Option<Plan>> = inputs
                .iter()
                .map(|input| fill(input, hole, rows, made))
                .collect();
            if filled.iter().all(Option::is_none) {
                return None;
            }
            let inputs = filled
                .into_iter()
                .zip(inputs)
                .map(|(filled, input)| filled.map_or_else(|| input.clone(), Arc::new));
            Node::Union(inputs.collect())
        }
        Node::Shared(shared) => {
            let key = Arc::as_ptr(shared);
            let filled = match made.get(&key) {
                Some(filled) => filled.clone(),
                None => {
                    let filled = Arc::new(Shared::new(fill(&shared.plan, hole, rows, made)?));
                    made.insert(key, filled.clone());
                    filled
                }
            };
            Node::Shared(filled)
        }
    };
    Some(Plan {
        schema: plan.schema.clone(),
        ordered: plan.ordered,
        node,
    })
}

/// `mv-apply`: each row is expanded, and the subquery runs over what it became. Rows that become
/// none give none.
pub(crate) struct Apply {
    pub(crate) expand: Expand,
    pub(crate) body: SubQuery,
    pub(crate) output: Vec<Side>,
}

/// Where a column of the output is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The row.
    Row(usize),
    /// What the subquery gives.
    Result(usize),
}

impl Stage for Apply {
    fn name(&self) -> &'static str {
        "mv-apply"
    }

    fn apply(&self, batch: Batch, run: &Arc<Run>) -> Result<Batch> {
        let expanded = self.expand.expand(&batch, run)?;
        let mut rows: Vec<u32> = Vec::new();
        let mut results = Vec::new();
        let mut at = 0;
        for (row, count) in expanded.counts.into_iter().enumerate() {
            if count == 0 {
                continue;
            }
            let table = expanded.batch.slice(at, count);
            at += count;
            let from = u32::try_from(row).map_err(|_| Error::execution("more rows than fit"))?;
            for result in self.body.over(table, run)? {
                rows.extend(std::iter::repeat_n(from, result.rows));
                results.push(result);
            }
        }
        let results = Batch::concat(&self.body.plan.schema, &results);
        let rows = UInt32Array::from(rows);
        let columns = self.output.iter().map(|side| match side {
            Side::Row(at) => batch.columns[*at].take(&rows),
            Side::Result(at) => results.columns[*at].clone(),
        });
        Ok(Batch::new(columns.collect(), results.rows))
    }

    fn needs(&self, wanted: &[bool], input: usize) -> Vec<bool> {
        let mut below = self.expand.reads(&self.body.reads(), input);
        for (side, wanted) in self.output.iter().zip(wanted) {
            if let (Side::Row(at), true) = (side, wanted) {
                below[*at] = true;
            }
        }
        below
    }
}

/// `partition`: the subquery runs over the rows of each key, in the order of the keys' first rows.
pub(crate) struct Partition {
    pub(crate) key: Expr,
    pub(crate) body: SubQuery,
}

impl Breaker for Partition {
    fn name(&self) -> &'static str {
        "partition"
    }

    fn apply(&self, table: Batch, run: &Arc<Run>) -> Result<Vec<Batch>> {
        let key = eval::eval(&self.key, &table, run)?;
        let keys = Rows::new(&[key], table.rows);
        let mut index: HashMap<&[u8], usize, Hasher> = HashMap::default();
        let mut groups: Vec<Vec<u32>> = Vec::new();
        for row in 0..table.rows {
            let group = *index.entry(keys.get(row)).or_insert_with(|| {
                groups.push(Vec::new());
                groups.len() - 1
            });
            groups[group].push(u32::try_from(row).map_err(|_| Error::execution("too many rows"))?);
        }
        let mut results = Vec::new();
        for group in groups {
            let rows = UInt32Array::from(group);
            let columns: Vec<Column> = table
                .columns
                .iter()
                .map(|column| column.take(&rows))
                .collect();
            for batch in self.body.over(Batch::new(columns, rows.len()), run)? {
                run.hold(batch.bytes())?;
                results.push(batch);
            }
        }
        Ok(results)
    }

    fn needs(&self, _: &[bool], _: usize) -> Vec<bool> {
        let mut below = self.body.reads();
        self.key.mark(&mut below);
        below
    }
}
