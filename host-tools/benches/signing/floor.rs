// SPDX-License-Identifier: MIT OR Apache-2.0

//! What cannot be saved: the signatures themselves.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result};

use crate::common::measure::Cost;

/// What the bare signatures for so many modules take on all processors, by `openssl speed`.
pub(crate) fn bare(algorithm: &str, count: usize, processors: usize) -> Result<Cost> {
    let speed = |options: &[&str]| {
        let mut command = Command::new("openssl");
        command.args(["speed", "-seconds", "2"]).args(options);
        command.arg(algorithm).stderr(Stdio::null());
        command
    };
    // Signatures in a second of the clock, by as many processes as there are processors.
    let together = speed(&["-elapsed", "-multi", &processors.to_string()]).output()?;
    let wall = count as f64 / rate(&together.stdout)?;
    // Signatures in a second of a processor; all of them busy here too, for they share more than
    // their number shows.
    let alone: Vec<Child> = (0..processors)
        .map(|_| speed(&[]).stdout(Stdio::piped()).spawn())
        .collect::<Result<_, _>>()?;
    let mut cpu = 0.0;
    for child in alone {
        let output = child.wait_with_output()?;
        cpu += count as f64 / rate(&output.stdout)? / processors as f64;
    }
    Ok(Cost {
        wall,
        cpu,
        memory: None,
    })
}

/// This program, told to do nothing but sign, with whatever library signs so many modules.
pub(crate) fn by_library(words: &[&Path; 4]) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--bare").args(words);
    Ok(command)
}

/// The signatures in a second: in the last line the last but one, before the verifications.
fn rate(output: &[u8]) -> Result<f64> {
    let text = String::from_utf8_lossy(output);
    let last = text.lines().last().unwrap_or_default();
    last.split_whitespace()
        .nth_back(1)
        .and_then(|rate| rate.parse().ok())
        .with_context(|| format!("openssl speed says something else: {last:?}"))
}
