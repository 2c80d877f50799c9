//! What a proxy between Kong and the server does.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a proxy between Kong and the server behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Behaviour {
    /// Forwards everything, in both directions.
    PassesThrough,
    /// Answers `N` to the SSLRequest, and forwards everything else.
    AnswersNo,
    /// Answers `N` and closes.
    AnswersNoAndCloses,
    /// Answers with an error of PostgreSQL's protocol.
    AnswersAnError,
    /// Answers as a web server would.
    AnswersHttp,
    /// Answers `S` and closes.
    AnswersYesAndCloses,
    /// Answers `S` and sends nothing more.
    AnswersYesAndIsSilent,
    /// Answers `S` and then sends bytes that are not TLS.
    AnswersYesAndTalksGarbage,
    /// Accepts and sends nothing.
    IsSilent,
    /// Accepts and closes.
    ClosesAtOnce,
    /// Sends an error of its own in one segment with the server's `S`.
    StuffsAnError,
    /// Sends a password request in one segment with the server's `S`.
    StuffsAPasswordRequest,
    /// Routes by SNI: terminates TLS, and closes the connection of a client that sends no SNI.
    RoutesByName,
    /// Terminates TLS and re-encrypts to the server.
    EndsTls,
    /// Terminates TLS and answers the startup message as Azure's gateway does a client whose TLS version is too old.
    RefusesTheVersionInsideTls,
    /// As `ends-tls`, for clients that begin with a TLS handshake, without an SSLRequest.
    TakesTlsAtOnce,
    /// Forwards what the server sends, one byte a second.
    Dribbles,
    /// Resets the connection in the middle of the TLS handshake.
    ResetsInTheHandshake,
    /// Flips a bit in the first data that the client sends inside TLS.
    AltersClientData,
    /// Flips a bit in the first data that the server sends inside TLS, after the client has sent some.
    AltersServerData,
}

impl Behaviour {
    /// Whether Kong and the server share one TLS session, end to end.
    #[must_use]
    pub fn hands_on(self) -> bool {
        !matches!(self, Self::EndsTls | Self::RoutesByName | Self::TakesTlsAtOnce | Self::RefusesTheVersionInsideTls)
    }
}
