//! Alerts as Azure itself knows them: what a webhook says is only a claim.
//!
//! Source: Alerts Management 2019-03-01, `Alerts_GetById`.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Action, Azure, Error, Plane};
use crate::domain::tenant_in;

const API_VERSION: &str = "2019-03-01";

pub const READ_ALERT: Action = Action("Microsoft.AlertsManagement/alerts/read");

/// An alert, read back.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    pub severity: Option<String>,
    /// `Fired` or `Resolved`.
    pub monitor_condition: Option<String>,
    /// `New`, `Acknowledged` or `Closed`: what people made of it.
    pub alert_state: Option<String>,
    pub target_resource: Option<String>,
    pub alert_rule: Option<String>,
    pub start_date_time: Option<DateTime<Utc>>,
    /// The tenant that its dimensions name, by the context that Azure has of it.
    #[serde(skip)]
    pub tenant: Option<String>,
}

/// Reads an alert by the id that a webhook gave.
///
/// Errors: [`Error::Foreign`] if the id is none of an alert in Azure Resource Manager; it is text
/// from a stranger, so nothing is asked for then. [`Error::NotFound`] if Azure does not know it.
pub async fn get(azure: &Azure, id: &str) -> Result<Alert, Error> {
    #[derive(Deserialize)]
    struct Body {
        properties: Properties,
    }
    #[derive(Deserialize)]
    struct Properties {
        essentials: Alert,
        context: Option<Box<RawValue>>,
    }
    if !is_alert(id) {
        return Err(Error::Foreign("an alert id".into()));
    }
    let url = azure.arm(id, API_VERSION)?;
    let body: Body = azure.get(Plane::Arm, url, READ_ALERT, id).await?;
    let Properties {
        essentials,
        context,
    } = body.properties;
    Ok(Alert {
        tenant: context.as_deref().and_then(tenant_in),
        ..essentials
    })
}

/// `/subscriptions/.../providers/Microsoft.AlertsManagement/alerts/<guid>`, and nothing that a URL
/// reads in another way.
fn is_alert(id: &str) -> bool {
    const KIND: &str = "/providers/microsoft.alertsmanagement/alerts/";
    let lower = id.to_ascii_lowercase();
    let plain = lower
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"/-_.()".contains(&b))
        && !lower.contains("..")
        && !lower.contains("//");
    let named = lower
        .rsplit_once(KIND)
        .is_some_and(|(_, guid)| uuid::Uuid::try_parse(guid).is_ok());
    plain && named && lower.starts_with("/subscriptions/")
}

#[cfg(test)]
mod tests {
    use super::is_alert;

    #[test]
    fn what_is_the_id_of_an_alert() {
        let guid = "66114d64-d9d9-478b-95c9-b789d6502100";
        let scope = "/subscriptions/11111111-2222-4333-8444-555555555555";
        let kind = "providers/Microsoft.AlertsManagement/alerts";
        for (id, fits) in [
            (format!("{scope}/{kind}/{guid}"), true),
            (
                format!(
                    "{scope}/resourceGroups/g/providers/Microsoft.App/containerApps/a/{kind}/{guid}"
                ),
                true,
            ),
            (format!("{scope}/{kind}/{guid}/../../x"), false),
            (format!("{scope}/../evil/{kind}/{guid}"), false),
            (format!("https://evil.example{scope}/{kind}/{guid}"), false),
            (format!("//evil.example{scope}/{kind}/{guid}"), false),
            (format!("{scope}/{kind}/{guid}?api-version=1"), false),
            (format!("{scope}/{kind}/none"), false),
            (format!("{scope}/{kind}%2f/{guid}"), false),
            (String::new(), false),
        ] {
            assert_eq!(is_alert(&id), fits, "{id}");
        }
    }
}
