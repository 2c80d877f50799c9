//! The options that limit a run.

use clap::Args;

use crate::session::Limits;

#[derive(Debug, Args)]
pub(super) struct LimitArgs {
    /// How many servers are used at once; by default three for each processor.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    jobs: Option<u32>,
    /// How long a cell may take.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
}

impl LimitArgs {
    pub(super) fn limits(&self) -> Limits {
        Limits { jobs: self.jobs, timeout_s: self.timeout, ..Limits::default() }
    }
}
