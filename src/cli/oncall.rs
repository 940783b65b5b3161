use std::process::ExitCode;

use anyhow::Context as _;
use chrono::{DateTime, Duration, NaiveDateTime, TimeZone as _, Utc};
use chrono_tz::Tz;
use clap::{Args, Subcommand};

use super::by_the_clock;
use super::changes::me;
use crate::app::App;
use crate::config::Config;
use crate::domain::{Finding, Override};
use crate::operations::oncall::{Roster, Wish, overrides, put, remove, roster, shifts};
use crate::operations::{Refusal, Said};

#[derive(Subcommand)]
pub(super) enum Arguments {
    /// Show who is on duty at every level, and why it is them.
    Who {
        /// At which moment [default: now].
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
        /// Only this level.
        #[arg(long)]
        level: Option<String>,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// List the overrides that are not over.
    Overrides {
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Put somebody on duty at a level for a while, whatever its hours and rota. A swap is two of
    /// these.
    Override {
        level: String,
        person: String,
        #[command(flatten)]
        span: Span,
        #[command(flatten)]
        saying: Saying,
    },
    /// Take an override back before its end.
    Remove {
        id: String,
        #[command(flatten)]
        saying: Saying,
    },
    /// Print the shifts of a level, or of all, as iCalendar.
    Ical { level: Option<String> },
}

/// From when until when. Times are RFC 3339, or as "2026-12-01 09:00" in the estate's time zone, or
/// a while from now as +90m, +8h or +3d.
#[derive(Args)]
pub(super) struct Span {
    /// [default: now].
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Until when: RFC 3339, or as "2026-12-01 09:00" in the estate's time zone, or as +8h from now.
    #[arg(long, value_name = "TIME")]
    until: String,
}

impl Span {
    /// Begin and end.
    pub(super) fn read(&self, app: &App) -> anyhow::Result<(DateTime<Utc>, DateTime<Utc>)> {
        let (zone, now) = (app.estate()?.zone, app.clock.now());
        let from = self.from.as_deref();
        let from = from.map_or(Ok(now), |text| moment(text, zone, now))?;
        Ok((from, moment(&self.until, zone, now)?))
    }
}

/// Who says it, and why.
#[derive(Args)]
pub(super) struct Saying {
    /// Why, for whoever reads the journal.
    #[arg(long)]
    pub(super) reason: String,
    /// Which person of an embedded estate says it [default: the first].
    #[arg(long = "as", value_name = "NAME")]
    pub(super) by: Option<String>,
    /// Print one JSON document.
    #[arg(long)]
    pub(super) json: bool,
}

/// A moment as somebody types it.
///
/// Errors: it is none, or the clock on the wall does not show it exactly once.
pub(super) fn moment(text: &str, zone: Tz, now: DateTime<Utc>) -> anyhow::Result<DateTime<Utc>> {
    let text = text.trim();
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(at.to_utc());
    }
    let wrong = || {
        format!(
            "`{text}`: a time such as 2026-12-01T09:00:00Z, 2026-12-01 09:00 or +8h is possible"
        )
    };
    if let Some(ahead) = text.strip_prefix('+') {
        let unit = ahead.chars().last().with_context(wrong)?;
        let number = ahead.strip_suffix(unit).unwrap_or_default();
        let number: i64 = number.parse().with_context(wrong)?;
        let ahead = match unit {
            'm' => Duration::try_minutes(number),
            'h' => Duration::try_hours(number),
            'd' => Duration::try_days(number),
            _ => None,
        };
        return ahead
            .and_then(|ahead| now.checked_add_signed(ahead))
            .with_context(wrong);
    }
    let local = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").with_context(wrong)?;
    let at = zone.from_local_datetime(&local).single();
    let at = at.with_context(|| {
        format!("`{text}`: the clocks in {zone} do not show it exactly once, say it in UTC")
    })?;
    Ok(at.to_utc())
}

/// Exit codes: 0 done, 1 refused, 3 anything else.
pub(super) async fn run(config: Config, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let app = by_the_clock(config).await;
    match arguments {
        Arguments::Who { at, level, json } => {
            let (zone, now) = (app.estate()?.zone, app.clock.now());
            let at = at.map_or(Ok(now), |text| moment(&text, zone, now))?;
            let mut roster = roster(&app, at).await?;
            if let Some(level) = level {
                roster
                    .levels
                    .retain(|l| l.level.eq_ignore_ascii_case(&level));
                anyhow::ensure!(!roster.levels.is_empty(), "there is no level `{level}`");
            }
            if json {
                println!("{}", serde_json::to_string_pretty(&roster)?);
            } else {
                print!("{}", table(&roster, zone));
            }
            Ok(ExitCode::SUCCESS)
        }
        Arguments::Overrides { json } => {
            let heard = overrides(&app, app.clock.now()).await?;
            unread(&heard.unread);
            let found = heard.what;
            if json {
                println!("{}", serde_json::to_string_pretty(&found)?);
            } else if found.is_empty() {
                println!("there are no overrides");
            } else {
                let zone = app.estate()?.zone;
                for over in &found {
                    println!("{}", line(over, zone));
                }
            }
            Ok(ExitCode::SUCCESS)
        }
        Arguments::Override {
            level,
            person,
            span,
            saying,
        } => {
            let (from, until) = span.read(&app)?;
            let by = me(&app, saying.by.as_deref()).await?;
            let wish = Wish {
                level,
                person,
                from,
                until,
                reason: saying.reason,
            };
            let key = uuid::Uuid::new_v4().simple().to_string();
            let zone = app.estate()?.zone;
            told(put(&app, &key, &by, wish).await, saying.json, |o| {
                line(o, zone)
            })
        }
        Arguments::Remove { id, saying } => {
            let by = me(&app, saying.by.as_deref()).await?;
            let zone = app.estate()?.zone;
            let done = remove(&app, &id, &by, &saying.reason).await;
            told(done, saying.json, |o| line(o, zone))
        }
        Arguments::Ical { level } => match shifts(&app, level.as_deref(), app.clock.now()).await {
            Ok(text) => {
                print!("{text}");
                Ok(ExitCode::SUCCESS)
            }
            Err(refusal) => refused(refusal),
        },
    }
}

/// Says what became of it.
pub(super) fn told<T: serde::Serialize>(
    done: Result<Said<T>, Refusal>,
    json: bool,
    line: impl Fn(&T) -> String,
) -> anyhow::Result<ExitCode> {
    let said = match done {
        Ok(said) => said,
        Err(refusal) => return refused(refusal),
    };
    if json {
        let (run, what) = (&said.run, &said.what);
        let body = serde_json::json!({ "run": run, "holds": said.holds, "what": what });
        println!("{}", serde_json::to_string_pretty(&body)?);
    } else {
        println!("{}", line(&said.what));
        if !said.holds {
            println!("taken, and not in force yet: the minute tick carries it out");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn refused(refusal: Refusal) -> anyhow::Result<ExitCode> {
    match refusal {
        Refusal::Store(error) => Err(error.into()),
        Refusal::Other(error) => Err(error),
        refusal => {
            eprintln!("error: {refusal}");
            Ok(ExitCode::from(1))
        }
    }
}

/// Says on the side what cannot be read.
fn unread(findings: &[Finding]) {
    for finding in findings {
        eprintln!("warning: {}: {}", finding.subject, finding.message);
    }
}

/// A moment on the wall clock of the estate.
pub(super) fn wall(at: DateTime<Utc>, zone: Tz) -> String {
    at.with_timezone(&zone)
        .format("%Y-%m-%d %H:%M %Z")
        .to_string()
}

fn line(over: &Override, zone: Tz) -> String {
    let mut text = format!(
        "{}  {}: {} from {} until {}, by {}: {}",
        over.id,
        over.level,
        over.person,
        wall(over.from, zone),
        wall(over.until, zone),
        over.by,
        over.reason
    );
    if let Some(removed) = &over.removed {
        text += &format!(
            "; removed {} by {}: {}",
            wall(removed.at, zone),
            removed.by,
            removed.reason
        );
    }
    text
}

fn table(roster: &Roster, zone: Tz) -> String {
    let mut text = format!("{}\n", wall(roster.at, zone));
    let width = roster
        .levels
        .iter()
        .map(|l| l.level.chars().count())
        .max()
        .unwrap_or(0);
    for level in &roster.levels {
        let name = &level.level;
        let who = match &level.reached {
            None => "nobody".to_owned(),
            Some(told) if told.climbed.is_empty() => format!("{}  ({})", told.person, told.why),
            Some(told) => format!(
                "{}  (nobody at {}, so {}: {})",
                told.person,
                told.climbed.join(", "),
                told.level,
                told.why
            ),
        };
        text += &format!("{name:width$}  {who}\n");
    }
    for finding in &roster.unread {
        text += &format!("unread  {}: {}\n", finding.subject, finding.message);
    }
    if roster.next_business > roster.at {
        text += &format!("business begins {}\n", wall(roster.next_business, zone));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_as_somebody_types_it() {
        let utc = |text: &str| DateTime::parse_from_rfc3339(text).expect("a time").to_utc();
        let now = utc("2026-03-28T12:00:00Z");
        for (text, expected) in [
            ("2026-03-28T14:00:00+09:00", Some("2026-03-28T05:00:00Z")),
            ("2026-03-28 14:00", Some("2026-03-28T13:00:00Z")),
            ("2026-03-29 14:00", Some("2026-03-29T12:00:00Z")),
            ("+90m", Some("2026-03-28T13:30:00Z")),
            ("+3d", Some("2026-03-31T12:00:00Z")),
            // Left out, and repeated.
            ("2026-03-29 02:30", None),
            ("2026-10-25 02:30", None),
            ("+", None),
            ("+3w", None),
            ("+9999999999999999d", None),
            ("tomorrow", None),
            ("", None),
        ] {
            let found = moment(text, chrono_tz::Europe::Berlin, now).ok();
            assert_eq!(found, expected.map(utc), "{text}");
        }
    }
}
