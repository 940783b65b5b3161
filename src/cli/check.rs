use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::estate::{Estate, EstateError, Problem, schema};

/// Exit codes: 0 right, 1 wrong or contradicting itself, 2 the file cannot be read.
#[derive(Args)]
pub(super) struct Arguments {
    /// The estate file.
    #[arg(default_value = "infra/estate.toml")]
    estate: PathBuf,
    /// Print the JSON Schema of the estate file instead, for editors.
    #[arg(long, conflicts_with_all = ["estate", "json"])]
    schema: bool,
    /// Print one JSON document: what is wrong and what contradicts itself, with lines.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    if arguments.schema {
        println!("{:#}", schema());
        return ExitCode::SUCCESS;
    }
    let path = &arguments.estate;
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("error: cannot read `{}`: {error}", path.display());
            return ExitCode::from(2);
        }
    };
    let (problems, contradictions) = match Estate::contradictions(&text) {
        Ok(contradictions) => (Vec::new(), contradictions),
        Err(EstateError(problems)) => (problems, Vec::new()),
    };
    let is_right = problems.is_empty() && contradictions.is_empty();
    if arguments.json {
        let told = json!({
            "estate": path, "problems": problems, "contradictions": contradictions,
        });
        println!("{told:#}");
    } else if is_right {
        println!("`{}` is right", path.display());
    } else {
        tell(path, &problems, false);
        for one in &contradictions {
            let kind = one.kind.as_str();
            println!("{}: {} ({kind})", path.display(), one.problem);
        }
    }
    ExitCode::from(u8::from(!is_right))
}

/// Prints what is wrong with an estate file.
pub(super) fn tell(path: &Path, problems: &[Problem], json: bool) {
    if json {
        println!("{:#}", json!({ "estate": path, "problems": problems }));
        return;
    }
    for problem in problems {
        println!("{}: {problem}", path.display());
    }
}
