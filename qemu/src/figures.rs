// SPDX-License-Identifier: GPL-2.0

//! The file of figures that `make bench` writes.

use std::{fs, io::ErrorKind, path::Path};

use anyhow::{Context, Result};
use serde_json::{json, Value};

/// Writes figures into a file of JSON, at this place in it, with all others that are there: other
/// kernels' and what else was measured.
pub fn save(path: &Path, place: &[&str], figures: Value) -> Result<()> {
    let mut all = match fs::read(path) {
        Ok(text) => serde_json::from_slice(&text)
            .with_context(|| format!("{}: not JSON; delete it", path.display()))?,
        Err(error) if error.kind() == ErrorKind::NotFound => json!({}),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    *place.iter().fold(&mut all, |all, name| &mut all[*name]) = figures;
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let text = serde_json::to_string_pretty(&all)? + "\n";
    fs::write(path, text).with_context(|| path.display().to_string())
}
