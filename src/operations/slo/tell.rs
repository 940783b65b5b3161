//! Where signals of rules go. This one function is all that the rules know of incidents,
//! and of what answers them.

use crate::app::App;
use crate::domain::Signal;
use crate::operations::{autoscale, incidents};

/// Hands a signal over. Safe to repeat: the same signal is taken once.
///
/// Errors: it was not taken, and is to be told again.
pub(super) async fn tell(app: &App, signal: &Signal) -> anyhow::Result<()> {
    let taken = incidents::take(app, signal).await?;
    if let Some(incident) = &taken.incident {
        autoscale::on_signal(app, signal, incident).await?;
    }
    Ok(())
}
