//! The only door through which anything outside is changed.
//!
//! A change is data. It is proposed, judged by the [`guard`] over facts that are read while a lease
//! on its resource is held, written down as an intent, made, read back, and written down as an
//! outcome. That Azure took a request is never a success.
//!
//! Whoever dies on the way is followed by somebody who reads the journal: what has an intent and no
//! outcome may have been made, so it is looked at again before anything is done.

mod act;
mod apply;
mod brake;
mod deletion;
mod ending;
mod facts;
pub mod guard;
mod kill_switch;
mod manifest;
mod protection;
mod record;

pub use apply::{apply, carry_out};
pub use ending::{give_up, reject};
pub use kill_switch::{KillSwitch, turn};
pub use manifest::{Listed, Manifest};
pub(crate) use protection::protected;
pub use record::{ChangePage, ChangeRecord, all, find, open_on};

use crate::domain::{Change, ChangeId, ChangeKind, ResourceId};
use crate::journal::{Hash, RunId};

/// Who proposes what scaling wants. Where the estate lets it scale something, everybody else may only
/// propose.
pub const SCALING: &str = "poolkeeper/autoscale";

/// Names the change of one kind that a run proposes for one resource. A run that is taken up again
/// meets its own proposal.
#[must_use]
pub fn id(run: &RunId, kind: ChangeKind, resource: &ResourceId) -> ChangeId {
    let name = format!("{run} {kind} {}", resource.as_str().to_ascii_lowercase());
    Hash::of(name.as_bytes()).as_str()[..20]
        .parse()
        .expect("hexadecimal digits")
}

/// What an approval is bound to: every letter of the change.
#[must_use]
pub fn hash(change: &Change) -> Hash {
    Hash::of(&serde_json::to_vec(change).expect("a change is plain data"))
}
