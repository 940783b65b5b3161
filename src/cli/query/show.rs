//! Answers for people, and as CSV.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use anyhow::Context as _;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::kql::Table;
use crate::kql::convert;
use crate::kql::types::Type;

/// Between two columns.
const GAP: usize = 2;
/// A column is not cut below this.
const LEAST: usize = 6;

/// What an error begins with; red on a terminal.
pub(super) fn error_word() -> &'static str {
    if coloured(&std::io::stderr()) {
        "\u{1b}[31merror:\u{1b}[0m"
    } else {
        "error:"
    }
}

fn coloured(stream: &impl std::io::IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// The width that a table has to fit, if any: that of the terminal.
pub(super) fn width(full: bool) -> Option<usize> {
    if full || !std::io::stdout().is_terminal() {
        return None;
    }
    terminal_size::terminal_size().map(|(width, _)| usize::from(width.0))
}

/// Aligned columns under their names, numbers to the right.
pub(super) fn table(table: &Table, width: Option<usize>) -> String {
    let bold = coloured(&std::io::stdout());
    draw(table, width, bold)
}

fn draw(table: &Table, room: Option<usize>, bold: bool) -> String {
    let fields = &table.schema.fields;
    let cells: Vec<Vec<String>> = table
        .batches
        .iter()
        .flat_map(|batch| {
            (0..batch.rows).map(|row| {
                batch
                    .columns
                    .iter()
                    .map(|c| plain(&convert::text(&c.value(row))))
                    .collect()
            })
        })
        .collect();
    let header: Vec<String> = fields.iter().map(|field| plain(&field.name)).collect();
    let mut widths: Vec<usize> = header.iter().map(|name| name.width()).collect();
    for row in &cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    let shown = room.map_or(fields.len(), |room| fit(&mut widths, room));
    let right: Vec<bool> = fields
        .iter()
        .map(|field| field.ty.is_number() || field.ty == Type::TimeSpan)
        .collect();
    let line = |row: &[String]| {
        let mut line = String::new();
        for (at, cell) in row.iter().take(shown).enumerate() {
            let cell = cut(cell, widths[at]);
            let pad = " ".repeat(widths[at] - cell.width());
            let gap = if at == 0 { 0 } else { GAP };
            let (before, after) = if right[at] {
                (pad.as_str(), "")
            } else {
                ("", pad.as_str())
            };
            let _ = write!(line, "{:gap$}{before}{cell}{after}", "");
        }
        line.trim_end().to_owned()
    };
    let mut out = String::new();
    let names = line(&header);
    let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    if bold {
        let _ = writeln!(out, "\u{1b}[1m{names}\u{1b}[0m");
    } else {
        let _ = writeln!(out, "{names}");
    }
    let _ = writeln!(out, "{}", line(&rules));
    for row in &cells {
        let _ = writeln!(out, "{}", line(row));
    }
    if shown < fields.len() {
        let hidden: Vec<&str> = header[shown..].iter().map(String::as_str).collect();
        let _ = writeln!(out, "(not shown without --full: {})", hidden.join(", "));
    }
    out
}

/// Narrows the widest columns until the table fits. How many columns are shown: those that do not fit
/// even so are left out, at the end.
fn fit(widths: &mut [usize], room: usize) -> usize {
    loop {
        let total: usize = widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
        if total <= room {
            return widths.len();
        }
        let Some(widest) = widths
            .iter_mut()
            .filter(|width| **width > LEAST)
            .max_by_key(|width| **width)
        else {
            break;
        };
        *widest -= 1;
    }
    let mut used = 0;
    let fits = widths.iter().take_while(|width| {
        used += **width + GAP;
        used - GAP <= room
    });
    fits.count().max(1)
}

/// The text within a width; what does not fit ends in an ellipsis.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        out.push(c);
    }
    out.push('…');
    out
}

/// Without what would move the cursor: a cell stays on its line.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// With a header; nulls are empty.
pub(super) fn csv(table: &Table) -> anyhow::Result<String> {
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(table.schema.names())?;
    for batch in &table.batches {
        for row in 0..batch.rows {
            out.write_record(
                batch
                    .columns
                    .iter()
                    .map(|column| convert::text(&column.value(row)).into_owned()),
            )?;
        }
    }
    String::from_utf8(out.into_inner().context("write CSV")?).context("write CSV")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kql::source::Tables;
    use crate::kql::{Options, query};

    fn answer(text: &str) -> Table {
        query(text, &Tables::default(), &Options::at(0)).expect("an answer")
    }

    #[test]
    fn a_table_is_aligned_by_what_is_seen() {
        let table = answer(
            "datatable (name: string, n: long, t: datetime) ['東京', 5, datetime(null), 'a\\nb', 1234, datetime(2026-01-01)]",
        );
        let expected = "\
name     n  t
----  ----  ----------------------------
東京     5
a\\nb  1234  2026-01-01T00:00:00.0000000Z
";
        assert_eq!(draw(&table, None, false), expected);
    }

    #[test]
    fn a_wide_table_is_cut_to_the_room() {
        let table =
            answer("print a = 'abcdefghijklmnop', b = 1, c = 'short', d = '東京東京東京東京'");
        let expected = "\
a         b  c      d
--------  -  -----  --------
abcdefg…  1  short  東京東…
";
        assert_eq!(draw(&table, Some(28), false), expected);
        let narrow = draw(&table, Some(12), false);
        assert!(
            narrow.contains("(not shown without --full: c, d)"),
            "{narrow}"
        );
        assert!(
            narrow.lines().take(3).all(|line| line.width() <= 12),
            "{narrow}"
        );
    }

    #[test]
    fn csv_quotes_what_it_must() {
        let table = answer("print a = 'x,\"y', b = long(null), c = dynamic({'k': 1})");
        assert_eq!(
            csv(&table).expect("CSV"),
            "a,b,c\n\"x,\"\"y\",,\"{\"\"k\"\":1}\"\n"
        );
    }
}
