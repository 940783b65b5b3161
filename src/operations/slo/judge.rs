//! One row against one level: trouble, calm, or nothing known; and the words for it.

use chrono::Duration;

use super::Probes;
use super::rows::Row;
use super::words::{budget_lasts, number, span};
use crate::estate::{Above, Rule, Thousandths, Threshold, Watch};

/// What a row says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Verdict {
    Trouble,
    Calm,
    /// Why nothing is known.
    Unknown(String),
}

/// A row that was judged.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Judged {
    pub(super) tenant: Option<String>,
    pub(super) resource: Option<String>,
    pub(super) verdict: Verdict,
    /// The value, as `p95 3.4 s`.
    pub(super) value: String,
    /// What it is held against, as `above 3 s in 5 min`.
    pub(super) against: String,
    /// What else is to be said.
    pub(super) more: String,
    pub(super) facts: Vec<(String, String)>,
}

/// Judges a row; `None` if it is none of this rule's. `place` is what rules without tenants are
/// about.
pub(super) fn judge(
    rule: &Rule,
    level: &Threshold,
    row: &Row,
    place: Option<&str>,
    probes: &Probes,
) -> Option<Judged> {
    let window = span(rule.watch.window(level.above));
    match (rule.watch, level.above, row) {
        (
            Watch::BurnRate {
                objective,
                least_failures,
                ..
            },
            Above::Burn {
                long: long_window,
                short: short_window,
                factor,
            },
            Row::Burn {
                tenant,
                requests,
                failed,
                long,
                short,
                enough,
                ..
            },
        ) => {
            let limit = factor.number();
            let verdict = match (enough, long, short) {
                (_, None, _) => Verdict::Unknown("there were no requests".into()),
                (false, ..) => too_few(*requests),
                (true, Some(long), _) if *long < limit => Verdict::Calm,
                _ if *failed < i64::from(least_failures) => Verdict::Calm,
                (true, Some(_), None) => {
                    Verdict::Unknown("there were no requests in the short window".into())
                }
                (true, Some(_), Some(short)) if *short < limit => Verdict::Calm,
                (true, Some(_), Some(_)) => Verdict::Trouble,
            };
            let shown =
                |burn: &Option<f64>| burn.map_or("no data".into(), |b| format!("{}x", number(b)));
            let windows = format!("{} and {}", span(long_window), span(short_window));
            let more = long.and_then(budget_lasts).map_or(String::new(), |lasts| {
                format!(
                    "{failed} of {requests} requests failed; at this rate the month's budget for {} % is gone in {lasts}.",
                    number(objective.number())
                )
            });
            Some(Judged {
                tenant: tenant.clone(),
                resource: None,
                verdict,
                value: format!("error budget spent at {}", shown(long)),
                against: format!("{}x or more over {windows}", number(limit)),
                more,
                facts: vec![
                    (
                        "burn rate".into(),
                        format!("{} over {}", shown(long), span(long_window)),
                    ),
                    (
                        "burn rate now".into(),
                        format!("{} over {}", shown(short), span(short_window)),
                    ),
                    ("threshold".into(), format!("{}x", number(limit))),
                    (
                        "objective".into(),
                        format!("{} %", number(objective.number())),
                    ),
                    ("requests".into(), requests.to_string()),
                    ("failed".into(), failed.to_string()),
                ],
            })
        }
        (
            Watch::ErrorRate { least_failures, .. },
            Above::Percent(limit),
            Row::Errors {
                tenant,
                requests,
                failed,
                percent,
                enough,
            },
        ) => {
            let verdict = match (enough, percent) {
                (_, None) => Verdict::Unknown("there were no requests".into()),
                (false, _) => too_few(*requests),
                _ if *failed < i64::from(least_failures) => Verdict::Calm,
                (true, Some(percent)) => beyond(*percent, limit),
            };
            let shown = percent.map_or("no data".into(), |p| format!("{} %", number(p)));
            Some(Judged {
                tenant: tenant.clone(),
                resource: None,
                verdict,
                value: format!("error rate {shown}"),
                against: format!("above {} % in {window}", number(limit.number())),
                more: format!(
                    "{failed} of {requests} requests failed by the fault of the service."
                ),
                facts: vec![
                    ("error rate".into(), shown),
                    ("threshold".into(), format!("{} %", number(limit.number()))),
                    ("window".into(), window),
                    ("requests".into(), requests.to_string()),
                    ("failed".into(), failed.to_string()),
                ],
            })
        }
        (
            Watch::P95 { .. },
            Above::Seconds(limit),
            Row::Latency {
                tenant,
                requests,
                p95_ms,
                enough,
            },
        ) => {
            let seconds = p95_ms.map(|ms| ms / 1000.0);
            let verdict = match (enough, seconds) {
                (_, None) => Verdict::Unknown("there were no requests".into()),
                (false, _) => too_few(*requests),
                (true, Some(seconds)) => beyond(seconds, limit),
            };
            let shown = seconds.map_or("no data".into(), |s| format!("{} s", number(s)));
            Some(Judged {
                tenant: tenant.clone(),
                resource: None,
                verdict,
                value: format!("p95 {shown}"),
                against: format!("above {} s in {window}", number(limit.number())),
                more: format!("One of twenty of its {requests} requests took longer than {shown}."),
                facts: vec![
                    ("p95".into(), shown),
                    ("threshold".into(), format!("{} s", number(limit.number()))),
                    ("window".into(), window),
                    ("requests".into(), requests.to_string()),
                ],
            })
        }
        (
            Watch::RequestUnits { .. },
            Above::Percent(limit),
            Row::Units {
                resource, percent, ..
            },
        ) => {
            let verdict = match percent {
                None => Verdict::Unknown("the metric has no value".into()),
                Some(percent) => beyond(*percent, limit),
            };
            let shown = percent.map_or("no data".into(), |p| format!("{} %", number(p)));
            Some(Judged {
                tenant: None,
                resource: Some(resource.clone()),
                verdict,
                value: format!("request units {shown} used"),
                against: format!("above {} %", number(limit.number())),
                more: "It is the fullest partition that counts: more throughput does not help a single hot one."
                    .into(),
                facts: vec![
                    ("request units used".into(), shown),
                    ("threshold".into(), format!("{} %", number(limit.number()))),
                ],
            })
        }
        (
            Watch::Absence { silent_for },
            Above::Silence { probes: both },
            Row::Newest { seconds },
        ) => Some(silence(silent_for, both, *seconds, place, probes)),
        _ => None,
    }
}

fn silence(
    silent_for: Duration,
    both: bool,
    seconds: Option<f64>,
    place: Option<&str>,
    probes: &Probes,
) -> Judged {
    let silent = seconds.is_none_or(|s| s > silent_for.num_seconds() as f64);
    let verdict = match (silent, both) {
        (false, _) => Verdict::Calm,
        (true, false) => Verdict::Trouble,
        (true, true) if probes.failing > 0 => Verdict::Trouble,
        (true, true) if probes.known == 0 => {
            Verdict::Unknown("no probe has been made lately".into())
        }
        (true, true) => Verdict::Calm,
    };
    let newest = seconds.map_or("longer than is looked back".to_owned(), |s| {
        span(Duration::seconds(s as i64))
    });
    let seen = match (probes.known, probes.since) {
        (0, _) => "no probe has been made lately".to_owned(),
        (known, Some(since)) => format!(
            "{} of {known} probes fail, the first since {}",
            probes.failing,
            since.format("%H:%M UTC")
        ),
        (known, None) => format!("{} of {known} probes fail", probes.failing),
    };
    let more = if probes.failing > 0 {
        format!("The service seems to be down: {seen}.")
    } else {
        format!("What happens in the service is not known: {seen}.")
    };
    Judged {
        tenant: None,
        resource: place.map(str::to_owned),
        verdict,
        value: if both && probes.failing > 0 {
            format!("telemetry is missing for {newest}, and probes fail")
        } else {
            format!("telemetry is missing for {newest}")
        },
        against: format!("more than {}", span(silent_for)),
        more,
        facts: vec![
            ("newest request".into(), format!("{newest} ago")),
            ("threshold".into(), span(silent_for)),
            ("probes".into(), seen),
        ],
    }
}

/// Telemetry that nobody could read for so long, judged as telemetry that is missing.
pub(super) fn unheard(
    silent_for: Duration,
    both: bool,
    since: Duration,
    why: &str,
    place: Option<&str>,
    probes: &Probes,
) -> Judged {
    let mut judged = silence(silent_for, both, None, place, probes);
    judged.value = format!("telemetry cannot be read for {}", span(since));
    if both && probes.failing > 0 {
        judged.value.push_str(", and probes fail");
    }
    if let Some(newest) = judged.facts.first_mut() {
        *newest = ("reason".into(), why.to_owned());
    }
    judged
}

fn beyond(value: f64, limit: Thousandths) -> Verdict {
    if value > limit.number() {
        Verdict::Trouble
    } else {
        Verdict::Calm
    }
}

fn too_few(requests: i64) -> Verdict {
    Verdict::Unknown(format!("{requests} requests are too few to judge"))
}
