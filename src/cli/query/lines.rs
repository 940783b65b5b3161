//! Many queries, one on each line, answered one by one: how other programs ask.

use std::fs::File;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::kql::error::Kind;
use crate::kql::plan::Catalog;
use crate::kql::{self, Options};

pub(super) fn run(
    file: &Path,
    catalog: &dyn Catalog,
    options: impl Fn() -> Options,
) -> anyhow::Result<ExitCode> {
    let from: Box<dyn BufRead> = if file.as_os_str() == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        let opened = File::open(file).with_context(|| format!("read `{}`", file.display()))?;
        Box::new(BufReader::new(opened))
    };
    for (number, line) in from.lines().enumerate() {
        let line = line.context("read the queries")?;
        if line.trim().is_empty() {
            continue;
        }
        let asked: Value =
            serde_json::from_str(&line).with_context(|| format!("line {}", number + 1))?;
        let text = asked["query"]
            .as_str()
            .with_context(|| format!("line {} has no `query`", number + 1))?;
        let mut answer = match kql::query(text, catalog, &options()) {
            Ok(table) => kql::output::json(&table),
            Err(error) => {
                let stage = if error.kind == Kind::Syntax {
                    "parse"
                } else {
                    "exec"
                };
                json!({ "error": error.render(text), "stage": stage, "kind": format!("{:?}", error.kind) })
            }
        };
        answer["id"] = asked["id"].clone();
        let mut out = std::io::stdout().lock();
        writeln!(out, "{answer}")
            .and_then(|()| out.flush())
            .context("print the answer")?;
    }
    Ok(ExitCode::SUCCESS)
}
