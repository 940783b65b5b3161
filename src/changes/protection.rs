//! Where blobs may be deleted, by the estate and by what Azure says of the container.

use chrono::{DateTime, Duration, Utc};

use super::{Listed, Manifest};
use crate::azure::storage;
use crate::domain::{Hold, Mutation};
use crate::estate::{Estate, LogContainer};
use crate::journal::ChangeNote;

/// The place as the estate lists it now: it may have been taken off the list since, or be kept for
/// longer.
pub(super) fn place<'e>(
    estate: &'e Estate,
    own: &ChangeNote,
    manifest: &Manifest,
    now: DateTime<Utc>,
) -> Result<&'e LogContainer, Hold> {
    let name = &manifest.container;
    let protected = |why: String| Err(Hold::Protected { why });
    let resource = manifest.resource();
    let listed = match &own.what.mutation {
        Mutation::LogDeletion { blobs, .. } => *blobs,
        _ => 0,
    };
    if resource != own.what.resource || manifest.blobs.len() as u64 != listed {
        return Err(Hold::Edited);
    }
    let account = manifest.account.name();
    if (estate.logs.protected.iter()).any(|p| p.container == *name && p.account == account) {
        return protected(format!("container {name} is protected"));
    }
    let begins = |place: &LogContainer| {
        let mut blobs = manifest.blobs.iter();
        blobs.all(|Listed(name, ..)| name.starts_with(&place.prefix))
    };
    let mut places = estate.logs.containers.iter();
    let found = places
        .find(|c| c.account == manifest.account && c.container == *name)
        .filter(|place| begins(place));
    let Some(place) = found else {
        return protected(format!("container {name} is not listed for cleaning"));
    };
    if manifest.older_than > now - Duration::days(i64::from(place.keep_days)) {
        return protected(format!(
            "the logs in {name} are kept for {} days now, which is longer than when the list was made",
            place.keep_days
        ));
    }
    Ok(place)
}

/// Why nothing in a container may be deleted, if so. `is_own`: it is where we keep our journal.
pub(crate) fn protected(
    found: Option<&storage::Container>,
    name: &str,
    is_own: bool,
) -> Option<String> {
    let Some(found) = found else {
        return Some(format!("container {name} does not exist"));
    };
    if is_own {
        return Some(format!(
            "container {name} is where Poolkeeper keeps its own journal"
        ));
    }
    if found.legal_hold {
        return Some(format!("container {name} is under a legal hold"));
    }
    if found.immutable {
        return Some(format!("container {name} has an immutability policy"));
    }
    // Whatever the mark says, somebody put it there.
    let mark = found
        .metadata
        .iter()
        .find(|(key, value)| key.eq_ignore_ascii_case("poolkeeper") && !value.trim().is_empty());
    mark.map(|(_, mark)| format!("container {name} is marked as {mark}"))
}
