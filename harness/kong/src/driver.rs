//! An attempt to connect, from the TCP connection to `SHOW server_version_num`.

use std::path::Path;
use std::time::Duration;

use bytes::BytesMut;
use openssl::ssl::SslContext;
use openssl::x509::X509;
use postgres_protocol::message::frontend;

use crate::channel_binding::ChannelBinding;
use crate::cosocket::{self, ClientCertificate};
use crate::luasec;
use crate::refusal::{ErrorDelivery, Refusal};
use crate::session::{Login, Session};
use crate::settings::Settings;
use crate::socket::{Socket, SocketError};
use crate::stack::Stack;
use crate::stage::Stage;
use crate::start::{Kong, Tls};

/// An attempt to connect, after its end.
pub struct Attempt {
    /// The open connection, or why there is none.
    pub result: Result<Connection, Refusal>,
    /// Whether there was a TCP connection, so that the server knows of the attempt.
    pub reached: bool,
    /// The certificate that the server sent.
    pub certificate: Option<X509>,
}

/// An open connection on which Kong has got its answer.
pub struct Connection {
    session: Session,
    pool: PoolKey,
    terminates: bool,
    /// The process id of the server's backend.
    pub pid: i32,
}

/// What pgmoon calls the pool of a connection: nothing about TLS is in it (Kong/pgmoon at b1b322b, pgmoon/init.moon:194, and
/// leafo/pgmoon at 8ece613).
#[derive(Debug, PartialEq, Eq)]
struct PoolKey {
    host: String,
    port: u16,
    database: String,
    user: String,
}

impl PoolKey {
    fn of(settings: &Settings) -> Self {
        let Settings { host, port, database, user, .. } = settings;
        Self { host: host.clone(), port: *port, database: database.clone(), user: user.clone() }
    }
}

impl Connection {
    /// Whether a cosocket's pool hands the connection out to one with other settings, as it is: without asking for TLS, and
    /// without verifying or logging in again.
    #[must_use]
    pub fn is_reused_for(&self, settings: &Settings) -> bool {
        self.pool == PoolKey::of(settings)
    }

    /// Asks the same again on the open connection.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn ask_again(&mut self) -> Result<(), Refusal> {
        self.session.ask_for_version().await
    }

    /// Asks something, and returns the first value of the last row of the answer.
    ///
    /// # Errors
    /// The server's error, or that there is no answer.
    pub async fn ask(&mut self, question: &str) -> Result<Option<String>, Refusal> {
        self.session.query(question).await
    }

    /// Ends it as Kong does.
    pub async fn close(mut self) {
        if self.terminates {
            self.session.terminate().await;
        }
        self.session.into_socket().close().await;
    }
}

/// A stack that is ready for a handshake.
enum Ready<'a> {
    Luasec(Option<&'a Path>),
    Cosocket(&'a SslContext, ClientCertificate),
}

impl Kong {
    /// Connects as Kong would, and asks for the server's version. The connection stays open.
    ///
    /// As in Kong, a server can make it wait without end: give it a limit of time. Its memory has [one](crate::limits).
    pub async fn connect(&self) -> Attempt {
        let mut reached = false;
        let mut certificate = None;
        let result = self.run(&mut reached, &mut certificate).await;
        Attempt { result, reached, certificate }
    }

    async fn run(&self, reached: &mut bool, certificate: &mut Option<X509>) -> Result<Connection, Refusal> {
        let Self { settings, profile, .. } = self;
        // On a cosocket the driver reads the client certificate before it connects, LuaSec only in the handshake.
        let stack = match &self.tls {
            Tls::Cosocket(context) if profile.driver.has_client_certificates() => {
                Ready::Cosocket(context, ClientCertificate::read(settings)?)
            }
            Tls::Cosocket(context) => Ready::Cosocket(context, ClientCertificate::default()),
            Tls::Luasec(trusted) => Ready::Luasec(trusted.as_deref()),
        };
        let timeout = Duration::from_millis(settings.timeout_ms);
        let tap = self.tap.as_ref();
        let connecting = Socket::connect(&settings.host, settings.port, self.stack(), profile.openssl, timeout, tap);
        let mut socket = connecting.await.map_err(|error| error.into_refusal(Stage::Connect, ""))?;
        *reached = true;
        if settings.ssl && self.ask_for_tls(&mut socket).await? {
            let done;
            (socket, done) = match &stack {
                Ready::Cosocket(context, client) => {
                    cosocket::handshake(socket, context, client, settings, profile).await
                }
                Ready::Luasec(trusted) => luasec::handshake(socket, *trusted, settings, profile, tap).await,
            };
            *certificate = socket.server_certificate();
            done?;
        }
        let login = Login {
            user: settings.user.clone(),
            password: settings.password.clone(),
            database: settings.database.clone(),
            binding: ChannelBinding::of(profile, self.stack()),
        };
        let mut session = Session::new(socket, profile.driver);
        match session.open(&login).await {
            Ok(pid) => {
                let (pool, terminates) = (PoolKey::of(settings), profile.sends_terminate());
                Ok(Connection { session, pool, terminates, pid })
            }
            Err(refusal) => {
                if refusal.delivery != ErrorDelivery::Raised || self.raising_ends_the_vm() {
                    session.into_socket().close().await;
                }
                Err(refusal)
            }
        }
    }

    /// Whether an error that is raised ends Kong's Lua VM, and with it LuaSec's connection in good order. Otherwise the
    /// operating system ends the connection.
    fn raising_ends_the_vm(&self) -> bool {
        self.stack() == Stack::Luasec && self.profile.runs_in_kong()
    }

    /// Sends the `SSLRequest`, and returns whether to go on in TLS. An answer other than `S` means plaintext, unless TLS
    /// is required, and also if the certificate was to be verified.
    async fn ask_for_tls(&self, socket: &mut Socket) -> Result<bool, Refusal> {
        let failed = |error: SocketError| error.into_refusal(Stage::SslRequest, "");
        let mut request = BytesMut::new();
        frontend::ssl_request(&mut request);
        socket.send(&request).await.map_err(failed)?;
        match socket.receive(1).await.map_err(failed)?[0] {
            b'S' => Ok(true),
            answer if answer == b'E' || self.settings.ssl_required => {
                Err(Refusal::returned(Stage::SslRequest, "the server does not support SSL connections"))
            }
            _ => Ok(false),
        }
    }
}
