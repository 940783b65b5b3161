//! Hashes and encodings.

use super::Function;

pub(crate) fn table() -> Vec<Function> {
    vec![]
}
