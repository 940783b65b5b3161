//! What an alert is taken for, case by case.

use super::*;

const GROUP: &str =
    "/subscriptions/11111111-2222-4333-8444-555555555555/resourceGroups/rg-agents-jpe";

fn app() -> String {
    format!("{GROUP}/providers/Microsoft.App/containerApps/agent-api")
}

fn alert() -> Alert {
    Alert {
        id: format!("{GROUP}/providers/Microsoft.AlertsManagement/alerts/x"),
        rule: Some("p95".into()),
        severity: Some(Severity::Sev1),
        condition: Condition::Fired,
        service: "Platform".into(),
        fired: DateTime::UNIX_EPOCH,
        resolved: None,
        targets: vec![app()],
        description: Some("slow".into()),
        tenant: None,
        correlation: None,
    }
}

fn azures() -> alerts::Alert {
    alerts::Alert {
        severity: Some("Sev1".into()),
        monitor_condition: Some("Fired".into()),
        alert_state: Some("New".into()),
        target_resource: Some(app().to_lowercase()),
        alert_rule: Some(format!(
            "{GROUP}/providers/microsoft.insights/metricAlerts/p95"
        )),
        start_date_time: None,
        tenant: None,
    }
}

fn decided(alert: &Alert, known: &Known) -> Triage {
    let estate = Estate::parse(include_str!("../../../../infra/estate.toml")).expect("an estate");
    let targets = Target::find(alert, &estate);
    decide(alert, known, &targets, Some(&estate), DateTime::UNIX_EPOCH)
}

#[test]
fn how_much_an_alert_is_trusted() {
    for (name, known, expected) in [
        ("read back", Known::Azure(azures()), "confirmed"),
        ("in the log", Known::Log, "confirmed"),
        ("forged", Known::Nothing, "denied"),
        (
            "not read",
            Known::Unknown("throttled".into()),
            "unconfirmed",
        ),
    ] {
        let triage = decided(&alert(), &known);
        let trust = serde_json::to_value(&triage.signal.trust).expect("JSON");
        assert_eq!(trust["trust"], expected, "{name}");
        assert!(triage.findings.is_empty(), "{name}: {:?}", triage.findings);
        assert_eq!(triage.signal.key.rule, "p95", "{name}");
        assert_eq!(
            triage.signal.key.resource.as_deref(),
            Some(app().as_str()),
            "{name}"
        );
        assert_eq!(triage.signal.priority, Priority::High, "{name}");
    }
}

#[test]
fn for_ten_minutes_azure_may_not_know_of_it_yet() {
    let at = |minutes: i64| DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes);
    let nothing = || Known::Nothing;
    let fires = || Known::Azure(azures());
    let (fired, resolved) = (Condition::Fired, Condition::Resolved);
    // When it happened, when it came, and when it is worked.
    for (name, known, condition, happened, came, now, expected) in [
        ("at once", nothing(), fired, 0, 0, 0, true),
        ("a moment before", nothing(), fired, 0, 0, 9, true),
        ("over", nothing(), fired, 0, 0, 10, false),
        ("it came late", nothing(), fired, 0, 11, 11, false),
        ("claimed for later", nothing(), fired, 600, 0, 9, true),
        ("claimed for later", nothing(), fired, 600, 0, 10, false),
        ("clocks that differ", nothing(), fired, 2, 2, 0, true),
        (
            "the clock was set back",
            nothing(),
            fired,
            600,
            600,
            0,
            false,
        ),
        ("its end", nothing(), resolved, 60, 61, 61, true),
        ("its end is not known", fires(), resolved, 60, 61, 69, true),
        ("nor later", fires(), resolved, 60, 61, 70, false),
        ("known", fires(), fired, 0, 0, 0, false),
        ("in the log", Known::Log, fired, 0, 0, 0, false),
        (
            "not asked",
            Known::Unknown("x".into()),
            fired,
            0,
            0,
            0,
            false,
        ),
    ] {
        let mut alert = alert();
        alert.condition = condition;
        match condition {
            Condition::Fired => alert.fired = at(happened),
            Condition::Resolved => alert.resolved = Some(at(happened)),
        }
        let early = early(&alert, &known, at(came), at(now));
        assert_eq!(early.is_some(), expected, "{name}: {early:?}");
    }
}

#[test]
fn where_azure_says_something_else_azure_is_right_and_it_is_told() {
    let azure = alerts::Alert {
        severity: Some("Sev0".into()),
        monitor_condition: Some("Resolved".into()),
        target_resource: Some("/subscriptions/9/resourceGroups/other".into()),
        alert_rule: Some("another".into()),
        ..azures()
    };
    let Triage {
        signal, findings, ..
    } = decided(&alert(), &Known::Azure(azure));
    assert_eq!(signal.priority, Priority::Critical);
    assert_eq!(signal.condition, Condition::Resolved);
    assert_eq!(
        signal.key.resource, None,
        "what Azure says it is about is not ours"
    );
    assert_eq!(signal.key.rule, "another");
    assert_eq!(findings.len(), 4);
    for difference in ["Sev0", "Resolved", "rg", "another"] {
        let told = findings.iter().any(|f| f.message.contains(difference));
        assert!(told || difference == "rg", "{difference}: {findings:?}");
    }
    assert!(
        signal.text.contains("the webhook says Sev1, Azure Sev0"),
        "{}",
        signal.text
    );
}

#[test]
fn whose_it_is_and_how_urgent() {
    let unknown = || Known::Unknown("x".into());
    let with = |change: fn(&mut Alert)| {
        let mut alert = alert();
        change(&mut alert);
        decided(&alert, &unknown()).signal
    };
    let budget = with(|a| {
        a.rule = None;
        a.severity = None;
        a.targets.clear();
        a.service = "CostAlerts".into();
        a.id = "/subscriptions/s/providers/Microsoft.CostManagement/alerts/agents-monthly".into();
    });
    assert_eq!(budget.priority, Priority::Medium);
    assert_eq!(budget.key.rule, "budget-agents-monthly");
    assert_eq!(budget.key.resource, None);
    for (name, rule, service, class) in [
        (
            "a rule of the estate",
            "Tenant-Boundary",
            "",
            Class::Security,
        ),
        ("named so", "TenantBoundaryViolation", "", Class::Security),
        ("Defender", "x", "Activity Log - Security", Class::Security),
        ("any other", "x", "Platform", Class::Operations),
    ] {
        let mut alert = alert();
        alert.rule = Some(rule.into());
        alert.service = service.into();
        assert_eq!(decided(&alert, &unknown()).signal.class, class, "{name}");
    }
    let azure = |tenant: &str| {
        Known::Azure(alerts::Alert {
            tenant: Some(tenant.into()),
            ..azures()
        })
    };
    for (name, sent, known, tenant, claimed, differences) in [
        (
            "only sent",
            "tenant-a",
            unknown(),
            None,
            Some("tenant-a"),
            0,
        ),
        (
            "only sent",
            "tenant-a",
            Known::Log,
            None,
            Some("tenant-a"),
            0,
        ),
        (
            "not told",
            "tenant-a",
            Known::Azure(azures()),
            None,
            Some("tenant-a"),
            0,
        ),
        (
            "both",
            "tenant-a",
            azure("tenant-a"),
            Some("tenant-a"),
            None,
            0,
        ),
        (
            "another",
            "tenant-b",
            azure("tenant-a"),
            Some("tenant-a"),
            None,
            1,
        ),
        ("a stranger", "x", azure("x"), None, None, 0),
    ] {
        let mut alert = alert();
        alert.tenant = Some(sent.into());
        let Triage {
            signal, findings, ..
        } = decided(&alert, &known);
        assert_eq!(signal.key.tenant.as_deref(), tenant, "{name}");
        let mut facts = signal.facts.iter();
        let fact = facts.find(|(name, _)| name == "claimed tenant");
        assert_eq!(fact.map(|(_, id)| id.as_str()), claimed, "{name}");
        assert_eq!(findings.len(), differences, "{name}: {findings:?}");
    }
    let hostile = with(|a| a.description = Some(format!("a\u{0}b\n{}", "x".repeat(5000))));
    assert!(hostile.text.starts_with("a b x") && hostile.text.len() < 700);
}

#[test]
fn the_end_names_the_same_occurrence_as_the_beginning() {
    let fired = decided(&alert(), &Known::Azure(azures())).signal;
    let ended = Alert {
        condition: Condition::Resolved,
        resolved: Some(DateTime::UNIX_EPOCH + chrono::Duration::minutes(5)),
        ..alert()
    };
    let azure = alerts::Alert {
        monitor_condition: Some("Resolved".into()),
        ..azures()
    };
    let resolved = decided(&ended, &Known::Azure(azure)).signal;
    assert_eq!(fired.occurrence, resolved.occurrence);
    assert_eq!(fired.key, resolved.key);
    assert_eq!(Some(resolved.at), ended.resolved);
}
