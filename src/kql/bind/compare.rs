//! The types that operators take.

use super::super::error::{Error, Result, Span};
use super::super::expr::{Expr, Op};
use super::super::syntax::Binary;
use super::super::types::Type;

/// The wider of two number types.
pub(super) fn widest(a: Type, b: Type) -> Option<Type> {
    let rank = |ty: Type| match ty {
        Type::Int => Some(0),
        Type::Long => Some(1),
        Type::Real => Some(2),
        Type::Decimal => Some(3),
        _ => None,
    };
    Some(if rank(a)? >= rank(b)? { a } else { b })
}

/// Arithmetic: whole numbers give long, a real makes real, a decimal makes decimal; datetimes and
/// timespans follow the calendar.
pub(super) fn arithmetic(op: Binary, left: Expr, right: Expr, span: Span) -> Result<Expr> {
    let (name, sign) = match op {
        Binary::Add => (Op::Add, '+'),
        Binary::Subtract => (Op::Subtract, '-'),
        Binary::Multiply => (Op::Multiply, '*'),
        Binary::Divide => (Op::Divide, '/'),
        _ => (Op::Modulo, '%'),
    };
    let (a, b) = (left.ty, right.ty);
    let refused = || {
        Error::semantic(
            span,
            format!("operator `{sign}` is not defined for {a} and {b}"),
        )
        .hint(if a == Type::String && b == Type::String {
            "join texts with `strcat(...)`"
        } else {
            "convert one side"
        })
    };
    // A dynamic side is taken as what the other side needs.
    let (left, right) = match (a, b) {
        (Type::Dynamic, Type::Dynamic) => {
            let what = "arithmetic between two dynamic values";
            return Err(
                Error::not_implemented(span, what).hint("convert them, as with `toreal(...)`")
            );
        }
        (Type::Dynamic, Type::DateTime) if op == Binary::Subtract => {
            (left.cast(Type::DateTime), right)
        }
        (Type::Dynamic, Type::DateTime) => (left.cast(Type::TimeSpan), right),
        (Type::DateTime, Type::Dynamic) => (left, right.cast(Type::TimeSpan)),
        (Type::Dynamic, other) if other.is_summable() => (left.cast(other), right),
        (other, Type::Dynamic) if other.is_summable() => (left, right.cast(other)),
        _ => (left, right),
    };
    use Type::{DateTime, TimeSpan};
    let (ty, operands) = match (left.ty, right.ty, op) {
        (a, b, _) if a.is_number() && b.is_number() => {
            match widest(a, b).expect("both are numbers") {
                Type::Int => (Type::Long, Some(Type::Long)),
                wide => (wide, Some(wide)),
            }
        }
        (DateTime, DateTime, Binary::Subtract) => (TimeSpan, None),
        (DateTime, TimeSpan, Binary::Add | Binary::Subtract)
        | (TimeSpan, DateTime, Binary::Add) => (DateTime, None),
        (TimeSpan, TimeSpan, Binary::Add | Binary::Subtract | Binary::Modulo) => (TimeSpan, None),
        (TimeSpan, TimeSpan, Binary::Divide) => (Type::Real, None),
        (DateTime, TimeSpan, Binary::Modulo) => (TimeSpan, None),
        (TimeSpan, b, Binary::Multiply | Binary::Divide) if b.is_number() => (TimeSpan, None),
        (a, TimeSpan, Binary::Multiply) if a.is_number() => (TimeSpan, None),
        _ => return Err(refused()),
    };
    Ok(match operands {
        Some(common) => Expr::op(name, ty, vec![left.cast(common), right.cast(common)]),
        None => Expr::op(name, ty, vec![left, right]),
    })
}

/// Comparisons: both sides get one type.
pub(super) fn compare(op: Binary, left: Expr, right: Expr, span: Span) -> Result<Expr> {
    let (name, sign) = match op {
        Binary::Equal => (Op::Equal, "=="),
        Binary::NotEqual => (Op::NotEqual, "!="),
        Binary::Less => (Op::Less, "<"),
        Binary::LessEqual => (Op::LessEqual, "<="),
        Binary::Greater => (Op::Greater, ">"),
        _ => (Op::GreaterEqual, ">="),
    };
    let equality = matches!(op, Binary::Equal | Binary::NotEqual);
    let Some(common) = common(left.ty, right.ty, equality) else {
        let message = format!(
            "operator `{sign}` is not defined for {} and {}",
            left.ty, right.ty
        );
        let hint = match (left.ty, right.ty) {
            (Type::String, number) | (number, Type::String) if number.is_number() => {
                "convert the string with `toint(...)` or `todouble(...)`"
            }
            (Type::String, Type::DateTime) | (Type::DateTime, Type::String) => {
                "write `datetime(...)` or `todatetime(...)`"
            }
            _ => "convert one side",
        };
        return Err(Error::semantic(span, message).hint(hint));
    };
    // Kusto has no order of texts in an expression, though `sort` has one.
    if !equality && matches!(common, Type::Guid | Type::String) {
        let message = format!("operator `{sign}` is not defined for {common}");
        let error = Error::semantic(span, message);
        return Err(match common {
            Type::String => error.hint(format!("write `strcmp(a, b) {sign} 0`")),
            _ => error,
        });
    }
    Ok(Expr::op(
        name,
        Type::Bool,
        vec![left.cast(common), right.cast(common)],
    ))
}

/// The type that two sides are compared as.
fn common(a: Type, b: Type, equality: bool) -> Option<Type> {
    if a == b {
        return Some(a);
    }
    if let Some(wide) = widest(a, b) {
        return Some(wide);
    }
    match (a, b) {
        // A dynamic value may have a fraction, and may be larger than a real can tell exactly.
        (Type::Dynamic, Type::Int | Type::Long) | (Type::Int | Type::Long, Type::Dynamic) => {
            Some(Type::Decimal)
        }
        (Type::Dynamic, other) | (other, Type::Dynamic) => Some(other),
        // A text beside one of these is read as one; numbers must be converted by the writer.
        (Type::String, other @ (Type::DateTime | Type::TimeSpan | Type::Guid | Type::Bool))
        | (other @ (Type::DateTime | Type::TimeSpan | Type::Guid | Type::Bool), Type::String)
            if equality =>
        {
            Some(other)
        }
        (Type::Bool, number) | (number, Type::Bool) if equality && number.is_number() => {
            Some(Type::Bool)
        }
        _ => None,
    }
}

/// Whether values of one type can be found among those of another.
pub(super) fn comparable(a: Type, b: Type, span: Span) -> Result<()> {
    match common(a, b, true) {
        Some(_) => Ok(()),
        None => Err(Error::semantic(
            span,
            format!("{a} and {b} cannot be compared"),
        )),
    }
}
