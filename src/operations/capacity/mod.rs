//! Capacity: how much will be needed.

pub mod forecast;
