//! `parse` and `parse-where`: columns out of a text, by a pattern.

use std::sync::Arc;

use arrow_array::BooleanArray;
use regex::Regex;

use super::super::column::{Builder, Column};
use super::super::convert;
use super::super::error::Result;
use super::super::expr::Expr;
use super::super::plan::{Batch, Stage};
use super::super::types::Type;
use super::super::value::Value;
use super::{Run, eval};

/// The pattern is one expression over the whole text; group `i` of `groups` is capture `i`.
/// <https://learn.microsoft.com/kusto/query/parse-operator>
pub(crate) struct Parse {
    /// A string.
    pub(crate) source: Expr,
    pub(crate) regex: Regex,
    /// Names of the groups, with the types of their columns.
    pub(crate) captures: Vec<(String, Type)>,
    /// A capture that is not of its type is null; otherwise nothing of the text is taken.
    pub(crate) relaxed: bool,
    /// Rows that do not fit are left out.
    pub(crate) filter: bool,
    pub(crate) output: Vec<Origin>,
}

/// Where a column of the output is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Column(usize),
    Capture(usize),
}

impl Origin {
    pub(crate) fn mark(output: &[Self], wanted: &[bool], source: &Expr, input: usize) -> Vec<bool> {
        let mut below = vec![false; input];
        for (origin, wanted) in output.iter().zip(wanted) {
            if let (Self::Column(at), true) = (origin, wanted) {
                below[*at] = true;
            }
        }
        source.mark(&mut below);
        below
    }

    pub(crate) fn columns(output: &[Self], batch: &Batch, captures: &[Column]) -> Vec<Column> {
        let column = |origin: &Self| match origin {
            Self::Column(at) => batch.columns[*at].clone(),
            Self::Capture(at) => captures[*at].clone(),
        };
        output.iter().map(column).collect()
    }
}

impl Parse {
    fn read<'a>(&self, text: &'a str) -> Option<Vec<Value<'a>>> {
        let found = self.regex.captures(text)?;
        let mut values = Vec::with_capacity(self.captures.len());
        for (name, ty) in &self.captures {
            let part = found.name(name).map_or("", |part| part.as_str());
            values.push(match ty {
                Type::String => Value::string(part),
                _ => match convert::parse(part, *ty) {
                    Some(value) => value.into_owned(),
                    None if self.relaxed => Value::Null,
                    None => return None,
                },
            });
        }
        Some(values)
    }
}

impl Stage for Parse {
    fn name(&self) -> &'static str {
        "parse"
    }

    fn apply(&self, batch: Batch, run: &Arc<Run>) -> Result<Batch> {
        let source = eval::eval(&self.source, &batch, run)?;
        let mut builders: Vec<Builder> = self
            .captures
            .iter()
            .map(|(_, ty)| Builder::new(*ty, batch.rows))
            .collect();
        let mut keep = Vec::with_capacity(batch.rows);
        for row in 0..batch.rows {
            let text = source.value(row);
            let values = self.read(text.text());
            keep.push(values.is_some());
            match values {
                Some(values) => builders
                    .iter_mut()
                    .zip(&values)
                    .for_each(|(builder, value)| builder.push(value)),
                None => builders
                    .iter_mut()
                    .for_each(|builder| builder.push(&Value::Null)),
            }
        }
        let captures: Vec<Column> = builders.iter_mut().map(Builder::finish).collect();
        let columns = Origin::columns(&self.output, &batch, &captures);
        if !self.filter || keep.iter().all(|keep| *keep) {
            return Ok(Batch::new(columns, batch.rows));
        }
        let rows = keep.iter().filter(|keep| **keep).count();
        let keep = BooleanArray::from(keep);
        let columns = columns.iter().map(|column| column.filter(&keep));
        Ok(Batch::new(columns.collect(), rows))
    }

    fn needs(&self, wanted: &[bool], input: usize) -> Vec<bool> {
        Origin::mark(&self.output, wanted, &self.source, input)
    }
}
