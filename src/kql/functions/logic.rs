//! Choices: `iff`, `case`, `coalesce`, `max_of`, ...

use super::Function;

pub(crate) fn table() -> Vec<Function> {
    vec![]
}
