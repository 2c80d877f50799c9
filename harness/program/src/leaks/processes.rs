//! The processes of this machine, and the ports they listen on.

use std::collections::HashMap;

use procfs::net::{TcpNetEntry, TcpState};
use procfs::process::{FDTarget, ProcState, Process, Stat, all_processes};
use rustix::process::{Pid, Signal, kill_process};

use super::leak::Leak;

/// How much of a command line is shown.
const SHOWN: usize = 200;

/// A process that is not a zombie.
pub(super) struct Alive {
    pub(super) process: Process,
    pub(super) stat: Stat,
}

impl Alive {
    /// Identifies it among all processes, including a later one with the same number.
    pub(super) fn identity(&self) -> (i32, u64) {
        (self.stat.pid, self.stat.starttime)
    }
}

/// A process, unless it has ended.
fn read(process: Process) -> Option<Alive> {
    let one = Alive { stat: process.stat().ok()?, process };
    (!matches!(one.stat.state(), Ok(ProcState::Zombie | ProcState::Dead))).then_some(one)
}

/// All processes, by number.
pub(super) fn alive() -> HashMap<i32, Alive> {
    let all = all_processes().into_iter().flatten().filter_map(Result::ok);
    all.filter_map(read).map(|one| (one.stat.pid, one)).collect()
}

/// The process of a number.
pub(super) fn alive_one(pid: i32) -> Option<Alive> {
    Process::new(pid).ok().and_then(read)
}

pub(super) fn descends_from(one: &Alive, ancestor: i32, all: &HashMap<i32, Alive>) -> bool {
    let mut parent = one.stat.ppid;
    while parent != ancestor {
        match all.get(&parent) {
            Some(next) => parent = next.stat.ppid,
            None => return false,
        }
    }
    true
}

/// The TCP sockets that listen.
pub fn listening_sockets() -> impl Iterator<Item = TcpNetEntry> {
    let all = [procfs::net::tcp(), procfs::net::tcp6()].into_iter().flatten().flatten();
    all.filter(|socket| socket.state == TcpState::Listen)
}

/// Their addresses, by their inodes.
pub(super) fn listening() -> HashMap<u64, String> {
    listening_sockets().map(|socket| (socket.inode, socket.local_address.to_string())).collect()
}

/// The listening sockets that a process has.
fn ports_of(process: &Process, listening: &HashMap<u64, String>) -> Vec<String> {
    let files = process.fd().into_iter().flatten().filter_map(Result::ok);
    let mut ports: Vec<_> = files
        .filter_map(|file| match file.target {
            FDTarget::Socket(inode) => listening.get(&inode).cloned(),
            _ => None,
        })
        .collect();
    ports.sort();
    ports.dedup();
    ports
}

pub(super) fn own_ports() -> Vec<Leak> {
    let Ok(own) = Process::myself() else { return Vec::new() };
    ports_of(&own, &listening()).into_iter().map(|address| Leak::Port { address }).collect()
}

pub(super) fn leak_of(one: &Alive, listening: &HashMap<u64, String>) -> Leak {
    let words = one.process.cmdline().unwrap_or_default();
    let command = if words.is_empty() { one.stat.comm.clone() } else { words.join(" ") };
    let command = command.chars().take(SHOWN).collect();
    Leak::Process { pid: one.stat.pid, command, listens: ports_of(&one.process, listening) }
}

/// Ends the processes among these.
pub(super) fn end(left: &[Leak]) {
    for leak in left {
        let Leak::Process { pid, .. } = leak else { continue };
        if let Some(pid) = Pid::from_raw(*pid) {
            // It may have ended meanwhile.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_found_as_long_as_something_listens_on_it() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = Leak::Port { address: listener.local_addr().expect("an address").to_string() };
        assert!(own_ports().contains(&port));
        drop(listener);
        assert!(!own_ports().contains(&port));
    }

    #[test]
    fn a_child_is_a_descendant_and_init_is_not() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("a child");
        let (all, own) = (alive(), i32::try_from(std::process::id()).expect("a number"));
        let number = i32::try_from(child.id()).expect("a number");
        assert!(descends_from(&all[&number], own, &all) && !descends_from(&all[&1], own, &all));
        child.kill().and_then(|()| child.wait()).expect("an end");
    }
}
