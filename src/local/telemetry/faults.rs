//! What goes wrong, when and for whom.

use std::str::FromStr;

use chrono::{DateTime, Utc};

/// One stretch of trouble.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    pub kind: FaultKind,
    /// Minutes since 1970, the second one excluded.
    pub from: i64,
    pub until: i64,
    /// Only this tenant.
    pub tenant: Option<String>,
    /// Only tenants of this region.
    pub region: Option<String>,
    /// Only what this app answers.
    pub app: Option<String>,
}

/// What a [`Fault`] does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FaultKind {
    /// Every request fails, and so do probes when it is not for one tenant.
    Outage,
    /// Every request waits until whoever asked gives up.
    Hang,
    /// Everything takes so many times as long.
    Slow(f64),
    /// Every request takes so many milliseconds longer.
    Delay(f64),
    /// This share of requests fails with 500.
    Errors(f64),
    /// This share of calls to Cosmos is refused with 429.
    Throttle(f64),
    /// The application tells nothing at all; only probes still do.
    Silence,
    /// Once a minute the tenant reaches for what is another's, and is stopped.
    Boundary,
}

impl Fault {
    /// Whether it is on at `minute` for what is named here.
    pub(super) fn hits(&self, minute: i64, tenant: &str, region: &str, app: &str) -> bool {
        let is = |only: &Option<String>, name: &str| only.as_deref().is_none_or(|o| o == name);
        self.on(minute)
            && is(&self.tenant, tenant)
            && is(&self.region, region)
            && is(&self.app, app)
    }

    pub(super) fn on(&self, minute: i64) -> bool {
        (self.from..self.until).contains(&minute)
    }

    /// Whether it is for everybody.
    pub(super) fn is_general(&self) -> bool {
        self.tenant.is_none() && self.region.is_none() && self.app.is_none()
    }
}

impl Fault {
    /// As [`Fault::from_str`], beginning at `minute` when the text says nothing else.
    ///
    /// Errors: what is wrong with the text.
    pub fn beginning(text: &str, minute: i64) -> Result<Self, String> {
        Self::read(text, Some(minute))
    }

    fn read(text: &str, mut from: Option<i64>) -> Result<Self, String> {
        let mut parts = text.split(',').map(str::trim);
        let kind = parts.next().unwrap_or_default();
        let mut lasts = None;
        let (mut tenant, mut region, mut app) = (None, None, None);
        let (mut portion, mut factor) = (None, None);
        for part in parts {
            let (key, value) = part
                .split_once('=')
                .ok_or_else(|| format!("`{part}` is not KEY=VALUE"))?;
            let name = || Some(value.to_owned());
            match key {
                "from" => from = Some(minute(value)?),
                "for" => lasts = Some(duration(value)?),
                "tenant" => tenant = name(),
                "region" => region = name(),
                "app" => app = name(),
                "share" => portion = Some(number(value, 0.0, 1.0)?),
                "factor" => factor = Some(number(value, 1.0, 1000.0)?),
                _ => {
                    return Err(format!(
                        "`{key}` is none of from, for, tenant, region, app, share, factor"
                    ));
                }
            }
        }
        let takes_portion = matches!(kind, "errors" | "throttle");
        if portion.is_some() && !takes_portion {
            return Err(format!("`{kind}` takes no share"));
        }
        if factor.is_some() && kind != "slow" {
            return Err(format!("`{kind}` takes no factor"));
        }
        let kind = match kind {
            "outage" => FaultKind::Outage,
            "slow" => FaultKind::Slow(factor.unwrap_or(5.0)),
            "errors" => FaultKind::Errors(portion.unwrap_or(0.05)),
            "throttle" => FaultKind::Throttle(portion.unwrap_or(0.3)),
            "silence" => FaultKind::Silence,
            "boundary" => FaultKind::Boundary,
            _ => {
                return Err(format!(
                    "`{kind}` is none of outage, slow, errors, throttle, silence, boundary"
                ));
            }
        };
        let from = from.ok_or("`from=TIME` is missing")?;
        let lasts = lasts.ok_or("`for=DURATION` is missing")?;
        Ok(Self {
            kind,
            from,
            until: from + lasts,
            tenant,
            region,
            app,
        })
    }
}

impl FromStr for Fault {
    type Err = String;

    /// `KIND,from=TIME,for=DURATION` and, as it applies, `tenant=`, `region=`, `app=`, `share=`,
    /// `factor=`.
    fn from_str(text: &str) -> Result<Self, String> {
        Self::read(text, None)
    }
}

fn minute(text: &str) -> Result<i64, String> {
    // A minute is enough of a time; seconds would be lost anyway.
    let full = text.replace('Z', ":00Z");
    let read = DateTime::parse_from_rfc3339(text).or_else(|_| DateTime::parse_from_rfc3339(&full));
    read.map(|at| at.with_timezone(&Utc).timestamp().div_euclid(60))
        .map_err(|_| format!("`{text}` is no time like 2026-11-20T03:00Z"))
}

/// Minutes of `90m`, `6h` or `2d`.
fn duration(text: &str) -> Result<i64, String> {
    let wrong = || format!("`{text}` is no duration like 90m, 6h or 2d");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let minutes = match unit {
        'm' => 1,
        'h' => 60,
        'd' => 1440,
        _ => return Err(wrong()),
    };
    let count: u32 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    Ok(i64::from(count) * minutes)
}

fn number(text: &str, least: f64, most: f64) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|n| (least..=most).contains(n))
        .ok_or_else(|| format!("`{text}` is no number from {least} to {most}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_read_with_all_it_says() {
        let read: Fault = "errors,tenant=contoso,from=2026-11-20T03:00Z,for=45m,share=0.2"
            .parse()
            .expect("a fault");
        assert_eq!(read.kind, FaultKind::Errors(0.2));
        assert_eq!(read.until - read.from, 45);
        assert!(read.hits(read.from, "contoso", "japaneast", "agent-api"));
        assert!(!read.hits(read.until, "contoso", "japaneast", "agent-api"));
        assert!(!read.hits(read.from, "fabrikam", "japaneast", "agent-api"));
    }

    #[test]
    fn what_is_wrong_with_a_fault_is_told() {
        for (text, told) in [
            ("fire,from=2026-11-20T03:00Z,for=1h", "`fire` is none of"),
            ("outage,for=1h", "`from=TIME` is missing"),
            ("outage,from=2026-11-20T03:00Z", "`for=DURATION` is missing"),
            ("outage,from=yesterday,for=1h", "`yesterday` is no time"),
            (
                "outage,from=2026-11-20T03:00Z,for=1w",
                "`1w` is no duration",
            ),
            (
                "outage,from=2026-11-20T03:00Z,for=1h,share=0.1",
                "takes no share",
            ),
            (
                "errors,from=2026-11-20T03:00Z,for=1h,share=2",
                "`2` is no number",
            ),
            (
                "errors,from=2026-11-20T03:00Z,for=1h,who=me",
                "`who` is none of",
            ),
            ("errors,now", "`now` is not KEY=VALUE"),
        ] {
            let error = text.parse::<Fault>().expect_err(text);
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
