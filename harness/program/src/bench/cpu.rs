//! The processor time that processes have used, to the nanosecond, as the kernel counts it.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// What this thread has used.
pub(super) fn of_this_thread() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or_default(), time.tv_nsec.try_into().unwrap_or_default())
}

/// What a process with one thread has used up to its last pause; `None` if it is gone, or the kernel does not count.
pub(super) fn of_process(pid: i32) -> Option<Duration> {
    // proc_pid_schedstat(5): the first number.
    let text = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
    Some(Duration::from_nanos(text.split_whitespace().next()?.parse().ok()?))
}

/// What several have used.
pub(super) fn of_processes(pids: &[i32]) -> Duration {
    pids.iter().filter_map(|pid| of_process(*pid)).sum()
}

/// The processes of a server, as this machine numbers them.
pub(super) struct ServerProcesses {
    place: Place,
    postmaster: Option<i32>,
}

/// Where a server's processes are.
enum Place {
    Here,
    /// In a container of this machine.
    Container(String),
    /// On another machine, as far as is known.
    Elsewhere,
}

impl ServerProcesses {
    pub(super) fn new(container: Option<String>) -> Self {
        Self { place: container.map_or(Place::Here, Place::Container), postmaster: None }
    }

    /// Of a server whose processes are not known.
    pub(super) fn elsewhere() -> Self {
        Self { place: Place::Elsewhere, postmaster: None }
    }

    /// The process that serves a connection, by the number that the server gives it.
    pub(super) fn backend(&mut self, pid: i32) -> Option<i32> {
        let found = match &self.place {
            Place::Here => pid,
            Place::Container(container) => contained(pid, container, self.postmaster)?,
            Place::Elsewhere => return None,
        };
        if self.postmaster.is_none() {
            self.postmaster = status(found, "PPid:")?.parse().ok();
        }
        Some(found)
    }

    /// What the process that starts the others has used.
    pub(super) fn postmaster(&self) -> Option<Duration> {
        of_process(self.postmaster?)
    }
}

/// The process that has a number in a container, among the children of one, or all there are.
fn contained(pid: i32, container: &str, parent: Option<i32>) -> Option<i32> {
    let children =
        parent.and_then(|parent| std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok());
    let candidates: Vec<i32> = match children {
        Some(children) => children.split_whitespace().filter_map(|child| child.parse().ok()).collect(),
        None => std::fs::read_dir("/proc")
            .ok()?
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .collect(),
    };
    candidates.into_iter().find(|candidate| {
        let own = status(*candidate, "NSpid:");
        let is_it = own.is_some_and(|numbers| numbers.split_whitespace().last() == Some(&pid.to_string()));
        is_it && (parent.is_some() || is_in(*candidate, container))
    })
}

fn is_in(pid: i32, container: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/cgroup")).is_ok_and(|groups| groups.contains(container))
}

fn status(pid: i32, field: &str) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix(field)).map(|value| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_costs_this_thread_time_and_another_process_none() {
        let (before, other) = (of_this_thread(), of_process(1));
        let mut sum = 0_u64;
        while of_this_thread() < before + Duration::from_millis(2) {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(other.is_some() && sum > 0);
        assert_eq!(of_process(i32::MAX), None);
    }

    #[test]
    fn the_postmaster_is_the_parent_of_the_first_backend() {
        let mut server = ServerProcesses::new(None);
        let own = i32::try_from(std::process::id()).expect("a number");
        assert_eq!(server.backend(own), Some(own));
        assert!(server.postmaster().is_some());
    }
}
