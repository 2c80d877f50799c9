use std::time::Duration;

use rstest::rstest;
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
    log_in_with(Generation::Kong1_16_2, None, answers).await
}

/// The same with a generation of the driver, and a password.
async fn log_in_with(
    driver: Generation,
    password: Option<&str>,
    answers: Vec<Vec<u8>>,
) -> (Result<i32, Refusal>, Vec<String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut messages = Vec::new();
        for answer in answers {
            let mut buffer = [0; 1024];
            let count = stream.read(&mut buffer).await.expect("a message");
            if count == 0 {
                break;
            }
            messages.push(String::from_utf8_lossy(&buffer[..count]).into_owned());
            stream.write_all(&answer).await.expect("written");
        }
        messages
    });
    let limit = Duration::from_secs(2);
    let socket =
        Socket::connect("127.0.0.1", port, Stack::Cosocket, OpensslLine(3, 4), limit, None).await.expect("connected");
    let login = Login {
        user: "kong".into(),
        password: password.map(str::to_owned),
        database: "kong".into(),
        binding: ChannelBinding::of(&Releases::built_in().find("3.9-oss").expect("a release"), Stack::Cosocket),
    };
    let outcome = Session::new(socket, driver).open(&login).await;
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

/// In answer to each of Kong's queries.
#[rstest]
#[case(0)]
#[case(1)]
#[case(2)]
#[tokio::test]
async fn the_end_of_the_connection_wins_over_the_error_before_it(#[case] answered: usize) {
    let fatal = error(&["SFATAL", "C08P01", "Minvalid frontend message type 112"]);
    let answers = [welcome()].into_iter().chain(std::iter::repeat_n(ready(), answered)).chain([fatal]);
    let (outcome, _) = log_in(answers.collect()).await;
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
async fn an_error_that_the_query_for_the_schema_raises_is_reported() {
    let negative = [&b"D"[..], &[0, 0, 0, 3]].concat();
    let (outcome, asked) = log_in(vec![welcome(), negative]).await;
    let raised = "bad argument #1 to 'receive' (bad pattern argument)";
    assert_eq!((outcome, asked.len()), (Err(Refusal::raised(Stage::Query, raised)), 2));
}

#[tokio::test]
async fn a_fatal_error_of_the_login_is_reported() {
    let (outcome, _) = log_in(vec![error(&["SFATAL", "C28000", "Mno pg_hba.conf entry"])]).await;
    assert_eq!(outcome.expect_err("a refusal").text, "FATAL: no pg_hba.conf entry");
}

#[tokio::test]
async fn an_answer_to_a_password_that_is_none_is_raised() {
    let answers = vec![message(b'R', &[0, 0, 0, 3]), message(b'S', b"")];
    let (outcome, _) = log_in_with(Generation::Kong2_2_0, Some("secret"), answers).await;
    assert_eq!(outcome, Err(Refusal::raised(Stage::Auth, "unknown response from auth")));
}

#[tokio::test]
async fn a_password_that_is_missing_is_raised() {
    let (outcome, _) = log_in(vec![message(b'R', &[0, 0, 0, 3])]).await;
    assert_eq!(outcome, Err(Refusal::raised(Stage::Auth, "missing password, required for connect")));
}

#[rstest]
#[case(Generation::Kong2_2_0, Refusal::returned)]
#[case(Generation::Leafo1_16_0, Refusal::raised)]
#[tokio::test]
async fn unknown_mechanisms_are_reported_with_the_whole_message(
    #[case] driver: Generation,
    #[case] refusal: fn(Stage, &str) -> Refusal,
) {
    let request = message(b'R', b"\0\0\0\x0aOAUTHBEARER\0\0");
    let (outcome, _) = log_in_with(driver, None, vec![request.clone()]).await;
    // The password is looked at first.
    assert_eq!(outcome, Err(Refusal::raised(Stage::Auth, "missing password, required for connect")));
    let (outcome, _) = log_in_with(driver, Some("kong"), vec![request]).await;
    assert_eq!(outcome, Err(refusal(Stage::Auth, "unsupported SCRAM mechanism name: \0\0\0\nOAUTHBEARER\0\0")));
}

#[tokio::test]
async fn an_error_in_place_of_a_challenge_is_reported_as_it_came() {
    let request = message(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0");
    let fatal = error(&["SFATAL", "C57P01", "Mterminating"]);
    let (outcome, _) = log_in_with(Generation::Kong2_2_0, Some("kong"), vec![request, fatal]).await;
    let expected = Refusal::returned(Stage::Auth, "server_first_message error: SFATAL\0C57P01\0Mterminating\0\0");
    assert_eq!(outcome, Err(Refusal { sqlstate: Some("57P01".into()), ..expected }));
}

/// After the end of the connection, Kong's fork has no socket for the next query.
#[tokio::test]
async fn a_query_after_the_end_of_the_connection_is_raised_by_kongs_fork() {
    let (outcome, _) = log_in_with(Generation::Kong2_2_0, None, vec![welcome()]).await;
    assert_eq!(outcome, Err(Refusal::raised(Stage::Query, "attempt to index field 'sock' (a nil value)")));
}

/// An answer that has not come in time ends the connection for Kong's fork, not for leafo's pgmoon.
#[rstest]
#[case(Generation::Kong2_2_0, Err("attempt to index field 'sock' (a nil value)"))]
#[case(Generation::Leafo1_16_0, Ok(7))]
#[tokio::test]
async fn a_query_after_one_without_an_answer(#[case] driver: Generation, #[case] expected: Result<i32, &str>) {
    let silence = Vec::new();
    let (outcome, _) = log_in_with(driver, None, vec![welcome(), silence, ready(), ready()]).await;
    assert_eq!(outcome, expected.map_err(|text| Refusal::raised(Stage::Query, text)));
}

#[rstest]
#[case(Generation::Kong2_2_0, "receive_message: failed to get len: closed")]
#[case(Generation::Leafo1_16_0, "receive_message: failed to get type: closed")]
#[tokio::test]
async fn a_message_that_ends_in_its_header_is_reported(#[case] driver: Generation, #[case] text: &str) {
    let (outcome, _) = log_in_with(driver, None, vec![b"R\0".to_vec()]).await;
    assert_eq!(outcome, Err(Refusal::returned(Stage::Auth, text)));
}

#[rstest]
#[case(b'E', "attempt to get length of local 'err_msg' (a nil value)")]
#[case(b'R', "attempt to index local 'str' (a nil value)")]
#[tokio::test]
async fn a_message_that_ends_in_its_body_is_raised(#[case] kind: u8, #[case] text: &str) {
    let (outcome, _) = log_in(vec![vec![kind, 0, 0, 0, 8, 0]]).await;
    assert_eq!(outcome, Err(Refusal::raised(Stage::Auth, text)));
}
