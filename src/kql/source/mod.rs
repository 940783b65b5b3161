//! Where rows come from: memory, and files.

mod arrow;
mod memory;
mod parquet;
mod statistics;

pub use memory::{Memory, Tables};
pub use parquet::Parquet;
