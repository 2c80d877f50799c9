//! What happened in a step, on both sides.

use kong_pg_client::{ErrorDelivery, PREFIX, Stage};
use kong_pg_scenarios::vocabulary::OpenConnection;
use postgres_tls_server::TlsProof;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What happened in a step.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Observation {
    /// What the server logged when it applied the configuration.
    pub reload: Vec<String>,
    /// The outcome of the attempt to connect.
    pub attempt: Attempt,
    /// The certificate the server presented, if the client saw one.
    pub certificate: Option<String>,
    /// What the server logged about the attempt, without the lines that it logs for every connection.
    pub judged_log: Vec<String>,
    /// What the program between Kong and the server logged about the attempt, without what differs from run to run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relay_log: Vec<String>,
    /// What happened to the connection that Kong has kept open, if the step looks at one.
    pub open_connection: Option<OpenConnection>,
    /// The results of the superuser's queries, in their order.
    pub answers: Vec<String>,
}

/// The outcome of an attempt to connect.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Attempt {
    /// Kong does not connect in this step.
    #[default]
    NotMade,
    /// It connected; the server proves with what.
    Connected(TlsSession),
    /// The client reports a connection that the server does not confirm: it reached another server, or the two
    /// disagree about TLS.
    Unconfirmed {
        /// What the client reports, and what the server shows instead.
        claim: String,
    },
    /// It was refused.
    Refused(Refusal),
    /// It waited until the limit.
    Hung,
}

/// A connection, as `pg_stat_ssl` or the server's log shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct TlsSession {
    /// `TLSv1.3`; `null` for a connection without TLS.
    pub version: Option<String>,
    /// The cipher suite.
    pub cipher: Option<String>,
    /// The subject of the client certificate.
    pub client_dn: Option<String>,
}

/// What a client reports when it does not connect.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Refusal {
    /// The stage at which the attempt ended.
    pub stage: Stage,
    /// The client's text, without Kong's prefix.
    pub text: String,
    /// How the client reported it.
    pub delivery: Delivery,
    /// The verification error of the server's certificate, by OpenSSL's number.
    pub x509_code: Option<i32>,
    /// The TLS alert the client received.
    pub alert: Option<String>,
    /// The SQLSTATE the server sent.
    pub sqlstate: Option<String>,
}

/// How a client reports an error.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, strum::Display, strum::IntoStaticStr,
)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// Kong's driver returns it, and Kong prints it behind a prefix.
    #[strum(serialize = "the driver returns the error")]
    Returned,
    /// Kong's driver raises it, and Kong prints it as it is.
    #[strum(serialize = "the driver raises the error")]
    Raised,
    /// A client that is not Kong reports it in its own words.
    #[strum(serialize = "the client has its own words for the error")]
    OwnWords,
}

impl Refusal {
    /// What Kong prints, character for character; another client's own text.
    #[must_use]
    pub fn printed(&self) -> String {
        match self.delivery {
            Delivery::Returned => format!("{PREFIX}{}", self.text),
            Delivery::Raised | Delivery::OwnWords => self.text.clone(),
        }
    }
}

impl Attempt {
    /// The connection, if there is one.
    #[must_use]
    pub fn connected(&self) -> Option<&TlsSession> {
        if let Self::Connected(session) = self { Some(session) } else { None }
    }

    /// What the client reported, if it was refused.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        if let Self::Refused(refusal) = self { Some(refusal) } else { None }
    }
}

impl TlsSession {
    /// The TLS version as `pg_stat_ssl` shows it; `off` for plaintext.
    #[must_use]
    pub fn version(&self) -> &str {
        self.version.as_deref().unwrap_or("off")
    }
}

impl From<TlsProof> for TlsSession {
    fn from(proof: TlsProof) -> Self {
        let TlsProof { version, cipher, client_dn } = proof;
        Self { version, cipher, client_dn }
    }
}

impl From<kong_pg_client::Refusal> for Attempt {
    fn from(refusal: kong_pg_client::Refusal) -> Self {
        let delivery = match refusal.delivery {
            ErrorDelivery::Hung => return Self::Hung,
            ErrorDelivery::Returned => Delivery::Returned,
            ErrorDelivery::Raised => Delivery::Raised,
            ErrorDelivery::Other => Delivery::OwnWords,
        };
        Self::Refused(Refusal {
            stage: refusal.stage,
            text: refusal.text,
            delivery,
            x509_code: refusal.x509,
            alert: refusal.alert.map(str::to_owned),
            sqlstate: refusal.sqlstate,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_driver_returns_is_printed_behind_kong_s_prefix_and_what_it_raises_is_not() {
        let printed = |refusal| {
            let attempt = Attempt::from(refusal);
            attempt.refusal().map(Refusal::printed)
        };
        let returned = kong_pg_client::Refusal::returned(Stage::Auth, "closed");
        assert_eq!(printed(returned), Some(format!("{PREFIX}closed")));
        assert_eq!(printed(kong_pg_client::Refusal::raised(Stage::Auth, "closed")).as_deref(), Some("closed"));
    }

    #[test]
    fn a_session_is_what_the_server_shows_of_it() {
        let text = |text: &str| Some(text.to_owned());
        let proof = TlsProof { version: text("TLSv1.3"), cipher: text("TLS_AES"), client_dn: text("/CN=kong") };
        let session = TlsSession { version: text("TLSv1.3"), cipher: text("TLS_AES"), client_dn: text("/CN=kong") };
        assert_eq!((TlsSession::from(proof), session.version()), (session.clone(), "TLSv1.3"));
        assert_eq!(TlsSession::from(TlsProof::default()).version(), "off");
    }

    #[test]
    fn an_attempt_that_hung_is_no_refusal() {
        assert_eq!(Attempt::from(kong_pg_client::Refusal::hung()), Attempt::Hung);
    }
}
