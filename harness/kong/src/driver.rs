//! An attempt to connect, from the TCP connection to `SHOW server_version_num`.

use std::path::Path;
use std::time::Duration;

use bytes::BytesMut;
use openssl::ssl::SslContext;
use openssl::x509::X509;
use postgres_protocol::message::frontend;

use super::cosocket::{self, ClientCertificate};
use super::luasec;
use super::protocol::Session;
use super::socket::{Socket, SocketError};
use super::start::{Kong, Tls};
use crate::Stage;

/// What Kong puts before an error that its driver returned.
pub const PREFIX: &str = "[PostgreSQL error] failed to retrieve PostgreSQL server_version_num: ";

/// An attempt to connect, as it ended.
pub struct Attempt {
    /// The open connection, or what Kong says.
    pub result: Result<Connection, Refusal>,
    /// Whether there was a TCP connection, so that the server knows of the attempt.
    pub reached: bool,
    /// The certificate the server showed.
    pub certificate: Option<X509>,
}

/// What Kong says when it does not connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The step at which it ended.
    pub stage: Stage,
    /// The driver's text.
    pub text: String,
    /// How the driver told it.
    pub delivery: ErrorDelivery,
    /// The verification error of the server's certificate.
    pub x509: Option<i32>,
    /// The TLS alert received.
    pub alert: Option<&'static str>,
    /// The SQLSTATE the server gave.
    pub sqlstate: Option<String>,
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
}

/// How Kong's driver tells that it does not connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorDelivery {
    /// It returns an error, and Kong puts its prefix before it.
    Returned,
    /// It raises one, and Kong prints it bare.
    Raised,
    /// Not at all: it waits without end.
    Hung,
    /// It is not Kong's: another client says it in words of its own.
    Other,
}

impl ErrorDelivery {
    /// In words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Returned => "returns it",
            Self::Raised => "raises it",
            Self::Hung => "waits without end",
            Self::Other => "says it in other words",
        }
    }
}

/// An open connection on which Kong has got its answer.
pub struct Connection {
    session: Session,
    goodbye: bool,
    /// The process that serves it.
    pub pid: i32,
}

impl Connection {
    /// Asks the same again, on the connection that is open.
    ///
    /// # Errors
    /// What Kong says if there is no answer.
    pub async fn ask_again(&mut self) -> Result<(), Refusal> {
        self.session.ask_for_version().await
    }

    /// Ends it as Kong does.
    pub async fn close(mut self) {
        if self.goodbye {
            // The connection is over either way.
            let _ = self.session.send(b"X\0\0\0\x04").await;
        }
        self.session.into_socket().close().await;
    }
}

/// A refusal in the making.
pub(super) type Fault = Refusal;

impl Refusal {
    /// That of an attempt that somebody has given up.
    pub fn hung() -> Self {
        Self { delivery: ErrorDelivery::Hung, ..Self::returned(Stage::Handshake, "") }
    }

    /// That of a driver which returns its error.
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

    /// That of a driver which raises its error.
    #[must_use]
    pub fn raised(stage: Stage, text: &str) -> Self {
        Self { delivery: ErrorDelivery::Raised, ..Self::returned(stage, text) }
    }

    /// That of a client which is not Kong.
    pub fn in_other_words(stage: Stage, text: &str) -> Self {
        Self { delivery: ErrorDelivery::Other, ..Self::returned(stage, text) }
    }

    pub(super) fn socket(stage: Stage, before: &str, error: &SocketError) -> Self {
        Self { alert: error.alert, ..Self::returned(stage, &format!("{before}{}", error.text)) }
    }
}

/// A stack that is ready for a handshake.
enum Ready<'a> {
    Luasec(Option<&'a Path>),
    Cosocket(&'a SslContext, ClientCertificate),
}

impl Kong {
    /// Connects as Kong would, and asks for the server's version. The connection stays open.
    pub async fn connect(&self) -> Attempt {
        let mut reached = false;
        let mut certificate = None;
        let result = self.run(&mut reached, &mut certificate).await;
        Attempt { result, reached, certificate }
    }

    async fn run(&self, reached: &mut bool, certificate: &mut Option<X509>) -> Result<Connection, Fault> {
        let (settings, openssl) = (&self.settings, self.profile.openssl);
        // On a cosocket the driver reads the client certificate before it connects, LuaSec only in the handshake.
        let stack = match &self.tls {
            Tls::Cosocket(context) if self.profile.driver.has_client_certificates() => {
                Ready::Cosocket(context, ClientCertificate::read(settings)?)
            }
            Tls::Cosocket(context) => Ready::Cosocket(context, ClientCertificate::default()),
            Tls::Luasec(trusted) => Ready::Luasec(trusted.as_deref()),
        };
        let timeout = Duration::from_millis(settings.timeout_ms);
        let connecting = Socket::connect(&settings.host, settings.port, self.stack(), openssl, timeout);
        let mut socket = connecting.await.map_err(|error| Fault::socket(Stage::Connect, "", &error))?;
        *reached = true;
        if settings.ssl && self.ask_for_tls(&mut socket).await? {
            let done;
            (socket, done) = match &stack {
                Ready::Cosocket(context, client) => cosocket::handshake(socket, context, client, self).await,
                Ready::Luasec(trusted) => luasec::handshake(socket, self, *trusted).await,
            };
            *certificate = socket.server_certificate();
            done?;
        }
        let mut session = Session::new(socket, settings.clone(), self.profile.driver.binding(self.stack()));
        match session.log_in().await {
            Ok(pid) => Ok(Connection { session, goodbye: self.profile.says_goodbye(), pid }),
            Err(fault) => {
                // An error that is raised leaves the connection to the operating system.
                if fault.delivery != ErrorDelivery::Raised {
                    session.into_socket().close().await;
                }
                Err(fault)
            }
        }
    }

    /// Sends the `SSLRequest`. Whether to go on in TLS: an answer other than `S` means plaintext, unless TLS is
    /// required, and also if the certificate was going to be verified.
    async fn ask_for_tls(&self, socket: &mut Socket) -> Result<bool, Fault> {
        let failed = |error| Fault::socket(Stage::SslRequest, "", &error);
        let mut request = BytesMut::new();
        frontend::ssl_request(&mut request);
        socket.send(&request).await.map_err(failed)?;
        match socket.receive(1).await.map_err(failed)?[0] {
            b'S' => Ok(true),
            answer if answer == b'E' || self.settings.ssl_required => {
                Err(Fault::returned(Stage::SslRequest, "the server does not support SSL connections"))
            }
            _ => Ok(false),
        }
    }
}
