// SPDX-License-Identifier: MIT OR Apache-2.0

//! What came of a run, in few words, in a file that `make report` reads. The boots of the tables
//! leave more ([`crate::record`]).

use std::{path::Path, time::Instant};

use anyhow::Result;
use modsig_testing::results::{write, Stamp};
use serde::{Deserialize, Serialize};

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// `scenario`, `compare`, `instruments`, `integrity`, `secure-boot`, `why` or `distro`.
    pub kind: String,
    /// Which of its kind; may be empty.
    pub name: String,
    /// What it is about.
    pub title: String,
    /// The kernel's series: as asked for, until it is known.
    pub series: String,
    /// The architecture.
    pub arch: String,
    /// Whether all was as it should be.
    pub good: bool,
    /// What it came to: how many of what.
    pub said: String,
    /// What is not as it should be.
    pub details: Vec<String>,
    /// How long it took.
    pub seconds: f64,
    /// When it ended, and of which sources.
    #[serde(flatten)]
    pub stamp: Stamp,
    #[serde(skip, default = "Instant::now")]
    start: Instant,
}

impl Outcome {
    /// That of a run that starts now. It is not good until it says so.
    pub fn begin(kind: &str, name: &str, title: &str, series: &str, arch: &str) -> Self {
        Outcome {
            kind: kind.to_owned(),
            name: name.to_owned(),
            title: title.to_owned(),
            series: series.to_owned(),
            arch: arch.to_owned(),
            good: false,
            said: String::new(),
            details: vec![],
            seconds: 0.0,
            stamp: Stamp::now(),
            start: Instant::now(),
        }
    }

    /// Writes it into its file in a directory, in place of an earlier one. A run that came to no end
    /// was not good.
    pub fn end<T>(&mut self, result: &Result<T>, directory: &Path) -> Result<()> {
        if let Err(error) = result {
            self.good = false;
            self.details.push(format!("{error:#}"));
        }
        self.seconds = self.start.elapsed().as_secs_f64();
        self.stamp = Stamp::now();
        let dash = if self.name.is_empty() { "" } else { "-" };
        let Outcome {
            kind,
            series,
            arch,
            name,
            ..
        } = &*self;
        let path = directory.join(format!("{kind}-{series}-{arch}{dash}{name}.json"));
        write(&path, &(serde_json::to_string_pretty(self)? + "\n"))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn an_outcome_is_read_as_it_was_saved() {
        let work = tempfile::tempdir().unwrap();
        let mut outcome = Outcome::begin("scenario", "mixed", "", "6.12", "arm64");
        outcome.good = true;
        outcome.end(&Ok(()), work.path()).unwrap();
        let text = fs::read_to_string(work.path().join("scenario-6.12-arm64-mixed.json")).unwrap();
        let mut read: Outcome = serde_json::from_str(&text).unwrap();
        read.start = outcome.start;
        assert!(read.good);
        assert_eq!(read, outcome);

        // Whatever it said before.
        let mut outcome = Outcome::begin("compare", "", "", "6.12", "arm64");
        outcome.good = true;
        let error: Result<()> = Err(anyhow::anyhow!("a panic"));
        outcome.end(&error, work.path()).unwrap();
        let text = fs::read_to_string(work.path().join("compare-6.12-arm64.json")).unwrap();
        let read: Outcome = serde_json::from_str(&text).unwrap();
        assert!(!read.good);
        assert_eq!(read.details, ["a panic"]);
    }
}
