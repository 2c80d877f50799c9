//! Input that nobody would write: the files of a corpus with random edits, read within bounds of time and memory.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use procfs::process::Process;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

/// How long one input may take to be read, on a machine that is busy with other tests.
const LIMIT: Duration = Duration::from_secs(20);
/// How much memory reading one input may take, in KiB; with the tests that run beside it.
const MEMORY: u64 = 512 * 1024;
/// How many inputs of a batch; a run without `KONG_PG_TLS_FUZZ_SECONDS` has one batch, which is always the same.
const BATCH: u32 = 50;

/// What readers have tripped over: ends, bytes that are not text, brackets, and numbers of the wrong size.
const FRAGMENTS: [&[u8]; 16] = [
    b"\0",
    b"\n",
    b"\r\n",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\xe2\x80\xa8",
    b"{",
    b"}",
    b"[[[[[[[[",
    b"\"",
    b"'",
    b"-1",
    b"4294967296",
    b"99999999999999999999",
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\xff",
];

#[derive(Debug, Clone)]
enum Edit {
    Insert(Index, Vec<u8>),
    Replace(Index, Vec<u8>),
    Remove(Index, usize),
    /// A part once more, so many times.
    Repeat(Index, usize, usize),
    Truncate(Index),
}

impl Edit {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let at = |index: &Index, bytes: &[u8]| index.index(bytes.len() + 1);
        match self {
            Self::Insert(index, more) => {
                let at = at(index, bytes);
                bytes.splice(at..at, more.iter().copied());
            }
            Self::Replace(index, other) => {
                let at = at(index, bytes);
                let end = bytes.len().min(at + other.len());
                bytes.splice(at..end, other.iter().copied());
            }
            Self::Remove(index, count) => {
                let at = at(index, bytes);
                let end = bytes.len().min(at + count);
                bytes.drain(at..end);
            }
            Self::Repeat(index, count, times) => {
                let at = at(index, bytes);
                let part = bytes[at..bytes.len().min(at + count)].repeat(*times);
                bytes.splice(at..at, part);
            }
            Self::Truncate(index) => bytes.truncate(at(index, bytes)),
        }
    }
}

/// The files with up to eight edits, which may put parts of one file into another.
fn edited(files: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let part = (select(files.clone()), any::<Index>(), 1_usize..64).prop_map(|(file, index, count)| {
        let at = index.index(file.len() + 1);
        file[at..file.len().min(at + count)].to_vec()
    });
    let piece = prop_oneof![select(&FRAGMENTS[..]).prop_map(<[u8]>::to_vec), vec(any::<u8>(), 1..8), part,];
    let piece = piece.boxed();
    let edit = prop_oneof![
        (any::<Index>(), piece.clone()).prop_map(|(at, piece)| Edit::Insert(at, piece)),
        (any::<Index>(), piece).prop_map(|(at, piece)| Edit::Replace(at, piece)),
        (any::<Index>(), 1_usize..64).prop_map(|(at, count)| Edit::Remove(at, count)),
        (any::<Index>(), 1_usize..64, 1_usize..32).prop_map(|(at, count, times)| Edit::Repeat(at, count, times)),
        any::<Index>().prop_map(Edit::Truncate),
    ];
    (select(files), vec(edit, 0..8)).prop_map(|(mut file, edits)| {
        for edit in &edits {
            edit.apply(&mut file);
        }
        file
    })
}

/// What is being read, and since when.
type Watched = Arc<Mutex<Option<(Instant, Vec<u8>)>>>;

/// Has `read` read every file of a corpus, and these with edits: one batch, or batches of other edits for as many
/// seconds as `KONG_PG_TLS_FUZZ_SECONDS` says.
pub(crate) fn fuzz(corpus: &str, read: impl Fn(&[u8]) + Send + 'static) {
    let files = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(corpus));
    let watched = Watched::default();
    let (now, name) = (watched.clone(), corpus.to_owned());
    let reading = std::thread::spawn(move || {
        let one = |bytes: &[u8]| within_bounds(bytes, &now, &read);
        for file in &files {
            one(file).unwrap_or_else(|why| panic!("{name}: {why}"));
        }
        let seconds = std::env::var("KONG_PG_TLS_FUZZ_SECONDS").ok();
        let seconds = seconds.map(|seconds| Duration::from_secs(seconds.parse().expect("a number of seconds")));
        let (begun, mut batches) = (Instant::now(), 0);
        loop {
            let mut seed = [0; 32];
            if seconds.is_some() {
                seed = rand_seed();
            }
            let config = Config { cases: BATCH, failure_persistence: None, ..Config::default() };
            let random = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
            let done = TestRunner::new_with_rng(config, random)
                .run(&edited(files.clone()), |bytes| one(&bytes).map_err(TestCaseError::fail));
            batches += 1;
            if let Err(error) = done {
                panic!("{name}: {error}");
            }
            if seconds.is_none_or(|limit| begun.elapsed() >= limit) {
                break;
            }
        }
        println!("{name}: {} inputs in {} s", batches * BATCH, begun.elapsed().as_secs());
    });
    while !reading.is_finished() {
        std::thread::sleep(Duration::from_millis(20));
        if let Some((since, bytes)) = &*watched.lock().expect("a lock") {
            assert!(since.elapsed() < LIMIT, "{corpus}: still reading {:?}", String::from_utf8_lossy(bytes));
        }
    }
    if let Err(panic) = reading.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Reads one input; why it should not have been like that, if it should not.
fn within_bounds(bytes: &[u8], watched: &Watched, read: &impl Fn(&[u8])) -> Result<(), String> {
    *watched.lock().expect("a lock") = Some((Instant::now(), bytes.to_vec()));
    // From here on the system's peak is that of this input.
    std::fs::write("/proc/self/clear_refs", "5").expect("the peak is reset");
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| read(bytes)));
    *watched.lock().expect("a lock") = None;
    let peak = peak();
    match done {
        Err(_) => Err(format!("a panic at {:?}", String::from_utf8_lossy(bytes))),
        Ok(()) if peak > MEMORY => Err(format!("{peak} KiB of memory at {:?}", String::from_utf8_lossy(bytes))),
        Ok(()) => Ok(()),
    }
}

/// The most memory that the process has had, in KiB.
fn peak() -> u64 {
    let status = Process::myself().and_then(|process| process.status()).expect("the process's status");
    status.vmhwm.expect("a peak")
}

fn rand_seed() -> [u8; 32] {
    std::array::from_fn(|_| fastrand::u8(..))
}

fn files(folder: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", folder.display());
    paths.iter().map(|path| std::fs::read(path).expect("a file")).collect()
}
