// SPDX-License-Identifier: MIT OR Apache-2.0

//! Looking for a key where it should not be: with `spy.c` in the process that has it.

use std::{
    fs,
    ops::Range,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use memchr::memmem;
use openssl::base64;
use tempfile::TempDir;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools/seal/spy.c");

/// Bytes of a number that are searched for at a time: who has found so many has found something.
const CHUNK: usize = 16;

/// Waiting for something that does not come ends.
const PATIENCE: Duration = Duration::from_secs(120);

/// The library that is preloaded.
pub struct Spy {
    directory: TempDir,
}

impl Spy {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let output = Command::new("cc")
            .args(["-shared", "-fPIC", "-Wall", "-Werror"])
            // RSA keys of OpenSSL 3 have no other functions that all of them call.
            .arg("-Wno-deprecated-declarations")
            .arg("-o")
            .arg(directory.path().join("spy.so"))
            .args([SOURCE, "-ldl"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        Spy { directory }
    }

    pub fn library(&self) -> PathBuf {
        self.directory.path().join("spy.so")
    }

    /// A command that is spied upon; it does not stop unless it is told where to tell.
    pub fn command(&self, program: &str, work: &TempDir) -> Command {
        let mut command = Command::new(program);
        command
            .env("LD_PRELOAD", self.library())
            .current_dir(work.path())
            .stdin(Stdio::null());
        command
    }

    /// Starts it, with these settings of `spy.c`; it stops where that stops.
    pub fn start(&self, mut command: Command) -> Spied {
        // Not in a directory that is searched.
        let told = tempfile::tempdir().unwrap();
        let child = command
            .env("SPY", told.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Spied {
            child: Some(child),
            told,
        }
    }
}

/// Who runs, and where it tells what it has seen.
pub struct Spied {
    child: Option<Child>,
    told: TempDir,
}

/// A test that has failed leaves nobody who waits: the one with the key ends with this one.
impl Drop for Spied {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A process that has stopped.
#[derive(Clone, Copy, Debug)]
pub struct Stopped {
    pub process: u32,
    pub parent: u32,
    pub dumpable: i32,
    pub core: (u64, u64),
    /// Memory that was got at the stop.
    pub probe: usize,
}

fn status(process: u32, field: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    Some(line.trim_start_matches(':').trim().to_owned())
}

/// Waits until something is so.
pub fn wait_for<T>(what: &str, mut is_so: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = is_so() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "waiting in vain for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

pub fn signal(process: u32, name: &str) {
    let kill = Command::new("kill")
        .args(["-s", name, &process.to_string()])
        .status();
    assert!(kill.unwrap().success(), "{process}");
}

impl Spied {
    /// Waits until it has stopped there.
    pub fn stopped(&mut self, place: &str) -> Stopped {
        let file = self.told.path().join(place);
        let text = wait_for(place, || {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none() || file.exists(), "{place}: {ended:?}");
            fs::read_to_string(&file).ok()
        });
        let words: Vec<&str> = text.split_whitespace().collect();
        let stopped = Stopped {
            process: words[0].parse().unwrap(),
            parent: words[1].parse().unwrap(),
            dumpable: words[2].parse().unwrap(),
            core: (words[3].parse().unwrap(), words[4].parse().unwrap()),
            probe: usize::from_str_radix(words[5], 16).unwrap(),
        };
        wait_for("a process that stops", || {
            status(stopped.process, "State")?
                .starts_with('T')
                .then_some(())
        });
        stopped
    }

    /// The numbers that are a secret.
    pub fn numbers(&self) -> Vec<Vec<u8>> {
        let lines = fs::read_to_string(self.told.path().join("numbers")).unwrap();
        let octets = |line: &str| -> Vec<u8> {
            let digits = (0..line.len()).step_by(2);
            let octets = digits.map(|at| u8::from_str_radix(&line[at..at + 2], 16));
            octets.collect::<Result<_, _>>().unwrap()
        };
        lines.lines().map(octets).collect()
    }

    /// The process that was started.
    pub fn process(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub fn end(mut self) -> Output {
        let child = self.child.take().unwrap();
        child.wait_with_output().unwrap()
    }
}

/// What is searched for: parts of numbers, in all forms that they may have.
pub struct Needles(Vec<memmem::Finder<'static>>);

impl Needles {
    pub fn new(numbers: &[Vec<u8>]) -> Self {
        let mut all = vec![];
        for number in numbers {
            assert!(number.len() >= CHUNK, "{number:?}");
            for chunk in number.chunks_exact(CHUNK) {
                let hex: String = chunk.iter().map(|octet| format!("{octet:02x}")).collect();
                all.push(chunk.to_vec());
                all.push(chunk.iter().rev().copied().collect());
                all.push(hex.to_uppercase().into_bytes());
                all.push(hex.into_bytes());
                // What does not change with what stands beside it.
                for before in 0..3 {
                    let text = base64::encode_block(&[&vec![0; before], chunk].concat());
                    let start = (before * 8).div_ceil(6);
                    let end = (before + CHUNK) * 8 / 6;
                    all.push(text.as_bytes()[start..end].to_vec());
                }
            }
        }
        let finders = all.iter().map(memmem::Finder::new);
        Needles(finders.map(|finder| finder.into_owned()).collect())
    }

    pub fn are_in(&self, octets: &[u8]) -> bool {
        self.0.iter().any(|needle| needle.find(octets).is_some())
    }

    /// The files below a directory that have one.
    pub fn files(&self, directory: &Path) -> Vec<PathBuf> {
        let mut found = vec![];
        for entry in walkdir::WalkDir::new(directory) {
            let entry = entry.unwrap();
            if !entry.file_type().is_file() {
                continue;
            }
            let content = fs::read(entry.path()).unwrap();
            // PEM has it in lines.
            let line: Vec<u8> = content.iter().copied().filter(|&c| c != b'\n').collect();
            if self.are_in(&content) || self.are_in(&line) {
                found.push(entry.into_path());
            }
        }
        found
    }
}

/// A part of a process' memory that it can write to.
#[derive(Debug)]
pub struct Mapping {
    pub addresses: Range<usize>,
    /// As in /proc/PID/maps.
    pub line: String,
    /// Of `VmFlags`: `lo`.
    pub locked: bool,
}

/// All that a process can write to, and what is in it.
pub fn memory(process: u32) -> Vec<(Mapping, Vec<u8>)> {
    let smaps = fs::read_to_string(format!("/proc/{process}/smaps")).unwrap();
    let memory = fs::File::open(format!("/proc/{process}/mem")).unwrap();
    let mut all: Vec<Mapping> = vec![];
    for line in smaps.lines() {
        let first = line.split(' ').next().unwrap_or_default();
        if let Some((start, end)) = first.split_once('-') {
            let address = |digits| usize::from_str_radix(digits, 16).unwrap();
            all.push(Mapping {
                addresses: address(start)..address(end),
                line: line.to_owned(),
                locked: false,
            });
        } else if let Some(flags) = line.strip_prefix("VmFlags:") {
            all.last_mut().unwrap().locked = flags.split(' ').any(|flag| flag == "lo");
        }
    }
    all.retain(|mapping| mapping.line.split(' ').nth(1).unwrap().contains('w'));
    let content = all.into_iter().map(|mapping| {
        let mut octets = vec![0; mapping.addresses.len()];
        let start = mapping.addresses.start as u64;
        memory
            .read_exact_at(&mut octets, start)
            .unwrap_or_else(|error| panic!("{}: {error}", mapping.line));
        (mapping, octets)
    });
    content.collect()
}

/// Bytes that a process has locked.
pub fn locked(process: u32) -> u64 {
    let text = status(process, "VmLck").unwrap();
    text.trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
