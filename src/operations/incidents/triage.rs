use super::Target;
use crate::app::App;
use crate::domain::*;
pub struct Triage {
    pub signal: Signal,
    pub findings: Vec<Finding>,
}
pub async fn triage(_app: &App, _alert: &Alert, _targets: &[Target]) -> anyhow::Result<Triage> {
    anyhow::bail!("tmp")
}
