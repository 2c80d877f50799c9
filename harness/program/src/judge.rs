//! Expectation and observation to a verdict: a pure function, so that whatever it decides can be decided again from
//! the result file.

use kong_pg_client::Stage;

use crate::format::Would;
use crate::vocabulary::OpenConnection;
use kong_pg_client::{ErrorDelivery, Refusal};
use postgres_tls_server::{Observed, TlsProof};

/// The verdict of a cell. Everything but `pass` has a reason.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Everything was as expected, on both sides.
    Pass,
    /// Something was not.
    Fail,
    /// As expected, where the documents say otherwise.
    KnownDeviation,
    /// The case has no meaning here.
    Unsupported,
    /// It was not run.
    Skipped,
    /// It took too long.
    Timeout,
    /// The environment failed, not the case.
    EnvironmentError,
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Verdict {
    /// All, from good to bad.
    pub const ALL: [Self; 7] = [
        Self::Pass,
        Self::KnownDeviation,
        Self::Unsupported,
        Self::Skipped,
        Self::Fail,
        Self::Timeout,
        Self::EnvironmentError,
    ];

    /// As it is written everywhere.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::KnownDeviation => "known-deviation",
            Self::Unsupported => "unsupported",
            Self::Skipped => "skipped",
            Self::Timeout => "timeout",
            Self::EnvironmentError => "environment-error",
        }
    }

    /// Whether it is nothing to worry about.
    #[must_use]
    pub fn is_good(self) -> bool {
        matches!(self, Self::Pass | Self::KnownDeviation | Self::Unsupported)
    }
}

/// What must happen, in the words of the cell's versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// What the server says when its configuration is put in force; `None` if it must just do so.
    pub reload: Option<Vec<Vec<String>>>,
    /// What becomes of a connection that Kong has kept open, if that is looked at.
    pub open_connection: Option<OpenConnection>,
    /// What happens when Kong connects; nothing, if it does not.
    pub outcome: Option<Outcome>,
    /// What the server logs of that: any of these.
    pub server: Vec<Vec<String>>,
    /// What the server answers to questions.
    pub answers: Vec<(String, String)>,
}

/// What must happen when Kong connects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It does.
    Connects {
        /// What `pg_stat_ssl` may show as the version.
        tls: Vec<String>,
        /// The cipher suite, if that is looked at.
        cipher: Option<String>,
        /// The client certificate it must show.
        client_dn: Option<String>,
        /// The certificate the server must show.
        certificate: Option<String>,
    },
    /// It does not.
    Refused {
        /// How far it comes, if that is looked at.
        stage: Option<Stage>,
        /// What Kong's driver may say.
        kong: Vec<String>,
        /// Whether it raises that.
        raised: bool,
    },
    /// It waits without end.
    Hangs,
}

/// What happened, on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// What the server said when its configuration was put in force.
    pub reload: Vec<String>,
    /// What came of the attempt.
    pub outcome: Result<Connected, Refusal>,
    /// The certificate the server showed.
    pub certificate: Option<String>,
    /// What the server logged.
    pub server: Observed,
    /// What became of a connection that was kept open.
    pub open_connection: Option<OpenConnection>,
    /// What the server answered to questions, in their order.
    pub answers: Vec<String>,
}

/// What happened in a step in which Kong does not connect.
#[must_use]
pub fn without_the_attempt(reload: Vec<String>, open_connection: Option<OpenConnection>) -> Observation {
    let outcome = Err(Refusal::returned(Stage::Connect, "it was not asked to"));
    Observation {
        reload,
        outcome,
        certificate: None,
        server: Observed::default(),
        open_connection,
        answers: Vec::new(),
    }
}

/// A place where the documents are known to be wrong or silent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownDeviation {
    /// What they say; nothing, if they are silent.
    pub says: Option<String>,
    /// What would be seen if they were right, in the words of the cell.
    pub would: Option<Would>,
}

impl Would {
    /// Whether everything that the documents would have happen has happened.
    #[must_use]
    pub fn is_seen_in(&self, observed: &Observation) -> bool {
        let connected = observed.outcome.as_ref().ok();
        let refusal = observed.outcome.as_ref().err();
        let version = connected.and_then(|connected| connected.proof.version.as_ref());
        let in_tls = |wanted: &String| version.is_some_and(|version| wanted == "any" || version == wanted);
        let logged = |line| observed.server.relevant_lines.contains(line) || observed.reload.contains(line);
        self.connects.is_none_or(|connects| connects == connected.is_some())
            && self.tls.as_ref().is_none_or(in_tls)
            && self.kong.as_ref().is_none_or(|text| refusal.is_some_and(|refusal| refusal.text == *text))
            && self.postgres.as_ref().is_none_or(logged)
    }
}

/// The verdict on a cell, and why, unless it is `pass`.
#[must_use]
pub fn verdict(mismatches: &[Mismatch], known: &[KnownDeviation], observed: &Observation) -> (Verdict, Option<String>) {
    if let Some(first) = mismatches.first() {
        return (Verdict::Fail, Some(format!("{} is not as expected", first.what)));
    }
    let said = known.iter().filter_map(|known| Some((known.says.as_ref()?, &known.would)));
    let over = said.clone().find(|(_, would)| would.as_ref().is_some_and(|would| would.is_seen_in(observed)));
    if let Some((says, _)) = over {
        let reason = format!("the documents are right again, take their `documented` entry out: {says}");
        return (Verdict::Fail, Some(reason));
    }
    match said.map(|(says, _)| says.as_str()).collect::<Vec<_>>() {
        says if says.is_empty() => (Verdict::Pass, None),
        says => (Verdict::KnownDeviation, Some(format!("the documents say: {}", says.join("; ")))),
    }
}

/// A connection, as the server proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connected {
    /// What `pg_stat_ssl` shows.
    pub proof: TlsProof,
}

/// One thing that was not as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Whose words, or what.
    pub what: &'static str,
    /// What was expected: any of these, each line by line.
    pub expected: Vec<Vec<String>>,
    /// What was observed, line by line.
    pub observed: Vec<String>,
}

fn words(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

/// Compares. Nothing is left: the observation is as expected.
#[must_use]
pub fn judge(expected: &Expectation, observed: &Observation) -> Vec<Mismatch> {
    let mut mismatches = Vec::new();
    let mut compare = |what, expected: &[Vec<String>], observed: &[String]| {
        if !expected.iter().any(|any| any == observed) {
            mismatches.push(Mismatch { what, expected: expected.to_vec(), observed: observed.to_vec() });
        }
    };
    match &expected.reload {
        Some(expected) => compare(RELOAD, expected, &observed.reload),
        None if observed.reload.iter().any(|line| line.contains("was not reloaded")) => {
            compare(RELOAD, &[Vec::new()], &observed.reload);
        }
        None => {}
    }
    if let Some(expected) = &expected.open_connection {
        let told = |state: Option<&OpenConnection>| words(&[state.map_or("none", OpenConnection::as_str)]);
        compare("the connection that was kept open", &[told(Some(expected))], &told(observed.open_connection.as_ref()));
    }
    for ((_, expected), observed) in expected.answers.iter().zip(&observed.answers) {
        compare("PostgreSQL's answer", &[lines(expected)], &lines(observed));
    }
    let Some(outcome) = &expected.outcome else { return mismatches };
    match (outcome, &observed.outcome) {
        (Outcome::Connects { tls, cipher, client_dn, certificate }, Ok(connected)) => {
            let proof = &connected.proof;
            let accepted: Vec<_> = tls.iter().map(|version| words(&[version])).collect();
            compare("TLS version in pg_stat_ssl", &accepted, &words(&[proof.version.as_deref().unwrap_or("off")]));
            if let Some(cipher) = cipher {
                let shown = proof.cipher.as_deref().unwrap_or("none");
                compare("cipher suite in pg_stat_ssl", &[words(&[cipher])], &words(&[shown]));
            }
            let dn = |dn: &Option<String>| words(&[dn.as_deref().unwrap_or("none")]);
            compare("client certificate in pg_stat_ssl", &[dn(client_dn)], &dn(&proof.client_dn));
            if let Some(certificate) = certificate {
                let shown = observed.certificate.as_deref().unwrap_or("none");
                compare("server certificate", &[words(&[certificate])], &words(&[shown]));
            }
        }
        (Outcome::Refused { stage, kong, raised }, Err(refusal)) if refusal.delivery != ErrorDelivery::Hung => {
            compare(KONG, &said(kong), &lines(&refusal.text));
            if let Some(stage) = stage {
                compare("stage", &[words(&[stage.as_str()])], &words(&[refusal.stage.as_str()]));
            }
            let how = if *raised { ErrorDelivery::Raised } else { ErrorDelivery::Returned };
            compare("how Kong's driver tells it", &[words(&[how.as_str()])], &words(&[refusal.delivery.as_str()]));
        }
        (Outcome::Hangs, happened) => compare(KONG, &[words(&[ErrorDelivery::Hung.as_str()])], &told(happened)),
        (Outcome::Refused { kong, .. }, happened) => compare(KONG, &said(kong), &told(happened)),
        (Outcome::Connects { tls, .. }, happened) => {
            compare(KONG, &[words(&["connects, TLS", &tls.join(" or ")])], &told(happened));
        }
    }
    compare(SERVER, &expected.server, &observed.server.relevant_lines);
    mismatches
}

/// Compares what comes of an attempt, whatever words it is told in: the whole of it for a client that is not Kong.
#[must_use]
pub fn judge_outcome(expected: &Expectation, observed: &Observation) -> Vec<Mismatch> {
    let in_short = |outcome: &Result<Connected, Refusal>| match outcome {
        Ok(connected) => {
            let proof = &connected.proof;
            let version = proof.version.as_deref().unwrap_or("off");
            words(&["connects", version, proof.client_dn.as_deref().unwrap_or("no client certificate")])
        }
        Err(refusal) if refusal.delivery == ErrorDelivery::Hung => words(&["hangs"]),
        Err(_) => words(&["refused"]),
    };
    let accepted = match &expected.outcome {
        None => Vec::new(),
        Some(Outcome::Connects { tls, client_dn, .. }) => {
            let dn = client_dn.as_deref().unwrap_or("no client certificate");
            tls.iter().map(|version| words(&["connects", version, dn])).collect()
        }
        Some(Outcome::Refused { .. }) => vec![words(&["refused"])],
        Some(Outcome::Hangs) => vec![words(&["hangs"])],
    };
    // What has nothing to do with who connects is compared as ever.
    let of_the_server = judge(&Expectation { outcome: None, ..expected.clone() }, observed);
    let differs = !accepted.is_empty() && !accepted.contains(&in_short(&observed.outcome));
    let of_the_client =
        differs.then(|| Mismatch { what: OUTCOME, expected: accepted, observed: in_short(&observed.outcome) });
    of_the_server.into_iter().chain(of_the_client).collect()
}

/// What Kong may say, each text line by line.
fn said(texts: &[String]) -> Vec<Vec<String>> {
    texts.iter().map(|text| lines(text)).collect()
}

/// What came of an attempt, in words.
fn told(happened: &Result<Connected, Refusal>) -> Vec<String> {
    match happened {
        Ok(connected) => words(&["connects, TLS", connected.proof.version.as_deref().unwrap_or("off")]),
        Err(refusal) if refusal.delivery == ErrorDelivery::Hung => words(&[refusal.delivery.as_str()]),
        Err(refusal) => lines(&refusal.text),
    }
}

/// The name of a mismatch that is not one of words.
pub const OUTCOME: &str = "what comes of it";
const KONG: &str = "Kong";
const SERVER: &str = "PostgreSQL's log";
const RELOAD: &str = "PostgreSQL's log when it takes the configuration";

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn connects(tls: &str, client_dn: Option<&str>) -> Expectation {
        let client_dn = client_dn.map(str::to_owned);
        let outcome = Outcome::Connects { tls: words(&[tls]), cipher: None, client_dn, certificate: None };
        Expectation {
            reload: None,
            open_connection: None,
            outcome: Some(outcome),
            server: vec![Vec::new()],
            answers: Vec::new(),
        }
    }

    fn refused(kong: &[&str], server: &[&str]) -> Expectation {
        let outcome = Outcome::Refused { stage: Some(Stage::Auth), kong: words(kong), raised: false };
        Expectation {
            reload: None,
            open_connection: None,
            outcome: Some(outcome),
            server: vec![words(server)],
            answers: Vec::new(),
        }
    }

    fn connected(version: Option<&str>, client_dn: Option<&str>) -> Observation {
        let proof =
            TlsProof { version: version.map(str::to_owned), cipher: None, client_dn: client_dn.map(str::to_owned) };
        let outcome = Ok(Connected { proof });
        Observation { server: Observed::default(), outcome, ..without_the_attempt(Vec::new(), None) }
    }

    fn told(text: &str, server: &[&str]) -> Observation {
        let refusal = Refusal::returned(Stage::Auth, text);
        let server = Observed { relevant_lines: words(server), ..Observed::default() };
        Observation { outcome: Err(refusal), server, ..without_the_attempt(Vec::new(), None) }
    }

    #[test]
    fn what_is_as_expected_on_both_sides_passes() {
        assert_eq!(judge(&connects("TLSv1.3", Some("/CN=kong")), &connected(Some("TLSv1.3"), Some("/CN=kong"))), []);
        assert_eq!(judge(&refused(&["FATAL: no"], &["FATAL:  no"]), &told("FATAL: no", &["FATAL:  no"])), []);
    }

    #[test]
    fn a_cipher_suite_is_compared_where_one_is_expected() {
        let mut expected = connects("TLSv1.3", None);
        let mut observed = connected(Some("TLSv1.3"), None);
        let (Some(Outcome::Connects { cipher, .. }), Ok(shown)) = (&mut expected.outcome, &mut observed.outcome) else {
            unreachable!("both connect");
        };
        *cipher = Some("TLS_AES_256_GCM_SHA384".into());
        shown.proof.cipher = Some("TLS_AES_128_GCM_SHA256".into());
        let [mismatch] = &judge(&expected, &observed)[..] else { unreachable!("one mismatch") };
        assert_eq!(mismatch.what, "cipher suite in pg_stat_ssl");
    }

    /// Each of these would pass in a suite that asks less.
    #[rstest]
    #[case::plaintext(connects("TLSv1.3", None), connected(None, None), "TLS version in pg_stat_ssl")]
    #[case::no_certificate(
        connects("TLSv1.3", Some("/CN=kong")),
        connected(Some("TLSv1.3"), None),
        "client certificate in pg_stat_ssl"
    )]
    #[case::a_certificate_nobody_expects(
        connects("TLSv1.3", None),
        connected(Some("TLSv1.3"), Some("/CN=kong")),
        "client certificate in pg_stat_ssl"
    )]
    #[case::it_connects(refused(&["FATAL: no"], &[]), connected(Some("TLSv1.3"), None), KONG)]
    #[case::it_does_not(connects("TLSv1.3", None), told("closed", &[]), KONG)]
    #[case::another_text(refused(&["FATAL: no"], &[]), told("FATAL: No", &[]), KONG)]
    #[case::a_silent_server(refused(&["closed"], &["LOG:  x"]), told("closed", &[]), SERVER)]
    #[case::a_talking_server(refused(&["closed"], &[]), told("closed", &["LOG:  x"]), SERVER)]
    fn what_differs_on_either_side_fails(
        #[case] expected: Expectation,
        #[case] observed: Observation,
        #[case] what: &str,
    ) {
        assert!(judge(&expected, &observed).iter().any(|mismatch| mismatch.what == what));
    }

    fn known(says: Option<&str>, kong: Option<&str>) -> KnownDeviation {
        let would = kong.map(|text| Would { connects: None, tls: None, kong: Some(text.into()), postgres: None });
        KnownDeviation { says: says.map(str::to_owned), would }
    }

    #[rstest]
    #[case::nothing_known(&[], Verdict::Pass)]
    #[case::the_documents_are_silent(&[known(None, None)], Verdict::Pass)]
    #[case::they_say_otherwise(&[known(Some("they say"), Some("FATAL: yes"))], Verdict::KnownDeviation)]
    #[case::they_say_so(&[known(Some("they say"), Some("FATAL: no"))], Verdict::Fail)]
    fn a_deviation_is_known_for_as_long_as_it_holds(#[case] known: &[KnownDeviation], #[case] expected: Verdict) {
        assert_eq!(verdict(&[], known, &told("FATAL: no", &[])).0, expected);
    }

    #[test]
    fn a_configuration_that_is_not_in_force_fails() {
        let mut observed = connected(Some("TLSv1.3"), None);
        observed.reload = words(&["LOG:  SSL configuration was not reloaded"]);
        assert_eq!(judge(&connects("TLSv1.3", None), &observed)[0].what, RELOAD);
    }
}
