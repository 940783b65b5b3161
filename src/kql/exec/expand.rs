//! `mv-expand`: a row for each member of an array or a bag.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::UInt32Array;

use super::super::column::{Builder, Column};
use super::super::error::{Error, Result};
use super::super::expr::Expr;
use super::super::json::{self, Json};
use super::super::plan::{Batch, Stage};
use super::super::types::Type;
use super::super::value::Value;
use super::{Run, constant, eval};

/// Arrays side by side: the longest makes the rows, and the others end in nulls. A null makes a row,
/// an empty array none. <https://learn.microsoft.com/kusto/query/mv-expand-operator>
pub(crate) struct Expand {
    /// What is expanded, and the type that its members get.
    pub(crate) sources: Vec<(Expr, Type)>,
    pub(crate) output: Vec<Origin>,
    /// Members of bags are `[key, value]` rather than `{key: value}`.
    pub(crate) pairs: bool,
    /// The most rows of one row.
    pub(crate) limit: Option<Expr>,
}

/// Where a column of the output is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A column of the input, repeated.
    Column(usize),
    /// The members of a source.
    Member(usize),
    /// The place of the member, from zero.
    Index,
}

pub(crate) struct Expanded {
    pub(crate) batch: Batch,
    /// How many rows each row became.
    pub(crate) counts: Vec<usize>,
}

impl Expand {
    pub(crate) fn expand(&self, batch: &Batch, run: &Arc<Run>) -> Result<Expanded> {
        let limit = match &self.limit {
            None => usize::MAX,
            Some(limit) => match constant(limit, run)?.as_long() {
                Some(limit) => usize::try_from(limit).unwrap_or(0),
                None => return Err(Error::execution("the limit of rows is null")),
            },
        };
        let data = self
            .sources
            .iter()
            .map(|(source, _)| eval::eval(source, batch, run))
            .collect::<Result<Vec<_>>>()?;
        let mut members: Vec<Builder> = self
            .sources
            .iter()
            .map(|(_, ty)| Builder::new(*ty, batch.rows))
            .collect();
        let mut counts = Vec::with_capacity(batch.rows);
        let mut rows: Vec<u32> = Vec::with_capacity(batch.rows);
        let mut places = Builder::new(Type::Long, batch.rows);
        for row in 0..batch.rows {
            let values: Vec<Value<'_>> = data.iter().map(|datum| datum.value(row)).collect();
            let lists: Vec<Option<Vec<Cow<'_, str>>>> = values
                .iter()
                .map(|value| match value {
                    Value::Null => None,
                    value => Some(self.members(value.text())),
                })
                .collect();
            let longest = lists
                .iter()
                .map(|list| list.as_ref().map_or(1, Vec::len))
                .max();
            let count = longest.unwrap_or(0).min(limit);
            for ((builder, list), (_, ty)) in members.iter_mut().zip(&lists).zip(&self.sources) {
                for place in 0..count {
                    match list.as_ref().and_then(|list| list.get(place)) {
                        Some(raw) => builder.push(&member(raw, *ty)),
                        None => builder.push(&Value::Null),
                    }
                }
            }
            let from = u32::try_from(row).map_err(|_| Error::execution("more rows than fit"))?;
            rows.extend(std::iter::repeat_n(from, count));
            for place in 0..count {
                places.push(&Value::Long(i64::try_from(place).unwrap_or(i64::MAX)));
            }
            counts.push(count);
            if row.is_multiple_of(1024) {
                run.tick()?;
                run.hold(rows.len() * 16)?;
                run.release(rows.len() * 16);
            }
        }
        let members: Vec<Column> = members.iter_mut().map(Builder::finish).collect();
        let places = places.finish();
        let rows = UInt32Array::from(rows);
        let columns = self.output.iter().map(|origin| match origin {
            Origin::Column(at) => batch.columns[*at].take(&rows),
            Origin::Member(at) => members[*at].clone(),
            Origin::Index => places.clone(),
        });
        Ok(Expanded {
            batch: Batch::new(columns.collect(), places.len()),
            counts,
        })
    }

    /// The members of a value as raw JSON; a value that has none is its own only member.
    fn members<'a>(&self, raw: &'a str) -> Vec<Cow<'a, str>> {
        match raw.as_bytes().first() {
            Some(b'[') => json::elements(raw)
                .unwrap_or_default()
                .into_iter()
                .map(Cow::Borrowed)
                .collect(),
            Some(b'{') => match Json::parse(raw) {
                Some(Json::Bag(members)) => members
                    .into_iter()
                    .map(|(key, value)| {
                        let member = if self.pairs {
                            Json::Array(vec![Json::String(key), value])
                        } else {
                            Json::Bag(vec![(key, value)])
                        };
                        Cow::Owned(member.to_string())
                    })
                    .collect(),
                _ => Vec::new(),
            },
            _ => vec![Cow::Borrowed(raw)],
        }
    }

    /// Which input columns are read when these of the output are wanted.
    pub(crate) fn reads(&self, wanted: &[bool], input: usize) -> Vec<bool> {
        let mut below = vec![false; input];
        for (origin, wanted) in self.output.iter().zip(wanted) {
            if let (Origin::Column(at), true) = (origin, wanted) {
                below[*at] = true;
            }
        }
        self.sources
            .iter()
            .for_each(|(source, _)| source.mark(&mut below));
        below
    }
}

/// A member as its type: a text is not read as a number, as `tolong` would.
fn member<'a>(raw: &'a str, ty: Type) -> Value<'a> {
    let text = raw.starts_with('"');
    match ty {
        Type::Bool | Type::Int | Type::Long | Type::Real | Type::Decimal if text => Value::Null,
        _ => json::cast(raw, ty),
    }
}

impl Stage for Expand {
    fn name(&self) -> &'static str {
        "mv-expand"
    }

    fn apply(&self, batch: Batch, run: &Arc<Run>) -> Result<Batch> {
        Ok(self.expand(&batch, run)?.batch)
    }

    fn needs(&self, wanted: &[bool], input: usize) -> Vec<bool> {
        self.reads(wanted, input)
    }
}
