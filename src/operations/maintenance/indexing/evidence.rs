//! What a container was asked, from the logs.

use chrono::{DateTime, Duration, Utc};

use super::Place;
use super::decide::{Asked, Evidence};
use crate::azure::logs::{Timespan, query};
use crate::azure::{Azure, Error};
use crate::queries::{Param, Query};

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
    let text = |value: &str| Param::String(value.to_owned());
    let text = Query::CosmosQueryEvidence
        .text(&[
            ("account_", text(&place.account)),
            ("database_", text(&place.database)),
            ("container_", text(&place.container)),
            ("at_", Param::DateTime(now)),
            ("window_", Param::TimeSpan(Duration::days(i64::from(days)))),
            ("lag_", Param::TimeSpan(LAG)),
        ])
        .map_err(|error| Error::Unexpected {
            what: "a query".into(),
            why: error.to_string(),
        })?;
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
