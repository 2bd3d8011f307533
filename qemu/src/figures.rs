// SPDX-License-Identifier: GPL-2.0

//! The file of figures that `make bench` writes.

use std::{fs, io::ErrorKind, path::Path};

use anyhow::{Context, Result};
use serde_json::{json, Value};

use crate::record::{write, Stamp};

/// Where it is said when, and of which sources, figures were measured: at the same place below this.
pub const MEASURED: &str = "measured";

/// Writes figures into a file of JSON, at this place in it, with all others that are there: other
/// kernels' and what else was measured.
pub fn save(path: &Path, place: &[&str], figures: Value) -> Result<()> {
    let mut all = match fs::read(path) {
        Ok(text) => serde_json::from_slice(&text)
            .with_context(|| format!("{}: not JSON; delete it", path.display()))?,
        Err(error) if error.kind() == ErrorKind::NotFound => json!({}),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    let stamp = serde_json::to_value(Stamp::now())?;
    let measured = &mut all[MEASURED];
    *place.iter().fold(measured, |all, name| &mut all[*name]) = stamp;
    *place.iter().fold(&mut all, |all, name| &mut all[*name]) = figures;
    write(path, &(serde_json::to_string_pretty(&all)? + "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_saved_beside_others_with_their_time() {
        let work = tempfile::tempdir().unwrap();
        let path = work.path().join("build/bench.json");
        save(&path, &["host", "a"], json!(1)).unwrap();
        save(&path, &["guest", "6.12 arm64"], json!([2])).unwrap();
        save(&path, &["host", "a"], json!(3)).unwrap();
        let all: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(all["host"], json!({ "a": 3 }));
        assert_eq!(all["guest"], json!({ "6.12 arm64": [2] }));
        assert!(all[MEASURED]["host"]["a"]["when"].is_string());
        assert!(all[MEASURED]["guest"]["6.12 arm64"]["when"].is_string());

        fs::write(&path, "{").unwrap();
        let error = save(&path, &["host"], json!(1)).unwrap_err();
        assert!(error.to_string().contains("bench.json"), "{error}");
    }
}
