use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::openssl_line::OpensslLine;
use crate::releases::Releases;
use crate::stack::Stack;

/// A message of the server.
fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("small").to_be_bytes();
    [&[kind], &length[..], body].concat()
}

fn error(fields: &[&str]) -> Vec<u8> {
    let body = fields.iter().flat_map(|field| [field.as_bytes(), b"\0"].concat()).collect::<Vec<_>>();
    message(b'E', &[&body[..], b"\0"].concat())
}

/// What a server sends that asks for no password.
fn welcome() -> Vec<u8> {
    [message(b'R', &[0, 0, 0, 0]), message(b'K', &[0, 0, 0, 7, 0, 0, 0, 0]), ready()].concat()
}

fn ready() -> Vec<u8> {
    message(b'Z', b"I")
}

/// Logs in at a server that answers one message of the client's after the other, and closes. Returns the session's
/// outcome and the messages.
async fn log_in(answers: Vec<Vec<u8>>) -> (Result<i32, Refusal>, Vec<String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut messages = Vec::new();
        for answer in answers {
            let mut buffer = [0; 1024];
            let count = stream.read(&mut buffer).await.expect("a message");
            messages.push(String::from_utf8_lossy(&buffer[..count]).into_owned());
            stream.write_all(&answer).await.expect("written");
        }
        messages
    });
    let limit = Duration::from_secs(5);
    let socket =
        Socket::connect("127.0.0.1", port, Stack::Cosocket, OpensslLine(3, 4), limit).await.expect("connected");
    let login = Login {
        user: "kong".into(),
        password: None,
        database: "kong".into(),
        binding: ChannelBinding::of(&Releases::built_in().find("3.9-oss").expect("a release"), Stack::Cosocket),
        raises_unknown_mechanism: true,
    };
    let outcome = Session::new(socket).open(&login).await;
    (outcome, server.await.expect("the server"))
}

#[tokio::test]
async fn kong_sets_the_schema_and_the_time_zone_before_it_asks_for_the_version() {
    let row = [message(b'D', b"\0\x01\0\0\0\x04ko'g"), ready()].concat();
    let (outcome, messages) = log_in(vec![welcome(), row, ready(), ready()]).await;
    assert_eq!(outcome, Ok(7));
    let queries: Vec<_> = messages[1..].iter().map(|message| message[5..].trim_end_matches('\0')).collect();
    let expected =
        ["SELECT CURRENT_SCHEMA AS schema", "SET SCHEMA 'ko''g';\nSET TIME ZONE 'UTC';", "SHOW server_version_num;"];
    assert_eq!(queries, expected);
}

#[tokio::test]
async fn the_end_of_the_connection_wins_over_the_error_before_it() {
    let fatal = error(&["SFATAL", "C08P01", "Minvalid frontend message type 112"]);
    let (outcome, _) = log_in(vec![welcome(), fatal]).await;
    let expected = Refusal::returned(Stage::Query, "receive_message: failed to get type: closed");
    assert_eq!(outcome, Err(expected));
}

#[tokio::test]
async fn an_error_after_which_the_server_is_ready_is_reported_in_the_servers_words() {
    let refused = [error(&["SERROR", "C42501", "Mpermission denied", "P12", "DAsk the owner."]), ready()].concat();
    let (outcome, _) = log_in(vec![welcome(), ready(), refused]).await;
    let expected = Refusal::returned(Stage::Query, "ERROR: permission denied (12)\nAsk the owner.");
    assert_eq!(outcome, Err(Refusal { sqlstate: Some("42501".into()), ..expected }));
}

#[tokio::test]
async fn an_error_of_the_query_for_the_schema_is_ignored() {
    let refused = [error(&["SERROR", "C42501", "Mpermission denied"]), ready()].concat();
    let (outcome, messages) = log_in(vec![welcome(), refused, ready(), ready()]).await;
    assert_eq!(outcome, Ok(7));
    assert!(messages[2].contains("SET SCHEMA 'public';"));
}

#[tokio::test]
async fn a_fatal_error_of_the_login_is_reported() {
    let (outcome, _) = log_in(vec![error(&["SFATAL", "C28000", "Mno pg_hba.conf entry"])]).await;
    assert_eq!(outcome.expect_err("a refusal").text, "FATAL: no pg_hba.conf entry");
}

#[tokio::test]
async fn a_password_that_is_missing_is_raised() {
    let (outcome, _) = log_in(vec![message(b'R', &[0, 0, 0, 3])]).await;
    assert_eq!(outcome, Err(Refusal::raised(Stage::Auth, "missing password, required for connect")));
}

#[tokio::test]
async fn mechanisms_that_are_unknown_are_raised() {
    let (outcome, _) = log_in(vec![message(b'R', b"\0\0\0\x0aOAUTHBEARER\0\0")]).await;
    // The password is looked at first.
    assert_eq!(outcome, Err(Refusal::raised(Stage::Auth, "missing password, required for connect")));
}
