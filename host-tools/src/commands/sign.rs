// SPDX-License-Identifier: GPL-2.0

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{bail, Context, Result};
use modsig_tools::{
    files::{Found, Links, Original, Pending},
    keys,
    module::{self, Module},
    signer::{digest_by_name, Signer, SignerIdForm},
};
use serde_json::json;

use super::{
    replace::{Batch, Replaced, Sync},
    report::{Done, Modules},
};

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
    /// Write the signatures alone, each to MODULE.p7s, leave the modules
    #[arg(long)]
    detached: bool,
    #[command(flatten)]
    sync: Sync,
    #[command(flatten)]
    modules: Modules,
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
    let modules = arguments.modules.find(Links::Leave)?;
    if let Some(directory) = &arguments.dest_dir {
        make_directories(directory, modules.iter().flatten())?;
    }
    let mut batch = Batch::new(&arguments.sync);
    arguments.modules.each(
        modules,
        |buffer, found| sign(arguments, &signer, buffer, found),
        |signed| batch.take(signed),
    )
}

/// Makes all directories that these modules need below `directory`.
fn make_directories<'a>(directory: &Path, modules: impl Iterator<Item = &'a Found>) -> Result<()> {
    let mut names = HashMap::new();
    for found in modules {
        if let Some(other) = names.insert(&found.name, &found.path) {
            bail!(
                "{} and {} would both be {}; sign them one after the other, into two directories",
                other.display(),
                found.path.display(),
                directory.join(&found.name).display()
            );
        }
        let path = directory.join(&found.name);
        let parent = path.parent().unwrap_or(directory);
        fs::create_dir_all(parent)
            .with_context(|| format!("{}: cannot make this directory", parent.display()))?;
    }
    Ok(())
}

fn sign(
    arguments: &Arguments,
    signer: &Signer,
    buffer: &mut Vec<u8>,
    found: &Found,
) -> Result<Replaced> {
    let path = &found.path;
    let original = Original::read(path, buffer)?;
    let named = || path.display().to_string();
    let opened = Module::open(buffer).with_context(named)?;
    let (module, replaced) = opened.unsigned().with_context(named)?;
    let replaced = replaced + opened.misplaced;
    let message = signer.message(module).with_context(named)?;

    let mut destination = match &arguments.dest_dir {
        Some(directory) => directory.join(&found.name),
        None => path.clone(),
    };
    let (pending, text) = if arguments.detached {
        destination.as_mut_os_string().push(".p7s");
        let pending = Pending::replace(&destination, &original, &[&message])?;
        (pending, format!("signature in {}", destination.display()))
    } else {
        let trailer = module::trailer(&message)?;
        let parts = opened.packed(&[module, &message, &trailer])?;
        let pending = Pending::replace(&destination, &original, &parts)?;
        let mut text = "signed".to_owned();
        if replaced > 0 {
            text += ", its old signature replaced";
        }
        if arguments.dest_dir.is_some() {
            text += &format!(", in {}", destination.display());
        }
        (pending, text)
    };
    let json =
        json!({ "signed": true, "replaced": replaced, "file": destination.to_string_lossy() });
    Ok(Replaced {
        done: Done::good(
            if replaced > 0 {
                "signed again"
            } else {
                "signed"
            },
            text,
            json,
        ),
        file: Some((pending, original)),
    })
}
