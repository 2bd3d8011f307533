// SPDX-License-Identifier: GPL-2.0

//! `keys`: the keys of `scripts/build/keys` that OpenSSL may not be able to make.

use std::path::PathBuf;

use anyhow::Result;
use modsig::verify::KeyAlgorithm::{MlDsa44, MlDsa65, MlDsa87};
use modsig_testing::ml_dsa::write_pair;

/// Make the ML-DSA keys of the test kernels, for scripts/build/keys
#[derive(clap::Args)]
pub struct Arguments {
    /// Where they go
    directory: PathBuf,
}

pub fn run(arguments: &Arguments) -> Result<bool> {
    for (name, algorithm) in [
        ("mldsa44", MlDsa44),
        ("mldsa65", MlDsa65),
        ("mldsa87", MlDsa87),
        ("mldsa-untrusted", MlDsa65),
    ] {
        write_pair(&arguments.directory, name, algorithm)?;
    }
    Ok(true)
}
