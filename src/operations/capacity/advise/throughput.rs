//! Throughput of a container, or of what the containers of a database share.

mod limits;

use chrono::{DateTime, Utc};

use super::{
    Advice, BUFFER, FULL, Need, OtherMode, Recommendation, SPARE, Size, WORTH, coming, reliance,
    up_to_step, urgency,
};
use crate::azure::cosmos::Throughput;
use crate::domain::{Capacity, Mode, ResourceId};
use crate::estate::{MONTH_HOURS, Prices, ThroughputRules};
use crate::operations::autoscale::Supply;
use crate::operations::capacity::kept::{Coming, Kept};

/// The steps in which Azure takes throughput, RU/s.
const MANUAL_STEP: u32 = 100;
const AUTOSCALE_STEP: u32 = 1000;
/// The least that Azure takes of anything, RU/s.
const MANUAL_LEAST: u32 = 400;
const AUTOSCALE_LEAST: u32 = 1000;

/// All that the throughput of a container is judged by.
#[derive(Debug, Clone, Copy)]
pub struct ContainerInput<'a> {
    pub resource: &'a ResourceId,
    pub supply: &'a Supply,
    /// Its request units; `None`: never measured.
    pub units: Option<&'a Kept>,
    pub rules: &'a ThroughputRules,
    /// What scaling may do of its own; `None`: it does not own it, and it stays as somebody made it.
    pub scaled: Option<Mode>,
    pub prices: &'a Prices,
    pub location: &'a str,
    /// Regions of the account.
    pub regions: u32,
}

/// What the throughput should be. `None` where it has none of its own: what its database shares is
/// judged by itself.
#[must_use]
pub fn container(input: &ContainerInput<'_>, now: DateTime<Utc>) -> Option<Recommendation> {
    let resource = input.resource;
    let have = match input.supply {
        Supply::Own(have) => have,
        Supply::Shared | Supply::Dedicated | Supply::Serverless => return None,
        Supply::Unread(why) => {
            let why = format!("its throughput cannot be read: {why}");
            return Some(Recommendation::unknown(resource, None, why));
        }
    };
    let size = Size::Throughput(have.capacity);
    let unknown = |why: String| Some(Recommendation::unknown(resource, Some(size), why));
    let (kept, coming) = match coming(input.units) {
        Ok(found) => found,
        Err(why) => return unknown(why),
    };
    let need = match Need::of(kept, coming, now) {
        Ok(need) => need,
        Err(why) => return unknown(why),
    };
    // What is only recorded is changed by nobody.
    if let Some(mode) = input.scaled.filter(|mode| *mode != Mode::Observe) {
        let basis = Basis {
            have,
            kept,
            coming,
            need: &need,
        };
        return Some(limits::judge(input, &basis, mode, now));
    }
    let (current, _) = parts(have.capacity);
    let evidence = need.evidence(kept, coming, FULL * f64::from(current));
    let mut notes = Vec::new();
    let full = need.upper > FULL * f64::from(current);
    let wanted = wanted(have, input.rules, need.upper, &mut notes);
    let (to, _) = parts(wanted);
    let more = full && to > current;
    // What is too much by the estate's limits is not too much for what is needed.
    let enough = need.upper <= f64::from(to);
    let less = to < current && f64::from(to) <= SPARE * f64::from(current) && enough;
    let advice = if more || less {
        Advice::Resize {
            now: size,
            to: Size::Throughput(wanted),
        }
    } else {
        Advice::Keep { now: size }
    };
    let best = if more || less { wanted } else { have.capacity };
    reliance(kept, coming, &mut notes);
    notes.extend(pending(have));
    let monthly = if more || less {
        let hours = |capacity| bill(input, capacity, &need.hours);
        hours(best)
            .zip(hours(have.capacity))
            .and_then(|(new, old)| new.minus(old))
    } else {
        None
    };
    let other_mode = other_mode(input, have, best, &need);
    if let Some(other) = &other_mode {
        notes.push(said(other));
    }
    Some(Recommendation {
        resource: resource.clone(),
        // Where no more can be had, it is as urgent.
        urgency: if full && (more || !enough) {
            urgency(evidence.crosses, now)
        } else {
            super::Urgency::None
        },
        advice,
        monthly,
        notes,
        evidence: Some(evidence),
        other_mode,
        per_replica: None,
    })
}

/// What a judgement goes by.
#[derive(Clone, Copy)]
struct Basis<'a> {
    have: &'a Throughput,
    kept: &'a Kept,
    coming: &'a Coming,
    need: &'a Need,
}

fn pending(have: &Throughput) -> Option<String> {
    have.pending
        .then(|| "an earlier change of it is still being carried out".into())
}

/// Why what is above what partitions have takes time, where so much is to be had.
fn splits(have: &Throughput, ru: u32) -> Option<String> {
    let instant = have.instant_maximum.filter(|instant| ru > *instant)?;
    let (current, _) = parts(have.capacity);
    (ru > current).then(|| {
        format!(
            "above {instant} RU/s Azure splits partitions, which takes hours and raises the least that \
             can be had later: change it ahead of the need"
        )
    })
}

/// How many RU/s, and in which steps.
fn parts(capacity: Capacity) -> (u32, u32) {
    match capacity {
        Capacity::Manual(ru) => (ru, MANUAL_STEP),
        Capacity::Autoscale(ru) => (ru, AUTOSCALE_STEP),
    }
}

fn with(mode: Capacity, ru: u32) -> Capacity {
    match mode {
        Capacity::Manual(_) => Capacity::Manual(ru),
        Capacity::Autoscale(_) => Capacity::Autoscale(ru),
    }
}

/// The need and its buffer in Azure's steps, within the limits of Azure and of the estate; where there is
/// too little at least the next step.
fn wanted(
    have: &Throughput,
    rules: &ThroughputRules,
    need: f64,
    notes: &mut Vec<String>,
) -> Capacity {
    let (current, step) = parts(have.capacity);
    let mut raw = up_to_step(need * BUFFER, step);
    // A fifth more than is needed is still fuller than 80 %.
    if need > FULL * f64::from(current) && raw <= current {
        raw = up_to_step(need / FULL, step);
    }
    let least = up_to_step(f64::from(have.minimum.max(rules.least)), step);
    // The estate's limit is one of people: it is rounded so that it holds.
    let most = (rules.most / step * step).max(least);
    let ru = raw.clamp(least, most);
    if raw > most {
        notes.push(format!(
            "it needs {raw} RU/s with its buffer, and {most} RU/s is the most that is allowed"
        ));
    }
    if raw < least && least < current {
        let whose = if have.minimum > rules.least {
            "Azure allows no less: by what is stored, or was once provisioned"
        } else {
            "the estate allows no less"
        };
        notes.push(format!(
            "{raw} RU/s would do, and it stays at {least} RU/s: {whose}"
        ));
    }
    notes.extend(splits(have, ru));
    with(have.capacity, ru)
}

/// What an average hour of the forecast costs, as a month. Autoscale is billed by the hour at the
/// highest that was used in it, and at least a tenth of its maximum.
fn bill(
    input: &ContainerInput<'_>,
    capacity: Capacity,
    hours: &[f64],
) -> Option<crate::domain::Money> {
    let hour = |capacity| {
        input
            .prices
            .throughput_hour(input.location, capacity, input.regions)
    };
    match capacity {
        Capacity::Manual(_) => Some(hour(capacity)?.times(MONTH_HOURS)),
        Capacity::Autoscale(most) => {
            let share = used(most, hours) / f64::from(most.max(1));
            Some(hour(capacity)?.times(MONTH_HOURS * share))
        }
    }
}

/// The mean of what autoscale bills, RU/s.
fn used(most: u32, hours: &[f64]) -> f64 {
    let most = f64::from(most);
    let each = hours.iter().map(|need| need.clamp(most / 10.0, most));
    each.sum::<f64>() / hours.len().max(1) as f64
}

/// The other mode, if it costs another amount that is worth knowing: autoscale costs half as much again
/// for what it uses, and uses less.
fn other_mode(
    input: &ContainerInput<'_>,
    have: &Throughput,
    best: Capacity,
    need: &Need,
) -> Option<OtherMode> {
    let most = input.rules.most;
    let to = match best {
        Capacity::Manual(_) => {
            let ru = up_to_step(need.upper * BUFFER, AUTOSCALE_STEP);
            let least = up_to_step(f64::from(other_least(have)), AUTOSCALE_STEP);
            Capacity::Autoscale(ru.min(most / AUTOSCALE_STEP * AUTOSCALE_STEP).max(least))
        }
        Capacity::Autoscale(_) => {
            let ru = up_to_step(need.upper * BUFFER, MANUAL_STEP).max(input.rules.least);
            let least = up_to_step(f64::from(other_least(have)), MANUAL_STEP);
            Capacity::Manual(ru.min(most).max(least))
        }
    };
    // A need beyond what is allowed is met by neither, and what Azure takes no less of may not be.
    if need.upper > f64::from(most) || parts(to).0 > most || have.pending {
        return None;
    }
    // In RU/s of manual throughput, which needs no price.
    let cost = |capacity: Capacity| match capacity {
        Capacity::Manual(ru) => f64::from(ru),
        Capacity::Autoscale(ru) => 1.5 * used(ru, &need.hours),
    };
    let (here, there) = (cost(best), cost(to));
    let ratio = there / here.max(1.0);
    if ratio > 1.0 - WORTH && ratio < 1.0 + WORTH {
        return None;
    }
    let money = |capacity| bill(input, capacity, &need.hours);
    Some(OtherMode {
        to,
        monthly: money(to)
            .zip(money(best))
            .and_then(|(new, old)| new.minus(old)),
        percent: (ratio * 100.0).round().min(1e6) as u32,
    })
}

/// The least that Azure takes in the other mode, RU/s. By hand it is 400, and more by what is stored (1 for
/// a GB) and by the most that there ever was (a hundredth of it); as the most of autoscale 1,000, and ten
/// times those (10 for a GB, a tenth of the most).
///
/// Source: "Limits for provisioned throughput" and "Limits for autoscale provisioned throughput",
/// Azure Cosmos DB service quotas.
fn other_least(have: &Throughput) -> u32 {
    match have.capacity {
        // At 400 it is not known what lies below it; what lies above it is a tenth.
        Capacity::Manual(_) if have.minimum > MANUAL_LEAST => have.minimum.saturating_mul(10),
        Capacity::Manual(_) => AUTOSCALE_LEAST,
        Capacity::Autoscale(_) => (have.minimum / 10).max(MANUAL_LEAST),
    }
}

fn said(other: &OtherMode) -> String {
    let to = match other.to {
        Capacity::Manual(_) => format!("manual {}", other.to),
        Capacity::Autoscale(_) => other.to.to_string(),
    };
    format!(
        "by the week that is forecast, {to} would cost {}",
        other.differs()
    )
}
