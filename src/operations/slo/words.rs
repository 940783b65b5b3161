//! Figures as people read them.

use chrono::Duration;

/// `50 h`, `43 min`, `2 d 2 h`.
pub(super) fn span(time: Duration) -> String {
    let minutes = time.num_minutes();
    match minutes {
        ..1 => "less than a minute".into(),
        1..120 => format!("{minutes} min"),
        120..4320 => match (minutes / 60, minutes % 60) {
            (hours @ 0..12, rest) if rest > 0 => format!("{hours} h {rest} min"),
            (hours, _) => format!("{hours} h"),
        },
        _ => match (minutes / 1440, minutes % 1440 / 60) {
            (days, 0) => format!("{days} d"),
            (days, hours) => format!("{days} d {hours} h"),
        },
    }
}

/// At most two decimals, none that say nothing: `14.4`, `0.05`, `1000`.
pub(super) fn number(number: f64) -> String {
    let text = if number.abs() < 0.01 && number != 0.0 {
        format!("{number:.4}")
    } else {
        format!("{number:.2}")
    };
    let text = text.trim_end_matches('0').trim_end_matches('.');
    text.to_owned()
}

/// How long a whole month's error budget lasts when it is spent so many times as fast.
pub(super) fn budget_lasts(burn: f64) -> Option<String> {
    const MONTH_MINUTES: f64 = 30.0 * 24.0 * 60.0;
    (burn > 0.0 && burn.is_finite()).then(|| span(Duration::minutes((MONTH_MINUTES / burn) as i64)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_numbers_and_budgets_read_well() {
        for (minutes, text) in [
            (0, "less than a minute"),
            (43, "43 min"),
            (120, "2 h"),
            (135, "2 h 15 min"),
            (3000, "50 h"),
            (4320, "3 d"),
            (7320, "5 d 2 h"),
        ] {
            assert_eq!(span(Duration::minutes(minutes)), text);
        }
        for (value, text) in [
            (14.4, "14.4"),
            (1000.0, "1000"),
            (0.05, "0.05"),
            (0.0, "0"),
            (0.0012, "0.0012"),
            (3.456, "3.46"),
        ] {
            assert_eq!(number(value), text);
        }
        assert_eq!(budget_lasts(14.4).as_deref(), Some("50 h"));
        assert_eq!(budget_lasts(1000.0).as_deref(), Some("43 min"));
        assert_eq!(budget_lasts(0.0), None);
    }
}
