//! What Poolkeeper does, one room per capability.

pub mod changes;
pub mod health;
pub mod incidents;
pub mod maintenance;
pub mod recovery;
pub mod runs;
mod work;

pub use work::{Acceptance, Inbox, Settled, accept, accept_alert, alert_document, settle, sweep};
