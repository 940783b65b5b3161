//! The package for Azure, written by the built program from a copy of the project.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;
use zip::ZipArchive;

use crate::world::PROJECT;

const PROGRAM: &str = env!("CARGO_BIN_EXE_poolkeeper");

/// A copy of what is packaged, with something in place of the cloud build.
struct Project(TempDir);

impl Project {
    fn new() -> Self {
        let project = Self(tempfile::tempdir().expect("a folder"));
        let source = Path::new(PROJECT);
        let mut files = vec!["host.json".to_owned(), "infra/estate.toml".to_owned()];
        for function in poolkeeper::triggers::table() {
            files.push(format!("functions/{}/function.json", function.name));
        }
        for file in files {
            let to = project.path(&file);
            std::fs::create_dir_all(to.parent().expect("a folder")).expect("made");
            std::fs::copy(source.join(&file), to).expect("copied");
        }
        project.write("program", &program("cloud build of Poolkeeper"));
        project
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn write(&self, file: &str, content: &[u8]) {
        let path = self.path(file);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, content).expect("written");
    }

    fn edit(&self, file: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path(file)).expect("a file");
        assert!(text.contains(from), "{file} has {from}");
        self.write(file, text.replacen(from, to, 1).as_bytes());
    }

    fn package(&self, out: &str) -> Output {
        Command::new(PROGRAM)
            .args(["package", "--json", "--app", ".", "--binary", "program"])
            .args(["--out", out])
            .current_dir(self.0.path())
            .output()
            .expect("the program runs")
    }

    fn packaged(&self, out: &str) -> (Value, Vec<u8>) {
        let output = self.package(out);
        assert!(output.status.success(), "{output:?}");
        (
            serde_json::from_slice(&output.stdout).expect("JSON"),
            std::fs::read(self.path(out)).expect("the package"),
        )
    }
}

/// The head of an ELF file for x86-64, with the words of a build in its data.
fn program(words: &str) -> Vec<u8> {
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(64, 0);
    file[18] = 62;
    file.extend(b"some data");
    file.extend(format!("{} ({words})", env!("CARGO_PKG_VERSION")).bytes());
    file.resize(4096, 0);
    file
}

#[test]
fn the_same_content_makes_the_same_package_and_another_estate_another_one() {
    let (one, two) = (Project::new(), Project::new());
    let (told, first) = one.packaged("out/first.zip");
    let (_, again) = one.packaged("out/again.zip");
    let (_, elsewhere) = two.packaged("poolkeeper.zip");
    assert!(first == again && first == elsewhere);
    assert_eq!(told["bytes"], first.len());
    let left: Vec<_> = std::fs::read_dir(one.path("out"))
        .expect("a folder")
        .collect();
    assert_eq!(left.len(), 2, "nothing but the packages is left: {left:?}");

    two.write(
        "infra/estate.toml",
        &[
            b"# seen\n".as_slice(),
            &std::fs::read(two.path("infra/estate.toml")).expect("a file"),
        ]
        .concat(),
    );
    let (changed, other) = two.packaged("poolkeeper.zip");
    assert_ne!(other, first);
    assert_ne!(changed["sha256"], told["sha256"]);
}

#[test]
fn a_package_is_laid_out_as_the_host_wants_it() {
    let project = Project::new();
    let (told, bytes) = project.packaged("poolkeeper.zip");
    let mut wanted = vec![
        "estate.toml".to_owned(),
        "host.json".into(),
        "poolkeeper".into(),
        "queries.json".into(),
    ];
    for function in poolkeeper::triggers::table() {
        wanted.push(format!("{}/function.json", function.name));
    }
    wanted.sort();
    let mut zip = ZipArchive::new(std::io::Cursor::new(bytes)).expect("a zip");
    let mut names = Vec::new();
    for i in 0..zip.len() {
        let file = zip.by_index(i).expect("an entry");
        let name = file.name().expect("a name").into_owned();
        let mode = if name == "poolkeeper" {
            0o100755
        } else {
            0o100644
        };
        assert_eq!(file.unix_mode(), Some(mode), "{name}");
        assert_eq!(file.last_modified(), Some(zip::DateTime::DEFAULT));
        assert!(file.extra_data().unwrap_or_default().is_empty());
        names.push(name);
    }
    assert_eq!(names, wanted);
    let hashes = zip.by_name("queries.json").expect("hashes");
    let hashes: BTreeMap<String, String> = serde_json::from_reader(hashes).expect("JSON");
    let built = poolkeeper::queries::hashes();
    assert!(
        hashes
            .iter()
            .map(|(name, hash)| (name.as_str(), hash))
            .eq(built.iter().map(|(name, hash)| (*name, hash)))
    );
    let entries = told["entries"].as_array().expect("entries");
    let told: Vec<&str> = entries.iter().filter_map(|e| e["name"].as_str()).collect();
    assert_eq!(told, wanted);
}

#[test]
fn what_does_not_belong_in_azure_is_refused_with_what_to_do() {
    type Spoil = fn(&Project);
    let cases: [(&str, Spoil, i32, &[&str]); 9] = [
        (
            "no program",
            |p| std::fs::remove_file(p.path("program")).expect("removed"),
            2,
            &["there is no `program`", "--no-default-features"],
        ),
        (
            "a local build",
            |p| {
                std::fs::copy(PROGRAM, p.path("program"))
                    .map(drop)
                    .expect("copied")
            },
            2,
            &["embedded estate", "--no-default-features"],
        ),
        (
            "no build of ours",
            |p| p.write("program", &program("something else")),
            2,
            &["is not Poolkeeper"],
        ),
        (
            "another machine",
            |p| {
                let mut file = program("cloud build of Poolkeeper");
                file[18] = 183;
                p.write("program", &file);
            },
            2,
            &["Linux on x86-64"],
        ),
        (
            "a function too many",
            |p| p.write("functions/reports/function.json", b"{}"),
            2,
            &["`./functions/reports` is no function"],
        ),
        (
            "a function too few",
            |p| std::fs::remove_dir_all(p.path("functions/work")).expect("removed"),
            2,
            &["functions/work/function.json"],
        ),
        (
            "another trigger",
            |p| {
                p.edit(
                    "functions/minute-tick/function.json",
                    "0 * * * * *",
                    "0 0 * * * *",
                )
            },
            2,
            &["minute-tick", "must be `0 * * * * *`"],
        ),
        (
            "a program outside of the package",
            |p| p.edit("host.json", "\"poolkeeper\"", "\"../poolkeeper\""),
            2,
            &["`../poolkeeper`"],
        ),
        (
            "a wrong estate, and all that is wrong with it",
            |p| p.write("infra/estate.toml", b"time_zoen = \"UTC\"\nstumps = []\n"),
            1,
            &["time_zoen", "stumps", "nothing is packaged"],
        ),
    ];
    for (name, spoil, code, words) in cases {
        let project = Project::new();
        spoil(&project);
        let output = project.package("poolkeeper.zip");
        let said = [output.stdout.as_slice(), &output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert_eq!(output.status.code(), Some(code), "{name}: {said}");
        for word in words {
            assert!(said.contains(word), "{name}: {said}");
        }
        assert!(!project.path("poolkeeper.zip").exists(), "{name}");
    }
}
