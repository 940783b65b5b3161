//! Counts, sums, means, and the smallest and largest.

use super::Aggregate;

pub(crate) fn table() -> Vec<Aggregate> {
    vec![]
}
