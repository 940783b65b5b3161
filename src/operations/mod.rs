//! What Poolkeeper does, one room per capability.

pub mod incidents;
pub mod maintenance;
pub mod runs;
mod work;

pub use work::{
    Acceptance, Inbox, Settled, accept_alert, accept_maintenance, alert_document, settle, sweep,
};
