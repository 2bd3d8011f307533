// SPDX-License-Identifier: MIT OR Apache-2.0

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{anyhow, ensure, Context, Result};
use modsig_tools::{
    certificate::SignerIdForm,
    detached::{with_ending, Gate, RAW, SIGNATURE},
    digest::digest_by_name,
    files::{self, Found, Links, Pages},
    keys,
    module::Module,
    release::{end, leaf, leaves_from_text, Request, Tree, LEAVES},
    signer::Elsewhere,
};
use serde::Serialize;

use crate::cli::{
    batch::{Batch, DryRun, Replaced, Writing},
    output::Count,
    report::{Done, Modules},
};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The signer's certificate (PEM, DER, PKCS#12, pkcs11: URI); no other signature is taken
    #[arg(long, value_name = "FILE")]
    cert: PathBuf,
    /// The signatures are bare values, as a key management service returns them, each in MODULE.sig
    #[arg(long)]
    raw: bool,
    /// With --raw: what the modules were digested with
    #[arg(long, default_value = "sha512", value_name = "NAME", requires = "raw")]
    hash: String,
    /// With --raw: name the signer by key identifier, not by issuer and serial number
    #[arg(long, requires = "raw")]
    keyid: bool,
    /// Where the signatures are, as below --dest-dir of sign [default: beside the modules; with --release, beside
    /// FILE]
    #[arg(long, value_name = "DIR")]
    signatures: Option<PathBuf>,
    /// All modules are of the release that sign --release --manifest has written to this file, and get one signature
    #[arg(long, value_name = "FILE")]
    release: Option<PathBuf>,
    #[command(flatten)]
    writing: Writing,
    #[command(flatten)]
    dry_run: DryRun,
    #[command(flatten)]
    pub(super) modules: Modules,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let certificate = keys::certificate(&arguments.cert)?;
    let gate = Gate::new(&certificate).with_context(|| keys::shown(&arguments.cert).to_string())?;
    let form = match arguments.keyid {
        true => SignerIdForm::SubjectKeyId,
        false => SignerIdForm::IssuerAndSerial,
    };
    let elsewhere = match arguments.raw {
        true => {
            let digest = digest_by_name(&arguments.hash)?;
            let elsewhere = Elsewhere::new(&certificate, digest, form);
            Some(elsewhere.with_context(|| keys::shown(&arguments.cert).to_string())?)
        }
        false => None,
    };
    let signatures = Signatures {
        arguments,
        gate,
        elsewhere,
    };
    let release = match &arguments.release {
        Some(file) => Some(signatures.release(file)?),
        None => None,
    };
    let modules = arguments.modules.find(Links::Leave)?;
    let mut batch = Batch::new(&arguments.writing, arguments.modules.jobs());
    arguments.modules.each(
        modules,
        |buffer, found| {
            let end = |module: &[u8]| match &release {
                Some(release) => release.end(module),
                None => signatures.end(found, module),
            };
            attach(arguments, end, buffer, found)
        },
        |attached| batch.take(attached),
    )
}

/// What JSON has of a module.
#[derive(Serialize)]
struct Attached {
    /// The signature is there.
    attached: bool,
    /// Signatures that it had.
    replaced: usize,
}

/// The signatures that are to be attached.
struct Signatures<'a> {
    arguments: &'a Arguments,
    gate: Gate,
    elsewhere: Option<Elsewhere>,
}

impl Signatures<'_> {
    /// Where the signature is of what is here.
    fn place(&self, path: &Path, name: &Path) -> PathBuf {
        let beside = match &self.arguments.signatures {
            Some(directory) => directory.join(name),
            None => path.to_path_buf(),
        };
        match self.elsewhere {
            Some(_) => with_ending(&beside, RAW),
            None => with_ending(&beside, SIGNATURE),
        }
    }

    /// The message in a file.
    fn message(&self, signature: &Path) -> Result<Vec<u8>> {
        let content = files::read(signature).context("has no signature to attach")?;
        match &self.elsewhere {
            Some(elsewhere) => elsewhere
                .message(&content)
                .with_context(|| signature.display().to_string()),
            None => Ok(content),
        }
    }

    /// What stands behind a module that is signed by itself.
    fn end(&self, found: &Found, module: &[u8]) -> Result<Vec<u8>> {
        let signature = self.place(&found.path, &found.name);
        let mut joined = self.gate.join(module, &self.message(&signature)?);
        if self.elsewhere.is_some() {
            joined = joined.map_err(|error| {
                anyhow!("{error:#}; is it over this module, as it is without a signature, and with the digest of --hash?")
            });
        }
        let file = joined.with_context(|| format!("{} was not attached", signature.display()))?;
        Ok(file[module.len()..].to_vec())
    }

    /// A release that was signed.
    ///
    /// # Errors
    ///
    /// If the signature is not good for it. No module was touched then.
    fn release(&self, file: &Path) -> Result<Release> {
        let named = || file.display().to_string();
        let request = fs::read(file).context("cannot read").with_context(named)?;
        let request = Request::parse(&request).with_context(named)?;
        let leaves = with_ending(file, LEAVES);
        let text = fs::read(&leaves)
            .context("cannot read; it was made with the other file, and is to be beside it");
        let tree = text.and_then(|text| leaves_from_text(&text));
        let tree = tree.with_context(|| leaves.display().to_string())?;
        ensure!(
            tree.head() == request.head,
            "{} and {} are of two releases; make both again",
            named(),
            leaves.display()
        );
        let name = file.file_name().context("not a file").with_context(named)?;
        let signature = self.place(file, Path::new(name));
        let message = self.message(&signature).with_context(named)?;
        let checked = self.gate.check_release(&request.head, &message);
        checked.with_context(|| format!("{} was not attached", signature.display()))?;
        Ok(Release { tree, message })
    }
}

/// A release and the signature for it, which is good.
struct Release {
    tree: Tree,
    message: Vec<u8>,
}

impl Release {
    /// What stands behind one of its modules.
    fn end(&self, module: &[u8]) -> Result<Vec<u8>> {
        let position = self.tree.position(&leaf(module)).context(
            "is not of the release: it was changed since that was hashed, or was not there; hash and sign the release again, or sign this one by itself",
        )?;
        end(&self.tree.proof(position)?, &self.message)
    }
}

/// Gives a module its end.
fn attach(
    arguments: &Arguments,
    end: impl Fn(&[u8]) -> Result<Vec<u8>>,
    buffer: &mut Vec<u8>,
    found: &Found,
) -> Result<Replaced> {
    let original = found.read(buffer)?;
    let named = || found.path.display().to_string();
    let opened = Module::open(buffer).with_context(named)?;
    let (module, replaced) = opened.loadable().with_context(named)?;
    let replaced = replaced + opened.misplaced;
    let end = end(module).with_context(named)?;
    let facts = |attached| Attached { attached, replaced };
    if opened.misplaced == 0 && opened.file[module.len()..] == end {
        let text = "has this signature already";
        let done = Done::good(Count::AttachedBefore, text, &facts(true));
        return Ok(Replaced { done, file: None });
    }
    if arguments.dry_run.dry_run {
        let text = "its signature would be attached";
        let done = Done::good(Count::ToBeAttached, text, &facts(false));
        return Ok(Replaced { done, file: None });
    }
    // A proof and a signature are longer, and who attaches them again mends what a kill has left.
    let pages = match arguments.release {
        Some(_) => Pages::Two,
        None => Pages::One,
    };
    let pending = arguments
        .writing
        .put_end(&original, &opened, module, &end, pages)?;
    let text = match replaced {
        0 => "signature attached",
        _ => "signature attached, the old one replaced",
    };
    Ok(Replaced {
        done: Done::good(Count::Attached, text, &facts(true)),
        file: pending,
    })
}
