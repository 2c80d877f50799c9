//! Whether the cases can fail: each is run again with one thing broken in its configuration, and must not pass then. And
//! whether the texts can: each is changed in one word, and some cell must notice.

mod indifferent;
mod mutation;
mod outcome;
mod passage;
mod recorded;
mod score;
mod texts;
mod trial;
mod word;

pub use indifferent::Indifferent;
pub use mutation::Mutation;
pub use outcome::Outcome;
pub use score::{Measured, Row, Score, ScoredCell, Survivor};
pub use texts::{IdlePassage, TextRow, TextScore, TextTrial, TextsError};
pub use trial::Trial;
