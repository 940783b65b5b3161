//! From what a run came to, to what scaling remembers.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};

use super::decide::Because;
use super::judge::Judged;
use super::record::{self, Came, Known, Last};
use super::run::own;
use crate::app::App;
use crate::changes::ChangeRecord;
use crate::domain::{Outcome, ResourceId};
use crate::estate::Estate;
use crate::journal::{ChangeNote, Decided, Run};

/// What became of a proposal, once it is final.
pub(super) fn came_of(estate: &Estate, record: &ChangeRecord, because: Because) -> Option<Came> {
    let outcome = record.outcome.clone().filter(Outcome::is_final)?;
    Some(Came {
        id: record.id.clone(),
        change: record.change.clone(),
        because,
        outcome,
        begun: true,
        at: record.settled.unwrap_or(record.proposed),
        burst: burst(estate, &record.change.resource),
        quiet: estate.policy(record.change.kind()).approval_lasts,
        unmoved: false,
    })
}

/// How long a raise of an app lasts.
fn burst(estate: &Estate, app: &ResourceId) -> Duration {
    let rules = estate.scaling.replicas(app);
    rules.map_or_else(Duration::zero, |rules| rules.burst)
}

/// What came of the changes of a run.
pub(super) fn came_of_notes(
    estate: &Estate,
    decided: &[Decided],
    notes: &[ChangeNote],
    now: DateTime<Utc>,
) -> Vec<Came> {
    let came = notes.iter().filter_map(|note| {
        let mut all = decided.iter();
        let decision = all.find(|d| d.resource == note.what.resource)?;
        Some(Came {
            id: note.id.clone(),
            change: note.what.clone(),
            because: Because::named(&decision.because)?,
            outcome: note.outcome.clone()?,
            begun: note.begun.is_some(),
            at: now,
            burst: burst(estate, &note.what.resource),
            quiet: estate.policy(note.what.kind()).approval_lasts,
            unmoved: false,
        })
    });
    came.collect()
}

/// Keeps what was seen, what was decided, and what came of it.
pub(super) async fn remember(
    app: &App,
    run: &Run,
    judged: &[Judged],
    decided: &[Decided],
    came: &[Came],
) -> anyhow::Result<()> {
    let now = app.clock.now();
    let mut places: BTreeMap<String, ResourceId> = BTreeMap::new();
    let resources = decided.iter().map(|one| &one.resource);
    for resource in resources.chain(came.iter().map(|one| &one.change.resource)) {
        let place = record::place(resource);
        places.insert(place.as_str().to_ascii_lowercase(), place);
    }
    let started = run.started.unwrap_or(now);
    for place in places.values() {
        let here = |resource: &ResourceId| record::place(resource) == *place;
        record::update(app, place, |memory| {
            for one in decided.iter().filter(|one| here(&one.resource)) {
                let known = memory.of(&one.resource);
                let seen = judged.iter().find(|j| j.resource == one.resource);
                known.looked(seen.and_then(|j| j.capacity), started, now);
                known.last = last(run, one, seen.and_then(|j| j.used), now);
                if stale(known, one, started) {
                    known.raised = None;
                }
            }
            for one in came.iter().filter(|one| here(&one.change.resource)) {
                memory.of(&one.change.resource).learn(one, now);
            }
        })
        .await?;
    }
    Ok(())
}

fn last(run: &Run, one: &Decided, used: Option<f64>, now: DateTime<Utc>) -> Option<Last> {
    let note = own(run).find(|note| note.what.resource == one.resource);
    Some(Last {
        at: now,
        run: run.id.clone(),
        has: one.has.clone(),
        used,
        because: Because::named(&one.because)?,
        why: one.why.clone(),
        to: one.to.clone(),
        change: note.map(|note| note.id.clone()),
        outcome: note.and_then(|note| Some(note.outcome.as_ref()?.to_string())),
    })
}

/// Whether a raise is none any more, since somebody else has changed the replicas. A run that began
/// before the raise saw what there was before.
fn stale(known: &Known, one: &Decided, started: DateTime<Utc>) -> bool {
    if known.made.iter().any(|made| made.at > started) {
        return false;
    }
    let unclear = matches!(
        Because::named(&one.because),
        None | Some(Because::Pending | Because::Unread)
    );
    let raised = known.raised.as_ref().map(|raised| raised.to.to_string());
    !unclear && raised.is_some_and(|raised| raised != one.has)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Replicas;
    use crate::operations::autoscale::facts::Raised;
    use crate::operations::autoscale::record::Made;

    #[test]
    fn a_raise_is_forgotten_when_others_changed_it_and_not_by_a_run_that_saw_less() {
        let at = |minute| DateTime::UNIX_EPOCH + Duration::minutes(minute);
        let app = ResourceId::new("s", "g", "Microsoft.App/containerApps", "api");
        let of = |least| Replicas { least, most: 10 };
        let mut known = Known::new(&app);
        known.raised = Some(Raised {
            from: of(2),
            to: of(4),
            since: at(10),
            until: at(40),
        });
        known.made.push(Made {
            change: format!("{:020}", 1).parse().expect("an id"),
            at: at(10),
            up: Some(true),
        });
        let saw = |least, because: Because| Decided {
            resource: app.clone(),
            has: of(least).to_string(),
            because: because.as_str().to_owned(),
            why: String::new(),
            to: None,
            facts: None,
        };
        for (name, saw, started, expected) in [
            (
                "what was raised is there",
                saw(4, Because::Steady),
                20,
                false,
            ),
            ("somebody has changed it", saw(3, Because::Steady), 20, true),
            ("seen before the raise", saw(2, Because::Steady), 9, false),
            ("it could not be read", saw(2, Because::Unread), 20, false),
        ] {
            assert_eq!(stale(&known, &saw, at(started)), expected, "{name}");
        }
    }
}
