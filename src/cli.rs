//! The commands.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::app::{App, Clock};
use crate::config::{Config, LogFormat};
use crate::estate::Estate;
use crate::journal::{Chain, Proof, RunId, verify_all};
use crate::triggers;

/// The operations team of a pooled multi-tenant Azure service.
///
/// Without a command it serves when the Functions host has set its port variable.
#[derive(Parser)]
#[command(version, arg_required_else_help = false)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the Functions host on the port in `FUNCTIONS_CUSTOMHANDLER_PORT`.
    Serve,
    /// Read the estate file and tell everything that is wrong. Needs no network.
    ///
    /// Exit code: 0 right, 1 wrong.
    Check {
        /// The estate file.
        #[arg(default_value = "infra/estate.toml")]
        estate: PathBuf,
    },
    /// Read or prove the journal.
    #[command(subcommand)]
    Journal(JournalCommand),
}

#[derive(Subcommand)]
enum JournalCommand {
    /// Show the records of one run.
    Show { run: RunId },
    /// Hold every chain against the newest anchor.
    ///
    /// Exit code: 0 whole, 1 broken. Without an anchor the ends of the chains are unproven.
    Verify {
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
}

/// Runs the command line. Exit codes: 0 done, 1 a check failed, 2 settings or usage, 3 all else.
pub async fn run() -> ExitCode {
    let cli = Cli::parse();
    let in_host = std::env::var_os("FUNCTIONS_CUSTOMHANDLER_PORT").is_some();
    let command = match cli.command {
        Some(command) => command,
        None if in_host => Command::Serve,
        None => {
            eprintln!("no command, and no Functions host: see `poolkeeper --help`");
            return ExitCode::from(2);
        }
    };
    if let Command::Check { estate } = &command {
        return check(estate);
    }
    let config = match Config::from_env() {
        Ok(config) => config,
        Err(problems) => {
            // The host shows standard error as an error, and quotes it when the handler ends.
            eprintln!("{problems}");
            return ExitCode::from(2);
        }
    };
    let outcome = match command {
        Command::Serve => serve(config).await.map(|()| ExitCode::from(3)),
        Command::Journal(command) => journal(config, command).await,
        Command::Check { .. } => Ok(ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(3)
    })
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stdout);
    match config.log {
        LogFormat::Json => lines.json().init(),
        LogFormat::Text => lines.with_ansi(false).init(),
    }
    let port = config
        .port
        .context("`FUNCTIONS_CUSTOMHANDLER_PORT` is not set: the Functions host sets it")?;
    tracing::info!(port, version = env!("CARGO_PKG_VERSION"), "serving");
    triggers::serve(App::new(config, Clock::System), port).await
}

fn check(path: &std::path::Path) -> ExitCode {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("cannot read `{}`: {error}", path.display());
            return ExitCode::from(2);
        }
    };
    match Estate::parse(&text) {
        Ok(_) => {
            println!("`{}` is right", path.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(1)
        }
    }
}

async fn journal(config: Config, command: JournalCommand) -> anyhow::Result<ExitCode> {
    let app = App::new(config, Clock::System);
    match command {
        JournalCommand::Show { run } => {
            let log = app.store()?.log(&run.log()).await?;
            let log = log.with_context(|| format!("run `{run}` has no journal"))?;
            let chain = Chain::read(run.as_str(), &log);
            for (_, record) in &chain.records {
                let event = serde_json::to_string(&record.event)?;
                println!("{:>4}  {}  {event}", record.seq, record.at.to_rfc3339());
            }
            Ok(match &chain.broken {
                None => ExitCode::SUCCESS,
                Some(broken) => {
                    eprintln!("broken: {broken}");
                    ExitCode::from(1)
                }
            })
        }
        JournalCommand::Verify { json } => {
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
                    Proof::TailUnproven => {
                        "there is no anchor yet: their tails are unproven".into()
                    }
                };
                println!(
                    "{} chains, {} broken; {proof}",
                    verdict.chains.len(),
                    broken.len()
                );
            }
            Ok(ExitCode::from(u8::from(!broken.is_empty())))
        }
    }
}
