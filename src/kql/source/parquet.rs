//! Parquet files: only the columns that are wanted are read, and only the row groups that can hold
//! rows within the bounds.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::file::metadata::RowGroupMetaData;

use super::super::column::{Column, Datum};
use super::super::convert;
use super::super::error::{Error, Result};
use super::super::exec::{BATCH, Run};
use super::super::plan::{Batch, Bound, Part, Source};
use super::super::types::{Field, Schema, Type};
use super::{arrow, statistics};

/// How many parts the rows come in, at most: the same for any number of cores.
const PARTS: usize = 16;

/// A table of one or more files, in the order of their rows.
pub struct Parquet {
    schema: Schema,
    files: Vec<Opened>,
}

struct Opened {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
    /// Where each of the table's columns is in the file.
    places: Vec<Option<usize>>,
}

impl Parquet {
    /// Opens files. Columns that `declared` has and a file does not are null (an empty string) in it;
    /// without a declared schema it is made of the columns of all files.
    ///
    /// Errors: a file that cannot be read or is no Parquet, named.
    pub fn open(paths: &[PathBuf], declared: Option<&Schema>) -> Result<Self> {
        let mut opened = Vec::with_capacity(paths.len());
        for path in paths {
            opened.push((path.clone(), metadata(path)?));
        }
        let schema = match declared {
            Some(schema) => schema.clone(),
            None => {
                let mut schema = Schema::default();
                for (path, metadata) in &opened {
                    for field in metadata.schema().fields() {
                        let ty = arrow::ty(field.data_type()).ok_or_else(|| {
                            let name = field.name();
                            Error::execution(format!(
                                "column `{name}` of `{}` is of a kind that cannot be read: {}",
                                path.display(),
                                field.data_type()
                            ))
                        })?;
                        if schema.index(field.name()).is_none() {
                            schema.fields.push(Field::new(field.name().clone(), ty));
                        }
                    }
                }
                schema
            }
        };
        let files = opened.into_iter().map(|(path, metadata)| {
            let place = |field: &Field| {
                metadata
                    .schema()
                    .fields()
                    .iter()
                    .position(|f| *f.name() == field.name)
            };
            let places = schema.fields.iter().map(place).collect();
            Opened {
                path,
                metadata,
                places,
            }
        });
        Ok(Self {
            files: files.collect(),
            schema,
        })
    }
}

fn metadata(path: &Path) -> Result<ArrowReaderMetadata> {
    let file = File::open(path).map_err(|error| failed(path, &error))?;
    ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())
        .map_err(|error| failed(path, &error))
}

fn failed(path: &Path, why: &dyn std::fmt::Display) -> Error {
    Error::execution(format!("cannot read `{}`: {why}", path.display()))
}

impl Source for Parquet {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn scan(&self, wanted: &[bool], bounds: &[Bound], _run: &Arc<Run>) -> Result<Vec<Part>> {
        let mut groups = Vec::new();
        for (file, opened) in self.files.iter().enumerate() {
            for (group, metadata) in opened.metadata.metadata().row_groups().iter().enumerate() {
                if bounds
                    .iter()
                    .all(|bound| self.may_hold(opened, metadata, bound))
                {
                    groups.push((file, group));
                }
            }
        }
        let size = groups.len().div_ceil(PARTS).max(1);
        let mut parts: Vec<Part> = Vec::new();
        for chunk in groups.chunks(size) {
            let work: Vec<Reader> = chunk
                .iter()
                .map(|(file, group)| {
                    let opened = &self.files[*file];
                    Reader {
                        path: opened.path.clone(),
                        metadata: opened.metadata.clone(),
                        group: *group,
                        places: opened.places.clone(),
                        wanted: wanted.to_vec(),
                        schema: self.schema.clone(),
                    }
                })
                .collect();
            parts.push(Box::new(work.into_iter().flat_map(
                |reader| match reader.batches() {
                    Ok(batches) => batches,
                    Err(error) => Box::new(std::iter::once(Err(error))) as Part,
                },
            )));
        }
        Ok(parts)
    }
}

impl Parquet {
    /// Whether the statistics of a row group leave room for a row within the bound.
    fn may_hold(&self, opened: &Opened, group: &RowGroupMetaData, bound: &Bound) -> bool {
        let Some(place) = opened.places[bound.column] else {
            return true;
        };
        let field = opened.metadata.schema().field(place);
        let ty = self.schema.fields[bound.column].ty;
        // Flat files: the leaf is at the place of its field.
        let leaf = opened
            .metadata
            .parquet_schema()
            .columns()
            .iter()
            .position(|c| c.path().parts() == [field.name().as_str()]);
        match leaf.and_then(|leaf| group.column(leaf).statistics()) {
            Some(statistics) => {
                statistics::may_hold(statistics, field.data_type(), ty, &bound.test)
            }
            None => true,
        }
    }
}

/// One row group of one file.
struct Reader {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
    group: usize,
    places: Vec<Option<usize>>,
    wanted: Vec<bool>,
    schema: Schema,
}

impl Reader {
    fn batches(self) -> Result<Part> {
        let file = File::open(&self.path).map_err(|error| failed(&self.path, &error))?;
        let mut roots: Vec<usize> = self
            .places
            .iter()
            .zip(&self.wanted)
            .filter_map(|(place, wanted)| place.filter(|_| *wanted))
            .collect();
        roots.sort_unstable();
        let mask = ProjectionMask::roots(self.metadata.parquet_schema(), roots.iter().copied());
        let reader =
            ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone())
                .with_row_groups(vec![self.group])
                .with_projection(mask)
                .with_batch_size(BATCH)
                .build()
                .map_err(|error| failed(&self.path, &error))?;
        Ok(Box::new(reader.map(move |batch| {
            let batch = batch.map_err(|error| failed(&self.path, &error))?;
            let rows = batch.num_rows();
            let columns = self
                .schema
                .fields
                .iter()
                .zip(&self.places)
                .zip(&self.wanted)
                .map(|((field, place), wanted)| match place {
                    _ if !wanted => Ok(Column::absent(field.ty, rows)),
                    None => Ok(Column::constant(
                        field.ty,
                        &super::super::value::Value::Null,
                        rows,
                    )),
                    Some(place) => {
                        let at = roots.binary_search(place).expect("wanted columns are read");
                        column(batch.column(at), field.ty).map_err(|why| failed(&self.path, &why))
                    }
                });
            Ok(Batch {
                columns: columns.collect::<Result<_>>()?,
                rows,
            })
        })))
    }
}

/// An Arrow array as a column of the type that the table declares.
fn column(array: &arrow_array::ArrayRef, ty: Type) -> std::result::Result<Column, String> {
    let read = arrow::column(array)?;
    Ok(match (read.ty(), ty) {
        (from, to) if from == to => read,
        (Type::String, Type::Dynamic) => arrow::dynamic(&read),
        _ => convert::cast_datum(Datum::Column(read), ty).into_column(array.len()),
    })
}
