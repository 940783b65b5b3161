//! Functions of series: arrays of numbers.

use super::Function;

pub(crate) fn table() -> Vec<Function> {
    vec![]
}
