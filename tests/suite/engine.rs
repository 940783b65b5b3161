//! Stands in for the query engine: it answers every query with what a test gave it.

use std::sync::{Mutex, PoisonError};

use poolkeeper::local::simulator::{LogsError, LogsQuery, LogsTable, QueryEngine};
use serde_json::{Value, json};

/// Columns of the evidence for indexes, with their types.
const EVIDENCE: [(&str, &str); 6] = [
    ("Kind", "string"),
    ("QueryText", "string"),
    ("Day", "long"),
    ("Executions", "long"),
    ("Matched", "long"),
    ("RequestUnits", "real"),
];

type Answer = Result<LogsTable, LogsError>;

/// Answers that are given, and the queries that were asked.
pub(crate) struct Answers {
    answer: Mutex<Answer>,
    /// Answers to queries whose texts hold something.
    own: Mutex<Vec<(String, Answer)>>,
    asked: Mutex<Vec<LogsQuery>>,
}

impl Default for Answers {
    /// No evidence.
    fn default() -> Self {
        Self {
            answer: Mutex::new(Ok(table(&EVIDENCE, Vec::new()))),
            own: Mutex::default(),
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

/// Evidence for indexes: kind, text, day, how often, and the charge.
pub(crate) fn evidence(rows: &[(&str, &str, i64, i64, Option<f64>)]) -> LogsTable {
    let rows = rows.iter().map(|(kind, text, day, runs, units)| {
        let charged = units.map_or(0, |_| *runs);
        vec![
            json!(kind),
            json!(text),
            json!(day),
            json!(runs),
            json!(charged),
            json!(units),
        ]
    });
    table(&EVIDENCE, rows.collect())
}

impl Answers {
    /// Answers queries whose texts hold `part`.
    pub(crate) fn when(&self, part: &str, answer: Answer) {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        own.retain(|(known, _)| known != part);
        own.push((part.to_owned(), answer));
    }

    pub(crate) fn answer(&self, answer: Answer) {
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
        let own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let fitting = own.iter().find(|(part, _)| query.text.contains(part));
        if let Some((_, answer)) = fitting {
            return answer.clone();
        }
        let answer = self.answer.lock();
        answer.unwrap_or_else(PoisonError::into_inner).clone()
    }
}
