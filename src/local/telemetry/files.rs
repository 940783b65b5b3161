//! Which files there are, and what their names mean.
//!
//! `<dir>/<Table>/<name>.parquet`, where the name is a day (`2026-11-20`), an hour of it
//! (`2026-11-20T03`) or the minute with which a part of an hour begins (`2026-11-20T0312`), in UTC.
//! **A file stands for all whose names begin with its own**: when an hour's parts have been put
//! together, the hour's file appears under its name in one step, and from then on the parts do not
//! count, whether they are gone yet or not. So a reader sees each row once at any instant, and
//! [`files`] gives exactly what counts.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use chrono::{DateTime, NaiveDate};
use serde::{Deserialize, Serialize};

use super::rows::Table;

const ENDING: &str = "parquet";
/// What is still being written; never read, removed at the next start.
const UNFINISHED: &str = "new";
const STATE: &str = "state.json";
const LOCK: &str = "lock";
const DAY: i64 = 1440;

/// The files that hold a table's rows, in the order of time. None for a table without rows.
///
/// Errors: the folder cannot be listed.
pub fn files(dir: &Path, table: &str) -> anyhow::Result<Vec<PathBuf>> {
    let folder = dir.join(table);
    let names = visible(&names(&folder)?);
    Ok(names.iter().map(|name| path(&folder, name)).collect())
}

fn path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.{ENDING}"))
}

/// Names without their ending, sorted: in the order of time, what stands for others before them.
fn names(folder: &Path) -> anyhow::Result<Vec<String>> {
    let listed = match fs::read_dir(folder) {
        Ok(listed) => listed,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("list `{}`", folder.display())),
    };
    let mut out = Vec::new();
    for entry in listed {
        let path = entry
            .with_context(|| format!("list `{}`", folder.display()))?
            .path();
        let name = path.file_stem().and_then(|name| name.to_str());
        if path.extension().is_some_and(|e| e == ENDING)
            && let Some(name) = name
            && begins(name).is_some()
        {
            out.push(name.to_owned());
        }
    }
    out.sort_unstable();
    Ok(out)
}

fn visible(names: &[String]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for name in names {
        if out
            .last()
            .is_none_or(|before| !name.starts_with(before.as_str()))
        {
            out.push(name.clone());
        }
    }
    out
}

/// The minute since 1970 with which a file begins.
fn begins(name: &str) -> Option<i64> {
    let (day, time) = name.split_once('T').unwrap_or((name, ""));
    let day = NaiveDate::parse_from_str(day, "%Y-%m-%d").ok()?;
    let digits = |text: &str| text.parse::<i64>().ok().filter(|n| (0..60).contains(n));
    let minute = match time.len() {
        0 => 0,
        2 => digits(time)? * 60,
        4 => digits(&time[..2])? * 60 + digits(&time[2..])?,
        _ => return None,
    };
    Some(day.and_time(chrono::NaiveTime::MIN).and_utc().timestamp() / 60 + minute)
}

/// A stretch of time that goes into one file of each table: minutes since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) from: i64,
    pub(super) until: i64,
    pub(super) name: String,
}

/// Cuts a range into whole days, whole hours, and parts of hours.
pub(super) fn pieces(from: i64, until: i64) -> Vec<Piece> {
    let mut out = Vec::new();
    let mut at = from;
    while at < until {
        let whole = |length: i64| at.rem_euclid(length) == 0 && at + length <= until;
        let (length, form) = if whole(DAY) {
            (DAY, "%Y-%m-%d")
        } else if whole(60) {
            (60, "%Y-%m-%dT%H")
        } else {
            ((60 - at.rem_euclid(60)).min(until - at), "%Y-%m-%dT%H%M")
        };
        out.push(Piece {
            from: at,
            until: at + length,
            name: named(at, form),
        });
        at += length;
    }
    out
}

fn named(minute: i64, form: &str) -> String {
    let at = DateTime::from_timestamp(minute * 60, 0).unwrap_or_default();
    at.format(form).to_string()
}

/// A folder of telemetry that this process alone writes to.
pub(super) struct Folder {
    pub(super) dir: PathBuf,
    /// The minute up to which everything is written; `None` when there is nothing.
    until: Option<i64>,
    /// Held as long as this is.
    _lock: fs::File,
}

#[derive(Serialize, Deserialize)]
struct State {
    /// Minutes since 1970.
    until: i64,
}

impl Folder {
    /// Opens a folder, made when missing, and removes what a process that died left unfinished.
    ///
    /// Errors: another process writes to it, or it cannot be written.
    pub(super) fn open(dir: &Path) -> anyhow::Result<Self> {
        let named = || format!("open the telemetry in `{}`", dir.display());
        fs::create_dir_all(dir).with_context(named)?;
        let lock = fs::File::create(dir.join(LOCK)).with_context(named)?;
        if lock.try_lock().is_err() {
            anyhow::bail!("another process writes telemetry to `{}`", dir.display());
        }
        let state = dir.join(STATE);
        let until = if state.is_file() {
            let text = fs::read_to_string(&state).with_context(named)?;
            let state: State = serde_json::from_str(&text)
                .with_context(|| format!("read `{}`", state.display()))?;
            Some(state.until)
        } else {
            None
        };
        let folder = Self {
            dir: dir.to_owned(),
            until,
            _lock: lock,
        };
        folder.recover().with_context(named)?;
        Ok(folder)
    }

    pub(super) fn until(&self) -> Option<i64> {
        self.until
    }

    /// Notes that everything before this minute is there.
    pub(super) fn advance(&mut self, until: i64) -> anyhow::Result<()> {
        let path = self.dir.join(STATE);
        let new = path.with_extension(UNFINISHED);
        fs::write(&new, serde_json::to_vec(&State { until })?)
            .and_then(|()| fs::rename(&new, &path))
            .with_context(|| format!("write `{}`", path.display()))?;
        self.until = Some(until);
        Ok(())
    }

    /// Where a file is written before it appears, and where it appears.
    pub(super) fn place(&self, table: Table, name: &str) -> (PathBuf, PathBuf) {
        let folder = self.dir.join(table.name());
        (
            folder.join(format!("{name}.{UNFINISHED}")),
            path(&folder, name),
        )
    }

    /// Removes unfinished files, files that others stand for, and what was written beyond the minute
    /// that was noted: it comes again.
    fn recover(&self) -> anyhow::Result<()> {
        for table in Table::ALL {
            let folder = self.dir.join(table.name());
            let Ok(listed) = fs::read_dir(&folder) else {
                continue;
            };
            for entry in listed {
                let path = entry?.path();
                if path.extension().is_some_and(|e| e == UNFINISHED) {
                    fs::remove_file(path)?;
                }
            }
            let all = names(&folder)?;
            let counts = visible(&all);
            for name in all {
                let beyond = begins(&name) >= self.until.or(Some(i64::MIN));
                if beyond || !counts.contains(&name) {
                    fs::remove_file(path(&folder, &name))?;
                }
            }
        }
        Ok(())
    }

    /// Puts the parts of each hour that is over together, and the hours of each day, with `merge`:
    /// from these files into that one.
    pub(super) fn compact(
        &self,
        merge: impl Fn(Table, &[PathBuf], &Path) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let Some(until) = self.until else {
            return Ok(());
        };
        for (form, length, digits) in [("%Y-%m-%dT%H", 60, 15), ("%Y-%m-%d", DAY, 13)] {
            for table in Table::ALL {
                let folder = self.dir.join(table.name());
                let parts = visible(&names(&folder)?);
                let parts = parts.iter().filter(|name| name.len() == digits);
                let mut whole: Vec<(String, Vec<&String>)> = Vec::new();
                for part in parts {
                    let begins = begins(part).expect("names that are none are not listed");
                    let begins = begins - begins.rem_euclid(length);
                    if begins + length > until {
                        continue;
                    }
                    let name = named(begins, form);
                    match whole.last_mut() {
                        Some((last, parts)) if *last == name => parts.push(part),
                        _ => whole.push((name, vec![part])),
                    }
                }
                for (name, parts) in whole {
                    let from: Vec<_> = parts.iter().map(|part| path(&folder, part)).collect();
                    let (new, place) = self.place(*table, &name);
                    merge(*table, &from, &new)?;
                    fs::rename(&new, &place)?;
                    for part in from {
                        fs::remove_file(part)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Deletes the files of days that ended more than `days` ago; how many.
    pub(super) fn keep(&self, days: u32) -> anyhow::Result<usize> {
        let Some(until) = self.until else {
            return Ok(0);
        };
        let oldest = until - until.rem_euclid(DAY) - i64::from(days) * DAY;
        let mut count = 0;
        for table in Table::ALL {
            let folder = self.dir.join(table.name());
            for name in names(&folder)? {
                if begins(&name).is_some_and(|begins| begins < oldest) {
                    fs::remove_file(path(&folder, &name))?;
                    count += 1;
                }
            }
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text)
            .expect("a time")
            .timestamp()
            / 60
    }

    #[test]
    fn a_range_is_cut_into_days_hours_and_parts() {
        let cut = |from, until| -> Vec<String> {
            let pieces = pieces(minute(from), minute(until));
            pieces.into_iter().map(|piece| piece.name).collect()
        };
        let cases: [(&str, &str, &[&str]); 4] = [
            (
                "2026-11-20T00:00:00Z",
                "2026-11-22T00:00:00Z",
                &["2026-11-20", "2026-11-21"],
            ),
            (
                "2026-11-20T00:00:00Z",
                "2026-11-21T01:02:00Z",
                &["2026-11-20", "2026-11-21T00", "2026-11-21T0100"],
            ),
            (
                "2026-11-20T22:58:00Z",
                "2026-11-21T00:01:00Z",
                &["2026-11-20T2258", "2026-11-20T23", "2026-11-21T0000"],
            ),
            ("2026-11-20T00:00:00Z", "2026-11-20T00:00:00Z", &[]),
        ];
        for (from, until, names) in cases {
            assert_eq!(cut(from, until), names, "{from} {until}");
        }
        for name in ["2026-11-20", "2026-11-20T22", "2026-11-20T2258"] {
            let form = match name.len() {
                10 => "%Y-%m-%d",
                13 => "%Y-%m-%dT%H",
                _ => "%Y-%m-%dT%H%M",
            };
            assert_eq!(named(begins(name).expect("a name"), form), name);
        }
        assert_eq!(begins("2026-11-20T1"), None);
        assert_eq!(begins("notes"), None);
    }

    #[test]
    fn a_file_stands_for_all_whose_names_begin_with_its_own() {
        let names: Vec<String> = [
            "2026-11-19",
            "2026-11-19T04",
            "2026-11-20T00",
            "2026-11-20T0000",
            "2026-11-20T0012",
            "2026-11-20T0100",
            "2026-11-20T0130",
        ]
        .map(str::to_owned)
        .into();
        let expected = [
            "2026-11-19",
            "2026-11-20T00",
            "2026-11-20T0100",
            "2026-11-20T0130",
        ];
        assert_eq!(visible(&names), expected);
    }
}
