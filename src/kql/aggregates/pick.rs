//! Rows picked: `arg_max`, `take_any`.

use super::Aggregate;

pub(crate) fn table() -> Vec<Aggregate> {
    vec![]
}
