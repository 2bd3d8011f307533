// SPDX-License-Identifier: GPL-2.0

use std::{path::PathBuf, process::ExitCode};

use anyhow::{ensure, Result};
use modsig::verify::{check, Error, Flags};
use modsig_tools::{
    files, keys, ml_dsa,
    platform::{outcome, Host, Mode, NO_ML_DSA},
};

use super::{each, Done};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Trusted certificates (PEM, any number in a file, or DER); may be repeated
    #[arg(long, required = true, value_name = "FILE")]
    cert: Vec<PathBuf>,
    /// The firmware's certificates, asked when no other is known
    #[arg(long, value_name = "FILE")]
    platform_cert: Vec<PathBuf>,
    /// Revoked certificates
    #[arg(long, value_name = "FILE")]
    revoked_cert: Vec<PathBuf>,
    /// Do not count an unsigned module as bad
    #[arg(long)]
    allow_unsigned: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Modules, or directories with modules (*.ko)
    #[arg(required = true)]
    paths: Vec<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut host = Host::default();
    for path in &arguments.cert {
        for certificate in keys::certificates(path)? {
            host.trust(&certificate)?;
        }
    }
    for path in &arguments.platform_cert {
        for certificate in keys::certificates(path)? {
            host.trust_platform(&certificate)?;
        }
    }
    for path in &arguments.revoked_cert {
        for certificate in keys::certificates(path)? {
            host.revoke(&certificate)?;
        }
    }
    Ok(each(&arguments.paths, arguments.json, "good", |found| {
        let path = &found.path;
        let file = files::read(path)?;
        let checked = check(&host, &file, Flags::default());
        // No verdict: the file may be good or bad.
        ensure!(
            checked.result != Err(NO_ML_DSA.into()),
            "{}: cannot be checked: {}",
            path.display(),
            ml_dsa::missing()
        );
        let [permissive, enforcing, lockdown] =
            [Mode::Permissive, Mode::Enforcing, Mode::Lockdown].map(|mode| outcome(&checked, mode));
        let signer = checked.signer.map(|signer| signer.to_string());
        let reason = checked.result.err().map(|error| error.to_string());
        let mut text = format!(
            "{}: {}",
            path.display(),
            reason.as_deref().unwrap_or("good")
        );
        if let Some(signer) = &signer {
            text += &format!("; signer {signer}");
        }
        if reason.is_some() {
            text += &format!(
                "\n  permissive: {permissive}; enforcing: {enforcing}; locked down: {lockdown}"
            );
        }
        Ok(Done {
            text,
            json: serde_json::json!({
                "path": path, "good": reason.is_none(), "reason": reason, "signer": signer,
                "permissive": permissive, "enforcing": enforcing, "lockdown": lockdown,
            }),
            good: match checked.result {
                Ok(()) => true,
                Err(Error::Unsigned) => arguments.allow_unsigned,
                Err(_) => false,
            },
        })
    }))
}
