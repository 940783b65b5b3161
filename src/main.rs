//! The thin binary: everything lives in the library.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    poolkeeper::cli::run().await
}
