use chrono::{DateTime, Utc};

use crate::azure::key_vault::{Item, ItemKind};
use crate::domain::Finding;

/// What is to be said about one item, if anything. `warn_days` has the most days first.
///
/// Disabled comes before all else, since nobody uses it; then what has ended, what has not begun,
/// what ends soon, and what never ends. A secret without an end is told like a key: both live on
/// when whoever made them is gone.
pub(super) fn judge(
    vault: &str,
    item: &Item,
    warn_days: &[u32],
    now: DateTime<Utc>,
) -> Option<Finding> {
    let kind = item.kind.as_str();
    let subject = format!("{vault}/{kind}s/{}", item.name);
    let told = |code: &str, message: String| Some(Finding::new(code, subject.clone(), message));
    if !item.enabled {
        // A disabled secret or key is how one is taken out of use; a certificate is served.
        return (item.kind == ItemKind::Certificate)
            .then(|| told("disabled", format!("the {kind} is disabled")))
            .flatten();
    }
    let Some(expires) = item.expires else {
        return told(
            "no-expiry",
            format!("the {kind} never expires: give it an end"),
        );
    };
    let date = expires.format("%Y-%m-%d %H:%M UTC");
    if expires <= now {
        let days = (now - expires).num_days();
        return told(
            "expired",
            format!("the {kind} expired {days} days ago, on {date}"),
        );
    }
    if let Some(begins) = item.not_before.filter(|begins| *begins > now) {
        let begins = begins.format("%Y-%m-%d %H:%M UTC");
        return told(
            "not-yet-valid",
            format!("the {kind} is not valid before {begins}"),
        );
    }
    let left = expires - now;
    let crossed = warn_days
        .iter()
        .rev()
        .find(|days| left <= chrono::Duration::days(i64::from(**days)))?;
    told(
        &format!("expires-within-{crossed}-days"),
        format!("the {kind} expires in {} days, on {date}", left.num_days()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::Duration;

    #[test]
    fn what_is_said_of_an_item() {
        let now = DateTime::from_timestamp(1_772_431_200, 0).expect("a time");
        let days = |n: i64| Some(now + Duration::days(n));
        let seconds = |n: i64| Some(now + Duration::seconds(n));
        let warn = [60, 30, 14, 7];
        let (certificate, secret, key) = (ItemKind::Certificate, ItemKind::Secret, ItemKind::Key);
        let cases = [
            ("far away", certificate, true, None, days(61), None),
            (
                "sixty days",
                certificate,
                true,
                None,
                days(60),
                Some("expires-within-60-days"),
            ),
            (
                "a second more",
                certificate,
                true,
                None,
                seconds(60 * 86_400 + 1),
                None,
            ),
            (
                "thirty-one days",
                secret,
                true,
                None,
                days(31),
                Some("expires-within-60-days"),
            ),
            (
                "thirty days",
                secret,
                true,
                None,
                days(30),
                Some("expires-within-30-days"),
            ),
            (
                "fourteen days",
                key,
                true,
                None,
                days(14),
                Some("expires-within-14-days"),
            ),
            (
                "seven days",
                certificate,
                true,
                None,
                days(7),
                Some("expires-within-7-days"),
            ),
            (
                "one second",
                certificate,
                true,
                None,
                seconds(1),
                Some("expires-within-7-days"),
            ),
            (
                "this second",
                certificate,
                true,
                None,
                seconds(0),
                Some("expired"),
            ),
            ("long ago", secret, true, None, days(-400), Some("expired")),
            ("never", key, true, None, None, Some("no-expiry")),
            (
                "a secret for ever",
                secret,
                true,
                None,
                None,
                Some("no-expiry"),
            ),
            (
                "not begun",
                certificate,
                true,
                days(2),
                days(400),
                Some("not-yet-valid"),
            ),
            ("begun", certificate, true, days(-2), days(400), None),
            (
                "disabled and expired",
                certificate,
                false,
                None,
                days(-1),
                Some("disabled"),
            ),
            ("a key out of use", key, false, None, None, None),
        ];
        for (name, kind, enabled, not_before, expires, expected) in cases {
            let item = Item {
                kind,
                name: "x".into(),
                enabled,
                not_before,
                expires,
            };
            let told = judge("kv", &item, &warn, now);
            assert_eq!(told.as_ref().map(|f| f.code.as_str()), expected, "{name}");
            assert!(told.is_none_or(|f| f.subject == format!("kv/{}s/x", kind.as_str())));
        }
        let item = Item {
            kind: certificate,
            name: "x".into(),
            enabled: true,
            not_before: None,
            expires: days(10),
        };
        let only = judge("kv", &item, &[20], now).expect("a finding");
        assert_eq!(only.code, "expires-within-20-days");
    }
}
