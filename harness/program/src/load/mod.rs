//! From the text of a file to its type, with the place of everything that is wrong in it.

mod hints;
mod library;
mod marks;
mod path;
mod schema;
mod source;
mod yaml;

pub(crate) use hints::some_of;
pub(crate) use library::Library;
pub use path::Position;
pub(crate) use path::{Problem, Segment, key};
pub use schema::schema_of;
pub(crate) use schema::{Format, read};
pub use source::Fault;
pub(crate) use source::Source;
