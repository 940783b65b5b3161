use std::sync::Arc;

use azure_core::credentials::{Secret, TokenCredential};
use azure_identity::{
    ClientSecretCredential, DeveloperToolsCredential, ManagedIdentityCredential,
    ManagedIdentityCredentialOptions, UserAssignedId,
};

use crate::config::Identity;

/// Managed identity where the platform offers one, else a client secret, else developer tools.
///
/// Why our own chain: azure_identity 1.x has no default chain any more.
///
/// Errors: a sentence about the setting that cannot be used.
pub fn credential(identity: &Identity) -> Result<Arc<dyn TokenCredential>, String> {
    let setting = |e: azure_core::Error| format!("credentials: {e}");
    Ok(match identity {
        Identity::Managed { client_id } => {
            let options = ManagedIdentityCredentialOptions {
                user_assigned_id: client_id.clone().map(UserAssignedId::ClientId),
                ..Default::default()
            };
            ManagedIdentityCredential::new(Some(options)).map_err(setting)?
        }
        Identity::ClientSecret {
            tenant,
            client_id,
            secret,
        } => ClientSecretCredential::new(
            tenant,
            client_id.clone(),
            Secret::new(secret.reveal().to_owned()),
            None,
        )
        .map_err(setting)?,
        Identity::Given(credential) => Arc::clone(credential),
        Identity::DeveloperTools => DeveloperToolsCredential::new(None).map_err(setting)?,
    })
}
