//! Scalar functions: a row each in the table of its subject.

pub(crate) mod arrays;
mod conversion;
mod datetime;
mod dynamics;
mod hash;
pub(crate) mod known;
mod logic;
mod math;
mod network;
pub(crate) mod regexes;
mod series;
mod strings;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod text_match;
mod window;

use std::collections::HashMap;
use std::sync::LazyLock;

use super::column::Datum;
use super::error::Result;
use super::signature::Signature;
use super::types::Type;
use super::value::Value;

pub(crate) use series::RESULTS;

/// How a column gets its name when it is `f(x)` and nobody named it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// `Column1`, `print_0`, ...
    None,
    /// As the first argument: `tostring(x)` is `x`.
    First,
    /// Function and first argument: `strlen(x)` is `strlen_x`.
    Own,
}

/// A function of rows: each row's result depends on that row alone.
pub type RowFn = for<'a> fn(&[Value<'a>]) -> Value<'a>;

/// A function of whole columns. Gets the number of rows and the type of the result.
pub type ColumnFn = fn(&[Datum], usize, Type) -> Result<Datum>;

#[derive(Debug, Clone, Copy)]
pub enum Eval {
    /// A null argument makes the result null (an empty string), and the function is not asked.
    Row(RowFn),
    /// The function sees nulls.
    Nulls(RowFn),
    /// For inner loops: the function sees arrays, and all null rules are its own.
    Columns(ColumnFn),
    /// Sees the whole of an ordered table at once (`prev`, `row_number`): needs `serialize` or `sort`.
    Ordered(ColumnFn),
}

/// Judges constant arguments when the query is bound: a broken regular expression, an unknown part.
pub type Check = fn(&[Option<Value<'static>>]) -> Result<(), String>;

/// A scalar function.
#[derive(Debug)]
pub struct Function {
    pub name: &'static str,
    pub signatures: Vec<Signature>,
    pub naming: Naming,
    pub eval: Eval,
    pub check: Option<Check>,
}

impl Function {
    pub(crate) fn new(name: &'static str, signature: &str, naming: Naming, eval: Eval) -> Self {
        Self {
            name,
            signatures: Signature::parse(signature),
            naming,
            eval,
            check: None,
        }
    }

    pub(crate) fn checked(mut self, check: Check) -> Self {
        self.check = Some(check);
        self
    }
}

/// Short rows for the tables.
pub(crate) fn row(name: &'static str, signature: &str, naming: Naming, f: RowFn) -> Function {
    Function::new(name, signature, naming, Eval::Row(f))
}

pub(crate) fn nulls(name: &'static str, signature: &str, naming: Naming, f: RowFn) -> Function {
    Function::new(name, signature, naming, Eval::Nulls(f))
}

pub(crate) fn columns(
    name: &'static str,
    signature: &str,
    naming: Naming,
    f: ColumnFn,
) -> Function {
    Function::new(name, signature, naming, Eval::Columns(f))
}

static TABLE: LazyLock<HashMap<&'static str, Function>> = LazyLock::new(|| {
    let tables = [
        arrays::table(),
        conversion::table(),
        datetime::table(),
        dynamics::table(),
        hash::table(),
        logic::table(),
        math::table(),
        network::table(),
        series::table(),
        strings::table(),
        window::table(),
    ];
    let mut all = HashMap::new();
    for function in tables.into_iter().flatten() {
        let name = function.name;
        assert!(
            all.insert(name, function).is_none(),
            "`{name}` is in two tables"
        );
    }
    all
});

/// The function of this name; names are case-sensitive, as Kusto's are.
#[must_use]
pub fn find(name: &str) -> Option<&'static Function> {
    TABLE.get(name)
}

pub fn names() -> impl Iterator<Item = &'static str> {
    TABLE.keys().copied()
}

/// The columns of a function with several results: their names and types. In a name `{}` stands for
/// the name of the first argument, `{n}` for that of the argument at the column's own place. The
/// function gives them as one array. `arrays` is the number of arguments that are no options.
#[must_use]
pub(crate) fn several(name: &str, arrays: usize) -> Option<Vec<(String, Type)>> {
    if matches!(name, "array_sort_asc" | "array_sort_desc") {
        return (arrays > 1).then(|| vec![("{n}_sorted".to_owned(), Type::Dynamic); arrays]);
    }
    let (_, results) = RESULTS.iter().find(|(function, _)| *function == name)?;
    Some(
        results
            .iter()
            .map(|(word, ty)| (format!("{name}_{{}}_{word}"), *ty))
            .collect(),
    )
}
