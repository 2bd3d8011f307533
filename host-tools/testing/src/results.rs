// SPDX-License-Identifier: MIT OR Apache-2.0

//! The files that runs leave in `build`: written whole, with a stamp of when and of which sources;
//! and that of the figures of `make bench`.

use std::{
    fs::{self, Permissions},
    io::{ErrorKind, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
    time::SystemTime,
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::{json, Value};

/// What was measured of one thing, in the file of figures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// What one has to know of it.
    #[serde(default)]
    pub note: String,
    /// The ratios that it is about.
    pub tables: Vec<Table>,
    /// Whatever else there is to know.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub more: Value,
}

/// Ratios of one kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// What they are of.
    pub title: String,
    /// What the numbers of each row are.
    pub columns: Vec<String>,
    /// What is divided by what.
    pub ratio: String,
    /// The rows.
    pub rows: Vec<Row>,
}

/// One ratio.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What it is of.
    pub what: String,
    /// A number for each column.
    pub numbers: Vec<f64>,
    /// The ratio; `None` if there is nothing to divide by.
    pub ratio: Option<f64>,
    /// What it is to be, if anything.
    pub goal: Option<Goal>,
}

/// What a ratio is to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Goal {
    /// In words.
    pub words: String,
    /// The ratio that is just good enough.
    pub at: f64,
    /// Whether it is that.
    pub reached: bool,
}

impl Goal {
    /// What is printed behind a row that may have a goal.
    pub fn verdict(goal: Option<&Goal>) -> String {
        match goal {
            Some(goal) if goal.reached => format!("ok: {}", goal.words),
            Some(goal) => format!("MISSED: {}", goal.words),
            None => String::new(),
        }
    }
}

impl Table {
    /// A table without rows.
    pub fn new(title: &str, columns: &[&str], ratio: &str) -> Self {
        Table {
            title: title.to_owned(),
            columns: columns.iter().map(|&name| name.to_owned()).collect(),
            ratio: ratio.to_owned(),
            rows: vec![],
        }
    }
}

impl Measured {
    /// How many goals were missed.
    pub fn missed(&self) -> usize {
        let rows = self.tables.iter().flat_map(|table| &table.rows);
        let goals = rows.filter_map(|row| row.goal.as_ref());
        goals.filter(|goal| !goal.reached).count()
    }
}

/// Where it is said when, and of which sources, figures were measured: at the same place below this.
pub const MEASURED: &str = "measured";

/// Writes figures into a file of JSON, at this place in it, with all others that are there: other
/// kernels' and what else was measured.
pub fn save_figures(path: &Path, place: &[&str], figures: &Measured) -> Result<()> {
    let mut all = match fs::read(path) {
        Ok(text) => serde_json::from_slice(&text)
            .with_context(|| format!("{}: not JSON; delete it", path.display()))?,
        Err(error) if error.kind() == ErrorKind::NotFound => json!({}),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    let stamp = serde_json::to_value(Stamp::now())?;
    let measured = &mut all[MEASURED];
    *place.iter().fold(measured, |all, name| &mut all[*name]) = stamp;
    *place.iter().fold(&mut all, |all, name| &mut all[*name]) = serde_json::to_value(figures)?;
    write(path, &(serde_json::to_string_pretty(&all)? + "\n"))
}

/// When something was found out, and of which sources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// The time in UTC, as RFC 3339 has it.
    pub when: String,
    /// What `git describe --always --dirty` said, if there is a git.
    pub commit: Option<String>,
}

impl Stamp {
    /// Now, and the tree that this was built in.
    pub fn now() -> Self {
        let git = Command::new("git")
            .args(["-C", env!("CARGO_MANIFEST_DIR")])
            .args(["describe", "--always", "--dirty"])
            .stderr(Stdio::null())
            .output();
        let said = git.ok().filter(|git| git.status.success());
        let commit = said.map(|git| String::from_utf8_lossy(&git.stdout).trim().to_owned());
        Stamp {
            when: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            commit,
        }
    }
}

/// Writes a file so that whoever reads it meanwhile, or after a crash, finds the old one or the new
/// one.
pub fn write(path: &Path, text: &str) -> Result<()> {
    let write = || -> Result<()> {
        let directory = match path.parent() {
            Some(directory) if !directory.as_os_str().is_empty() => directory,
            _ => Path::new("."),
        };
        fs::create_dir_all(directory)?;
        let mut file = tempfile::Builder::new()
            // The umask takes away what others are not to have.
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(directory)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().with_context(|| format!("{}: cannot write", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_saved_beside_others_with_their_time() {
        let work = tempfile::tempdir().unwrap();
        let path = work.path().join("build/bench.json");
        let figures = |note: &str| Measured {
            note: note.to_owned(),
            ..Measured::default()
        };
        save_figures(&path, &["host", "a"], &figures("1")).unwrap();
        save_figures(&path, &["guest", "6.12 arm64"], &figures("2")).unwrap();
        save_figures(&path, &["host", "a"], &figures("3")).unwrap();
        let all: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(all["host"], json!({ "a": figures("3") }));
        assert_eq!(all["guest"], json!({ "6.12 arm64": figures("2") }));
        assert!(all[MEASURED]["host"]["a"]["when"].is_string());
        assert!(all[MEASURED]["guest"]["6.12 arm64"]["when"].is_string());

        fs::write(&path, "{").unwrap();
        let error = save_figures(&path, &["host"], &figures("1")).unwrap_err();
        assert!(error.to_string().contains("bench.json"), "{error}");
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let error = write(Path::new("/proc/none/x.json"), "").unwrap_err();
        assert!(error.to_string().contains("/proc/none/x.json"), "{error}");
    }
}
