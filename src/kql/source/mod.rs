//! Where rows come from: memory, and files.

mod arrow;
mod csv;
mod filtered;
mod folder;
mod json_lines;
mod memory;
mod open;
mod parquet;
mod statistics;
#[cfg(test)]
mod tests;
mod text;
mod view;
mod window;

pub use csv::Csv;
pub use filtered::Filtered;
pub use folder::{Folder, Schemas};
pub use json_lines::JsonLines;
pub use memory::{Memory, Tables};
pub use open::{Format, open};
pub use parquet::Parquet;
pub use view::{From, View, ViewColumn};
pub use window::{Window, Windowed};
