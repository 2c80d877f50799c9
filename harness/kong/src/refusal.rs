//! How an attempt that does not connect ends, in Kong's words.

use crate::stage::Stage;

/// What Kong puts before an error that its driver returned.
pub const PREFIX: &str = "[PostgreSQL error] failed to retrieve PostgreSQL server_version_num: ";

/// The end of an attempt that does not connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The step at which it ended.
    pub stage: Stage,
    /// The driver's text.
    pub text: String,
    /// How the driver delivered it.
    pub delivery: ErrorDelivery,
    /// The verification error of the server's certificate, an `X509_V_ERR_*` of OpenSSL's.
    pub x509: Option<i32>,
    /// The TLS alert received, by its name in TLS: `unknown_ca`.
    pub alert: Option<&'static str>,
    /// The SQLSTATE of the server's error.
    pub sqlstate: Option<String>,
}

/// How the driver delivers its error to Kong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
pub enum ErrorDelivery {
    /// It returns an error, and Kong puts its prefix before it.
    #[strum(serialize = "returns it")]
    Returned,
    /// It raises one, and Kong prints it bare.
    #[strum(serialize = "raises it")]
    Raised,
    /// It delivers none: it waits without end.
    #[strum(serialize = "waits without end")]
    Hung,
    /// The text is not Kong's: it is that of another client, or of one of the [limits](crate::limits).
    #[strum(serialize = "says it in other words")]
    Other,
}

impl ErrorDelivery {
    /// In words, for a report.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl Refusal {
    /// What Kong prints, character for character.
    #[must_use]
    pub fn as_kong_prints_it(&self) -> String {
        match self.delivery {
            ErrorDelivery::Returned => format!("{PREFIX}{}", self.text),
            ErrorDelivery::Raised | ErrorDelivery::Other => self.text.clone(),
            ErrorDelivery::Hung => "(nothing)".into(),
        }
    }

    /// The refusal of an attempt that its caller has given up.
    #[must_use]
    pub fn hung() -> Self {
        Self { delivery: ErrorDelivery::Hung, ..Self::returned(Stage::Handshake, "") }
    }

    /// The refusal of a driver that returns its error.
    #[must_use]
    pub fn returned(stage: Stage, text: &str) -> Self {
        Self {
            stage,
            text: text.to_owned(),
            delivery: ErrorDelivery::Returned,
            x509: None,
            alert: None,
            sqlstate: None,
        }
    }

    /// The refusal of a driver that raises its error.
    #[must_use]
    pub fn raised(stage: Stage, text: &str) -> Self {
        Self { delivery: ErrorDelivery::Raised, ..Self::returned(stage, text) }
    }

    /// The refusal of an attempt that one of the [limits](crate::limits) has ended.
    pub(crate) fn beyond_limit(stage: Stage, what: &str) -> Self {
        Self::in_other_words(stage, &format!("given up by the emulation, where Kong would go on: the server {what}"))
    }

    /// The refusal of a client that is not Kong.
    #[must_use]
    pub fn in_other_words(stage: Stage, text: &str) -> Self {
        Self { delivery: ErrorDelivery::Other, ..Self::returned(stage, text) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kong_puts_its_prefix_before_an_error_that_is_returned_to_it() {
        let printed = |refusal: Refusal| (refusal.delivery.as_str(), refusal.as_kong_prints_it());
        let (stage, text) = (Stage::Handshake, "timeout");
        assert_eq!(printed(Refusal::returned(stage, text)), ("returns it", format!("{PREFIX}timeout")));
        assert_eq!(printed(Refusal::raised(stage, text)), ("raises it", "timeout".into()));
        assert_eq!(printed(Refusal::hung()), ("waits without end", "(nothing)".into()));
        assert_eq!(printed(Refusal::in_other_words(stage, text)), ("says it in other words", "timeout".into()));
        let beyond = "given up by the emulation, where Kong would go on: the server floods";
        assert_eq!(Refusal::beyond_limit(stage, "floods"), Refusal::in_other_words(stage, beyond));
    }
}
