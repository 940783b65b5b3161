//! Telemetry that goes on as the clock of the estate does.

use std::path::Path;

use super::files::{Folder, pieces};
use super::model::{Conditions, Model};
use super::writer::{Written, merge, write_piece};

/// How telemetry is kept alive.
#[derive(Debug, Clone, Copy)]
pub struct Keeping {
    /// Days of history that a new folder begins with.
    pub history_days: u32,
    /// Days after which files are deleted.
    pub retention_days: u32,
    /// What was missed while nothing ran is made up for, as far back as this; before it there is
    /// silence, as there is when an application does not run.
    pub catch_up_minutes: i64,
}

impl Default for Keeping {
    fn default() -> Self {
        Self {
            history_days: 2,
            retention_days: 35,
            catch_up_minutes: 6 * 60,
        }
    }
}

/// A folder of telemetry that follows the clock.
pub struct Living {
    folder: Folder,
    keeping: Keeping,
}

impl Living {
    /// Opens a folder; see [`mod@super::files`] for what it holds.
    ///
    /// Errors: another process writes there, or it cannot be read.
    pub fn open(dir: &Path, keeping: Keeping) -> anyhow::Result<Self> {
        let folder = Folder::open(dir)?;
        Ok(Self { folder, keeping })
    }

    /// The minute since 1970 up to which everything is written.
    #[must_use]
    pub fn until(&self) -> Option<i64> {
        self.folder.until()
    }

    /// Writes one piece of what is missing up to but not the minute `now`: a day at most, so that
    /// the caller can stop in between. `None` when nothing is missing.
    ///
    /// Errors: a file cannot be written; asked again, the same piece is tried again.
    pub fn step(
        &mut self,
        model: &Model,
        conditions: &Conditions,
        now: i64,
    ) -> anyhow::Result<Option<Written>> {
        let from = match self.folder.until() {
            Some(until) => until.max(now - self.keeping.catch_up_minutes),
            None => {
                let begin = now - i64::from(self.keeping.history_days) * 1440;
                begin - begin.rem_euclid(1440)
            }
        };
        let Some(piece) = pieces(from, now).into_iter().next() else {
            return Ok(None);
        };
        let written = write_piece(&self.folder, model, conditions, &piece)?;
        self.folder.advance(piece.until)?;
        self.folder.compact(merge)?;
        self.folder.keep(self.keeping.retention_days)?;
        Ok(Some(written))
    }
}
