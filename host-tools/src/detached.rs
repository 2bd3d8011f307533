// SPDX-License-Identifier: MIT OR Apache-2.0

//! Signing elsewhere than where the modules are: signatures in files of their own, and lists of
//! digests for a signing service.

use std::{
    collections::HashSet,
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
};

use anyhow::{anyhow, bail, ensure, Context, Result};
use modsig::verify::{cms, release::Head, DigestAlgorithm, Error, Flags, Tree};
use openssl::x509::X509Ref;

use crate::{
    certificate::CertificateIds,
    digest::digest_by_name,
    hex, module,
    platform::{kernel_that_trusts, no_verdict, Host},
    recognize,
};

/// What stands behind a module's name in that of its signature's file.
pub const SIGNATURE: &str = ".p7s";

/// The same of a bare signature value, which is no message.
pub const RAW: &str = ".sig";

/// A path with this behind it.
pub fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut path = path.to_path_buf();
    path.as_mut_os_string().push(ending);
    path
}

/// Modules and their digests, to be signed where the modules are not.
///
/// A text: a line that says what it is, and for each module a line as `sha512sum` writes it. The
/// digest is of the module as a kernel sees it, unpacked and unsigned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// What the modules are digested with.
    pub hash: DigestAlgorithm,
    /// Each module's digest, and its name below the directory that was asked for.
    pub modules: Vec<(Vec<u8>, PathBuf)>,
}

const FIRST_WORDS: &str = "# modsig manifest 1: ";

impl Manifest {
    /// The text.
    ///
    /// # Errors
    ///
    /// If it could not be read again: a name has a line break, or two modules have the same.
    pub fn to_text(&self) -> Result<Vec<u8>> {
        let (hash, count) = (self.hash.name(), self.modules.len());
        let mut text = format!("{FIRST_WORDS}{hash}, {count} modules\n").into_bytes();
        let mut seen = HashSet::new();
        for (digest, name) in &self.modules {
            acceptable(name, &mut seen)?;
            text.extend(hex::encode(digest).as_bytes());
            text.extend(b"  ");
            text.extend(name.as_os_str().as_bytes());
            text.push(b'\n');
        }
        Ok(text)
    }

    /// Reads it.
    ///
    /// # Errors
    ///
    /// If it is anything else, or less, than what [`Self::to_text`] has made, or if a name would
    /// lead out of the directory that the signatures go to.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let mut lines = text.split(|&octet| octet == b'\n');
        let first = lines.next().and_then(|line| std::str::from_utf8(line).ok());
        let (hash, count) = first
            .and_then(|line| line.strip_prefix(FIRST_WORDS))
            .and_then(|line| line.strip_suffix(" modules"))
            .and_then(|line| line.split_once(", "))
            .context("not a manifest; modsig sign --manifest makes one")?;
        let hash = digest_by_name(hash)?;
        ensure!(
            lines.next_back() == Some(b""),
            "its end is missing; copy it again"
        );
        let mut modules = vec![];
        let mut seen = HashSet::new();
        for (number, line) in (2..).zip(lines) {
            let module = || {
                let (digest, rest) = line.split_at_checked(2 * hash.size())?;
                let name = Path::new(OsStr::from_bytes(rest.strip_prefix(b"  ")?));
                Some((hex::decode(digest)?, name))
            };
            let (digest, name) = module().with_context(|| {
                format!("line {number}: not a digest of {} and a name", hash.name())
            })?;
            acceptable(name, &mut seen).with_context(|| format!("line {number}"))?;
            modules.push((digest, name.to_path_buf()));
        }
        ensure!(
            count.parse() == Ok(modules.len()),
            "it says that it has {count} modules, and has {}; copy it again",
            modules.len()
        );
        Ok(Manifest { hash, modules })
    }
}

/// Fails for a name that must not be in a manifest.
fn acceptable<'a>(name: &'a Path, seen: &mut HashSet<&'a Path>) -> Result<()> {
    let shown = name.display();
    let mut parts = name.components();
    let inside = parts.all(|part| matches!(part, Component::Normal(_)));
    ensure!(
        inside && name.file_name().is_some(),
        "{shown}: not a name below a directory"
    );
    ensure!(
        !name.as_os_str().as_bytes().contains(&b'\n'),
        "{shown}: a line break in a name; rename the file"
    );
    ensure!(
        seen.insert(name),
        "{shown}: two modules of this name; make a manifest for each directory"
    );
    Ok(())
}

/// Takes signatures of one certificate only, and only good ones.
pub struct Gate {
    ids: CertificateIds,
    kernel: Host,
}

impl Gate {
    /// For signatures by this certificate.
    pub fn new(certificate: &X509Ref) -> Result<Self> {
        Ok(Gate {
            ids: CertificateIds::new(certificate)?,
            kernel: kernel_that_trusts(certificate)?,
        })
    }

    /// The signed file that a module and a signature message make.
    ///
    /// # Errors
    ///
    /// If a kernel that trusts nobody but the certificate would not load it, or if anybody else
    /// has signed as well.
    pub fn join(&self, module: &[u8], message: &[u8]) -> Result<Vec<u8>> {
        self.join_what(module, message, "module")
    }

    /// Fails unless a message is over the head of a release's tree, as [`Self::join`] does.
    pub fn check_release(&self, head: &Head, message: &[u8]) -> Result<()> {
        self.join_what(head, message, "release").map(drop)
    }

    fn join_what(&self, content: &[u8], message: &[u8], what: &str) -> Result<Vec<u8>> {
        let file = [content, message, &module::trailer(message)?].concat();
        let checked = self.kernel.check(&file, Flags::default());
        if let Some(reason) = no_verdict(&checked.result) {
            bail!("it {reason}");
        }
        match checked.result {
            Ok(()) => (),
            Err(Error::NoKey) => match checked.signer {
                Some(signer) => bail!("it is by another signer, {signer}"),
                None => bail!("it is by another signer"),
            },
            Err(error) => {
                // Why a reader of DER stops is of no help where it is no DER at all.
                if let Some(instead) = recognize::in_place_of_message(message) {
                    bail!("it is not good for this {what}: {instead}");
                }
                let hint = match error {
                    Error::EmbeddedContent => ": sign without -nodetach",
                    _ if recognize::has_attributes(message) => {
                        "; it has signed attributes, which nothing needs: sign with -noattr"
                    }
                    _ => "",
                };
                bail!("it is not good for this {what}: {error}{hint}")
            }
        }
        let parsed =
            cms::parse(message, Tree::NEWEST).and_then(|parsed| parsed.signed_data().copied());
        let signed_data = parsed.map_err(|error| anyhow!("it cannot be read: {error}"))?;
        if let Some(other) = signed_data
            .signers()
            .find(|other| !self.ids.are_of(&other.id))
        {
            bail!("another signer has signed as well, {other}");
        }
        Ok(file)
    }
}
