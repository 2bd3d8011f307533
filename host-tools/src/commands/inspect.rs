// SPDX-License-Identifier: MIT OR Apache-2.0

use std::{fmt::Write, process::ExitCode};

use anyhow::{Context, Result};
use modsig::verify::{
    cms, merkle, release,
    trailer::{self, Kind},
    Tree,
};
use modsig_tools::{
    certificate::shown,
    files::{self, Found, Links},
    module::Module,
};
use serde::Serialize;

use crate::cli::{
    output::{Count, Signer},
    report::{Done, Modules},
};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(super) modules: Modules,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let modules = arguments.modules.find(Links::Follow)?;
    arguments
        .modules
        .each_alone(modules, |buffer, Found { path, .. }| {
            files::read_into(path, buffer)?;
            let opened = Module::open(buffer).with_context(|| path.display().to_string())?;
            Ok(inspect(&opened, buffer.len()))
        })
}

/// `size`: bytes of the file.
fn inspect(opened: &Module<'_>, size: usize) -> Done {
    let compression = opened.compression.map(|compression| compression.name());
    let mut facts = Inspected {
        size,
        compression,
        ..Inspected::default()
    };
    let bad = |reason: String| {
        let facts = Inspected {
            size,
            compression,
            reason: Some(reason.clone()),
            ..Inspected::default()
        };
        Done::bad(reason, &facts)
    };
    let file = &opened.file;
    let split = match trailer::split(file) {
        Ok(split) => split,
        Err(unsplit) => return bad(unsplit.error.to_string()),
    };
    let (module, signature) = (split.content.len(), split.message.len());
    let mut text = match compression {
        Some(name) => format!("file of {size} bytes, {name}; inside a "),
        None => String::new(),
    };
    if split.kind == Kind::Merkle {
        let Some((position, siblings)) = merkle::parse(split.message) else {
            return bad(format!("proof of {signature} bytes, which none has"));
        };
        let levels = siblings.len() / merkle::HASH_SIZE;
        let _ = write!(
            text,
            "module of {module} bytes, proof of {signature} bytes: position {position} of a tree of {levels} levels"
        );
        if trailer::split(split.content).is_ok() {
            text.push_str("\n  below it is a signature, which counts for nothing");
        }
        facts.module = Some(module);
        facts.signature = Some(signature);
        facts.misplaced = Some(opened.misplaced);
        facts.position = Some(position);
        facts.levels = Some(levels);
        return Done::good(Count::WithProof, text, &facts);
    }
    let mut cms = split.message;
    if split.kind == Kind::Release {
        let release = match release::parse(split.message) {
            Ok(release) => release,
            Err(error) => return bad(error.to_string()),
        };
        cms = release.message;
        facts.position = Some(release.proof.position);
        facts.release = Some(release.proof.size);
    }
    let parsed = cms::parse(cms, Tree::NEWEST);
    let message = match parsed.as_ref().map(cms::Message::signed_data) {
        Ok(Ok(message)) => message,
        Ok(Err(error)) | Err(&error) => return bad(error.to_string()),
    };
    let certificates = parsed.map_or(0, |parsed| parsed.certificates().encoded().count());
    let _ = write!(
        text,
        "module of {module} bytes, signature of {signature} bytes"
    );
    if let (Some(position), Some(size)) = (facts.position, facts.release) {
        let _ = write!(text, " for a release: position {position} of {size}");
    }
    let mut signers = vec![];
    for signer in message.signers() {
        let _ = write!(text, "\n  signer {}", shown(&signer));
        signers.push(Signer::new(&signer));
    }
    if certificates > 0 {
        let _ = write!(text, "\n  certificates in the signature: {certificates}");
    }
    if trailer::split(split.content).is_ok() {
        text.push_str("\n  below it is another signature: signed twice");
    }
    if opened.misplaced > 0 {
        text.push_str("\n  behind the packed data is another signature, which counts for nothing");
    }
    facts.module = Some(module);
    facts.signature = Some(signature);
    facts.misplaced = Some(opened.misplaced);
    facts.signers = Some(signers);
    facts.certificates = Some(certificates);
    Done::good(Count::Signed, text, &facts)
}

/// What JSON has of a module. Sizes are in bytes.
#[derive(Default, Serialize)]
struct Inspected {
    /// Of the file.
    size: usize,
    compression: Option<&'static str>,
    /// Why what is appended cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Size of the module without what is appended.
    #[serde(skip_serializing_if = "Option::is_none")]
    module: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<usize>,
    /// Signatures behind packed data.
    #[serde(skip_serializing_if = "Option::is_none")]
    misplaced: Option<usize>,
    /// Of a signature for a release: how many leaves its tree has.
    #[serde(skip_serializing_if = "Option::is_none")]
    release: Option<u32>,
    /// Of a proof: in which place of the tree the module is.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    levels: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signers: Option<Vec<Signer>>,
    /// How many the signature carries.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificates: Option<usize>,
}
