use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::estate::Estate;

/// Exit codes: 0 right, 1 wrong, 2 the file cannot be read.
#[derive(Args)]
pub(super) struct Arguments {
    /// The estate file.
    #[arg(default_value = "infra/estate.toml")]
    estate: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let path = &arguments.estate;
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
