//! A bound scalar expression.

use std::collections::HashSet;
use std::sync::Arc;

use super::functions::{Eval, Function};
use super::plan::Shared;
use super::syntax::{Negated, TextOp};
use super::types::Type;
use super::value::Value;

#[derive(Debug, Clone)]
pub struct Expr {
    pub ty: Type,
    pub kind: ExprKind,
}

#[derive(Debug, Clone)]
pub enum ExprKind {
    Column(usize),
    Const(Value<'static>),
    Call(&'static Function, Vec<Expr>),
    /// The operand as `Expr::ty`.
    Cast(Box<Expr>),
    Op(Op, Vec<Expr>),
    /// Whether the operand is in a list of constants; keys as `exec::keys::key` makes them.
    In {
        left: Box<Expr>,
        set: Arc<Set>,
        fold: bool,
        not: bool,
    },
    /// Whether the operand is in the first column of a table.
    InTable {
        left: Box<Expr>,
        table: Arc<Shared>,
        fold: bool,
        not: bool,
    },
    /// `has_any`, `has_all`: over the strings of a list or of a table's first column.
    HasList {
        left: Box<Expr>,
        terms: Terms,
        all: bool,
    },
    /// `toscalar`: the first cell of a table.
    Scalar(Arc<Shared>),
    /// A column nobody looks at.
    Absent,
}

/// The values after `in`, as what the left side is: looked up without making a key where that is
/// frequent.
#[derive(Debug)]
pub enum Set {
    Whole(HashSet<i64>),
    Texts(HashSet<String>),
    Keys(HashSet<Vec<u8>>),
}

#[derive(Debug, Clone)]
pub enum Terms {
    Known(Arc<Vec<String>>),
    Table(Arc<Shared>),
}

/// Operators. Operands have been converted: both sides of a comparison have one type.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Negate,
    Equal,
    NotEqual,
    EqualFold,
    NotEqualFold,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    And,
    Or,
    Text(TextOp, Negated),
    /// `d.name`
    Member(String),
    /// `d[i]`, `d[name]`
    Index,
}

impl Expr {
    #[must_use]
    pub fn column(index: usize, ty: Type) -> Self {
        Self {
            ty,
            kind: ExprKind::Column(index),
        }
    }

    #[must_use]
    pub fn constant(ty: Type, value: Value<'static>) -> Self {
        let value = if ty == Type::String && value.is_null() {
            Value::string("")
        } else {
            value
        };
        Self {
            ty,
            kind: ExprKind::Const(value),
        }
    }

    #[must_use]
    pub fn absent(ty: Type) -> Self {
        Self {
            ty,
            kind: ExprKind::Absent,
        }
    }

    #[must_use]
    pub fn op(op: Op, ty: Type, args: Vec<Expr>) -> Self {
        Self {
            ty,
            kind: ExprKind::Op(op, args),
        }
    }

    /// As another type; nothing when it has it already.
    #[must_use]
    pub fn cast(self, ty: Type) -> Self {
        if self.ty == ty {
            return self;
        }
        match self.kind {
            ExprKind::Const(value) => {
                Self::constant(ty, super::convert::cast(&value, ty).into_owned())
            }
            _ => Self {
                ty,
                kind: ExprKind::Cast(Box::new(self)),
            },
        }
    }

    #[must_use]
    pub fn as_const(&self) -> Option<&Value<'static>> {
        match &self.kind {
            ExprKind::Const(value) => Some(value),
            _ => None,
        }
    }

    pub fn children(&self) -> Vec<&Expr> {
        match &self.kind {
            ExprKind::Call(_, args) | ExprKind::Op(_, args) => args.iter().collect(),
            ExprKind::Cast(inner) => vec![inner],
            ExprKind::In { left, .. }
            | ExprKind::InTable { left, .. }
            | ExprKind::HasList { left, .. } => vec![left],
            ExprKind::Column(_) | ExprKind::Const(_) | ExprKind::Scalar(_) | ExprKind::Absent => {
                Vec::new()
            }
        }
    }

    /// The same over columns that lie elsewhere: `place` tells where each has gone.
    #[must_use]
    pub fn moved(mut self, place: &dyn Fn(usize) -> usize) -> Self {
        let move_in = |expr: &mut Expr| {
            let taken = std::mem::replace(expr, Expr::absent(expr.ty));
            *expr = taken.moved(place);
        };
        match &mut self.kind {
            ExprKind::Column(at) => *at = place(*at),
            ExprKind::Call(_, args) | ExprKind::Op(_, args) => args.iter_mut().for_each(move_in),
            ExprKind::Cast(inner) => move_in(inner),
            ExprKind::In { left, .. }
            | ExprKind::InTable { left, .. }
            | ExprKind::HasList { left, .. } => move_in(left),
            ExprKind::Const(_) | ExprKind::Scalar(_) | ExprKind::Absent => {}
        }
        self
    }

    /// Marks the columns that the expression reads.
    pub fn mark(&self, wanted: &mut [bool]) {
        if let ExprKind::Column(index) = self.kind {
            wanted[index] = true;
        }
        for child in self.children() {
            child.mark(wanted);
        }
    }

    /// The number of terms; counting ends at `enough`.
    #[must_use]
    pub fn size(&self, enough: usize) -> usize {
        let mut size = 0;
        let mut waiting = vec![self];
        while let Some(expr) = waiting.pop() {
            size += 1;
            if size >= enough {
                break;
            }
            waiting.extend(expr.children());
        }
        size
    }

    /// Whether it sees the whole of an ordered table at once.
    #[must_use]
    pub fn is_ordered(&self) -> bool {
        matches!(&self.kind, ExprKind::Call(function, _) if matches!(function.eval, Eval::Ordered(_)))
            || self.children().into_iter().any(Expr::is_ordered)
    }

    /// Whether every row has the same value, known without looking at a table.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        match &self.kind {
            ExprKind::Const(_) => true,
            ExprKind::Column(_)
            | ExprKind::Scalar(_)
            | ExprKind::InTable { .. }
            | ExprKind::Absent => false,
            ExprKind::HasList {
                terms: Terms::Table(_),
                ..
            } => false,
            ExprKind::Call(function, _)
                if matches!(function.eval, Eval::Ordered(_)) || function.name == "rand" =>
            {
                false
            }
            _ => self.children().into_iter().all(Expr::is_constant),
        }
    }
}
