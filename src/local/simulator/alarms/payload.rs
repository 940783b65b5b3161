//! What an action group posts. Source: Azure Monitor, "Common alert schema", log alerts V2.

use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};

use super::rules::{AlertRule, Crossing};

fn time(ms: i64) -> Value {
    let at = DateTime::from_timestamp_millis(ms).unwrap_or_default();
    at.to_rfc3339_opts(SecondsFormat::Millis, true).into()
}

/// What a rule looks for, as a query, a threshold, and a number that crosses it.
fn criterion(what: Crossing) -> (&'static str, &'static str, f64) {
    match what {
        Crossing::Outage => ("AppAvailabilityResults | where Success == false", "0", 1.0),
        Crossing::Errors => ("AppRequests | where Success == false", "5", 42.0),
        Crossing::Slow => (
            "AppRequests | summarize percentile(DurationMs, 95)",
            "3000",
            5200.0,
        ),
        Crossing::Throttle => ("AppDependencies | where ResultCode == '429'", "50", 300.0),
        Crossing::Boundary => (
            "AppEvents | where Name == 'TenantBoundaryViolation'",
            "0",
            1.0,
        ),
    }
}

/// An alert that fired, or that is over when `resolved` says when.
pub(super) fn common(
    rule: &AlertRule,
    id: &str,
    target: &str,
    fired: i64,
    resolved: Option<i64>,
) -> Value {
    let subscription = target.split('/').take(3).collect::<Vec<_>>().join("/");
    let name = target.rsplit('/').next().unwrap_or_default();
    let (query, threshold, value) = criterion(rule.what);
    let mut dimensions = vec![json!({ "name": "AppRoleName", "value": rule.app })];
    if let Some(tenant) = &rule.tenant {
        dimensions.push(json!({ "name": "tenantId", "value": tenant }));
    }
    let mut body = json!({
        "schemaId": "azureMonitorCommonAlertSchema",
        "data": {
            "essentials": {
                "alertId": format!("{subscription}/providers/Microsoft.AlertsManagement/alerts/{id}"),
                "alertRule": rule.name,
                "severity": rule.severity,
                "signalType": "Log",
                "monitorCondition": if resolved.is_some() { "Resolved" } else { "Fired" },
                "monitoringService": "Log Alerts V2",
                "alertTargetIDs": [target.to_ascii_lowercase()],
                "configurationItems": [name],
                "originAlertId": id,
                "firedDateTime": time(fired),
                "description": format!("{:?} of {}", rule.what, rule.app),
                "essentialsVersion": "1.0",
                "alertContextVersion": "1.0",
            },
            "alertContext": {
                "properties": {},
                "conditionType": "LogQueryCriteria",
                "condition": {
                    "windowSize": "PT5M",
                    "allOf": [{
                        "searchQuery": query,
                        "metricMeasureColumn": null,
                        "targetResourceTypes": "['Microsoft.App/containerApps']",
                        "operator": "GreaterThan",
                        "threshold": threshold,
                        "timeAggregation": "Count",
                        "dimensions": dimensions,
                        "metricValue": if resolved.is_some() { 0.0 } else { value },
                        "failingPeriods": {
                            "numberOfEvaluationPeriods": 1, "minFailingPeriodsToAlert": 1,
                        },
                    }],
                    "windowStartTime": time(fired - 300_000),
                    "windowEndTime": time(fired),
                },
            },
        },
    });
    if let Some(at) = resolved {
        body["data"]["essentials"]["resolvedDateTime"] = time(at);
    }
    body
}
