use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::serve::log_to_stdout;
use crate::config::LogFormat;
use crate::domain::Cadence;
use crate::local::telemetry::Trace;
use crate::local::{Local, Options, SCENARIOS, Services};

/// Everything stays in the data folder, so it goes on where it was when it is started again.
/// Ctrl-C stops it.
#[derive(Args)]
pub(super) struct Arguments {
    /// Port of the front, where functions are called.
    #[arg(long, default_value_t = 7071)]
    port: u16,
    /// Folder of the state.
    #[arg(long, default_value = ".poolkeeper", value_name = "DIR")]
    data: PathBuf,
    /// Write every exchange with the simulated services to this folder, secrets removed.
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
    /// Folder of host.json.
    #[arg(long, default_value = ".", value_name = "DIR")]
    app: PathBuf,
    /// Start the simulated services only, for a handler that is started by hand.
    #[arg(long, conflicts_with = "maintain")]
    services_only: bool,
    /// Rows of AppRequests that telemetry gets a minute, in the mean, and others with them; 0 for no
    /// telemetry.
    #[arg(long, default_value_t = 20, value_name = "COUNT")]
    requests_per_minute: u32,
    /// A recorded load (CSV `minute,count`, gzip or not) that telemetry and metrics follow, repeated
    /// and in step with the days of the week.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Start this maintenance once, and show what came of it.
    #[arg(long, value_name = "CADENCE")]
    maintain: Option<Cadence>,
    /// Play this scenario and tell what happens: bad-day takes a minute or two. Restarts, flushes and
    /// replicas are then in mode act, and the estate's clock is moved ahead.
    #[arg(long, value_name = "NAME", conflicts_with = "services_only",
        value_parser = clap::builder::PossibleValuesParser::new(SCENARIOS))]
    scenario: Option<String>,
    /// How many alert rules fire at once in the scenario's storm [default: 500].
    #[arg(long, value_name = "COUNT", requires = "scenario",
        value_parser = clap::value_parser!(u32).range(1..=999))]
    storm: Option<u32>,
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    log_to_stdout(LogFormat::Text);
    let options = Options {
        port: arguments.port,
        data: arguments.data,
        record: arguments.record,
        app: arguments.app,
        requests_per_minute: f64::from(arguments.requests_per_minute),
        trace: arguments.trace.as_deref().map(Trace::read).transpose()?,
        acting: arguments.scenario.is_some(),
    };
    if arguments.services_only {
        let mut services = Services::start(&options).await?;
        println!("{}", services.what_to_try());
        services.tell()?;
        stop_signal().await?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut local = Local::start(options).await?;
    if let Some(cadence) = arguments.maintain {
        println!("{}", local.maintain(cadence.as_str()).await?);
    }
    println!("{}", local.what_to_try());
    // Only now: what a person waits for comes first.
    local.tell()?;
    if let Some(scenario) = arguments.scenario {
        println!(
            "Scenario {scenario}: restarts, flushes and replicas are in mode act here, in an estate derived from yours."
        );
        let played = tokio::select! {
            played = local.play(&scenario, arguments.storm, |line| println!("{line}")) => Some(played),
            stopped = stop_signal() => { stopped?; None }
        };
        match played {
            Some(Ok(())) => {}
            Some(Err(error)) => println!("the scenario ended early: {error:#}"),
            None => {
                println!("stopping");
                local.stop().await;
                return Ok(ExitCode::SUCCESS);
            }
        }
    }
    stop_signal().await?;
    println!("stopping");
    local.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// Ctrl-C, or what a service manager sends.
async fn stop_signal() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut term = signal(SignalKind::terminate())?;
        tokio::select! {
            outcome = tokio::signal::ctrl_c() => outcome,
            _ = term.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
