//! Functions of dynamic values: JSON, bags.

use super::Function;

pub(crate) fn table() -> Vec<Function> {
    vec![]
}
