//! How long to wait before something is tried again.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// The longest pause between two tries, whoever asks for more.
pub(super) const LONGEST: Duration = Duration::from_secs(300);
const FIRST: Duration = Duration::from_secs(5);

/// The pause after so many failures: doubled each time, at most [`LONGEST`], and between half of it
/// and the whole. `spread` is from 0 to 1.
pub(super) fn growing(failures: u32, spread: f64) -> Duration {
    let doubled = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(10));
    let whole = doubled.min(LONGEST).as_secs_f64();
    Duration::from_secs_f64(whole / 2.0 + whole / 2.0 * spread.clamp(0.0, 1.0))
}

/// A number from 0 to 1 that nobody can foresee.
pub(super) fn chance() -> f64 {
    f64::from(uuid::Uuid::new_v4().as_u128() as u32) / f64::from(u32::MAX)
}

/// How long a server asks to be left alone: `Retry-After` in seconds or as a date, or the moment at
/// which its limit is counted anew, where nothing is left of it. An hour at most.
///
/// Source: RFC 9110, 10.2.3; the `RateLimit` headers have as many forms as vendors: seconds from now,
/// seconds since 1970, or a date.
pub(super) fn asked(headers: &HeaderMap, is_refusal: bool, now: DateTime<Utc>) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let until = |at: DateTime<Utc>| (at - now).to_std().unwrap_or_default();
    let moment = |text: &str| -> Option<Duration> {
        if let Ok(seconds) = text.parse::<f64>() {
            if !(seconds.is_finite() && seconds >= 0.0) {
                return None;
            }
            // Nobody asks for thirty years: that is a date.
            return Some(if seconds > 1e9 {
                until(DateTime::from_timestamp(seconds as i64, 0)?)
            } else {
                Duration::try_from_secs_f64(seconds).ok()?
            });
        }
        let http = httpdate::parse_http_date(text)
            .ok()
            .map(DateTime::<Utc>::from);
        let iso = || {
            DateTime::parse_from_rfc3339(text)
                .ok()
                .map(|at| at.to_utc())
        };
        http.or_else(iso).map(until)
    };
    let reset = || {
        let nothing_left = ["x-ratelimit-remaining", "ratelimit-remaining"]
            .iter()
            .any(|name| text(name) == Some("0"));
        if !(is_refusal || nothing_left) {
            return None;
        }
        ["x-ratelimit-reset", "ratelimit-reset"]
            .iter()
            .find_map(|name| text(name).and_then(moment))
    };
    text(RETRY_AFTER.as_str())
        .and_then(moment)
        .or_else(reset)
        .map(|pause| pause.min(Duration::from_secs(3600)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_five_minutes() {
        let whole: Vec<u64> = (1..10).map(|n| growing(n, 1.0).as_secs()).collect();
        assert_eq!(whole, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
        assert_eq!(growing(1, 0.0), Duration::from_millis(2500));
        assert_eq!(growing(u32::MAX, 0.0), Duration::from_secs(150));
    }

    #[test]
    fn what_servers_ask_for() {
        let now: DateTime<Utc> = "2026-03-02T06:00:00Z".parse().expect("a time");
        for (name, headers, is_refusal, expected) in [
            ("seconds", &[("retry-after", "30")][..], true, Some(30)),
            (
                "a date",
                &[("retry-after", "Mon, 02 Mar 2026 06:02:00 GMT")],
                true,
                Some(120),
            ),
            (
                "a date that has been",
                &[("retry-after", "Mon, 02 Mar 2026 05:00:00 GMT")],
                true,
                Some(0),
            ),
            ("nonsense", &[("retry-after", "soon")], true, None),
            ("a negative number", &[("retry-after", "-3")], true, None),
            ("years", &[("retry-after", "900000000")], true, Some(3600)),
            (
                "seconds of a limit",
                &[("ratelimit-reset", "7")],
                true,
                Some(7),
            ),
            (
                "since 1970",
                &[("x-ratelimit-reset", "1772431260")],
                true,
                Some(60),
            ),
            (
                "as Jira has it",
                &[("x-ratelimit-reset", "2026-03-02T06:01Z")],
                true,
                None,
            ),
            (
                "with seconds",
                &[("x-ratelimit-reset", "2026-03-02T06:01:00Z")],
                true,
                Some(60),
            ),
            (
                "taken, and nothing is left",
                &[("x-ratelimit-reset", "9"), ("x-ratelimit-remaining", "0")],
                false,
                Some(9),
            ),
            (
                "taken, and something is left",
                &[("x-ratelimit-reset", "9"), ("x-ratelimit-remaining", "3")],
                false,
                None,
            ),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(*name, value.parse().expect("a value"));
            }
            let pause = asked(&map, is_refusal, now).map(|pause| pause.as_secs());
            assert_eq!(pause, expected, "{name}");
        }
    }
}
