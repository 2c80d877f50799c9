//! The protocol of the Lua programs: lines of a name and a percent-encoded value, up to an empty line.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;

use openssl::x509::X509;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};

use kong_pg_client::Stage;
use kong_pg_client::{ALERTS, ErrorDelivery, Profile, Refusal, reword};

/// A channel to a Lua program that answers commands.
pub(super) struct Channel {
    reader: Box<dyn AsyncBufRead + Send + Sync + Unpin>,
    writer: Box<dyn AsyncWrite + Send + Sync + Unpin>,
}

impl Channel {
    pub(super) fn new(
        reader: impl AsyncRead + Send + Sync + Unpin + 'static,
        writer: impl AsyncWrite + Send + Sync + Unpin + 'static,
    ) -> Self {
        Self { reader: Box::new(BufReader::new(reader)), writer: Box::new(writer) }
    }

    /// Sends a command, and waits for the answer.
    pub(super) async fn ask(&mut self, verb: &str, terms: &[(&str, String)]) -> io::Result<Answer> {
        let mut lines = format!("verb {verb}\n");
        for (name, value) in terms {
            let _ = writeln!(lines, "{name} {}", encode(value));
        }
        lines.push('\n');
        self.writer.write_all(lines.as_bytes()).await?;
        self.writer.flush().await?;
        let mut answer = HashMap::new();
        loop {
            let line = self.line().await?;
            let Some((name, value)) = line.split_once(' ') else { return Ok(Answer(answer)) };
            answer.insert(name.to_owned(), decode(value));
        }
    }

    /// The next line, without its end.
    pub(super) async fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.reader.read_line(&mut line).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end_matches('\n').to_owned()),
        }
    }
}

fn encode(value: &str) -> String {
    let byte = |byte: u8| if byte.is_ascii_alphanumeric() { char::from(byte).into() } else { format!("%{byte:02x}") };
    value.bytes().map(byte).collect()
}

fn decode(value: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut parts = value.split('%');
    bytes.extend(parts.next().unwrap_or_default().bytes());
    for part in parts {
        let (code, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        bytes.extend(u8::from_str_radix(code, 16));
        bytes.extend(rest.bytes());
    }
    bytes
}

/// The answer of a Lua program.
pub(super) struct Answer(HashMap<String, Vec<u8>>);

impl Answer {
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|value| String::from_utf8_lossy(value).into_owned())
    }

    pub(super) fn number(&self, name: &str) -> Option<i32> {
        self.text(name)?.parse().ok()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The certificate that the server sent.
    pub(super) fn certificate(&self) -> Option<X509> {
        X509::from_der(self.0.get("certificate")?).ok()
    }

    /// How the attempt ended, if it did not connect.
    pub(super) fn refusal(&self, profile: &Profile) -> Option<Refusal> {
        let delivery = match self.text("outcome")?.as_str() {
            "returned" => ErrorDelivery::Returned,
            "raised" => ErrorDelivery::Raised,
            _ => return None,
        };
        let text = reword(&self.text("text").unwrap_or_default(), profile.openssl);
        Some(Refusal {
            stage: self.text("stage").and_then(|name| name.parse().ok()).unwrap_or(Stage::Configure),
            delivery,
            x509: self.number("x509"),
            alert: alert(&text),
            sqlstate: self.text("sqlstate"),
            text,
        })
    }
}

/// The alert in a text of OpenSSL.
pub(super) fn alert(text: &str) -> Option<&'static str> {
    let (_, words) = text.split_once(" alert ")?;
    let name = words.replace(' ', "_");
    ALERTS.into_iter().map(|(_, alert)| alert).find(|alert| name.starts_with(alert))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_decoded_from_its_encoding() {
        for value in ["", "kong", "a b%\n\0ü"] {
            assert_eq!(decode(&encode(value)), value.as_bytes());
        }
    }

    #[test]
    fn an_alert_is_found_in_a_text() {
        assert_eq!(alert("tlsv1 alert unknown ca"), Some("unknown_ca"));
        assert_eq!(
            alert(
                "SSL_do_handshake() failed (SSL: error:0A000415:SSL routines::sslv3 alert certificate expired:SSL alert number 45)"
            ),
            Some("certificate_expired")
        );
        assert_eq!(alert("certificate verify failed"), None);
    }
}
