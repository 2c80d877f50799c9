use std::collections::BTreeMap;

use rstest::rstest;

use super::*;

#[rstest]
#[case::a_login(
    RelayProgram::Pgbouncer,
    "2026-11-28 19:29:32.698 UTC [11272] LOG C-0x56453fa72a70: kong/kong@127.0.0.1:36404 login attempt: db=kong user=kong tls=no",
    Some("LOG C: kong/kong@127.0.0.1 login attempt: db=kong user=kong tls=no")
)]
#[case::a_refusal(
    RelayProgram::Pgbouncer,
    "2026-11-28 19:29:32.812 UTC [11272] LOG C-0x56453fa72a70: (nodb)/(nouser)@127.0.0.1:36406 closing because: SSL required (age=1s)",
    Some("LOG C: (nodb)/(nouser)@127.0.0.1 closing because: SSL required")
)]
#[case::an_end(
    RelayProgram::Pgbouncer,
    "2026-11-28 19:29:32.742 UTC [11272] LOG C-0x56453fa72a70: kong/kong@127.0.0.1:36404 closing because: client close request (age=0s)",
    None
)]
#[case::a_handshake(
    RelayProgram::Pgbouncer,
    "2026-11-28 20:12:36.575 UTC [29715] WARNING TLS handshake error: handshake failed: error:0A0000C7:SSL routines::peer did not return a certificate",
    Some(
        "WARNING TLS handshake error: handshake failed: error:0A0000C7:SSL routines::peer did not return a certificate"
    )
)]
#[case::no_connection(RelayProgram::Pgbouncer, "2026-11-28 19:30:31.649 UTC [11272] LOG stats: 0 xacts/s", None)]
#[case::a_session(
    RelayProgram::Stunnel,
    "2026.11.28 19:39:45 LOG6[0]: TLS connected: new session negotiated",
    Some("LOG6: TLS connected: new session negotiated")
)]
#[case::a_random_number(RelayProgram::Stunnel, "2026.11.28 19:39:47 LOG6[0]: Session id: 1C15FB9F", None)]
#[case::who_closes_first(RelayProgram::Stunnel, "2026.11.28 19:39:47 LOG6[0]: writesocket: Socket is closed", None)]
#[case::no_service(RelayProgram::Stunnel, "2026.11.28 19:39:44 LOG5[ui]: Configuration successful", None)]
#[case::a_login_to_pgpool(
    RelayProgram::Pgpool,
    "2026-11-29 03:33:33.291: psql pid 13897: ERROR:  CERT authentication failed",
    Some("ERROR:  CERT authentication failed")
)]
#[case::another_process_of_pgpool(
    RelayProgram::Pgpool,
    "2026-11-29 03:33:33.632: main pid 13886: LOG:  shutting down by signal 15",
    None
)]
#[case::a_login_that_the_server_refuses(
    RelayProgram::Odyssey,
    "error [c56124113b63e sec4d2c159d12] (startup) FATAL 28P01 password authentication failed for user \"kong\"",
    Some("error (startup) FATAL 28P01 password authentication failed for user \"kong\"")
)]
#[case::a_client_of_odyssey(
    RelayProgram::Odyssey,
    "info [c56124113b63e none] (startup) new client connection 127.0.0.1:49118",
    None
)]
#[case::odyssey_itself(RelayProgram::Odyssey, "info [none none] (server) listening on 127.0.0.1:7440", None)]
#[case::forwarded(RelayProgram::Haproxy, "from 127.0.0.1 to kong/postgres", Some("from 127.0.0.1 to kong/postgres"))]
#[case::a_warning(RelayProgram::Haproxy, "[WARNING]  (19480) : Proxy kong stopped", None)]
fn a_log_is_read_without_what_differs_from_run_to_run(
    #[case] program: RelayProgram,
    #[case] line: &str,
    #[case] expected: Option<&str>,
) {
    assert_eq!(lines::relevant(program, line).as_deref(), expected);
}

#[test]
fn haproxy_s_server_has_its_parameters() {
    let settings = [("timeout connect", "1s"), ("server", "send-proxy")];
    let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    let configured = Configured { program: RelayProgram::Haproxy, settings, files: BTreeMap::new() };
    let text = config::text(&configured, 1, &("127.0.0.1".to_owned(), 5432));
    assert!(text.ends_with("timeout connect 1s\nserver postgres 127.0.0.1:5432 send-proxy\n"), "{text}");
}

#[test]
fn the_settings_of_odyssey_are_in_their_sections() {
    let settings = [("listen.tls", "require"), ("user.pool_discard", "no"), ("user.password", "12a")];
    let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    let configured = Configured { program: RelayProgram::Odyssey, settings, files: BTreeMap::new() };
    let text = config::text(&configured, 1, &("127.0.0.1".to_owned(), 5432));
    assert!(text.contains("  port 1\n  tls \"require\"\n}"), "{text}");
    assert!(text.contains("  storage \"server\"\n  pool_discard no\n  password \"12a\"\n}"), "{text}");
}

#[test]
fn odysseys_messages_lose_the_random_names_of_connections() {
    let text = "FATAL: odyssey: c56124113b63e: failed to connect to remote server sec4d2c159d12";
    assert_eq!(lines::without_names(text), "FATAL: odyssey: failed to connect to remote server");
}

/// Programs run only where they are installed; the suite's cells are `blocked` elsewhere.
fn is_missing<T>(started: &Result<T, RelayError>) -> bool {
    matches!(started, Err(RelayError::NotInstalled { .. }))
}

#[tokio::test]
async fn what_does_not_start_says_why() {
    let parent = crate::runfolder::RunFolder::create().expect("a folder");
    for program in [RelayProgram::Pgbouncer, RelayProgram::Stunnel] {
        let settings = vec![("no_such_setting".to_owned(), "1".to_owned())];
        let configured = Configured { program, settings, files: BTreeMap::new() };
        let started = Relay::start(&configured, parent.path(), ("127.0.0.1".to_owned(), 1)).await;
        if is_missing(&started) {
            continue;
        }
        let Err(RelayError::NotStarted { log, .. }) = started else { panic!("{program} starts") };
        assert!(log.iter().any(|line| line.contains("no_such_setting")), "{log:?}");
    }
    let left: Vec<_> = std::fs::read_dir(parent.path()).expect("a folder").filter_map(Result::ok).collect();
    assert!(left.iter().all(|entry| !entry.file_name().to_string_lossy().starts_with("relay-")), "{left:?}");
}

#[tokio::test]
async fn a_program_that_ends_by_itself_is_an_error_and_no_outcome() {
    let parent = crate::runfolder::RunFolder::create().expect("a folder");
    let settings = vec![("no-such-directive".to_owned(), "1".to_owned())];
    let configured = Configured { program: RelayProgram::Haproxy, settings, files: BTreeMap::new() };
    let started = Relay::start(&configured, parent.path(), ("127.0.0.1".to_owned(), 1)).await;
    if is_missing(&started) {
        return;
    }
    // HAProxy listens on what it is given, so it may count as started before it reads its configuration.
    let ended = match started {
        Ok(mut relay) => {
            relay.process.logged(LIMIT, |_| false).await;
            relay.stop(1).await.map(|_| ())
        }
        Err(error) => Err(error),
    };
    let Err(RelayError::NotStarted { log, .. } | RelayError::Ended { log, .. }) = ended else { panic!("it runs") };
    assert!(log.iter().any(|line| line.contains("no-such-directive")), "{log:?}");
}
