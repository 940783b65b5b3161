//! A table under other names.

use std::fmt;
use std::sync::Arc;

use super::super::column::{Column, Datum};
use super::super::convert::cast_datum;
use super::super::error::{Error, Result};
use super::super::exec::Run;
use super::super::plan::{Batch, Bound, Part, Source};
use super::super::types::{Field, Schema, Type};
use super::super::value::Value;

/// A column of a view.
#[derive(Debug, Clone)]
pub struct ViewColumn {
    pub name: String,
    pub ty: Type,
    pub from: From,
}

/// Where a column of a view comes from.
#[derive(Debug, Clone)]
pub enum From {
    /// The table's column of this name; converted when its type is another.
    Column(String),
    /// Made from the table's column of this name.
    Made(String, fn(&Column) -> Column),
    /// The same in every row; a null in a string column is `""`.
    Constant(Value<'static>),
}

impl ViewColumn {
    pub fn new(name: impl Into<String>, ty: Type, from: From) -> Self {
        let name = name.into();
        Self { name, ty, from }
    }
}

/// A table whose columns are another's, renamed, reordered, left out, or computed one by one. What is not
/// wanted of a view is not read from its table, and bounds on columns that are only renamed reach it.
pub struct View {
    schema: Schema,
    source: Arc<dyn Source>,
    columns: Arc<[Take]>,
}

#[derive(Clone)]
enum Take {
    Column(usize),
    Made(usize, fn(&Column) -> Column),
    Constant(Value<'static>),
}

impl View {
    /// Errors: a column that the table does not have.
    pub fn new(source: Arc<dyn Source>, columns: &[ViewColumn]) -> Result<Self> {
        let find = |name: &str| {
            let error = || {
                Error::execution(format!(
                    "a view needs column `{name}`, which its table lacks"
                ))
            };
            source.schema().index(name).ok_or_else(error)
        };
        let takes = columns.iter().map(|column| {
            Ok(match &column.from {
                From::Column(name) => Take::Column(find(name)?),
                From::Made(name, make) => Take::Made(find(name)?, *make),
                From::Constant(value) => Take::Constant(value.clone()),
            })
        });
        let takes = takes.collect::<Result<Vec<_>>>()?;
        let fields = columns.iter().map(|c| Field::new(c.name.clone(), c.ty));
        Ok(Self {
            schema: Schema::new(fields.collect()),
            columns: takes.into(),
            source,
        })
    }
}

impl Source for View {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn scan(&self, wanted: &[bool], bounds: &[Bound], run: &Arc<Run>) -> Result<Vec<Part>> {
        let below = self.source.schema();
        let mut read = vec![false; below.len()];
        for (take, _) in self
            .columns
            .iter()
            .zip(wanted)
            .filter(|(_, wanted)| **wanted)
        {
            if let Take::Column(at) | Take::Made(at, _) = take {
                read[*at] = true;
            }
        }
        let passed = bounds
            .iter()
            .filter_map(|bound| match self.columns[bound.column] {
                Take::Column(at) if below.fields[at].ty == self.schema.fields[bound.column].ty => {
                    Some(Bound {
                        column: at,
                        test: bound.test.clone(),
                    })
                }
                _ => None,
            });
        let passed: Vec<Bound> = passed.collect();
        let parts = self.source.scan(&read, &passed, run)?;
        let types: Arc<[Type]> = self.schema.fields.iter().map(|field| field.ty).collect();
        let wanted: Arc<[bool]> = wanted.into();
        let part = |part: Part| -> Part {
            let (columns, types, wanted) = (self.columns.clone(), types.clone(), wanted.clone());
            Box::new(part.map(move |batch| {
                let batch = batch?;
                let of = |at: usize| -> Column {
                    let ty = types[at];
                    match &columns[at] {
                        _ if !wanted[at] => Column::absent(ty, batch.rows),
                        Take::Column(from) => {
                            cast_datum(Datum::Column(batch.columns[*from].clone()), ty)
                                .into_column(batch.rows)
                        }
                        Take::Made(from, make) => make(&batch.columns[*from]),
                        Take::Constant(value) => Column::constant(ty, value, batch.rows),
                    }
                };
                Ok(Batch::new((0..columns.len()).map(of).collect(), batch.rows))
            }))
        };
        Ok(parts.into_iter().map(part).collect())
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}
