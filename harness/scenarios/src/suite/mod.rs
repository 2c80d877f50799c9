//! A suite in which every case is complete: both configurations, certificates, and what must happen.
//!
//! Everything that is wrong in the files is found here, at once, each fault with its place; nothing is started for it.

mod arguments;
mod assemble;
mod case;
mod compile;
mod coverage;
mod differences;
mod documents;
mod expectation;
mod names;
mod outcomes;
mod planned;
mod points;
mod recompile;
mod settings;
mod situation;
mod template;
mod texts;
mod trees;

pub use arguments::ArgumentError;
pub use assemble::{Scenario, Suite, UnknownTree};
pub use case::{Blank, Case, Change, Only, Step};
pub use coverage::{Coverage, Proof};
pub use differences::{ClientOutcome, Difference};
pub use documents::{ReadFile, read_file};
pub use expectation::{Expectation, Expected, KongSays};
pub use planned::{Content, FileMode, PlannedFile};
pub use recompile::Recompiler;
pub use settings::is_line_of_hba;
pub use situation::{KongSide, RelaySide, ServerSide, Situation};
pub use template::TemplateError;
pub use texts::{TextContext, TextError, TextVersion, Texts};
