//! The roles and the database that Kong's documents and the cases log in with.

/// SQL that makes them on a new server; the passwords are `kong` as well.
const ROLES: [&str; 2] = [
    "
    SET client_min_messages = error;
    SET password_encryption = 'scram-sha-256';
    CREATE ROLE kong LOGIN PASSWORD 'kong';
    CREATE ROLE \"Kong\" LOGIN PASSWORD 'kong';
    CREATE ROLE \"foo@example.com\" LOGIN PASSWORD 'kong';
    CREATE ROLE kong_nopw LOGIN;
    SET password_encryption = 'md5';
    CREATE ROLE kong_md5 LOGIN PASSWORD 'kong';",
    "CREATE DATABASE kong OWNER kong",
];

/// The statements to run on every new server of a pool.
#[must_use]
pub fn statements() -> Vec<String> {
    ROLES.map(str::to_owned).to_vec()
}
