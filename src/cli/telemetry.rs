use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use serde_json::json;

use crate::estate::Estate;
use crate::local::telemetry::{self, Cell, Conditions, Fault, Model, Plan, Table, Trace, Written};

#[derive(Subcommand)]
pub(super) enum Arguments {
    /// Write weeks of telemetry as Parquet, one file a day and table.
    Generate(Generate),
}

/// The same arguments write the same rows. The folder must hold no telemetry yet; what a killed run
/// left there is removed.
///
/// Exit codes: 0 written, 2 usage, 3 it cannot be written.
#[derive(Args)]
pub(super) struct Generate {
    /// Folder of the telemetry; made when missing.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Days before --until, and what is missing to midnight (UTC) of the first.
    #[arg(long, default_value_t = 35, value_parser = clap::value_parser!(u32).range(1..=3660))]
    days: u32,
    /// The end, as 2026-11-25T09:00:00Z [default: now].
    #[arg(long, value_name = "TIME")]
    until: Option<DateTime<Utc>>,
    /// Tenants, by Zipf's law; those of the estate are the largest.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    tenants: u32,
    /// Rows of AppRequests, about; other tables follow from it.
    #[arg(long, default_value_t = 500_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    requests: u64,
    /// Requests that one row stands for (`ItemCount`) in the busiest hours.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1000))]
    sampling: u32,
    /// Another seed is another world.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Follow a recorded load: lines `minute,count`, gzip or not.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Trouble, as `KIND,from=TIME,for=DURATION[,tenant=ID][,region=NAME][,app=NAME]`. Kinds: outage,
    /// silence, boundary, slow[,factor=5], errors[,share=0.05], throttle[,share=0.3]. May be given
    /// again.
    #[arg(long, value_name = "FAULT")]
    fault: Vec<Fault>,
    /// The estate file.
    #[arg(long, default_value = "infra/estate.toml", value_name = "FILE")]
    estate: PathBuf,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Arguments::Generate(arguments) = arguments;
    generate(arguments)
}

fn generate(arguments: &Generate) -> anyhow::Result<ExitCode> {
    let estate = read_estate(&arguments.estate)?;
    let trace = arguments.trace.as_deref().map(Trace::read).transpose()?;
    let until = arguments
        .until
        .unwrap_or_else(Utc::now)
        .timestamp()
        .div_euclid(60);
    let first = until - i64::from(arguments.days) * 1440;
    let from = first - first.rem_euclid(1440);
    let mut model = Model::new(
        Plan {
            seed: arguments.seed,
            tenants: usize::try_from(arguments.tenants)?,
            sampling: arguments.sampling,
            faults: arguments.fault.clone(),
            trace,
            ..Plan::default()
        },
        &estate,
    );
    model.scale(arguments.requests as f64, from, until)?;
    for fault in &arguments.fault {
        if let Some(tenant) = &fault.tenant {
            anyhow::ensure!(
                model.tenants().any(|id| id == tenant),
                "--fault: there is no tenant `{tenant}`; the largest are {}",
                model.tenants().take(5).collect::<Vec<_>>().join(", ")
            );
        }
    }
    let begun = Instant::now();
    let progress = |done: usize, all: usize| {
        if !arguments.json {
            eprint!("\r{done} of {all} files of each table");
        }
    };
    let conditions = Conditions::default();
    let written =
        telemetry::generate(&arguments.data, &model, &conditions, from, until, &progress)?;
    if !arguments.json {
        eprintln!();
    }
    tell(arguments, &model, &written, begun.elapsed().as_secs_f64());
    Ok(ExitCode::SUCCESS)
}

fn tell(arguments: &Generate, model: &Model, written: &Written, seconds: f64) {
    let rows: u64 = written.rows.iter().sum();
    let tables = Table::ALL
        .iter()
        .map(|table| (table.name(), written.of(*table)));
    if arguments.json {
        let tenants = model.tenants().enumerate().map(|(at, id)| {
            let Cell {
                requests,
                server_failures,
                client_errors,
                charge,
                latencies,
            } = written.counters.total(Some(at));
            json!({
                "tenant": id,
                "requests": requests,
                "server_failures": server_failures,
                "client_errors": client_errors,
                "request_units": (charge * 100.0).round() / 100.0,
                "p95_ms": latencies.quantile(0.95),
            })
        });
        let document = json!({
            "data": arguments.data,
            "seconds": seconds,
            "rows": rows,
            "tables": tables.collect::<std::collections::BTreeMap<_, _>>(),
            "tenants": tenants.collect::<Vec<_>>(),
        });
        println!("{document:#}");
        return;
    }
    for (table, rows) in tables {
        println!("{rows:>12}  {table}");
    }
    println!(
        "{rows:>12}  rows in `{}`, {seconds:.1} s",
        arguments.data.display()
    );
}

fn read_estate(path: &Path) -> anyhow::Result<Estate> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("read `{}`: name the estate with --estate", path.display()))?;
    Ok(Estate::parse(&text)?)
}
