//! Where signals of rules go. This one function is all that the rules know of incidents.

use sha2::{Digest as _, Sha256};

use crate::app::App;
use crate::domain::Signal;

/// Hands a signal over. Safe to repeat: the same signal is taken once.
///
/// Errors: it was not taken, and is to be told again.
pub(super) async fn tell(app: &App, signal: &Signal) -> anyhow::Result<()> {
    let name = format!("{}\0{}", signal.occurrence, signal.condition.as_str());
    let hash = format!("{:x}", Sha256::digest(name));
    app.store()?
        .create(&format!("signals/{}.json", &hash[..24]), signal)
        .await?;
    Ok(())
}
