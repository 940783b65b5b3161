//! `poolkeeper autoscale`: what scaling decided, and a run of it here and now.

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use serde_json::json;

use super::by_the_clock;
use super::changes::me;
use super::follow::{code, work_out};
use super::runs::whole;
use crate::config::Config;
use crate::operations::autoscale::{One, Refused, Shown, ask, decisions, show};

#[derive(Subcommand)]
pub(super) enum Arguments {
    /// Hold throughput and replicas against the load, here and now.
    Run(Run),
    /// Show what scaling owns, and what was decided about it last.
    Show {
        /// Print one JSON document, of the same shape as `/api/autoscale`.
        #[arg(long)]
        json: bool,
    },
}

/// Progress goes to standard error, the result to standard output. The run is journaled like any
/// other, and taken up again by the minute tick if this process dies.
///
/// Exit codes: 0 done, with findings or without; 1 it failed or a change was held back; 2 scaling
/// owns nothing of that name.
#[derive(Args)]
pub(super) struct Run {
    /// Only this: account/database/container, an account, an app, or an id.
    #[arg(long, value_name = "NAME")]
    resource: Option<String>,
    /// Change nothing, and print the exact difference that would be made.
    #[arg(long)]
    dry_run: bool,
    /// Print the run and its decisions as one JSON document.
    #[arg(long)]
    json: bool,
    /// Who asks, in an embedded estate [default: the first who has a key].
    #[arg(long = "as", value_name = "NAME")]
    by: Option<String>,
    /// A subscription that may be changed with the signed-in developer's credential; may be
    /// repeated.
    #[arg(long, value_name = "ID")]
    subscription: Vec<String>,
}

pub(super) async fn run(mut config: Config, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let arguments = match arguments {
        Arguments::Show { json } => {
            let shown = show(&by_the_clock(config).await).await?;
            if json {
                println!("{}", serde_json::to_string_pretty(&shown)?);
            } else {
                print!("{}", table(&shown));
            }
            return Ok(ExitCode::SUCCESS);
        }
        Arguments::Run(arguments) => arguments,
    };
    config.azure.named = arguments.subscription;
    let app = by_the_clock(config).await;
    let by = me(&app, arguments.by.as_deref()).await?;
    let key = uuid::Uuid::new_v4().simple().to_string();
    let resource = arguments.resource.as_deref();
    let id = match ask(&app, &key, &by, resource, arguments.dry_run).await {
        Ok(accepted) => accepted.run,
        Err(refused @ (Refused::NotOwned(_) | Refused::Ambiguous { .. })) => {
            eprintln!("error: {refused}");
            return Ok(ExitCode::from(2));
        }
        Err(refused) => return Err(refused.into()),
    };
    eprintln!("run {id}");
    let run = work_out(&app, &id).await?;
    if arguments.json {
        let decided = decisions(&app, &id).await?;
        let both = json!({ "run": run, "decided": decided });
        println!("{}", serde_json::to_string_pretty(&both)?);
    } else {
        print!("{}", whole(&run));
    }
    Ok(ExitCode::from(code(run.state)))
}

/// What scaling owns, a line each, and below it why.
fn table(shown: &Shown) -> String {
    let all: Vec<&One> = shown.containers.iter().chain(&shown.apps).collect();
    if all.is_empty() {
        return "the estate lets scaling own nothing: see [scaling] of the estate file\n".into();
    }
    let wide = all.iter().map(|one| one.name.chars().count()).max();
    let wide = wide.unwrap_or_default();
    let mut text = String::new();
    for one in all {
        let Some(last) = &one.last else {
            text.push_str(&format!("{:<wide$}  not looked at yet\n", one.name));
            continue;
        };
        let used = last.used.map(|used| format!("{used:.0} %"));
        let to = last.to.as_ref().map(|to| format!(" -> {to}"));
        text.push_str(&format!(
            "{:<wide$}  {:>5}  {}{}  {}, {}\n",
            one.name,
            used.unwrap_or_else(|| "?".into()),
            last.has,
            to.unwrap_or_default(),
            last.because.as_str().to_owned(),
            moment(last.at),
        ));
        text.push_str(&format!("{:<wide$}         {}\n", "", last.why));
        if let (Some(change), Some(outcome)) = (&last.change, &last.outcome) {
            text.push_str(&format!(
                "{:<wide$}         change {change}: {outcome}\n",
                ""
            ));
        }
        for change in one
            .waiting
            .iter()
            .filter(|id| last.change.as_ref() != Some(*id))
        {
            text.push_str(&format!(
                "{:<wide$}         change {change} waits for a decision\n",
                ""
            ));
        }
        if let Some(raised) = &one.raised {
            text.push_str(&format!(
                "{:<wide$}         raised from {} until {}\n",
                "",
                raised.from,
                moment(raised.until)
            ));
        }
    }
    text
}

fn moment(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%SZ").to_string()
}
