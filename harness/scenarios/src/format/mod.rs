//! What the files of a suite may hold. The types are the schema: `harness/schema/*.json` is made from them.

mod causes;
mod claims;
mod differences;
mod files;
mod outcome;
mod outcomes;
mod pki;
mod points;
mod proxy;
mod relay;
mod scenario;
mod setting;
mod texts;

pub use causes::{Cause, CausesFile, Speaker, Step as ConnectionStep, Symptom, Unrelated};
pub use claims::{Claim, ClaimsFile, Document, DocumentFile, Documented, Scope, Would};
pub use differences::{DifferenceEntry, DifferencesFile, Divergence};
pub use files::{FileDetails, FileSpec, Files};
pub use outcome::{
    Argument, Arguments, Connects, Expect, Hangs, KongText, Outcome, Refused, ServerLog, SpelledExpect, SpelledOutcome,
    Tls,
};
pub use outcomes::{NamedOutcome, OutcomesFile};
pub use pki::{Pki, PkiFile, TreeSpec};
pub use points::{At, Points};
pub use proxy::Proxy;
pub use relay::{Relay, RelaySettings};
pub use scenario::{AppliesTo, Axes, Case, ClaimUse, Except, Point, Postgres, Rule, Scenario, Setup, Step, Url};
pub use setting::{KongSettings, PostgresSettings, Setting, Settings};
pub use texts::{Text, TextsFile, Wording};
