//! Windows of maintenance that come again and again.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Reader;
use crate::domain::{Matcher, Quiet, QuietKind, Window};

/// A window of maintenance, as it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WindowFile {
    name: String,
    /// When it is open, in the estate's time zone, as sun 02:00-04:00.
    when: String,
    /// What nobody is told of meanwhile.
    matcher: Matcher,
    /// Who answers for it.
    owner: String,
    /// What is done in it.
    reason: String,
    /// The last date on which it begins, as 2027-03-31: by then somebody has to want it anew.
    until: String,
}

/// A window of maintenance that comes again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuietWindow {
    pub name: String,
    pub when: Window,
    pub matcher: Matcher,
    pub owner: String,
    pub reason: String,
    /// The last date on which it begins.
    pub until: NaiveDate,
}

impl QuietWindow {
    /// Its occurrences that end after `after` and begin not after `until`, in order.
    #[must_use]
    pub fn occurrences(&self, after: DateTime<Utc>, until: DateTime<Utc>, zone: Tz) -> Vec<Quiet> {
        self.when
            .occurrences(after, until, zone)
            .into_iter()
            .filter(|(from, _)| from.with_timezone(&zone).date_naive() <= self.until)
            .map(|(from, until)| Quiet {
                name: self.name.clone(),
                kind: QuietKind::Window,
                matcher: self.matcher.clone(),
                owner: self.owner.clone(),
                reason: self.reason.clone(),
                from,
                until,
            })
            .collect()
    }
}

impl Reader<'_> {
    pub(super) fn windows(&mut self, files: Vec<WindowFile>) -> Vec<QuietWindow> {
        let mut names = BTreeSet::new();
        let mut windows = Vec::new();
        for (index, file) in files.into_iter().enumerate() {
            let key = format!("windows[{index}]");
            let fits = (1..=40).contains(&file.name.len())
                && file
                    .name
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            if !fits {
                let message = "is no name of a window: 1 to 40 lower-case letters, digits and `-` are possible";
                self.tell(&format!("{key}.name"), message);
            }
            if !names.insert(file.name.clone()) {
                let message = format!("is `{}`, as that of another window", file.name);
                self.tell(&format!("{key}.name"), message);
            }
            for (field, text) in [("owner", &file.owner), ("reason", &file.reason)] {
                if text.trim().is_empty() {
                    self.tell(&format!("{key}.{field}"), "is empty");
                }
            }
            if let Some(problem) = file.matcher.problem() {
                self.tell(&format!("{key}.matcher"), problem);
            }
            let until = self.date(&format!("{key}.until"), &file.until);
            let when = match file.when.parse::<Window>() {
                Ok(when) => Some(when),
                Err(why) => {
                    self.tell(&format!("{key}.when"), why);
                    None
                }
            };
            if let (Some(when), Some(until)) = (when, until) {
                windows.push(QuietWindow {
                    name: file.name,
                    when,
                    matcher: file.matcher,
                    owner: file.owner,
                    reason: file.reason,
                    until,
                });
            }
        }
        windows
    }
}

#[cfg(test)]
mod tests {
    use crate::estate::{Estate, EstateError};

    #[test]
    fn what_is_wrong_with_a_window_is_told() {
        let window = "[[windows]]
name = 'w'
when = 'sun 02:00-04:00'
matcher = { resource = '*' }
owner = 'sre-a'
reason = 'work'
until = '2027-12-31'
";
        for (name, from, to, expected) in [
            ("nothing", "", "", None),
            (
                "its time",
                "'sun 02:00-04:00'",
                "'sundays'",
                Some(
                    "windows[0].when is `sundays`: `01:00-05:00` or `sat,sun 22:00-04:00` is possible",
                ),
            ),
            (
                "its name",
                "'w'",
                "'W/..'",
                Some(
                    "windows[0].name is no name of a window: 1 to 40 lower-case letters, digits and `-` are possible",
                ),
            ),
            (
                "nothing named",
                "{ resource = '*' }",
                "{ highest = 'low' }",
                Some(
                    "windows[0].matcher names no rule, tenant or resource: `resource = \"*\"` means everything",
                ),
            ),
            (
                "a part that does not exist",
                "{ resource = '*' }",
                "{ resourse = '*' }",
                Some("windows[0].matcher.resourse is unknown: is `resource` meant?"),
            ),
            (
                "a class that does not exist",
                "{ resource = '*' }",
                "{ resource = '*', class = 'all' }",
                Some("windows[0].matcher.class is `all`: operations, security is possible"),
            ),
            (
                "nobody's",
                "'sre-a'",
                "' '",
                Some("windows[0].owner is empty"),
            ),
            (
                "no reason",
                "'work'",
                "''",
                Some("windows[0].reason is empty"),
            ),
            (
                "no end",
                "until = '2027-12-31'\n",
                "",
                Some("windows[0].until is missing"),
            ),
            (
                "an end that is no date",
                "'2027-12-31'",
                "'never'",
                Some("windows[0].until is `never`: a date such as 2026-12-31 is possible"),
            ),
        ] {
            let found = match Estate::parse(&window.replacen(from, to, 1)) {
                Ok(_) => Vec::new(),
                Err(EstateError(found)) => found,
            };
            let told: Vec<String> = found
                .iter()
                .map(|p| format!("{} {}", p.key, p.message))
                .collect();
            let expected: Vec<&str> = expected.into_iter().collect();
            assert_eq!(told, expected, "{name}");
        }
        let twice = Estate::parse(&format!("{window}{window}")).map(drop);
        let told = twice.expect_err("two of a name").to_string();
        assert!(
            told.contains("`windows[1].name` is `w`, as that of another window"),
            "{told}"
        );
    }
}
