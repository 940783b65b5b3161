use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};

use super::by_the_clock;
use super::follow::{code, work_out};
use super::runs::whole;
use crate::config::Config;
use crate::domain::Cadence;
use crate::journal::{Cause, RunId, Work};
use crate::operations::accept;
use crate::operations::maintenance::Task;

#[derive(Subcommand)]
pub(super) enum Arguments {
    /// Run maintenance here and now.
    Maintenance(Maintenance),
}

/// Progress goes to standard error, the result to standard output. The run is journaled like any
/// other, and taken up again by the minute tick if this process dies.
///
/// Exit codes: 0 done, with findings or without; 1 a task failed or a change was held back.
#[derive(Args)]
pub(super) struct Maintenance {
    /// daily, weekly or monthly.
    cadence: Cadence,
    /// Only this task; may be repeated.
    #[arg(long, value_name = "TASK")]
    task: Vec<String>,
    /// Change nothing, and print the exact difference that would be made.
    #[arg(long)]
    dry_run: bool,
    /// Print the run as one JSON document.
    #[arg(long)]
    json: bool,
    /// A subscription that may be changed with the signed-in developer's credential; may be
    /// repeated.
    #[arg(long, value_name = "ID")]
    subscription: Vec<String>,
}

pub(super) async fn run(mut config: Config, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments::Maintenance(arguments) = arguments;
    config.azure.named = arguments.subscription;
    let app = by_the_clock(config).await;
    if let Err(why) = Task::choose(arguments.cadence, &arguments.task) {
        eprintln!("error: {why}");
        return Ok(ExitCode::from(2));
    }
    let cadence = arguments.cadence;
    let id: RunId = format!("{cadence}-request-{}", uuid::Uuid::new_v4().simple())
        .parse()
        .context("name the run")?;
    let work = Work::Maintenance {
        cadence,
        cause: Cause::Request,
        due: None,
        tasks: arguments.task,
        dry_run: arguments.dry_run,
    };
    eprintln!("run {id}");
    accept(&app, id.clone(), work).await?;
    let run = work_out(&app, &id).await?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&run)?);
    } else {
        print!("{}", whole(&run));
    }
    Ok(ExitCode::from(code(run.state)))
}
