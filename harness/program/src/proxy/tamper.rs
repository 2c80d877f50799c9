//! Flips a bit inside a TLS session, which both sides have to notice.

use std::io;
use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// Whose data is altered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sender {
    Client,
    Server,
}

/// Passes TLS records on in both directions, but for one bit of the first record of data that one side sends.
pub(super) async fn tamper(client: TcpStream, server: TcpStream, of: Sender) -> io::Result<()> {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let session = Mutex::new(Session::default());
    let is_altered = |sender| {
        let session = &session;
        move |kind| session.lock().is_ok_and(|mut session| session.is_first_data(sender, kind)) && sender == of
    };
    let up = copy_records(&mut from_client, &mut to_server, is_altered(Sender::Client));
    let down = copy_records(&mut from_server, &mut to_client, is_altered(Sender::Server));
    tokio::try_join!(up, down).map(drop)
}

/// The content type of data; in TLS 1.3 also that of the encrypted part of the handshake.
const APPLICATION_DATA: u8 = 23;

/// How far a TLS session has come. It holds for clients without a certificate, whose encrypted part of the handshake in
/// TLS 1.3 is one record, the Finished message.
#[derive(Debug, Default)]
struct Session {
    is_tls_1_3: bool,
    from_client: usize,
    server_has_sent_data: bool,
}

impl Session {
    /// Whether a record is the first data that a side sends; that of the server comes after the client's.
    fn is_first_data(&mut self, sender: Sender, kind: u8) -> bool {
        let handshake = usize::from(self.is_tls_1_3);
        match sender {
            _ if kind != APPLICATION_DATA => false,
            Sender::Client => {
                self.from_client += 1;
                self.from_client == handshake + 1
            }
            Sender::Server if self.from_client > handshake => !std::mem::replace(&mut self.server_has_sent_data, true),
            Sender::Server => {
                // In TLS 1.2 it is the client that begins.
                self.is_tls_1_3 |= self.from_client == 0;
                false
            }
        }
    }
}

/// Passes TLS records on; those that `is_altered` picks by their content type arrive with their last bit flipped.
async fn copy_records(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    mut is_altered: impl FnMut(u8) -> bool,
) -> io::Result<()> {
    loop {
        // Content type, version, and length in two bytes.
        let mut header = [0; 5];
        match from.read_exact(&mut header).await {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return to.shutdown().await,
            other => other?,
        };
        let mut body = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
        from.read_exact(&mut body).await?;
        if is_altered(header[0])
            && let Some(last) = body.last_mut()
        {
            *last ^= 1;
        }
        to.write_all(&[&header[..], &body].concat()).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of the records are the first data of their side.
    fn first_data(records: &[(Sender, u8)]) -> Vec<usize> {
        let mut session = Session::default();
        let first = records.iter().enumerate().filter(|(_, (sender, kind))| session.is_first_data(*sender, *kind));
        first.map(|(index, _)| index).collect()
    }

    #[test]
    fn the_first_data_comes_after_the_handshake() {
        use Sender::{Client, Server};
        let tls_1_2 =
            [(Client, 22), (Server, 22), (Client, 22), (Client, 20), (Client, 22), (Server, 20), (Server, 22)];
        let data = [(Client, 23), (Server, 23), (Client, 23), (Server, 23)];
        assert_eq!(first_data(&[&tls_1_2[..], &data].concat()), [7, 8]);
        // A server that asks for another ClientHello, and sends a ticket before the client's data.
        let tls_1_3 =
            [(Client, 22), (Server, 22), (Client, 20), (Client, 22), (Server, 22), (Server, 23), (Server, 23)];
        let finished = [(Client, 23), (Server, 23)];
        assert_eq!(first_data(&[&tls_1_3[..], &finished, &data].concat()), [9, 10]);
    }
}
