//! The scenarios: reads the files, compiles them to cases, and plans which cells to run.

pub mod format;
pub mod load;
pub mod plan;
pub mod roles;
pub mod suite;
pub mod vocabulary;
