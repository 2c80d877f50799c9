//! The tests of the program, its documents and its scripts, in one program, which is linked once. `cargo test --test
//! integration results::` runs those of one module.
//!
//! Programs of their own are the suite itself (`conformance`), the replays of Kong's own driver (`measured`), and the tests
//! that measure the memory of their process (`fuzz`, `hostile`).

mod documents;
mod place;
mod runs_on;
mod server;

mod architecture;
mod certs;
mod check;
mod check_live;
mod check_suite;
mod claims;
mod clients;
mod diagnose;
mod explain;
mod export;
mod faults;
mod flood;
mod kong_image;
mod new_scenario;
mod nextest;
mod own_scenarios;
mod performance;
mod program;
mod reproduce;
mod results;
mod scenarios;
mod schema;
mod scripts;
mod secrets;
mod trophies;
mod troubleshooting;
mod up;
mod vacuity;
mod versions;
mod witnesses;
