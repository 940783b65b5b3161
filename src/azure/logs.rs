//! Log Analytics' query API: one query, one table.
//!
//! Neither the text of a query nor what it answers is ever logged: both can hold what people wrote.
//!
//! Source: Log Analytics API v1, "Request format", "Response format", "Errors", "Timeouts" and
//! "Limits".

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Action, Azure, Call, Error, Plane};
use crate::domain::ResourceId;

pub const QUERY: Action = Action("Microsoft.OperationalInsights/workspaces/query/read");
pub const QUERY_TABLES: Action = Action("Microsoft.OperationalInsights/workspaces/query/*/read");
pub const QUERY_RESOURCE: Action = Action("Microsoft.Insights/logs/*/read");

/// How long Azure may work on one query. It allows three minutes without being told, and ten at
/// most; an invocation has other work to do in its ten.
const WAIT: Duration = Duration::from_secs(60);
/// So much longer the answer may be on its way: up to 100 MB.
const TRANSFER: Duration = Duration::from_secs(30);
/// Azure cuts an answer here.
const MOST_ROWS: usize = 500_000;

/// Where a query looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Everything in a workspace, by its customer id.
    Workspace(String),
    /// What was logged about one resource, wherever it is kept.
    Resource(ResourceId),
}

/// The time that a query is held to, besides what its text says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timespan {
    /// Until now, whole seconds.
    Last(Duration),
    /// From the first up to the second.
    Between(DateTime<Utc>, DateTime<Utc>),
}

impl fmt::Display for Timespan {
    /// As ISO 8601 has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |at: &DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        match self {
            Self::Last(time) => write!(f, "PT{}S", time.as_secs()),
            Self::Between(from, to) => write!(f, "{}/{}", text(from), text(to)),
        }
    }
}

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Column {
    pub name: String,
    /// As Kusto calls it: `string`, `long`, `real`, `datetime`, `dynamic`, ...
    #[serde(rename = "type")]
    pub kind: String,
}

/// What a query answers. A workspace that holds nothing at all answers with no column.
#[derive(Clone, PartialEq, Deserialize)]
pub struct Table {
    pub columns: Vec<Column>,
    rows: Vec<Vec<Value>>,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("columns", &self.columns)
            .field("rows", &self.rows.len())
            .finish()
    }
}

/// One row. Its cells are read by the names and types of their columns, and null is `None`.
///
/// Errors of all readers: [`Error::Unexpected`] if there is no such column, if it has another type,
/// or if the cell is not of its type.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    columns: &'a [Column],
    cells: &'a [Value],
}

/// Runs a query and gives its first table, whole.
///
/// Errors: [`Error::Query`] if the query is wrong, [`Error::Partial`] if Azure answered with a part
/// of the rows, for whatever reason: nothing is to be concluded from a part.
pub async fn query(
    azure: &Azure,
    scope: &Scope,
    text: &str,
    timespan: Option<Timespan>,
) -> Result<Table, Error> {
    let (path, what, action) = match scope {
        Scope::Workspace(id) => (
            format!("/v1/workspaces/{id}/query"),
            format!("workspace {id}"),
            QUERY,
        ),
        Scope::Resource(id) => (
            format!("/v1{id}/query"),
            format!("logs of {id}"),
            QUERY_RESOURCE,
        ),
    };
    let mut body = json!({ "query": text });
    if let Some(timespan) = timespan {
        body["timespan"] = json!(timespan.to_string());
    }
    let mut call = Call::new(Plane::Logs, Method::POST, azure.logs(&path)?, action, &what)
        .header("prefer", format!("wait={}", WAIT.as_secs()))
        .body(body);
    call.repeatable = true;
    call.patience = Some(WAIT + TRANSFER);
    let answer = azure.send(&call).await?;
    read(answer.status, &answer.body, &what)
}

fn read(status: u16, body: &[u8], what: &str) -> Result<Table, Error> {
    #[derive(Deserialize)]
    struct Answer {
        tables: Vec<Named>,
        #[serde(default)]
        error: Value,
    }
    #[derive(Deserialize)]
    struct Named {
        name: String,
        #[serde(flatten)]
        table: Table,
    }
    let unexpected = |why: String| Error::Unexpected {
        what: what.to_owned(),
        why,
    };
    if status == 204 {
        return Ok(Table {
            columns: Vec::new(),
            rows: Vec::new(),
        });
    }
    if body.is_empty() {
        return Err(unexpected("it is empty".into()));
    }
    // What serde says of a wrong answer can quote it.
    let mut answer: Answer = serde_json::from_slice(body)
        .map_err(|e| unexpected(format!("it is no table, as its byte {} shows", e.column())))?;
    if !answer.error.is_null() {
        let (code, why) = super::error::deepest(&answer.error);
        return Err(Error::Partial {
            what: what.to_owned(),
            code,
            why,
        });
    }
    let main = answer.tables.iter().position(|t| t.name == "PrimaryResult");
    let table = match (main, answer.tables.len()) {
        (Some(at), _) => answer.tables.swap_remove(at).table,
        (None, 1) => answer.tables.remove(0).table,
        (None, tables) => {
            return Err(unexpected(format!(
                "none of its {tables} tables is the primary one"
            )));
        }
    };
    if table.rows.len() >= MOST_ROWS {
        return Err(Error::Partial {
            what: what.to_owned(),
            code: "TooManyRows".into(),
            why: format!("an answer is cut at {MOST_ROWS} rows"),
        });
    }
    let width = table.columns.len();
    if table.rows.iter().any(|row| row.len() != width) {
        return Err(unexpected(format!(
            "a row does not fit its {width} columns"
        )));
    }
    Ok(table)
}

impl Table {
    pub fn rows(&self) -> impl ExactSizeIterator<Item = Row<'_>> {
        self.rows.iter().map(|cells| Row {
            columns: &self.columns,
            cells,
        })
    }
}

impl<'a> Row<'a> {
    /// The cell of a column that has one of these types; `None` if it is null.
    fn cell(self, name: &str, kinds: &[&str]) -> Result<Option<&'a Value>, Error> {
        let at = self.columns.iter().position(|column| column.name == name);
        let Some(at) = at else {
            return Err(wrong(name, "there is no such column"));
        };
        let kind = self.columns[at].kind.as_str();
        if !kinds.contains(&kind) {
            return Err(wrong(
                name,
                &format!("it is a {kind}, and not a {}", kinds[0]),
            ));
        }
        Ok(Some(&self.cells[at]).filter(|value| !value.is_null()))
    }

    /// A text. Kusto's texts are never null, only empty.
    pub fn string(self, name: &str) -> Result<Option<&'a str>, Error> {
        self.cell(name, &["string", "guid"])?
            .map(|value| value.as_str().ok_or_else(|| wrong(name, "it is no text")))
            .transpose()
    }

    pub fn boolean(self, name: &str) -> Result<Option<bool>, Error> {
        self.cell(name, &["bool"])?
            .map(|value| match value {
                Value::Bool(value) => Ok(*value),
                // Some tables have it as a number.
                Value::Number(number) => Ok(number.as_i64() != Some(0)),
                _ => Err(wrong(name, "it is neither true nor false")),
            })
            .transpose()
    }

    /// A whole number. Azure writes some of them as text.
    pub fn long(self, name: &str) -> Result<Option<i64>, Error> {
        self.cell(name, &["long", "int"])?
            .map(|value| {
                let number = match value {
                    Value::String(text) => text.parse().ok(),
                    value => value.as_i64(),
                };
                number.ok_or_else(|| wrong(name, "it is no whole number"))
            })
            .transpose()
    }

    /// A number, perhaps an infinity or none at all (`NaN`), which Azure writes as text.
    pub fn real(self, name: &str) -> Result<Option<f64>, Error> {
        self.cell(name, &["real", "decimal", "long", "int"])?
            .map(|value| {
                let number = match value {
                    Value::String(text) => text.parse().ok(),
                    value => value.as_f64(),
                };
                number.ok_or_else(|| wrong(name, "it is no number"))
            })
            .transpose()
    }

    /// A time, with all of Kusto's seven decimals: 100 ns.
    pub fn datetime(self, name: &str) -> Result<Option<DateTime<Utc>>, Error> {
        self.cell(name, &["datetime"])?
            .map(|value| {
                let text = value.as_str().unwrap_or_default();
                DateTime::parse_from_rfc3339(text)
                    .map(|at| at.to_utc())
                    .map_err(|_| wrong(name, "it is no time"))
            })
            .transpose()
    }

    /// A value of any shape. Azure sends it as it is or as JSON in a text; a text that is no JSON is
    /// itself the value.
    pub fn dynamic(self, name: &str) -> Result<Option<Value>, Error> {
        let value = self.cell(name, &["dynamic"])?.map(|value| match value {
            Value::String(text) => serde_json::from_str(text).unwrap_or_else(|_| value.clone()),
            value => value.clone(),
        });
        Ok(value.filter(|value| !value.is_null()))
    }
}

fn wrong(name: &str, why: &str) -> Error {
    Error::Unexpected {
        what: format!("column {name}"),
        why: why.to_owned(),
    }
}

#[cfg(test)]
mod tests;
