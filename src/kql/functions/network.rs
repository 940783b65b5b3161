//! Functions of IP addresses, URLs and paths.

use super::Function;

pub(crate) fn table() -> Vec<Function> {
    vec![]
}
