//! What files of text share: opening them, guessing types from the first rows, and refusing what does
//! not fit.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::super::error::{Error, Result};
use super::super::plan::Part;
use super::super::text::datetime::parse_datetime;
use super::super::types::Type;

/// Rows of each file that are looked at when nobody declared the types.
pub(super) const SAMPLE: usize = 1000;
/// Text that a batch holds at most, about: wide rows come in smaller batches.
pub(super) const BATCH_BYTES: usize = 8 << 20;
/// How many parts the rows come in, at most: the same for any number of cores.
const PARTS: usize = 16;

/// A file as it is, or unpacked when its name ends in `.gz`.
pub(super) fn reader(path: &Path) -> Result<Box<dyn BufRead + Send>> {
    let file = File::open(path).map_err(|error| failed(path, &error))?;
    let file = BufReader::with_capacity(1 << 16, file);
    let packed = path
        .extension()
        .is_some_and(|ext| ext.eq_ignore_ascii_case("gz"));
    let plain: Box<dyn BufRead + Send> = if packed {
        Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(file)))
    } else {
        Box::new(file)
    };
    Ok(without_mark(plain))
}

/// Without the byte order mark that some writers begin with.
fn without_mark(reader: Box<dyn BufRead + Send>) -> Box<dyn BufRead + Send> {
    struct Skip<R>(R, bool);
    impl<R: BufRead> Read for Skip<R> {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let n = self.fill_buf()?.read(out)?;
            self.consume(n);
            Ok(n)
        }
    }
    impl<R: BufRead> BufRead for Skip<R> {
        fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
            if !self.1 {
                self.1 = true;
                if self.0.fill_buf()?.starts_with(b"\xEF\xBB\xBF") {
                    self.0.consume(3);
                }
            }
            self.0.fill_buf()
        }
        fn consume(&mut self, n: usize) {
            self.0.consume(n);
        }
    }
    Box::new(Skip(reader, false))
}

pub(super) fn failed(path: &Path, why: &dyn std::fmt::Display) -> Error {
    Error::execution(format!("cannot read `{}`: {why}", path.display()))
}

/// A line that is not what it should be.
pub(super) fn broken(path: &Path, line: u64, why: &dyn std::fmt::Display) -> Error {
    Error::execution(format!("`{}` line {line}: {why}", path.display()))
}

/// A value that is not of its column's type.
pub(super) fn misfit(
    path: &Path,
    line: u64,
    column: &str,
    ty: Type,
    value: &str,
    guessed: bool,
) -> Error {
    let mut shown: String = value.chars().take(40).collect();
    if shown.len() < value.len() {
        shown.push_str("...");
    }
    let error = broken(
        path,
        line,
        &format!("column `{column}` is {ty}, and this is none: {shown}"),
    );
    if guessed {
        error.hint(format!(
            "types were guessed from the first {SAMPLE} rows: declare them"
        ))
    } else {
        error
    }
}

/// The streams of some files, in their order, as a few parts.
pub(super) fn parts(
    files: &[PathBuf],
    open: impl Fn(&Path) -> Result<Part> + Clone + Send + 'static,
) -> Vec<Part> {
    let size = files.len().div_ceil(PARTS).max(1);
    let part = |chunk: &[PathBuf]| -> Part {
        let open = open.clone();
        Box::new(
            Vec::from(chunk)
                .into_iter()
                .flat_map(move |path| match open(&path) {
                    Ok(part) => part,
                    Err(error) => Box::new(std::iter::once(Err(error))) as Part,
                }),
        )
    };
    files.chunks(size).map(part).collect()
}

/// What the values of a column have been so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guess {
    /// Only nulls.
    Nothing,
    Is(Type),
}

impl Guess {
    /// With one more value. `mixed` is what holds values of any kind.
    pub(super) fn with(self, ty: Type, mixed: Type) -> Self {
        let Self::Is(before) = self else {
            return Self::Is(ty);
        };
        Self::Is(match (before, ty) {
            (a, b) if a == b => a,
            (Type::Long, Type::Real) | (Type::Real, Type::Long) => Type::Real,
            (Type::DateTime, Type::String) | (Type::String, Type::DateTime) => Type::String,
            _ => mixed,
        })
    }

    pub(super) fn ty(self, nothing: Type) -> Type {
        match self {
            Self::Nothing => nothing,
            Self::Is(ty) => ty,
        }
    }
}

/// A date or an instant in ISO 8601: other forms that `todatetime` reads may as well be text.
pub(super) fn iso(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let date = bytes.len() >= 10
        && bytes[..10].iter().enumerate().all(|(at, b)| match at {
            4 | 7 => *b == b'-',
            _ => b.is_ascii_digit(),
        });
    if date { parse_datetime(text) } else { None }
}
