//! The thin binary: everything lives in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    match poolkeeper::config::Config::from_env() {
        Ok(_) => {
            println!("the settings are complete");
            ExitCode::SUCCESS
        }
        Err(problems) => {
            eprintln!("{problems}");
            ExitCode::from(2)
        }
    }
}
