//! From the text of a file to its type, with the place of everything that is wrong in it.

mod fill;
mod hints;
mod library;
mod marks;
mod path;
mod schema;
mod source;
mod yaml;

pub use fill::fill;
pub(crate) use hints::{closest, some_of};
pub(crate) use library::Library;
pub use path::Position;
pub(crate) use path::{Problem, Segment, key};
pub use schema::schema_of;
pub(crate) use schema::{Format, read};
pub use source::Fault;
pub(crate) use source::Source;
pub(crate) use yaml::block;

#[cfg(test)]
mod tests;
