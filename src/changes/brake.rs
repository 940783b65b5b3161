use std::sync::Mutex;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::KillSwitch;
use crate::app::App;
use crate::azure::Permit;
use crate::domain::Hold;
use crate::store::Lease;

/// How old the answer about the kill switch may be.
const FRESH: Duration = Duration::from_secs(2);

/// Stops a change that is under way: by the kill switch, or when the lease on the resource is lost.
/// Asked just before each call that changes something, however long that call has waited.
pub(super) struct Brake<'a> {
    app: &'a App,
    lease: &'a Lease,
    seen: Mutex<(Instant, Option<Hold>)>,
    looking: tokio::sync::Mutex<()>,
}

impl<'a> Brake<'a> {
    /// Just after the switch was read and found off.
    pub(super) fn new(app: &'a App, lease: &'a Lease) -> Self {
        Self {
            app,
            lease,
            seen: Mutex::new((Instant::now(), None)),
            looking: tokio::sync::Mutex::default(),
        }
    }

    /// Why to stop, if so. Cheap to ask before every call. A store that cannot be read stops as
    /// well: nobody could stop us any more.
    pub(super) async fn pulled(&self) -> Option<Hold> {
        if self.lease.is_lost() {
            return Some(Hold::LeaseLost);
        }
        let (at, hold) = self.last();
        if hold.is_some() || at.elapsed() < FRESH {
            return hold;
        }
        let _alone = self.looking.lock().await;
        let (at, hold) = self.last();
        if hold.is_some() || at.elapsed() < FRESH {
            return hold;
        }
        let asked = Instant::now();
        let hold = match KillSwitch::read(self.app).await {
            Ok(switch) => switch
                .stopped()
                .map(|(by, reason)| Hold::KillSwitch { by, reason }),
            Err(error) => Some(Hold::KillSwitch {
                by: "poolkeeper".into(),
                reason: format!("the switch cannot be read: {error}"),
            }),
        };
        *self.lock() = (asked, hold.clone());
        hold
    }

    fn last(&self) -> (Instant, Option<Hold>) {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (Instant, Option<Hold>)> {
        self.seen
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Permit for Brake<'_> {
    fn holds(&self) -> BoxFuture<'_, Result<(), String>> {
        async {
            match self.pulled().await {
                None => Ok(()),
                Some(hold) => Err(hold.to_string()),
            }
        }
        .boxed()
    }
}
