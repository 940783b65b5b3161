//! When nobody is told: silences that people ask for, and windows of maintenance.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Class, Ending, GroupKey, Priority};

/// Which signals are meant. What is left out is not looked at; one of rule, tenant and resource has
/// to be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Matcher {
    /// Name of a rule, in any capitals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Id of a tenant, in any capitals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// A resource, endpoint or operation, in any capitals; * stands for any text, also none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Security has to be said; without it, operations is meant.
    #[serde(default = "operations")]
    pub class: Class,
    /// Nothing more urgent than this is kept quiet.
    #[serde(default = "high")]
    pub highest: Priority,
}

fn operations() -> Class {
    Class::Operations
}

fn high() -> Priority {
    Priority::High
}

impl Matcher {
    /// Whether a signal of this kind is meant.
    #[must_use]
    pub fn covers(&self, key: &GroupKey, priority: Priority, class: Class) -> bool {
        let same = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_ref().is_none_or(|wanted| {
                found.is_some_and(|found| wanted.to_lowercase() == found.to_lowercase())
            })
        };
        let resource = self.resource.as_ref().is_none_or(|pattern| {
            let found = key.resource.as_deref().unwrap_or_default();
            fits(&pattern.to_lowercase(), &found.to_lowercase())
        });
        self.class == class
            && priority <= self.highest
            && same(&self.rule, Some(&key.rule))
            && same(&self.tenant, key.tenant.as_deref())
            && resource
    }

    /// What keeps it from being one.
    #[must_use]
    pub fn problem(&self) -> Option<&'static str> {
        let parts = [&self.rule, &self.tenant, &self.resource];
        if parts.iter().all(|part| part.is_none()) {
            return Some("names no rule, tenant or resource: `resource = \"*\"` means everything");
        }
        if parts
            .iter()
            .any(|part| part.as_deref().is_some_and(|text| text.trim().is_empty()))
        {
            return Some("has an empty part: leave it out");
        }
        None
    }
}

/// Whether a text is what a pattern says, with `*` for any text in between.
fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// How it came to be quiet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QuietKind {
    /// Somebody does not want to hear of it.
    Silence,
    /// Work is done on it: its begin and end are events.
    Window,
}

impl QuietKind {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Silence => "silence",
            Self::Window => "window",
        }
    }
}

/// A silence or a one-off window, as somebody asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    pub id: String,
    pub kind: QuietKind,
    pub matcher: Matcher,
    /// Who asked for it: verified.
    pub owner: String,
    pub reason: String,
    pub from: DateTime<Utc>,
    pub until: DateTime<Utc>,
    pub added: DateTime<Utc>,
    #[serde(default)]
    pub ended: Option<Ending>,
}

impl Silence {
    /// When it ends to hold: stated, or earlier if it was ended.
    #[must_use]
    pub fn ends(&self) -> DateTime<Utc> {
        match &self.ended {
            Some(ended) => ended.at.min(self.until),
            None => self.until,
        }
    }

    #[must_use]
    pub fn holds(&self, at: DateTime<Utc>) -> bool {
        self.from <= at && at < self.ends()
    }

    /// What it keeps quiet, as it stands.
    #[must_use]
    pub fn quiet(&self) -> Quiet {
        Quiet {
            name: self.id.clone(),
            kind: self.kind,
            matcher: self.matcher.clone(),
            owner: self.owner.clone(),
            reason: self.reason.clone(),
            from: self.from,
            until: self.ends(),
        }
    }
}

/// One time of quiet: a silence, or one occurrence of a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quiet {
    /// The window's name, or the silence's id.
    pub name: String,
    pub kind: QuietKind,
    pub matcher: Matcher,
    pub owner: String,
    pub reason: String,
    pub from: DateTime<Utc>,
    /// The end of this occurrence.
    pub until: DateTime<Utc>,
}

impl Quiet {
    /// Whether nobody is to be told of a signal of this kind.
    #[must_use]
    pub fn covers(&self, key: &GroupKey, priority: Priority, class: Class) -> bool {
        self.matcher.covers(key, priority, class)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_matcher_covers() {
        let app =
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.App/containerApps/agent-api";
        let key = GroupKey {
            rule: "P95".into(),
            tenant: Some("tenant-a".into()),
            resource: Some(app.into()),
        };
        let bare = GroupKey {
            rule: "p95".into(),
            tenant: None,
            resource: None,
        };
        let (high, critical) = (Priority::High, Priority::Critical);
        let (operations, security) = (Class::Operations, Class::Security);
        for (name, matcher, key, priority, class, expected) in [
            (
                "the rule",
                r#"{"rule":"p95"}"#,
                &key,
                high,
                operations,
                true,
            ),
            (
                "another rule",
                r#"{"rule":"p9"}"#,
                &key,
                high,
                operations,
                false,
            ),
            (
                "the tenant",
                r#"{"tenant":"Tenant-A"}"#,
                &key,
                high,
                operations,
                true,
            ),
            (
                "another tenant",
                r#"{"rule":"p95","tenant":"b"}"#,
                &key,
                high,
                operations,
                false,
            ),
            (
                "no tenant to match",
                r#"{"tenant":"tenant-a"}"#,
                &bare,
                high,
                operations,
                false,
            ),
            (
                "more urgent",
                r#"{"rule":"p95"}"#,
                &key,
                critical,
                operations,
                false,
            ),
            (
                "as urgent as said",
                r#"{"rule":"p95","highest":"critical"}"#,
                &key,
                critical,
                operations,
                true,
            ),
            (
                "less urgent",
                r#"{"rule":"p95"}"#,
                &key,
                Priority::Low,
                operations,
                true,
            ),
            (
                "security, not said",
                r#"{"resource":"*"}"#,
                &key,
                high,
                security,
                false,
            ),
            (
                "security, said",
                r#"{"resource":"*","class":"security"}"#,
                &key,
                high,
                security,
                true,
            ),
            (
                "operations, where security is said",
                r#"{"resource":"*","class":"security"}"#,
                &key,
                high,
                operations,
                false,
            ),
            (
                "any resource",
                r#"{"resource":"*"}"#,
                &bare,
                high,
                operations,
                true,
            ),
            (
                "the end of it",
                r#"{"resource":"*/agent-api"}"#,
                &key,
                high,
                operations,
                true,
            ),
            (
                "the end of another",
                r#"{"resource":"*/agent"}"#,
                &key,
                high,
                operations,
                false,
            ),
            (
                "its middle",
                r#"{"resource":"*/resourcegroups/G/*"}"#,
                &key,
                high,
                operations,
                true,
            ),
            (
                "no resource",
                r#"{"resource":"*/agent-api"}"#,
                &bare,
                high,
                operations,
                false,
            ),
        ] {
            let matcher: Matcher = serde_json::from_str(matcher).expect("a matcher");
            assert_eq!(matcher.covers(key, priority, class), expected, "{name}");
        }
    }

    #[test]
    fn what_a_pattern_fits() {
        for (pattern, text, expected) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "ab", true),
            ("*b", "ab", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*b", "ab", false),
            ("**", "", true),
            ("", "", true),
            ("", "a", false),
            ("あ*う", "あいう", true),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_matcher_has_to_name_something() {
        for (matcher, wrong) in [
            ("{}", true),
            (r#"{"class":"operations"}"#, true),
            (r#"{"rule":" "}"#, true),
            (r#"{"resource":"*"}"#, false),
        ] {
            let matcher: Matcher = serde_json::from_str(matcher).expect("a matcher");
            assert_eq!(matcher.problem().is_some(), wrong, "{matcher:?}");
        }
        assert!(serde_json::from_str::<Matcher>(r#"{"rules":"p95"}"#).is_err());
    }
}
