//! The estate's telemetry as tables for queries.

use std::path::PathBuf;
use std::sync::Arc;

use super::schemas::{self, Source};
use crate::kql::column::Column;
use crate::kql::source::{Folder, From, Schemas, ViewColumn};
use crate::kql::types::{Schema, Type};
use crate::kql::value::Value;

/// The tables in a folder that telemetry was written to, and the classic names. Tables that are not
/// written yet are empty.
pub fn catalog(dir: impl Into<PathBuf>) -> Folder {
    Folder::new(dir, Arc::new(Known))
}

/// The schemas and views of [`schemas`].
#[derive(Debug, Clone, Copy)]
pub struct Known;

impl Schemas for Known {
    fn schema(&self, table: &str) -> Option<Schema> {
        schemas::schema(table).cloned()
    }

    fn view(&self, name: &str) -> Option<(String, Vec<ViewColumn>)> {
        let view = schemas::classic(name)?;
        let columns = view.columns.iter().map(|column| {
            let from = match column.source {
                Source::Column(of) => From::Column(of.into()),
                Source::BoolText(of) => From::Made(of.into(), bool_text),
                Source::PerformanceBucket(of) => From::Made(of.into(), buckets),
                Source::Constant(text) => From::Constant(Value::string(text)),
                Source::Absent => From::Constant(Value::Null),
            };
            ViewColumn::new(column.name, column.ty, from)
        });
        Some((view.table.into(), columns.collect()))
    }

    fn names(&self) -> Vec<String> {
        let views = schemas::classics().map(|view| view.name);
        schemas::tables().chain(views).map(str::to_owned).collect()
    }
}

fn bool_text(column: &Column) -> Column {
    let text = column.bools().iter().map(|value| {
        Value::string(match value {
            Some(true) => "True",
            Some(false) => "False",
            None => "",
        })
    });
    Column::from_values(Type::String, text)
}

fn buckets(column: &Column) -> Column {
    let names = column.reals().iter();
    let names = names.map(|ms| Value::string(ms.map_or("", schemas::performance_bucket)));
    Column::from_values(Type::String, names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kql::{Options, output, query};

    #[test]
    fn classic_names_show_the_rows_of_their_tables() {
        let dir = tempfile::tempdir().expect("a folder");
        let table = dir.path().join("AppRequests");
        std::fs::create_dir(&table).expect("a folder");
        let rows = "{\"TimeGenerated\":\"2026-01-01T00:00:00Z\",\"Name\":\"GET /\",\"DurationMs\":300.0,\"Success\":true}\n\
            {\"TimeGenerated\":\"2026-01-01T00:00:01Z\",\"Success\":false}\n";
        std::fs::write(table.join("2026-01-01.jsonl"), rows).expect("write");
        let catalog = catalog(dir.path());
        let text = "requests | project name, success, performanceBucket, itemType, appName, timestamp == datetime(2026-01-01)";
        let answer = query(text, &catalog, &Options::at(0)).expect("an answer");
        let rows = serde_json::to_string(&output::rows(&answer)).expect("JSON");
        assert_eq!(
            rows,
            r#"[["GET /","True","250ms-500ms","request","",true],["","False","","request","",false]]"#
        );
    }

    #[test]
    fn every_name_binds_with_the_columns_it_tells() {
        let dir = tempfile::tempdir().expect("a folder");
        let catalog = catalog(dir.path());
        for name in Known.names() {
            let answer = query(&name, &catalog, &Options::at(0)).expect(&name);
            let known = schemas::classic(&name).map(schemas::View::schema);
            let known = known.or_else(|| schemas::schema(&name).cloned());
            assert_eq!(Some(answer.schema), known, "{name}");
        }
    }
}
