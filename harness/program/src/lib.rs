//! Conformance suite for Kong Gateway connecting to PostgreSQL over TLS and mutual TLS.

pub mod cli;
pub mod client;
pub mod desk;
pub mod judge;
pub mod plan;
pub mod proxy;
pub mod report;
pub mod roles;
pub mod run;
pub mod runfolder;
pub mod scenario;
pub mod session;
pub mod vocabulary;
