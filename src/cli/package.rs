use std::io::{Cursor, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use memchr::memmem;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, System, ZipWriter};

use super::{CLOUD_BUILD, LOCAL_BUILD, check};
use crate::estate::{Estate, EstateError, Problem};
use crate::{queries, triggers};

/// The same content makes the same bytes, on any machine and at any time, so a package can be
/// told by its SHA-256.
///
/// Exit codes: 0 written, 1 the estate file is wrong, 2 something is missing or not fit for Azure.
#[derive(Args)]
pub(super) struct Arguments {
    /// The program, built with `--no-default-features`.
    #[arg(long, default_value = "target/cloud/poolkeeper", value_name = "FILE")]
    binary: PathBuf,
    /// Where the package is written.
    #[arg(long, default_value = "target/poolkeeper.zip", value_name = "FILE")]
    out: PathBuf,
    /// Folder of host.json.
    #[arg(long, default_value = ".", value_name = "DIR")]
    app: PathBuf,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut found = Found::default();
    found.look(arguments);
    let estate = arguments.app.join(ESTATE);
    if !found.problems.is_empty() {
        check::tell(&estate, &found.problems, arguments.json);
    }
    for refusal in &found.refusals {
        eprintln!("error: {refusal}");
    }
    if !found.refusals.is_empty() {
        return Ok(ExitCode::from(2));
    }
    if !found.problems.is_empty() {
        eprintln!(
            "error: `{}` is wrong, so nothing is packaged",
            estate.display()
        );
        return Ok(ExitCode::from(1));
    }
    found.entries.sort_by(|a, b| a.name.cmp(&b.name));
    let package = pack(&found.entries)?;
    write(&arguments.out, &package)?;
    let told = Told {
        package: &arguments.out,
        bytes: package.len(),
        sha256: format!("{:x}", Sha256::digest(&package)),
        entries: &found.entries,
    };
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&told)?);
    } else {
        print!("{}", told.lines());
    }
    Ok(ExitCode::SUCCESS)
}

const ESTATE: &str = "infra/estate.toml";

#[derive(Serialize)]
struct Entry {
    name: String,
    /// Unix permissions, octal.
    mode: &'static str,
    bytes: usize,
    #[serde(skip)]
    content: Vec<u8>,
}

/// What goes into the package, and everything that speaks against it.
#[derive(Default)]
struct Found {
    entries: Vec<Entry>,
    refusals: Vec<String>,
    problems: Vec<Problem>,
}

impl Found {
    fn look(&mut self, arguments: &Arguments) {
        let app = &arguments.app;
        if let Some(host) = self.read(&app.join("host.json")) {
            match executable(&host) {
                Ok(name) => self.program(name, &arguments.binary),
                Err(why) => self.refusals.push(format!("host.json: {why}")),
            }
            self.add("host.json".into(), FILE, host);
        }
        self.functions(&app.join("functions"));
        if let Some(estate) = self.read(&app.join(ESTATE)) {
            match String::from_utf8(estate) {
                Ok(text) => {
                    match Estate::parse(&text) {
                        Ok(estate) => {
                            let folder = app.join(ESTATE);
                            for file in estate.channel_files() {
                                if let Some(content) = self.read(&folder.with_file_name(file)) {
                                    self.add(file.to_owned(), FILE, content);
                                }
                            }
                        }
                        Err(EstateError(problems)) => self.problems = problems,
                    }
                    self.add("estate.toml".into(), FILE, text.into_bytes());
                }
                Err(_) => self.refusals.push(format!("`{ESTATE}` is not UTF-8")),
            }
        }
        // What runs in Azure may be held against what was built: dashboards and alert rules carry
        // copies of queries.
        let hashes =
            serde_json::to_vec_pretty(&queries::hashes()).expect("names and hashes are JSON");
        self.add("queries.json".into(), FILE, hashes);
    }

    /// The host finds functions in the folders beside host.json only.
    fn functions(&mut self, folder: &Path) {
        match triggers::differences(folder) {
            Ok(differences) if differences.is_empty() => {
                for function in triggers::table() {
                    let name = format!("{}/function.json", function.name);
                    if let Some(content) = self.read(&folder.join(&name)) {
                        self.add(name, FILE, content);
                    }
                }
            }
            Ok(differences) => self.refusals.extend(differences),
            Err(error) => self.unreadable(folder, &error),
        }
    }

    /// A program is known by the words it prints for `--version`, which lie in it as they are. It
    /// is not run: it may be built for another machine, and nobody has looked at it yet.
    fn program(&mut self, name: String, file: &Path) {
        let shown = file.display();
        let content = match std::fs::read(file) {
            Ok(content) => content,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.refusals
                    .push(format!("there is no `{shown}`: {HOW_TO_BUILD}"));
                return;
            }
            Err(error) => return self.unreadable(file, &error),
        };
        let carries = |words: &str| memmem::find(&content, words.as_bytes()).is_some();
        // 64-bit ELF for x86-64, the one machine of Flex Consumption.
        let fits = content.starts_with(b"\x7fELF\x02") && content.get(18..20) == Some(&[62, 0]);
        if carries(LOCAL_BUILD) {
            self.refusals.push(format!(
                "`{shown}` carries the embedded estate, which stays at home: {HOW_TO_BUILD}"
            ));
        } else if !carries(CLOUD_BUILD) {
            self.refusals.push(format!(
                "`{shown}` is not Poolkeeper {CLOUD_BUILD}: {HOW_TO_BUILD}"
            ));
        } else if !fits {
            self.refusals.push(format!(
                "`{shown}` is not built for Linux on x86-64, where Azure runs it: build it there, or with --target, and name it with --binary"
            ));
        }
        self.add(name, PROGRAM, content);
    }

    fn read(&mut self, file: &Path) -> Option<Vec<u8>> {
        std::fs::read(file)
            .map_err(|error| self.unreadable(file, &error))
            .ok()
    }

    fn unreadable(&mut self, path: &Path, error: &std::io::Error) {
        self.refusals.push(format!(
            "cannot read `{}`: {error}; name the folder of host.json with --app",
            path.display()
        ));
    }

    fn add(&mut self, name: String, mode: &'static str, content: Vec<u8>) {
        self.entries.push(Entry {
            name,
            mode,
            bytes: content.len(),
            content,
        });
    }
}

const FILE: &str = "0644";
/// Azure sets the bit too, but its failure to do so would only be logged.
const PROGRAM: &str = "0755";
const HOW_TO_BUILD: &str = "build it with `cargo build --locked --profile cloud --no-default-features`, or name another with --binary";

/// The program's name in the package, as the host looks for it.
fn executable(host: &[u8]) -> Result<String, String> {
    let host: Value = serde_json::from_slice(host).map_err(|error| error.to_string())?;
    let name = host
        .pointer("/customHandler/description/defaultExecutablePath")
        .and_then(Value::as_str)
        .ok_or("`customHandler.description.defaultExecutablePath` is missing")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let inside = name
        .split('/')
        .all(|part| !matches!(part, "" | "." | "..") && part.chars().all(plain));
    if inside {
        Ok(name.to_owned())
    } else {
        Err(format!(
            "`defaultExecutablePath` is `{name}`: a plain path inside the package is wanted"
        ))
    }
}

/// Nothing in it depends on when, where or by whom it is packed.
fn pack(entries: &[Entry]) -> anyhow::Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for entry in entries {
        let mode = u32::from_str_radix(entry.mode, 8).context("read a mode")?;
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .compression_level(Some(9))
            .last_modified_time(DateTime::DEFAULT)
            .system(System::Unix)
            .unix_permissions(mode);
        zip.start_file(&entry.name, options)
            .and_then(|()| Ok(zip.write_all(&entry.content)?))
            .with_context(|| format!("pack `{}`", entry.name))?;
    }
    Ok(zip.finish().context("finish the package")?.into_inner())
}

/// Writes a file whole or not at all.
fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let new = path.with_extension("new");
    let write = || {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&new, bytes)?;
        std::fs::rename(&new, path)
    };
    write().with_context(|| format!("write `{}`", path.display()))
}

#[derive(Serialize)]
struct Told<'a> {
    package: &'a Path,
    bytes: usize,
    sha256: String,
    entries: &'a [Entry],
}

impl Told<'_> {
    fn lines(&self) -> String {
        let mut text = format!(
            "package   {}\nsize      {} bytes\nsha256    {}\n",
            self.package.display(),
            self.bytes,
            self.sha256
        );
        for entry in self.entries {
            text.push_str(&format!(
                "entry     {} {:>10}  {}\n",
                entry.mode, entry.bytes, entry.name
            ));
        }
        text
    }
}
