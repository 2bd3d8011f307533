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

use anyhow::{bail, ensure, Context, Result};
use modsig::verify::DigestAlgorithm;
use modsig_tools::{
    certificate::SignerIdForm,
    detached::SIGNATURE,
    digest::digest_by_name,
    files::{Found, Links, Pages, Pending},
    keys::{self, SigningKey},
    library::Library,
    module::{self, Module},
    passphrase::Passphrase,
    signer::Signer,
};
use openssl::x509::X509;
use serde::Serialize;

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
    #[arg(long)]
    release: bool,
    /// With --release and --manifest: modules of the release are also those that COMMAND strips (called with the
    /// path of a temporary copy)
    #[arg(long, value_name = "COMMAND", conflicts_with = "from_manifest")]
    stripped_by: Option<String>,
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
    ensure!(
        !arguments.release || !arguments.detached,
        "--release makes one signature for all modules, and --detached one for each; for one in a file of its own: \
         sign --release --manifest FILE, then sign --from-manifest FILE"
    );
    ensure!(
        arguments.stripped_by.is_none() || arguments.release && arguments.manifest.is_some(),
        "--stripped-by is for modules that get their signature later, once they are stripped: sign --release \
         --manifest FILE, sign --from-manifest FILE, then attach --release FILE"
    );
    if let Some(file) = &arguments.manifest {
        return match arguments.release {
            true => release::write(arguments, digest, file),
            false => manifest::write(&arguments.modules, digest, file),
        };
    }
    if let (Some(file), Some(directory)) = (&arguments.from_manifest, &arguments.dest_dir) {
        return manifest::sign(arguments, file, directory);
    }
    // The key first: who is to type its passphrase is asked at once, and nobody reads along while it waits for
    // a list.
    let keys = Keys::read(arguments)?;
    if arguments.release {
        return release::sign(arguments, keys, digest);
    }
    let modules = arguments.modules.find(Links::Leave)?;
    let signer = keys.signer(digest, modules.len())?;
    if let Some(directory) = &arguments.dest_dir {
        names_differ(directory, modules.iter().flatten())?;
    }
    let mut batch = Batch::new(&arguments.writing, arguments.modules.jobs());
    arguments.modules.each(
        modules,
        |buffer, found| sign(arguments, &signer, buffer, found),
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
        self.signer_by(digest, count, Signer::new)
    }

    /// The same for one signature, which is to be looked at ([`Signer::vouched`]).
    fn untried(self, digest: DigestAlgorithm) -> Result<Signer> {
        self.signer_by(digest, 1, Signer::untried)
    }

    fn signer_by(
        self,
        digest: DigestAlgorithm,
        count: usize,
        new: fn(SigningKey, &X509, DigestAlgorithm, SignerIdForm) -> Result<Signer>,
    ) -> Result<Signer> {
        let form = match self.arguments.keyid {
            true => SignerIdForm::SubjectKeyId,
            false => SignerIdForm::IssuerAndSerial,
        };
        let signer = self
            .private
            .by(self.arguments.library, digest, count)
            .and_then(|private| new(private, &self.certificate, digest, form))
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
        return Ok(signed_before());
    }
    if arguments.dry_run.dry_run {
        return Ok(to_be_signed(replaced));
    }
    let message = signer.message(module).with_context(named)?;

    let directory = arguments.dest_dir.as_deref();
    if arguments.detached {
        let parts = [Cow::Borrowed(&message[..])];
        let (pending, destination) = copy(found, directory, SIGNATURE, original.mode(), &parts)?;
        let text = format!("signature in {}", destination.display());
        return Ok(done(replaced, text, &destination, Some(pending)));
    }
    let end = [&message[..], &module::trailer(&message)?].concat();
    if directory.is_some() {
        let parts = opened.packed(&[module, &end], arguments.writing.level)?;
        let (pending, destination) = copy(found, directory, "", original.mode(), &parts)?;
        return Ok(signed(replaced, &destination, directory, Some(pending)));
    }
    let pending = arguments
        .writing
        .put_end(&original, &opened, module, &end, Pages::One)?;
    Ok(signed(replaced, path, None, pending))
}

/// Writes a copy of a module, or what there is of it beside it. It has the original's mode, and is whose who
/// makes it.
fn copy(
    found: &Found,
    directory: Option<&Path>,
    ending: &str,
    mode: u32,
    parts: &[Cow<'_, [u8]>],
) -> Result<(Pending, PathBuf)> {
    let place = found.output(directory, ending)?;
    let destination = place.path().to_path_buf();
    let pending = Pending::create_at(place, mode & 0o777, parts)?;
    Ok((pending, destination))
}

/// It has the signature already that it would get.
fn signed_before() -> Replaced {
    let facts = Signed::new(true, 0, None);
    let text = "signed before, left as it is";
    Replaced {
        done: Done::good(Count::SignedBefore, text, &facts),
        file: None,
    }
}

/// It would be signed, and had so many signatures.
fn to_be_signed(replaced: usize) -> Replaced {
    let text = match replaced {
        0 => "would be signed",
        _ => "would be signed, its old signature replaced",
    };
    Replaced {
        done: Done::good(Count::ToBeSigned, text, &Signed::new(false, replaced, None)),
        file: None,
    }
}

/// It is signed there, in place or in a copy below a directory, and had so many signatures.
fn signed(
    replaced: usize,
    destination: &Path,
    directory: Option<&Path>,
    file: Option<Pending>,
) -> Replaced {
    let mut text = "signed".to_owned();
    if replaced > 0 {
        text += ", its old signature replaced";
    }
    if directory.is_some() {
        text += &format!(", in {}", destination.display());
    }
    done(replaced, text, destination, file)
}

fn done(replaced: usize, text: String, destination: &Path, file: Option<Pending>) -> Replaced {
    let count = match replaced {
        0 => Count::Signed,
        _ => Count::SignedAgain,
    };
    let facts = Signed::new(true, replaced, Some(destination));
    Replaced {
        done: Done::good(count, text, &facts),
        file,
    }
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
