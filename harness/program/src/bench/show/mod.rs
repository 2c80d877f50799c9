//! Measurements for people and programs.

mod claims;
mod compare;
mod csv;
mod document;
mod files;
mod plot;
#[cfg(test)]
mod sample;
mod table;

pub use claims::{Claim, claims};
pub use compare::Comparison;
pub use document::{page, write_document};
pub use files::{new_folder, write_files};
pub use table::write_table;
