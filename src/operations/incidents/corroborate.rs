use crate::app::App;
use crate::domain::*;
use chrono::{DateTime, Utc};
pub async fn corroborate(_a: &App, _k: &GroupKey, _at: DateTime<Utc>) -> Vec<IncidentEvent> {
    Vec::new()
}
