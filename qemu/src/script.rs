// SPDX-License-Identifier: GPL-2.0

//! The scripts of the project.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{ensure, Context, Result};

/// Where a script of the project is.
pub fn path_of(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../scripts")
        .join(name)
}

/// Runs a script of the project and returns the last line that it prints.
pub fn script(name: &str, arguments: &[&str]) -> Result<PathBuf> {
    let path = path_of(name);
    let output = Command::new(&path)
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| path.display().to_string())?;
    ensure!(output.status.success(), "scripts/{name} failed");
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().last().context("no output")?.into())
}
