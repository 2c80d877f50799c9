//! TCP ports of the loopback interface that are not in use.

use std::io;
use std::net::Ipv4Addr;

use tokio::net::TcpSocket;

/// A port that nothing listens on at this moment. Another process may take it a moment later.
pub(crate) fn free_port() -> io::Result<u16> {
    Ok(std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// A port that refuses connections for as long as this value lives. A port that is merely free may be another server's
/// a moment later.
pub(crate) struct ClosedPort {
    pub(crate) number: u16,
    /// Bound, and never listening.
    _socket: TcpSocket,
}

impl ClosedPort {
    /// Reserves one.
    pub(crate) fn reserve() -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        Ok(Self { number: socket.local_addr()?.port(), _socket: socket })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_closed_port_refuses_connections_and_cannot_be_taken() {
        let closed = ClosedPort::reserve().expect("a port");
        let address = (Ipv4Addr::LOCALHOST, closed.number);
        let refused = std::net::TcpStream::connect(address).expect_err("nothing listens");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let taken = std::net::TcpListener::bind(address).expect_err("the port is reserved");
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
    }
}
