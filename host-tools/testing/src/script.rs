// SPDX-License-Identifier: MIT OR Apache-2.0

//! The scripts of the project, and programs that must succeed.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{ensure, Context, Result};

/// Where a script of the project is.
pub fn path_of(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../scripts")
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

/// Where a test kernel is that was built before: a test builds none. Without it this fails, and
/// says what builds it.
pub fn kernel(series: &str, arch: &str, flavour: &str) -> Result<PathBuf> {
    script("build/kernel", &["--built", series, arch, flavour])
}

/// Runs a program that must succeed.
pub fn run(command: &mut Command) -> Result<()> {
    let program = Path::new(command.get_program()).display().to_string();
    let output = command.output().with_context(|| program.clone())?;
    ensure!(
        output.status.success(),
        "{program}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
