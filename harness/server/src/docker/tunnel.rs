//! A port of this machine's loopback interface that leads to a server on another machine: the server is reached at the
//! address that it has everywhere else, and that certificates are made for.

use std::io;
use std::net::Ipv4Addr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// It ends with this value, and so do its connections.
pub(super) struct Tunnel {
    /// On this machine.
    pub(super) port: u16,
    task: JoinHandle<()>,
}

impl Tunnel {
    /// Opens it on a port of this machine, any if none is given, to a port of another host.
    pub(super) async fn open(port: Option<u16>, to: (String, u16)) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.unwrap_or_default())).await?;
        let port = listener.local_addr()?.port();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                connections.spawn(forward(near, to.clone()));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { port, task })
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Forwards until both sides have ended. What goes wrong, each side sees as the end of its connection.
async fn forward(mut near: TcpStream, to: (String, u16)) {
    let Ok(mut far) = TcpStream::connect(to).await else { return };
    // As a direct connection: nothing waits for more.
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let _ = copy_bidirectional(&mut near, &mut far).await;
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn what_is_written_at_one_end_is_read_at_the_other_up_to_the_end() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let port = server.local_addr().expect("an address").port();
        let tunnel = Tunnel::open(None, ("127.0.0.1".into(), port)).await.expect("a tunnel");
        let mut near = TcpStream::connect((Ipv4Addr::LOCALHOST, tunnel.port)).await.expect("a connection");
        let (mut far, _) = server.accept().await.expect("a connection");
        let mut text = String::new();
        near.write_all(b"question").await.expect("sent");
        near.shutdown().await.expect("sent");
        far.read_to_string(&mut text).await.expect("text");
        far.write_all(b", answer").await.expect("sent");
        drop(far);
        near.read_to_string(&mut text).await.expect("text");
        assert_eq!(text, "question, answer");
    }

    #[tokio::test]
    async fn nothing_listens_once_it_has_ended() {
        let tunnel = Tunnel::open(None, ("127.0.0.1".into(), 9)).await.expect("a tunnel");
        let address = (Ipv4Addr::LOCALHOST, tunnel.port);
        let mut near = TcpStream::connect(address).await.expect("a connection");
        assert_eq!(near.read(&mut [0]).await.expect("an end"), 0, "the other side does not answer");
        drop(tunnel);
        tokio::task::yield_now().await;
        assert!(TcpStream::connect(address).await.is_err());
    }
}
