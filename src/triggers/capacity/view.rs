//! What the page shows, in words and pictures. Pure.

use chrono::{DateTime, Duration, Utc};
use chrono_tz::Tz;

use crate::domain::{Capacity, Money, ResourceId};
use crate::operations::capacity::advise::{
    Advice, Evidence, Limits, Recommendation, Size, Urgency,
};
use crate::operations::capacity::chart::{Chart, Level, Mark, inline, number};
use crate::operations::capacity::forecast::Hour;
use crate::operations::capacity::{
    Advised, Document, Kept, Measure, Place, RENEWED, Subject, Together,
};

/// One container, database or app.
pub(super) struct Item {
    pub(super) id: ResourceId,
    /// Its short name.
    pub(super) resource: String,
    pub(super) kind: &'static str,
    pub(super) mark: &'static str,
    pub(super) verdict: String,
    pub(super) bad: bool,
    /// What there is, or why nothing is said of it.
    pub(super) size: String,
    pub(super) to: Option<String>,
    pub(super) money: Option<String>,
    pub(super) notes: Vec<String>,
    pub(super) facts: Vec<(&'static str, String)>,
    // From here on made when it is shown.
    pub(super) anchor: String,
    pub(super) chart: String,
    pub(super) more_of: String,
    pub(super) more: Vec<String>,
}

/// All that is shown, what is urgent first.
pub(super) fn items(
    documents: &[(Place, Document)],
    advised: Option<&Advised>,
    now: DateTime<Utc>,
    zone: Tz,
) -> Vec<Item> {
    let mut items: Vec<((u8, Urgency), Item)> = Vec::new();
    if let Some(advised) = advised {
        for one in &advised.recommendations {
            items.push((rank(one, now), judged(one, now, zone)));
        }
    }
    for subject in documents
        .iter()
        .flat_map(|(_, document)| &document.subjects)
    {
        // What shares the throughput of another, or has none, is judged with it.
        let is_database = kind(&subject.resource) == DATABASE;
        let known = items.iter().any(|(_, item)| item.id == subject.resource);
        if !known && !is_database {
            items.push(((4, Urgency::None), plain(subject, advised.is_some())));
        }
    }
    items.sort_by(|(a, x), (b, y)| a.cmp(b).then_with(|| x.resource.cmp(&y.resource)));
    items.into_iter().map(|(_, item)| item).collect()
}

const DATABASE: &str = "Cosmos database";

fn kind(resource: &ResourceId) -> &'static str {
    let name = resource.as_str().to_ascii_lowercase();
    if name.contains("/containerapps/") {
        "container app"
    } else if name.contains("/containers/") {
        "Cosmos container"
    } else {
        DATABASE
    }
}

/// What is urgent, what cannot be judged, what should be smaller, what will do.
fn rank(one: &Recommendation, now: DateTime<Utc>) -> (u8, Urgency) {
    let urgency = one.urgency_at(now);
    let place = match (&one.advice, urgency) {
        (_, Urgency::Now | Urgency::WithinDays(_)) => 0,
        (Advice::Unknown { .. }, _) => 1,
        (Advice::Resize { .. } | Advice::Limits { .. }, _) => 2,
        (Advice::Keep { .. }, _) => 3,
    };
    (place, urgency)
}

fn judged(one: &Recommendation, now: DateTime<Utc>, zone: Tz) -> Item {
    let over = match one.advice {
        Advice::Limits { .. } => "over its limit",
        _ => "over 80 %",
    };
    let (mark, verdict, bad) = match (&one.advice, one.urgency_at(now)) {
        (Advice::Unknown { .. }, _) => ("?", "cannot be judged".to_owned(), false),
        (_, Urgency::Now) => ("▲", format!("{over} within a day"), true),
        (_, Urgency::WithinDays(1)) => ("▲", format!("{over} in a day"), true),
        (_, Urgency::WithinDays(days)) => ("▲", format!("{over} in {days} days"), true),
        (Advice::Limits { .. }, Urgency::None) => {
            ("▽", "its limit is more than is needed".into(), false)
        }
        (Advice::Resize { .. }, Urgency::None) if one.grows() => {
            ("△", "should be more".into(), false)
        }
        (Advice::Resize { .. }, Urgency::None) => ("▽", "more than is needed".into(), false),
        (Advice::Keep { .. }, Urgency::None) => ("✓", "will do".into(), false),
    };
    let (size, to) = match &one.advice {
        Advice::Keep { now } => (now.to_string(), None),
        Advice::Resize { now, to } => (now.to_string(), Some(to.to_string())),
        Advice::Limits { now, to } => (format!("scaling goes {now}"), Some(to.to_string())),
        Advice::Unknown {
            now: Some(size),
            why,
        } => (format!("{size}: {why}"), None),
        Advice::Unknown { now: None, why } => (why.clone(), None),
    };
    Item {
        id: one.resource.clone(),
        resource: one.resource.short(),
        kind: kind(&one.resource),
        mark,
        verdict,
        bad,
        size,
        to,
        money: one.monthly.map(money),
        notes: one.notes.clone(),
        facts: one
            .evidence
            .as_ref()
            .map_or_else(Vec::new, |evidence| facts(evidence, one.bound(), now, zone)),
        anchor: String::new(),
        chart: String::new(),
        more_of: String::new(),
        more: Vec::new(),
    }
}

/// Something that was measured and that nothing was recommended for.
fn plain(subject: &Subject, is_advised: bool) -> Item {
    Item {
        id: subject.resource.clone(),
        resource: subject.resource.short(),
        kind: kind(&subject.resource),
        mark: "·",
        verdict: if is_advised {
            "not judged by itself".into()
        } else {
            "not judged yet".into()
        },
        bad: false,
        size: "what was measured and what is forecast".into(),
        to: None,
        money: None,
        notes: Vec::new(),
        facts: Vec::new(),
        anchor: String::new(),
        chart: String::new(),
        more_of: String::new(),
        more: Vec::new(),
    }
}

/// `JPY 1,234 less a month`.
pub(super) fn money(money: Money) -> String {
    if money.micros < 0 {
        format!("{} less a month", -money)
    } else {
        format!("{money} more a month")
    }
}

/// What following all of it comes to: `JPY 1,234 less a month`.
pub(super) fn together(all: &Together) -> String {
    let money = money(all.money);
    match all.is_partial() {
        true => format!(
            "{money}, by the {} of {} changes that have a price",
            all.priced, all.of
        ),
        false => money,
    }
}

fn facts(
    evidence: &Evidence,
    bound: &str,
    now: DateTime<Utc>,
    zone: Tz,
) -> Vec<(&'static str, String)> {
    let unit = evidence.measure.unit();
    let time = |at: DateTime<Utc>| at.with_timezone(&zone).format("%Y-%m-%d %H:%M %Z");
    let mut facts = vec![(
        "needed",
        format!(
            "{} {unit} in a busy minute at the upper end of the interval, {} by its middle; one hour in a \
             hundred may need more",
            number(evidence.need),
            number(evidence.need_forecast)
        ),
    )];
    if let Some(at) = evidence.crosses.filter(|at| *at >= now) {
        facts.push(("too little", format!("over {bound} from {}", time(at))));
    }
    if evidence.busy_hours > 0 {
        facts.push((
            "busy minute",
            format!(
                "{:.2} times its hour, learned from {} hours",
                evidence.busy_factor, evidence.busy_hours
            ),
        ));
    }
    if let (Some(error), Some(last)) = (evidence.error, evidence.error_of_last_week) {
        facts.push((
            "off by",
            format!(
                "{} {unit} on {} earlier weeks; last week's values: {}",
                number(error),
                evidence.trials,
                number(last)
            ),
        ));
    }
    facts.push((
        "history",
        format!(
            "{} hours, {} of them not told",
            evidence.hours, evidence.missing
        ),
    ));
    facts
}

/// What should be known of all of it.
pub(super) fn problems(
    documents: &[(Place, Document)],
    advised: Option<&Advised>,
    now: DateTime<Utc>,
    zone: Tz,
) -> Vec<String> {
    let mut problems = Vec::new();
    for (place, document) in documents {
        let made = document.made.map(|made| {
            let local = made.with_timezone(&zone).format("%Y-%m-%d %H:%M %Z");
            (made, local.to_string())
        });
        match (&document.problem, made) {
            (Some(why), Some((_, made))) => {
                problems.push(format!(
                    "{}: the forecast of {made} was not renewed: {why}",
                    place.name
                ));
            }
            (Some(why), None) => {
                problems.push(format!("{}: nothing is forecast: {why}", place.name))
            }
            (None, None) => problems.push(format!("{}: nothing is forecast yet", place.name)),
            (None, Some((at, made))) if now - at > RENEWED + Duration::hours(6) => {
                problems.push(format!(
                    "{}: the forecast is of {made}, and was not renewed",
                    place.name
                ));
            }
            (None, Some(_)) => {}
        }
    }
    if let Some(advised) = advised {
        let unread = advised
            .unread
            .iter()
            .filter(|one| one.code == "capacity-unread");
        problems.extend(unread.map(|one| format!("{}: {}", one.subject, one.message)));
    }
    problems
}

/// The same with its charts.
pub(super) fn drawn(
    mut item: Item,
    number: usize,
    documents: &[(Place, Document)],
    advised: Option<&Advised>,
    zone: Tz,
) -> Item {
    item.anchor = format!("c{number}");
    let subject = documents
        .iter()
        .find_map(|(_, document)| document.subject(&item.id));
    let Some(subject) = subject else {
        return item;
    };
    let one = advised.and_then(|advised| advised.of(&item.id));
    let main = if item.kind == "container app" {
        Measure::Requests
    } else {
        Measure::Units
    };
    for (index, kept) in subject.series.iter().enumerate() {
        if !kept.measure.is_forecast() {
            continue;
        }
        let levels = if kept.measure == main {
            one.map_or_else(Vec::new, levels)
        } else {
            Vec::new()
        };
        let svg = inline(
            &chart(kept, &item.id, levels, zone),
            &format!("c{number}-{index}"),
        );
        // Why the main one is not forecast is said already where it was judged.
        if let Some(why) = kept
            .why_not
            .as_ref()
            .filter(|why| !item.size.contains(*why))
        {
            item.notes.push(format!("{}: {why}", kept.measure.unit()));
        }
        if kept.measure == main {
            item.chart = svg;
        } else {
            item.more.push(svg);
        }
    }
    item.more_of = match main {
        Measure::Units => "Requests".into(),
        _ => "CPU and memory".into(),
    };
    item
}

fn chart(kept: &Kept, id: &ResourceId, levels: Vec<Level>, zone: Tz) -> Chart {
    let coming = kept.coming.iter().flat_map(|coming| {
        (0..coming.forecast.len()).map(|place| Hour {
            at: coming.hour(place),
            forecast: coming.forecast[place],
            lower: coming.lower[place],
            upper: coming.upper[place],
        })
    });
    // The names of a container and of an app tell them apart.
    let title = match kind(id) {
        DATABASE => format!("{}, shared", id.name()),
        _ => id.name().to_owned(),
    };
    Chart {
        title: title.chars().take(36).collect(),
        unit: kept.measure.unit().to_owned(),
        zone,
        history: kept
            .history
            .as_ref()
            .map_or_else(Vec::new, |history| history.hours()),
        coming: coming.collect(),
        levels,
    }
}

/// What there is and what there should be, in the unit of the chart.
fn levels(one: &Recommendation) -> Vec<Level> {
    let value = |size: &Size| match size {
        Size::Throughput(Capacity::Manual(ru) | Capacity::Autoscale(ru)) => Some(f64::from(*ru)),
        Size::Replicas(replicas) => {
            let each = one.per_replica.as_ref()?;
            Some(f64::from(replicas.most) * each.requests)
        }
    };
    let level = |mark, size: &Size| value(size).map(|value| Level { mark, value });
    let levels = match &one.advice {
        Advice::Keep { now } => [level(Mark::Current, now), None],
        Advice::Resize { now, to } => [level(Mark::Current, now), level(Mark::Recommended, to)],
        Advice::Limits { now, to } => {
            let level = |mark, limit: u32| Level {
                mark,
                value: f64::from(limit),
            };
            // Only the limit that should be another one.
            let of = |limits: &Limits| match now.most == to.most {
                true => limits.least,
                false => limits.most,
            };
            [
                Some(level(Mark::Limit, of(now))),
                Some(level(Mark::Recommended, of(to))),
            ]
        }
        Advice::Unknown { now, .. } => [
            now.as_ref().and_then(|size| level(Mark::Current, size)),
            None,
        ],
    };
    let mut levels: Vec<Level> = levels.into_iter().flatten().collect();
    // An app whose most stays is one line.
    levels.dedup_by(|a, b| (a.value - b.value).abs() < 1e-9);
    levels
}
