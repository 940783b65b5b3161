//! Much telemetry at once, on all processors.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::files::{Folder, pieces};
use super::model::{Conditions, Model};
use super::writer::{Written, merge, write_piece};

/// How far a generation has come: pieces that are done, and all of them.
pub type Progress<'a> = &'a (dyn Fn(usize, usize) + Sync);

/// Writes the minutes from `from` up to but not `until`, minutes since 1970, to a folder that holds
/// no telemetry yet.
///
/// Errors: there is telemetry, another process writes there, or a file cannot be written.
pub fn generate(
    dir: &Path,
    model: &Model,
    conditions: &Conditions,
    from: i64,
    until: i64,
    progress: Progress<'_>,
) -> anyhow::Result<Written> {
    let mut folder = Folder::open(dir)?;
    anyhow::ensure!(
        folder.until().is_none(),
        "there is telemetry in `{}` already: name another folder, or delete it first",
        dir.display()
    );
    let all = pieces(from, until);
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let written = Mutex::new(Written::default());
    let work = || -> anyhow::Result<()> {
        while let Some(piece) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
            let one = write_piece(&folder, model, conditions, piece)?;
            written
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .add(&one);
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, all.len());
        }
        Ok(())
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads.min(all.len()))
            .map(|_| scope.spawn(work))
            .collect();
        let ends = running.into_iter().map(|thread| {
            thread
                .join()
                .unwrap_or_else(|_| Err(anyhow::anyhow!("a thread that wrote telemetry died")))
        });
        ends.collect::<anyhow::Result<Vec<()>>>()
    })?;
    folder.advance(until)?;
    folder.compact(merge)?;
    Ok(written.into_inner().unwrap_or_else(PoisonError::into_inner))
}
