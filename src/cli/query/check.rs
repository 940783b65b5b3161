use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::{LimitArguments, show, tables};
use crate::kql;

#[derive(Args)]
pub(super) struct Arguments {
    /// The files, a query in each.
    #[arg(required = true, value_name = "FILE")]
    queries: Vec<PathBuf>,
    #[command(flatten)]
    tables: tables::TableArguments,
    #[command(flatten)]
    limits: LimitArguments,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let catalog = arguments.tables.catalog(false)?;
    let mut wrong = 0;
    for file in &arguments.queries {
        let name = file.display();
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) => {
                println!("{name}: {} cannot be read: {error}", show::error_word());
                wrong += 1;
                continue;
            }
        };
        match kql::check(
            &text,
            &catalog,
            &arguments.limits.options(std::sync::Arc::default()),
        ) {
            Ok(schema) => {
                let columns = schema
                    .fields
                    .iter()
                    .map(|f| format!("{}: {}", f.name, f.ty));
                println!("{name}: right: {}", columns.collect::<Vec<_>>().join(", "));
            }
            Err(error) => {
                println!("{name}: {} {}", show::error_word(), error.render(&text));
                wrong += 1;
            }
        }
    }
    if wrong > 0 {
        eprintln!("{wrong} of {} are wrong", arguments.queries.len());
    }
    Ok(ExitCode::from(u8::from(wrong > 0)))
}
