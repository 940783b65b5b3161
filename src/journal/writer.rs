use chrono::{DateTime, Utc};

use super::{Chain, Event, Head, RunId, link};
use crate::store::{Error, LogTail, Store};

/// The open chain of one run, held by one process.
pub struct Journal<'a> {
    store: &'a Store,
    run: RunId,
    fence: u64,
    head: Head,
    tail: LogTail,
}

impl<'a> Journal<'a> {
    /// Reads the chain of a run and stands ready to go on with it.
    ///
    /// Errors: [`Error::Unreadable`] if the chain is broken. Nothing is ever appended to a broken
    /// chain: that would bury the evidence.
    pub async fn open(store: &'a Store, run: &RunId, fence: u64) -> Result<(Self, Chain), Error> {
        let log = store.log(&run.log()).await?.unwrap_or_default();
        let chain = Chain::read(run.as_str(), &log);
        if let Some(broken) = &chain.broken {
            return Err(Error::Unreadable {
                path: run.log(),
                why: broken.to_string(),
            });
        }
        let journal = Self {
            store,
            run: run.clone(),
            fence,
            head: chain.head(),
            tail: LogTail(log.len() as u64),
        };
        Ok((journal, chain))
    }

    /// Appends one record, durable when this returns.
    ///
    /// Errors: [`Error::Conflict`] if another process has gone on with the run: stop at once.
    pub async fn append(&mut self, event: Event, now: DateTime<Utc>) -> Result<(), Error> {
        let (line, head) = link(self.run.as_str(), &self.head, self.fence, event, now);
        self.tail = self.store.append(&self.run.log(), self.tail, line).await?;
        self.head = head;
        Ok(())
    }
}
