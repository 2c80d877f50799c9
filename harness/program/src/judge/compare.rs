//! Comparing an observation with what was expected.

use std::fmt;

use kong_pg_scenarios::vocabulary::OpenConnection;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Attempt, Delivery, Expectation, ExpectedOutcome, Observation};

/// What was compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, strum::Display)]
#[serde(rename_all = "kebab-case")]
pub enum Aspect {
    /// The server's log when it applies the configuration.
    #[strum(serialize = "PostgreSQL's log when it applies the configuration")]
    Reload,
    /// A connection that Kong has kept open.
    #[strum(serialize = "the connection that was kept open")]
    OpenConnection,
    /// The results of the superuser's queries.
    #[strum(serialize = "the result of a query")]
    Answer,
    /// The TLS version in `pg_stat_ssl`.
    #[strum(serialize = "the TLS version in pg_stat_ssl")]
    TlsVersion,
    /// The cipher suite in `pg_stat_ssl`.
    #[strum(serialize = "the cipher suite in pg_stat_ssl")]
    Cipher,
    /// The client certificate in `pg_stat_ssl`.
    #[strum(serialize = "the client certificate in pg_stat_ssl")]
    ClientDn,
    /// The certificate the server presents.
    #[strum(serialize = "the server's certificate")]
    ServerCertificate,
    /// What Kong reports.
    #[strum(serialize = "Kong's report")]
    Kong,
    /// The stage the attempt reaches.
    #[strum(serialize = "the stage reached")]
    Stage,
    /// Whether the driver returns or raises its error.
    #[strum(serialize = "how the error is delivered")]
    Delivery,
    /// The outcome of an attempt by a client that is not Kong, in short.
    #[strum(serialize = "the outcome")]
    Outcome,
    /// The server's log about the attempt.
    #[strum(serialize = "PostgreSQL's log")]
    ServerLog,
    /// The log of the program between Kong and the server.
    #[strum(serialize = "the log of the program between Kong and PostgreSQL")]
    RelayLog,
}

/// One thing that was not as expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Mismatch {
    /// What was compared.
    #[serde(rename = "what")]
    pub aspect: Aspect,
    /// What was expected: any of these, each line by line.
    pub expected: Vec<Vec<String>>,
    /// What was observed, line by line.
    pub observed: Vec<String>,
}

/// How the server's log begins when it does not apply a changed configuration.
const NOT_RELOADED: &str = "was not reloaded";

#[derive(Default)]
struct Mismatches(Vec<Mismatch>);

impl Mismatches {
    /// Records a mismatch unless one of the expected texts is the observed one.
    fn compare(&mut self, aspect: Aspect, expected: Vec<Vec<String>>, observed: Vec<String>) {
        if !expected.contains(&observed) {
            self.0.push(Mismatch { aspect, expected, observed });
        }
    }

    fn compare_word(&mut self, aspect: Aspect, expected: impl fmt::Display, observed: impl fmt::Display) {
        self.compare(aspect, vec![vec![expected.to_string()]], vec![observed.to_string()]);
    }
}

/// Compares everything, as for Kong. The observation is as expected if nothing is returned.
pub(super) fn compare(expected: &Expectation, observed: &Observation) -> Vec<Mismatch> {
    let mut mismatches = Mismatches::default();
    compare_server(expected, observed, &mut mismatches);
    if let Some(outcome) = &expected.outcome {
        compare_attempt(outcome, observed, &mut mismatches);
        mismatches.compare(Aspect::ServerLog, expected.server_log.clone(), observed.judged_log.clone());
        mismatches.compare(Aspect::RelayLog, expected.relay_log.clone(), observed.relay_log.clone());
    }
    mismatches.0
}

/// Compares what does not depend on who connects, and only the outcome of the attempt: for clients that are not Kong,
/// whose texts and stages are their own.
pub(super) fn compare_outcome(expected: &Expectation, observed: &Observation) -> Vec<Mismatch> {
    let mut mismatches = Mismatches::default();
    compare_server(expected, observed, &mut mismatches);
    if let Some(outcome) = &expected.outcome
        && !is_any_connection(outcome, &observed.attempt)
    {
        mismatches.compare(Aspect::Outcome, accepted_outcomes(outcome), outcome_in_short(&observed.attempt));
    }
    mismatches.0
}

/// Whether any connection is right, and there is one.
fn is_any_connection(expected: &ExpectedOutcome, attempt: &Attempt) -> bool {
    matches!(expected, ExpectedOutcome::Connects { tls, .. } if tls.is_empty()) && attempt.connected().is_some()
}

fn compare_server(expected: &Expectation, observed: &Observation, mismatches: &mut Mismatches) {
    match &expected.reload {
        Some(expected) => mismatches.compare(Aspect::Reload, expected.clone(), observed.reload.clone()),
        None if observed.reload.iter().any(|line| line.contains(NOT_RELOADED)) => {
            mismatches.compare(Aspect::Reload, vec![Vec::new()], observed.reload.clone());
        }
        None => {}
    }
    if let Some(expected) = &expected.open_connection {
        let observed = observed.open_connection.as_ref().map_or("none", OpenConnection::as_str);
        mismatches.compare_word(Aspect::OpenConnection, expected.as_str(), observed);
    }
    for number in 0..expected.answers.len().max(observed.answers.len()) {
        let expected = expected.answers.get(number).map_or("(no query)", |(_, result)| result);
        let observed = observed.answers.get(number).map_or("(no result)", String::as_str);
        mismatches.compare(Aspect::Answer, vec![lines(expected)], lines(observed));
    }
}

fn compare_attempt(expected: &ExpectedOutcome, observed: &Observation, mismatches: &mut Mismatches) {
    match (expected, &observed.attempt) {
        (ExpectedOutcome::Connects { tls, cipher, client_dn, certificate }, Attempt::Connected(session)) => {
            let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".into());
            if !tls.is_empty() {
                let accepted = tls.iter().map(|version| words([version])).collect();
                mismatches.compare(Aspect::TlsVersion, accepted, words([session.version()]));
            }
            if let Some(cipher) = cipher {
                mismatches.compare_word(Aspect::Cipher, cipher, or_none(&session.cipher));
            }
            if !tls.is_empty() || client_dn.is_some() {
                mismatches.compare_word(Aspect::ClientDn, or_none(client_dn), or_none(&session.client_dn));
            }
            if let Some(certificate) = certificate {
                mismatches.compare_word(Aspect::ServerCertificate, certificate, or_none(&observed.certificate));
            }
        }
        (ExpectedOutcome::Refused { stage, kong, raised, raised_instead, .. }, Attempt::Refused(refusal)) => {
            let accepted = [texts(kong), texts(raised_instead)].concat();
            mismatches.compare(Aspect::Kong, accepted, lines(&refusal.text));
            let is_instead = raised_instead.contains(&refusal.text);
            // The stage is that of the error which is returned.
            if let Some(stage) = stage.filter(|_| !is_instead) {
                mismatches.compare_word(Aspect::Stage, stage.as_str(), refusal.stage.as_str());
            }
            let delivery = if *raised || is_instead { Delivery::Raised } else { Delivery::Returned };
            mismatches.compare_word(Aspect::Delivery, delivery, refusal.delivery);
        }
        (ExpectedOutcome::Hangs, Attempt::Hung) => {}
        (ExpectedOutcome::Hangs, attempt) => mismatches.compare(Aspect::Kong, vec![hangs()], report(attempt)),
        (ExpectedOutcome::Refused { kong, .. }, attempt) => {
            mismatches.compare(Aspect::Kong, texts(kong), report(attempt));
        }
        (ExpectedOutcome::Connects { tls, .. }, attempt) => {
            let version = if tls.is_empty() { "or not".to_owned() } else { tls.join(" or ") };
            let connects = vec![words(["connects, TLS", &version])];
            mismatches.compare(Aspect::Kong, connects, report(attempt));
        }
    }
}

/// The outcomes that an expectation accepts, as [`outcome_in_short`] has them.
fn accepted_outcomes(expected: &ExpectedOutcome) -> Vec<Vec<String>> {
    match expected {
        ExpectedOutcome::Connects { tls, .. } if tls.is_empty() => vec![words(["connects"])],
        ExpectedOutcome::Connects { tls, client_dn, .. } => {
            tls.iter().map(|version| words(["connects", version, client(client_dn.as_deref())])).collect()
        }
        ExpectedOutcome::Refused { .. } => vec![words(["refused"])],
        ExpectedOutcome::Hangs => vec![hangs()],
    }
}

fn outcome_in_short(attempt: &Attempt) -> Vec<String> {
    match attempt {
        Attempt::NotMade => words(["no attempt"]),
        Attempt::Connected(session) => words(["connects", session.version(), client(session.client_dn.as_deref())]),
        Attempt::Unconfirmed { claim } => lines(claim),
        Attempt::Refused(_) => words(["refused"]),
        Attempt::Hung => hangs(),
    }
}

fn client(dn: Option<&str>) -> &str {
    dn.unwrap_or("no client certificate")
}

fn hangs() -> Vec<String> {
    words(["waits without end"])
}

/// The outcome of an attempt where another was expected.
fn report(attempt: &Attempt) -> Vec<String> {
    match attempt {
        Attempt::NotMade => words(["no attempt"]),
        Attempt::Connected(session) => words(["connects, TLS", session.version()]),
        Attempt::Unconfirmed { claim } => lines(claim),
        Attempt::Refused(refusal) => lines(&refusal.text),
        Attempt::Hung => hangs(),
    }
}

fn texts(texts: &[String]) -> Vec<Vec<String>> {
    texts.iter().map(|text| lines(text)).collect()
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

#[cfg(test)]
mod tests {
    use kong_pg_client::Stage;
    use rstest::rstest;

    use super::super::TlsSession;
    use super::*;

    fn expectation(outcome: Option<ExpectedOutcome>, server: &[&str]) -> Expectation {
        let server_log = vec![server.iter().map(|line| (*line).to_owned()).collect()];
        let relay_log = vec![Vec::new()];
        Expectation { reload: None, open_connection: None, outcome, server_log, relay_log, answers: Vec::new() }
    }

    fn connects(tls: &str, client_dn: Option<&str>) -> Expectation {
        let client_dn = client_dn.map(str::to_owned);
        let outcome = ExpectedOutcome::Connects { tls: words([tls]), cipher: None, client_dn, certificate: None };
        expectation(Some(outcome), &[])
    }

    fn refused(kong: &str, server: &[&str]) -> Expectation {
        let (stage, kong) = (Some(Stage::Auth), words([kong]));
        expectation(
            Some(ExpectedOutcome::Refused { stage, kong, raised: false, raised_instead: Vec::new(), because: None }),
            server,
        )
    }

    fn connected(version: Option<&str>, client_dn: Option<&str>) -> Observation {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let session = TlsSession { version: owned(version), cipher: None, client_dn: owned(client_dn) };
        Observation { attempt: Attempt::Connected(session), ..Observation::default() }
    }

    fn reported(text: &str, server: &[&str]) -> Observation {
        let attempt = kong_pg_client::Refusal::returned(Stage::Auth, text).into();
        let judged_log = server.iter().map(|line| (*line).to_owned()).collect();
        Observation { attempt, judged_log, ..Observation::default() }
    }

    #[test]
    fn a_connection_without_a_version_is_any_connection() {
        let outcome = ExpectedOutcome::Connects { tls: Vec::new(), cipher: None, client_dn: None, certificate: None };
        let expected = expectation(Some(outcome), &[]);
        let session = |version: Option<&str>| TlsSession {
            version: version.map(str::to_owned),
            client_dn: version.map(|_| "/CN=kong".into()),
            ..TlsSession::default()
        };
        for attempt in [Attempt::Connected(session(None)), Attempt::Connected(session(Some("TLSv1.3")))] {
            let observed = Observation { attempt, ..Observation::default() };
            assert_eq!(compare(&expected, &observed), []);
            assert_eq!(compare_outcome(&expected, &observed), []);
        }
        let observed = Observation { attempt: Attempt::Hung, ..Observation::default() };
        assert!(!compare(&expected, &observed).is_empty() && !compare_outcome(&expected, &observed).is_empty());
    }

    #[test]
    fn nothing_differs_if_both_sides_are_as_expected() {
        let observed = connected(Some("TLSv1.3"), Some("/CN=kong"));
        assert_eq!(compare(&connects("TLSv1.3", Some("/CN=kong")), &observed), []);
        assert_eq!(compare(&refused("FATAL: no", &["FATAL:  no"]), &reported("FATAL: no", &["FATAL:  no"])), []);
    }

    /// A text that may be raised is not one that may be returned, and the other way round.
    #[rstest]
    #[case::returned("closed", false, None)]
    #[case::raised("assertion failed!", true, None)]
    #[case::returned_instead("assertion failed!", false, Some(Aspect::Delivery))]
    #[case::raised_instead("closed", true, Some(Aspect::Delivery))]
    #[case::another_text("timeout", true, Some(Aspect::Kong))]
    fn a_race_may_decide_between_a_returned_and_a_raised_error(
        #[case] text: &str,
        #[case] is_raised: bool,
        #[case] expected: Option<Aspect>,
    ) {
        let mut either = refused("closed", &[]);
        if let Some(ExpectedOutcome::Refused { raised_instead, .. }) = &mut either.outcome {
            raised_instead.push("assertion failed!".into());
        }
        let refusal = if is_raised { kong_pg_client::Refusal::raised } else { kong_pg_client::Refusal::returned };
        let observed = Observation { attempt: refusal(Stage::Auth, text).into(), ..Observation::default() };
        assert_eq!(compare(&either, &observed).first().map(|mismatch| mismatch.aspect), expected);
    }

    fn any_connection() -> Expectation {
        let outcome = ExpectedOutcome::Connects { tls: Vec::new(), cipher: None, client_dn: None, certificate: None };
        expectation(Some(outcome), &[])
    }

    /// What a report has for an attempt that ended otherwise: of Kong, and of a client that is not Kong.
    #[rstest]
    #[case::any_connection(
        any_connection(),
        Attempt::Hung,
        "connects, TLS or not -> waits without end",
        "connects -> waits without end"
    )]
    #[case::connection(
        connects("TLSv1.3", Some("/CN=kong")),
        Attempt::NotMade,
        "connects, TLS TLSv1.3 -> no attempt",
        "connects TLSv1.3 /CN=kong -> no attempt"
    )]
    #[case::unconfirmed(
        connects("TLSv1.3", None),
        Attempt::Unconfirmed { claim: "a\nb".into() },
        "connects, TLS TLSv1.3 -> a b",
        "connects TLSv1.3 no client certificate -> a b"
    )]
    #[case::refusal(refused("FATAL: no", &[]), Attempt::Hung, "FATAL: no -> waits without end", "refused -> waits without end")]
    #[case::no_end(
        expectation(Some(ExpectedOutcome::Hangs), &[]),
        connected(Some("TLSv1.2"), None).attempt,
        "waits without end -> connects, TLS TLSv1.2",
        "waits without end -> connects TLSv1.2 no client certificate"
    )]
    fn an_attempt_that_ends_otherwise_is_shown_in_short(
        #[case] expected: Expectation,
        #[case] attempt: Attempt,
        #[case] of_kong: &str,
        #[case] of_another: &str,
    ) {
        let shown = |mismatches: &[Mismatch]| {
            let shown = mismatches.iter().map(|Mismatch { expected, observed, .. }| {
                format!("{} -> {}", expected.concat().join(" "), observed.join(" "))
            });
            shown.collect::<Vec<_>>().join("; ")
        };
        let observed = Observation { attempt, ..Observation::default() };
        assert_eq!(shown(&compare(&expected, &observed)), of_kong);
        assert_eq!(shown(&compare_outcome(&expected, &observed)), of_another);
    }

    /// A text that is raised instead may be raised at another stage.
    #[rstest]
    #[case("closed", kong_pg_client::Refusal::returned, Some(Aspect::Stage))]
    #[case("assertion failed!", kong_pg_client::Refusal::raised, None)]
    fn the_stage_is_that_of_the_error_which_is_returned(
        #[case] text: &str,
        #[case] refusal: fn(Stage, &str) -> kong_pg_client::Refusal,
        #[case] expected: Option<Aspect>,
    ) {
        let mut either = refused("closed", &[]);
        if let Some(ExpectedOutcome::Refused { raised_instead, .. }) = &mut either.outcome {
            raised_instead.push("assertion failed!".into());
        }
        let observed = Observation { attempt: refusal(Stage::Handshake, text).into(), ..Observation::default() };
        assert_eq!(compare(&either, &observed).first().map(|mismatch| mismatch.aspect), expected);
    }

    #[test]
    fn an_attempt_without_end_may_be_expected() {
        let expected = expectation(Some(ExpectedOutcome::Hangs), &[]);
        let hangs = Observation { attempt: Attempt::Hung, ..Observation::default() };
        assert_eq!((compare(&expected, &hangs), compare_outcome(&expected, &hangs)), (Vec::new(), Vec::new()));
        assert!(!compare(&expected, &connected(None, None)).is_empty());
    }

    #[test]
    fn a_client_certificate_is_compared_if_a_version_or_one_is_expected() {
        let mut expected = any_connection();
        let observed = connected(Some("TLSv1.3"), Some("/CN=kong"));
        assert_eq!(compare(&expected, &observed), []);
        if let Some(ExpectedOutcome::Connects { client_dn, .. }) = &mut expected.outcome {
            *client_dn = Some("/CN=other".into());
        }
        assert_eq!(compare(&expected, &observed)[0].aspect, Aspect::ClientDn);
    }

    /// The server may say more than that it does not apply its configuration.
    #[test]
    fn what_the_server_logs_of_a_configuration_is_compared_if_the_case_is_about_it() {
        let mut observed = connected(Some("TLSv1.3"), None);
        observed.reload = words(["LOG:  parameter changed"]);
        let mut expected = connects("TLSv1.3", None);
        assert_eq!(compare(&expected, &observed), []);
        expected.reload = Some(vec![words(["LOG:  something else"])]);
        assert_eq!(compare(&expected, &observed)[0].aspect, Aspect::Reload);
    }

    #[test]
    fn a_cipher_suite_is_compared_if_one_is_expected() {
        let mut expected = connects("TLSv1.3", None);
        let mut observed = connected(Some("TLSv1.3"), None);
        let (Some(ExpectedOutcome::Connects { cipher, .. }), Attempt::Connected(session)) =
            (&mut expected.outcome, &mut observed.attempt)
        else {
            unreachable!("both connect");
        };
        *cipher = Some("TLS_AES_256_GCM_SHA384".into());
        session.cipher = Some("TLS_AES_128_GCM_SHA256".into());
        let [mismatch] = &compare(&expected, &observed)[..] else { unreachable!("one mismatch") };
        assert_eq!(mismatch.aspect, Aspect::Cipher);
    }

    /// Each of these would pass in a suite that compares less.
    #[rstest]
    #[case::plaintext(connects("TLSv1.3", None), connected(None, None), Aspect::TlsVersion)]
    #[case::no_certificate(connects("TLSv1.3", Some("/CN=kong")), connected(Some("TLSv1.3"), None), Aspect::ClientDn)]
    #[case::an_unexpected_certificate(
        connects("TLSv1.3", None),
        connected(Some("TLSv1.3"), Some("/CN=kong")),
        Aspect::ClientDn
    )]
    #[case::connects_instead(refused("FATAL: no", &[]), connected(Some("TLSv1.3"), None), Aspect::Kong)]
    #[case::refused_instead(connects("TLSv1.3", None), reported("closed", &[]), Aspect::Kong)]
    #[case::no_attempt(connects("TLSv1.3", None), Observation::default(), Aspect::Kong)]
    #[case::another_text(refused("FATAL: no", &[]), reported("FATAL: No", &[]), Aspect::Kong)]
    #[case::a_silent_server(refused("closed", &["LOG:  x"]), reported("closed", &[]), Aspect::ServerLog)]
    #[case::a_talking_server(refused("closed", &[]), reported("closed", &["LOG:  x"]), Aspect::ServerLog)]
    fn a_difference_on_either_side_is_a_mismatch(
        #[case] expected: Expectation,
        #[case] observed: Observation,
        #[case] aspect: Aspect,
    ) {
        assert!(compare(&expected, &observed).iter().any(|mismatch| mismatch.aspect == aspect));
    }

    /// The log of the program between proves what it had with Kong.
    #[rstest]
    #[case::nothing(&[])]
    #[case::another(&["LOG C: kong/kong@127.0.0.1 login attempt: db=kong user=kong tls=no"])]
    fn another_log_of_the_program_between_is_a_mismatch(#[case] lines: &[&str]) {
        let mut expected = connects("TLSv1.3", None);
        expected.relay_log = vec![words(["LOG C: kong/kong@127.0.0.1 login attempt: db=kong user=kong tls=TLSv1.3"])];
        let mut observed = connected(Some("TLSv1.3"), None);
        observed.relay_log = lines.iter().map(|line| (*line).to_owned()).collect();
        assert_eq!(compare(&expected, &observed)[0].aspect, Aspect::RelayLog);
    }

    #[test]
    fn a_configuration_that_was_not_applied_is_a_mismatch() {
        let mut observed = connected(Some("TLSv1.3"), None);
        observed.reload = words(["LOG:  SSL configuration was not reloaded"]);
        assert_eq!(compare(&connects("TLSv1.3", None), &observed)[0].aspect, Aspect::Reload);
    }

    #[rstest]
    #[case::none(&[])]
    #[case::one_too_many(&["on", "on"])]
    #[case::another(&["off"])]
    fn every_query_must_have_its_result_and_every_result_its_query(#[case] answers: &[&str]) {
        let mut expected = expectation(None, &[]);
        expected.answers = vec![("SHOW ssl".into(), "on".into())];
        let answers = answers.iter().map(|answer| (*answer).to_owned()).collect();
        let observed = Observation { answers, ..Observation::default() };
        assert_eq!(compare(&expected, &observed)[0].aspect, Aspect::Answer);
        assert_eq!(compare_outcome(&expected, &observed)[0].aspect, Aspect::Answer);
    }

    #[test]
    fn a_client_that_is_not_kong_may_have_its_own_words_but_not_another_outcome() {
        assert_eq!(compare_outcome(&refused("FATAL: no", &["LOG:  x"]), &reported("sslv3 alert", &[])), []);
        let observed = connected(None, None);
        assert_eq!(compare_outcome(&connects("TLSv1.3", None), &observed)[0].aspect, Aspect::Outcome);
    }
}
