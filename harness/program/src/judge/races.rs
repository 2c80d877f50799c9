//! Races in Kong's own TLS stacks, which make their report depend on timing: the texts that may appear instead of the
//! expected one, and why.

use super::compare::compare;
use super::{Delivery, Expectation, ExpectedOutcome, Observation};
use kong_pg_client::Stack;

/// A race, and what Kong reports when it is lost.
struct Race {
    stack: Stack,
    /// Whether a text is the one reported when the race is won.
    is_regular: fn(&str) -> bool,
    /// What is reported when it is lost, and how.
    instead: &'static [(&'static str, Delivery)],
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
        instead: &[("assertion failed!", Delivery::Raised), ("closed", Delivery::Returned)],
        because: LOST_ERROR,
    },
    Race {
        stack: Stack::Cosocket,
        is_regular: is_about_a_message,
        instead: &[
            ("connection reset by peer", Delivery::Returned),
            ("broken pipe", Delivery::Returned),
            ("receive_message: failed to get type: connection reset by peer", Delivery::Returned),
        ],
        because: REFUSED_AFTERWARDS,
    },
    Race {
        stack: Stack::Luasec,
        is_regular: is_about_a_message,
        instead: &[("closed", Delivery::Returned), ("receive_message: failed to get type: closed", Delivery::Returned)],
        because: REFUSED_AFTERWARDS,
    },
];

fn is_about_a_message(text: &str) -> bool {
    text.starts_with("receive_message: failed to get type: ")
}

/// Why Kong's report is not the expected one, if losing a race explains all of it: the server's log must be as expected.
pub(super) fn race(stack: Stack, expected: &Expectation, observed: &Observation) -> Option<&'static str> {
    let Some(ExpectedOutcome::Refused { kong, .. }) = &expected.outcome else { return None };
    let refusal = observed.attempt.refusal()?;
    let race = RACES.iter().find(|race| {
        race.stack == stack
            && kong.iter().any(|text| (race.is_regular)(text))
            && race.instead.contains(&(refusal.text.as_str(), refusal.delivery))
    })?;
    let otherwise = ExpectedOutcome::Refused {
        stage: None,
        kong: vec![refusal.text.clone()],
        raised: refusal.delivery == Delivery::Raised,
        raised_instead: Vec::new(),
        because: None,
    };
    let otherwise = Expectation { outcome: Some(otherwise), ..expected.clone() };
    compare(&otherwise, observed).is_empty().then_some(race.because)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use kong_pg_client::{Refusal, Stage};

    const LOG: &str = "LOG:  could not receive data from client: Connection reset by peer";

    #[rstest]
    #[case::the_error_is_lost(
        Stack::Cosocket,
        "21: unable to verify",
        Refusal::raised(Stage::Handshake, "assertion failed!"),
        LOG,
        true
    )]
    #[case::the_server_logs_something_else(
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
    #[case::the_alert_is_of_the_handshake(
        Stack::Luasec,
        "tlsv1 alert unknown ca",
        Refusal::returned(Stage::Auth, "closed"),
        LOG,
        false
    )]
    fn only_a_lost_race_is_explained(
        #[case] stack: Stack,
        #[case] expected: &str,
        #[case] refusal: Refusal,
        #[case] log: &str,
        #[case] explained: bool,
    ) {
        let (stage, kong) = (Some(Stage::Verify), vec![expected.to_owned()]);
        let outcome =
            ExpectedOutcome::Refused { stage, kong, raised: false, raised_instead: Vec::new(), because: None };
        let expected = Expectation {
            reload: None,
            open_connection: None,
            outcome: Some(outcome),
            server_log: vec![vec![LOG.to_owned()]],
            relay_log: vec![Vec::new()],
            answers: Vec::new(),
        };
        let judged_log = vec![log.to_owned()];
        let observed = Observation { attempt: refusal.into(), judged_log, ..Observation::default() };
        assert_eq!(race(stack, &expected, &observed).is_some(), explained);
    }
}
