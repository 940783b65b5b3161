//! Conversions between types, and questions about nulls.

use super::Function;

pub(crate) fn table() -> Vec<Function> {
    vec![]
}
