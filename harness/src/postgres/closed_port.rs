//! Where nobody answers.

use std::io;
use std::net::Ipv4Addr;

use tokio::net::TcpSocket;

/// A port of the loopback that refuses connections for as long as this value is there. A port that is merely free may
/// be another server's a moment later.
pub(super) struct ClosedPort(#[expect(dead_code, reason = "what counts is that it is there")] TcpSocket);

impl ClosedPort {
    /// One of those that are free, and its number.
    pub(super) fn take() -> io::Result<(Self, u16)> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let number = socket.local_addr()?.port();
        Ok((Self(socket), number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_answers_and_nobody_else_can_take_it() {
        let (_closed, number) = ClosedPort::take().expect("a port");
        let address = (Ipv4Addr::LOCALHOST, number);
        let refused = std::net::TcpStream::connect(address).expect_err("nobody answers");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let taken = std::net::TcpListener::bind(address).expect_err("it is taken");
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
    }
}
