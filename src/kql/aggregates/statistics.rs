//! Spread: variance, deviation, covariance.

use super::Aggregate;

pub(crate) fn table() -> Vec<Aggregate> {
    vec![]
}
