//! Where signals of rules go. This one function is all that the rules know of incidents.

use crate::app::App;
use crate::domain::Signal;
use crate::operations::incidents;

/// Hands a signal over. Safe to repeat: the same signal is taken once.
///
/// Errors: it was not taken, and is to be told again.
pub(super) async fn tell(app: &App, signal: &Signal) -> anyhow::Result<()> {
    incidents::take(app, signal).await.map(drop)
}
