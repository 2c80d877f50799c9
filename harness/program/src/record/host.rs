//! What a run's results may depend on beside its servers: the machine it ran on, without anything that identifies it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The machine of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// The operating system: `Debian GNU/Linux 12 (bookworm)`.
    pub os: String,
    /// The release of the kernel.
    pub kernel: String,
    /// The architecture: `x86_64`.
    pub architecture: String,
    /// How many processors a run can use.
    pub processors: usize,
}

impl Host {
    /// This machine.
    #[must_use]
    pub fn here() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let or_unknown = |text: &str| if text.is_empty() { "unknown".to_owned() } else { text.to_owned() };
        Self {
            os: or_unknown(pretty_name(&read("/etc/os-release"))),
            kernel: or_unknown(read("/proc/sys/kernel/osrelease").trim()),
            architecture: std::env::consts::ARCH.to_owned(),
            processors: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        }
    }
}

/// The name for people in an os-release(5).
fn pretty_name(os_release: &str) -> &str {
    let name = os_release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.unwrap_or_default().trim_matches(['"', '\''])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operating_system_is_what_it_calls_itself() {
        assert_eq!(
            pretty_name("ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"),
            "Debian GNU/Linux 12 (bookworm)"
        );
        assert_eq!(pretty_name("ID=x\n"), "");
    }
}
