//! What a check found, for people and for programs.

mod json;
mod sarif;
mod text;

pub use json::write_json;
pub use sarif::write_sarif;
pub use text::{Look, write_codes, write_text};
pub(super) use text::{wrap, write_fault};
