// SPDX-License-Identifier: GPL-2.0

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};
use modsig_tools::{
    files, keys,
    signer::{self, digest_by_name, Signer, SignerIdForm},
};

use super::{each, Done};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Private key (PEM)
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Its certificate (PEM or DER)
    #[arg(long, value_name = "FILE")]
    cert: PathBuf,
    /// Digest algorithm (ML-DSA keys sign without one)
    #[arg(long, default_value = "sha512", value_name = "NAME")]
    hash: String,
    /// Name the signer by key identifier, not by issuer and serial number
    #[arg(long)]
    keyid: bool,
    /// File whose first line is the key's passphrase
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Write the signed modules below this directory, leave the originals
    #[arg(long, value_name = "DIR")]
    dest_dir: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Modules, or directories with modules (*.ko)
    #[arg(required = true)]
    paths: Vec<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let form = if arguments.keyid {
        SignerIdForm::SubjectKeyId
    } else {
        SignerIdForm::IssuerAndSerial
    };
    let passphrase = arguments.passphrase_file.as_deref();
    let (key, certificate) = keys::pair(&arguments.key, &arguments.cert, passphrase)?;
    let signer = Signer::new(key, &certificate, digest_by_name(&arguments.hash)?, form)
        .with_context(|| {
            format!(
                "{} with {}",
                arguments.key.display(),
                arguments.cert.display()
            )
        })?;
    Ok(each(&arguments.paths, arguments.json, "signed", |found| {
        sign(&signer, found, arguments.dest_dir.as_deref())
    }))
}

fn sign(signer: &Signer, found: &files::Found, directory: Option<&Path>) -> Result<Done> {
    let path = &found.path;
    let file = files::read_module(path)?;
    let (module, replaced) = signer::strip(&file);
    let signed = signer::append(module, &signer.message(module)?)?;
    let destination = match directory {
        Some(directory) => directory.join(&found.name),
        None => path.clone(),
    };
    if let Some(parent) = destination.parent() {
        std::fs::create_dir_all(parent)
            .with_context(|| format!("{}: cannot make this directory", parent.display()))?;
    }
    files::replace(&destination, path, &signed)?;
    let note = match replaced {
        0 => "",
        _ => ", its old signature replaced",
    };
    Ok(Done {
        text: format!("{}: signed{note}", destination.display()),
        json: serde_json::json!({ "path": destination, "signed": true, "replaced": replaced }),
        good: true,
    })
}
