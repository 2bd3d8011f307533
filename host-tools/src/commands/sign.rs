// SPDX-License-Identifier: GPL-2.0

use std::{
    borrow::Cow,
    collections::HashMap,
    num::NonZero,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{bail, Context, Result};
use modsig::verify::DigestAlgorithm;
use modsig_tools::{
    certificate::SignerIdForm,
    detached::SIGNATURE,
    digest::digest_by_name,
    files::{Found, Links, Pending},
    keys,
    module::{self, Module},
    passphrase::Passphrase,
    signer::Signer,
};
use serde_json::json;

use super::{
    manifest,
    replace::{Batch, Replaced, Sync},
    report::{self, Done, Modules},
};

#[derive(clap::Args)]
#[command(mut_arg("paths", |paths| paths.required_unless_present_any(["files_from", "from_manifest"])))]
pub(crate) struct Arguments {
    /// Private key: a file (PEM, DER, PKCS#12, a TPM's), or a URI (pkcs11:, handle:)
    #[arg(long, value_name = "FILE", required_unless_present = "manifest")]
    key: Option<PathBuf>,
    /// Its certificate: a file (PEM, DER, PKCS#12), or a URI [default: the one that is where the key is]
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// Digest algorithm (ML-DSA keys sign without one)
    #[arg(long, default_value = "sha512", value_name = "NAME")]
    hash: String,
    /// Name the signer by key identifier, not by issuer and serial number
    #[arg(long)]
    keyid: bool,
    /// File whose first line is the key's passphrase or password, or the token's PIN
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Carry these certificates in each signature, and the signer's own: for kernels that trust who has issued
    /// them (any number in a file of PEM or PKCS#12)
    #[arg(long, value_name = "FILE", conflicts_with = "manifest")]
    chain: Option<PathBuf>,
    /// Write the signed modules below this directory, leave the originals
    #[arg(long, value_name = "DIR")]
    dest_dir: Option<PathBuf>,
    /// Write the signatures alone, each to MODULE.p7s, leave the modules
    #[arg(long)]
    detached: bool,
    /// Leave modules alone that end with this key's signature already, and no other
    #[arg(long, conflicts_with_all = ["dest_dir", "detached"])]
    only_missing: bool,
    /// Sign nothing; list the modules' digests in this file, for a signing service
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key", "cert", "dest_dir", "detached", "only_missing"])]
    manifest: Option<PathBuf>,
    /// Sign the digests that this file lists; MODULE.p7s of each goes below --dest-dir
    #[arg(long, value_name = "FILE", requires = "dest_dir",
          conflicts_with_all = ["manifest", "hash", "paths", "files_from", "detached", "only_missing"])]
    from_manifest: Option<PathBuf>,
    /// Let so many jobs use a key on a token at a time
    #[arg(long, value_name = "N", default_value = "1")]
    token_sessions: NonZero<usize>,
    #[command(flatten)]
    sync: Sync,
    #[command(flatten)]
    modules: Modules,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let digest = digest_by_name(&arguments.hash)?;
    if let Some(file) = &arguments.manifest {
        return manifest::write(&arguments.modules, digest, file);
    }
    if let (Some(file), Some(directory)) = (&arguments.from_manifest, &arguments.dest_dir) {
        let manifest = manifest::read(file)?;
        let signer = signer(arguments, manifest.hash)?;
        // A key of ML-DSA says here that it cannot.
        signer.digest_of(&[])?;
        let (modules, sync) = (&arguments.modules, &arguments.sync);
        return manifest::sign(modules, sync, manifest, &signer, directory);
    }
    let signer = signer(arguments, digest)?;
    let modules = arguments.modules.find(Links::Leave)?;
    if let Some(directory) = &arguments.dest_dir {
        names_differ(directory, modules.iter().flatten())?;
    }
    let mut batch = Batch::new(&arguments.sync, arguments.modules.jobs());
    arguments.modules.each(
        modules,
        |buffer, found| sign(arguments, &signer, buffer, found),
        |signed| batch.take(signed),
    )
}

/// The signer that was asked for; says what is odd about it.
fn signer(arguments: &Arguments, digest: DigestAlgorithm) -> Result<Signer> {
    let form = if arguments.keyid {
        SignerIdForm::SubjectKeyId
    } else {
        SignerIdForm::IssuerAndSerial
    };
    let key = arguments.key.as_deref().context("give --key")?;
    let cert = arguments.cert.as_deref().unwrap_or(key);
    let passphrase = Passphrase::new(arguments.passphrase_file.as_deref());
    let (private, certificate) = keys::pair_with(key, cert, &passphrase)?;
    let signer = Signer::new(private, &certificate, digest, form)
        .with_context(|| format!("{} with {}", keys::shown(key), keys::shown(cert)))?;
    let signer = match &arguments.chain {
        Some(file) => {
            signer.with_chain(&certificate, &keys::certificates_with(file, &passphrase)?)?
        }
        None => signer,
    };
    for warning in signer.warnings() {
        report::say(&format!("warning: {warning}"));
    }
    Ok(signer.with_token_sessions(arguments.token_sessions))
}

/// Fails if two modules would have the same copy below `directory`.
fn names_differ<'a>(directory: &Path, modules: impl Iterator<Item = &'a Found>) -> Result<()> {
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
    let original = found.read(buffer)?;
    let named = || path.display().to_string();
    let opened = Module::open(buffer).with_context(named)?;
    let (module, replaced) = opened.loadable().with_context(named)?;
    let replaced = replaced + opened.misplaced;
    if arguments.only_missing && opened.misplaced == 0 && signer.has_signed(&opened.file) {
        let json = json!({ "signed": true, "replaced": 0 });
        let done = Done::good("signed before", "signed before, left as it is", json);
        return Ok(Replaced { done, file: None });
    }
    let message = signer.message(module).with_context(named)?;

    let directory = arguments.dest_dir.as_deref();
    // A copy has the original's mode, and is whose who makes it.
    let copy = |ending, parts: &[Cow<'_, [u8]>]| {
        let place = found.output(directory, ending)?;
        let destination = place.path().to_path_buf();
        let pending = Pending::create_at(place, original.mode() & 0o777, parts)?;
        Ok::<_, anyhow::Error>((pending, destination))
    };
    let (pending, destination, text) = if arguments.detached {
        let (pending, destination) = copy(SIGNATURE, &[Cow::Borrowed(&message[..])])?;
        let text = format!("signature in {}", destination.display());
        (pending, destination, text)
    } else {
        let trailer = module::trailer(&message)?;
        let parts = opened.packed(&[module, &message, &trailer])?;
        let mut text = "signed".to_owned();
        if replaced > 0 {
            text += ", its old signature replaced";
        }
        if directory.is_some() {
            let (pending, destination) = copy("", &parts)?;
            text += &format!(", in {}", destination.display());
            (pending, destination, text)
        } else {
            (original.replace(&parts)?, path.clone(), text)
        }
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
        file: Some(pending),
    })
}
