//! The limits of throughput that scaling owns. What it has at the moment says nothing of the coming week,
//! since it follows the load: by night there is less of it. What can be wrong for a week is how far it may
//! go, and that is what people own.

use chrono::{DateTime, Utc};

use super::{Basis, ContainerInput, parts, pending, splits};
use crate::domain::Mode;
use crate::operations::capacity::advise::{
    Advice, BUFFER, Limits, Recommendation, SPARE, Size, Urgency, reliance, up_to_step, urgency,
};

/// Holds the need of the week against the most and the least of the rules. No money is told: nobody
/// provisions a difference between limits.
pub(super) fn judge(
    input: &ContainerInput<'_>,
    basis: &Basis<'_>,
    mode: Mode,
    now: DateTime<Utc>,
) -> Recommendation {
    let (have, need) = (basis.have, basis.need.upper);
    let (_, step) = parts(have.capacity);
    let up = |ru: u32| up_to_step(f64::from(ru), step);
    let azure = up(have.minimum.max(step));
    let least = up(input.rules.least).max(azure);
    // The estate's limit is rounded so that it holds; where Azure takes no less, that is the most as well.
    let most = (input.rules.most / step * step).max(least);
    let wanted = up_to_step(need * BUFFER, step);
    let short = need > f64::from(most);
    let lower = wanted.max(azure);
    let idle = lower < least && f64::from(wanted) <= SPARE * f64::from(least);

    let mut notes = vec![match mode {
        Mode::Act => format!("scaling follows the load itself, from {least} to {most} RU/s"),
        _ => format!(
            "scaling proposes what follows the load, from {least} to {most} RU/s, and waits for somebody \
             who approves it"
        ),
    }];
    let limits = Limits {
        least: input.rules.least,
        most: input.rules.most,
    };
    let to = if short {
        notes.push(format!(
            "{most} RU/s is the most that is allowed, and less than is needed"
        ));
        Limits {
            most: wanted,
            ..limits
        }
    } else if idle {
        notes.push(format!(
            "{wanted} RU/s would do for the busiest hours, and it never goes below {least} RU/s"
        ));
        Limits {
            least: lower,
            ..limits
        }
    } else {
        limits
    };
    if !short && wanted < azure && azure > input.rules.least {
        notes.push(format!(
            "Azure allows no less than {azure} RU/s: by what is stored, or was once provisioned"
        ));
    }
    // Scaling goes no further than its limit, whatever it should have.
    notes.extend(splits(have, wanted.min(to.most)));
    reliance(basis.kept, basis.coming, &mut notes);
    notes.extend(pending(have));
    let evidence = basis
        .need
        .evidence(basis.kept, basis.coming, f64::from(most));
    Recommendation {
        resource: input.resource.clone(),
        advice: if to == limits {
            Advice::Keep {
                now: Size::Throughput(have.capacity),
            }
        } else {
            Advice::Limits { now: limits, to }
        },
        urgency: if short {
            urgency(evidence.crosses, now)
        } else {
            Urgency::None
        },
        monthly: None,
        notes,
        evidence: Some(evidence),
        other_mode: None,
        per_replica: None,
    }
}
