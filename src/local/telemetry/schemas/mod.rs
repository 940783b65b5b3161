//! The tables of the estate: full column lists with Kusto's types, and the classic names.
//!
//! A table's schema is the truth; a file holds only the columns that are ever filled. A reader takes
//! a column that a file lacks as null, and as `""` for a string, which Kusto never has null.

mod classic;
mod tables;

use std::collections::BTreeMap;
use std::sync::LazyLock;

pub use classic::{Source, View, ViewColumn, classic, classics, performance_bucket};

use crate::kql::types::{Field, Schema, Type};

/// The schema of a table; `None` for a name that is no table of the estate.
#[must_use]
pub fn schema(table: &str) -> Option<&'static Schema> {
    SCHEMAS.get(table)
}

/// The names of all tables, sorted.
pub fn tables() -> impl Iterator<Item = &'static str> {
    SCHEMAS.keys().copied()
}

static SCHEMAS: LazyLock<BTreeMap<&'static str, Schema>> = LazyLock::new(|| {
    let read = |(name, columns): &(&'static str, &'static str)| {
        let mut fields = Vec::new();
        read(columns, &mut fields);
        (*name, Schema::new(fields))
    };
    tables::TABLES.iter().map(read).collect()
});

fn read(columns: &str, into: &mut Vec<Field>) {
    for column in columns.split_whitespace() {
        match column {
            "@start" => read(tables::START, into),
            "@app" => read(tables::APP, into),
            "@end" => read(tables::END, into),
            _ => {
                let (name, ty) = column.split_once(':').unwrap_or((column, "string"));
                let ty = Type::from_name(ty).expect("the lists name Kusto's types");
                into.push(Field::new(name, ty));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_reads_with_unique_names_and_a_time() {
        assert_eq!(tables().count(), 21);
        for table in tables() {
            let schema = schema(table).expect("a table");
            let mut names: Vec<_> = schema.names().collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), schema.len(), "{table} names a column twice");
            let time = schema.index("TimeGenerated").expect("every table has it");
            assert_eq!(schema.fields[time].ty, Type::DateTime, "{table}");
        }
    }

    #[test]
    fn tables_have_as_many_columns_as_azure_documents() {
        let cases = [
            ("AppRequests", 42),
            ("AppDependencies", 43),
            ("AppExceptions", 49),
            ("AzureMetrics", 41),
            ("SigninLogs", 95),
            ("CDBDataPlaneRequests", 32),
            ("Usage", 23),
        ];
        for (table, columns) in cases {
            assert_eq!(schema(table).map(Schema::len), Some(columns), "{table}");
        }
        assert!(schema("requests").is_none(), "a classic name is a view");
    }
}
