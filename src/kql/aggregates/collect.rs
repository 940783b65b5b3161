//! Lists, sets and bags.

use super::Aggregate;

pub(crate) fn table() -> Vec<Aggregate> {
    vec![]
}
