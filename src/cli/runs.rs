use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;

use super::by_the_clock;
use super::follow::code;
use crate::app::App;
use crate::config::Config;
use crate::journal::{Run, RunId};
use crate::operations::runs;

/// How often a followed run is read.
const LOOK: Duration = Duration::from_millis(500);

/// Exit codes: 0 shown, 1 the run failed, was held back or missed, 3 there is no such run.
#[derive(Args)]
pub(super) struct Arguments {
    /// Show this run only, with its tasks and findings.
    run: Option<RunId>,
    /// How many runs.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=500))]
    most: u16,
    /// Stay with the run until it ends, telling each task as it is done.
    #[arg(long, requires = "run")]
    follow: bool,
    /// Print one JSON document, of the same shape as `/api/runs`.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(config: Config, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let app = by_the_clock(config).await;
    let Some(id) = &arguments.run else {
        return list(&app, &arguments).await;
    };
    let mut told = 0;
    let run = loop {
        let run = runs::one(&app, id)
            .await?
            .with_context(|| format!("there is no run `{id}`"))?;
        if !arguments.follow || run.state.is_final() {
            break run;
        }
        for report in run.tasks.iter().skip(told) {
            eprintln!("{}: {}", report.task, report.summary);
        }
        told = run.tasks.len();
        tokio::time::sleep(LOOK).await;
    };
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&run)?);
    } else {
        print!("{}", whole(&run));
    }
    Ok(ExitCode::from(code(run.state)))
}

async fn list(app: &App, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let page = runs::recent(app, None, arguments.most.into()).await?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&page)?);
        return Ok(ExitCode::SUCCESS);
    }
    if page.runs.is_empty() && page.waiting == 0 {
        println!("there are no runs yet");
    }
    for run in &page.runs {
        println!("{}", line(run));
    }
    for run in &page.accepted {
        println!("                      accepted, not finished  {run}");
    }
    if page.waiting > page.accepted.len() {
        let more = if page.waiting_is_more {
            "more than "
        } else {
            ""
        };
        println!("{more}{} are accepted and not finished", page.waiting);
    }
    if page.next.is_some() {
        println!("older runs are not shown: --most");
    }
    Ok(ExitCode::SUCCESS)
}

fn line(run: &Run) -> String {
    let tasks: Vec<&str> = run.tasks.iter().map(|t| t.summary.as_str()).collect();
    format!(
        "{}  {:<23} {}  {}",
        run.accepted.format("%Y-%m-%d %H:%M:%SZ"),
        run.state.to_string(),
        run.id,
        tasks.join("; ")
    )
    .trim_end()
    .to_owned()
}

pub(super) fn whole(run: &Run) -> String {
    let mut text = format!("run       {}\nstate     {}\n", run.id, run.state);
    let mut at = |name: &str, time: Option<chrono::DateTime<chrono::Utc>>| {
        if let Some(time) = time {
            text.push_str(&format!(
                "{name:<9} {}\n",
                time.format("%Y-%m-%d %H:%M:%S%.3fZ")
            ));
        }
    };
    at("accepted", Some(run.accepted));
    at("started", run.started);
    at("finished", run.finished);
    let findings = run
        .tasks
        .iter()
        .flat_map(|t| &t.findings)
        .chain(&run.findings);
    for task in &run.tasks {
        let took = (task.finished - task.started).num_milliseconds();
        text.push_str(&format!(
            "task      {}: {} in {}.{:03} s, {}\n",
            task.task,
            task.state,
            took / 1000,
            took % 1000,
            task.summary
        ));
        for (name, n) in &task.counts {
            text.push_str(&format!("          {n:>7} {}\n", name.replace('_', " ")));
        }
    }
    for note in &run.changes {
        let outcome = note.outcome.as_ref().map(ToString::to_string);
        text.push_str(&format!(
            "change    {} (hash {}): {}; {}\n",
            note.id,
            &note.hash.as_str()[..12],
            note.difference,
            outcome.unwrap_or_else(|| "under way".into())
        ));
    }
    for finding in findings {
        text.push_str(&format!(
            "finding   {} ({}): {}\n",
            finding.code, finding.subject, finding.message
        ));
    }
    text
}
