//! A server made distant: a proxy that hands on what a client sends only after a round trip, and counts how often the
//! client waits. Its threads sleep as exactly as the kernel can, where a runtime's timers have milliseconds.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// The proxy. It listens on the loopback interface and ends with this value.
pub(super) struct Far {
    address: SocketAddr,
    latest: Arc<AtomicUsize>,
    ended: Arc<AtomicBool>,
}

/// Whose turn it was last on a connection.
struct Turns {
    is_clients: AtomicBool,
    count: Arc<AtomicUsize>,
}

impl Far {
    /// Listens in front of a server at a distance of this round trip.
    pub(super) fn listen(server: (String, u16), round_trip: Duration) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let (latest, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let far = Self { address, latest: latest.clone(), ended: ended.clone() };
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                // A connection that cannot be handed on is closed, which the client reports.
                let _ = hand_on(client, &server, round_trip, latest.clone());
            }
        });
        Ok(far)
    }

    pub(super) fn address(&self) -> (String, u16) {
        (self.address.ip().to_string(), self.address.port())
    }

    /// How many round trips the latest connection has needed so far.
    pub(super) fn round_trips(&self) -> usize {
        self.latest.load(Ordering::SeqCst)
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts connections.
        let _ = TcpStream::connect(self.address);
    }
}

fn hand_on(
    client: TcpStream,
    server: &(String, u16),
    round_trip: Duration,
    count: Arc<AtomicUsize>,
) -> std::io::Result<()> {
    let server = TcpStream::connect((server.0.as_str(), server.1))?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    // The kernel has made the TCP connection already: the first bytes make up for its round trip.
    count.store(1, Ordering::SeqCst);
    let connected = Instant::now() + round_trip;
    let turns = Arc::new(Turns { is_clients: AtomicBool::new(false), count });
    let (sender, receiver) = mpsc::channel::<(Instant, Vec<u8>)>();
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    let of_client = turns.clone();
    thread::spawn(move || {
        let mut buffer = vec![0; 65536];
        while let Ok(count @ 1..) = from_client.read(&mut buffer) {
            if !of_client.is_clients.swap(true, Ordering::SeqCst) {
                of_client.count.fetch_add(1, Ordering::SeqCst);
            }
            let arrives = Instant::now().max(connected) + round_trip;
            if sender.send((arrives, buffer[..count].to_vec())).is_err() {
                break;
            }
        }
    });
    thread::spawn(move || {
        for (arrives, bytes) in receiver {
            thread::sleep(arrives.saturating_duration_since(Instant::now()));
            if to_server.write_all(&bytes).is_err() {
                break;
            }
        }
        // Its other half may be gone already.
        let _ = to_server.shutdown(Shutdown::Write);
    });
    let (mut from_server, mut to_client) = (server, client);
    thread::spawn(move || {
        let mut buffer = vec![0; 65536];
        while let Ok(count @ 1..) = from_server.read(&mut buffer) {
            turns.is_clients.store(false, Ordering::SeqCst);
            if to_client.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _ = to_client.shutdown(Shutdown::Both);
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_that_is_waited_for_takes_a_round_trip_and_so_does_the_connection() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let server = ("127.0.0.1".to_owned(), listener.local_addr().expect("an address").port());
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut question = [0; 2];
            while stream.read_exact(&mut question).is_ok() {
                stream.write_all(b"answer").expect("written");
            }
        });
        let round_trip = Duration::from_millis(20);
        let far = Far::listen(server, round_trip).expect("a proxy");
        let begun = Instant::now();
        let mut client = TcpStream::connect(far.address()).expect("a connection");
        client.set_read_timeout(Some(Duration::from_secs(5))).expect("a limit");
        for _ in 0..3 {
            // Two writes without an answer between them are one round trip.
            client.write_all(b"a").expect("written");
            client.write_all(b"b").expect("written");
            client.read_exact(&mut [0; 6]).expect("an answer");
        }
        assert_eq!(far.round_trips(), 4);
        let taken = begun.elapsed();
        assert!(taken >= 4 * round_trip && taken < 8 * round_trip, "{taken:?}");
    }
}
