use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::json;

use super::by_the_clock;
use crate::app::App;
use crate::config::Config;
use crate::journal::{Chain, Proof, RunId, verify_all};

#[derive(Subcommand)]
pub(super) enum Arguments {
    /// Show the records of one run.
    ///
    /// Exit code: 0 whole, 1 broken.
    Show {
        run: RunId,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Hold every chain against the newest anchor.
    ///
    /// Exit code: 0 whole, 1 broken. Without an anchor the ends of the chains are unproven.
    Verify {
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn run(config: Config, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let app = by_the_clock(config).await;
    match arguments {
        Arguments::Show { run, json } => show(&app, &run, json).await,
        Arguments::Verify { json } => verify(&app, json).await,
    }
}

async fn show(app: &App, run: &RunId, json: bool) -> anyhow::Result<ExitCode> {
    let log = app.store()?.log(&run.log()).await?;
    let log = log.with_context(|| format!("run `{run}` has no journal"))?;
    let chain = Chain::read(run.as_str(), &log);
    if json {
        let records: Vec<_> = chain.records.iter().map(|(_, record)| record).collect();
        let broken = chain.broken.as_ref().map(ToString::to_string);
        let document = json!({ "run": run, "records": records, "broken": broken });
        println!("{}", serde_json::to_string_pretty(&document)?);
    } else {
        for (_, record) in &chain.records {
            let event = serde_json::to_string(&record.event)?;
            println!("{:>4}  {}  {event}", record.seq, record.at.to_rfc3339());
        }
    }
    Ok(match &chain.broken {
        None => ExitCode::SUCCESS,
        Some(broken) => {
            eprintln!("broken: {broken}");
            ExitCode::from(1)
        }
    })
}

async fn verify(app: &App, json: bool) -> anyhow::Result<ExitCode> {
    let verdict = verify_all(app.store()?, app.anchors()?).await?;
    let broken: Vec<_> = verdict.broken().collect();
    if json {
        println!("{}", serde_json::to_string_pretty(&verdict)?);
    } else {
        for (run, why) in &broken {
            println!("{run}: {why}");
        }
        let proof = match &verdict.proof {
            Proof::Anchored { anchor, at } => {
                format!("held against `{anchor}` of {}", at.to_rfc3339())
            }
            Proof::TailUnproven => "there is no anchor yet: their tails are unproven".into(),
        };
        println!(
            "{} chains, {} broken; {proof}",
            verdict.chains.len(),
            broken.len()
        );
    }
    Ok(ExitCode::from(u8::from(!broken.is_empty())))
}
