//! PostgreSQL's protocol as pgmoon speaks it, behind the TLS handshake.

use bytes::{BufMut, Bytes, BytesMut};
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::message::frontend;

use super::driver::Fault;
use super::profile::Binding;
use super::scram;
use super::settings::Settings;
use super::socket::Socket;
use crate::Stage;

/// What pgmoon puts before the error when a message does not even begin.
const NO_TYPE: &str = "receive_message: failed to get type: ";

/// A session with the server.
pub(super) struct Session {
    socket: Socket,
    settings: Settings,
    binding: Binding,
}

/// A message of the server: its type, and its body if it came whole.
pub(super) struct Message {
    pub(super) kind: u8,
    pub(super) body: Option<Bytes>,
}

impl Message {
    /// The number an authentication message begins with.
    pub(super) fn code(&self) -> Option<i32> {
        let body = self.body.as_ref()?;
        Some(i32::from_be_bytes(body.get(..4)?.try_into().ok()?))
    }

    /// What an authentication message holds behind its number.
    pub(super) fn rest(&self) -> &[u8] {
        self.body.as_deref().and_then(|body| body.get(4..)).unwrap_or_default()
    }
}

impl Session {
    pub(super) fn new(socket: Socket, settings: Settings, binding: Binding) -> Self {
        Self { socket, settings, binding }
    }

    pub(super) fn into_socket(self) -> Socket {
        self.socket
    }

    /// Logs in, and asks for the server's version. Returns the process that serves the connection.
    pub(super) async fn log_in(&mut self) -> Result<i32, Fault> {
        self.start().await?;
        self.authenticate().await?;
        let pid = self.until_ready().await?;
        self.ask_for_version().await?;
        Ok(pid)
    }

    async fn start(&mut self) -> Result<(), Fault> {
        let settings = &self.settings;
        let mut message = BytesMut::new();
        let parameters = [
            ("user", settings.user.as_str()),
            ("database", settings.database.as_str()),
            ("application_name", "pgmoon"),
        ];
        frontend::startup_message(parameters, &mut message)
            .map_err(|error| Fault::raised(Stage::Auth, &error.to_string()))?;
        self.send(&message).await
    }

    /// Sends. In TLS 1.3 the server may have refused the client certificate meanwhile, and closed: what has arrived of
    /// its alert is told then, as it is if the server is a little slower.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let Err(error) = self.socket.send(bytes).await else { return Ok(()) };
        match self.socket.receive(1).await {
            Err(told) if told.alert.is_some() => Err(Fault::socket(Stage::Auth, NO_TYPE, &told)),
            _ => Err(Fault::socket(Stage::Auth, "", &error)),
        }
    }

    /// Sends an answer to a request for a password, a hash or a SCRAM message.
    pub(super) async fn answer(&mut self, body: &[u8]) -> Result<(), Fault> {
        let mut message = BytesMut::from(&b"p"[..]);
        message.put_i32(i32::try_from(body.len() + 4).unwrap_or(i32::MAX));
        message.put(body);
        self.send(&message).await
    }

    /// Receives a message. A body that does not come whole is no error to pgmoon, just nothing.
    pub(super) async fn receive(&mut self) -> Result<Message, Fault> {
        let failed = |what| move |error| Fault::socket(Stage::Auth, what, &error);
        let kind = self.socket.receive(1).await.map_err(failed(NO_TYPE))?[0];
        let length = self.socket.receive(4).await.map_err(failed("receive_message: failed to get len: "))?;
        let length = u32::from_be_bytes(length[..].try_into().unwrap_or_default());
        let body = self.socket.receive(length.saturating_sub(4) as usize).await;
        Ok(Message { kind, body: body.ok().map(BytesMut::freeze) })
    }

    async fn authenticate(&mut self) -> Result<(), Fault> {
        let request = self.receive().await?;
        match (request.kind, request.code()) {
            (b'E', _) => Err(server_error(Stage::Auth, &request)),
            (b'R', Some(0)) => Ok(()),
            (b'R', Some(3)) => {
                let password = [self.password()?.as_bytes(), b"\0"].concat();
                self.answer(&password).await?;
                self.accepted().await
            }
            (b'R', Some(5)) => {
                let password = self.password()?.as_bytes().to_owned();
                let salt = request.rest().try_into().unwrap_or_default();
                let hash = md5_hash(self.settings.user.as_bytes(), &password, salt);
                self.answer(&[hash.as_bytes(), b"\0"].concat()).await?;
                self.accepted().await
            }
            (b'R', Some(10)) => {
                let password = self.password()?.as_bytes().to_owned();
                let certificate = self.socket.server_certificate();
                scram::authenticate(self, &request, &password, certificate.as_deref(), self.binding).await
            }
            (b'R', code) => {
                let code = code.map_or_else(|| "nil".to_owned(), |code| code.to_string());
                Err(Fault::raised(Stage::Auth, &format!("don't know how to auth: {code}")))
            }
            (kind, _) => {
                let kind = char::from(kind);
                Err(Fault::raised(Stage::Auth, &format!("unexpected message during auth: {kind}")))
            }
        }
    }

    fn password(&self) -> Result<&str, Fault> {
        let missing = || Fault::raised(Stage::Auth, "missing password, required for connect");
        self.settings.password.as_deref().ok_or_else(missing)
    }

    /// Waits for the server's word that the login is complete.
    pub(super) async fn accepted(&mut self) -> Result<(), Fault> {
        let answer = self.receive().await?;
        match answer.kind {
            b'E' => Err(server_error(Stage::Auth, &answer)),
            b'R' => Ok(()),
            _ => Err(Fault::raised(Stage::Auth, "unknown response from auth")),
        }
    }

    /// Waits until the server is ready, and returns the process that serves the connection.
    async fn until_ready(&mut self) -> Result<i32, Fault> {
        let mut pid = 0;
        loop {
            let message = self.receive().await?;
            match message.kind {
                b'E' => return Err(server_error(Stage::Auth, &message)),
                b'K' => pid = message.code().unwrap_or_default(),
                b'Z' => return Ok(pid),
                _ => {}
            }
        }
    }

    pub(super) async fn ask_for_version(&mut self) -> Result<(), Fault> {
        let at_query = |fault: Fault| Fault { stage: Stage::Query, ..fault };
        let mut message = BytesMut::new();
        frontend::query("SHOW server_version_num", &mut message)
            .map_err(|error| Fault::raised(Stage::Query, &error.to_string()))?;
        self.send(&message).await.map_err(at_query)?;
        loop {
            let message = self.receive().await.map_err(at_query)?;
            match message.kind {
                b'E' => return Err(server_error(Stage::Query, &message)),
                b'Z' => return Ok(()),
                _ => {}
            }
        }
    }
}

/// An error of the server as pgmoon tells it: severity, message, and the detail on a line of its own.
pub(super) fn server_error(stage: Stage, message: &Message) -> Fault {
    let field = |wanted: u8| {
        let body = message.body.as_deref().unwrap_or_default();
        let mut fields = body.split(|byte| *byte == 0).filter_map(<[u8]>::split_first);
        fields.find(|(kind, _)| **kind == wanted).map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    };
    let mut text = format!("{}: {}", field(b'S').unwrap_or_default(), field(b'M').unwrap_or_default());
    if let Some(detail) = field(b'D') {
        text.push('\n');
        text.push_str(&detail);
    }
    Fault { sqlstate: field(b'C'), ..Fault::returned(stage, &text) }
}
