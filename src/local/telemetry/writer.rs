//! Parquet: one file of a table at a time, or several put together.
//!
//! Rows are in the order of `TimeGenerated`, in groups of at most 65,536 with statistics, so a
//! reader can leave out what a time or a value rules out. A file has the columns that are ever
//! filled; the rest of the schema reads as null or as the empty string. Types: time is
//! `Timestamp(Nanosecond, UTC)`; dynamic is JSON text, guid is text, the others are Arrow's own.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use anyhow::Context as _;
use arrow_array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;

use super::columns::{file_schema, record_batch};
use super::counters::{Counters, Counting};
use super::files::{Folder, Piece};
use super::model::{Conditions, Model};
use super::rows::{Batch, Rows, Table};

/// Rows of a row group, at most.
const GROUP: usize = 65_536;
/// Rows that are held before they become columns.
const HELD: usize = 16_384;

/// Columns whose values hardly ever repeat: a dictionary of them would be in the way.
const UNIQUE: [&str; 8] = [
    "Id",
    "OperationId",
    "ParentId",
    "ActivityId",
    "DurationMs",
    "CorrelationId",
    "EventDataId",
    "ResponseLength",
];

static PROPERTIES: LazyLock<WriterProperties> = LazyLock::new(|| {
    let time = || ColumnPath::from("TimeGenerated");
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(GROUP))
        .set_column_dictionary_enabled(time(), false)
        .set_column_encoding(time(), Encoding::DELTA_BINARY_PACKED);
    for column in UNIQUE {
        builder = builder.set_column_dictionary_enabled(ColumnPath::from(column), false);
    }
    builder.build()
});

/// What was written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Written {
    /// Rows by table, in the order of [`Table::ALL`].
    pub rows: Vec<u64>,
    /// What the world counted meanwhile.
    pub counters: Counters,
}

impl Written {
    /// Rows of a table.
    #[must_use]
    pub fn of(&self, table: Table) -> u64 {
        self.rows.get(table as usize).copied().unwrap_or(0)
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.rows.resize(Table::ALL.len(), 0);
        for (into, from) in self.rows.iter_mut().zip(&other.rows) {
            *into += from;
        }
        self.counters.merge(&other.counters);
    }
}

/// A file that nobody sees before it is whole.
struct Unfinished {
    writer: ArrowWriter<BufWriter<File>>,
}

impl Unfinished {
    fn create(table: Table, path: &Path) -> anyhow::Result<Self> {
        let folder = path.parent().context("a file lies in a folder")?;
        fs::create_dir_all(folder)?;
        let file = BufWriter::with_capacity(1 << 18, File::create(path)?);
        let options = ArrowWriterOptions::new()
            .with_properties(PROPERTIES.clone())
            .with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(file, file_schema(table), options)?;
        Ok(Self { writer })
    }

    fn write(&mut self, batch: &RecordBatch) -> anyhow::Result<()> {
        Ok(self.writer.write(batch)?)
    }

    fn finish(self) -> anyhow::Result<()> {
        self.writer
            .into_inner()?
            .into_inner()
            .context("write the end")?;
        Ok(())
    }
}

/// Writes what happens in a piece of time, one file for each table that has rows in it.
///
/// Errors: a file cannot be written. Then none or some of the files are there; the same piece can be
/// written again.
pub(super) fn write_piece(
    folder: &Folder,
    model: &Model,
    conditions: &Conditions,
    piece: &Piece,
) -> anyhow::Result<Written> {
    let mut open: Vec<Option<Unfinished>> = Table::ALL.iter().map(|_| None).collect();
    let mut written = Written {
        rows: vec![0; Table::ALL.len()],
        ..Written::default()
    };
    let mut counting = Counting::new(model.tenants.len());
    let (mut held, mut minute) = (Batch::default(), Batch::default());
    let named = |table: Table| format!("write `{}` of `{}`", piece.name, table.name());
    let mut flush = |rows: &mut Rows| -> anyhow::Result<()> {
        let table = rows.table;
        let slot = &mut open[table as usize];
        if slot.is_none() {
            let (new, _) = folder.place(table, &piece.name);
            *slot = Some(Unfinished::create(table, &new)?);
        }
        if let Some(file) = slot {
            file.write(&record_batch(model, rows))?;
        }
        written.rows[table as usize] += rows.len() as u64;
        rows.clear();
        Ok(())
    };
    for at in piece.from..piece.until {
        model.minute(at, conditions, &mut minute, &mut counting);
        held.take(&mut minute);
        for rows in held.each().filter(|rows| rows.len() >= HELD) {
            flush(rows).with_context(|| named(rows.table))?;
        }
    }
    for rows in held.each().filter(|rows| !rows.is_empty()) {
        flush(rows).with_context(|| named(rows.table))?;
    }
    for (table, file) in Table::ALL.iter().zip(open) {
        let Some(file) = file else { continue };
        let (new, place) = folder.place(*table, &piece.name);
        file.finish()
            .and_then(|()| Ok(fs::rename(new, place)?))
            .with_context(|| named(*table))?;
    }
    written.counters = counting.finish();
    Ok(written)
}

/// Puts files of a table, in the order of time, together into one.
pub(super) fn merge(table: Table, from: &[PathBuf], into: &Path) -> anyhow::Result<()> {
    let mut out = Unfinished::create(table, into)?;
    for path in from {
        let named = || format!("read `{}`", path.display());
        let file = File::open(path).with_context(named)?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).with_context(named)?;
        for batch in reader.with_batch_size(HELD).build().with_context(named)? {
            out.write(&in_shape(table, &batch.with_context(named)?)?)?;
        }
    }
    out.finish()
}

/// A batch with the columns of today, where an older version wrote others: those it lacks are null.
fn in_shape(table: Table, batch: &RecordBatch) -> anyhow::Result<RecordBatch> {
    let schema = file_schema(table);
    let columns = schema.fields().iter().map(|field| {
        let found = batch.column_by_name(field.name()).cloned();
        found.unwrap_or_else(|| arrow_array::new_null_array(field.data_type(), batch.num_rows()))
    });
    Ok(RecordBatch::try_new(schema.clone(), columns.collect())?)
}
