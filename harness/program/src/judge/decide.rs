//! From evidence to a verdict.

use kong_pg_scenarios::format::{Divergence, Would};

use super::compare::{Aspect, Mismatch, compare, compare_outcome};
use super::races::race;
use super::{Attempt, Evidence, Expected, ExpectedOutcome, KnownDeviation, Observation, Verdict};

/// A verdict, and what led to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Why, unless it is `pass`.
    pub reason: Option<String>,
    /// Where expectation and observation differ.
    pub mismatches: Vec<Mismatch>,
    /// Why the client may legitimately report something else next time, if it may.
    pub race: Option<String>,
}

/// Judges a cell that was run.
#[must_use]
pub fn judge(evidence: &Evidence) -> Judgement {
    let Evidence { client, stack, step, expected, observed, documented, difference } = evidence;
    let failed = |reason, mismatches| {
        let reason = if *step > 0 { format!("in step {}: {reason}", step + 1) } else { reason };
        Judgement { verdict: Verdict::Fail, reason: Some(reason), mismatches, race: None }
    };
    let expected = match expected {
        Expected::Known(expected) => expected,
        Expected::Open { .. } => {
            let reason = "the scenario expects nothing yet; `run --bless` writes down what was observed";
            return failed(reason.to_owned(), Vec::new());
        }
        Expected::Unknown { missing_text, .. } => {
            let reason = format!("{missing_text}; `kong-pg-tls texts --learn` adds the text that was observed");
            return failed(reason, Vec::new());
        }
    };
    let is_kong = client.speaks_as_kong();
    let mismatches = if is_kong { compare(expected, observed) } else { compare_outcome(expected, observed) };
    if let Some(first) = mismatches.first() {
        let lost_race = if client.is_kong_itself() { race(*stack, expected, observed) } else { None };
        if let Some(because) = lost_race {
            return Judgement {
                verdict: Verdict::KnownDeviation,
                reason: Some(format!("a race in the client: {because}")),
                mismatches,
                race: Some(because.to_owned()),
            };
        }
        // Of a client that speaks as Kong, everything may follow from the one thing that differs.
        let only_differs = is_kong || matches!(&mismatches[..], [Mismatch { aspect: Aspect::Outcome, .. }]);
        if let Some(did) = divergence(&observed.attempt).filter(|_| only_differs) {
            if let Some(known) = difference.as_ref().filter(|known| known.does == did) {
                let (verdict, reason) = (Verdict::KnownDeviation, Some(known.because.clone()));
                return Judgement { verdict, reason, mismatches, race: None };
            }
            if !is_kong {
                let reason = format!("{client} differs from Kong, and differences.yaml has no entry for that");
                return failed(reason, mismatches);
            }
        }
        return failed(format!("{} is not as expected", first.aspect), mismatches);
    }
    let (verdict, reason) = if is_kong { against_documents(documented, observed) } else { (Verdict::Pass, None) };
    let race = match (&expected.outcome, observed.attempt.refusal()) {
        (Some(ExpectedOutcome::Refused { because, .. }), Some(_)) => because.clone(),
        _ => None,
    };
    Judgement { verdict, reason, mismatches, race }
}

/// What a client that is not Kong did, in the words of differences.yaml.
fn divergence(attempt: &Attempt) -> Option<Divergence> {
    match attempt {
        Attempt::Connected(_) => Some(Divergence::Connects),
        Attempt::Refused(_) => Some(Divergence::Refuses),
        Attempt::NotMade | Attempt::Unconfirmed { .. } | Attempt::Hung => None,
    }
}

/// The verdict on a cell that matches its scenario.
fn against_documents(documented: &[KnownDeviation], observed: &Observation) -> (Verdict, Option<String>) {
    let says: Vec<_> = documented.iter().filter_map(|known| Some((known.says.as_ref()?, &known.would))).collect();
    let right_again = says.iter().find(|(_, would)| would.as_ref().is_some_and(|would| is_seen(would, observed)));
    if let Some((says, _)) = right_again {
        let reason = format!("the documents are right again, remove the `documented` entry: {says}");
        return (Verdict::Fail, Some(reason));
    }
    if says.is_empty() {
        return (Verdict::Pass, None);
    }
    let says: Vec<_> = says.into_iter().map(|(says, _)| says.as_str()).collect();
    (Verdict::KnownDeviation, Some(format!("the documents say: {}", says.join("; "))))
}

/// Whether everything the documents predict was observed.
fn is_seen(would: &Would, observed: &Observation) -> bool {
    let connected = observed.attempt.connected();
    let version = connected.and_then(|session| session.version.as_ref());
    let in_tls = |wanted: &String| version.is_some_and(|version| wanted == "any" || version == wanted);
    let logged = |line| observed.judged_log.contains(line) || observed.reload.contains(line);
    let reported = |text: &String| observed.attempt.refusal().is_some_and(|refusal| refusal.text == *text);
    would.connects.is_none_or(|connects| connects == connected.is_some())
        && would.tls.as_ref().is_none_or(in_tls)
        && would.kong.as_ref().is_none_or(reported)
        && would.postgres.as_ref().is_none_or(logged)
}

#[cfg(test)]
mod tests {
    use kong_pg_client::{Refusal, Stack, Stage};
    use kong_pg_scenarios::vocabulary::ClientKind;
    use rstest::rstest;

    use super::super::{Expectation, KnownDifference};
    use super::*;

    /// Refused with `FATAL: no`, as expected.
    fn evidence(client: ClientKind) -> Evidence {
        let outcome = ExpectedOutcome::Refused {
            stage: None,
            kong: vec!["FATAL: no".into()],
            raised: false,
            raised_instead: Vec::new(),
            because: None,
        };
        let expected = Expectation {
            reload: None,
            open_connection: None,
            outcome: Some(outcome),
            server_log: vec![Vec::new()],
            relay_log: vec![Vec::new()],
            answers: Vec::new(),
        };
        let attempt = Refusal::returned(Stage::Auth, "FATAL: no").into();
        Evidence {
            client,
            stack: Stack::Cosocket,
            step: 0,
            expected: Expected::Known(expected),
            observed: Observation { attempt, ..Observation::default() },
            documented: Vec::new(),
            difference: None,
        }
    }

    fn documented(says: Option<&str>, kong: Option<&str>) -> KnownDeviation {
        let would = kong.map(|text| Would { connects: None, tls: None, kong: Some(text.into()), postgres: None });
        let (claim, happens, instead) = (String::new(), String::new(), String::new());
        KnownDeviation { claim, says: says.map(str::to_owned), happens, instead, would }
    }

    #[rstest]
    #[case::nothing_known(vec![], Verdict::Pass)]
    #[case::the_documents_are_silent(vec![documented(None, None)], Verdict::Pass)]
    #[case::they_are_wrong(vec![documented(Some("they say"), Some("FATAL: yes"))], Verdict::KnownDeviation)]
    #[case::they_are_right_again(vec![documented(Some("they say"), Some("FATAL: no"))], Verdict::Fail)]
    fn a_deviation_is_known_only_as_long_as_it_holds(
        #[case] documented: Vec<KnownDeviation>,
        #[case] expected: Verdict,
    ) {
        let evidence = Evidence { documented, ..evidence(ClientKind::Kong) };
        assert_eq!(judge(&evidence).verdict, expected);
    }

    /// Everything that the documents predict must be seen.
    #[rstest]
    #[case(r#"{ "connects": true }"#, true)]
    #[case(r#"{ "connects": false }"#, false)]
    #[case(r#"{ "tls": "any" }"#, true)]
    #[case(r#"{ "tls": "TLSv1.3" }"#, true)]
    #[case(r#"{ "tls": "TLSv1.2" }"#, false)]
    #[case(r#"{ "postgres": "LOG:  of the attempt" }"#, true)]
    #[case(r#"{ "postgres": "LOG:  of the reload" }"#, true)]
    #[case(r#"{ "postgres": "LOG:  another" }"#, false)]
    #[case(r#"{ "kong": "closed" }"#, false)]
    #[case(r#"{ "connects": true, "tls": "TLSv1.2" }"#, false)]
    #[case(r#"{ "connects": false, "tls": "any" }"#, false)]
    #[case(r#"{ "tls": "any", "postgres": "LOG:  another" }"#, false)]
    #[case(r#"{ "tls": "any", "kong": "closed" }"#, false)]
    fn a_prediction_is_seen_as_a_whole(#[case] would: &str, #[case] expected: bool) {
        let would: Would = serde_json::from_str(would).expect("a prediction");
        let session = super::super::TlsSession { version: Some("TLSv1.3".into()), ..Default::default() };
        let observed = Observation {
            attempt: Attempt::Connected(session),
            judged_log: vec!["LOG:  of the attempt".into()],
            reload: vec!["LOG:  of the reload".into()],
            ..Observation::default()
        };
        assert_eq!(is_seen(&would, &observed), expected);
    }

    #[test]
    fn a_race_between_texts_is_told_with_a_pass() {
        let mut evidence = evidence(ClientKind::Kong);
        let Expected::Known(expectation) = &mut evidence.expected else { unreachable!("it is known") };
        let Some(ExpectedOutcome::Refused { because, .. }) = &mut expectation.outcome else {
            unreachable!("a refusal")
        };
        *because = Some("the alert may come first".into());
        assert_eq!(judge(&evidence).race.as_deref(), Some("the alert may come first"));
        assert!(evidence.expected.known().is_some());
        assert_eq!(Expected::Open { would_be: None }.known(), None);
    }

    #[test]
    fn a_client_that_differs_from_kong_without_an_entry_is_told_so() {
        let mut evidence = evidence(ClientKind::Rustls);
        evidence.observed.attempt = Attempt::Connected(super::super::TlsSession::default());
        let reason = judge(&evidence).reason.expect("a reason");
        assert!(reason.ends_with("differs from Kong, and differences.yaml has no entry for that"), "{reason}");
        let kong = Evidence { client: ClientKind::Kong, ..evidence };
        assert_eq!(judge(&kong).reason.as_deref(), Some("Kong's report is not as expected"));
    }

    #[test]
    fn the_documents_are_about_kong_only() {
        let documented = vec![documented(Some("they say"), None)];
        assert_eq!(judge(&Evidence { documented, ..evidence(ClientKind::Libpq) }).verdict, Verdict::Pass);
    }

    #[test]
    fn a_cell_whose_text_is_missing_fails_and_says_which() {
        let missing_text = "texts.yaml has no `greeting` for PostgreSQL 19".to_owned();
        let evidence =
            Evidence { expected: Expected::Unknown { missing_text, templates: None }, ..evidence(ClientKind::Kong) };
        let Judgement { verdict, reason, .. } = judge(&evidence);
        assert_eq!(verdict, Verdict::Fail);
        assert!(reason.expect("a reason").contains("PostgreSQL 19"));
    }

    #[rstest]
    #[case::known(Some(Divergence::Connects), Verdict::KnownDeviation)]
    #[case::another_one_is_known(Some(Divergence::Refuses), Verdict::Fail)]
    #[case::unknown(None, Verdict::Fail)]
    fn another_client_may_differ_only_where_that_is_recorded(
        #[case] does: Option<Divergence>,
        #[case] expected: Verdict,
    ) {
        let mut evidence = evidence(ClientKind::Rustls);
        evidence.observed.attempt = Attempt::Connected(super::super::TlsSession::default());
        evidence.difference =
            does.map(|does| KnownDifference { does, because: "it is strict".into(), place: "a:1".into() });
        assert_eq!(judge(&evidence).verdict, expected);
    }

    #[test]
    fn a_client_that_hangs_is_never_a_known_difference() {
        let mut evidence = evidence(ClientKind::Rustls);
        evidence.observed.attempt = Attempt::Hung;
        let known = KnownDifference { does: Divergence::Refuses, because: "it is".into(), place: "a:1".into() };
        evidence.difference = Some(known);
        assert_eq!(judge(&evidence).verdict, Verdict::Fail);
    }

    #[rstest]
    #[case(ClientKind::Openresty, Verdict::KnownDeviation)]
    #[case(ClientKind::Kong, Verdict::Fail)]
    fn only_kong_s_own_stacks_lose_races(#[case] client: ClientKind, #[case] expected: Verdict) {
        let mut evidence = evidence(client);
        let Expected::Known(Expectation { outcome: Some(ExpectedOutcome::Refused { kong, .. }), .. }) =
            &mut evidence.expected
        else {
            unreachable!("a refusal is expected");
        };
        *kong = vec!["21: unable to verify".into()];
        evidence.observed.attempt = Refusal::raised(Stage::Handshake, "assertion failed!").into();
        assert_eq!(judge(&evidence).verdict, expected);
    }

    #[test]
    fn a_failure_names_its_step_unless_it_is_the_first() {
        let mut evidence = Evidence { step: 1, ..evidence(ClientKind::Kong) };
        evidence.observed.attempt = Attempt::Hung;
        assert_eq!(judge(&evidence).reason.as_deref(), Some("in step 2: Kong's report is not as expected"));
        let first = Evidence { step: 0, ..evidence };
        assert_eq!(judge(&first).reason.as_deref(), Some("Kong's report is not as expected"));
    }
}
