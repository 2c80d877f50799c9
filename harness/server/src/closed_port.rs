//! Where nobody answers.

use std::io;
use std::net::Ipv4Addr;

use tokio::net::TcpSocket;

/// A port of the loopback that refuses connections for as long as this value is there. A port that is merely free may
/// be another server's a moment later.
pub(super) struct ClosedPort {
    pub(super) number: u16,
    /// Bound, and never listening.
    _held: TcpSocket,
}

impl ClosedPort {
    /// One of those that are free.
    pub(super) fn take() -> io::Result<Self> {
        let held = TcpSocket::new_v4()?;
        held.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        Ok(Self { number: held.local_addr()?.port(), _held: held })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_answers_and_nobody_else_can_take_it() {
        let closed = ClosedPort::take().expect("a port");
        let address = (Ipv4Addr::LOCALHOST, closed.number);
        let refused = std::net::TcpStream::connect(address).expect_err("nobody answers");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let taken = std::net::TcpListener::bind(address).expect_err("it is taken");
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
    }
}
