use std::time::Instant;

use futures_util::FutureExt;

use super::*;
use crate::fake::{BROKEN, EARLY, FATAL, FakeRuntime, configuration};
use crate::runtime::Runtime;
use crate::words::{ApplyMode, Owner};

async fn server() -> Server {
    let host = FakeRuntime::default().host(Major(17)).await.expect("a host");
    Server::first_start(host, Major(17), &[], &KnownFacts::default()).await.expect("a server")
}

#[tokio::test]
async fn a_reload_that_logs_nothing_is_in_force_and_not_repeated() {
    let mut server = server().await;
    let wanted = configuration("a", ApplyMode::Reload, &[]);
    assert!(!server.has(&wanted));
    assert_eq!(server.reload(&wanted).await.expect("a reload"), [""; 0]);
    assert!(server.has(&wanted));
    let mark = server.mark();
    assert_eq!(server.reload(&wanted).await.expect("a reload"), [""; 0]);
    assert_eq!(server.mark(), mark, "nothing was done");
}

#[tokio::test]
async fn after_a_reload_that_logs_something_no_configuration_is_known_to_be_in_force() {
    let mut server = server().await;
    let (good, bad) = (configuration("a", ApplyMode::Reload, &[]), configuration("b", ApplyMode::Reload, &[BROKEN]));
    server.reload(&good).await.expect("a reload");
    assert_eq!(server.reload(&bad).await.expect("a reload"), ["LOG:  SSL configuration was not reloaded"]);
    assert!(!server.has(&good) && !server.has(&bad));
}

#[tokio::test]
async fn a_connection_shows_that_a_reload_is_over_and_no_other_is_made_for_that() {
    let mut server = server().await;
    let (good, bad) = (configuration("a", ApplyMode::Reload, &[]), configuration("b", ApplyMode::Reload, &[BROKEN]));
    for (wanted, logged) in [(&bad, &["LOG:  SSL configuration was not reloaded"][..]), (&good, &[])] {
        let mark = server.mark();
        server.begin_reload(wanted).await.expect("a reload");
        assert!(!server.has(wanted));
        drop(TcpStream::connect(server.address()).await.expect("a connection"));
        server.observed(mark, 1, &[]).await.expect("its log");
        assert_eq!(server.reloaded().await.expect("the end of the reload"), logged);
        assert_eq!(log::connections(&server.log().since(mark)).len(), 1);
        assert_eq!(server.has(wanted), logged.is_empty());
    }
}

#[tokio::test]
async fn a_connection_that_was_accepted_before_a_reload_does_not_show_that_it_is_over() {
    let mut server = server().await;
    let bad = configuration("a", ApplyMode::Reload, &[EARLY, BROKEN]);
    assert_eq!(server.reload(&bad).await.expect("a reload"), ["LOG:  SSL configuration was not reloaded"]);
}

#[tokio::test]
async fn after_a_reload_that_is_no_longer_waited_for_no_configuration_is_known_to_be_in_force() {
    let mut server = server().await;
    let (first, second) = (configuration("a", ApplyMode::Reload, &[]), configuration("b", ApplyMode::Reload, &[]));
    server.reload(&first).await.expect("a reload");
    // A timeout of zero is not short enough: a timer ends up to a millisecond late.
    assert!(server.reload(&second).now_or_never().is_none(), "the server has answered");
    assert!(!server.has(&first) && !server.has(&second));
}

#[tokio::test]
async fn after_a_failed_start_its_address_refuses_connections_until_the_next_start() {
    let mut server = server().await;
    let (good, bad) = (configuration("a", ApplyMode::Start, &[]), configuration("a", ApplyMode::Start, &[FATAL]));
    assert!(matches!(server.start(&bad, false).await.expect("an answer"), Start::Failed(_)));
    let refused = TcpStream::connect(server.address()).await.expect_err("nothing listens");
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    assert!(matches!(server.proof(1).await, Err(RuntimeError::NotRunning)));
    assert_eq!(server.start(&good, false).await.expect("an answer"), Start::Up(Vec::new()));
    TcpStream::connect(server.address()).await.expect("a connection");
}

#[tokio::test]
async fn what_is_observed_is_complete_and_without_the_sessions_of_this_crate() {
    let server = server().await;
    let mark = server.mark();
    drop(TcpStream::connect(server.address()).await.expect("a connection"));
    let observed = server.observed(mark, 1, &[]).await.expect("a log");
    assert_eq!(observed.log, ["LOG:  connection received: host=127.0.0.1 port=1"]);
    assert_eq!(observed.relevant_lines, [""; 0]);
    assert_eq!((observed.host.as_deref(), observed.connections), (Some("127.0.0.1"), 1));
}

#[tokio::test]
async fn a_connection_that_went_elsewhere_is_not_waited_for() {
    let server = server().await;
    let (mark, begun) = (server.mark(), Instant::now());
    let observed = server.observed(mark, 1, &[]).await.expect("a log");
    assert_eq!(observed, Observed::default());
    assert!(!server.has_begun(mark, 4711).await.expect("an answer"));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn connections_that_are_there_are_counted_beside_those_that_are_not() {
    let server = server().await;
    let mark = server.mark();
    drop(TcpStream::connect(server.address()).await.expect("a connection"));
    let observed = server.observed(mark, 2, &[]).await.expect("a log");
    assert_eq!((observed.connections, observed.log.len()), (1, 1), "{observed:?}");
}

#[tokio::test]
async fn an_owner_that_cannot_be_had_is_named() {
    let server = server().await;
    let mut wanted = configuration("a", ApplyMode::Start, &["server.key"]);
    assert_eq!(server.can_have(&wanted), Ok(()));
    wanted.files.get_mut("server.key").expect("a file").owner = Owner::Root;
    let error = server.can_have(&wanted).expect_err("an error");
    assert_eq!(error.to_string(), "only root can create a file owned by root");
}
