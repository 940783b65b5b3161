//! Functions that see an ordered table: `prev`, `next`, `row_number`, ...

use super::Function;

pub(crate) fn table() -> Vec<Function> {
    vec![]
}
