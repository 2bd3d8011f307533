// SPDX-License-Identifier: MIT OR Apache-2.0

use std::{path::PathBuf, process::ExitCode};

use anyhow::{anyhow, Context, Result};
use modsig_tools::{
    certificate::SignerIdForm,
    detached::{with_ending, Gate, RAW, SIGNATURE},
    digest::digest_by_name,
    files::{self, Found, Links},
    keys,
    module::Module,
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
    /// Where the signatures are, as below --dest-dir of sign [default: beside the modules]
    #[arg(long, value_name = "DIR")]
    signatures: Option<PathBuf>,
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
    let modules = arguments.modules.find(Links::Leave)?;
    let mut batch = Batch::new(&arguments.writing, arguments.modules.jobs());
    arguments.modules.each(
        modules,
        |buffer, found| attach(arguments, &gate, elsewhere.as_ref(), buffer, found),
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

fn attach(
    arguments: &Arguments,
    gate: &Gate,
    elsewhere: Option<&Elsewhere>,
    buffer: &mut Vec<u8>,
    found: &Found,
) -> Result<Replaced> {
    let path = &found.path;
    let original = found.read(buffer)?;
    let named = || path.display().to_string();
    let opened = Module::open(buffer).with_context(named)?;
    let (module, replaced) = opened.loadable().with_context(named)?;
    let replaced = replaced + opened.misplaced;
    let beside = match &arguments.signatures {
        Some(directory) => directory.join(&found.name),
        None => path.clone(),
    };
    let signature = match elsewhere {
        Some(_) => with_ending(&beside, RAW),
        None => with_ending(&beside, SIGNATURE),
    };
    let mut message = files::read(&signature)
        .with_context(|| format!("{}: has no signature to attach", path.display()))?;
    if let Some(elsewhere) = elsewhere {
        message = elsewhere
            .message(&message)
            .with_context(|| signature.display().to_string())?;
    }
    let mut joined = gate.join(module, &message);
    if elsewhere.is_some() {
        joined = joined.map_err(|error| {
            anyhow!("{error:#}; is it over this module, as it is without a signature, and with the digest of --hash?")
        });
    }
    let file = joined.with_context(|| {
        format!(
            "{}: {} was not attached",
            path.display(),
            signature.display()
        )
    })?;
    let facts = |attached| Attached { attached, replaced };
    if opened.misplaced == 0 && *opened.file == file {
        let text = "has this signature already";
        let done = Done::good(Count::AttachedBefore, text, &facts(true));
        return Ok(Replaced { done, file: None });
    }
    if arguments.dry_run.dry_run {
        let text = "its signature would be attached";
        let done = Done::good(Count::ToBeAttached, text, &facts(false));
        return Ok(Replaced { done, file: None });
    }
    let end = &file[module.len()..];
    let pending = arguments.writing.put_end(&original, &opened, module, end)?;
    let text = match replaced {
        0 => "signature attached",
        _ => "signature attached, the old one replaced",
    };
    Ok(Replaced {
        done: Done::good(Count::Attached, text, &facts(true)),
        file: pending,
    })
}
