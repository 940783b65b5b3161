//! What tests of functions share.

use super::{Eval, find};
use crate::kql::column::Datum;
use crate::kql::signature::Returns;
use crate::kql::types::Type;
use crate::kql::value::Value;

pub(crate) fn long(v: i64) -> Value<'static> {
    Value::Long(v)
}

/// One call, with the null rules the engine has.
pub(crate) fn call(name: &str, args: &[Value<'static>]) -> Value<'static> {
    let function = find(name).unwrap_or_else(|| panic!("no function `{name}`"));
    if let Some(check) = function.check {
        let constants: Vec<_> = args.iter().cloned().map(Some).collect();
        if let Err(message) = check(&constants) {
            panic!("`{name}`: {message}");
        }
    }
    let signature = function.signatures.iter().find(|s| s.takes(args.len()));
    let returns = signature.expect("the number of arguments fits").returns;
    let ty = match returns {
        Returns::Exactly(ty) => ty,
        _ => args.iter().rev().find_map(Value::ty).unwrap_or(Type::Long),
    };
    match function.eval {
        Eval::Row(_) if args.iter().any(Value::is_null) => match ty {
            Type::String => "".into(),
            _ => Value::Null,
        },
        Eval::Row(f) | Eval::Nulls(f) => match f(args).into_owned() {
            Value::Null if ty == Type::String => "".into(),
            value => value,
        },
        Eval::Columns(f) | Eval::Ordered(f) => {
            let args: Vec<_> = args
                .iter()
                .map(|value| Datum::Value(value.ty().unwrap_or(Type::Bool), value.clone()))
                .collect();
            let datum = f(&args, 1, ty).unwrap_or_else(|error| panic!("`{name}`: {error}"));
            datum.value(0).into_owned()
        }
    }
}
