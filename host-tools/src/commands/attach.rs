// SPDX-License-Identifier: GPL-2.0

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};
use modsig_tools::{
    detached::{signature_path, Gate},
    files::{self, Found, Links},
    keys,
    module::Module,
};
use serde_json::json;

use super::{
    replace::{Batch, Replaced, Sync},
    report::{Done, Modules},
};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The signer's certificate (PEM, DER, pkcs11: URI); no other signature is taken
    #[arg(long, value_name = "FILE")]
    cert: PathBuf,
    /// Where the signatures are, as below --dest-dir of sign [default: beside the modules]
    #[arg(long, value_name = "DIR")]
    signatures: Option<PathBuf>,
    #[command(flatten)]
    sync: Sync,
    #[command(flatten)]
    modules: Modules,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let certificate = keys::certificate(&arguments.cert)?;
    let gate = Gate::new(&certificate).with_context(|| keys::shown(&arguments.cert).to_string())?;
    let modules = arguments.modules.find(Links::Leave)?;
    let mut batch = Batch::new(&arguments.sync, arguments.modules.jobs());
    let directory = arguments.signatures.as_deref();
    arguments.modules.each(
        modules,
        |buffer, found| attach(&gate, directory, buffer, found),
        |attached| batch.take(attached),
    )
}

fn attach(
    gate: &Gate,
    directory: Option<&Path>,
    buffer: &mut Vec<u8>,
    found: &Found,
) -> Result<Replaced> {
    let path = &found.path;
    let original = found.read(buffer)?;
    let named = || path.display().to_string();
    let opened = Module::open(buffer).with_context(named)?;
    let (module, replaced) = opened.loadable().with_context(named)?;
    let replaced = replaced + opened.misplaced;
    let signature = signature_path(&match directory {
        Some(directory) => directory.join(&found.name),
        None => path.clone(),
    });
    let message = files::read(&signature)
        .with_context(|| format!("{}: has no signature to attach", path.display()))?;
    let file = gate.join(module, &message).with_context(|| {
        format!(
            "{}: {} was not attached",
            path.display(),
            signature.display()
        )
    })?;
    let json = json!({ "attached": true, "replaced": replaced });
    if opened.misplaced == 0 && *opened.file == file {
        let done = Done::good("attached before", "has this signature already", json);
        return Ok(Replaced { done, file: None });
    }
    let parts = opened.packed(&[&file])?;
    let pending = original.replace(&parts)?;
    let text = match replaced {
        0 => "signature attached",
        _ => "signature attached, the old one replaced",
    };
    Ok(Replaced {
        done: Done::good("attached", text, json),
        file: Some(pending),
    })
}
