//! What must happen in a step, with every placeholder resolved for the cell.

use kong_pg_client::Stage;
use kong_pg_scenarios::vocabulary::OpenConnection;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What must happen in a step.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Expectation {
    /// What the server may log when it applies the configuration: any of these, each line by line. `null` if the case
    /// is not about that; then it must just apply it.
    pub reload: Option<Vec<Vec<String>>>,
    /// What must have happened to the connection that Kong has kept open, if the step looks at one.
    pub open_connection: Option<OpenConnection>,
    /// What must happen when Kong connects; `null` if it does not connect in this step.
    pub outcome: Option<ExpectedOutcome>,
    /// What the server may log about the attempt: any of these, each line by line.
    pub server_log: Vec<Vec<String>>,
    /// What the program between Kong and the server may log about the attempt: any of these, each line by line.
    #[serde(default = "silent", skip_serializing_if = "is_silent")]
    pub relay_log: Vec<Vec<String>>,
    /// Queries of the superuser, each with the result it must have.
    pub answers: Vec<(String, String)>,
}

/// The log of a program that says nothing, or is not there.
pub(crate) fn silent() -> Vec<Vec<String>> {
    vec![Vec::new()]
}

fn is_silent(log: &[Vec<String>]) -> bool {
    log == silent()
}

/// What must happen when Kong connects.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ExpectedOutcome {
    /// It connects.
    Connects {
        /// The versions `pg_stat_ssl` may show; `off` for plaintext.
        tls: Vec<String>,
        /// The cipher suite, if the case is about it.
        cipher: Option<String>,
        /// The subject of the client certificate that `pg_stat_ssl` must show.
        client_dn: Option<String>,
        /// The certificate the server must present, if the case is about it.
        certificate: Option<String>,
    },
    /// It is refused.
    Refused {
        /// The stage it must reach, if the client shows that.
        stage: Option<Stage>,
        /// The texts Kong's driver may report, without Kong's prefix.
        kong: Vec<String>,
        /// Whether the driver raises the error, where it usually returns it.
        raised: bool,
        /// Texts that the driver may raise where it returns the others.
        #[serde(default)]
        raised_instead: Vec<String>,
        /// Why more than one text is accepted, if it is.
        because: Option<String>,
    },
    /// It waits without end.
    Hangs,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_program_between_that_says_nothing_is_not_written_down() {
        let written =
            json!({ "reload": null, "open_connection": null, "outcome": null, "server_log": [], "answers": [] });
        let mut expected: Expectation = serde_json::from_value(written.clone()).expect("an expectation");
        assert_eq!(expected.relay_log, [Vec::<String>::new()]);
        let value = |expected: &Expectation| -> Value { serde_json::to_value(expected).expect("JSON") };
        assert_eq!(value(&expected), written);
        expected.relay_log = vec![vec!["LOG C: login attempt".into()]];
        assert_eq!(value(&expected)["relay_log"], json!([["LOG C: login attempt"]]));
    }
}
