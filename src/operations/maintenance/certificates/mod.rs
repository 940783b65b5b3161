//! `check_certificate_expiry`: what in the key vaults ends soon, has ended, or never will.

mod decide;

use futures::{StreamExt as _, stream};

use super::TaskResult;
use crate::app::App;
use crate::azure::key_vault;
use crate::domain::Finding;
use crate::estate::Kind;
use decide::judge;

/// How many vaults are read at once.
const AT_ONCE: usize = 4;

/// Reads every vault of the estate. Changes nothing; safe to repeat.
///
/// A vault that cannot be read is a finding, and stops no other. If none can be read the task
/// fails: then nothing is known.
pub(super) async fn run(app: &App) -> anyhow::Result<TaskResult> {
    let (estate, azure, now) = (app.estate()?, app.azure()?, app.clock.now());
    let vaults: Vec<_> = estate
        .resources()
        .iter()
        .filter(|r| r.kind == Kind::KeyVault)
        .cloned()
        .collect();
    let read: Vec<_> = stream::iter(vaults.clone())
        .map(|vault| async move {
            let items = key_vault::items(azure, &vault.id).await;
            (vault, items)
        })
        .buffered(AT_ONCE)
        .collect()
        .await;
    let (mut findings, mut items, mut unread) = (Vec::new(), 0, Vec::new());
    for (vault, outcome) in read {
        match outcome {
            Ok(found) => {
                items += found.len();
                let told = found
                    .iter()
                    .filter_map(|item| judge(&vault.name, item, &estate.warn_days, now));
                findings.extend(told);
            }
            Err(error) => {
                unread.push(format!("{}: {error}", vault.name));
                let told = Finding::new("vault-unreadable", vault.id.as_str(), error.to_string());
                findings.push(told);
            }
        }
    }
    if !vaults.is_empty() && unread.len() == vaults.len() {
        anyhow::bail!("no vault could be read: {}", unread.join("; "));
    }
    Ok(TaskResult {
        summary: format!(
            "{items} certificates, secrets and keys in {} of {} vaults; {} findings",
            vaults.len() - unread.len(),
            vaults.len(),
            findings.len()
        ),
        findings,
    })
}
