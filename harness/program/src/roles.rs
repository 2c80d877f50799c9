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
    -- The same password with 1000 iterations, where PostgreSQL takes 4096 unless it is told otherwise.
    CREATE ROLE kong_1000 LOGIN PASSWORD
        'SCRAM-SHA-256$1000:MDEyMzQ1Njc4OWFiY2RlZg==$dBRwmhQjKRFgLpySLBmRjFb+hkjVNUau6EcME9AbETk=:QLxZrzCBhpXorId8VwYQ3P8atMkqK4xaxjCOYDfzPvo=';
    SET password_encryption = 'md5';
    CREATE ROLE kong_md5 LOGIN PASSWORD 'kong';",
    "CREATE DATABASE kong OWNER kong",
];

/// The statements to run on every new server of a pool.
#[must_use]
pub fn statements() -> Vec<String> {
    ROLES.map(str::to_owned).to_vec()
}
