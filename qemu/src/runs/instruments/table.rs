// SPDX-License-Identifier: MIT OR Apache-2.0

//! The case table, and the tests that the kernel has in itself.

use std::fs;

use anyhow::Result;
use modsig_tools::platform::Mode;

use super::{Check, OPTIONS};
use crate::{
    corpus::cases::Table,
    machine::{
        boot::{Boot, MODES},
        kernels::{Kernel, DEBUG, IMAGE},
    },
    runs::{
        boots::Harness,
        seen::{Tallies, Tally},
    },
};

/// The case table as in the boot tests, in all modes; that of releases in one.
pub fn table(harness: &Harness, kernel: &Kernel, checks: &mut Vec<Check>) -> Result<()> {
    const NAMES: [&str; 3] = ["debug-permissive", "debug-sig_enforce", "debug-lockdown"];
    let modes = NAMES.into_iter().zip(MODES);
    let signatures = modes.map(|(name, mode)| (name, mode, Table::Signatures));
    let releases = ("debug-releases", Mode::Permissive, Table::Releases);
    for (name, mode, table) in signatures.chain([releases]) {
        let boot = Boot {
            name,
            flavour: DEBUG,
            image: IMAGE,
            table,
            mode,
        };
        let outcome = harness.table(kernel, &boot, &OPTIONS, true);
        checks.push(match outcome {
            Ok(booted) => {
                let tallies = Tallies::of(&booted.observations);
                let Tally { total, good } = tallies.insertions;
                Check::new(
                    format!("{name}: case table, no report"),
                    format!("{total} cases, {good} as expected"),
                    tallies.bad() == 0,
                )
            }
            Err(error) => Check::new(
                format!("{name}: case table, no report"),
                format!("{error:#}"),
                false,
            ),
        });
    }
    let console = harness.guest(kernel, IMAGE, NAMES[0]).console;
    checks.push(kunit(&String::from_utf8_lossy(&fs::read(console)?)));
    Ok(())
}

/// The results of tests that ran inside the kernel while it booted.
fn kunit(console: &str) -> Check {
    let results = console.lines().filter_map(|line| {
        let text = line.rsplit("] ").next().unwrap_or(line).trim_start();
        let number = text
            .strip_prefix("ok ")
            .map(|rest| (true, rest))
            .or(text.strip_prefix("not ok ").map(|rest| (false, rest)))?;
        number
            .1
            .starts_with(|c: char| c.is_ascii_digit())
            .then_some((number.0, text))
    });
    let (good, bad): (Vec<_>, Vec<_>) = results.partition(|(good, _)| *good);
    let mut check = Check::new(
        "tests in the kernel",
        match good.len() + bad.len() {
            0 => "this kernel has none".to_owned(),
            _ => format!("{} ok, {} not", good.len(), bad.len()),
        },
        bad.is_empty(),
    );
    check.details = bad.iter().map(|(_, line)| (*line).to_owned()).collect();
    check
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_ktap() {
        let console =
            "[    1.0]     ok 1 good_vectors\n[    1.1]     not ok 2 bad\n[ 1.2] ok then\n";
        let check = kunit(console);
        assert_eq!(check.seen, "1 ok, 1 not");
        assert!(!check.good);
        assert!(kunit("nothing\n").good);
    }
}
