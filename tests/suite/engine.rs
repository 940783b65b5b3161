//! Stands in for the query engine: it answers every query with what a test gave it.

use std::sync::{Mutex, PoisonError};

use poolkeeper::local::simulator::{LogsError, LogsQuery, LogsTable, QueryEngine};
use serde_json::Value;

/// Columns of the evidence for indexes, with their types.
const EVIDENCE: [(&str, &str); 6] = [
    ("Kind", "string"),
    ("QueryText", "string"),
    ("Day", "long"),
    ("Executions", "long"),
    ("Matched", "long"),
    ("RequestUnits", "real"),
];

/// Answers that are given, and the queries that were asked.
pub(crate) struct Answers {
    answer: Mutex<Result<LogsTable, LogsError>>,
    asked: Mutex<Vec<LogsQuery>>,
}

impl Default for Answers {
    /// No evidence.
    fn default() -> Self {
        Self {
            answer: Mutex::new(Ok(table(&EVIDENCE, Vec::new()))),
            asked: Mutex::default(),
        }
    }
}

pub(crate) fn table(columns: &[(&str, &str)], rows: Vec<Vec<Value>>) -> LogsTable {
    LogsTable {
        columns: columns
            .iter()
            .map(|(name, kind)| ((*name).to_owned(), (*kind).to_owned()))
            .collect(),
        rows,
    }
}

impl Answers {
    pub(crate) fn answer(&self, answer: Result<LogsTable, LogsError>) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = answer;
    }

    pub(crate) fn asked(&self) -> Vec<LogsQuery> {
        let asked = self.asked.lock();
        asked.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl QueryEngine for Answers {
    fn run(&self, query: &LogsQuery) -> Result<LogsTable, LogsError> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.push(query.clone());
        let answer = self.answer.lock();
        answer.unwrap_or_else(PoisonError::into_inner).clone()
    }
}
