//! Functions of arrays and sets in dynamic values.

use super::Function;

pub(crate) fn table() -> Vec<Function> {
    vec![]
}
