// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The C verifier of a kernel tree and this one, asked about the same modules in the same world: the
//! same keys, digests and signatures.

use std::{
    fs,
    path::{Path, PathBuf},
};

pub mod c;
pub mod der;
pub mod documented;
pub mod fuzz;
pub mod generate;
pub mod judge;
pub mod mutate;
pub mod rng;
pub mod shrink;
pub mod world;
// As the kernel compiles it, of which the names of its paths are.
use modsig::verify;
#[path = "../../modsig/pkcs7_fields.rs"]
mod pkcs7_fields;
#[path = "../../modsig/x509_fields.rs"]
mod x509_fields;

/// The files in a directory, by name.
pub fn files(dir: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    Ok(files)
}

/// What is in a file.
pub fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|e| format!("{}: {e}", path.display()))
}
