//! All tenants of a stamp judged together: whether it is the service that is in trouble, and not one
//! tenant of it. Pure.

use super::Probes;
use super::judge::{Judged, Verdict, judge};
use super::rows::Row;
use crate::estate::{Rule, Threshold, Watch};

/// Tenants that one signal names.
const MOST_NAMED: usize = 10;

/// Judges the sum of all rows. It is the service's trouble if it is one without the worst tenant too:
/// where one alone explains it, that one has an incident of its own. `None`: there are no rows of
/// such a rule.
pub(super) fn whole(
    rule: &Rule,
    level: &Threshold,
    rows: &[Row],
    place: Option<&str>,
    probes: &Probes,
) -> Option<Judged> {
    let judged = |row: &Row| judge(rule, level, row, place, probes);
    let mut sorted: Vec<&Row> = rows.iter().filter(|row| counts(row).is_some()).collect();
    sorted.sort_by_key(|row| std::cmp::Reverse(counts(row)));
    let mut whole = judged(&sum(rule, &sorted)?)?;
    whole.resource = place.map(str::to_owned);
    if whole.verdict == Verdict::Trouble {
        let rest = sum(rule, &sorted[1..]).and_then(|row| judged(&row));
        whole.verdict = match rest.map(|rest| rest.verdict) {
            Some(Verdict::Trouble) => Verdict::Trouble,
            Some(Verdict::Unknown(why)) => {
                Verdict::Unknown(format!("without the worst tenant, {why}"))
            }
            Some(Verdict::Calm) | None => Verdict::Calm,
        };
    }
    let failing = sorted.iter().filter_map(|row| counts(row).zip(tenant(row)));
    for ((failed, requests), tenant) in failing.filter(|(c, _)| c.0 > 0).take(MOST_NAMED) {
        let text = format!("{failed} of {requests} requests failed");
        whole.facts.push((tenant.to_owned(), text));
    }
    Some(whole)
}

/// Failures and requests of a row.
fn counts(row: &Row) -> Option<(i64, i64)> {
    match row {
        Row::Burn {
            requests, failed, ..
        }
        | Row::Errors {
            requests, failed, ..
        } => Some((*failed, *requests)),
        _ => None,
    }
}

fn tenant(row: &Row) -> Option<&str> {
    match row {
        Row::Burn { tenant, .. } | Row::Errors { tenant, .. } => {
            Some(tenant.as_deref().unwrap_or("requests without a tenant"))
        }
        _ => None,
    }
}

/// All rows as one; `None` of none.
fn sum(rule: &Rule, rows: &[&Row]) -> Option<Row> {
    if rows.is_empty() {
        return None;
    }
    let share =
        |failed: i64, requests: i64| (requests > 0).then(|| failed as f64 / requests as f64);
    let (mut all, mut bad) = (0_i64, 0_i64);
    let (mut short_requests, mut short_failed) = (0_i64, 0_i64);
    for row in rows {
        let (failed, requests) = counts(row)?;
        all = all.saturating_add(requests);
        bad = bad.saturating_add(failed);
        if let Row::Burn {
            short_requests: requests,
            short_failed: failed,
            ..
        } = row
        {
            short_requests = short_requests.saturating_add(*requests);
            short_failed = short_failed.saturating_add(*failed);
        }
    }
    match rule.watch {
        Watch::BurnRate {
            objective,
            least_requests,
            ..
        } => {
            let allowed = 1.0 - objective.number() / 100.0;
            Some(Row::Burn {
                tenant: None,
                requests: all,
                failed: bad,
                long: share(bad, all).map(|share| share / allowed),
                short: share(short_failed, short_requests).map(|share| share / allowed),
                short_requests,
                short_failed,
                enough: all >= i64::from(least_requests),
            })
        }
        Watch::ErrorRate { least_requests, .. } => Some(Row::Errors {
            tenant: None,
            requests: all,
            failed: bad,
            percent: share(bad, all).map(|share| share * 100.0),
            enough: all >= i64::from(least_requests),
        }),
        _ => None,
    }
}
