//! Whether a change may be made. Pure: everything it judges by is an argument.

use chrono::{DateTime, Duration, Utc};
use chrono_tz::Tz;

use crate::domain::{ChangeId, Hold, Mode, same_person};
use crate::estate::Policy;
use crate::journal::Hash;

/// What is known when a change is judged, read while the lease on its resource is held.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Who turned the kill switch on, and why.
    pub stopped: Option<(String, String)>,
    pub in_estate: bool,
    /// The subscription that a developer's credential would act on without its being named.
    pub unnamed: Option<String>,
    /// The most that any change may do, whatever its policy says.
    pub ceiling: Mode,
    /// Another change of the same resource that is open.
    pub owner: Option<ChangeId>,
    /// How many things all changes of this kind in the run touch together.
    pub touches: u64,
    /// How many things in one place are touched, of how many that are there.
    pub part: (u64, u64),
    pub last_change: Option<DateTime<Utc>>,
    /// Changes of this kind within the last hour, over the whole estate.
    pub within_hour: u32,
    /// The hash of the change as it stands.
    pub hash: Hash,
    pub approval: Option<Approval>,
    /// Why the change itself wants an approval.
    pub ask_first: Option<String>,
    /// Who alone scales the resource, where that is not who proposed it.
    pub scaled_by: Option<String>,
    /// Who proposed it.
    pub proposer: String,
    /// When the proposal was made.
    pub proposed: DateTime<Utc>,
    /// An intent to make it was written before: it was let through, and may be half done.
    pub begun: bool,
}

/// Somebody's word that a change may be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    pub by: String,
    pub hash: Hash,
    pub at: DateTime<Utc>,
}

/// What the guard says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Act,
    /// It waits for an approval until then.
    Await {
        until: DateTime<Utc>,
        /// Why, where changes of its kind are made by themselves.
        why: Option<String>,
    },
    /// It is recorded, and nothing else.
    Observe,
    Hold(Hold),
}

/// Judges one change. The belts are independent: each alone stops it.
#[must_use]
pub fn judge(policy: &Policy, facts: &Facts, zone: Tz, now: DateTime<Utc>) -> Verdict {
    if let Some((by, reason)) = &facts.stopped {
        return Verdict::Hold(Hold::KillSwitch {
            by: by.clone(),
            reason: reason.clone(),
        });
    }
    if !facts.in_estate {
        return Verdict::Hold(Hold::OutsideEstate);
    }
    let allowed = policy.mode.min(facts.ceiling);
    let asks = asks(facts);
    let mode = match asks {
        Some(_) => allowed.min(Mode::Propose),
        None => allowed,
    };
    if mode == Mode::Observe {
        return Verdict::Observe;
    }
    if let Some(approval) = &facts.approval
        && let Err(hold) = approved(policy, facts, approval, now)
    {
        return Verdict::Hold(hold);
    }
    let act = match &facts.unnamed {
        None => Verdict::Act,
        Some(subscription) => Verdict::Hold(Hold::SubscriptionNotNamed {
            subscription: subscription.clone(),
        }),
    };
    if let Some(owner) = &facts.owner {
        return Verdict::Hold(Hold::Owned { by: owner.clone() });
    }
    if facts.begun {
        // It was let through before the process died; what is half done is brought to its end.
        return act;
    }
    if let Some(hold) = blast(policy, facts) {
        return Verdict::Hold(hold);
    }
    if mode == Mode::Propose && facts.approval.is_none() {
        return Verdict::Await {
            until: facts.proposed + policy.approval_lasts,
            why: asks,
        };
    }
    if let Some(hold) = timing(policy, facts, zone, now) {
        return Verdict::Hold(hold);
    }
    act
}

/// Why somebody must approve it, whatever its policy says.
fn asks(facts: &Facts) -> Option<String> {
    let owned = facts.scaled_by.as_ref().map(|owner| {
        format!("{owner} scales this resource, so what others want of it is only proposed")
    });
    let all = [owned, facts.ask_first.clone()];
    let all: Vec<String> = all.into_iter().flatten().collect();
    (!all.is_empty()).then(|| all.join("; "))
}

fn approved(
    policy: &Policy,
    facts: &Facts,
    approval: &Approval,
    now: DateTime<Utc>,
) -> Result<(), Hold> {
    let by = || approval.by.clone();
    if approval.hash != facts.hash {
        return Err(Hold::Edited);
    }
    if same_person(&approval.by, &facts.proposer) {
        return Err(Hold::OwnProposal { by: by() });
    }
    let may = policy
        .approvers
        .iter()
        .any(|approver| same_person(approver, &approval.by));
    if !may {
        return Err(Hold::NotAnApprover { by: by() });
    }
    // A proposal waits so long, and an approval is good so long.
    let waited = facts.proposed + policy.approval_lasts;
    let good = approval.at + policy.approval_lasts;
    if approval.at > waited {
        return Err(Hold::ApprovalExpired { at: waited });
    }
    if now > good {
        return Err(Hold::ApprovalExpired { at: good });
    }
    Ok(())
}

fn blast(policy: &Policy, facts: &Facts) -> Option<Hold> {
    if facts.touches > policy.most_per_run {
        return Some(Hold::BlastRadius {
            touches: facts.touches,
            most: policy.most_per_run,
        });
    }
    let (touches, of) = facts.part;
    let too_large = touches.saturating_mul(100) > of.saturating_mul(policy.most_share_percent);
    too_large.then_some(Hold::Share {
        touches,
        of,
        most_percent: policy.most_share_percent,
    })
}

fn timing(policy: &Policy, facts: &Facts, zone: Tz, now: DateTime<Utc>) -> Option<Hold> {
    if !policy.windows.is_empty() && !policy.windows.iter().any(|w| w.holds(now, zone)) {
        return Some(Hold::OutsideWindow);
    }
    if let Some(last) = facts.last_change {
        let until = last + policy.cooldown;
        // A clock that once jumped ahead must not block for longer than the cooldown.
        if policy.cooldown > Duration::zero() && now < until && last <= now + policy.cooldown {
            return Some(Hold::CoolingDown { until });
        }
    }
    (facts.within_hour >= policy.most_per_hour).then_some(Hold::RateLimited {
        most_per_hour: policy.most_per_hour,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Capacity, Change, ChangeKind, Mutation, ResourceId};

    fn change() -> Change {
        Change::new(
            ResourceId::new("s", "g", "Microsoft.DocumentDB/databaseAccounts", "a"),
            Mutation::CosmosThroughput {
                from: Capacity::Manual(400),
                to: Capacity::Manual(600),
            },
            "busy",
        )
    }

    fn noon() -> DateTime<Utc> {
        DateTime::from_timestamp(1_772_431_200, 0).expect("a time")
    }

    /// Facts and policy under which the change is made.
    fn free() -> (Policy, Facts) {
        let policy = Policy {
            mode: Mode::Act,
            approvers: vec!["Ann@example.com".into()],
            ..Policy::default_of(ChangeKind::CosmosThroughput)
        };
        let facts = Facts {
            stopped: None,
            in_estate: true,
            unnamed: None,
            ceiling: Mode::Act,
            owner: None,
            touches: 1,
            part: (1, 4),
            last_change: None,
            within_hour: 0,
            hash: super::super::hash(&change()),
            approval: None,
            ask_first: None,
            scaled_by: None,
            proposer: "poolkeeper".into(),
            proposed: noon(),
            begun: false,
        };
        (policy, facts)
    }

    fn approval() -> Approval {
        Approval {
            by: "ann@example.com".into(),
            hash: super::super::hash(&change()),
            at: noon(),
        }
    }

    type Turn = fn(&mut Policy, &mut Facts);

    #[test]
    fn each_belt_alone_stops_a_change() {
        let other: ChangeId = "0123456789abcdef0123".parse().expect("an id");
        let waits = |why: Option<&str>| Verdict::Await {
            until: noon() + Duration::hours(24),
            why: why.map(str::to_owned),
        };
        let cases: Vec<(&str, Turn, Verdict)> = vec![
            ("nothing speaks against it", |_, _| {}, Verdict::Act),
            (
                "kill switch",
                |_, f| f.stopped = Some(("ann".into(), "storm".into())),
                Verdict::Hold(Hold::KillSwitch {
                    by: "ann".into(),
                    reason: "storm".into(),
                }),
            ),
            (
                "outside the estate",
                |_, f| f.in_estate = false,
                Verdict::Hold(Hold::OutsideEstate),
            ),
            ("observe", |p, _| p.mode = Mode::Observe, Verdict::Observe),
            (
                "observed whatever the policy",
                |_, f| f.ceiling = Mode::Observe,
                Verdict::Observe,
            ),
            ("propose", |p, _| p.mode = Mode::Propose, waits(None)),
            (
                "proposed whatever the policy",
                |_, f| f.ceiling = Mode::Propose,
                waits(None),
            ),
            (
                "it asks for an approval itself",
                |_, f| f.ask_first = Some("partitions are split".into()),
                waits(Some("partitions are split")),
            ),
            (
                "scaled by somebody else",
                |_, f| f.scaled_by = Some("poolkeeper/autoscale".into()),
                waits(Some(
                    "poolkeeper/autoscale scales this resource, so what others want of it is only proposed",
                )),
            ),
            (
                "scaled by somebody else, and only watched",
                |p, f| {
                    p.mode = Mode::Observe;
                    f.scaled_by = Some("poolkeeper/autoscale".into());
                },
                Verdict::Observe,
            ),
            (
                "a subscription that was not named",
                |_, f| f.unnamed = Some("s".into()),
                Verdict::Hold(Hold::SubscriptionNotNamed {
                    subscription: "s".into(),
                }),
            ),
            (
                "another change is open",
                |_, f| f.owner = Some("0123456789abcdef0123".parse().expect("an id")),
                Verdict::Hold(Hold::Owned { by: other }),
            ),
            (
                "too many",
                |_, f| (f.touches, f.part) = (5, (1, 100)),
                Verdict::Hold(Hold::BlastRadius {
                    touches: 5,
                    most: 4,
                }),
            ),
            (
                "too large a part",
                |p, f| (p.most_share_percent, f.part) = (50, (3, 5)),
                Verdict::Hold(Hold::Share {
                    touches: 3,
                    of: 5,
                    most_percent: 50,
                }),
            ),
            (
                "the whole of nothing",
                |p, f| (p.most_share_percent, f.part) = (50, (1, 0)),
                Verdict::Hold(Hold::Share {
                    touches: 1,
                    of: 0,
                    most_percent: 50,
                }),
            ),
            (
                "just half",
                |p, f| (p.most_share_percent, f.part) = (50, (2, 4)),
                Verdict::Act,
            ),
            (
                "no window",
                |p, _| p.windows = vec!["01:00-02:00".parse().expect("a window")],
                Verdict::Hold(Hold::OutsideWindow),
            ),
            (
                "one window of two",
                |p, _| {
                    p.windows = ["01:00-02:00", "14:00-16:00"]
                        .map(|w| w.parse().expect("a window"))
                        .to_vec();
                },
                Verdict::Act,
            ),
            (
                "changed just now",
                |_, f| f.last_change = Some(noon() - Duration::minutes(9)),
                Verdict::Hold(Hold::CoolingDown {
                    until: noon() + Duration::minutes(1),
                }),
            ),
            (
                "cooled down",
                |_, f| f.last_change = Some(noon() - Duration::minutes(10)),
                Verdict::Act,
            ),
            (
                "changed in a far future",
                |_, f| f.last_change = Some(noon() + Duration::days(300)),
                Verdict::Act,
            ),
            (
                "often within the hour",
                |_, f| f.within_hour = 10,
                Verdict::Hold(Hold::RateLimited { most_per_hour: 10 }),
            ),
        ];
        for (name, turn, expected) in cases {
            let (mut policy, mut facts) = free();
            turn(&mut policy, &mut facts);
            let verdict = judge(&policy, &facts, chrono_tz::Asia::Tokyo, noon());
            assert_eq!(verdict, expected, "{name}");
        }
    }

    #[test]
    fn what_an_approval_is_worth() {
        let expired = |hours| {
            Verdict::Hold(Hold::ApprovalExpired {
                at: noon() + Duration::hours(hours),
            })
        };
        let not_ann = |by: &str| Verdict::Hold(Hold::NotAnApprover { by: by.into() });
        let cases: Vec<(&str, Turn, i64, Verdict)> = vec![
            ("by an approver", |_, _| {}, 0, Verdict::Act),
            (
                "of what asks for it, on what others scale",
                |p, f| {
                    p.mode = Mode::Act;
                    f.ask_first = Some("partitions are split".into());
                    f.scaled_by = Some("poolkeeper/autoscale".into());
                },
                0,
                Verdict::Act,
            ),
            (
                "of another change",
                |_, f| f.hash = Hash::of(b"edited"),
                0,
                Verdict::Hold(Hold::Edited),
            ),
            (
                "by who proposed",
                |_, f| f.proposer = "ANN@example.com ".into(),
                0,
                Verdict::Hold(Hold::OwnProposal {
                    by: "ann@example.com".into(),
                }),
            ),
            (
                "by somebody else",
                |p, _| p.approvers = vec!["bob@example.com".into()],
                0,
                not_ann("ann@example.com"),
            ),
            (
                "where nobody may",
                |p, _| p.approvers.clear(),
                0,
                not_ann("ann@example.com"),
            ),
            ("just in time", |_, _| {}, 24, Verdict::Act),
            ("too old", |_, _| {}, 25, expired(24)),
            (
                "after the proposal ran out",
                |_, f| f.proposed = noon() - Duration::hours(25),
                0,
                expired(-1),
            ),
            (
                "in a cooldown all the same",
                |_, f| f.last_change = Some(noon()),
                0,
                Verdict::Hold(Hold::CoolingDown {
                    until: noon() + Duration::minutes(10),
                }),
            ),
        ];
        for (name, turn, hours, expected) in cases {
            let (mut policy, mut facts) = free();
            policy.mode = Mode::Propose;
            facts.approval = Some(approval());
            turn(&mut policy, &mut facts);
            let now = noon() + Duration::hours(hours);
            let verdict = judge(&policy, &facts, chrono_tz::UTC, now);
            assert_eq!(verdict, expected, "{name}");
        }
    }

    #[test]
    fn what_was_begun_is_brought_to_its_end_unless_somebody_stops_it() {
        let (policy, mut facts) = free();
        facts.begun = true;
        facts.last_change = Some(noon());
        facts.within_hour = 99;
        facts.touches = 9999;
        let judge = |facts: &Facts| judge(&policy, facts, chrono_tz::UTC, noon());
        assert_eq!(judge(&facts), Verdict::Act);
        facts.stopped = Some(("ann".into(), "storm".into()));
        assert!(matches!(
            judge(&facts),
            Verdict::Hold(Hold::KillSwitch { .. })
        ));
    }
}
