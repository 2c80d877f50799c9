use rstest::rstest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

const SSL_REQUEST: &[u8] = b"\0\0\0\x08\x04\xd2\x16\x2f";

/// A server that agrees to TLS and echoes everything else.
async fn echo_server() -> (String, u16) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let first = stream.read_u8().await.expect("a byte");
            if first == 0 {
                stream.read_exact(&mut [0; 7]).await.expect("the rest of an SSLRequest");
                stream.write_all(b"S").await.expect("an answer");
            } else {
                stream.write_all(&[first]).await.expect("an echo");
            }
            let (mut from, mut to) = stream.split();
            tokio::io::copy(&mut from, &mut to).await.expect("an echo");
        }
    });
    ("127.0.0.1".to_owned(), port)
}

/// What a client receives that asks for TLS and sends one byte more, and how many connections reached the server.
async fn exchange(behaviour: Behaviour) -> (Vec<u8>, usize) {
    let proxy = Proxy::start(behaviour, None, echo_server().await).await.expect("a proxy");
    let (host, port) = proxy.address();
    let mut stream = TcpStream::connect((host.as_str(), port)).await.expect("a connection");
    stream.write_all(&[SSL_REQUEST, b"x"].concat()).await.expect("sent");
    stream.shutdown().await.expect("sent");
    let mut received = Vec::new();
    // A reset ends it as well.
    let _ = stream.read_to_end(&mut received).await;
    (received, proxy.stop().await)
}

#[rstest]
#[case(Behaviour::PassesThrough, b"Sx", 1)]
#[case(Behaviour::AnswersNo, b"Nx", 1)]
#[case(Behaviour::AnswersNoAndCloses, b"N", 0)]
#[case(Behaviour::AnswersHttp, b"HTTP/1.1 400 Bad Request\r\n\r\n", 0)]
#[case(Behaviour::AnswersYesAndCloses, b"S", 0)]
#[case(Behaviour::AnswersYesAndIsSilent, b"S", 0)]
#[case(Behaviour::ClosesAtOnce, b"", 0)]
#[case(Behaviour::IsSilent, b"", 0)]
#[tokio::test]
async fn a_client_receives_what_the_behaviour_says(
    #[case] behaviour: Behaviour,
    #[case] expected: &[u8],
    #[case] connections: usize,
) {
    assert_eq!(exchange(behaviour).await, (expected.to_vec(), connections));
}

#[rstest]
#[case(Behaviour::StuffsAnError, b'E')]
#[case(Behaviour::StuffsAPasswordRequest, b'R')]
#[tokio::test]
async fn a_message_is_put_between_the_answer_and_the_data_of_the_server(
    #[case] behaviour: Behaviour,
    #[case] kind: u8,
) {
    let (received, connections) = exchange(behaviour).await;
    assert_eq!((&received[..2], received.last()), (&[b'S', kind][..], Some(&b'x')));
    assert_eq!(connections, 1);
}

#[tokio::test]
async fn a_reset_in_the_handshake_is_an_error_of_the_connection() {
    let proxy = Proxy::start(Behaviour::ResetsInTheHandshake, None, echo_server().await).await.expect("a proxy");
    let (host, port) = proxy.address();
    let mut stream = TcpStream::connect((host.as_str(), port)).await.expect("a connection");
    stream.write_all(SSL_REQUEST).await.expect("sent");
    assert_eq!(stream.read_u8().await.expect("an answer"), b'S');
    stream.write_all(b"x").await.expect("sent");
    let error = stream.read_u8().await.expect_err("a reset");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(proxy.stop().await, 0);
}

#[tokio::test]
async fn a_proxy_that_ends_tls_needs_a_certificate() {
    assert_eq!(exchange(Behaviour::EndsTls).await.1, 0);
}
