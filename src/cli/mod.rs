//! The commands.

mod autoscale;
mod changes;
mod check;
mod follow;
mod forecast;
mod incidents;
mod journal;
#[cfg(feature = "local")]
mod local;
mod notify;
mod oncall;
#[cfg(feature = "local")]
mod package;
#[cfg(feature = "local")]
mod query;
mod quiet;
#[cfg(feature = "local")]
mod replay;
mod run;
mod runs;
mod serve;
#[cfg(feature = "local")]
mod telemetry;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use crate::app::{App, Clock};
use crate::config::{Config, settings_file};

/// What `--version` says, and how `package` knows what it is given: a program carries the words of
/// its own kind, since these are what it prints.
const CLOUD_BUILD: &str = concat!(env!("CARGO_PKG_VERSION"), " (cloud build of Poolkeeper)");
const LOCAL_BUILD: &str = concat!(env!("CARGO_PKG_VERSION"), " (local build of Poolkeeper)");
const VERSION: &str = if cfg!(feature = "local") {
    LOCAL_BUILD
} else {
    CLOUD_BUILD
};

/// Settings that a running embedded estate leaves for the other commands.
const LOCAL_SETTINGS: &str = ".poolkeeper/settings.json";

/// The operations team of a pooled multi-tenant Azure service.
///
/// Without a command it serves when the Functions host has set its port variable. To try it with
/// no cloud: `poolkeeper local`, and in a second terminal `poolkeeper runs`.
///
/// Exit codes: 0 done, 1 a check failed, 2 settings or usage, 3 anything else.
#[derive(Parser)]
#[command(version = VERSION, arg_required_else_help = false)]
struct Cli {
    /// Settings for what the environment does not say, in the form of local.settings.json
    /// [default: .poolkeeper/settings.json when it exists and no store is set].
    #[arg(long, global = true, value_name = "FILE")]
    settings: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the Functions host on the port in `FUNCTIONS_CUSTOMHANDLER_PORT`.
    Serve,
    /// Run everything on this machine: the embedded estate, a stand-in for the Functions host, and
    /// the handler.
    #[cfg(feature = "local")]
    Local(local::Arguments),
    /// Read the estate file and tell everything that is wrong. Needs no network.
    Check(check::Arguments),
    /// Write the package that goes to Azure: one zip, the same for the same content.
    #[cfg(feature = "local")]
    Package(package::Arguments),
    /// Ask tables in files with KQL, with no cloud.
    #[cfg(feature = "local")]
    Query(Box<query::Arguments>),
    /// Forecast a series of hourly values, with intervals that hold 95 of 100.
    Forecast(forecast::Arguments),
    /// Judge a policy of scaling on recorded load, before it is allowed to act.
    #[cfg(feature = "local")]
    Replay(Box<replay::Arguments>),
    /// Do work here and now.
    #[command(subcommand)]
    Run(run::Arguments),
    /// Show what scaling decided, or let it look here and now.
    #[command(subcommand)]
    Autoscale(autoscale::Arguments),
    /// Show changes, propose them, decide about them, and stop all of them.
    #[command(subcommand)]
    Changes(changes::Arguments),
    /// Show incidents, and do what people do to them.
    #[command(subcommand)]
    Incidents(incidents::Arguments),
    /// Show who is on duty, and put somebody else on duty for a while.
    #[command(subcommand)]
    Oncall(oncall::Arguments),
    /// Show what is kept quiet, and keep something quiet for a while.
    #[command(subcommand)]
    Quiet(quiet::Arguments),
    /// Show runs, newest first, or one run with its tasks and findings.
    Runs(runs::Arguments),
    /// Try a channel, or show what is still to be told.
    #[command(subcommand)]
    Notify(notify::Arguments),
    /// Read or prove the journal.
    #[command(subcommand)]
    Journal(journal::Arguments),
    /// Make telemetry of the embedded estate.
    #[cfg(feature = "local")]
    #[command(subcommand)]
    Telemetry(telemetry::Arguments),
}

/// Runs the command line.
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
    let settings = match settings(cli.settings.as_deref()) {
        Ok(settings) => settings,
        Err(error) => return failed(2, &error),
    };
    let config = || Config::from_env(&settings).map_err(anyhow::Error::from);
    let outcome = match command {
        Command::Check(arguments) => return check::run(&arguments),
        Command::Forecast(arguments) => return forecast::run(&arguments),
        #[cfg(feature = "local")]
        Command::Local(arguments) => local::run(arguments).await,
        #[cfg(feature = "local")]
        Command::Package(arguments) => package::run(&arguments),
        #[cfg(feature = "local")]
        Command::Query(arguments) => return query::run(*arguments).await,
        #[cfg(feature = "local")]
        Command::Replay(arguments) => return replay::run(&arguments),
        #[cfg(feature = "local")]
        Command::Telemetry(arguments) => telemetry::run(&arguments),
        command => {
            if let Some(outcome) = in_their_environment(&settings) {
                return outcome.unwrap_or_else(|error| failed(3, &error));
            }
            let config = match config() {
                Ok(config) => config,
                // The host shows standard error as an error, and quotes it when the handler ends.
                Err(error) => return failed(2, &error),
            };
            match command {
                Command::Serve => serve::run(config).await,
                Command::Run(arguments) => run::run(config, arguments).await,
                Command::Autoscale(arguments) => autoscale::run(config, arguments).await,
                Command::Changes(arguments) => changes::run(config, arguments).await,
                Command::Incidents(arguments) => incidents::run(config, arguments).await,
                Command::Oncall(arguments) => oncall::run(config, arguments).await,
                Command::Quiet(arguments) => quiet::run(config, arguments).await,
                Command::Runs(arguments) => runs::run(config, arguments).await,
                Command::Notify(arguments) => notify::run(config, arguments).await,
                Command::Journal(arguments) => journal::run(config, arguments).await,
                _ => Ok(ExitCode::SUCCESS),
            }
        }
    };
    outcome.unwrap_or_else(|error| failed(3, &error))
}

/// The Azure SDK finds a managed identity in the environment and nowhere else. When settings from a
/// file name one, this program starts itself once more with them as its environment.
fn in_their_environment(settings: &BTreeMap<String, String>) -> Option<anyhow::Result<ExitCode>> {
    const IDENTITY: &str = "IDENTITY_ENDPOINT";
    if !settings.contains_key(IDENTITY) || std::env::var_os(IDENTITY).is_some() {
        return None;
    }
    let again = || {
        let program = std::env::current_exe().context("find the running program")?;
        let missing = settings
            .iter()
            .filter(|(name, _)| std::env::var_os(name).is_none());
        let status = std::process::Command::new(program)
            .args(std::env::args_os().skip(1))
            .envs(missing)
            .status()
            .context("start with the settings as the environment")?;
        let code = status.code().and_then(|code| u8::try_from(code).ok());
        Ok(ExitCode::from(code.unwrap_or(3)))
    };
    Some(again())
}

/// What a command works on. Where an embedded estate is named, its time is the one that counts: it may
/// have been moved ahead, and what is due, quiet or on duty is so by that.
async fn by_the_clock(config: Config) -> App {
    let clock = Clock::of(&config);
    clock.catch_up().await;
    App::new(config, clock)
}

fn failed(code: u8, error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::from(code)
}

fn settings(named: Option<&Path>) -> anyhow::Result<BTreeMap<String, String>> {
    match named {
        Some(path) => settings_file(path),
        None if std::env::var_os("POOLKEEPER_BLOB_ENDPOINT").is_none()
            && Path::new(LOCAL_SETTINGS).is_file() =>
        {
            settings_file(Path::new(LOCAL_SETTINGS))
        }
        None => Ok(BTreeMap::new()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
