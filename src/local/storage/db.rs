use std::path::Path;
use std::sync::mpsc;

use anyhow::Context as _;
use rusqlite::{Connection, OptionalExtension as _};
use tokio::sync::oneshot;

use super::wire::Refusal;
use crate::local::clock::Clock;

type Reply = Box<dyn FnOnce(bool) + Send>;
type Job = Box<dyn FnOnce(&Connection) -> Reply + Send>;

/// How many waiting changes one commit takes at most.
const GROUP: usize = 256;

/// Counted up when the tables change.
const SHAPE: i64 = 6;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS containers (
  name TEXT PRIMARY KEY, etag TEXT NOT NULL, modified INTEGER NOT NULL, metadata TEXT NOT NULL DEFAULT '{}',
  legal_hold INTEGER NOT NULL DEFAULT 0, immutable_days INTEGER);
CREATE TABLE IF NOT EXISTS blobs (
  container TEXT NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL, body BLOB NOT NULL,
  etag TEXT NOT NULL, modified INTEGER NOT NULL, created INTEGER NOT NULL,
  content_type TEXT NOT NULL, metadata TEXT NOT NULL, tier TEXT NOT NULL,
  blocks INTEGER NOT NULL DEFAULT 0,
  lease TEXT, lease_until INTEGER, lease_seconds INTEGER,
  legal_hold INTEGER NOT NULL DEFAULT 0, immutable_until INTEGER,
  PRIMARY KEY (container, name));
CREATE TABLE IF NOT EXISTS snapshots (
  container TEXT NOT NULL, name TEXT NOT NULL, at TEXT NOT NULL, kind TEXT NOT NULL, body BLOB NOT NULL,
  etag TEXT NOT NULL, modified INTEGER NOT NULL, created INTEGER NOT NULL,
  content_type TEXT NOT NULL, metadata TEXT NOT NULL, tier TEXT NOT NULL,
  blocks INTEGER NOT NULL DEFAULT 0,
  lease TEXT, lease_until INTEGER, lease_seconds INTEGER,
  legal_hold INTEGER NOT NULL DEFAULT 0, immutable_until INTEGER,
  PRIMARY KEY (container, name, at));
CREATE TABLE IF NOT EXISTS resources (
  id TEXT PRIMARY KEY, parent TEXT NOT NULL, body TEXT NOT NULL, etag TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS resources_by_parent ON resources (parent);
CREATE TABLE IF NOT EXISTS operations (
  id TEXT PRIMARY KEY, resource TEXT NOT NULL, body TEXT NOT NULL, began INTEGER NOT NULL, ends INTEGER NOT NULL,
  applied INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0, why TEXT);
CREATE INDEX IF NOT EXISTS operations_by_end ON operations (applied, ends);
CREATE TABLE IF NOT EXISTS changes (number INTEGER PRIMARY KEY AUTOINCREMENT, line TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS app_troubles (
  number INTEGER PRIMARY KEY AUTOINCREMENT, app TEXT NOT NULL, trouble TEXT NOT NULL, began INTEGER NOT NULL,
  until INTEGER);
CREATE TABLE IF NOT EXISTS past (
  id TEXT NOT NULL, at INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (id, at));
CREATE TABLE IF NOT EXISTS pressures (
  number INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS alert_rules (
  name TEXT PRIMARY KEY, rule TEXT NOT NULL, alert TEXT, fired INTEGER, since INTEGER);
CREATE TABLE IF NOT EXISTS alert_posts (
  number INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL, tries INTEGER NOT NULL, due INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS sent (
  number INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, host TEXT NOT NULL, channel TEXT NOT NULL,
  kind TEXT NOT NULL, recipient TEXT NOT NULL, subject TEXT NOT NULL, text TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS tickets (
  system TEXT NOT NULL, host TEXT NOT NULL, id TEXT NOT NULL, title TEXT NOT NULL, state TEXT NOT NULL,
  open INTEGER NOT NULL, changed INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (system, host, id));
CREATE TABLE IF NOT EXISTS queues (name TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS messages (
  id TEXT PRIMARY KEY, queue TEXT NOT NULL, text TEXT NOT NULL, inserted INTEGER NOT NULL,
  expires INTEGER NOT NULL, visible INTEGER NOT NULL, receipt TEXT NOT NULL, dequeued INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS messages_by_queue ON messages (queue, visible);
";

/// The one database, worked by one thread.
#[derive(Clone)]
pub(in crate::local) struct Db {
    jobs: mpsc::Sender<Job>,
    pub(in crate::local) clock: Clock,
}

impl Db {
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let db = Connection::open(path).with_context(|| format!("open `{}`", path.display()))?;
        // Exclusive: a second simulator on the same folder must fail at once, not interleave.
        db.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        db.pragma_update(None, "journal_mode", "WAL")
            .with_context(|| format!("lock `{}`: is another one running?", path.display()))?;
        // The process may be killed at any moment; power loss is not rehearsed here.
        db.pragma_update(None, "synchronous", "NORMAL")?;
        db.set_prepared_statement_cache_capacity(64);
        let shape: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
        anyhow::ensure!(
            shape == 0 || shape == SHAPE,
            "`{}` was written by another version of Poolkeeper: move the folder away",
            path.display()
        );
        db.execute_batch(SCHEMA).context("prepare the tables")?;
        db.pragma_update(None, "user_version", SHAPE)?;
        let ahead: Option<i64> = db
            .query_row(
                "SELECT CAST(value AS INTEGER) FROM facts WHERE name = 'clock_ahead_ms'",
                [],
                |row| row.get(0),
            )
            .optional()?;
        let (jobs, waiting) = mpsc::channel::<Job>();
        std::thread::Builder::new()
            .name("storage".into())
            .spawn(move || work(&db, &waiting))?;
        Ok(Self {
            jobs,
            clock: Clock::ahead(ahead.unwrap_or_default()),
        })
    }

    /// Moves the clock ahead by `ms`, also for a simulator that is started on this state later.
    pub(in crate::local) fn advance(&self, ms: i64) {
        let ahead = self.clock.advance(ms).to_string();
        let job: Job = Box::new(move |db| {
            let kept = db.execute(
                "INSERT OR REPLACE INTO facts (name, value) VALUES ('clock_ahead_ms', ?1)",
                [ahead],
            );
            if let Err(error) = kept {
                tracing::error!(%error, "the clock was not kept");
            }
            Box::new(|_| ())
        });
        // Without its thread the simulator has ended, and the clock with it.
        let _ = self.jobs.send(job);
    }

    /// Runs `job`; when it is answered, what it changed is committed. An `Err` undoes the change.
    pub(in crate::local) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let (tell, told) = oneshot::channel();
        let boxed: Job = Box::new(move |db| {
            let result = in_savepoint(db, job);
            Box::new(move |committed| {
                let result = if committed {
                    result
                } else {
                    Err(broken("the change was not committed"))
                };
                let _ = tell.send(result);
            })
        });
        self.jobs
            .send(boxed)
            .map_err(|_| broken("the database thread has ended"))?;
        told.await
            .map_err(|_| broken("the database thread has ended"))?
    }
}

/// Notes one change of the estate as a line that people read. It stands only if the change does.
pub(in crate::local) fn note(db: &Connection, line: &str) -> Result<(), Refusal> {
    db.prepare_cached("INSERT INTO changes (line) VALUES (?1)")?
        .execute([line])?;
    Ok(())
}

fn broken(why: &str) -> Refusal {
    Refusal::new(500, "InternalError", why)
}

fn in_savepoint<T>(
    db: &Connection,
    job: impl FnOnce(&Connection) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    db.prepare_cached("SAVEPOINT job")?.execute([])?;
    match job(db) {
        Ok(value) => {
            db.prepare_cached("RELEASE job")?.execute([])?;
            Ok(value)
        }
        Err(refusal) => {
            db.execute_batch("ROLLBACK TO job; RELEASE job")?;
            Err(refusal)
        }
    }
}

fn work(db: &Connection, waiting: &mpsc::Receiver<Job>) {
    while let Ok(first) = waiting.recv() {
        let mut replies = Vec::new();
        let begun = db.execute_batch("BEGIN IMMEDIATE").is_ok();
        replies.push(first(db));
        replies.extend(waiting.try_iter().take(GROUP - 1).map(|job| job(db)));
        let committed = begun && db.execute_batch("COMMIT").is_ok();
        if !committed {
            tracing::error!("the simulated storage could not commit");
            let _ = db.execute_batch("ROLLBACK");
        }
        for reply in replies {
            reply(committed);
        }
    }
}
