//! The vocabulary that all rooms share. No input, no output, and nothing of ours is imported.

mod alert;
mod ask;
mod cadence;
mod change;
mod finding;
mod hold;
mod holidays;
mod incident;
mod indexing;
mod money;
mod notice;
mod oncall;
mod quiet;
mod repair;
mod resource;
mod schedule;
mod window;

pub use alert::{Alert, Condition, Invalid, Severity, tenant_in};
pub use ask::{Ask, ChangeId, NotAChangeId, person, same_person};
pub use cadence::Cadence;
pub use change::{
    Capacity, Change, ChangeKind, Mode, Mutation, Replica, Replicas, Utilization, Weight,
    utilizations,
};
pub use finding::Finding;
pub use hold::{Hold, Outcome};
pub use holidays::japan;
pub use incident::{
    Class, GroupKey, IncidentEvent, IncidentId, NotAnIncidentId, Priority, Signal, Trust,
    health_after,
};
pub use indexing::{IndexingPolicy, NotAPath, Pattern, PropertyPath, Sort, sorted_by};
pub use money::{Currency, Money};
pub use notice::{Act, Contact, Message, Notice};
pub use oncall::{Ending, Override};
pub use quiet::{Matcher, Quiet, QuietKind, Silence};
pub use repair::Repair;
pub use resource::ResourceId;
pub(crate) use schedule::first_instant;
pub use schedule::{Occurrence, Rhythm, Schedule, Verdict};
pub use window::Window;
