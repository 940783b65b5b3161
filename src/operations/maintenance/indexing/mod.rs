//! `optimize_cosmos_indexing`: the indexing policy of every container, held against the queries that
//! it really answers.
//!
//! Why by logged queries: Cosmos tells what an index is used for one query at a time and only to who
//! sends that query, so nothing says of an index that it is unused. The logs say what was asked.

mod decide;
mod evidence;
mod sql;
mod watch;

use chrono::{DateTime, Utc};
use futures::{StreamExt as _, stream};

use super::TaskResult;
use crate::app::App;
use crate::azure::logs::Scope;
use crate::azure::{Azure, Error, cosmos, log_analytics};
use crate::changes::{ChangeRecord, all, apply, id, open_on};
use crate::domain::{Change, ChangeKind, Finding, IndexingPolicy, Mutation, Outcome, ResourceId};
use crate::estate::{Cosmos, Kind, Stamp};
use crate::journal::{Journal, Run};
use decide::{Judged, Standing, judge};
use watch::{Changed, dearer};

/// Who proposes what this task finds.
const PROPOSER: &str = "poolkeeper";
/// How many containers are looked at at once; Azure takes five queries of ours at the same time.
const AT_ONCE: usize = 4;

/// One container, and where its queries are logged.
struct Place {
    id: ResourceId,
    account: String,
    database: String,
    container: String,
    scope: Scope,
}

/// Looks at every container that the estate names, and proposes what its index should be.
///
/// A container without logged queries is a finding, and so is one that cannot be read, or whose
/// queries have cost more since its index was changed; none stops another. How far Azure is with building an index is not told: Resource Manager does not
/// say.
///
/// Errors: the store or the journal, or nothing at all could be read.
pub(super) async fn run(
    app: &App,
    journal: &mut Journal<'_>,
    run: &mut Run,
    dry_run: bool,
) -> anyhow::Result<TaskResult> {
    let estate = app.estate()?;
    let (mut findings, mut unread, mut all) = (Vec::new(), Vec::new(), 0_u64);
    let mut places = Vec::new();
    for stamp in &estate.stamps {
        let Some(cosmos) = &stamp.cosmos else {
            continue;
        };
        all += cosmos.containers.len() as u64;
        match of_stamp(app.azure()?, stamp, cosmos, estate.indexing.full_text).await {
            Ok(Ok(found)) => places.extend(found),
            Ok(Err(finding)) => findings.push(finding),
            Err(error) => {
                unread.push(format!("{}: {error}", cosmos.account));
                findings.push(Finding::new(
                    "account-unreadable",
                    &cosmos.account,
                    error.to_string(),
                ));
            }
        }
    }
    let (mut changes, mut waiting, mut open) = (Vec::new(), 0, Vec::new());
    for place in places {
        let known = id(&run.id, ChangeKind::CosmosIndexing, &place.id);
        if let Some(note) = run.change(&known) {
            changes.push(note.what.clone());
        } else if let Some(before) = open_on(app, ChangeKind::CosmosIndexing, &place.id).await? {
            waiting += 1;
            let message = format!(
                "{} (proposed before, waits for a decision)",
                before.difference
            );
            findings.push(Finding::new(
                "change-waiting",
                before.id.to_string(),
                message,
            ));
        } else {
            open.push(place);
        }
    }
    let made = recent(app, estate.indexing.days).await?;
    // Made before the stream is: a lazy closure over references is not `Send` enough.
    let reads: Vec<_> = open.iter().map(|place| gather(app, place, &made)).collect();
    let outcomes: Vec<_> = stream::iter(reads).buffered(AT_ONCE).collect().await;
    let mut total = Judged::default();
    let mut read = 0_u64;
    for (place, outcome) in open.iter().zip(outcomes) {
        match outcome {
            Ok((standing, judged)) => {
                read += 1;
                total.runs += judged.runs;
                total.texts += judged.texts;
                total.unread += judged.unread;
                let told = judged.findings.into_iter();
                findings.extend(told.map(|(code, why)| Finding::new(code, place.id.short(), why)));
                if let Some((to, evidence)) = judged.change {
                    changes.push(propose(place, standing, to, evidence, estate.indexing.days));
                }
            }
            Err(error) => {
                unread.push(format!("{}: {error}", place.id.short()));
                findings.push(Finding::new(
                    "container-unreadable",
                    place.id.short(),
                    error.to_string(),
                ));
            }
        }
    }
    if read == 0 && !unread.is_empty() {
        anyhow::bail!("no container could be read: {}", unread.join("; "));
    }
    let notes = apply(app, journal, run, changes, PROPOSER, dry_run).await?;
    let mut result = TaskResult::new(
        format!(
            "{} queries of {read} of {all} containers looked at, {} changes of indexes proposed",
            total.runs,
            notes.len()
        ),
        findings,
    );
    for (name, count) in [
        ("containers", all),
        ("containers_unreadable", unread.len() as u64),
        ("changes_waiting", waiting),
        ("queries_seen", total.runs),
        ("query_texts_seen", total.texts),
        ("query_texts_not_understood", total.unread),
    ] {
        result.counts.insert(name.into(), count);
    }
    result.tell(&notes);
    Ok(result)
}

/// The containers of a stamp; `Err` with a finding that says why none is looked at.
async fn of_stamp(
    azure: &Azure,
    stamp: &Stamp,
    cosmos: &Cosmos,
    full_text: bool,
) -> Result<Result<Vec<Place>, Finding>, Error> {
    let Some(workspace) = &stamp.workspace else {
        let why = "the estate names no workspace, so it is not known what its containers are asked";
        return Ok(Err(Finding::new("indexing-no-data", &cosmos.account, why)));
    };
    let account = ResourceId::new(
        &stamp.subscription,
        &stamp.resource_group,
        Kind::CosmosAccount.azure(),
        &cosmos.account,
    );
    let known = cosmos::account(azure, &account).await?;
    if let Some(capability) = known.hides_indexes {
        let why = format!(
            "the account has {capability}: parts of its indexing policies are not shown in the version that is spoken here, and a change could lose them"
        );
        return Ok(Err(Finding::new(
            "indexing-not-shown",
            &cosmos.account,
            why,
        )));
    }
    if !full_text {
        // What obfuscation makes of a name may read like another one, and the stable versions of the
        // API do not tell whether it is at work.
        let why = "the texts of its queries may be obfuscated in the logs, so nothing is said about its indexes: turn on its full-text query, and say so as indexing.full_text";
        return Ok(Err(Finding::new("indexing-no-data", &cosmos.account, why)));
    }
    let customer_id = match &workspace.customer_id {
        Some(id) => id.clone(),
        None => log_analytics::customer_id(azure, &workspace.id).await?,
    };
    let database = account.child("sqlDatabases", &cosmos.database);
    let place = |container: &String| Place {
        id: database.child("containers", container),
        account: cosmos.account.clone(),
        database: cosmos.database.clone(),
        container: container.clone(),
        scope: Scope::Workspace(customer_id.clone()),
    };
    Ok(Ok(cosmos.containers.iter().map(place).collect()))
}

/// The changes of indexes that were made within the window, the newest first.
async fn recent(app: &App, days: u32) -> anyhow::Result<Vec<ChangeRecord>> {
    const PAGE: usize = 200;
    let since = evidence::begins(app.clock.now(), days);
    // A proposal may have waited before it was made.
    let oldest = since
        - app
            .estate()?
            .policy(ChangeKind::CosmosIndexing)
            .approval_lasts
            * 2;
    let (mut made, mut from) = (Vec::new(), None);
    loop {
        let page = all(app, from, PAGE, None).await?;
        let is_old = page.changes.last().is_some_and(|c| c.proposed < oldest);
        made.extend(page.changes.into_iter().filter(|record| {
            record.change.kind() == ChangeKind::CosmosIndexing
                && matches!(record.outcome, Some(Outcome::Verified { .. }))
                && record.settled.is_some_and(|at| at > since)
        }));
        from = page.next;
        if is_old || from.is_none() {
            return Ok(made);
        }
    }
}

/// What there is and what is to be said of it. Evidence that cannot be read is a finding.
async fn gather(
    app: &App,
    place: &Place,
    made: &[ChangeRecord],
) -> anyhow::Result<(Standing, Judged)> {
    let (estate, azure, now) = (app.estate()?, app.azure()?, app.clock.now());
    let days = estate.indexing.days;
    let (container, evidence) = tokio::join!(
        cosmos::container(azure, &place.id),
        evidence::read(azure, place, days, now),
    );
    let container = container?;
    let standing = Standing {
        policy: container.policy,
        keys: container.keys,
    };
    let evidence = match evidence {
        Ok(evidence) => evidence,
        Err(error) => {
            let why = format!("what it is asked cannot be read, so nothing is said: {error}");
            let judged = Judged {
                findings: vec![("indexing-no-evidence", why)],
                ..Judged::default()
            };
            return Ok((standing, judged));
        }
    };
    let least = u64::from(estate.indexing.least_queries);
    let mut judged = judge(&standing, &evidence, least);
    let last = made
        .iter()
        .find(|record| record.change.resource == place.id);
    let changed = last.and_then(|record| {
        Some(Changed {
            id: record.id.to_string(),
            day: day(evidence::begins(now, days), record.settled?)?,
        })
    });
    judged
        .findings
        .extend(changed.and_then(|changed| dearer(&evidence, &changed)));
    Ok((standing, judged))
}

/// In which day since `from` a time lies.
fn day(from: DateTime<Utc>, at: DateTime<Utc>) -> Option<u32> {
    u32::try_from((at - from).num_days()).ok()
}

fn propose(
    place: &Place,
    standing: Standing,
    to: IndexingPolicy,
    evidence: Vec<String>,
    days: u32,
) -> Change {
    let mutation = Mutation::CosmosIndexing {
        from: standing.policy,
        to,
        evidence,
    };
    let why = format!("its queries of {days} days need another index than it has");
    Change::new(place.id.clone(), mutation, why)
}
