// SPDX-License-Identifier: MIT OR Apache-2.0

//! `ml-dsa-keys DIRECTORY`: the keys of `scripts/build/keys` that OpenSSL may not be able to make. Not
//! a command of the harness, because the first kernel waits for it.

use std::path::PathBuf;

use anyhow::{Context, Result};
use modsig::verify::KeyAlgorithm::{MlDsa44, MlDsa65, MlDsa87};
use modsig_testing::ml_dsa::write_pair;

fn main() -> Result<()> {
    let directory = std::env::args_os().nth(1);
    let directory = PathBuf::from(directory.context("usage: ml-dsa-keys DIRECTORY")?);
    for (name, algorithm) in [
        ("mldsa44", MlDsa44),
        ("mldsa65", MlDsa65),
        ("mldsa87", MlDsa87),
        ("mldsa-untrusted", MlDsa65),
    ] {
        write_pair(&directory, name, algorithm)?;
    }
    Ok(())
}
