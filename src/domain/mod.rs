//! The vocabulary that all rooms share. No input, no output, and nothing of ours is imported.

mod alert;
mod cadence;
mod change;
mod finding;
mod resource;
mod schedule;

pub use alert::{Alert, Condition, Invalid, Severity};
pub use cadence::Cadence;
pub use change::{ChangeKind, Mode};
pub use finding::Finding;
pub use resource::ResourceId;
pub use schedule::{Occurrence, Rhythm, Schedule, Verdict};
