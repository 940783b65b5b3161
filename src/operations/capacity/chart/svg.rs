use std::fmt::Write as _;

use chrono::{DateTime, Datelike as _, Duration, NaiveTime, TimeZone as _, Utc};

use super::{Axis, Chart, Level, Mark, number};

/// What inline charts of a page look like: for its style sheet. Its colours are those of the page.
pub const STYLE: &str = include_str!("chart.css");

/// The colours of a file, in the light and in the dark.
const COLOURS: &str = "\
svg{--page:#fff;--ink:#1b1b1b;--dim:#595959;--line:#b5b5b5;--link:#0b57d0;--bad:#a30000;\
font-family:system-ui,sans-serif}\
@media(prefers-color-scheme:dark){svg{--page:#141414;--ink:#ececec;--dim:#b0b0b0;--line:#5a5a5a;\
--link:#9ec1ff;--bad:#ffb3ab}}.page{fill:var(--page)}";

// As wide as a phone, so that there a unit is a pixel and letters have their size.
const WIDTH: f64 = 340.0;
const HEIGHT: f64 = 208.0;
const LEFT: f64 = 42.0;
const RIGHT: f64 = 334.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 164.0;

/// An SVG for the body of a page. `id` is one that no other chart of the page has.
#[must_use]
pub fn inline(chart: &Chart, id: &str) -> String {
    let mut out = format!(
        "<svg class=\"chart\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\" viewBox=\"0 0 {WIDTH} \
         {HEIGHT}\">"
    );
    body(&mut out, chart, id);
    out.push_str("</svg>");
    out
}

/// An SVG that is a file of its own.
#[must_use]
pub fn file(chart: &Chart) -> String {
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart\" role=\"img\" \
         aria-labelledby=\"chart-t chart-d\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{}\" \
         height=\"{}\">\n<style>{COLOURS}{STYLE}</style>\n<rect class=\"page\" width=\"{WIDTH}\" \
         height=\"{HEIGHT}\"/>\n",
        WIDTH * 2.0,
        HEIGHT * 2.0
    );
    body(&mut out, chart, "chart");
    out.push_str("</svg>\n");
    out
}

fn body(out: &mut String, chart: &Chart, id: &str) {
    let title = escaped(&chart.title);
    let words = escaped(&chart.words());
    // Writing to a string does not fail.
    let _ = write!(
        out,
        "<title id=\"{id}-t\">{title}</title><desc id=\"{id}-d\">{words}</desc>"
    );
    let _ = write!(
        out,
        "<text x=\"2\" y=\"11\">{title}</text><text class=\"dim\" x=\"{RIGHT}\" y=\"11\" \
         text-anchor=\"end\">{}</text>",
        escaped(&chart.unit)
    );
    let Some((start, end)) = chart.span() else {
        let (x, y) = (f64::midpoint(LEFT, RIGHT), f64::midpoint(TOP, BOTTOM));
        let _ = write!(
            out,
            "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\">no data</text>"
        );
        return;
    };
    let plane = Plane {
        axis: chart.axis(),
        start,
        seconds: (end - start).num_seconds().max(1) as f64,
    };
    grid(out, chart, &plane, end);
    if chart.coming.len() > 1 {
        let _ = write!(
            out,
            "<path class=\"interval\" d=\"{}\"/>",
            band(chart, &plane)
        );
    }
    let measured = lines(
        chart.shown().iter().map(|(at, value)| (*at, *value)),
        &plane,
    );
    let _ = write!(out, "<path class=\"measured\" d=\"{measured}\"/>");
    let coming = chart
        .coming
        .iter()
        .map(|hour| (hour.at, Some(hour.forecast)));
    let _ = write!(
        out,
        "<path class=\"forecast\" d=\"{}\"/>",
        lines(coming, &plane)
    );
    for one in &chart.levels {
        level(out, one, &plane);
    }
    legend(out, !chart.coming.is_empty());
}

/// From times and values to places.
struct Plane {
    axis: Axis,
    start: DateTime<Utc>,
    seconds: f64,
}

impl Plane {
    fn x(&self, at: DateTime<Utc>) -> f64 {
        let share = (at - self.start).num_seconds() as f64 / self.seconds;
        LEFT + share.clamp(0.0, 1.0) * (RIGHT - LEFT)
    }

    fn y(&self, value: f64) -> f64 {
        BOTTOM - self.axis.share(value) * (BOTTOM - TOP)
    }
}

fn grid(out: &mut String, chart: &Chart, plane: &Plane, end: DateTime<Utc>) {
    for tick in plane.axis.ticks() {
        let y = plane.y(tick);
        let _ = write!(
            out,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text \
             class=\"dim\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 4.0,
            y + 4.0,
            plane.axis.label(tick)
        );
    }
    // Every so many days, so that no two dates touch.
    let days = (end - plane.start).num_days().max(1);
    let every = (days + 5) / 6;
    let mut day = plane.start.with_timezone(&chart.zone).date_naive() + Duration::days(1);
    let mut count = 0;
    while count < 400 {
        let midnight = chart
            .zone
            .from_local_datetime(&day.and_time(NaiveTime::MIN));
        // Where that hour is skipped, the day begins later; it has no mark then.
        if let Some(at) = midnight.earliest().map(|at| at.to_utc()) {
            if at >= end {
                break;
            }
            let x = plane.x(at);
            // Half a date is wide enough to leave the picture.
            if count % every == 0 && x < RIGHT - 16.0 {
                let _ = write!(
                    out,
                    "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{:.1}\"/><text \
                     class=\"dim\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}/{}</text>",
                    BOTTOM + 3.0,
                    BOTTOM + 14.0,
                    day.month(),
                    day.day()
                );
            }
        }
        count += 1;
        day += Duration::days(1);
    }
    if let Some(first) = chart.coming.first() {
        let x = plane.x(first.at);
        let _ = write!(
            out,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{BOTTOM}\"/><text x=\"{x:.1}\" y=\"{:.1}\" \
             text-anchor=\"middle\">forecast</text>",
            TOP - 4.0,
            TOP - 7.0
        );
    }
}

/// Lines through values; a gap breaks them, and a value between two gaps is a dot.
fn lines(points: impl Iterator<Item = (DateTime<Utc>, Option<f64>)>, plane: &Plane) -> String {
    let mut path = String::new();
    let mut pen = false;
    let mut alone = false;
    for (at, value) in points {
        let Some(value) = value else {
            if alone {
                path.push_str("h0.8");
            }
            (pen, alone) = (false, false);
            continue;
        };
        let letter = if pen { 'L' } else { 'M' };
        let _ = write!(path, "{letter}{:.1} {:.1}", plane.x(at), plane.y(value));
        alone = !pen;
        pen = true;
    }
    if alone {
        path.push_str("h0.8");
    }
    path
}

fn band(chart: &Chart, plane: &Plane) -> String {
    let mut path = String::new();
    for (index, hour) in chart.coming.iter().enumerate() {
        let letter = if index == 0 { 'M' } else { 'L' };
        let _ = write!(
            path,
            "{letter}{:.1} {:.1}",
            plane.x(hour.at),
            plane.y(hour.upper)
        );
    }
    for hour in chart.coming.iter().rev() {
        let _ = write!(path, "L{:.1} {:.1}", plane.x(hour.at), plane.y(hour.lower));
    }
    path.push('Z');
    path
}

/// A line across, with its number: on the left what there is, on the right what there should be, so that
/// both can be read where they are close.
fn level(out: &mut String, level: &Level, plane: &Plane) {
    let y = plane.y(level.value);
    let (class, name, x, anchor) = match level.mark {
        Mark::Current => ("current", "there is", LEFT + 3.0, "start"),
        Mark::Limit => ("current", "limit", LEFT + 3.0, "start"),
        Mark::Recommended => ("recommended", "recommended", RIGHT, "end"),
    };
    // Above the line, unless it is at the top.
    let text = if y < TOP + 12.0 { y + 11.0 } else { y - 3.0 };
    let _ = write!(
        out,
        "<line class=\"{class}\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text \
         class=\"{class}\" x=\"{x:.1}\" y=\"{text:.1}\" text-anchor=\"{anchor}\">{name} {}</text>",
        number(level.value)
    );
}

fn legend(out: &mut String, forecast: bool) {
    let y = HEIGHT - 8.0;
    let line = y - 4.0;
    let _ = write!(
        out,
        "<line class=\"measured\" x1=\"{LEFT}\" x2=\"{:.0}\" y1=\"{line}\" y2=\"{line}\"/><text x=\"{:.0}\" \
         y=\"{y}\">measured</text>",
        LEFT + 18.0,
        LEFT + 22.0
    );
    if forecast {
        let _ = write!(
            out,
            "<line class=\"forecast\" x1=\"125\" x2=\"147\" y1=\"{line}\" y2=\"{line}\"/><text x=\"151\" \
             y=\"{y}\">forecast</text><path class=\"interval\" d=\"M210 {a}h20v10h-20Z\"/><text x=\"234\" \
             y=\"{y}\">95 % interval</text>",
            a = line - 5.0
        );
    }
}

/// Text that stays text.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // What XML has no way to write.
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
