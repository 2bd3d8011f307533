// SPDX-License-Identifier: GPL-2.0

use std::{path::PathBuf, process::ExitCode};

use anyhow::{anyhow, bail, ensure, Context, Result};
use modsig::verify::{Error, Flags};
use modsig_tools::{
    certificate::shown,
    files::{self, Found, Links},
    image::{self, Evidence},
    keys,
    loader::{Loadable, Loader},
    module::Module,
    platform::{no_verdict, outcome, Host, Mode},
    signer::strip,
};
use serde_json::json;

use super::report::{self, Done, Modules};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Trusted certificates (PEM, any number in a file, or DER); may be repeated
    #[arg(long, required_unless_present = "kernel", value_name = "FILE")]
    cert: Vec<PathBuf>,
    /// Trust and refuse what this kernel image has built in (vmlinux, bzImage, Image, EFI zboot)
    #[arg(long, value_name = "IMAGE")]
    kernel: Option<PathBuf>,
    /// The firmware's certificates, asked when no other is known
    #[arg(long, value_name = "FILE")]
    platform_cert: Vec<PathBuf>,
    /// Revoked certificates
    #[arg(long, value_name = "FILE")]
    revoked_cert: Vec<PathBuf>,
    /// Do not count an unsigned module as bad
    #[arg(long)]
    allow_unsigned: bool,
    /// Do not look at which kernel a module is built for, only at its signature
    #[arg(long, requires = "kernel")]
    any_release: bool,
    #[command(flatten)]
    modules: Modules,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut host = Host::default();
    let mut loader = None;
    if let Some(path) = &arguments.kernel {
        let image = image::read(path)?;
        loader = Some(image.loader()).filter(|_| !arguments.any_release);
        let named = || path.display().to_string();
        if image.evidence == Evidence::Nothing && image.accepts_keys() {
            let none = "no certificates found in it; modsig certs says what that may mean";
            report::complain(&anyhow!(none).context(named()));
        }
        // The kernel, too, says so and goes on without.
        for error in image.equip(&mut host) {
            report::complain(&error.context(named()));
        }
    }
    for path in &arguments.cert {
        for certificate in keys::certificates(path)? {
            host.trust(&certificate)?;
        }
    }
    for path in &arguments.platform_cert {
        for certificate in keys::certificates(path)? {
            host.trust_platform(&certificate)?;
        }
    }
    for path in &arguments.revoked_cert {
        for certificate in keys::certificates(path)? {
            host.revoke(&certificate)?;
        }
    }
    let modules = arguments.modules.find(Links::Follow)?;
    arguments
        .modules
        .each_alone(modules, |buffer, Found { path, .. }| {
            files::read_into(path, buffer)?;
            let named = || path.display().to_string();
            let opened = Module::open(buffer).with_context(named)?;
            verify(&host, loader.as_ref(), &opened, arguments.allow_unsigned).with_context(named)
        })
}

fn verify(
    host: &Host,
    loader: Option<&Loader>,
    opened: &Module<'_>,
    allow_unsigned: bool,
) -> Result<Done> {
    let checked = host.check(&opened.file, Flags::default());
    // The file may be good or bad.
    if let Some(reason) = no_verdict(&checked.result) {
        bail!(reason);
    }
    ensure!(
        opened.misplaced == 0,
        "signed after it was packed, so that nobody looks for the signature, and some unpackers \
         refuse the file; sign it again with modsig, which signs what is inside"
    );
    let [permissive, enforcing, lockdown] =
        [Mode::Permissive, Mode::Enforcing, Mode::Lockdown].map(|mode| outcome(&checked, mode));
    // The loader looks at the rest of a module once its signature is good enough.
    let unloadable = match Loadable::read(strip(&opened.file).0) {
        Ok(module) => loader.and_then(|loader| loader.refuses(&module)),
        Err(error) => Some(format!("{error:#}")),
    };
    let or_not = |outcome: &'static str| match &unloadable {
        Some(_) if outcome.starts_with("loads") => "ENOEXEC",
        _ => outcome,
    };
    let [permissive, enforcing, lockdown] = [permissive, enforcing, lockdown].map(or_not);
    let signer = checked.signer.as_ref().map(shown);
    let mut reason = checked.result.err().map(|error| error.to_string());
    if let Some(unloadable) = &unloadable {
        let signature = reason.map(|reason| format!("; {reason}"));
        reason = Some(format!("{unloadable}{}", signature.unwrap_or_default()));
    }
    let by_hash = checked.result.is_ok() && checked.signer.is_none();
    let mut text = match &reason {
        Some(reason) => reason.clone(),
        None if by_hash => "good, by its hash".to_owned(),
        None => "good".to_owned(),
    };
    if let Some(signer) = &signer {
        text += &format!("; signer {signer}");
    }
    if reason.is_some() {
        text += &format!(
            "\n  permissive: {permissive}; enforcing: {enforcing}; locked down: {lockdown}"
        );
    }
    let json = json!({
        "good": reason.is_none(), "reason": reason, "signer": signer, "by_hash": by_hash,
        "permissive": permissive, "enforcing": enforcing, "lockdown": lockdown,
    });
    Ok(match checked.result {
        _ if unloadable.is_some() => Done::bad(text, json),
        Ok(()) => Done::good("good", text, json),
        Err(Error::Unsigned) if allow_unsigned => Done::good("unsigned", text, json),
        Err(Error::Unsigned) => Done {
            count: "unsigned",
            ..Done::bad(text, json)
        },
        Err(_) => Done::bad(text, json),
    })
}
