//! What became of queries after an index was changed. Pure.

use std::collections::BTreeMap;

use super::decide::{Evidence, LEAST_RUNS};

/// What costs so many times as much as before is told.
const DEARER: f64 = 1.2;

/// A change of the index within the window.
#[derive(Debug, Clone)]
pub(super) struct Changed {
    pub(super) id: String,
    /// Whole days since the window began.
    pub(super) day: u32,
}

/// Whether queries cost more since the index was changed: removing what seemed unused can do that.
/// The day of the change itself is left out, since the index was being built.
pub(super) fn dearer(evidence: &Evidence, changed: &Changed) -> Option<(&'static str, String)> {
    #[derive(Default)]
    struct Cost {
        charged: u64,
        units: f64,
    }
    impl Cost {
        fn each(&self) -> Option<f64> {
            (self.charged >= LEAST_RUNS).then(|| self.units / self.charged as f64)
        }
    }
    let mut texts: BTreeMap<&str, [Cost; 2]> = BTreeMap::new();
    for asked in evidence.asked.iter().filter(|a| a.day != changed.day) {
        let sides = texts.entry(&asked.text).or_default();
        let side = &mut sides[usize::from(asked.day > changed.day)];
        side.charged += asked.charged;
        side.units += asked.units.unwrap_or_default();
    }
    let both: Vec<(f64, f64)> = texts
        .values()
        .filter_map(|[before, after]| Some((before.each()?, after.each()?)))
        .collect();
    let more: Vec<&(f64, f64)> = both.iter().filter(|(b, a)| *a > b * DEARER).collect();
    let (before, after) = more
        .iter()
        .max_by(|a, b| (a.1 - a.0).total_cmp(&(b.1 - b.0)))?;
    let why = format!(
        "since its index was changed by {id}, {} of {} query texts cost more than before, one of them {after:.1} RU instead of {before:.1} RU: `poolkeeper changes undo {id}` proposes the way back",
        more.len(),
        both.len(),
        id = changed.id,
    );
    Some(("indexing-dearer", why))
}

#[cfg(test)]
mod tests {
    use super::super::decide::Asked;
    use super::*;

    /// The queries, each on every day of a week, at 2.5 RU.
    fn week(queries: &[(&str, u64)]) -> Evidence {
        let asked = queries.iter().flat_map(|(text, runs)| {
            (0..7).map(|day| Asked {
                text: (*text).to_owned(),
                day,
                runs: *runs,
                charged: *runs,
                units: Some(*runs as f64 * 2.5),
            })
        });
        Evidence {
            days: 7,
            asked: asked.collect(),
            ..Evidence::default()
        }
    }

    #[test]
    fn queries_that_cost_more_since_a_change_are_told() {
        let mut evidence = week(&[("a", 10), ("b", 10), ("c", 1)]);
        for asked in &mut evidence.asked {
            let factor = match (asked.text.as_str(), asked.day) {
                ("a", 4..) | ("c", 4..) => 2.0,
                ("b", 4..) => 1.1,
                (_, 3) => 100.0,
                _ => 1.0,
            };
            asked.units = asked.units.map(|units| units * factor);
        }
        let changed = |day| Changed {
            id: "0123".into(),
            day,
        };
        // One of the three is asked too seldom to tell.
        let (code, why) = dearer(&evidence, &changed(3)).expect("one is dearer");
        assert_eq!(code, "indexing-dearer");
        assert!(
            why.contains("1 of 2 query texts") && why.contains("5.0 RU instead of 2.5 RU"),
            "{why}"
        );
        assert_eq!(
            dearer(&evidence, &changed(6)),
            None,
            "nothing came after it"
        );
        assert_eq!(dearer(&week(&[("a", 10)]), &changed(3)), None);
    }
}
