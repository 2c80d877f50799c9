//! What can be traced to a program that a cell uses: its processes and its temporary files.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::future::ready;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::grace::{GRACE, until_gone};
use super::leak::Leak;
use super::processes::{Alive, alive, alive_one, leak_of, listening};
use crate::runfolder::RunFolder;

/// A variable that every process inherits. It has the path of the folder below, of which no other program has one.
const VARIABLE: &str = "TMPDIR";

/// Numbers the folders of the programs that this process starts.
static COUNT: AtomicUsize = AtomicUsize::new(1);

/// A program that can be traced: it gets a folder for its temporary files, and a process group of its own.
#[derive(Debug, Clone)]
pub struct Trace {
    folder: PathBuf,
}

/// The processes and files of the program at one moment.
#[derive(Debug, Clone)]
pub struct Traced {
    trace: Trace,
    /// The program, which leads its group.
    leader: Option<u32>,
    processes: HashSet<(i32, u64)>,
    files: HashSet<OsString>,
}

/// What there was of the programs of every cell before it used them.
#[derive(Debug, Default)]
pub struct Traces(Mutex<HashMap<String, Vec<Traced>>>);

impl Traces {
    /// A cell is going to use a program, or has just started it.
    pub fn uses(&self, cell: &str, before: Traced) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(cell.to_owned()).or_default().push(before);
    }

    /// What a cell has left behind, which is then forgotten.
    pub async fn left(&self, cell: &str) -> Vec<Leak> {
        let used = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(cell).unwrap_or_default();
        let mut left = Vec::new();
        for before in used {
            left.extend(before.left().await);
        }
        left
    }
}

impl Trace {
    /// Makes the folder.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new(run: &RunFolder) -> io::Result<Self> {
        Ok(Self { folder: run.private(&format!("client-{}", COUNT.fetch_add(1, Ordering::Relaxed)))? })
    }

    /// In a folder that is there, and that no other program gets.
    #[must_use]
    pub fn of_folder(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The variable to start the program with.
    #[must_use]
    pub fn environment(&self) -> (&'static str, &Path) {
        (VARIABLE, &self.folder)
    }

    fn files(&self) -> HashSet<OsString> {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().filter_map(Result::ok);
        entries.map(|entry| entry.file_name()).collect()
    }

    /// Nothing was there before the program, which leads its group.
    #[must_use]
    pub fn from_the_start(&self, leader: Option<u32>) -> Traced {
        Traced { trace: self.clone(), leader, processes: HashSet::new(), files: HashSet::new() }
    }

    /// The program alone, which has just started: what it has started is not its own.
    #[must_use]
    pub fn alone(&self, pid: i32) -> Traced {
        let processes = alive_one(pid).as_ref().map(Alive::identity).into_iter().collect();
        Traced { processes, files: self.files(), ..self.from_the_start(None) }
    }

    /// What is there now, which is the program's own.
    #[must_use]
    pub fn now(&self, leader: Option<u32>) -> Traced {
        let mut traced = Traced { files: self.files(), ..self.from_the_start(leader) };
        let all = alive();
        traced.processes = all.values().filter(|one| traced.has(one)).map(Alive::identity).collect();
        traced
    }
}

impl Traced {
    /// Whether a process is one of the program's: it is in its group, or has inherited the variable.
    fn has(&self, one: &Alive) -> bool {
        let inherited = || {
            let environment = one.process.environ().unwrap_or_default();
            environment.get(OsStr::new(VARIABLE)).is_some_and(|value| *value == *self.trace.folder)
        };
        self.leader.is_some_and(|leader| i64::from(leader) == i64::from(one.stat.pgrp)) || inherited()
    }

    /// What has come since and does not go.
    async fn left(&self) -> Vec<Leak> {
        until_gone(GRACE, || ready(self.new_ones())).await
    }

    fn new_ones(&self) -> Vec<Leak> {
        let all = alive();
        let new: Vec<_> =
            all.values().filter(|one| !self.processes.contains(&one.identity()) && self.has(one)).collect();
        // The kernel takes a millisecond to list the sockets, and hardly any cell leaves a process.
        let listening = if new.is_empty() { HashMap::new() } else { listening() };
        let mut left: Vec<_> = new.into_iter().map(|one| leak_of(one, &listening)).collect();
        let files = self.trace.files();
        let file = |name: &OsString| Leak::File { path: name.to_string_lossy().into_owned() };
        left.extend(files.difference(&self.files).map(file));
        left
    }
}
