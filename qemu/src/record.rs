// SPDX-License-Identifier: GPL-2.0

//! What a run of the case tables saw, in a file that `make report` reads.

use std::{
    fs::{self, Permissions},
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::SystemTime,
};

use anyhow::{Context, Result};
use modsig_tools::image;
use serde::{Deserialize, Serialize};

use crate::{
    cost::{code_size, text_and_data},
    harness::{Kernel, Tally, IMAGE},
};

/// In place of a call: the kernel's code was asked on the host.
pub const HOST: &str = "host";

/// A run: the boots of one kernel series on one architecture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The kernel's series.
    pub series: String,
    /// The architecture.
    pub arch: String,
    /// Whether it was the unmodified kernel, with its C verifier.
    pub c: bool,
    /// When, and of which sources.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// What the kernel calls itself, if its modules say so.
    pub release: Option<String>,
    /// The names of all boots that were to be.
    pub planned: Vec<String>,
    /// Why the run came to no end, if it did not.
    pub error: Option<String>,
    /// The boots that came to their end.
    pub boots: Vec<Boot>,
    /// How large the kernels are.
    pub sizes: Vec<Sizes>,
}

/// When something was found out, and of which sources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// The time in UTC, as RFC 3339 has it.
    pub when: String,
    /// What `git describe --always --dirty` said, if there is a git.
    pub commit: Option<String>,
}

/// One boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boot {
    /// What it is called.
    pub name: String,
    /// The flavour of kernel.
    pub flavour: String,
    /// `permissive`, `enforcing` or `lockdown`.
    pub mode: String,
    /// The file of the case table.
    pub table: String,
    /// Where its console was kept.
    pub console: String,
    /// Everything that was looked at, in order.
    pub attempts: Vec<Attempt>,
}

/// Something that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The name of the case.
    pub case: String,
    /// The system call or command, or [`HOST`].
    pub call: String,
    /// What was to come of it.
    pub expected: String,
    /// What came of it.
    pub observed: String,
    /// Whether that is as expected.
    pub ok: bool,
    /// The verifier's log line, if it left one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub log: String,
    /// All else that the kernel and kmod said, if it is not as expected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more: Vec<String>,
}

/// How large a kernel is, in octets; what could not be read is nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sizes {
    /// The flavour of kernel.
    pub flavour: String,
    /// The image that is booted.
    pub image: Option<u64>,
    /// Code and read-only data of vmlinux, as `size` counts them.
    pub text: Option<u64>,
    /// Data of vmlinux, without what is zero at first.
    pub data: Option<u64>,
    /// Code and read-only data of the verifier.
    pub modsig: Option<u64>,
}

impl Record {
    /// A run that starts now.
    pub fn new(series: &str, arch: &str, c: bool, planned: Vec<String>) -> Self {
        Record {
            series: series.to_owned(),
            arch: arch.to_owned(),
            c,
            stamp: Stamp::now(),
            release: None,
            planned,
            error: None,
            boots: vec![],
            sizes: vec![],
        }
    }

    /// Notes a kernel that is booted.
    pub fn add_kernel(&mut self, kernel: &Kernel, flavour: &str) {
        self.series.clone_from(&kernel.series);
        if let Ok(module) = fs::read(kernel.directory.join("modules/test_module.ko")) {
            let release = image::vermagic(&module).and_then(|magic| magic.split(' ').next());
            self.release = release.map(str::to_owned);
        }
        self.sizes.push(Sizes::read(&kernel.directory, flavour));
    }

    /// How many of all that was looked at are as expected.
    pub fn tally(&self) -> Tally {
        let mut sum = Tally::default();
        for tally in self.boots.iter().map(Boot::tally) {
            sum.total += tally.total;
            sum.good += tally.good;
        }
        sum
    }

    /// Writes it into its file in a directory, in place of an earlier run's.
    pub fn save(&self, directory: &Path) -> Result<PathBuf> {
        let c = if self.c { "-c" } else { "" };
        let path = directory.join(format!("cases-{}-{}{c}.json", self.series, self.arch));
        write(&path, &(serde_json::to_string_pretty(self)? + "\n"))?;
        Ok(path)
    }
}

impl Boot {
    /// How many of all that was looked at are as expected.
    pub fn tally(&self) -> Tally {
        Tally {
            total: self.attempts.len(),
            good: self.attempts.iter().filter(|attempt| attempt.ok).count(),
        }
    }
}

impl Attempt {
    /// Something that is as expected if it is just that.
    pub fn new(case: &str, call: &str, expected: &str, observed: &str) -> Self {
        Attempt {
            case: case.to_owned(),
            call: call.to_owned(),
            expected: expected.to_owned(),
            observed: observed.to_owned(),
            ok: expected == observed,
            log: String::new(),
            more: vec![],
        }
    }
}

impl Stamp {
    /// Now, and the tree that this was built in.
    pub fn now() -> Self {
        let git = Command::new("git")
            .args(["-C", env!("CARGO_MANIFEST_DIR")])
            .args(["describe", "--always", "--dirty"])
            .stderr(Stdio::null())
            .output();
        let said = git.ok().filter(|git| git.status.success());
        let commit = said.map(|git| String::from_utf8_lossy(&git.stdout).trim().to_owned());
        Stamp {
            when: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            commit,
        }
    }
}

impl Sizes {
    /// Reads them from what `scripts/build/kernel` made.
    fn read(kernel: &Path, flavour: &str) -> Self {
        let vmlinux = text_and_data(&kernel.join("vmlinux")).ok();
        Sizes {
            flavour: flavour.to_owned(),
            image: fs::metadata(kernel.join(IMAGE)).map(|file| file.len()).ok(),
            text: vmlinux.map(|(text, _)| text),
            data: vmlinux.map(|(_, data)| data),
            modsig: code_size(&kernel.join("modsig.o")).ok(),
        }
    }
}

/// Writes a file so that whoever reads it meanwhile, or after a crash, finds the old one or the new
/// one.
pub fn write(path: &Path, text: &str) -> Result<()> {
    let write = || -> Result<()> {
        let directory = match path.parent() {
            Some(directory) if !directory.as_os_str().is_empty() => directory,
            _ => Path::new("."),
        };
        fs::create_dir_all(directory)?;
        let mut file = tempfile::Builder::new()
            // The umask takes away what others are not to have.
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(directory)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().with_context(|| format!("{}: cannot write", path.display()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A run with one boot.
    pub(crate) fn record(arch: &str, attempts: Vec<Attempt>) -> Record {
        Record {
            stamp: Stamp {
                when: "2026-11-25T15:00:00Z".to_owned(),
                commit: Some("0123456".to_owned()),
            },
            boots: vec![Boot {
                name: "permissive".to_owned(),
                flavour: "permissive".to_owned(),
                mode: "permissive".to_owned(),
                table: "cases.toml".to_owned(),
                console: "build/console/x.log".to_owned(),
                attempts,
            }],
            ..Record::new("6.12", arch, false, vec!["permissive".to_owned()])
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_saved() {
        let work = tempfile::tempdir().unwrap();
        let mut record = record("arm64", vec![Attempt::new("a", HOST, "loads", "EPERM")]);
        record.boots[0].attempts[0].log = "modsig: \"<&\u{1}".to_owned();
        record.boots[0].attempts[0].more = vec!["x".to_owned()];
        record.error = Some("lost".to_owned());
        record.sizes = vec![Sizes::read(work.path(), "force")];
        let build = work.path().join("build");
        for _ in 0..2 {
            let path = record.save(&build).unwrap();
            assert_eq!(path, build.join("cases-6.12-arm64.json"));
            let text = fs::read_to_string(path).unwrap();
            assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
            record.boots.clear();
        }
        record.c = true;
        let path = record.save(&build).unwrap();
        assert_eq!(path, build.join("cases-6.12-arm64-c.json"));
        // Nothing else is left lying there.
        assert_eq!(fs::read_dir(&build).unwrap().count(), 2);
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let error = write(Path::new("/proc/none/x.json"), "").unwrap_err();
        assert!(error.to_string().contains("/proc/none/x.json"), "{error}");
    }
}
