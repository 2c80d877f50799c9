//! PostgreSQL's protocol as pgmoon speaks it, after the TLS handshake, with the queries that Kong begins with.

use bytes::{BufMut, Bytes, BytesMut};
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::message::frontend;

use crate::channel_binding::{BindingError, ChannelBinding};
use crate::generation::Generation;
use crate::refusal::{ErrorDelivery, Refusal};
use crate::scram::{Exchange, ScramError};
use crate::socket::{Socket, SocketError};
use crate::stage::Stage;

/// What pgmoon puts before the error when a message does not even begin.
const NO_TYPE: &str = "receive_message: failed to get type: ";

/// Who logs in.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: Option<String>,
    pub(crate) database: String,
    pub(crate) binding: ChannelBinding,
}

/// A session with the server.
pub(crate) struct Session {
    socket: Socket,
    driver: Generation,
    /// Whether the connection has ended, or the driver has let go of its socket.
    ended: bool,
}

/// A message of the server: its type, and its body if it came whole.
struct Message {
    kind: u8,
    body: Option<Bytes>,
}

impl Message {
    /// The number an authentication message begins with.
    fn code(&self) -> Option<i32> {
        let body = self.body.as_ref()?;
        Some(i32::from_be_bytes(body.get(..4)?.try_into().ok()?))
    }

    /// The body, as far as there is one.
    fn bytes(&self) -> &[u8] {
        self.body.as_deref().unwrap_or_default()
    }

    /// What an authentication message holds after its number.
    fn rest(&self) -> &[u8] {
        self.bytes().get(4..).unwrap_or_default()
    }

    /// The value of a row's first column.
    fn first_value(&self) -> Option<String> {
        let row = self.body.as_deref()?.get(2..)?;
        let (length, value) = row.split_first_chunk::<4>()?;
        let value = value.get(..usize::try_from(i32::from_be_bytes(*length)).ok()?)?;
        Some(String::from_utf8_lossy(value).into_owned())
    }
}

impl Session {
    pub(crate) fn new(socket: Socket, driver: Generation) -> Self {
        Self { socket, driver, ended: false }
    }

    pub(crate) fn into_socket(self) -> Socket {
        self.socket
    }

    /// Logs in, and asks what Kong asks first. Returns the process id of the server's backend.
    pub(crate) async fn open(&mut self, login: &Login) -> Result<i32, Refusal> {
        self.send_startup(login).await?;
        self.authenticate(login).await?;
        let pid = self.until_ready().await?;
        // Of this query Kong ignores an error that the driver returns: it takes the schema `public` then.
        let schema = match self.query("SELECT CURRENT_SCHEMA AS schema").await {
            Err(refusal) if refusal.delivery != ErrorDelivery::Returned => return Err(refusal),
            schema => schema.ok().flatten(),
        };
        let schema = schema.unwrap_or_else(|| "public".into()).replace('\'', "''");
        self.query(&format!("SET SCHEMA '{schema}';\nSET TIME ZONE 'UTC';")).await?;
        self.ask_for_version().await?;
        Ok(pid)
    }

    /// The query with which Kong sees that it is connected.
    pub(crate) async fn ask_for_version(&mut self) -> Result<(), Refusal> {
        self.query("SHOW server_version_num;").await.map(drop)
    }

    /// Tells the server that the session is over.
    pub(crate) async fn terminate(&mut self) {
        // The connection is over either way.
        let _ = self.send(b"X\0\0\0\x04").await;
    }

    async fn send_startup(&mut self, login: &Login) -> Result<(), Refusal> {
        let mut message = BytesMut::new();
        let parameters =
            [("user", login.user.as_str()), ("database", login.database.as_str()), ("application_name", "pgmoon")];
        frontend::startup_message(parameters, &mut message)
            .map_err(|error| Refusal::raised(Stage::Auth, &error.to_string()))?;
        self.send(&message).await
    }

    /// Sends. In TLS 1.3 the server may have refused the client certificate meanwhile, and closed: what has arrived of
    /// its alert is reported then, as it is if the server is a little slower.
    async fn send(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let Err(error) = self.socket.send(bytes).await else { return Ok(()) };
        match self.socket.receive(1).await {
            Err(later) if later.alert.is_some() => Err(later.into_refusal(Stage::Auth, NO_TYPE)),
            _ => Err(error.into_refusal(Stage::Auth, "")),
        }
    }

    /// Sends an answer to a request for a password, a hash or a SCRAM message. pgmoon does not look at whether it could
    /// be sent: it reads next, and reports that.
    async fn answer(&mut self, body: &[u8]) -> Result<(), Refusal> {
        let mut message = BytesMut::from(&b"p"[..]);
        message.put_i32(i32::try_from(body.len() + 4).unwrap_or(i32::MAX));
        message.put(body);
        match self.send(&message).await {
            Err(refusal) if refusal.alert.is_some() => Err(refusal),
            _ => Ok(()),
        }
    }

    /// Receives a message. A body that does not come whole is no error to pgmoon, just nothing. Its length is a signed
    /// number to pgmoon, and includes itself.
    async fn receive(&mut self) -> Result<Message, Refusal> {
        let failed = |what| move |error: SocketError| error.into_refusal(Stage::Auth, what);
        let kind = self.socket.receive(1).await.map_err(failed(NO_TYPE))?[0];
        let whole = self.driver.reads_headers_whole();
        let no_length = if whole { NO_TYPE } else { "receive_message: failed to get len: " };
        let length = self.socket.receive(4).await.map_err(failed(no_length))?;
        let length = i32::from_be_bytes(length[..].try_into().unwrap_or_default());
        let Ok(count) = usize::try_from(i64::from(length) - 4) else {
            return Err(Refusal::raised(Stage::Auth, self.socket.negative_count()));
        };
        match self.socket.receive(count).await {
            Err(error) if error.is_beyond_limit => Err(error.into_refusal(Stage::Auth, "")),
            body => Ok(Message { kind, body: body.ok().map(BytesMut::freeze) }),
        }
    }

    async fn authenticate(&mut self, login: &Login) -> Result<(), Refusal> {
        let request = self.receive().await?;
        let password = || {
            let missing = || Refusal::raised(Stage::Auth, "missing password, required for connect");
            login.password.as_deref().map(str::as_bytes).ok_or_else(missing)
        };
        match (request.kind, request.code()) {
            (b'E', _) => Err(server_error(Stage::Auth, &request)),
            (b'R', Some(0)) => Ok(()),
            (b'R', Some(3)) => {
                self.answer(&[password()?, b"\0"].concat()).await?;
                self.accepted().await
            }
            (b'R', Some(5)) => {
                let salt = request.rest().try_into().unwrap_or_default();
                let hash = md5_hash(login.user.as_bytes(), password()?, salt);
                self.answer(&[hash.as_bytes(), b"\0"].concat()).await?;
                self.accepted().await
            }
            (b'R', Some(10)) => self.scram(&request, password()?, login).await,
            (b'R', Some(code)) => Err(Refusal::raised(Stage::Auth, &format!("don't know how to auth: {code}"))),
            (b'R', None) => Err(Refusal::raised(Stage::Auth, no_number(request.body.as_deref()))),
            (kind, _) => {
                let kind = char::from(kind);
                Err(Refusal::raised(Stage::Auth, &format!("unexpected message during auth: {kind}")))
            }
        }
    }

    async fn scram(&mut self, request: &Message, password: &[u8], login: &Login) -> Result<(), Refusal> {
        let raises_mechanism = self.driver.raises_unknown_mechanism();
        let refused = |error: ScramError<BindingError>| match error {
            ScramError::Mechanism(_) if raises_mechanism => Refusal::raised(Stage::Auth, &error.to_string()),
            ScramError::Binding(_) => Refusal::raised(Stage::Auth, &error.to_string()),
            ScramError::TooManyIterations(_) => Refusal::beyond_limit(Stage::Auth, &error.to_string()),
            _ => Refusal::returned(Stage::Auth, &error.to_string()),
        };
        let certificate = self.socket.server_certificate();
        let end_point = || login.binding.end_point(certificate.as_deref());
        let mut exchange = Exchange::begin(request.bytes(), password, end_point).map_err(refused)?;
        self.answer(&exchange.first()).await?;

        let challenge = self.receive().await?;
        // pgmoon looks at the number only: an error of the server is one more message without the right one.
        let Some(11) = challenge.code() else {
            let sqlstate = (challenge.kind == b'E').then(|| server_error(Stage::Auth, &challenge).sqlstate).flatten();
            let text = String::from_utf8_lossy(challenge.bytes()).into_owned();
            return Err(Refusal { sqlstate, ..refused(ScramError::Challenge(text)) });
        };
        let proof = exchange.answer(challenge.rest()).map_err(refused)?;
        self.answer(&proof).await?;

        let end = self.receive().await?;
        match (end.kind, end.code()) {
            (b'R', Some(12)) => exchange.finish(end.rest()).map_err(refused)?,
            (b'E', _) => {
                let sqlstate = server_error(Stage::Auth, &end).sqlstate;
                return Err(Refusal { sqlstate, ..refused(ScramError::Unsuccessful) });
            }
            _ => return Err(refused(ScramError::Unsuccessful)),
        }
        self.accepted().await
    }

    /// Waits for the server's word that the authentication is complete.
    async fn accepted(&mut self) -> Result<(), Refusal> {
        let answer = self.receive().await?;
        match answer.kind {
            b'E' => Err(server_error(Stage::Auth, &answer)),
            b'R' => Ok(()),
            _ => Err(Refusal::raised(Stage::Auth, "unknown response from auth")),
        }
    }

    /// Waits until the server is ready, and returns the process id of its backend.
    async fn until_ready(&mut self) -> Result<i32, Refusal> {
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

    /// Sends a query, and returns the first value of its last row. An error of the server is kept and reading continues
    /// until the server is ready for the next query; where the connection ends first, that is what is reported.
    pub(crate) async fn query(&mut self, query: &str) -> Result<Option<String>, Refusal> {
        let at_query = |refusal: Refusal| Refusal { stage: Stage::Query, ..refusal };
        if self.ended && self.driver.drops_socket() {
            return Err(Refusal::raised(Stage::Query, "attempt to index field 'sock' (a nil value)"));
        }
        if self.ended {
            return Err(Refusal::returned(Stage::Query, &format!("{NO_TYPE}closed")));
        }
        self.socket.renew_allowance();
        let mut message = BytesMut::new();
        frontend::query(query, &mut message).map_err(|error| Refusal::raised(Stage::Query, &error.to_string()))?;
        // pgmoon only sees that this fails when it reads.
        let sent = self.send(&message).await.map_err(at_query);
        let (mut value, mut refusal) = (None, None);
        loop {
            let message = match self.receive().await.map_err(at_query) {
                Ok(message) => message,
                Err(end) => {
                    self.ended = self.driver.drops_socket() || !end.text.ends_with("timeout");
                    // An alert that has been read does not come again.
                    return Err(sent.err().filter(|sent| sent.alert.is_some()).unwrap_or(end));
                }
            };
            match message.kind {
                b'D' => value = message.first_value(),
                b'E' => refusal = Some(server_error(Stage::Query, &message)),
                b'Z' => return refusal.map_or(Ok(value), Err),
                _ => {}
            }
        }
    }
}

/// The error that Lua raises where pgmoon reads a number of four bytes that are not all there: run with both lineages of
/// pgmoon, 2.2.0 and 1.16.0.
fn no_number(bytes: Option<&[u8]>) -> &'static str {
    match bytes.map(<[u8]>::len) {
        None => "attempt to index local 'str' (a nil value)",
        Some(3) => "attempt to perform arithmetic on local 'a' (a nil value)",
        Some(_) => "bad argument #1 to 'lshift' (number expected, got nil)",
    }
}

/// An error of the server as pgmoon renders it: severity, message, the position in the query, and the detail on a line
/// of its own.
fn server_error(stage: Stage, message: &Message) -> Refusal {
    let Some(body) = message.body.as_deref() else {
        return Refusal::raised(stage, "attempt to get length of local 'err_msg' (a nil value)");
    };
    let field = |wanted: u8| {
        let mut fields = body.split(|byte| *byte == 0).filter_map(<[u8]>::split_first);
        fields.find(|(kind, _)| **kind == wanted).map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    };
    let or_nil = |field: Option<String>| field.unwrap_or_else(|| "nil".into());
    let mut text = format!("{}: {}", or_nil(field(b'S')), or_nil(field(b'M')));
    if let Some(position) = field(b'P') {
        text = format!("{text} ({position})");
    }
    if let Some(detail) = field(b'D') {
        text = format!("{text}\n{detail}");
    }
    Refusal { sqlstate: field(b'C'), ..Refusal::returned(stage, &text) }
}

#[cfg(test)]
mod tests;
