// SPDX-License-Identifier: MIT OR Apache-2.0

//! What there is in `build`.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use maud::{html, Markup};
use modsig_testing::results::Stamp;
use serde::de::DeserializeOwned;

use super::{
    bench::Bench,
    steps::{self, Step},
    words::verifier,
};
use crate::{record::Record, runs::outcome::Outcome};

/// What the last runs left.
pub struct Inputs {
    /// Runs of the case tables: modsig's before C's, by series and architecture.
    pub(super) records: Vec<Record>,
    /// Scenarios, comparisons and instruments, in the order of their names.
    pub(super) outcomes: Vec<Outcome>,
    /// The steps of `make test`.
    pub(super) steps: Vec<Step>,
    /// What `make bench` has measured.
    pub(super) bench: Option<Bench>,
    /// Files that could not be read, and why.
    pub(super) unreadable: Vec<String>,
    /// When this is read.
    pub(super) now: Stamp,
}

impl Inputs {
    /// Reads all of it. A file that is damaged is told on the page; there may be none at all.
    pub fn read(build: &Path) -> Result<Self> {
        let mut inputs = Inputs {
            records: vec![],
            outcomes: vec![],
            steps: vec![],
            bench: None,
            unreadable: vec![],
            now: Stamp::now(),
        };
        for path in files(build)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let read = match name.split(['-', '.']).next() {
                Some("cases") => json(&path).map(|record| inputs.records.push(record)),
                Some(
                    "scenario" | "compare" | "instruments" | "integrity" | "secure" | "why"
                    | "distro",
                ) => json(&path).map(|outcome| inputs.outcomes.push(outcome)),
                Some("bench") => json(&path).map(|bench| inputs.bench = Some(bench)),
                _ => Ok(()),
            };
            if let Err(error) = read {
                inputs.unreadable.push(format!("{error:#}"));
            }
        }
        inputs.read_steps(&build.join("steps.jsonl"))?;
        // The order of names, but that 6.12 is older than 10.1, and x86_64 comes first.
        inputs.records.sort_by_cached_key(|record| {
            let order = order(&record.series, &record.arch);
            (record.c, order)
        });
        inputs.outcomes.sort_by_cached_key(|outcome| {
            let order = order(&outcome.series, &outcome.arch);
            (outcome.kind.clone(), outcome.name.clone(), order)
        });
        Ok(inputs)
    }

    fn read_steps(&mut self, path: &Path) -> Result<()> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            text => text.with_context(|| path.display().to_string())?,
        };
        let (steps, unreadable) = steps::read(&text);
        self.steps = steps;
        let named = |error| format!("{}, {error}", path.display());
        self.unreadable.extend(unreadable.into_iter().map(named));
        Ok(())
    }

    /// What is wrong with runs as a whole.
    pub(super) fn troubles(&self) -> Vec<Markup> {
        let unreadable = self.unreadable.iter().map(|error| {
            html! { div.failure { p { span.mark.bad { "unreadable" } " " (error) } } }
        });
        let ended = self.records.iter().filter_map(|record| {
            let error = record.error.as_ref()?;
            let left = record.planned.len().saturating_sub(record.boots.len());
            Some(html! {
                div.failure {
                    p {
                        span.mark.bad { "did not end" } " Linux " (record.series) ", " (record.arch)
                        ", " (verifier(record.c)) ": " (left) " of " (record.planned.len())
                        " boots are missing"
                    }
                    pre { (error) }
                }
            })
        });
        unreadable.chain(ended).collect()
    }
}

/// By which series and architectures are put in order.
pub(super) fn order(series: &str, arch: &str) -> (Vec<u32>, bool, String) {
    let numbers = series
        .split('.')
        .map(|part| part.parse().unwrap_or(u32::MAX));
    (numbers.collect(), arch != "x86_64", arch.to_owned())
}

/// The files of JSON in a directory, in the order of their names.
fn files(build: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(build) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => return Err(error).with_context(|| build.display().to_string()),
    };
    let mut files = vec![];
    for entry in entries {
        let path = entry.with_context(|| build.display().to_string())?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read(path).with_context(|| format!("{}: cannot read", path.display()))?;
    serde_json::from_slice(&text).with_context(|| {
        format!(
            "{}: not what a run of this version writes; run that again, or delete the file",
            path.display()
        )
    })
}
