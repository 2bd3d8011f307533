// SPDX-License-Identifier: GPL-2.0

//! `ml-dsa-keys DIRECTORY`: the keys of `scripts/build/keys` that OpenSSL may not be able to make.

use std::{path::Path, process::ExitCode};

use anyhow::{Context, Result};
use modsig::verify::KeyAlgorithm::{MlDsa44, MlDsa65, MlDsa87};
use modsig_qemu::ml_dsa::write_pair;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ml-dsa-keys: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let directory = std::env::args_os()
        .nth(1)
        .context("usage: ml-dsa-keys DIRECTORY")?;
    for (name, algorithm) in [
        ("mldsa44", MlDsa44),
        ("mldsa65", MlDsa65),
        ("mldsa87", MlDsa87),
        ("mldsa-untrusted", MlDsa65),
    ] {
        write_pair(Path::new(&directory), name, algorithm)?;
    }
    Ok(())
}
