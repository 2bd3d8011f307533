// SPDX-License-Identifier: GPL-2.0

//! `sign-file`: takes the place of the kernel's `scripts/sign-file`, with the same options.
//!
//! A module that is signed already gets the new signature in place of the old one, not behind it.

use std::{path::Path, process::ExitCode};

use anyhow::{Context, Result};
use clap::Parser;
use modsig_tools::{
    commands::sign_file::Arguments,
    files::{self, Original, Pending},
    keys,
    module::{self, Module},
    signer::{digest_by_name, Signer, SignerIdForm},
};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let key_operands = usize::from(arguments.raw.is_none());
    if !(3..=4).contains(&(arguments.operands.len() - key_operands)) {
        eprintln!("sign-file: wrong number of operands; see sign-file --help");
        return ExitCode::from(2);
    }
    match run(&arguments, key_operands) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sign-file: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments, key_operands: usize) -> Result<()> {
    let operand = |at: usize| arguments.operands.get(at).map(Path::new);
    let [hash, certificate, module] = [0, key_operands + 1, key_operands + 2].map(operand);
    let (hash, certificate, module) = hash
        .zip(certificate)
        .zip(module)
        .map(|((hash, certificate), module)| (hash, certificate, module))
        .context("wrong number of operands")?;
    let destination = operand(key_operands + 3).unwrap_or(module);

    let mut buffer = vec![];
    let original = Original::read(module, &mut buffer)?;
    let named = || module.display().to_string();
    let opened = Module::open(&buffer).with_context(named)?;
    let (content, _) = opened.unsigned().with_context(named)?;
    let message = match &arguments.raw {
        // As the kernel's own: what was made elsewhere is a whole message.
        Some(raw) => files::read(raw)?,
        None => {
            let form = if arguments.key_id {
                SignerIdForm::SubjectKeyId
            } else {
                SignerIdForm::IssuerAndSerial
            };
            let key_file = operand(1).context("wrong number of operands")?;
            let digest = digest_by_name(&hash.to_string_lossy().to_lowercase())?;
            let (key, x509) = keys::pair(key_file, certificate, None)?;
            Signer::new(key, &x509, digest, form)
                .with_context(|| {
                    format!(
                        "{} with {}",
                        keys::shown(key_file),
                        keys::shown(certificate)
                    )
                })?
                .message(content)?
        }
    };
    if arguments.p7s || arguments.detached {
        let mut p7s = module.as_os_str().to_owned();
        p7s.push(".p7s");
        Pending::replace(Path::new(&p7s), &original, &[&message])?.commit()?;
    }
    if !arguments.detached {
        let trailer = module::trailer(&message)?;
        let parts = opened.packed(&[content, &message, &trailer])?;
        Pending::replace(destination, &original, &parts)?.commit_over(&original)?;
    }
    Ok(())
}
