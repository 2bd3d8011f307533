// SPDX-License-Identifier: MIT OR Apache-2.0

mod manifest;
mod release;

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
    keys::{self, SigningKey},
    library::Library,
    module::{self, Module},
    passphrase::Passphrase,
    signer::Signer,
};
use openssl::x509::X509;
use serde::Serialize;

use self::release::Release;
use crate::cli::{
    batch::{Batch, DryRun, Replaced, Writing},
    output::{Count, Named},
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
    /// Put these certificates into each signature, with the signer's own, for kernels that trust only their
    /// issuer (any number in a file of PEM or PKCS#12)
    #[arg(long, value_name = "FILE", conflicts_with = "manifest")]
    chain: Option<PathBuf>,
    /// Write signed copies below this directory, and leave the originals
    #[arg(long, value_name = "DIR")]
    dest_dir: Option<PathBuf>,
    /// Write only the signatures, each to MODULE.p7s, and leave the modules
    #[arg(long)]
    detached: bool,
    /// Skip modules that already carry exactly this key's signature
    #[arg(long, conflicts_with_all = ["dest_dir", "detached"])]
    only_missing: bool,
    /// Sign nothing, but write the modules' digests to this file, for a signing service
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key", "cert", "dest_dir", "detached", "only_missing"])]
    manifest: Option<PathBuf>,
    /// Sign the digests in this file, and write each MODULE.p7s below --dest-dir
    #[arg(long, value_name = "FILE", requires = "dest_dir",
          conflicts_with_all = ["manifest", "hash", "paths", "files_from", "detached", "only_missing"])]
    from_manifest: Option<PathBuf>,
    /// Sign all modules with one signature, for kernels with CONFIG_MODULE_SIG_RUST_RELEASE
    #[arg(long, conflicts_with_all = ["detached", "manifest", "from_manifest"])]
    release: bool,
    /// Number of signing operations to run on a token in parallel
    #[arg(long, value_name = "N", default_value = "1")]
    token_sessions: NonZero<usize>,
    /// What is to sign with a key in a file
    #[arg(
        long,
        value_name = "NAME",
        default_value = "auto",
        conflicts_with = "manifest"
    )]
    library: Library,
    #[command(flatten)]
    writing: Writing,
    #[command(flatten)]
    dry_run: DryRun,
    #[command(flatten)]
    pub(super) modules: Modules,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let digest = digest_by_name(&arguments.hash)?;
    if let Some(file) = &arguments.manifest {
        return manifest::write(&arguments.modules, digest, file);
    }
    if let (Some(file), Some(directory)) = (&arguments.from_manifest, &arguments.dest_dir) {
        let manifest = manifest::read(file)?;
        let signer = Keys::read(arguments)?.signer(manifest.hash, manifest.modules.len())?;
        // A key of ML-DSA says here that it cannot.
        signer.digest_of(&[])?;
        let (modules, writing) = (&arguments.modules, &arguments.writing);
        return manifest::sign(modules, writing, manifest, &signer, directory);
    }
    // The key first: who is to type its passphrase is asked at once, and nobody reads along while it waits for
    // a list.
    let keys = Keys::read(arguments)?;
    let modules = arguments.modules.find(Links::Leave)?;
    let signer = keys.signer(digest, modules.len())?;
    if let Some(directory) = &arguments.dest_dir {
        names_differ(directory, modules.iter().flatten())?;
    }
    let release = match arguments.release {
        true => Some(Release::new(arguments, &signer, &modules)?),
        false => None,
    };
    let release = release.as_ref();
    let mut batch = Batch::new(&arguments.writing, arguments.modules.jobs());
    arguments.modules.each(
        modules,
        |buffer, found| sign(arguments, &signer, release, buffer, found),
        |signed| batch.take(signed),
    )
}

/// The key and the certificates that were given.
struct Keys<'a> {
    arguments: &'a Arguments,
    private: SigningKey,
    certificate: X509,
    chain: Option<Vec<X509>>,
    /// As people know them.
    named: String,
}

impl<'a> Keys<'a> {
    fn read(arguments: &'a Arguments) -> Result<Self> {
        let key = arguments.key.as_deref().context("give --key")?;
        let cert = arguments.cert.as_deref().unwrap_or(key);
        let passphrase = Passphrase::new(arguments.passphrase_file.as_deref());
        let (private, certificate) = keys::pair_with(key, cert, &passphrase)?;
        let chain = arguments.chain.as_deref();
        let chain = chain.map(|file| keys::certificates_with(file, &passphrase));
        Ok(Keys {
            arguments,
            private,
            certificate,
            chain: chain.transpose()?,
            named: format!("{} with {}", keys::shown(key), keys::shown(cert)),
        })
    }

    /// The signer that was asked for, for so many modules; says what is odd about it.
    fn signer(self, digest: DigestAlgorithm, count: usize) -> Result<Signer> {
        let form = match self.arguments.keyid {
            true => SignerIdForm::SubjectKeyId,
            false => SignerIdForm::IssuerAndSerial,
        };
        let signer = self
            .private
            .by(self.arguments.library, digest, count)
            .and_then(|private| Signer::new(private, &self.certificate, digest, form))
            .context(self.named)?;
        let signer = match &self.chain {
            Some(chain) => signer.with_chain(&self.certificate, chain)?,
            None => signer,
        };
        for warning in signer.warnings() {
            self.arguments.modules.warn(warning);
        }
        if self.arguments.modules.verbose() {
            report::say(&signer.signed_by());
        }
        Ok(signer.with_token_sessions(self.arguments.token_sessions))
    }
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
    release: Option<&Release>,
    buffer: &mut Vec<u8>,
    found: &Found,
) -> Result<Replaced> {
    let path = &found.path;
    let original = found.read(buffer)?;
    let named = || path.display().to_string();
    let opened = Module::open(buffer).with_context(named)?;
    let (module, replaced) = opened.loadable().with_context(named)?;
    let replaced = replaced + opened.misplaced;
    let of_release = match release {
        Some(release) => Some(release.end(path, module).with_context(named)?),
        None => None,
    };
    let is_signed = || match &of_release {
        Some(end) => opened.file[module.len()..] == *end,
        None => signer.has_signed(&opened.file),
    };
    if arguments.only_missing && opened.misplaced == 0 && is_signed() {
        let facts = Signed::new(true, 0, None);
        let text = "signed before, left as it is";
        let done = Done::good(Count::SignedBefore, text, &facts);
        return Ok(Replaced { done, file: None });
    }
    if arguments.dry_run.dry_run {
        let text = match replaced {
            0 => "would be signed",
            _ => "would be signed, its old signature replaced",
        };
        let done = Done::good(Count::ToBeSigned, text, &Signed::new(false, replaced, None));
        return Ok(Replaced { done, file: None });
    }
    let message = match &of_release {
        Some(_) => vec![],
        None => signer.message(module).with_context(named)?,
    };

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
        (Some(pending), destination, text)
    } else {
        let end = match of_release {
            Some(end) => end,
            None => [&message[..], &module::trailer(&message)?].concat(),
        };
        let mut text = "signed".to_owned();
        if replaced > 0 {
            text += ", its old signature replaced";
        }
        if directory.is_some() {
            let (pending, destination) = copy(
                "",
                &opened.packed(&[module, &end], arguments.writing.level)?,
            )?;
            text += &format!(", in {}", destination.display());
            (Some(pending), destination, text)
        } else {
            let pending = arguments
                .writing
                .put_end(&original, &opened, module, &end)?;
            (pending, path.clone(), text)
        }
    };
    let count = match replaced {
        0 => Count::Signed,
        _ => Count::SignedAgain,
    };
    let facts = Signed::new(true, replaced, Some(&destination));
    Ok(Replaced {
        done: Done::good(count, text, &facts),
        file: pending,
    })
}

/// What JSON has of a module that was signed, or would be.
#[derive(Serialize)]
pub(super) struct Signed {
    signed: bool,
    /// Signatures that it had.
    replaced: usize,
    /// What was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<Named>,
}

impl Signed {
    pub(super) fn new(signed: bool, replaced: usize, file: Option<&Path>) -> Self {
        Signed {
            signed,
            replaced,
            file: file.map(Named::new),
        }
    }
}
