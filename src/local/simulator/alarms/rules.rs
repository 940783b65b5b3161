//! When a rule fires, and when what it raised is over.

use serde::{Deserialize, Serialize};

use super::Told;
use crate::local::telemetry::FaultKind;
use crate::local::world::troubles::{Kept, TroubleKind};

/// What a rule looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Crossing {
    Outage,
    Errors,
    Slow,
    Throttle,
    /// A tenant reaches for what is another's.
    Boundary,
}

/// An alert rule of the embedded estate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertRule {
    pub name: String,
    pub what: Crossing,
    pub app: String,
    /// Only what this tenant meets; without it, what anybody meets.
    #[serde(default)]
    pub tenant: Option<String>,
    /// `Sev0` to `Sev4`.
    pub severity: String,
    /// The resource that the alert is about, by its id; the app without it.
    #[serde(default)]
    pub target: Option<String>,
    /// Minutes of the estate's clock for which it has to be so, or to be so no more.
    #[serde(default)]
    pub minutes: u32,
}

/// Whether it is as the rule says, at a minute since 1970.
pub(super) fn crossed(rule: &AlertRule, wrong: &[Kept], told: &[Told], minute: i64) -> bool {
    let of_tenant = |tenant: &Option<String>| {
        tenant.is_none() || rule.tenant.is_none() || *tenant == rule.tenant
    };
    let in_app = wrong.iter().any(|kept| {
        let is = match kept.trouble.kind {
            TroubleKind::Hang | TroubleKind::Crash | TroubleKind::Close => {
                if kept.trouble.tenant.is_some() {
                    Some(Crossing::Errors)
                } else {
                    Some(Crossing::Outage)
                }
            }
            TroubleKind::Fail { .. } => Some(Crossing::Errors),
            TroubleKind::Slow { .. } => Some(Crossing::Slow),
            TroubleKind::Revision => None,
        };
        kept.app == rule.app && is == Some(rule.what) && of_tenant(&kept.trouble.tenant)
    });
    let in_telemetry = told.iter().any(|fault| {
        let is = match fault.kind {
            FaultKind::Outage | FaultKind::Hang => Some(Crossing::Outage),
            FaultKind::Errors(_) => Some(Crossing::Errors),
            FaultKind::Slow(_) | FaultKind::Delay(_) => Some(Crossing::Slow),
            FaultKind::Throttle(_) => Some(Crossing::Throttle),
            FaultKind::Boundary => Some(Crossing::Boundary),
            FaultKind::Silence => None,
        };
        (fault.from..fault.until).contains(&minute)
            && is == Some(rule.what)
            && fault.app.as_ref().is_none_or(|app| *app == rule.app)
            && of_tenant(&fault.tenant)
    });
    in_app || in_telemetry
}

/// Since when the estate is not as the alert says, and whether the alert turns now: fires, or is over.
pub(super) fn turns(
    rule: &AlertRule,
    is_open: bool,
    crossed: bool,
    since: Option<i64>,
    now: i64,
) -> (Option<i64>, bool) {
    if is_open == crossed {
        return (None, false);
    }
    let since = since.unwrap_or(now);
    if now - since >= i64::from(rule.minutes) * 60_000 {
        (None, true)
    } else {
        (Some(since), false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::world::troubles::{Heals, Trouble};

    fn rule(what: Crossing, tenant: Option<&str>, minutes: u32) -> AlertRule {
        AlertRule {
            name: "r".into(),
            what,
            app: "agent-api".into(),
            tenant: tenant.map(str::to_owned),
            severity: "Sev1".into(),
            target: None,
            minutes,
        }
    }

    #[test]
    fn what_crosses_which_rule() {
        use Crossing::{Boundary, Errors, Outage, Slow, Throttle};
        let kept = |kind, tenant: Option<&str>| Kept {
            app: "agent-api".into(),
            trouble: Trouble {
                tenant: tenant.map(str::to_owned),
                ..Trouble::new(kind, Heals::Never)
            },
            began: 0,
            until: None,
        };
        let fail = TroubleKind::Fail { status: 500 };
        for (name, wrong, rule, expected) in [
            (
                "a crash is an outage",
                kept(TroubleKind::Crash, None),
                rule(Outage, None, 0),
                true,
            ),
            (
                "and no error",
                kept(TroubleKind::Crash, None),
                rule(Errors, None, 0),
                false,
            ),
            (
                "one tenant's crash is errors",
                kept(TroubleKind::Crash, Some("a")),
                rule(Errors, None, 0),
                true,
            ),
            (
                "and no outage",
                kept(TroubleKind::Crash, Some("a")),
                rule(Outage, None, 0),
                false,
            ),
            (
                "errors of the tenant",
                kept(fail, Some("a")),
                rule(Errors, Some("a"), 0),
                true,
            ),
            (
                "errors of another",
                kept(fail, Some("b")),
                rule(Errors, Some("a"), 0),
                false,
            ),
            (
                "errors of all",
                kept(fail, None),
                rule(Errors, Some("a"), 0),
                true,
            ),
            (
                "slow",
                kept(TroubleKind::Slow { ms: 1 }, None),
                rule(Slow, None, 0),
                true,
            ),
            (
                "a bad revision",
                kept(TroubleKind::Revision, None),
                rule(Outage, None, 0),
                false,
            ),
        ] {
            assert_eq!(crossed(&rule, &[wrong], &[], 0), expected, "{name}");
        }
        for (fault, rule, minute, expected) in [
            ("boundary,tenant=a,for=5m", rule(Boundary, None, 0), 4, true),
            (
                "boundary,tenant=a,for=5m",
                rule(Boundary, None, 0),
                5,
                false,
            ),
            (
                "boundary,tenant=a,for=5m",
                rule(Boundary, Some("b"), 0),
                4,
                false,
            ),
            ("throttle,for=5m", rule(Throttle, None, 0), 0, true),
            (
                "outage,app=agent-worker,for=5m",
                rule(Outage, None, 0),
                0,
                false,
            ),
            ("silence,for=5m", rule(Outage, None, 0), 0, false),
        ] {
            let told = Told::beginning(fault, 0).expect(fault);
            assert_eq!(
                crossed(&rule, &[], &[told], minute),
                expected,
                "{fault} at {minute}"
            );
        }
    }

    #[test]
    fn an_alert_turns_when_it_was_so_for_long_enough() {
        let minute = 60_000;
        let one = rule(Crossing::Outage, None, 1);
        for (name, rule, open, crossed, since, now, expected) in [
            ("all is well", &one, false, false, None, 0, (None, false)),
            ("it begins", &one, false, true, None, 5, (Some(5), false)),
            (
                "not long enough",
                &one,
                false,
                true,
                Some(5),
                minute,
                (Some(5), false),
            ),
            (
                "long enough",
                &one,
                false,
                true,
                Some(5),
                minute + 5,
                (None, true),
            ),
            (
                "it goes by itself",
                &one,
                false,
                false,
                Some(5),
                minute,
                (None, false),
            ),
            ("it goes on", &one, true, true, None, minute, (None, false)),
            ("it ends", &one, true, false, Some(0), minute, (None, true)),
            (
                "at once",
                &rule(Crossing::Outage, None, 0),
                false,
                true,
                None,
                9,
                (None, true),
            ),
        ] {
            assert_eq!(turns(rule, open, crossed, since, now), expected, "{name}");
        }
    }
}
