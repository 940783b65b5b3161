//! What throughput and replicas are judged by, from Azure.
//!
//! # Which calls are made
//!
//! Metrics come first, for all accounts of a subscription and region at once: they are few calls, and
//! not such of Resource Manager. They say which containers are worth a look. What a container may
//! use is then read from Resource Manager, one call each, of which a subscription allows 250 at once
//! and 25 a second. A tick takes [`CALLS`] of them, the hottest containers first; whatever is left
//! waits for the next tick, and nothing waits for ever.
//!
//! An account, a container or an app that cannot be read says so, and stops no other.

mod apps;
mod heaviest;
mod load;
mod order;
mod tick;
mod wanted;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use futures::StreamExt as _;

use crate::app::App;
use crate::azure::Azure;
use crate::azure::container_apps::ScaleRule;
use crate::domain::{Finding, ResourceId};
use crate::estate::Scaling;
use crate::operations::autoscale::facts::{AppFacts, ContainerFacts};
use tick::Tick;

/// Reads of Resource Manager in one subscription and tick. Others read there too.
pub const CALLS: usize = 200;
const SUBSCRIPTIONS_AT_ONCE: usize = 16;

/// What is looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// A container, a database, an account or an app, of which what scaling owns is looked at;
    /// `None`: all that it owns.
    pub only: Option<ResourceId>,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Gathered {
    pub containers: Vec<GatheredContainer>,
    pub apps: Vec<GatheredApp>,
    /// Not looked at in this tick, for lack of calls.
    pub later: Vec<ResourceId>,
    pub findings: Vec<Finding>,
}

/// A container, or what the containers of a database share.
#[derive(Debug, Clone, PartialEq)]
pub struct GatheredContainer {
    pub facts: ContainerFacts,
    /// Of its account; empty if that cannot be read.
    pub location: String,
    /// How many regions have its throughput.
    pub regions: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub struct GatheredApp {
    pub facts: AppFacts,
    /// Empty if the app cannot be read.
    pub location: String,
    /// What one replica has.
    pub vcpu: f64,
    pub gib: f64,
    /// All of them, also those that scaling does not know.
    pub scale_rules: Vec<ScaleRule>,
}

/// Looks at what scaling owns within `scope`. `looked` says when each resource, by its id in lower
/// case, was last among what was found; past changes, forecasts and raises are left empty.
///
/// It only reads. Errors: the estate, or the settings of Azure; what Azure does not tell is a finding
/// and a fact that is missing.
pub async fn gather(
    app: &App,
    scope: &Scope,
    looked: &BTreeMap<String, DateTime<Utc>>,
) -> anyhow::Result<Gathered> {
    let (azure, scaling) = (app.azure()?, &app.estate()?.scaling);
    Ok(gather_of(azure, scaling, scope, looked, app.clock.now()).await)
}

/// The same for what `scaling` owns, at `now`.
pub async fn gather_of(
    azure: &Azure,
    scaling: &Scaling,
    scope: &Scope,
    looked: &BTreeMap<String, DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Gathered {
    let (wanted, findings) = wanted::wanted(scaling, scope);
    let tick = Tick { azure, looked, now };
    let all: Vec<_> = wanted
        .iter()
        .map(|(subscription, wanted)| tick.subscription(subscription, wanted))
        .collect();
    let all: Vec<Gathered> = futures::stream::iter(all)
        .buffered(SUBSCRIPTIONS_AT_ONCE)
        .collect()
        .await;
    let mut gathered = Gathered {
        findings,
        ..Gathered::default()
    };
    for one in all {
        gathered.containers.extend(one.containers);
        gathered.apps.extend(one.apps);
        gathered.later.extend(one.later);
        gathered.findings.extend(one.findings);
    }
    gathered
}

/// `Japan East` as hosts have it.
fn plain(region: &str) -> String {
    region.replace(' ', "").to_ascii_lowercase()
}
