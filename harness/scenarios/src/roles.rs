//! The roles and the database that Kong's documents and the cases log in with.

use std::collections::BTreeSet;

use crate::suite::{Scenario, Suite};

/// SQL that makes them on a new server; the passwords are `kong` as well.
const ROLES: [&str; 2] = [
    "
    SET client_min_messages = error;
    SET password_encryption = 'scram-sha-256';
    CREATE ROLE kong LOGIN PASSWORD 'kong';
    CREATE ROLE \"Kong\" LOGIN PASSWORD 'kong';
    CREATE ROLE \"foo@example.com\" LOGIN PASSWORD 'kong';
    CREATE ROLE kong_nopw LOGIN;
    -- The same password with 1000 iterations, where PostgreSQL's default is 4096.
    CREATE ROLE kong_1000 LOGIN PASSWORD
        'SCRAM-SHA-256$1000:MDEyMzQ1Njc4OWFiY2RlZg==$dBRwmhQjKRFgLpySLBmRjFb+hkjVNUau6EcME9AbETk=:QLxZrzCBhpXorId8VwYQ3P8atMkqK4xaxjCOYDfzPvo=';
    SET password_encryption = 'md5';
    CREATE ROLE kong_md5 LOGIN PASSWORD 'kong';",
    "CREATE DATABASE kong OWNER kong",
];

/// The names of these roles.
const NAMES: [&str; 6] = ["kong", "Kong", "foo@example.com", "kong_nopw", "kong_1000", "kong_md5"];

/// Whether every server has a role of that name.
#[must_use]
pub fn has_role(name: &str) -> bool {
    NAMES.contains(&name) || name == "postgres"
}

/// Whether every server has a database of that name.
#[must_use]
pub fn has_database(name: &str) -> bool {
    matches!(name, "kong" | "postgres")
}

/// The statements to run on every new server of a suite, with the roles and databases that its scenarios want.
#[must_use]
pub fn statements_for(suite: &Suite) -> Vec<String> {
    let identifier = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let all = |names: fn(&Scenario) -> &Vec<String>| -> BTreeSet<&String> {
        suite.scenarios.iter().flat_map(names).collect()
    };
    let roles = all(|scenario| &scenario.roles).into_iter().filter(|name| !has_role(name));
    let databases = all(|scenario| &scenario.databases).into_iter().filter(|name| !has_database(name));
    let role = |name: &String| {
        format!("SET password_encryption = 'scram-sha-256'; CREATE ROLE {} LOGIN PASSWORD 'kong'", identifier(name))
    };
    let database = |name: &String| format!("CREATE DATABASE {}", identifier(name));
    statements().into_iter().chain(roles.map(role)).chain(databases.map(database)).collect()
}

/// The statements to run on every new server of a pool.
#[must_use]
pub fn statements() -> Vec<String> {
    ROLES.map(str::to_owned).to_vec()
}
