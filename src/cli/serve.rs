use std::process::ExitCode;

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;

use crate::app::{App, Clock};
use crate::config::{Config, LogFormat};
use crate::triggers;

/// Serves until killed. It never gives success back: the host takes exit code 0 for the end.
pub(super) async fn run(config: Config) -> anyhow::Result<ExitCode> {
    log_to_stdout(config.log);
    #[cfg(feature = "local")]
    crate::local::hold_leash();
    let port = config
        .port
        .context("`FUNCTIONS_CUSTOMHANDLER_PORT` is not set: the Functions host sets it")?;
    tracing::info!(port, version = env!("CARGO_PKG_VERSION"), "serving");
    let clock = Clock::of(&config);
    triggers::serve(App::new(config, clock), port).await?;
    Ok(ExitCode::from(3))
}

/// Lines go to standard output: the host takes each line of standard error for an error.
pub(super) fn log_to_stdout(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stdout);
    match format {
        LogFormat::Json => lines.json().init(),
        LogFormat::Text => lines.with_ansi(false).init(),
    }
}
