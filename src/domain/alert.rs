//! An Azure Monitor alert in the common alert schema: strict where a decision hangs on it,
//! tolerant elsewhere.
//!
//! Source: Azure Monitor, "Common alert schema" and its payload samples, essentials version 1.0.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

/// Azure's five severities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Severity {
    Sev0,
    Sev1,
    Sev2,
    Sev3,
    Sev4,
}

/// Whether the condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Condition {
    Fired,
    Resolved,
}

impl Condition {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fired => "Fired",
            Self::Resolved => "Resolved",
        }
    }
}

/// Why a payload is no alert; a sentence for whoever sent it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);

/// One delivery of an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    pub id: String,
    /// Absent for budget alerts.
    pub rule: Option<String>,
    /// Absent for budget alerts.
    pub severity: Option<Severity>,
    pub condition: Condition,
    /// The service that raised it: `Platform`, `Log Alerts V2`, `CostAlerts`, ...
    pub service: String,
    pub fired: DateTime<Utc>,
    pub resolved: Option<DateTime<Utc>>,
    /// Azure resource ids; empty for budget alerts.
    pub targets: Vec<String>,
    pub description: Option<String>,
    /// The tenant that its dimensions name, if they name one: the sender's word.
    #[serde(default)]
    pub tenant: Option<String>,
    /// Of the operation in the activity log that it is about: the sender's word.
    #[serde(default)]
    pub correlation: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    #[serde(borrow)]
    schema_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    data: Option<Data<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    #[serde(borrow)]
    essentials: Option<Essentials<'a>>,
    /// Kept as it came: its shape differs by kind and by version.
    #[serde(borrow, default)]
    alert_context: Option<&'a RawValue>,
}

/// What of a context is of use; all else, and every other shape, is passed over.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Context<'a> {
    #[serde(borrow)]
    correlation_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    condition: Option<Criteria<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Criteria<'a> {
    #[serde(borrow, default)]
    all_of: Vec<Criterion<'a>>,
}

#[derive(Deserialize)]
struct Criterion<'a> {
    #[serde(borrow, default)]
    dimensions: Option<Vec<Dimension<'a>>>,
}

#[derive(Deserialize)]
struct Dimension<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    value: Option<Cow<'a, str>>,
}

impl<'a> Context<'a> {
    /// Looked into only where there is something to find: most contexts have nothing.
    fn read(raw: Option<&'a RawValue>) -> Self {
        let text = raw.map_or("", RawValue::get);
        if text.contains("\"dimensions\"") || text.contains("\"correlationId\"") {
            serde_json::from_str(text).unwrap_or_default()
        } else {
            Self::default()
        }
    }

    /// The tenant, if the dimensions name exactly one. `Tenant` is how the shipped queries call the
    /// column; `TenantId` with capitals is that of a workspace, and never a tenant of the service.
    fn tenant(&self) -> Option<String> {
        let mut tenants = self
            .condition
            .iter()
            .flat_map(|c| &c.all_of)
            .flat_map(|c| c.dimensions.iter().flatten())
            .filter(|d| matches!(d.name.as_deref(), Some("tenantId" | "Tenant")))
            .filter_map(|d| d.value.as_deref());
        let tenant = tenants.next().filter(|t| !t.is_empty() && t.len() <= 256)?;
        tenants
            .all(|other| other == tenant)
            .then(|| tenant.to_owned())
    }

    fn correlation(&self) -> Option<String> {
        let id = self.correlation_id.as_deref()?;
        (!id.is_empty() && id.len() <= 128).then(|| id.to_owned())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Essentials<'a> {
    #[serde(borrow)]
    alert_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    alert_rule: Option<Cow<'a, str>>,
    #[serde(borrow)]
    severity: Option<Cow<'a, str>>,
    #[serde(borrow)]
    monitor_condition: Option<Cow<'a, str>>,
    #[serde(borrow)]
    monitoring_service: Option<Cow<'a, str>>,
    #[serde(rename = "alertTargetIDs")]
    targets: Option<Vec<String>>,
    #[serde(borrow)]
    fired_date_time: Option<Cow<'a, str>>,
    #[serde(borrow)]
    resolved_date_time: Option<Cow<'a, str>>,
    #[serde(borrow)]
    description: Option<Cow<'a, str>>,
}

/// The tenant that the dimensions in the context of an alert name, if they name exactly one. Azure's
/// own list of alerts has the context within another one.
#[must_use]
pub fn tenant_in(context: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct Wrapped<'a> {
        #[serde(borrow)]
        context: &'a RawValue,
    }
    let inner = serde_json::from_str::<Wrapped<'_>>(context.get()).ok();
    let inner = inner.map_or(context, |wrapped| wrapped.context);
    Context::read(Some(inner)).tenant()
}

impl Alert {
    /// Reads a payload.
    ///
    /// Strict: the schema's name, `alertId`, `monitorCondition`, `firedDateTime`, a severity that
    /// is one of Azure's when there is one, and targets that name something when there are any.
    /// All else may be missing, null or new.
    pub fn parse(payload: &[u8]) -> Result<Self, Invalid> {
        let invalid = |why: &str| Invalid(why.to_owned());
        let envelope: Envelope<'_> = serde_json::from_slice(payload).map_err(|e| {
            Invalid(format!(
                "the body is not a common alert schema payload: {e}"
            ))
        })?;
        if envelope.schema_id.as_deref() != Some("azureMonitorCommonAlertSchema") {
            return Err(invalid(
                "`schemaId` is not `azureMonitorCommonAlertSchema`: switch the common alert schema on in the action group",
            ));
        }
        let data = envelope.data;
        let context = Context::read(data.as_ref().and_then(|d| d.alert_context));
        let essentials = data
            .and_then(|d| d.essentials)
            .ok_or_else(|| invalid("`data.essentials` is missing"))?;
        let present =
            |text: Option<Cow<'_, str>>| text.map(Cow::into_owned).filter(|t| !t.trim().is_empty());
        let id = present(essentials.alert_id).ok_or_else(|| invalid("`alertId` is missing"))?;
        if id.len() > 2048 {
            return Err(invalid("`alertId` is longer than 2,048 bytes"));
        }
        let rule = match essentials.alert_rule {
            Some(rule) if rule.trim().is_empty() => return Err(invalid("`alertRule` is empty")),
            other => other.map(Cow::into_owned),
        };
        let severity = match essentials.severity.as_deref() {
            None => None,
            Some("Sev0") => Some(Severity::Sev0),
            Some("Sev1") => Some(Severity::Sev1),
            Some("Sev2") => Some(Severity::Sev2),
            Some("Sev3") => Some(Severity::Sev3),
            Some("Sev4") => Some(Severity::Sev4),
            Some(_) => return Err(invalid("`severity` is not Sev0, Sev1, Sev2, Sev3 or Sev4")),
        };
        let condition = match essentials.monitor_condition.as_deref() {
            Some("Fired") => Condition::Fired,
            Some("Resolved") => Condition::Resolved,
            _ => return Err(invalid("`monitorCondition` is neither Fired nor Resolved")),
        };
        let targets = match essentials.targets {
            Some(targets) if targets.is_empty() => {
                return Err(invalid("`alertTargetIDs` is an empty list"));
            }
            other => other.unwrap_or_default(),
        };
        let fired = essentials
            .fired_date_time
            .as_deref()
            .and_then(time)
            .ok_or_else(|| invalid("`firedDateTime` is not an RFC 3339 time"))?;
        let resolved = match essentials.resolved_date_time.as_deref() {
            None => None,
            Some(text) => Some(
                time(text).ok_or_else(|| invalid("`resolvedDateTime` is not an RFC 3339 time"))?,
            ),
        };
        Ok(Self {
            id,
            rule,
            severity,
            condition,
            service: present(essentials.monitoring_service).unwrap_or_default(),
            fired,
            resolved,
            targets,
            description: present(essentials.description),
            tenant: context.tenant(),
            correlation: context.correlation(),
        })
    }

    /// Names this delivery: the same for every repetition of it, another for every other.
    ///
    /// An alert id and a condition name it, when the id is that of one alert. The ids of activity
    /// log and budget alerts name the rule or the budget instead and come back each time it
    /// fires, so there the time it fired belongs to the name too.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.id.to_ascii_lowercase());
        hash.update([0]);
        hash.update(self.condition.as_str());
        if !names_one_alert(&self.id) {
            hash.update([0]);
            hash.update(self.fired.timestamp_micros().to_be_bytes());
        }
        short_hex(&hash.finalize())
    }

    /// Names what is paired: Fired and Resolved of one alert share it.
    #[must_use]
    pub fn pair_key(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.id.to_ascii_lowercase());
        if !names_one_alert(&self.id) {
            hash.update([0]);
            hash.update(self.fired.timestamp_micros().to_be_bytes());
        }
        short_hex(&hash.finalize())
    }
}

/// 96 bits are enough to tell alerts apart, and short enough to read out.
fn short_hex(digest: &[u8]) -> String {
    use std::fmt::Write as _;
    digest[..12]
        .iter()
        .fold(String::with_capacity(24), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

fn time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|t| t.to_utc())
}

/// Whether the id is that of one alert instance rather than of a rule or a budget.
fn names_one_alert(id: &str) -> bool {
    let mut segments = id.rsplit('/');
    let (name, kind, provider) = (segments.next(), segments.next(), segments.next());
    kind.is_some_and(|k| k.eq_ignore_ascii_case("alerts"))
        && provider.is_some_and(|p| p.eq_ignore_ascii_case("Microsoft.AlertsManagement"))
        && name.is_some_and(|n| !n.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn payload(change: impl FnOnce(&mut Value)) -> Vec<u8> {
        let mut value = json!({
            "schemaId": "azureMonitorCommonAlertSchema",
            "data": {
                "essentials": {
                    "alertId": "/subscriptions/s/providers/Microsoft.AlertsManagement/alerts/a-1",
                    "alertRule": "エラー率",
                    "severity": "Sev1",
                    "signalType": "Log",
                    "monitorCondition": "Fired",
                    "monitoringService": "Log Alerts V2",
                    "alertTargetIDs": ["/subscriptions/s/resourceGroups/g/providers/Microsoft.App/containerApps/agent"],
                    "firedDateTime": "2026-03-02T06:05:00.1234567Z"
                },
                "alertContext": {"anything": [1, null]}
            }
        });
        change(&mut value);
        value.to_string().into_bytes()
    }

    fn essentials(key: &'static str, value: Value) -> impl FnOnce(&mut Value) {
        move |payload| payload["data"]["essentials"][key] = value
    }

    #[test]
    fn what_is_not_an_alert_is_refused_with_the_reason() {
        let cases: Vec<(&str, Vec<u8>, &str)> = vec![
            (
                "not JSON",
                b"{".to_vec(),
                "not a common alert schema payload",
            ),
            ("a list", b"[]".to_vec(), "schema"),
            (
                "another schema",
                payload(|p| p["schemaId"] = json!("x")),
                "`schemaId`",
            ),
            (
                "no data",
                payload(|p| p["data"] = Value::Null),
                "`data.essentials`",
            ),
            (
                "no id",
                payload(essentials("alertId", Value::Null)),
                "`alertId`",
            ),
            (
                "odd severity",
                payload(essentials("severity", json!("Critical"))),
                "`severity`",
            ),
            (
                "odd condition",
                payload(essentials("monitorCondition", json!("Maybe"))),
                "`monitorCondition`",
            ),
            (
                "no target in the list",
                payload(essentials("alertTargetIDs", json!([]))),
                "`alertTargetIDs`",
            ),
            (
                "no time",
                payload(essentials("firedDateTime", json!("yesterday"))),
                "`firedDateTime`",
            ),
            (
                "invalid UTF-8",
                b"{\"schemaId\":\"\xff\"}".to_vec(),
                "not a common alert schema payload",
            ),
        ];
        for (name, payload, reason) in cases {
            let error = Alert::parse(&payload).expect_err(name);
            assert!(error.0.contains(reason), "{name}: {error}");
        }
    }

    #[test]
    fn what_some_kinds_of_alert_lack_is_no_reason_to_refuse_one() {
        let cases: Vec<(&str, Vec<u8>)> = vec![
            (
                "budgets have no severity",
                payload(essentials("severity", Value::Null)),
            ),
            (
                "budgets have no rule",
                payload(essentials("alertRule", Value::Null)),
            ),
            (
                "budgets have no targets",
                payload(essentials("alertTargetIDs", Value::Null)),
            ),
            (
                "service health has no items",
                payload(essentials("configurationItems", Value::Null)),
            ),
            (
                "no context",
                payload(|p| p["data"]["alertContext"] = Value::Null),
            ),
            (
                "members of a later version",
                payload(essentials("novelty", json!({"a": 1}))),
            ),
        ];
        for (name, payload) in cases {
            assert!(Alert::parse(&payload).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_tenant_is_taken_from_dimensions_that_name_exactly_one() {
        let dimensions = |all: Value| json!({ "condition": { "allOf": all } });
        let one =
            |name: &str, value: Value| json!({ "dimensions": [{ "name": name, "value": value }] });
        for (name, context, expected) in [
            (
                "one",
                dimensions(json!([one("tenantId", json!("a"))])),
                Some("a"),
            ),
            (
                "as shipped queries say",
                dimensions(json!([one("Tenant", json!("a"))])),
                Some("a"),
            ),
            (
                "the same twice",
                dimensions(json!([
                    one("tenantId", json!("a")),
                    one("Tenant", json!("a"))
                ])),
                Some("a"),
            ),
            (
                "two",
                dimensions(json!([
                    one("tenantId", json!("a")),
                    one("tenantId", json!("b"))
                ])),
                None,
            ),
            (
                "a workspace",
                dimensions(json!([one("TenantId", json!("a"))])),
                None,
            ),
            (
                "no text",
                dimensions(json!([one("tenantId", json!(7))])),
                None,
            ),
            ("none", dimensions(json!([{ "dimensions": null }])), None),
            ("another shape", json!([{ "dimensions": [] }]), None),
            ("nothing", Value::Null, None),
        ] {
            let payload = payload(|p| p["data"]["alertContext"] = context);
            let alert = Alert::parse(&payload).expect(name);
            assert_eq!(alert.tenant.as_deref(), expected, "{name}");
        }
        let one = dimensions(json!([one("tenantId", json!("a"))]));
        for (name, context, expected) in [
            ("as a webhook has it", one.clone(), Some("a")),
            ("as the list has it", json!({ "context": one }), Some("a")),
            ("nothing", json!({}), None),
            ("null", json!({ "context": null }), None),
            ("no object", json!(7), None),
        ] {
            let raw = serde_json::value::to_raw_value(&context).expect("JSON");
            assert_eq!(tenant_in(&raw).as_deref(), expected, "{name}");
        }
        let payload = payload(|p| p["data"]["alertContext"] = json!({ "correlationId": "c-1" }));
        let alert = Alert::parse(&payload).expect("an alert");
        assert_eq!(alert.correlation.as_deref(), Some("c-1"));
    }

    #[test]
    fn a_fingerprint_tells_alerts_apart_and_repetitions_not() {
        let parse = |p: Vec<u8>| Alert::parse(&p).expect("a good alert");
        let first = parse(payload(|_| {}));
        let budget = |at: &str| {
            parse(payload(|p| {
                p["data"]["essentials"]["alertId"] =
                    json!("/subscriptions/s/providers/Microsoft.CostManagement/alerts/b");
                p["data"]["essentials"]["firedDateTime"] = json!(at);
            }))
        };
        let same_id_later = parse(payload(essentials(
            "firedDateTime",
            json!("2026-03-02T06:09:00Z"),
        )));
        let other_case = parse(payload(essentials(
            "alertId",
            json!("/SUBSCRIPTIONS/s/providers/microsoft.alertsmanagement/alerts/a-1"),
        )));
        let resolved = parse(payload(essentials("monitorCondition", json!("Resolved"))));
        assert_eq!(
            first.fingerprint(),
            same_id_later.fingerprint(),
            "one alert, sent again"
        );
        assert_eq!(
            first.fingerprint(),
            other_case.fingerprint(),
            "ids ignore case"
        );
        assert_ne!(
            first.fingerprint(),
            resolved.fingerprint(),
            "the condition counts"
        );
        assert_eq!(
            first.pair_key(),
            resolved.pair_key(),
            "Fired and Resolved are a pair"
        );
        assert_ne!(
            budget("2026-03-01T00:00:00Z").fingerprint(),
            budget("2026-04-01T00:00:00Z").fingerprint(),
            "a budget's id comes back every month"
        );
    }
}
