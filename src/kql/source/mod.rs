//! Where rows come from: memory, and files.

mod memory;

pub use memory::{Memory, Tables};
