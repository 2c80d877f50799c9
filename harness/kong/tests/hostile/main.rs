//! Servers that mean harm: an attempt ends in time, has taken no more from the network than its limit, and says why it
//! ended.

mod chain;
mod peer;
mod tls;

use std::time::Duration;

use kong_pg_client::{ErrorDelivery, Refusal, Stack, Stage, limits};
use peer::{End, FLOOD, attempt};
use rstest::rstest;

/// What may have been sent, with what the system keeps on its way between the two.
const BOUND: usize = limits::BYTES + (32 << 20);
const _: () = assert!(BOUND < FLOOD, "a flood must be able to go beyond it");

/// The attempt was ended by a limit that Kong does not have, and says so.
fn assert_given_up(end: &End, stage: Stage, what: &str) {
    let text = format!("given up by the emulation, where Kong would go on: the server {what}");
    assert_eq!(end.refusal, Some(Refusal::in_other_words(stage, &text)));
    assert!(end.sent < BOUND, "{} bytes sent", end.sent);
}

/// A message of the server, which may lie about its length.
fn message_of_length(kind: u8, length: i32, body: &[u8]) -> Vec<u8> {
    [&[kind], &length.to_be_bytes()[..], body].concat()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    message_of_length(kind, i32::try_from(body.len() + 4).expect("small"), body)
}

/// What a server sends that asks for no password.
fn welcome() -> Vec<u8> {
    [message(b'R', &[0, 0, 0, 0]), message(b'K', &[0, 0, 0, 7, 0, 0, 0, 0]), message(b'Z', b"I")].concat()
}

const ENDLESS: &str = "has sent 4194304 bytes without an end";

#[rstest]
fn a_message_without_an_end_is_given_up(#[values(Stack::Luasec, Stack::Cosocket)] stack: Stack) {
    let end = attempt(stack, "", |peer| {
        peer.refuse_tls()?;
        peer.send(&message_of_length(b'R', i32::MAX, b""))?;
        peer.flood(b"x")
    });
    assert_given_up(&end, Stage::Auth, ENDLESS);
}

/// In every step in which pgmoon reads messages until the right one comes.
#[rstest]
#[case::before_the_server_is_ready(message(b'R', &[0, 0, 0, 0]), 0, Stage::Auth, message(b'N', b"SNOTICE\0\0"))]
#[case::rows_of_the_first_query(welcome(), 1, Stage::Query, message(b'D', b"\0\x01\0\0\0\x01x"))]
#[case::empty_messages(welcome(), 1, Stage::Query, message(b'N', b""))]
#[case::rows_of_the_last_query(welcome(), 3, Stage::Query, message(b'D', b"\0\x01\0\0\0\x01x"))]
fn messages_without_an_end_are_given_up(
    #[values(Stack::Luasec, Stack::Cosocket)] stack: Stack,
    #[case] first: Vec<u8>,
    #[case] queries: usize,
    #[case] stage: Stage,
    #[case] part: Vec<u8>,
) {
    let end = attempt(stack, "", move |peer| {
        peer.refuse_tls()?;
        peer.send(&first)?;
        for query in 1..=queries {
            peer.take()?;
            if query < queries {
                peer.send(&message(b'Z', b"I"))?;
            }
        }
        peer.flood(&part)
    });
    assert_given_up(&end, stage, ENDLESS);
}

/// `pg_timeout` is for one read, so Kong never ends this; its caller does.
#[rstest]
fn messages_byte_by_byte_are_ended_by_the_caller(#[values(Stack::Luasec, Stack::Cosocket)] stack: Stack) {
    let end = attempt(stack, "", |peer| {
        peer.refuse_tls()?;
        for byte in message(b'R', &[0, 0, 0, 0]).into_iter().chain(message(b'N', b"SNOTICE\0\0").repeat(1000)) {
            peer.send(&[byte])?;
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    });
    assert_eq!(end.refusal, None);
}

/// A message whose rest does not come is no error to pgmoon: it has no body then.
#[rstest]
fn a_huge_message_that_does_not_come_ends_as_in_kong(#[values(Stack::Luasec, Stack::Cosocket)] stack: Stack) {
    let end = attempt(stack, "", |peer| {
        peer.refuse_tls()?;
        peer.send(&message_of_length(b'R', i32::MAX, b"\0\0\0\0"))?;
        peer.wait()
    });
    let expected = Refusal::raised(Stage::Auth, "attempt to index local 'str' (a nil value)");
    assert_eq!(end.refusal, Some(expected));
}

/// As both lineages of pgmoon do, in every message: see `Socket::negative_count`.
#[rstest]
fn a_length_of_less_than_itself_is_raised(
    #[values(Stack::Luasec, Stack::Cosocket)] stack: Stack,
    #[values(0, 3, -1, i32::MIN)] length: i32,
    #[values(b'R', b'E', b'N')] kind: u8,
    #[values(false, true)] later: bool,
) {
    let end = attempt(stack, "", move |peer| {
        peer.refuse_tls()?;
        if later {
            peer.send(&welcome())?;
            peer.take()?;
        }
        peer.send(&message_of_length(kind, length, b"xxxxxxxx"))?;
        peer.wait()
    });
    let text = match stack {
        Stack::Cosocket => "bad argument #1 to 'receive' (bad pattern argument)",
        Stack::Luasec => "bad argument #1 to 'receive' (invalid receive pattern)",
    };
    let stage = if later { Stage::Query } else { Stage::Auth };
    assert_eq!(end.refusal, Some(Refusal::raised(stage, text)));
}

#[rstest]
#[case(b"", "bad argument #1 to 'lshift' (number expected, got nil)")]
#[case(b"\0\0", "bad argument #1 to 'lshift' (number expected, got nil)")]
#[case(b"\0\0\0", "attempt to perform arithmetic on local 'a' (a nil value)")]
fn a_request_without_a_whole_number_is_raised(
    #[values(Stack::Luasec, Stack::Cosocket)] stack: Stack,
    #[case] body: &'static [u8],
    #[case] text: &str,
) {
    let end = attempt(stack, "", move |peer| {
        peer.refuse_tls()?;
        peer.send(&message(b'R', body))?;
        peer.wait()
    });
    assert_eq!(end.refusal, Some(Refusal::raised(Stage::Auth, text)));
}

/// Kong would calculate for more than an hour.
#[rstest]
#[case(u32::MAX)]
#[case(limits::SCRAM_ITERATIONS + 1)]
fn more_iterations_than_can_be_calculated_are_given_up(
    #[values(Stack::Luasec, Stack::Cosocket)] stack: Stack,
    #[case] iterations: u32,
) {
    let end = challenge(stack, b"c2FsdA==", iterations);
    assert_given_up(&end, Stage::Auth, &format!("asks for {iterations} iterations of SCRAM"));
}

#[rstest]
#[case::as_many_as_owasp_recommends(b"c2FsdA==".to_vec(), 600_000)]
#[case::a_salt_of_a_megabyte(b"c2Fs".repeat(1 << 18), 4096)]
fn a_challenge_within_the_limits_is_answered(#[case] salt: Vec<u8>, #[case] iterations: u32) {
    let refusal = challenge(Stack::Luasec, &salt, iterations).refusal.expect("an end");
    // The server's answer to the proof is no SCRAM message.
    assert_eq!(refusal, Refusal::returned(Stage::Auth, "authentication exchange unsuccessful"));
}

/// A server with a challenge, which answers the proof with a message of another kind.
fn challenge(stack: Stack, salt: &[u8], iterations: u32) -> End {
    let salt = salt.to_vec();
    attempt(stack, "", move |peer| {
        peer.refuse_tls()?;
        peer.send(&message(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0"))?;
        let first = peer.take()?;
        let nonce = first.windows(2).position(|part| part == b"r=").expect("a nonce") + 2;
        let more = format!(",i={iterations}");
        let challenge = [b"\0\0\0\x0br=", &first[nonce..], b"server,s=", &salt, more.as_bytes()].concat();
        peer.send(&message(b'R', &challenge))?;
        if peer.take()?.first() == Some(&b'p') {
            peer.send(&message(b'R', b"\0\0\0\0"))?;
        }
        peer.wait()
    })
}

/// The words of a limit are none of Kong's, so that no expectation of Kong can match them.
#[test]
fn a_limit_is_not_reported_as_kong() {
    let end = challenge(Stack::Luasec, b"c2FsdA==", u32::MAX);
    let refusal = end.refusal.expect("an end");
    assert_eq!((refusal.delivery, refusal.as_kong_prints_it()), (ErrorDelivery::Other, refusal.text.clone()));
}
