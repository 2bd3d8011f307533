// SPDX-License-Identifier: MIT OR Apache-2.0

//! `sign-file`, a program of its own: takes the place of the kernel's `scripts/sign-file`, with the same
//! options. A module that is signed already gets the new signature in place of the old one.

use std::{
    ffi::OsString,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{ensure, Context, Result};
use modsig_tools::{
    certificate::SignerIdForm,
    detached::SIGNATURE,
    digest::digest_by_any_name,
    files::{self, Found, Pending},
    keys,
    module::{self, Module},
    platform,
    release::{self, leaf, Tree},
    signer::{strip, Signer},
};

use crate::cli::help;

/// Signs a kernel module, as the kernel's scripts/sign-file
///
/// Takes the place of the kernel's own program, with the same options and operands, and makes the
/// same files. DKMS, for example, uses it with "sign_file=/usr/lib/modsig/sign-file" in
/// /etc/dkms/framework.conf.
///
/// It differs where that one does harm. A module that is signed already gets the new signature in
/// place of the old one, not behind it. Of a compressed module what is inside is signed. It says
/// so if it signs what is no module. The file is replaced as a whole, and keeps its mode, owner and extended
/// attributes. To sign many modules, "modsig sign" is faster.
#[derive(clap::Parser)]
#[command(
    name = "sign-file",
    version,
    override_usage = "sign-file [-dpk] <hash algo> <key> <x509> <module> [<dest>]\n       \
                      sign-file -s <raw sig> <hash algo> <x509> <module> [<dest>]",
    after_long_help = help::SIGN_FILE,
    verbatim_doc_comment
)]
pub struct Arguments {
    /// Write the signature to <module>.p7s only, leave the module
    #[arg(short = 'd')]
    pub detached: bool,
    /// Write the signature to <module>.p7s as well
    #[arg(short = 'p')]
    pub p7s: bool,
    /// Name the signer by key identifier, not by issuer and serial number
    #[arg(short = 'k')]
    pub key_id: bool,
    /// Append this signature, a PKCS#7 message that was made elsewhere
    #[arg(short = 's', value_name = "raw sig", conflicts_with_all = ["detached", "p7s", "key_id"])]
    pub raw: Option<PathBuf>,
    /// As modsig sign --release does: the module is a release of its own, for kernels with
    /// CONFIG_MODULE_SIG_RUST_RELEASE
    #[arg(long, conflicts_with_all = ["detached", "p7s", "raw"])]
    pub release: bool,
    /// Digest algorithm, private key and its certificate (as for "modsig sign"), module, and where the
    /// signed module goes, if not in place
    #[arg(required = true, num_args = 3..=5, value_name = "operand")]
    pub operands: Vec<OsString>,
}

/// Does what was asked for.
pub fn run(arguments: &Arguments) -> ExitCode {
    let key_operands = usize::from(arguments.raw.is_none());
    if !(3..=4).contains(&(arguments.operands.len() - key_operands)) {
        say("wrong number of operands; see sign-file --help");
        return ExitCode::from(2);
    }
    match sign(arguments, key_operands) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Says something to people, if they hear it.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "sign-file: {text}");
}

fn sign(arguments: &Arguments, key_operands: usize) -> Result<()> {
    platform::ready()?;
    let operand = |at: usize| arguments.operands.get(at).map(Path::new);
    let [hash, certificate, module] = [0, key_operands + 1, key_operands + 2].map(operand);
    let (hash, certificate, module) = hash
        .zip(certificate)
        .zip(module)
        .map(|((hash, certificate), module)| (hash, certificate, module))
        .context("wrong number of operands")?;

    let mut buffer = vec![];
    let file = Found::file(module);
    let original = file.read(&mut buffer)?;
    let named = || module.display().to_string();
    let opened = Module::open(&buffer).with_context(named)?;
    ensure!(
        !opened.file.is_empty(),
        "{}: the file is empty; build it again",
        named()
    );
    // Images of kernels are signed so as well, for kexec.
    let is_module = opened.unsigned().is_ok();
    let (content, _) = strip(&opened.file);
    ensure!(
        is_module || !arguments.release,
        "{}: not a kernel module, and only modules have a signature for a release; leave --release out",
        named()
    );
    let tree = match arguments.release {
        true => Some(Tree::new(vec![leaf(content)])?),
        false => None,
    };
    let head = tree.as_ref().map(Tree::head);
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
            let digest = digest_by_any_name(&hash.to_string_lossy())?;
            let (key, x509) = keys::pair(key_file, certificate, None)?;
            let sign = || {
                let content = head.as_ref().map_or(content, |head| &head[..]);
                Signer::untried(key, &x509, digest, form)?.vouched(content)
            };
            sign().with_context(|| {
                format!(
                    "{} with {}",
                    keys::shown(key_file),
                    keys::shown(certificate)
                )
            })?
        }
    };
    if arguments.p7s || arguments.detached {
        let place = file.output(None, SIGNATURE)?;
        Pending::create_at(place, original.mode() & 0o777, &[&message])?.commit()?;
    }
    if !arguments.detached {
        let end = match &tree {
            Some(tree) => release::end(&tree.proof(0)?, &message)?,
            None => [&message[..], &module::trailer(&message)?].concat(),
        };
        let parts = opened.packed(&[content, &end], None)?;
        // As the kernel's own, which does not ask who may write to the module.
        let pending = match operand(key_operands + 3) {
            Some(copy) => Pending::create(copy, original.mode() & 0o777, &parts)?,
            None => original.replace_protected(&parts)?,
        };
        pending.commit()?;
    }
    if !is_module {
        say(&format!(
            "{}: signed, though it is not a kernel module (not an ELF file)",
            module.display()
        ));
    }
    Ok(())
}
