//! Whether the cases can fail: each is run again with one thing broken in its configuration, and must not pass then.

mod indifferent;
mod mutation;
mod outcome;
mod score;
mod trial;

pub use indifferent::Indifferent;
pub use mutation::Mutation;
pub use outcome::Outcome;
pub use score::{Row, Score, ScoredCell, Survivor};
pub use trial::Trial;
