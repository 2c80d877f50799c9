//! The operator's desk: why does this Kong not connect, answered from the suite's own measurements.

pub mod check;
