use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::by_the_clock;
use crate::app::App;
use crate::config::Config;
use crate::notify;

#[derive(Subcommand)]
pub(super) enum Arguments {
    /// Create, update and resolve a test incident by one channel, and show what was answered.
    Test(Test),
    /// Show what is still to be delivered, and why.
    Pending(Pending),
}

/// Exit codes: 0 all was taken, 1 something was not, 3 there is no such channel.
#[derive(Args)]
pub(super) struct Test {
    /// Name of a channel in the estate file.
    channel: String,
    /// Recipient, instead of the channel's own.
    #[arg(
        long,
        default_value = "",
        hide_default_value = true,
        value_name = "ADDRESS"
    )]
    to: String,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Exit codes: 0 shown, 1 no contact took something so far.
#[derive(Args)]
pub(super) struct Pending {
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(config: Config, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let app = by_the_clock(config).await;
    match arguments {
        Arguments::Test(arguments) => test(&app, &arguments).await,
        Arguments::Pending(arguments) => pending(&app, &arguments).await,
    }
}

async fn test(app: &App, arguments: &Test) -> anyhow::Result<ExitCode> {
    let trial = notify::trial(app, &arguments.channel, &arguments.to).await?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&trial)?);
    } else {
        println!("{} ({}), {}", trial.channel, trial.kind, trial.incident);
        for answer in &trial.answers {
            let taken = if answer.taken { "taken" } else { "NOT TAKEN" };
            let act = format!("{:?}", answer.act).to_lowercase();
            println!("  {act:<8} {taken}: {}", answer.said);
        }
        if let Some(ticket) = &trial.ticket {
            println!("  ticket   {ticket}");
        }
        for finding in &trial.findings {
            println!("  ! {}", finding.message);
        }
    }
    Ok(ExitCode::from(u8::from(!trial.findings.is_empty())))
}

async fn pending(app: &App, arguments: &Pending) -> anyhow::Result<ExitCode> {
    let (waiting, all) = notify::pending(app).await?;
    let failed = waiting.iter().any(|notice| notice.rounds > 0);
    if arguments.json {
        println!("{:#}", json!({ "waiting": all, "notices": waiting }));
        return Ok(ExitCode::from(u8::from(failed)));
    }
    if all == 0 {
        println!("nothing waits");
    }
    for notice in &waiting {
        let until = notice
            .until
            .map(|at| format!(", again at {}", at.format("%H:%M:%S UTC")));
        println!(
            "{} {} for {} by {}: {}{}",
            notice.incident,
            notice.notice,
            notice.recipient,
            notice.channel,
            notice.why,
            until.unwrap_or_default()
        );
    }
    if all > waiting.len() {
        println!("and {} more", all - waiting.len());
    }
    Ok(ExitCode::from(u8::from(failed)))
}
