// SPDX-License-Identifier: GPL-2.0

//! The subcommands, one file each.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use modsig_tools::files;
use serde_json::Value;

mod certs;
mod inspect;
mod keygen;
mod sign;
mod strip;
mod verify;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Sign modules
    Sign(sign::Arguments),
    /// Say what a kernel with these certificates would do with modules
    Verify(verify::Arguments),
    /// Show what is appended to modules
    Inspect(inspect::Arguments),
    /// Take signatures off modules
    Strip(strip::Arguments),
    /// List the certificates that a kernel image has built in
    Certs(certs::Arguments),
    /// Make a key and its certificate
    Keygen(keygen::Arguments),
}

pub(crate) fn run(command: Command) -> ExitCode {
    let result = match command {
        Command::Sign(arguments) => sign::run(&arguments),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Strip(arguments) => strip::run(&arguments),
        Command::Certs(arguments) => certs::run(&arguments),
        Command::Keygen(arguments) => keygen::run(&arguments),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("modsig: {error:#}");
            // Nothing was done: for a verifier that is not the same as "bad".
            ExitCode::from(match_failure())
        }
    }
}

/// `verify` tells "could not run" (2) from "some are bad" (1); for the others both are a failure.
fn match_failure() -> u8 {
    match std::env::args().nth(1).as_deref() {
        Some("verify" | "certs") => 2,
        _ => 1,
    }
}

/// What became of one file: what is printed for it, and whether it is as it should be.
pub(crate) struct Done {
    pub(crate) text: String,
    pub(crate) json: Value,
    pub(crate) good: bool,
}

/// Does something with each module; prints a line or a JSON object for each and a summary.
/// An error concerns its file only.
pub(crate) fn each(
    paths: &[PathBuf],
    json: bool,
    verb: &str,
    work: impl Fn(&files::Found) -> Result<Done>,
) -> ExitCode {
    let (mut good, mut bad) = (0, 0);
    let mut objects = vec![];
    for found in files::walk(paths) {
        let done = found.and_then(|found| work(&found));
        match done {
            Ok(done) => {
                if done.good {
                    good += 1;
                } else {
                    bad += 1;
                }
                if json {
                    objects.push(done.json);
                } else {
                    println!("{}", done.text);
                }
            }
            Err(error) => {
                bad += 1;
                eprintln!("modsig: {error:#}");
                objects.push(serde_json::json!({ "error": format!("{error:#}") }));
            }
        }
    }
    if json {
        println!("{}", Value::Array(objects));
    } else {
        println!("{good} {verb}, {bad} not");
    }
    if good + bad == 0 {
        eprintln!("modsig: no modules (*.ko) found");
        return ExitCode::FAILURE;
    }
    ExitCode::from(u8::from(bad != 0))
}
