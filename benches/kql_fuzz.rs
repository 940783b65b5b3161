//! Damaged queries against the query engine: none may bring it down.
//!
//!     cargo bench --profile dev --bench kql_fuzz -- --seconds 600
//!
//! The profile `dev` has the checks for overflow.
//!
//! Takes the queries of `tests/kql` (and of `--corpus FILE...`, one query in each), damages them by bytes and
//! by words, and has them answered over small tables. A case follows from its number and the seed alone:
//! what is told of a failure is found again with `--seed S --case N`. Exit code 1 when there was one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use poolkeeper::kql::error::Kind;
use poolkeeper::kql::exec::Limits;
use poolkeeper::kql::source::Folder;
use poolkeeper::kql::{Options, query};

/// A case that takes longer has missed its own limit.
const SLOW: Duration = Duration::from_secs(5);

#[derive(Parser)]
struct Arguments {
    /// How long.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only this case, and print it.
    #[arg(long)]
    case: Option<u64>,
    /// More queries, one in each file.
    #[arg(long, num_args = 1..)]
    corpus: Vec<PathBuf>,
    /// What `cargo bench` passes.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    // Deep queries need room in an unoptimised build too.
    let fuzzing = std::thread::Builder::new().stack_size(8 << 20).spawn(run);
    fuzzing
        .expect("a thread")
        .join()
        .expect("the loop catches panics")
}

fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let corpus = corpus(&arguments.corpus);
    let words: Vec<&str> = corpus
        .iter()
        .flat_map(|text| words(text))
        .filter(|word| !word.trim().is_empty())
        .collect();
    let tables = Folder::new(root().join("tests/kql/sample"), Arc::new(()));
    if let Some(case) = arguments.case {
        let text = damaged(&corpus, &words, arguments.seed, case);
        println!("{text}\n");
        return match query(&text, &tables, &options()) {
            Ok(table) => {
                println!("{} rows", table.rows());
                ExitCode::SUCCESS
            }
            Err(error) => {
                println!("{}", error.render(&text));
                ExitCode::SUCCESS
            }
        };
    }
    std::panic::set_hook(Box::new(|_| {}));
    let end = Instant::now() + Duration::from_secs(arguments.seconds);
    let (mut case, mut failures) = (0, 0);
    let mut kinds = [0_u64; 5];
    while Instant::now() < end {
        if case % 10_000 == 0 {
            // What overflows the stack ends the program: then the case is one of the next ones.
            eprintln!("case {case}");
        }
        let text = damaged(&corpus, &words, arguments.seed, case);
        let begun = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            query(&text, &tables, &options()).map(|_| ())
        }));
        let why = match outcome {
            Err(_) => Some("panicked".to_owned()),
            Ok(_) if begun.elapsed() > SLOW => Some(format!("took {:?}", begun.elapsed())),
            Ok(outcome) => {
                let kind = match outcome.map_err(|error| error.kind) {
                    Ok(()) => 0,
                    Err(Kind::Syntax) => 1,
                    Err(Kind::Semantic) => 2,
                    Err(Kind::NotImplemented) => 3,
                    Err(Kind::Execution) => 4,
                };
                kinds[kind] += 1;
                None
            }
        };
        if let Some(why) = why {
            failures += 1;
            println!("--seed {} --case {case} {why}: {text:?}", arguments.seed);
        }
        case += 1;
    }
    let [answered, syntax, semantic, absent, execution] = kinds;
    println!(
        "{case} cases of {} queries, seed {}: {failures} failures; {answered} answered, {syntax} no KQL, \
         {semantic} meaningless, {absent} not implemented, {execution} failed in execution",
        corpus.len(),
        arguments.seed
    );
    ExitCode::from(u8::from(failures > 0))
}

fn options() -> Options {
    Options {
        limits: Limits {
            time: Duration::from_secs(1),
            memory: 64 << 20,
            threads: 1,
        },
        ..Options::at(638_000_000_000_000_000)
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn corpus(more: &[PathBuf]) -> Vec<String> {
    let mut texts = Vec::new();
    let mut files: Vec<PathBuf> = std::fs::read_dir(root().join("tests/kql"))
        .expect("the folder of cases")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "kqlt"))
        .collect();
    files.sort();
    for file in &files {
        let text = std::fs::read_to_string(file).expect("a file of cases");
        for block in text.split("\n\n") {
            let lines = block.lines().skip_while(|line| !line.starts_with("query "));
            let query: Vec<&str> = lines.skip(1).take_while(|line| *line != "----").collect();
            if !query.is_empty() {
                texts.push(query.join("\n"));
            }
        }
    }
    texts.extend(
        more.iter()
            .map(|file| std::fs::read_to_string(file).expect("a query")),
    );
    texts
}

/// Names, numbers, spaces, and signs one by one.
fn words(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let kind = |c: char| (c.is_alphanumeric() || c == '_', c.is_whitespace());
        let end = match kind(first) {
            (false, false) => first.len_utf8(),
            is => rest.find(|c| kind(c) != is).unwrap_or(rest.len()),
        };
        let (word, after) = rest.split_at(end);
        out.push(word);
        rest = after;
    }
    out
}

/// Whether a word is a name, a number, or a sign.
fn kind(word: &str) -> (bool, bool) {
    let first = word.chars().next().unwrap_or(' ');
    (first.is_alphabetic() || first == '_', first.is_numeric())
}

/// The query of a case.
fn damaged(corpus: &[String], known: &[&str], seed: u64, case: u64) -> String {
    let mut random = Random(seed ^ case.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let base = &corpus[random.below(corpus.len())];
    let mut parts: Vec<&str> = words(base);
    if random.below(4) > 0 {
        for _ in 0..=random.below(3) {
            let at = random.below(parts.len() + 1);
            let word = known[random.below(known.len())];
            match random.below(9) {
                // Mostly a name for a name and a number for a number: what still parses goes deepest.
                6.. if at < parts.len() => {
                    let like = (0..16).map(|_| known[random.below(known.len())]);
                    parts[at] = { like }
                        .find(|word| kind(word) == kind(parts[at]))
                        .unwrap_or(word);
                }
                0 if at < parts.len() => {
                    parts.remove(at);
                }
                1 => parts.insert(at, word),
                2 if at < parts.len() => parts[at] = word,
                3 if at < parts.len() => parts.insert(at, parts[at]),
                4 if at < parts.len() => {
                    let other = random.below(parts.len());
                    parts.swap(at, other);
                }
                _ => {
                    let other = words(&corpus[random.below(corpus.len())]);
                    let cut = random.below(other.len() + 1);
                    parts.truncate(at);
                    parts.extend(&other[cut..]);
                }
            }
        }
        return parts.concat();
    }
    let mut bytes = base.clone().into_bytes();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        let byte = u8::try_from(random.below(256)).unwrap_or(0);
        match random.below(4) {
            0 if at < bytes.len() => bytes[at] = byte,
            1 if at < bytes.len() => {
                bytes.remove(at);
            }
            2 => bytes.truncate(at),
            _ => bytes.insert(at, byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// splitmix64: small, seeded, the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Below `end`, and zero when that is zero.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end.max(1) as u64)).unwrap_or(0)
    }
}
