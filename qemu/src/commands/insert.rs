// SPDX-License-Identifier: MIT OR Apache-2.0

//! `insert`: files of one's own, in one boot.

use std::path::PathBuf;

use anyhow::{Context, Result};
use modsig_qemu::{
    machine::{
        boot::{Boot, RUST, UNMODIFIED_C},
        guest::Guest,
    },
    runs::boots::Harness,
};

use super::target::Target;

/// Insert modules and print what comes of each; exit with 1 if one is not loaded
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Boot the unmodified kernel with its C verifier instead
    #[arg(long)]
    c: bool,
    /// The boot to insert them in: permissive, sig_enforce, lockdown or force; by hashes too:
    /// hashes-permissive ...; by hashes only: hashes-only-permissive ..., hashes-only-no-root; with
    /// --c: c-permissive ...
    #[arg(
        long,
        value_name = "NAME",
        default_value_if("c", "true", "c-sig_enforce"),
        default_value = "sig_enforce"
    )]
    boot: String,
    /// Boot this kernel image, with the command line of that boot, in place of the one that it has
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// The modules
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Prints a line for each file: what came of it, and the kernel's own log line.
pub fn run(arguments: &Arguments) -> Result<bool> {
    let boots: &[Boot] = if arguments.c { &UNMODIFIED_C } else { &RUST };
    let boot = boots.iter().find(|boot| boot.name == arguments.boot);
    let boot = boot.with_context(|| {
        let names: Vec<_> = boots.iter().map(|boot| boot.name).collect();
        let names = names.join(", ");
        format!("no boot {:?}; there are {names}", arguments.boot)
    })?;
    let harness = Harness::new(&arguments.target.arch)?;
    let series = &arguments.target.kernel;
    let name = format!("insert-{}", boot.name);
    let guest = match &arguments.image {
        Some(image) => {
            let console = format!("{series}-{}-{name}", harness.arch.name);
            Guest::new(harness.arch, image, &console)
        }
        None => harness.guest(&harness.kernel(series, boot.flavour)?, boot.image, &name),
    };
    let attempts = harness.insert(guest, boot, &arguments.files)?;
    let mut all = true;
    for (path, attempt) in arguments.files.iter().zip(&attempts) {
        all &= attempt.is_good();
        let line = format!(
            "{}: {}  {}",
            path.display(),
            attempt.outcome(),
            attempt.verdict_line()
        );
        println!("{}", line.trim_end());
    }
    Ok(all)
}
