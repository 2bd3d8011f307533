// SPDX-License-Identifier: GPL-2.0

//! What both programs need of the project: its scripts, and its keys on the host.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{ensure, Context, Result};
use modsig_tools::{keys, platform::Host};

/// Runs a script of the project and returns the last line that it prints.
pub fn script(name: &str, arguments: &[&str]) -> Result<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../scripts")
        .join(name);
    let output = Command::new(&path)
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| path.display().to_string())?;
    ensure!(output.status.success(), "scripts/{name} failed");
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().last().context("no output")?.into())
}

/// The same keys on the host as in the test kernels (`scripts/test-keys`).
pub fn host(directory: &Path) -> Result<Host> {
    let mut host = Host::default();
    for certificate in keys::certificates(&directory.join("trusted.pem"))? {
        host.trust(&certificate)?;
    }
    for certificate in keys::certificates(&directory.join("revoked.pem"))? {
        host.revoke(&certificate)?;
    }
    let blacklisted = std::fs::read(directory.join("blacklisted.ko"))?;
    host.blacklist(openssl::sha::sha256(&blacklisted));
    Ok(host)
}
