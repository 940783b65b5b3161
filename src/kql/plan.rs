//! A query that is bound: names are columns, types are known, and nothing is left to guess.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex};

use arrow_array::BooleanArray;

use super::aggregates::{Aggregate, Spec};
use super::column::Column;
use super::error::Result;
use super::exec::Run;
use super::expr::Expr;
use super::types::{Schema, Type};
use super::value::Value;

/// Some rows of a table.
#[derive(Debug, Clone)]
pub struct Batch {
    pub columns: Vec<Column>,
    pub rows: usize,
}

impl Batch {
    #[must_use]
    pub fn new(columns: Vec<Column>, rows: usize) -> Self {
        Self { columns, rows }
    }

    #[must_use]
    pub fn bytes(&self) -> usize {
        self.columns.iter().map(Column::bytes).sum()
    }

    /// One below the other.
    #[must_use]
    pub fn concat(schema: &Schema, batches: &[Batch]) -> Self {
        let rows = batches.iter().map(|batch| batch.rows).sum();
        let columns = schema.fields.iter().enumerate().map(|(i, field)| {
            let parts: Vec<Column> = batches
                .iter()
                .map(|batch| batch.columns[i].clone())
                .collect();
            Column::concat(field.ty, &parts)
        });
        Self {
            columns: columns.collect(),
            rows,
        }
    }

    /// The rows where `keep` is true.
    #[must_use]
    pub fn filter(self, keep: &BooleanArray) -> Self {
        let rows = keep.true_count();
        if rows == self.rows {
            return self;
        }
        Self {
            columns: self
                .columns
                .iter()
                .map(|column| column.filter(keep))
                .collect(),
            rows,
        }
    }

    #[must_use]
    pub fn slice(&self, from: usize, rows: usize) -> Self {
        Self {
            columns: self
                .columns
                .iter()
                .map(|column| column.slice(from, rows))
                .collect(),
            rows,
        }
    }
}

/// A stream of batches, read by one thread. A table comes in parts, in the order of its rows; parts
/// are worked on side by side and put together in order, so answers do not depend on the cores.
pub type Part = Box<dyn Iterator<Item = Result<Batch>> + Send>;

/// Where rows come from.
pub trait Source: Send + Sync {
    fn schema(&self) -> &Schema;

    /// The rows, in a few parts (about as many for any number of cores). Columns that are not wanted
    /// come as [`Column::absent`]. Bounds may be used to leave rows out that cannot satisfy them;
    /// they are checked again by whoever asked.
    fn scan(&self, wanted: &[bool], bounds: &[Bound], run: &Arc<Run>) -> Result<Vec<Part>>;
}

/// The tables that a query may name.
pub trait Catalog: Send + Sync {
    /// The table of a name; `None` when there is none, an error when it is there and cannot be read.
    fn table(&self, name: &str) -> Option<Result<Arc<dyn Source>>>;

    /// For wildcards, and for the nearest name when one is wrong.
    fn names(&self) -> Vec<String>;
}

impl<C: Catalog + ?Sized> Catalog for &C {
    fn table(&self, name: &str) -> Option<Result<Arc<dyn Source>>> {
        (**self).table(name)
    }

    fn names(&self) -> Vec<String> {
        (**self).names()
    }
}

impl<C: Catalog + ?Sized> Catalog for Arc<C> {
    fn table(&self, name: &str) -> Option<Result<Arc<dyn Source>>> {
        (**self).table(name)
    }

    fn names(&self) -> Vec<String> {
        (**self).names()
    }
}

/// Something that holds for every row that is of use.
#[derive(Debug, Clone, PartialEq)]
pub struct Bound {
    pub column: usize,
    pub test: Test,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    OneOf(Vec<Value<'static>>),
    /// At least, or more than when `strict`.
    Above {
        value: Value<'static>,
        strict: bool,
    },
    Below {
        value: Value<'static>,
        strict: bool,
    },
}

#[derive(Clone)]
pub struct Plan {
    pub schema: Schema,
    /// Whether the order of rows means something, as after `sort` and `serialize`.
    pub ordered: bool,
    pub node: Node,
}

impl Plan {
    /// The number of nodes, a node that is used twice counted twice; counting ends at `enough`.
    #[must_use]
    pub fn size(&self, enough: usize) -> usize {
        let mut size = 0;
        let mut waiting = vec![self];
        while let Some(plan) = waiting.pop() {
            size += 1;
            if size >= enough {
                break;
            }
            // What is shared was counted where it was made.
            if !matches!(plan.node, Node::Shared(_)) {
                waiting.extend(plan.inputs());
            }
        }
        size
    }

    /// The plans that this one takes its rows from.
    pub(crate) fn inputs(&self) -> Vec<&Plan> {
        match &self.node {
            Node::Scan { .. } | Node::Rows(_) | Node::Print(_) | Node::Range { .. } => Vec::new(),
            Node::Filter { input, .. }
            | Node::Project { input, .. }
            | Node::Summarize { input, .. }
            | Node::Sort { input, .. }
            | Node::Top { input, .. }
            | Node::Take { input, .. }
            | Node::Stream { input, .. }
            | Node::Breaker { input, .. } => vec![input],
            Node::Join(join) => vec![&join.left, &join.right],
            Node::Union(inputs) => inputs.iter().map(AsRef::as_ref).collect(),
            Node::Shared(shared) => vec![&shared.plan],
        }
    }
}

#[derive(Clone)]
pub enum Node {
    Scan {
        name: String,
        source: Arc<dyn Source>,
        wanted: Vec<bool>,
        bounds: Vec<Bound>,
    },
    /// Rows that are known: `datatable`, and results that had to be computed to know their columns.
    Rows(Arc<Vec<Batch>>),
    /// One row of constants: `print`.
    Print(Arc<Vec<Expr>>),
    Range {
        from: Expr,
        to: Expr,
        step: Expr,
    },
    Filter {
        input: Arc<Plan>,
        predicate: Arc<Expr>,
    },
    /// `project`, `extend` and all that only rearranges columns.
    Project {
        input: Arc<Plan>,
        exprs: Arc<Vec<Expr>>,
    },
    /// Output: the keys, then the columns of each call.
    Summarize {
        input: Arc<Plan>,
        keys: Arc<Vec<Expr>>,
        calls: Arc<Vec<Call>>,
    },
    Sort {
        input: Arc<Plan>,
        keys: Arc<Vec<SortKey>>,
    },
    /// The first rows by the keys.
    Top {
        input: Arc<Plan>,
        keys: Arc<Vec<SortKey>>,
        count: Expr,
    },
    Take {
        input: Arc<Plan>,
        count: Expr,
    },
    Join(Arc<Join>),
    /// Inputs have the same columns.
    Union(Vec<Arc<Plan>>),
    /// Computed once for all that use it.
    Shared(Arc<Shared>),
    /// Operators that take a batch and give a batch.
    Stream {
        input: Arc<Plan>,
        stage: Arc<dyn Stage>,
    },
    /// Operators that need all of their rows.
    Breaker {
        input: Arc<Plan>,
        stage: Arc<dyn Breaker>,
    },
}

/// An operator that works batch by batch.
pub trait Stage: Send + Sync {
    fn name(&self) -> &'static str;
    fn apply(&self, batch: Batch, run: &Arc<Run>) -> Result<Batch>;

    /// Which input columns are read when these output columns are wanted. All, unless told.
    fn needs(&self, _wanted: &[bool], input: usize) -> Vec<bool> {
        vec![true; input]
    }
}

/// An operator that needs the whole table.
pub trait Breaker: Send + Sync {
    fn name(&self) -> &'static str;
    fn apply(&self, table: Batch, run: &Arc<Run>) -> Result<Vec<Batch>>;

    fn needs(&self, _wanted: &[bool], input: usize) -> Vec<bool> {
        vec![true; input]
    }
}

/// A call of an aggregate over the rows of its group.
pub struct Call {
    pub aggregate: &'static Aggregate,
    pub args: Vec<Expr>,
    /// Only rows where this holds: `sumif` and its kind.
    pub filter: Option<Expr>,
    pub spec: Spec,
}

#[derive(Debug, Clone)]
pub struct SortKey {
    pub expr: Expr,
    pub ascending: bool,
    pub nulls_first: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinKind {
    /// Of the left rows with one key only the first is used.
    InnerUnique,
    Inner,
    LeftOuter,
    RightOuter,
    FullOuter,
    LeftSemi,
    RightSemi,
    LeftAnti,
    RightAnti,
}

/// Output: the left columns, then the right ones; one side alone for semi and anti joins.
pub struct Join {
    pub kind: JoinKind,
    pub left: Arc<Plan>,
    pub right: Arc<Plan>,
    /// Keys of equal type.
    pub left_keys: Vec<Expr>,
    pub right_keys: Vec<Expr>,
}

/// A table that is computed once.
pub struct Shared {
    pub plan: Plan,
    rows: Mutex<Option<Arc<Vec<Batch>>>>,
    set: Mutex<Option<Arc<HashSet<Vec<u8>>>>>,
}

impl Shared {
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        Self {
            plan,
            rows: Mutex::default(),
            set: Mutex::default(),
        }
    }

    /// The rows; the first who asks computes them.
    pub fn rows(&self, run: &Arc<Run>) -> Result<Arc<Vec<Batch>>> {
        let mut rows = self
            .rows
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(rows) = &*rows {
            return Ok(rows.clone());
        }
        let computed = Arc::new(super::exec::collect(&self.plan, run)?);
        *rows = Some(computed.clone());
        Ok(computed)
    }

    /// The first cell; null when there is no row.
    pub fn scalar(&self, run: &Arc<Run>) -> Result<Value<'static>> {
        let rows = self.rows(run)?;
        let first = rows.iter().find(|batch| batch.rows > 0);
        let null = if self.plan.schema.fields[0].ty == Type::String {
            Value::string("")
        } else {
            Value::Null
        };
        Ok(first.map_or(null, |batch| batch.columns[0].value(0).into_owned()))
    }

    /// The values of the first column, as keys, made by `key` once.
    pub(crate) fn set(
        &self,
        run: &Arc<Run>,
        key: impl Fn(&Value<'_>, &mut HashSet<Vec<u8>>),
    ) -> Result<Arc<HashSet<Vec<u8>>>> {
        let rows = self.rows(run)?;
        let mut set = self
            .set
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(set) = &*set {
            return Ok(set.clone());
        }
        let mut keys = HashSet::new();
        for value in rows.iter().flat_map(|batch| batch.columns[0].values()) {
            key(&value, &mut keys);
        }
        let keys = Arc::new(keys);
        *set = Some(keys.clone());
        Ok(keys)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("schema", &self.plan.schema)
            .finish_non_exhaustive()
    }
}
