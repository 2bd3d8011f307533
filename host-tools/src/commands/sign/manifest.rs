// SPDX-License-Identifier: MIT OR Apache-2.0

//! Signing where the modules are not: `sign --manifest` lists their digests, `sign --from-manifest`
//! signs what is listed.

use std::{
    borrow::Cow,
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{anyhow, bail, ensure, Context, Result};
use modsig::verify::DigestAlgorithm;
use modsig_tools::{
    detached::{Manifest, SIGNATURE},
    digest::message_digest,
    files::{self, Found, Links},
    module::Module,
    release::Request,
    signer::Signer,
};
use openssl::hash::hash;
use serde::Serialize;

use super::{copy, done, Arguments, Keys};
use crate::cli::{
    batch::{Batch, Replaced},
    output::Count,
    report::{Done, Modules},
};

/// What JSON has of a module that is in the list.
#[derive(Serialize)]
struct Digested {
    digested: bool,
}

/// A module is in the list.
pub(super) fn digested() -> Done {
    Done::good(Count::Digested, "digested", &Digested { digested: true })
}

/// Lists the digests of modules in a file. It takes no key.
pub(crate) fn write(modules: &Modules, digest: DigestAlgorithm, file: &Path) -> Result<ExitCode> {
    let algorithm = message_digest(digest)
        .with_context(|| format!("this OpenSSL does not have {}", digest.name()))?;
    let found = modules.find(Links::Leave)?;
    let count = found.len();
    let mut listed: Vec<(usize, (Vec<u8>, PathBuf))> = vec![];
    let digest_of = |buffer: &mut Vec<u8>, found: &Found| {
        files::read_into(&found.path, buffer)?;
        let named = || found.path.display().to_string();
        let opened = Module::open(buffer).with_context(named)?;
        let (module, _) = opened.loadable().with_context(named)?;
        Ok((hash(algorithm, module)?.to_vec(), found.name.clone()))
    };
    let code = modules.each(found, digest_of, |next| {
        let Some((at, module)) = next else {
            return vec![];
        };
        listed.push((at, module));
        vec![(at, Ok(digested()))]
    })?;
    // Who signs a part of them would not notice.
    if listed.len() < count {
        bail!(
            "{}: not written, for some modules could not be digested",
            file.display()
        );
    }
    listed.sort_unstable_by_key(|&(at, _)| at);
    let manifest = Manifest {
        hash: digest,
        modules: listed.into_iter().map(|(_, module)| module).collect(),
    };
    let text = manifest
        .to_text()
        .with_context(|| format!("{}: not written", file.display()))?;
    files::create(file, 0o644, &text)?;
    Ok(code)
}

/// Signs what is in such a file, or in that of a release ([`super::release::write`]); each signature goes to a
/// file below `directory`.
pub(super) fn sign(arguments: &Arguments, file: &Path, directory: &Path) -> Result<ExitCode> {
    let named = || file.display().to_string();
    let text = fs::read(file).with_context(|| format!("{}: cannot read", file.display()))?;
    if Request::is(&text) {
        let request = Request::parse(&text).with_context(named)?;
        return sign_release(arguments, file, &request, directory);
    }
    ensure!(
        !arguments.release,
        "{}: lists the digests of modules, each to be signed by itself; leave --release out, or make it with --release",
        named()
    );
    let manifest = Manifest::parse(&text).with_context(named)?;
    let signer = Keys::read(arguments)?.signer(manifest.hash, manifest.modules.len())?;
    // A key of ML-DSA says here that it cannot.
    signer.digest_of(&[])?;
    sign_each(arguments, manifest, &signer, directory)
}

/// Signs the head of a release's tree.
fn sign_release(
    arguments: &Arguments,
    file: &Path,
    request: &Request,
    directory: &Path,
) -> Result<ExitCode> {
    let keys = Keys::read(arguments)?;
    let named = keys.named.clone();
    let signer = keys.untried(request.hash)?;
    let message = signer.vouched(&request.head).context(named)?;
    let sign = |_: &mut Vec<u8>, found: &Found| put(found, directory, &message);
    let mut batch = Batch::new(&arguments.writing, arguments.modules.jobs());
    let (modules, found) = (&arguments.modules, vec![Ok(Found::file(file))]);
    modules.each(found, sign, |signed| batch.take(signed))
}

/// Writes a signature to its file.
fn put(found: &Found, directory: &Path, message: &[u8]) -> Result<Replaced> {
    let parts = [Cow::Borrowed(message)];
    let (pending, destination) = copy(found, Some(directory), SIGNATURE, 0o644, &parts)?;
    let text = format!("signature in {}", destination.display());
    Ok(done(0, text, &destination, Some(pending)))
}

/// Signs the digests of a manifest.
fn sign_each(
    arguments: &Arguments,
    manifest: Manifest,
    signer: &Signer,
    directory: &Path,
) -> Result<ExitCode> {
    let found = manifest.modules.iter().map(|(_, name)| {
        Ok(Found {
            path: name.clone(),
            name: name.clone(),
            given: false,
            root: None,
        })
    });
    let found: Vec<_> = found.collect();
    let digests: HashMap<PathBuf, Vec<u8>> = manifest
        .modules
        .into_iter()
        .map(|(digest, name)| (name, digest))
        .collect();
    let sign = |_: &mut Vec<u8>, found: &Found| {
        let digest = digests
            .get(&found.name)
            .ok_or_else(|| anyhow!("{}: not listed", found.name.display()))?;
        let message = signer
            .message_over(digest)
            .with_context(|| found.name.display().to_string())?;
        put(found, directory, &message)
    };
    let modules = &arguments.modules;
    let mut batch = Batch::new(&arguments.writing, modules.jobs());
    modules.each(found, sign, |signed| batch.take(signed))
}
