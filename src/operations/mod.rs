//! What Poolkeeper does, one room per capability.

pub mod changes;
pub mod incidents;
pub mod maintenance;
pub mod runs;
pub mod slo;
mod work;

pub use work::{Acceptance, Inbox, Settled, accept, accept_alert, alert_document, settle, sweep};
