// SPDX-License-Identifier: GPL-2.0

use std::{fmt::Write, path::PathBuf, process::ExitCode};

use anyhow::Result;
use modsig::verify::{cms, trailer};
use modsig_tools::files;
use serde_json::json;

use super::{each, Done};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Modules, or directories with modules (*.ko)
    #[arg(required = true)]
    paths: Vec<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    Ok(each(&arguments.paths, arguments.json, "signed", |found| {
        let path = &found.path;
        let file = files::read(path)?;
        Ok(inspect(path, &file))
    }))
}

fn inspect(path: &std::path::Path, file: &[u8]) -> Done {
    let name = path.display();
    let bad = |reason: String| Done {
        text: format!("{name}: {reason}"),
        json: json!({ "path": path, "size": file.len(), "reason": reason }),
        good: false,
    };
    let split = match trailer::split(file) {
        Ok(split) => split,
        Err(unsplit) => return bad(unsplit.error.to_string()),
    };
    let newest = cms::Dialect {
        ml_dsa: true,
        ml_dsa_attributes: true,
    };
    let parsed = cms::parse(split.message, newest)
        .and_then(|message| Ok((message.certificates, message.signed_data?)));
    let (certificates, message) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return bad(error.to_string()),
    };
    let certificates = certificates.encoded().count();
    let (module, signature) = (split.content.len(), split.message.len());
    let mut text = format!("{name}: module of {module} bytes, signature of {signature} bytes");
    let mut signers = vec![];
    for signer in message.signers() {
        let _ = write!(text, "\n  signer {signer}");
        signers.push(json!({
            "id": signer.id.to_string(),
            "digest": signer.digest.name(),
            "key": signer.key.name(),
        }));
    }
    if certificates > 0 {
        let _ = write!(text, "\n  certificates in the signature: {certificates}");
    }
    if trailer::split(split.content).is_ok() {
        text.push_str("\n  below it is another signature: signed twice");
    }
    Done {
        text,
        json: json!({
            "path": path, "size": file.len(), "module": module, "signature": signature,
            "signers": signers, "certificates": certificates,
        }),
        good: true,
    }
}
