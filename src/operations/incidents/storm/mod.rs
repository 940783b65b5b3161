//! Storms: when very many new incidents come at once, one incident with a list stands for the rest.

mod members;
mod rate;

pub use members::Member;
pub(super) use members::{clear, folders, forget, has_passed, join, listed, members};
pub(super) use rate::{Gate, announced, end, gate};

use chrono::{DateTime, Utc};

use crate::domain::{Class, Condition, GroupKey, IncidentId, Priority, Signal, Trust};
use crate::estate::IncidentPolicy;
use crate::journal::Hash;

/// Of what a storm is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Confirmed,
    /// Of what nothing confirms: it stands beside a storm that is real, and hides nothing of it.
    Unconfirmed,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Confirmed, Self::Unconfirmed];

    fn of(signal: &Signal) -> Self {
        match signal.trust {
            Trust::Confirmed { .. } => Self::Confirmed,
            Trust::Unconfirmed { .. } | Trust::Denied { .. } => Self::Unconfirmed,
        }
    }

    /// The kind of storm that a key is of, if it is of one.
    pub(super) fn of_key(key: &GroupKey) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.key() == *key)
    }

    pub(super) fn key(self) -> GroupKey {
        let rule = match self {
            Self::Confirmed => "alert-storm",
            Self::Unconfirmed => "alert-storm-unconfirmed",
        };
        GroupKey {
            rule: rule.into(),
            tenant: None,
            resource: None,
        }
    }
}

/// What names a signal in a storm. Occurrences are of their key: all endpoints that fail at the same
/// moment say the same.
fn hash_of(signal: &Signal) -> Hash {
    Hash::of(format!("{}/{}", signal.key.hash(), signal.occurrence).as_bytes())
}

/// Whether a storm may list this instead of its being told by itself. What concerns security never
/// is; what Azure denies is one incident of its own already, however much of it comes.
pub(super) fn may_swallow(signal: &Signal) -> bool {
    let is_denied = matches!(signal.trust, Trust::Denied { .. });
    signal.class != Class::Security && !is_denied && Kind::of_key(&signal.key).is_none()
}

/// Whether an incident is the one of a storm.
#[must_use]
pub fn is_storm(id: &IncidentId) -> bool {
    let stem = |id: &IncidentId| {
        id.as_str()
            .rsplit_once('-')
            .map(|(stem, _)| stem.to_owned())
    };
    Kind::ALL
        .into_iter()
        .any(|kind| stem(&IncidentId::new(&kind.key(), 1)) == stem(id))
}

/// The signal of a storm that began then: what names it.
pub(super) fn occurrence(began: DateTime<Utc>) -> String {
    format!("storm-{}", began.timestamp_millis())
}

/// The signal that stands for all that a storm swallows.
pub(super) fn signal(
    policy: &IncidentPolicy,
    kind: Kind,
    began: DateTime<Utc>,
    priority: Priority,
) -> Signal {
    let minutes = policy.storm_window.num_minutes();
    let (title, unsure) = match kind {
        Kind::Confirmed => ("A storm of alerts", ""),
        Kind::Unconfirmed => (
            "A storm of alerts that nothing confirms",
            " that nothing confirms",
        ),
    };
    Signal {
        key: kind.key(),
        condition: Condition::Fired,
        priority,
        class: Class::Operations,
        title: title.into(),
        text: format!(
            "More than {} new incidents{unsure} came within {minutes} minutes. Those that come after them are listed in this one instead of being told one by one.",
            policy.storm_incidents
        ),
        facts: Vec::new(),
        at: began,
        occurrence: occurrence(began),
        trust: Trust::Confirmed {
            how: "counted here".into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_incident_of_a_storm_is_known_by_its_id() {
        for kind in Kind::ALL {
            assert!(is_storm(&IncidentId::new(&kind.key(), 7)));
            assert_eq!(Kind::of_key(&kind.key()), Some(kind));
        }
        let mut other = Kind::Confirmed.key();
        other.tenant = Some("tenant-a".into());
        assert!(!is_storm(&IncidentId::new(&other, 7)));
        assert_eq!(Kind::of_key(&other), None);
    }
}
