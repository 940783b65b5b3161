//! `poolkeeper replay`: a policy judged on recorded load.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use crate::domain::ChangeKind;
use crate::estate::{Estate, ThroughputRules};
use crate::operations::autoscale::replay::{Load, Policy, Report, Scene, Shape, replay};

const EXAMPLES: &str = "\
Examples:
  poolkeeper replay --load requests.csv --policy infra/estate.toml
  poolkeeper replay --load requests.csv.gz --policy infra/estate.toml --vs proposed.toml --json
  poolkeeper replay --load requests.csv --ru-per-request 12 --container threads --partitions 4 --hot 60

The load: CSV with a heading, a line for each minute: its time (RFC 3339, or UTC without a zone) and how many
requests there were; gzip or not. A minute that is left out was not measured: then nothing is known, and nothing is
taken away. The throughput of one Cosmos container follows it, as the rules of the policy have it; cooldown and time
zone are the policy's too, while its windows, rates and mode are not judged: each change is made at once. Beside it:
the specification's rule (doubled above 80 %, halved below 20 %), no scaling, and somebody who knows the load of each
hour and never splits partitions.

A minute's load falls on it evenly: what is refused is what is above what there is in the mean of the minute.
Throttled minutes are those in which 1 % of the load or more was refused. RU-hours are counted as Azure charges them:
each hour of the clock by the most that it had; and as they were provisioned.

Exit codes: 0 the policy has no more throttled minutes, RU-hours charged and changes of direction than what it is
compared with (the policy of --vs, else the specification's rule); 1 it has; 2 usage, or a file is not what it should
be.";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The load, minute by minute; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    load: PathBuf,
    /// The estate file whose rules are judged.
    #[arg(long, value_name = "FILE", default_value = "infra/estate.toml")]
    policy: PathBuf,
    /// Another estate file to compare it with.
    #[arg(long, value_name = "FILE")]
    vs: Option<PathBuf>,
    /// The container whose rules are meant; else those of the first that scaling owns, or what holds
    /// without any.
    #[arg(long)]
    container: Option<String>,
    /// RU that a request takes. Without it the load is scaled to --mean-ru.
    #[arg(long, value_name = "RU", conflicts_with = "mean_ru")]
    ru_per_request: Option<f64>,
    /// RU/s that the load takes in the mean.
    #[arg(long, value_name = "RU", default_value_t = 2000.0)]
    mean_ru: f64,
    /// RU/s at the start [default: what the first hour needs].
    #[arg(long, value_name = "RU", value_parser = clap::value_parser!(u32).range(400..=1_000_000))]
    start: Option<u32>,
    /// Physical partitions at the start, of 10,000 RU/s each at most: above that they are split, which
    /// takes hours and somebody's approval.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=100))]
    partitions: u32,
    /// Percent of the load that falls on one partition [default: all alike].
    #[arg(long, value_name = "PERCENT")]
    hot: Option<f64>,
    /// Throughput scales by itself up to what is set.
    #[arg(long)]
    autoscale: bool,
    /// What is asked first is approved at once.
    #[arg(long)]
    approve: bool,
    /// Minutes by which metrics are late.
    #[arg(long, value_name = "MINUTES", default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=60))]
    lag: u32,
    /// Whose price counts [default: the first of the policy].
    #[arg(long)]
    region: Option<String>,
    /// Print each change too.
    #[arg(long)]
    changes: bool,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let report = match judge(arguments) {
        Ok(report) => report,
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::from(2);
        }
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    let told = if arguments.json {
        serde_json::to_writer_pretty(&mut out, &report)
            .map_err(io::Error::from)
            .and_then(|()| writeln!(out))
    } else {
        print(&mut out, &report, arguments.changes)
    };
    if let Err(error) = told.and_then(|()| out.flush()) {
        eprintln!("error: write the report: {error}");
        return ExitCode::from(3);
    }
    ExitCode::from(u8::from(!report.verdict.passes))
}

fn judge(arguments: &Arguments) -> anyhow::Result<Report> {
    let policy = policy(&arguments.policy, arguments)?;
    let other = match &arguments.vs {
        Some(path) => Some(self::policy(path, arguments)?),
        None => None,
    };
    let load = load(&arguments.load)?;
    let factor = match arguments.ru_per_request {
        Some(ru) => ru / 60.0,
        None => arguments.mean_ru / load.mean(),
    };
    anyhow::ensure!(
        factor.is_finite() && factor > 0.0,
        "--ru-per-request and --mean-ru are numbers above 0"
    );
    anyhow::ensure!(
        arguments.hot.is_none_or(|hot| (0.0..=100.0).contains(&hot)),
        "--hot is a number from 0 to 100"
    );
    let load = load.times(factor);
    let start = match arguments.start {
        Some(start) => start,
        None => needed(&load, &policy.rules, arguments.autoscale),
    };
    let scene = Scene {
        load,
        shape: Shape {
            start,
            partitions: arguments.partitions,
            hot_percent: arguments.hot,
            auto: arguments.autoscale,
        },
        lag: arguments.lag,
        approves: arguments.approve,
        region: arguments.region.clone(),
    };
    Ok(replay(&scene, &policy, other.as_ref()))
}

/// What the first hour needs, within the limits of the rules.
fn needed(load: &Load, rules: &ThroughputRules, auto: bool) -> u32 {
    let step = if auto { 1000 } else { 100 };
    let first = load.minutes.iter().take(60).flatten();
    let most = first.copied().fold(0.0, f64::max);
    let target = f64::from(rules.target_percent.clamp(1, 100)) / 100.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it ends at the limits"
    )]
    let steps = (most / target / f64::from(step)).ceil() as u32;
    let least = rules.least.div_ceil(step) * step;
    steps
        .saturating_mul(step)
        .max(least)
        .min(rules.most.max(least))
}

fn load(path: &Path) -> anyhow::Result<Load> {
    let named = || format!("read the load `{}`", path.display());
    let mut bytes = Vec::new();
    if path.as_os_str() == "-" {
        io::stdin().lock().read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| BufReader::new(file).read_to_end(&mut bytes))
    }
    .with_context(named)?;
    if bytes.starts_with(&[0x1f, 0x8b]) {
        Load::read(flate2::read::MultiGzDecoder::new(bytes.as_slice())).with_context(named)
    } else {
        Load::read(bytes.as_slice()).with_context(named)
    }
}

fn policy(path: &Path, arguments: &Arguments) -> anyhow::Result<Policy> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("read `{}`", path.display()))?;
    let estate = Estate::parse(&text).with_context(|| format!("read `{}`", path.display()))?;
    let owned = &estate.scaling.containers;
    let rules = match &arguments.container {
        Some(name) => {
            let named = owned
                .iter()
                .find(|(id, _)| id.short().rsplit('/').next() == Some(name));
            named
                .with_context(|| format!("`{}` owns no container `{name}`", path.display()))?
                .1
        }
        None => owned
            .first()
            .map_or_else(ThroughputRules::default, |(_, rules)| *rules),
    };
    let name = path.file_name().map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    );
    Ok(Policy {
        name,
        rules,
        cooldown: estate.policy(ChangeKind::CosmosThroughput).cooldown,
        zone: estate.zone,
        prices: estate.scaling.prices,
    })
}

fn print(out: &mut impl Write, report: &Report, changes: bool) -> io::Result<()> {
    let form = "%Y-%m-%d %H:%M";
    writeln!(
        out,
        "{} minutes from {} to {} UTC, {} of them not measured; {:.0} RU/s in the mean, {:.0} at most",
        report.minutes,
        report.from.format(form),
        report.until.format(form),
        report.missing,
        report.mean_ru,
        report.most_ru
    )?;
    writeln!(
        out,
        "It begins with {} RU/s on {} partitions.\n",
        report.start, report.partitions
    )?;
    let wide = report.results.iter().map(|r| r.name.chars().count()).max();
    let wide = wide.unwrap_or(0);
    writeln!(
        out,
        "{:wide$}  {:>9}  {:>9}  {:>12}  {:>12}  {:>7}  {:>9}  cost",
        "", "throttled", "refused", "RU-hours", "RU-hours", "changes", "direction"
    )?;
    writeln!(
        out,
        "{:wide$}  {:>9}  {:>9}  {:>12}  {:>12}  {:>7}  {:>9}",
        "", "minutes", "percent", "charged", "provisioned", "", "changes"
    )?;
    for result in &report.results {
        writeln!(
            out,
            "{:wide$}  {:>9}  {:>9.4}  {:>12.0}  {:>12.0}  {:>7}  {:>9}  {}",
            result.name,
            result.throttled_minutes,
            result.refused_percent,
            result.ru_hours_charged,
            result.ru_hours,
            result.changes,
            result.direction_changes,
            result
                .cost
                .map_or_else(|| "no price".to_owned(), |money| money.to_string())
        )?;
    }
    for verdict in report.specification.iter().chain([&report.verdict]) {
        writeln!(out, "\nAgainst {}:", verdict.against)?;
        for count in &verdict.counts {
            let says = match count.better {
                "policy" => "the policy has less",
                "other" => "the other has less",
                _ => "alike",
            };
            writeln!(
                out,
                "  {:21} {:>12.0} {:>12.0}  {says}",
                count.of, count.policy, count.other
            )?;
        }
    }
    let passes = if report.verdict.passes {
        "The policy passes: no more throttled minutes, RU-hours charged and changes of direction."
    } else {
        "The policy does not pass: it has more throttled minutes, RU-hours charged or changes of direction."
    };
    writeln!(out, "{passes}")?;
    for result in report.results.iter().filter(|r| !r.held.is_empty()) {
        let held: Vec<_> = result
            .held
            .iter()
            .map(|(why, ticks)| format!("{why} {ticks}"))
            .collect();
        writeln!(
            out,
            "\nTicks of {} without a change: {}",
            result.name,
            held.join(", ")
        )?;
    }
    if changes {
        for result in &report.results {
            writeln!(out, "\n{}", result.name)?;
            for made in &result.made {
                writeln!(
                    out,
                    "  {}  {:>6} -> {:>6}  {}",
                    made.at.format(form),
                    made.from,
                    made.to,
                    made.why
                )?;
            }
        }
    }
    Ok(())
}
