//! What a proxy between Kong and the server does.

use schemars::JsonSchema;
use serde::Deserialize;

/// How something between Kong and the server behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Behaviour {
    /// Hands everything on, in both directions.
    PassesThrough,
    /// Answers `N` to the question for TLS, and hands everything else on.
    AnswersNo,
    /// Answers `N` and closes.
    AnswersNoAndCloses,
    /// Answers with an error of PostgreSQL's protocol.
    AnswersAnError,
    /// Answers as a web server would.
    AnswersHttp,
    /// Answers `S` and closes.
    AnswersYesAndCloses,
    /// Answers `S` and says nothing more.
    AnswersYesAndIsSilent,
    /// Answers `S` and then what is no TLS.
    AnswersYesAndTalksGarbage,
    /// Accepts and says nothing.
    IsSilent,
    /// Accepts and closes.
    ClosesAtOnce,
    /// Sends an error of its own in one piece with the server's `S`.
    StuffsAnError,
    /// Sends a request for the password in one piece with the server's `S`.
    StuffsAPasswordRequest,
    /// Looks for the server that the client names in the TLS handshake, and closes if it names none.
    RoutesByName,
    /// Ends TLS itself, and begins it anew towards the server.
    EndsTls,
    /// The same for clients that begin with TLS at once, and do not ask for it first.
    TakesTlsAtOnce,
    /// Hands the server's words on a byte a second.
    Dribbles,
    /// Resets the connection in the middle of the TLS handshake.
    ResetsInTheHandshake,
    /// Flips a bit in the first data that the client sends inside TLS.
    AltersClientData,
    /// Flips a bit in the first data that the server sends inside TLS, after the client has sent some.
    AltersServerData,
}

impl Behaviour {
    /// Whether Kong and the server have one TLS session, from end to end.
    #[must_use]
    pub fn hands_on(self) -> bool {
        !matches!(self, Self::EndsTls | Self::RoutesByName | Self::TakesTlsAtOnce)
    }
}
