// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a run of the case tables saw, in a file that `make report` reads.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;
use modsig_testing::results::{write, Stamp};
use modsig_tools::loader::Loadable;
use serde::{Deserialize, Serialize};

use crate::{
    machine::kernels::{Kernel, IMAGE},
    runs::{
        cost::{code_size, text_and_data},
        seen::{Booted, Observation, Tallies},
    },
};

pub mod report;

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
    pub boots: Vec<Booted>,
    /// How large the kernels are.
    pub sizes: Vec<Sizes>,
}

/// How large a kernel is, in bytes; what could not be read is nothing.
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
        kernel.series.name().clone_into(&mut self.series);
        if let Ok(module) = fs::read(kernel.directory.join("modules/test_module.ko")) {
            let module = Loadable::read(&module);
            let release = module.as_ref().ok().and_then(Loadable::release);
            self.release = release.map(str::to_owned);
        }
        self.sizes.push(Sizes::read(&kernel.directory, flavour));
    }

    /// Everything that was looked at.
    pub fn observations(&self) -> impl Iterator<Item = &Observation> {
        self.boots.iter().flat_map(|boot| &boot.observations)
    }

    /// How many of all that was looked at are as expected.
    pub fn tallies(&self) -> Tallies {
        Tallies::of(self.observations())
    }

    /// Writes it into its file in a directory, in place of an earlier run's.
    pub fn save(&self, directory: &Path) -> Result<PathBuf> {
        let c = if self.c { "-c" } else { "" };
        let path = directory.join(format!("cases-{}-{}{c}.json", self.series, self.arch));
        write(&path, &(serde_json::to_string_pretty(self)? + "\n"))?;
        Ok(path)
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::runs::seen::HOST;

    /// A run with one boot.
    pub(crate) fn record(arch: &str, observations: Vec<Observation>) -> Record {
        Record {
            stamp: Stamp {
                when: "2026-11-25T15:00:00Z".to_owned(),
                commit: Some("0123456".to_owned()),
            },
            boots: vec![Booted {
                name: "permissive".to_owned(),
                flavour: "permissive".to_owned(),
                mode: "permissive".to_owned(),
                table: "cases.toml".to_owned(),
                console: "build/console/x.log".to_owned(),
                observations,
            }],
            ..Record::new("6.12", arch, false, vec!["permissive".to_owned()])
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_saved() {
        let work = tempfile::tempdir().unwrap();
        let mut record = record("arm64", vec![Observation::new("a", HOST, "loads", "EPERM")]);
        record.boots[0].observations[0].log = "modsig: \"<&\u{1}".to_owned();
        record.boots[0].observations[0].more = vec!["x".to_owned()];
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
}
