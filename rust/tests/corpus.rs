// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Replays the inputs of the fuzz targets: what is interesting, and what has failed once.

mod common;
mod invariants;

use std::{fs, path::Path};

use invariants::{seeds, Target, TARGETS};

/// Gives a target each file of a folder; returns how many there are.
fn replay(folder: &str, target: Target) -> usize {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = fs::read_dir(dir).into_iter().flatten().map(|entry| {
        let path = entry.expect("can be listed").path();
        // Shown if the test fails, which is how the input is found.
        println!("{}", path.display());
        target(&fs::read(&path).expect("can be read"));
    });
    files.count()
}

#[test]
fn invariants_hold_for_the_corpus() {
    for (name, target) in TARGETS {
        let count = replay(&format!("fuzz/corpus/{name}"), target);
        assert!(count > 0, "no corpus for {name}");
    }
}

#[test]
fn invariants_hold_for_what_the_corpus_grew_out_of() {
    for (of, name, input) in seeds::seeds() {
        println!("{of} {name}");
        let (_, target) = TARGETS
            .into_iter()
            .find(|(target, _)| *target == of)
            .expect("is a target");
        target(&input);
    }
}

#[test]
fn invariants_hold_for_what_has_failed_once() {
    let count: usize = TARGETS
        .iter()
        .map(|(name, target)| replay(&format!("fuzz/regressions/{name}"), *target))
        .sum();
    assert!(count > 0, "no inputs");
}
