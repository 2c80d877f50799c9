//! Races: where the outcome of Kong's own stacks is not a function of the configuration, the outcomes that may replace
//! the expected one, and why.

use crate::judge::{Expectation, Observation, Outcome, judge};
use kong_pg_client::{ErrorDelivery, Stack};

/// A race and its other outcomes.
struct Race {
    stack: Stack,
    /// Whether a text is that of the usual outcome.
    is_regular: fn(&str) -> bool,
    /// The texts that may come instead, and how they are delivered.
    instead: &'static [(&'static str, ErrorDelivery)],
    because: &'static str,
}

const LOST_ERROR: &str = "lua-nginx-module 0.10.23 to 0.10.29 loses the verification error when a handshake is complete \
    without having waited for the socket; the connection is closed all the same";

const REFUSED_AFTERWARDS: &str = "in TLS 1.3 the server looks at the client certificate when Kong's side of the \
    handshake is complete, and Kong meets its alert or the end of the connection, whichever is faster";

const RACES: [Race; 3] = [
    Race {
        stack: Stack::Cosocket,
        is_regular: |text| text.split_once(": ").is_some_and(|(code, _)| code.parse::<u16>().is_ok()),
        instead: &[("assertion failed!", ErrorDelivery::Raised), ("closed", ErrorDelivery::Returned)],
        because: LOST_ERROR,
    },
    Race {
        stack: Stack::Cosocket,
        is_regular: is_about_a_message,
        instead: &[
            ("connection reset by peer", ErrorDelivery::Returned),
            ("broken pipe", ErrorDelivery::Returned),
            ("receive_message: failed to get type: connection reset by peer", ErrorDelivery::Returned),
        ],
        because: REFUSED_AFTERWARDS,
    },
    Race {
        stack: Stack::Luasec,
        is_regular: is_about_a_message,
        instead: &[
            ("closed", ErrorDelivery::Returned),
            ("receive_message: failed to get type: closed", ErrorDelivery::Returned),
        ],
        because: REFUSED_AFTERWARDS,
    },
];

fn is_about_a_message(text: &str) -> bool {
    text.starts_with("receive_message: failed to get type: ")
}

/// Why Kong's text is not the expected one, if a race explains it and the server's log is as expected.
pub(crate) fn race(stack: Stack, expected: &Expectation, observed: &Observation) -> Option<&'static str> {
    let Some(Outcome::Refused { kong, .. }) = &expected.outcome else { return None };
    let refusal = observed.outcome.as_ref().err()?;
    let race = RACES.iter().find(|race| {
        race.stack == stack
            && kong.iter().any(|text| (race.is_regular)(text))
            && race.instead.contains(&(refusal.text.as_str(), refusal.delivery))
    })?;
    let otherwise = Outcome::Refused {
        stage: None,
        kong: vec![refusal.text.clone()],
        raised: refusal.delivery == ErrorDelivery::Raised,
    };
    let otherwise = Expectation { outcome: Some(otherwise), ..expected.clone() };
    judge(&otherwise, observed).is_empty().then_some(race.because)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::judge::without_the_attempt;
    use kong_pg_client::Refusal;
    use kong_pg_client::Stage;
    use postgres_tls_server::Observed;

    const LOG: &str = "LOG:  could not receive data from client: Connection reset by peer";

    #[rstest]
    #[case::the_error_is_lost(
        Stack::Cosocket,
        "21: unable to verify",
        Refusal::raised(Stage::Handshake, "assertion failed!"),
        LOG,
        true
    )]
    #[case::the_server_tells_something_else(
        Stack::Cosocket,
        "21: unable to verify",
        Refusal::raised(Stage::Handshake, "assertion failed!"),
        "FATAL:  no",
        false
    )]
    #[case::not_on_this_stack(
        Stack::Luasec,
        "21: unable to verify",
        Refusal::raised(Stage::Handshake, "assertion failed!"),
        LOG,
        false
    )]
    #[case::another_text(
        Stack::Cosocket,
        "21: unable to verify",
        Refusal::returned(Stage::Verify, "20: unable to get"),
        LOG,
        false
    )]
    #[case::the_alert_comes_late(
        Stack::Luasec,
        "receive_message: failed to get type: tlsv1 alert unknown ca",
        Refusal::returned(Stage::Auth, "closed"),
        LOG,
        true
    )]
    fn only_a_race_is_explained(
        #[case] stack: Stack,
        #[case] expected: &str,
        #[case] refusal: Refusal,
        #[case] log: &str,
        #[case] explained: bool,
    ) {
        let outcome = Outcome::Refused { stage: Some(Stage::Verify), kong: vec![expected.to_owned()], raised: false };
        let expected = Expectation {
            reload: None,
            open_connection: None,
            outcome: Some(outcome),
            server: vec![vec![LOG.to_owned()]],
            answers: Vec::new(),
        };
        let server = Observed { relevant_lines: vec![log.to_owned()], ..Observed::default() };
        let observed = Observation { outcome: Err(refusal), server, ..without_the_attempt(Vec::new(), None) };
        assert_eq!(race(stack, &expected, &observed).is_some(), explained);
    }
}
