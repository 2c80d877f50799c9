//! The server of a cell, running for a user, with what to paste.

mod commands;
mod error;
mod running;
mod text;

pub use commands::Commands;
pub use error::UpError;
pub use running::{LogEnd, Running};
pub use text::write_running;
