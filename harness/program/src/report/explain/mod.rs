//! What is configured and expected: at all points of a case, and in one cell with everything about it.

mod by_hand;
mod cell;
mod neighbours;
mod situation;
mod table;

pub use cell::write_cell_explanation;
pub use table::{outcome, write_explanation};
