//! What is to be said about the places where logs lie. Pure.

use crate::azure::log_analytics::Table;
use crate::azure::storage::DeletionRule;
use crate::domain::Finding;
use crate::estate::Logs;

/// What lifecycle rules do for a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lifecycle {
    /// A rule deletes in time: nothing is left to do.
    Covers {
        rule: String,
        after_days: u32,
    },
    /// A rule deletes, and later than the policy says.
    TooLate {
        rule: String,
        after_days: u32,
    },
    None,
}

/// The kinds of blobs that logs are written as, as lifecycle rules name them.
pub(super) const KINDS: [&str; 2] = ["blockBlob", "appendBlob"];

/// Finds the rule that deletes every blob of one kind in `container` below `prefix` soonest.
pub(super) fn lifecycle(
    rules: &[DeletionRule],
    container: &str,
    prefix: &str,
    kind: &str,
    keep_days: u32,
) -> Lifecycle {
    let place = format!("{container}/{prefix}");
    let covers = |rule: &&DeletionRule| {
        // A rule for `app` is one for `app-logs` as well.
        let starts = |start: &String| place.starts_with(start.as_str());
        rule.kinds.iter().any(|k| k == kind)
            && (rule.prefixes.is_empty() || rule.prefixes.iter().any(starts))
    };
    let Some(rule) = rules.iter().filter(covers).min_by_key(|r| r.after_days) else {
        return Lifecycle::None;
    };
    let (rule, after_days) = (rule.name.clone(), rule.after_days);
    if after_days <= keep_days {
        Lifecycle::Covers { rule, after_days }
    } else {
        Lifecycle::TooLate { rule, after_days }
    }
}

/// The tables that keep less than the policy wants.
pub(super) fn short_tables(workspace: &str, tables: &[Table], logs: &Logs) -> Vec<Finding> {
    tables
        .iter()
        .filter_map(|table| {
            let own = logs.tables.iter().find(|(name, _)| *name == table.name);
            let wanted = own.map_or(logs.tables_keep_days, |(_, days)| *days);
            (table.total_retention_days < wanted).then(|| {
                Finding::new(
                    "retention-below-policy",
                    format!("{workspace}/{}", table.name),
                    format!(
                        "the table keeps {} days, and the policy wants {wanted}",
                        table.total_retention_days
                    ),
                )
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_lifecycle_rule_does_for_a_place() {
        let rule = |name: &str, prefixes: &[&str], after_days, kinds: &[&str]| DeletionRule {
            name: name.into(),
            prefixes: prefixes.iter().map(|p| (*p).to_owned()).collect(),
            after_days,
            kinds: kinds.iter().map(|k| (*k).to_owned()).collect(),
        };
        let both = ["blockBlob", "appendBlob"];
        let covers = |rule: &str, after_days| Lifecycle::Covers {
            rule: rule.into(),
            after_days,
        };
        for (name, rules, prefix, expected) in [
            ("no rule", vec![], "", Lifecycle::None),
            (
                "every blob",
                vec![rule("r", &[], 30, &both)],
                "",
                covers("r", 30),
            ),
            (
                "the container",
                vec![rule("r", &["logs/"], 7, &both)],
                "",
                covers("r", 7),
            ),
            (
                "a part of it",
                vec![rule("r", &["logs/2026"], 7, &both)],
                "",
                Lifecycle::None,
            ),
            (
                "the part that is meant",
                vec![rule("r", &["logs/2026"], 7, &both)],
                "2026/01/",
                covers("r", 7),
            ),
            (
                "another container",
                vec![rule("r", &["logs2/"], 7, &both)],
                "",
                Lifecycle::None,
            ),
            (
                "too late",
                vec![rule("r", &[], 31, &both)],
                "",
                Lifecycle::TooLate {
                    rule: "r".into(),
                    after_days: 31,
                },
            ),
            (
                "the sooner of two",
                vec![rule("late", &[], 90, &both), rule("soon", &[], 10, &both)],
                "",
                covers("soon", 10),
            ),
            (
                "another kind of blobs",
                vec![rule("r", &[], 10, &["appendBlob"])],
                "",
                Lifecycle::None,
            ),
        ] {
            let found = lifecycle(&rules, "logs", prefix, "blockBlob", 30);
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn which_tables_keep_too_little() {
        let table = |name: &str, retention_days, total_retention_days| Table {
            name: name.into(),
            retention_days,
            total_retention_days,
        };
        let logs = Logs {
            containers: Vec::new(),
            protected: Vec::new(),
            tables_keep_days: 30,
            tables: vec![("Audit".into(), 365), ("Noise".into(), 4)],
            calls_per_second: 400,
        };
        let tables = [
            table("A", 30, 30),
            table("B", 8, 30),
            table("C", 8, 8),
            table("Audit", 90, 90),
            table("Noise", 4, 4),
        ];
        let told: Vec<String> = short_tables("log", &tables, &logs)
            .into_iter()
            .map(|f| f.subject)
            .collect();
        assert_eq!(told, ["log/C", "log/Audit"]);
    }
}
