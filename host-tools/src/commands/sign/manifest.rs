// SPDX-License-Identifier: MIT OR Apache-2.0

//! Signing where the modules are not: `sign --manifest` lists their digests, `sign --from-manifest`
//! signs what is listed.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{anyhow, bail, Context, Result};
use modsig::verify::DigestAlgorithm;
use modsig_tools::{
    detached::{Manifest, SIGNATURE},
    digest::message_digest,
    files::{self, Found, Links, Pending},
    module::Module,
    signer::Signer,
};
use openssl::hash::hash;
use serde::Serialize;

use super::Signed;
use crate::cli::{
    batch::{Batch, Replaced, Writing},
    output::Count,
    report::{Done, Modules},
};

/// What JSON has of a module that is in the list.
#[derive(Serialize)]
struct Digested {
    digested: bool,
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
        let done = Done::good(Count::Digested, "digested", &Digested { digested: true });
        vec![(at, Ok(done))]
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

/// Reads such a file.
pub(crate) fn read(file: &Path) -> Result<Manifest> {
    let named = || file.display().to_string();
    let text = fs::read(file).with_context(|| format!("{}: cannot read", file.display()))?;
    Manifest::parse(&text).with_context(named)
}

/// Signs the digests of a manifest; each signature goes to a file below `directory`.
pub(crate) fn sign(
    modules: &Modules,
    writing: &Writing,
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
        let place = found.output(Some(directory), SIGNATURE)?;
        let destination = place.path().to_path_buf();
        let pending = Pending::create_at(place, 0o644, &[message])?;
        let text = format!("signature in {}", destination.display());
        let facts = Signed::new(true, 0, Some(&destination));
        Ok(Replaced {
            done: Done::good(Count::Signed, text, &facts),
            file: Some(pending),
        })
    };
    let mut batch = Batch::new(writing, modules.jobs());
    modules.each(found, sign, |signed| batch.take(signed))
}
