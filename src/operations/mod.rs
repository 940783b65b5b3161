//! What Poolkeeper does, one room per capability.

pub mod autoscale;
pub mod capacity;
pub mod changes;
pub mod health;
pub mod incidents;
pub mod maintenance;
pub mod oncall;
pub mod quiet;
pub mod recovery;
pub mod runs;
mod said;
pub mod slo;
mod work;

pub use said::{Heard, Refusal, Said};
pub use work::{Acceptance, Inbox, Settled, accept, accept_alert, alert_document, settle, sweep};
