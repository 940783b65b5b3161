//! `poolkeeper query`: the query engine over files.

mod check;
mod lines;
mod show;
mod tables;

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};

use crate::kql::error::Kind;
use crate::kql::exec::Limits;
use crate::kql::plan::Catalog;
use crate::kql::{self, Options};

const EXAMPLES: &str = "\
Examples:
  poolkeeper query -q 'AppRequests | summarize count() by ResultCode'
  poolkeeper query slow.kql --data telemetry --csv > slow.csv
  poolkeeper query --parquet trips.parquet -q 'trips | top 3 by distance' --explain
  cat slow.kql | poolkeeper query - --from Requests=monday.jsonl.gz --json
  poolkeeper query check queries/*.kql

Exit codes: 0 answered, 1 the query failed, 2 usage, or the text is not KQL.";

/// Exit codes: 0 answered, 1 the query failed, 2 usage, or the text is not KQL.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Sub>,
    /// The file with the query; `-` is standard input.
    #[arg(
        conflicts_with = "text",
        default_value = "-",
        hide_default_value = true
    )]
    file: PathBuf,
    /// The query itself.
    #[arg(short = 'q', long = "query", value_name = "TEXT")]
    text: Option<String>,
    #[command(flatten)]
    tables: tables::TableArguments,
    #[command(flatten)]
    limits: LimitArguments,
    #[command(flatten)]
    form: Form,
    /// Print how the query would be worked on, and do not.
    #[arg(long, conflicts_with_all = ["table", "json", "csv", "jsonl"])]
    explain: bool,
    /// Do not cut the table to the width of the terminal.
    #[arg(long, conflicts_with_all = ["json", "csv", "jsonl"])]
    full: bool,
}

#[derive(Subcommand)]
enum Sub {
    /// Read queries and look their names and types up, without evaluating them. Exit code 1 when one
    /// is wrong.
    Check(check::Arguments),
}

#[derive(Args)]
#[group(multiple = false)]
struct Form {
    /// Print a table for people; the default.
    #[arg(long)]
    table: bool,
    /// Print one JSON document: `columns` with names and types, and `rows`.
    #[arg(long)]
    json: bool,
    /// Print CSV with a header; nulls are empty.
    #[arg(long)]
    csv: bool,
    /// Read many queries from the file, `{"id", "query"}` on a line each, and answer each with one line
    /// of JSON.
    #[arg(long, conflicts_with = "text")]
    jsonl: bool,
}

#[derive(Args)]
struct LimitArguments {
    /// What `now()` is, as RFC 3339 [default: the time of day].
    #[arg(long, value_name = "TIME")]
    now: Option<DateTime<Utc>>,
    /// The longest that a query may take, seconds.
    #[arg(long, value_name = "SECONDS", default_value = "600", value_parser = seconds)]
    timeout: Duration,
    /// The most memory that a query may hold, MiB.
    #[arg(long, value_name = "MIB", default_value_t = 2048, value_parser = clap::value_parser!(u32).range(1..))]
    memory: u32,
    /// Threads; 0 is one per core.
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

impl LimitArguments {
    fn options(&self, cancelled: Arc<AtomicBool>) -> Options {
        Options {
            limits: Limits {
                time: self.timeout,
                memory: (self.memory as usize) << 20,
                threads: self.threads,
            },
            cancelled,
            ..Options::at_time(self.now.unwrap_or_else(Utc::now))
        }
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds")?;
    // A year, so that a clock does not run over.
    if !(0.0..=31_536_000.0).contains(&seconds) {
        return Err("not between 0 and a year".into());
    }
    Ok(Duration::from_secs_f64(seconds))
}

pub(super) async fn run(arguments: Arguments) -> ExitCode {
    let cancelled: Arc<AtomicBool> = Arc::default();
    let flag = cancelled.clone();
    let work = tokio::task::spawn_blocking(move || match &arguments.command {
        Some(Sub::Check(arguments)) => check::run(arguments),
        None => ask(&arguments, &flag),
    });
    let outcome = tokio::select! {
        outcome = work => outcome,
        () = interrupted(&cancelled) => std::process::exit(130),
    };
    match outcome
        .map_err(anyhow::Error::from)
        .and_then(|outcome| outcome)
    {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{} {error:#}", show::error_word());
            ExitCode::from(2)
        }
    }
}

/// Waits for Ctrl-C. While a query runs, the first one cancels it and only the second ends the program.
async fn interrupted(cancelled: &AtomicBool) {
    loop {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        if !RUNNING.load(Ordering::Relaxed) || cancelled.swap(true, Ordering::Relaxed) {
            return;
        }
    }
}

/// Whether a query is being evaluated: before that, what is waited for is standard input.
static RUNNING: AtomicBool = AtomicBool::new(false);

fn ask(arguments: &Arguments, cancelled: &Arc<AtomicBool>) -> anyhow::Result<ExitCode> {
    let catalog = arguments.tables.catalog(arguments.form.jsonl)?;
    if arguments.form.jsonl {
        let options = || arguments.limits.options(cancelled.clone());
        return lines::run(&arguments.file, &catalog, options);
    }
    let text = match &arguments.text {
        Some(text) => text.clone(),
        None => read(&arguments.file)?,
    };
    let options = arguments.limits.options(cancelled.clone());
    RUNNING.store(true, Ordering::Relaxed);
    let begun = Instant::now();
    match answer(arguments, &text, &catalog, &options, begun) {
        Ok(outcome) => outcome.map(|()| ExitCode::SUCCESS),
        Err(error) => {
            eprintln!("{} {}", show::error_word(), error.render(&text));
            Ok(ExitCode::from(if error.kind == Kind::Syntax {
                2
            } else {
                1
            }))
        }
    }
}

/// The query's own failure outside, that of printing inside.
fn answer(
    arguments: &Arguments,
    text: &str,
    catalog: &dyn Catalog,
    options: &Options,
    begun: Instant,
) -> kql::error::Result<anyhow::Result<()>> {
    if arguments.explain {
        let plan = kql::plan(text, catalog, options)?;
        return Ok(write(&kql::explain::explain(&plan)));
    }
    let table = kql::query(text, catalog, options)?;
    let took = begun.elapsed();
    let printed = if arguments.form.json {
        format!("{}\n", kql::output::json(&table))
    } else if arguments.form.csv {
        match show::csv(&table) {
            Ok(csv) => csv,
            Err(error) => return Ok(Err(error)),
        }
    } else {
        show::table(&table, show::width(arguments.full))
    };
    let outcome = write(&printed);
    if !arguments.form.json && !arguments.form.csv {
        let rows = match table.rows() {
            1 => "1 row".into(),
            rows => format!("{rows} rows"),
        };
        eprintln!("{rows} in {:.3} s", took.as_secs_f64());
        if let Some(render) = &table.render {
            eprintln!("the query asks for a chart: {}", render.kind);
        }
    }
    Ok(outcome)
}

/// Prints an answer. That a reader has had enough, as `head` has, is no failure.
fn write(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context("print the answer")
        }
        _ => Ok(()),
    }
}

fn read(file: &std::path::Path) -> anyhow::Result<String> {
    if file.as_os_str() != "-" {
        return std::fs::read_to_string(file).with_context(|| format!("read `{}`", file.display()));
    }
    if std::io::stdin().is_terminal() {
        eprintln!("reading the query from standard input; end it with Ctrl-D");
    }
    let mut text = String::new();
    let read = std::io::stdin().read_to_string(&mut text);
    read.context("read the query from standard input")?;
    Ok(text)
}
