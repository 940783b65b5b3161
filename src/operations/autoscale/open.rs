//! Proposals that are open: the same is not proposed twice.

use super::decide::Because;
use super::judge::Judged;
use crate::app::App;
use crate::changes::{self, SCALING};
use crate::domain::{Change, ChangeKind, Mutation};
use crate::journal::{Journal, Run};

/// Holds what is wanted against a proposal that is open: the same is not proposed twice. One of ours
/// that is wrong by now is taken off the table first, and so is anybody's of the same kind when
/// requests suffer: nothing that waits for a person stands in the way of what cannot wait.
pub(super) async fn settle_with_open(
    app: &App,
    journal: &mut Journal<'_>,
    run: &mut Run,
    one: &mut Judged,
    dry_run: bool,
) -> anyhow::Result<()> {
    let Some(change) = &one.change else {
        return Ok(());
    };
    let Some(open) = changes::open_on(app, change.kind(), &one.resource).await? else {
        return Ok(());
    };
    let ours = open.by == SCALING && is_overtaken(&open.change, change);
    let others = open.by != SCALING && open.change.kind() == change.kind() && one.is_urgent();
    if (ours || others) && !dry_run {
        let why = format!("overtaken: {}", change.difference());
        changes::reject(app, journal, run, &open, SCALING, &why).await?;
        return Ok(());
    }
    let text = format!(
        "; change {} of {} waits for a decision: {}",
        open.id, open.by, open.difference
    );
    one.why.push_str(&text);
    one.change = None;
    Ok(())
}

/// Takes a proposal of ours off the table that nothing speaks for any more: what was right when it was
/// made may be approved hours later.
pub(super) async fn withdraw(
    app: &App,
    journal: &mut Journal<'_>,
    run: &mut Run,
    one: &mut Judged,
    kind: ChangeKind,
) -> anyhow::Result<()> {
    let Some(open) = changes::open_on(app, kind, &one.resource).await? else {
        return Ok(());
    };
    if open.by == SCALING && !still_fits(&open.change.mutation, one.because) {
        let why = format!("overtaken: {}", one.why);
        changes::reject(app, journal, run, &open, SCALING, &why).await?;
        let text = format!("; change {} is withdrawn: {}", open.id, open.difference);
        one.why.push_str(&text);
    }
    Ok(())
}

/// Whether a decision that changes nothing still leaves room for what was proposed before it.
fn still_fits(open: &Mutation, because: Because) -> bool {
    use Because::{
        AtLeast, AtMost, BurstOver, Calm, ForecastNeeds, HotPartition, HourCharged, JustLowered,
        NotItsOwn, OftenToday, OutsideLimits, Pending, Steady, Unread,
    };
    match open {
        Mutation::CosmosThroughput { from, to } => {
            if to.ru() > from.ru() {
                !matches!(
                    because,
                    Calm | AtLeast
                        | HourCharged
                        | JustLowered
                        | ForecastNeeds
                        | HotPartition
                        | NotItsOwn
                )
            } else {
                matches!(
                    because,
                    Calm | HourCharged
                        | JustLowered
                        | OftenToday
                        | OutsideLimits
                        | Pending
                        | Unread
                )
            }
        }
        Mutation::AppReplicas { from, to } if (to.least, to.most) > (from.least, from.most) => {
            !matches!(because, Steady | BurstOver)
        }
        Mutation::AppReplicas { .. } => {
            matches!(
                because,
                BurstOver | OutsideLimits | AtMost | Pending | Unread
            )
        }
        _ => true,
    }
}

/// Whether an open proposal is wrong by now: it goes the other way, or not far enough, or begins
/// where nothing is any more.
fn is_overtaken(open: &Change, wanted: &Change) -> bool {
    match (&open.mutation, &wanted.mutation) {
        (
            Mutation::CosmosThroughput { from, to },
            Mutation::CosmosThroughput {
                from: now,
                to: want,
            },
        ) => {
            let (from, to, now, want) = (from.ru(), to.ru(), now.ru(), want.ru());
            from != now || (to > from) != (want > now) || (to > from && want > to)
        }
        (
            Mutation::AppReplicas { from, to },
            Mutation::AppReplicas {
                from: now,
                to: want,
            },
        ) => {
            from != now || to.least < want.least || (to.least > now.least && want.least < now.least)
        }
        // Replicas that are needed now do not wait for rules.
        (Mutation::AppScaleRules { .. }, Mutation::AppReplicas { .. }) => true,
        (open, wanted) => {
            std::mem::discriminant(open) == std::mem::discriminant(wanted) && open != wanted
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Capacity, Replicas, ResourceId, Utilization};

    #[test]
    fn what_an_open_proposal_is_worth_by_now() {
        let change = |mutation| {
            let app = ResourceId::new("s", "g", "Microsoft.App/containerApps", "api");
            Change::new(app, mutation, "why")
        };
        let ru = |from, to| {
            change(Mutation::CosmosThroughput {
                from: Capacity::Manual(from),
                to: Capacity::Manual(to),
            })
        };
        let replicas = |from, to| {
            let of = |least| Replicas { least, most: 10 };
            change(Mutation::AppReplicas {
                from: of(from),
                to: of(to),
            })
        };
        let rules = |percent| {
            change(Mutation::AppScaleRules {
                from: Vec::new(),
                to: vec![Utilization {
                    resource: "cpu".into(),
                    percent,
                }],
            })
        };
        for (name, open, wanted, expected) in [
            ("the same", ru(1000, 2000), ru(1000, 2000), false),
            ("less would do", ru(1000, 2000), ru(1000, 1500), false),
            ("it needs more", ru(1000, 1500), ru(1000, 2000), true),
            ("the other way", ru(1000, 500), ru(1000, 2000), true),
            ("less and still less", ru(1000, 500), ru(1000, 600), false),
            ("it is another now", ru(1000, 1500), ru(1200, 1500), true),
            ("more replicas", replicas(2, 4), replicas(2, 6), true),
            ("as many", replicas(2, 4), replicas(2, 4), false),
            ("fewer after all", replicas(4, 6), replicas(4, 2), true),
            ("rules before replicas", rules(70), replicas(2, 4), true),
            ("replicas before rules", replicas(2, 4), rules(70), false),
            ("the same rules", rules(70), rules(70), false),
            ("other rules", rules(70), rules(60), true),
        ] {
            assert_eq!(is_overtaken(&open, &wanted), expected, "{name}");
        }
    }
}
