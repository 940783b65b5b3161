//! What a container was asked, from the logs.

use chrono::{DateTime, Duration, SecondsFormat, Utc};

use super::Place;
use super::decide::{Asked, Evidence};
use crate::azure::logs::{Timespan, query};
use crate::azure::{Azure, Error};

const QUERY: &str = include_str!("../../../queries/cosmos_query_evidence.kql");

/// How late telemetry may still arrive.
const LAG: Duration = Duration::minutes(15);

/// When a window of `days` days that is asked for at `now` begins.
pub(super) fn begins(now: DateTime<Utc>, days: u32) -> DateTime<Utc> {
    now - LAG - Duration::days(i64::from(days))
}

/// Asks for the queries and writes of `days` days before `now`.
pub(super) async fn read(
    azure: &Azure,
    place: &Place,
    days: u32,
    now: DateTime<Utc>,
) -> Result<Evidence, Error> {
    let from = begins(now, days);
    let at = now.to_rfc3339_opts(SecondsFormat::Micros, true);
    let text = with_values(&[
        ("account_", text(&place.account)),
        ("database_", text(&place.database)),
        ("container_", text(&place.container)),
        ("at_", format!("datetime({at})")),
        ("window_", format!("{days}d")),
        ("lag_", format!("{}m", LAG.num_minutes())),
    ]);
    let timespan = Timespan::Between(from, now);
    let table = query(azure, &place.scope, &text, Some(timespan)).await?;
    let mut evidence = Evidence {
        days,
        ..Evidence::default()
    };
    for row in table.rows() {
        let count = |name: &str| {
            let number = row.long(name)?.unwrap_or_default();
            u64::try_from(number).map_err(|_| odd(name))
        };
        let units = row.real("RequestUnits")?.filter(|units| units.is_finite());
        match row.string("Kind")? {
            Some("query") => evidence.asked.push(Asked {
                text: row.string("QueryText")?.unwrap_or_default().to_owned(),
                day: u32::try_from(count("Day")?).map_err(|_| odd("Day"))?,
                runs: count("Executions")?,
                charged: count("Matched")?,
                units,
            }),
            Some("write") => {
                evidence.writes += count("Matched")?;
                if let Some(units) = units {
                    *evidence.write_units.get_or_insert_default() += units;
                }
            }
            _ => return Err(odd("Kind")),
        }
    }
    Ok(evidence)
}

fn odd(column: &str) -> Error {
    Error::Unexpected {
        what: format!("column {column}"),
        why: "it holds what the query does not make".into(),
    }
}

/// The query, with these in place of the values that stand in its `let` lines.
fn with_values(values: &[(&str, String)]) -> String {
    let mut out = String::with_capacity(QUERY.len());
    for line in QUERY.lines() {
        let named = values.iter().find(|(name, _)| {
            line.strip_prefix("let ")
                .is_some_and(|l| l.starts_with(&format!("{name} = ")))
        });
        match named {
            Some((name, value)) => out.push_str(&format!("let {name} = {value};")),
            None => out.push_str(line),
        }
        out.push('\n');
    }
    out
}

/// A text as KQL writes it.
fn text(value: &str) -> String {
    let mut out = String::from("\"");
    for c in value.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_take_the_place_of_those_in_the_file() {
        let query = with_values(&[
            ("container_", text("a\"; drop \\ \n b")),
            ("window_", "3d".into()),
        ]);
        assert!(
            query.contains("\nlet container_ = \"a\\\"; drop \\\\ \\u000a b\";\n"),
            "{query}"
        );
        assert!(query.contains("\nlet window_ = 3d;\n"));
        assert!(
            query.contains("\nlet lag_ = 15m;\n"),
            "the others stay as they are"
        );
        assert_eq!(query.lines().count(), QUERY.lines().count());
    }
}
