//! What time makes of the incidents that are not over.

use std::time::Duration;

use futures::{StreamExt as _, stream};

use super::absorb::OURSELVES;
use super::corroborate::corroborate;
use super::hold::{Held, OPEN, document};
use super::roster::Surroundings;
use super::state::{Incident, Status};
use super::storm::Kind;
use super::{hand_over, storm};
use crate::app::App;
use crate::domain::{IncidentEvent, IncidentId};
use crate::operations::quiet;

/// How many incidents are worked at once.
const AT_ONCE: usize = 8;

/// What a tick came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ticked {
    /// Incidents that are not over.
    pub open: usize,
    /// Those to which something happened.
    pub moved: usize,
    /// Those that could not be worked.
    pub failed: usize,
    /// Windows that began or ended.
    pub windows: usize,
    /// Silences and overrides that cannot be read, and do not hold.
    pub unread: usize,
}

impl std::fmt::Display for Ticked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} incidents open, {} moved on", self.open, self.moved)?;
        if self.windows > 0 {
            write!(f, ", {} windows began or ended", self.windows)?;
        }
        if self.unread > 0 {
            let unread = self.unread;
            write!(
                f,
                ", {unread} silences or overrides cannot be read and do not hold"
            )?;
        }
        match self.failed {
            0 => Ok(()),
            failed => write!(f, ", {failed} could not be worked"),
        }
    }
}

/// Does what is due to every incident that is not over, until `within` has passed. One that cannot
/// be worked stops no other. Safe to repeat; a tick that was missed is made up for by the next.
///
/// Errors: the store.
pub async fn tick(app: &App, within: Duration) -> anyhow::Result<Ticked> {
    let deadline = tokio::time::Instant::now() + within;
    let surroundings = Surroundings::read(app).await?;
    let mut ids = open(app).await?;
    // Whatever a tick has no time for is not the same each time.
    let minute = app.clock.now().timestamp().unsigned_abs() / 60;
    let first = begins_at(minute, ids.len());
    ids.rotate_left(first);
    // Windows come and go on their own; that one cannot be recorded keeps nobody from being told.
    let turned = match quiet::tick(app, &ids).await {
        Ok(turned) => turned.len(),
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "windows were not recorded");
            0
        }
    };
    let (open, surroundings) = (ids.len(), &surroundings);
    let outcomes: Vec<_> = stream::iter(ids.clone())
        .map(|id| async move {
            if tokio::time::Instant::now() >= deadline {
                return Ok(false);
            }
            let moved = one(app, surroundings, &id).await;
            if let Err(error) = &moved {
                tracing::error!(incident = %id, error = format!("{error:#}"), "not worked");
            }
            moved
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    look_into(app, ids, deadline).await;
    Ok(Ticked {
        open,
        moved: outcomes.iter().filter(|o| matches!(o, Ok(true))).count(),
        failed: outcomes.iter().filter(|o| o.is_err()).count(),
        windows: turned,
        unread: surroundings.unread,
    })
}

/// Where the tick of a minute begins among so many incidents. Steps of the golden section leave no part
/// of them long without a beginning, however many there are and however few of them a tick gets to.
fn begins_at(minute: u64, count: usize) -> usize {
    let turn = minute.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let place = (u128::from(turn) * count as u128) >> 64;
    usize::try_from(place).expect("less than the count")
}

/// Adds what can be found out to the incidents that nobody has looked into since they were opened, or
/// opened again. People were told before: what is found out late, or not at all, delays nobody.
async fn look_into(app: &App, ids: Vec<IncidentId>, deadline: tokio::time::Instant) {
    stream::iter(ids)
        .for_each_concurrent(AT_ONCE, |id| async move {
            if tokio::time::Instant::now() >= deadline {
                return;
            }
            if let Err(error) = look(app, &id).await {
                tracing::warn!(incident = %id, error = format!("{error:#}"), "not looked into");
            }
        })
        .await;
}

async fn look(app: &App, id: &IncidentId) -> anyhow::Result<()> {
    let Some(stored) = app.store()?.get::<Incident>(&document(id)).await? else {
        return Ok(());
    };
    let incident = stored.value;
    if incident.looked >= incident.rounds || incident.status == Status::Resolved {
        return Ok(());
    }
    let found = corroborate(app, &incident.key, app.clock.now()).await;
    let surroundings = Surroundings::read(app).await?;
    let Some(mut held) = Held::take(app, id, None).await? else {
        return Ok(());
    };
    for evidence in found {
        held.add(evidence).await?;
    }
    let means = surroundings.means(app, &held.incident);
    held.finish(means.as_ref()).await?;
    Ok(())
}

/// Incidents that are not over.
pub(super) async fn open(app: &App) -> anyhow::Result<Vec<IncidentId>> {
    let names = app.store()?.list_all(OPEN).await?;
    let id = |name: &String| name.strip_prefix(OPEN)?.parse().ok();
    Ok(names.iter().filter_map(id).collect())
}

/// Whether this is the incident of a storm that is over. Not what a person says is not over.
async fn has_passed(
    app: &App,
    surroundings: &Surroundings<'_>,
    incident: &Incident,
) -> anyhow::Result<bool> {
    let Some(kind) = Kind::of_key(&incident.key) else {
        return Ok(false);
    };
    if incident.status == Status::Resolved || incident.kept_open || !incident.is_firing() {
        return Ok(false);
    }
    Ok(storm::has_passed(app, &incident.id, kind, surroundings.policy()).await?)
}

async fn one(app: &App, surroundings: &Surroundings<'_>, id: &IncidentId) -> anyhow::Result<bool> {
    let (store, now) = (app.store()?, app.clock.now());
    let Some(stored) = store.get::<Incident>(&document(id)).await? else {
        return Ok(false);
    };
    let incident = stored.value;
    let has_passed = has_passed(app, surroundings, &incident).await?;
    // Without a time: whoever made it, or ended it, did not come to the end.
    let due = incident.next.is_none_or(|next| next <= now);
    let waits = !incident.unposted.is_empty() || !incident.announcements.is_empty();
    if !due && !waits && !has_passed && !surroundings.turns_quiet(&incident) {
        return Ok(false);
    }
    let Some(mut held) = Held::take(app, id, None).await? else {
        return Ok(false);
    };
    // What came before it was ours is seen here.
    if has_passed && self::has_passed(app, surroundings, &held.incident).await? {
        let fired = |(name, one): (&String, &super::Occurrence)| {
            (one.fired.is_some() && one.cleared.is_none()).then(|| name.clone())
        };
        let names: Vec<_> = held.incident.occurrences.iter().filter_map(fired).collect();
        for occurrence in names {
            held.add(IncidentEvent::Cleared {
                occurrence,
                by: OURSELVES.into(),
                reason: "everything that it swallowed has ended".into(),
            })
            .await?;
        }
        held.add(IncidentEvent::Resolved {
            by: OURSELVES.into(),
            reason: "nothing new comes, and everything that it swallowed has ended".into(),
        })
        .await?;
    }
    let before = held.incident.events;
    let means = surroundings.means(app, &held.incident);
    let (incident, told) = held.finish(means.as_ref()).await?;
    if told {
        hand_over(app, id).await;
    }
    Ok(incident.events != before || has_passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_incident_waits_long_however_many_there_are() {
        for count in [1_usize, 2, 37, 74, 100, 107, 990, 1980, 3959, 7919] {
            for share in [1, 3, 10] {
                let each = (count / share).max(1);
                let ticks = 3 * count.div_ceil(each) as u64;
                for begin in [0, 28_800_000, u64::from(u32::MAX)] {
                    let mut worked = vec![false; count];
                    for minute in begin..begin + ticks {
                        let first = begins_at(minute, count);
                        (first..first + each).for_each(|at| worked[at % count] = true);
                    }
                    let left = worked.iter().filter(|one| !**one).count();
                    assert_eq!(left, 0, "{count} incidents, {each} a tick");
                }
            }
        }
    }
}
