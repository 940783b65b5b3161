use chrono::{DateTime, Duration, Utc};

use super::{Chart, Mark, number};

const ROWS: usize = 14;
/// For the numbers of the axis.
const LABELS: usize = 8;

/// A chart of characters, at most so many columns wide (40 and more). Each line ends.
#[must_use]
pub fn terminal(chart: &Chart, columns: usize) -> String {
    let mut out = plain(&chart.title);
    if !chart.unit.is_empty() {
        out.push_str(&format!(", {}", plain(&chart.unit)));
    }
    out.push('\n');
    let Some((start, end)) = chart.span() else {
        out.push_str("no data\n");
        return out;
    };
    let width = columns.clamp(40, 400) - LABELS - 1;
    let axis = chart.axis();
    let seconds = (end - start).num_seconds().max(1);
    let column = |at: DateTime<Utc>| {
        let place = (at - start).num_seconds().max(0) as u128 * width as u128 / seconds as u128;
        (place as usize).min(width - 1)
    };
    let row = |value: f64| {
        let up = (axis.share(value) * (ROWS - 1) as f64).round() as usize;
        ROWS - 1 - up.min(ROWS - 1)
    };
    let mut cells = vec![vec![' '; width]; ROWS];
    for hour in &chart.coming {
        let (top, bottom) = (row(hour.upper), row(hour.lower));
        for line in &mut cells[top..=bottom] {
            line[column(hour.at)] = '░';
        }
    }
    for level in &chart.levels {
        let mark = match level.mark {
            Mark::Current | Mark::Limit => '─',
            Mark::Recommended => '=',
        };
        for cell in &mut cells[row(level.value)] {
            *cell = mark;
        }
    }
    for (at, value) in chart.shown() {
        if let Some(value) = value {
            cells[row(*value)][column(*at)] = '•';
        }
    }
    for hour in &chart.coming {
        cells[row(hour.forecast)][column(hour.at)] = 'o';
    }
    let mut labels = vec![String::new(); ROWS];
    for tick in axis.ticks() {
        labels[row(tick)] = axis.label(tick);
    }
    for (label, line) in labels.iter().zip(&cells) {
        let text: String = line.iter().collect();
        out.push_str(&format!("{label:>LABELS$}│{}\n", text.trim_end()));
    }
    out.push_str(&format!("{:LABELS$}└{}\n", "", "─".repeat(width)));
    let date = |at: DateTime<Utc>| at.with_timezone(&chart.zone).format("%m-%d").to_string();
    let mut dates = vec![' '; LABELS + 1 + width];
    let mut put = |at: usize, text: &str| {
        for (index, c) in text.chars().enumerate() {
            if let Some(cell) = dates.get_mut(at + index) {
                *cell = c;
            }
        }
    };
    put(LABELS + 1, &date(start));
    let last = date(end - Duration::hours(1));
    put(LABELS + 1 + width - last.len(), &last);
    if let Some(first) = chart.coming.first() {
        let at = column(first.at);
        let text = format!("forecast {}", date(first.at));
        if at > last.len() + 1 && at + text.len() + last.len() < width {
            put(LABELS + 1 + at, &text);
        }
    }
    let dates: String = dates.into_iter().collect();
    out.push_str(dates.trim_end());
    out.push('\n');
    out.push_str("• measured  o forecast  ░ 95 % interval");
    for level in &chart.levels {
        let name = match level.mark {
            Mark::Current => "─ there is",
            Mark::Limit => "─ limit",
            Mark::Recommended => "= recommended",
        };
        out.push_str(&format!("  {name} {}", number(level.value)));
    }
    out.push('\n');
    out
}

/// Without what turns a terminal around.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}
