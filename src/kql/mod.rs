//! KQL, offline: text -> tokens -> syntax -> bound, typed plan -> Arrow batches.
//!
//! The engine has never heard of Azure: tables come from a catalog of the caller's.

pub mod error;
pub mod lexer;
pub mod parser;
pub mod syntax;
pub mod text;
pub mod types;
