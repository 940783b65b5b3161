//! Functions of numbers.

use super::Function;

pub(crate) fn table() -> Vec<Function> {
    vec![]
}
