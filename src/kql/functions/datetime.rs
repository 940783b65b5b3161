//! Functions of datetimes and timespans.

use super::Function;

pub(crate) fn table() -> Vec<Function> {
    vec![]
}
