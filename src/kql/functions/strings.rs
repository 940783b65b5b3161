//! Functions of text.

use super::Function;

pub(crate) fn table() -> Vec<Function> {
    vec![]
}
