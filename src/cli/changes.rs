use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::json;

use super::by_the_clock;
use super::follow::{code, work_out};
use super::runs::whole;
use crate::app::App;
use crate::changes::{ChangeRecord, KillSwitch, all, find, hash, turn};
use crate::config::Config;
use crate::domain::{Ask, Capacity, ChangeId, Outcome, Replicas};
use crate::journal::RunId;
use crate::operations::changes::{Said, ask_for, say};

#[derive(Subcommand)]
pub(super) enum Arguments {
    /// List changes, newest first.
    List {
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=500))]
        most: u16,
        /// Only those with this outcome, as awaiting_approval.
        #[arg(long)]
        outcome: Option<String>,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Show one change.
    Show {
        id: ChangeId,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Approve a change: it is made now, if the guard still lets it through, and read back.
    Approve(Decide),
    /// Reject a change.
    Reject(Decide),
    /// Propose to take an earlier change back.
    Undo {
        id: ChangeId,
        #[command(flatten)]
        how: Proposing,
    },
    /// Propose a change.
    #[command(subcommand)]
    Propose(Propose),
    /// Turn the kill switch on: nothing outside is changed any more, by any instance.
    Stop {
        #[command(flatten)]
        saying: Saying,
    },
    /// Turn the kill switch off.
    Resume {
        #[command(flatten)]
        saying: Saying,
    },
}

#[derive(Args)]
pub(super) struct Decide {
    id: ChangeId,
    /// The beginning of the change's hash, as `changes show` gives it: what is decided about is
    /// what was looked at.
    #[arg(long)]
    hash: String,
    #[command(flatten)]
    saying: Saying,
}

/// Who says it, and why.
#[derive(Args)]
pub(super) struct Saying {
    /// Why, for whoever reads the journal.
    #[arg(long)]
    reason: String,
    /// Which person of an embedded estate says it [default: the first].
    #[arg(long = "as", value_name = "NAME")]
    by: Option<String>,
    /// A subscription that may be changed with the signed-in developer's credential; may be
    /// repeated.
    #[arg(long, value_name = "ID")]
    subscription: Vec<String>,
    /// Print the run as one JSON document.
    #[arg(long)]
    json: bool,
}

/// How a proposal is made.
#[derive(Args)]
pub(super) struct Proposing {
    #[command(flatten)]
    saying: Saying,
    /// Change nothing, and print the exact difference that would be made.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Subcommand)]
pub(super) enum Propose {
    /// Another throughput for a Cosmos container.
    Throughput {
        /// account/database/container, or its id.
        resource: String,
        /// RU/s; of an autoscale container, the most.
        ru: u32,
        /// The container is one with autoscale.
        #[arg(long)]
        autoscale: bool,
        #[command(flatten)]
        how: Proposing,
    },
    /// Another number of replicas for a container app.
    Replicas {
        /// The app, or its id.
        resource: String,
        least: u32,
        most: u32,
        #[command(flatten)]
        how: Proposing,
    },
    /// A restart of a container app's revision.
    Restart {
        /// The app, or its id.
        resource: String,
        /// The revision [default: the newest].
        #[arg(long)]
        revision: Option<String>,
        #[command(flatten)]
        how: Proposing,
    },
}

/// Exit codes: 0 done, 1 failed, held back or refused, 3 there is no such change.
pub(super) async fn run(mut config: Config, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let saying = match &arguments {
        Arguments::List { .. } | Arguments::Show { .. } => None,
        Arguments::Approve(decide) | Arguments::Reject(decide) => Some(&decide.saying),
        Arguments::Stop { saying } | Arguments::Resume { saying } => Some(saying),
        Arguments::Undo { how, .. }
        | Arguments::Propose(
            Propose::Throughput { how, .. }
            | Propose::Replicas { how, .. }
            | Propose::Restart { how, .. },
        ) => Some(&how.saying),
    };
    if let Some(saying) = saying {
        config.azure.named.clone_from(&saying.subscription);
    }
    let app = by_the_clock(config).await;
    match arguments {
        Arguments::List {
            most,
            outcome,
            json,
        } => list(&app, most, outcome.as_deref(), json).await,
        Arguments::Show { id, json } => show(&app, &id, json).await,
        Arguments::Approve(d) => decide(&app, d, Said::Approve).await,
        Arguments::Reject(d) => decide(&app, d, Said::Reject).await,
        Arguments::Undo { id, how } => propose(&app, Ask::Undo { change: id }, &how).await,
        Arguments::Propose(what) => {
            let (ask, how) = asked(what);
            propose(&app, ask, &how).await
        }
        Arguments::Stop { saying } => switch(&app, true, &saying).await,
        Arguments::Resume { saying } => switch(&app, false, &saying).await,
    }
}

fn asked(what: Propose) -> (Ask, Proposing) {
    match what {
        Propose::Throughput {
            resource,
            ru,
            autoscale,
            how,
        } => {
            let to = if autoscale {
                Capacity::Autoscale(ru)
            } else {
                Capacity::Manual(ru)
            };
            (Ask::CosmosThroughput { resource, to }, how)
        }
        Propose::Replicas {
            resource,
            least,
            most,
            how,
        } => {
            let to = Replicas { least, most };
            (Ask::AppReplicas { resource, to }, how)
        }
        Propose::Restart {
            resource,
            revision,
            how,
        } => (Ask::AppRestart { resource, revision }, how),
    }
}

/// Who is at the keyboard: in an embedded estate one of its people, else whoever the credential
/// says.
pub(super) async fn me(app: &App, named: Option<&str>) -> anyhow::Result<String> {
    let keys = &app.config.principals.keys;
    match (named, keys.first()) {
        (None, Some((first, _))) => Ok(first.clone()),
        (Some(name), Some(_)) => {
            let known = || {
                keys.iter()
                    .map(|(name, _)| name.as_str())
                    .collect::<Vec<_>>()
            };
            anyhow::ensure!(
                known().contains(&name),
                "`{name}` is nobody here: {} are",
                known().join(", ")
            );
            Ok(name.to_owned())
        }
        (Some(_), None) => {
            anyhow::bail!("--as is for an embedded estate: here you are who your credential says")
        }
        (None, None) => Ok(app.azure()?.principal().await?),
    }
}

async fn list(app: &App, most: u16, outcome: Option<&str>, json: bool) -> anyhow::Result<ExitCode> {
    if let Some(outcome) = outcome
        && !Outcome::NAMES.contains(&outcome)
    {
        let known = Outcome::NAMES.join(", ");
        eprintln!("error: `{outcome}` is no outcome: {known}");
        return Ok(ExitCode::from(2));
    }
    let page = all(app, None, most.into(), outcome).await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&page)?);
        return Ok(ExitCode::SUCCESS);
    }
    let stopped = KillSwitch::read(app).await?.stopped();
    if let Some((by, reason)) = stopped {
        println!("the kill switch is on, turned by {by}: {reason}");
    }
    if page.changes.is_empty() {
        println!("there are no changes");
    }
    for record in &page.changes {
        println!("{}", line(record));
    }
    if page.next.is_some() {
        println!("older changes are not shown: --most");
    }
    Ok(ExitCode::SUCCESS)
}

fn line(record: &ChangeRecord) -> String {
    let outcome = record.outcome.as_ref().map(ToString::to_string);
    format!(
        "{}  {}  {}  {}",
        record.proposed.format("%Y-%m-%d %H:%M:%SZ"),
        record.id,
        record.difference,
        outcome.unwrap_or_else(|| "is being proposed".into())
    )
}

async fn show(app: &App, id: &ChangeId, json: bool) -> anyhow::Result<ExitCode> {
    let record = found(app, id).await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&record)?);
        return Ok(ExitCode::SUCCESS);
    }
    let can = if record.reversible {
        "it can be taken back"
    } else {
        "it cannot be taken back"
    };
    let asks = match &record.change.ask_first {
        Some(why) => format!("asks      first, since {why}\n"),
        None => String::new(),
    };
    println!(
        "change    {id}\nwhat      {}\nwhy       {}\n{asks}resource  {}\nproposed  {} by {} in run {}\nhash      {}\noutcome   {}\nnote      {can}",
        record.difference,
        record.change.why,
        record.change.resource,
        record.proposed.to_rfc3339(),
        record.by,
        record.run,
        record.hash.as_str(),
        record
            .outcome
            .as_ref()
            .map_or_else(|| "is being proposed".into(), ToString::to_string),
    );
    Ok(ExitCode::SUCCESS)
}

async fn found(app: &App, id: &ChangeId) -> anyhow::Result<ChangeRecord> {
    find(app, id)
        .await?
        .with_context(|| format!("there is no change {id}"))
}

async fn decide(app: &App, what: Decide, said: Said) -> anyhow::Result<ExitCode> {
    let record = found(app, &what.id).await?;
    let stands = hash(&record.change);
    let seen = what.hash.to_ascii_lowercase();
    if seen.len() < 8 || !stands.as_str().starts_with(&seen) {
        eprintln!(
            "error: the change is not the one that was looked at, or less than 8 digits of its hash were given: `poolkeeper changes show {}`",
            what.id
        );
        return Ok(ExitCode::from(1));
    }
    let by = me(app, what.saying.by.as_deref()).await?;
    eprintln!("{}", record.difference);
    let said = say(
        app,
        &what.id,
        said,
        &by,
        &what.saying.reason,
        stands.as_str(),
    )
    .await;
    match said {
        Ok(accepted) => finish(app, &accepted.run, what.saying.json).await,
        Err(refusal) => {
            eprintln!("error: {refusal}");
            Ok(ExitCode::from(1))
        }
    }
}

async fn propose(app: &App, ask: Ask, how: &Proposing) -> anyhow::Result<ExitCode> {
    let saying = &how.saying;
    let by = me(app, saying.by.as_deref()).await?;
    let key = uuid::Uuid::new_v4().simple().to_string();
    match ask_for(app, &key, &by, ask, &saying.reason, how.dry_run).await {
        Ok(accepted) => finish(app, &accepted.run, saying.json).await,
        Err(refusal) => {
            eprintln!("error: {refusal}");
            Ok(ExitCode::from(1))
        }
    }
}

async fn finish(app: &App, run: &RunId, json: bool) -> anyhow::Result<ExitCode> {
    let run = work_out(app, run).await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&run)?);
    } else {
        print!("{}", whole(&run));
    }
    // What is asked for and impossible is a finding, and no success here.
    let refused = run.changes.is_empty() && !run.findings.is_empty();
    Ok(ExitCode::from(code(run.state).max(u8::from(refused))))
}

async fn switch(app: &App, on: bool, saying: &Saying) -> anyhow::Result<ExitCode> {
    let by = me(app, saying.by.as_deref()).await?;
    anyhow::ensure!(!saying.reason.trim().is_empty(), "a reason is wanted");
    anyhow::ensure!(
        on || app.estate()?.is_approver(&by),
        "{by} may not turn the kill switch off: no policy names them"
    );
    let run = turn(app, on, &by, saying.reason.trim()).await?;
    if saying.json {
        println!("{}", json!({ "on": on, "run": run }));
    } else {
        println!("the kill switch is {}", if on { "on" } else { "off" });
    }
    Ok(ExitCode::SUCCESS)
}
