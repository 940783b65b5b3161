//! Whose load it is: the partition keys, which are the tenants, that spend the most.

use chrono::{DateTime, Duration, Utc};

use super::load::Place;
use crate::azure::logs::{Scope, Timespan, query};
use crate::azure::{Azure, Error};
use crate::domain::ResourceId;
use crate::operations::autoscale::facts::Share;
use crate::queries::{Param, Query};

const WINDOW: Duration = Duration::minutes(30);
/// How late these logs may still arrive.
const LAG: Duration = Duration::minutes(5);
/// Of all containers of an account.
const MOST_KEYS: i64 = 2_000;

/// What one partition key of a container spent.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spent {
    place: Place,
    key: String,
    units: f64,
    /// Of its container.
    percent: Option<f64>,
}

/// Asks the logs of an account, which are there only where its diagnostic settings send them.
pub(super) async fn read(
    azure: &Azure,
    account: &ResourceId,
    now: DateTime<Utc>,
) -> Result<Vec<Spent>, Error> {
    let text = Query::RuByPartitionKey
        .text(&[
            ("at_", Param::DateTime(now)),
            ("window_", Param::TimeSpan(WINDOW)),
            ("lag_", Param::TimeSpan(LAG)),
            ("top_", Param::Long(MOST_KEYS)),
        ])
        .map_err(|error| Error::Unexpected {
            what: "a query".into(),
            why: error.to_string(),
        })?;
    let scope = Scope::Resource(account.clone());
    let timespan = Timespan::Between(now - LAG - WINDOW, now);
    let table = query(azure, &scope, &text, Some(timespan)).await?;
    let mut spent = Vec::new();
    for row in table.rows() {
        let text = |name: &str| Ok::<_, Error>(row.string(name)?.unwrap_or_default());
        let lower = |name: &str| Ok::<_, Error>(text(name)?.to_ascii_lowercase());
        let first = text("FirstKey")?;
        let key = if first.is_empty() {
            text("PartitionKey")?
        } else {
            first
        };
        spent.push(Spent {
            place: (lower("DatabaseName")?, lower("CollectionName")?),
            key: key.to_owned(),
            units: row.real("RequestUnits")?.unwrap_or_default(),
            percent: row.real("SharePercent")?.filter(|p| p.is_finite()),
        });
    }
    Ok(spent)
}

/// The one that spent the most in a container, or in all of these.
pub(super) fn of(spent: &[Spent], places: &[&Place]) -> Option<Share> {
    let here: Vec<&Spent> = spent
        .iter()
        .filter(|s| places.contains(&&s.place))
        .collect();
    let most = here.iter().max_by(|a, b| a.units.total_cmp(&b.units))?;
    let all: f64 = here.iter().map(|spent| spent.units).sum();
    let percent = match places {
        [_] => most.percent?,
        _ if all > 0.0 => most.units / all * 100.0,
        _ => return None,
    };
    Some(Share {
        key: most.key.clone(),
        percent,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heaviest_is_told_of_a_container_and_of_all_that_share() {
        let spent = |container: &str, key: &str, units: f64, percent: f64| Spent {
            place: ("agents".into(), container.into()),
            key: key.into(),
            units,
            percent: Some(percent),
        };
        let spent = [
            spent("runs", "tenant-a", 60.0, 60.0),
            spent("runs", "tenant-b", 40.0, 40.0),
            spent("files", "tenant-b", 100.0, 100.0),
        ];
        let (runs, files) = (
            ("agents".to_owned(), "runs".to_owned()),
            ("agents".to_owned(), "files".to_owned()),
        );
        let share = |key: &str, percent| {
            Some(Share {
                key: key.to_owned(),
                percent,
            })
        };
        assert_eq!(of(&spent, &[&runs]), share("tenant-a", 60.0));
        assert_eq!(of(&spent, &[&runs, &files]), share("tenant-b", 50.0));
        assert_eq!(of(&spent, &[&("agents".into(), "none".into())]), None);
    }
}
