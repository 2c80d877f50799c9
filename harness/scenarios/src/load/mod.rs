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
pub(crate) use hints::closest;
pub use hints::some_of;
pub(crate) use library::{Library, ScenarioFile};
pub(crate) use path::Problem;
pub use path::{Position, Segment, key};
pub(crate) use schema::Format;
pub use schema::{read, schema_of};
pub use source::{Fault, Source};
pub use yaml::block;

#[cfg(test)]
mod tests;
