// SPDX-License-Identifier: MIT OR Apache-2.0

use std::{path::PathBuf, process::ExitCode};

use anyhow::{anyhow, ensure, Context, Result};
use modsig_tools::{
    files::Pending,
    new_key::{certificate, Algorithm},
    passphrase::Passphrase,
    secret,
};
use openssl::{asn1::Asn1Time, symm::Cipher};
use rustix::system::uname;
use zeroize::Zeroizing;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Kind of key (ML-DSA needs OpenSSL 3.5 or later)
    #[arg(long, value_enum, default_value = "rsa-4096")]
    algorithm: Algorithm,
    /// Common name in the certificate, of 1 to 64 characters [default: modsig key of HOST, DATE]
    #[arg(long)]
    cn: Option<String>,
    /// Days that the certificate is valid (the kernel does not look at it)
    #[arg(long, default_value_t = 36500)]
    days: u32,
    /// Say in the certificate that it is for signing code (some distributions' kernels insist on it)
    #[arg(long)]
    code_signing: bool,
    /// Where to write the private key (PEM, for its owner only)
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Encrypt the private key: the passphrase is asked for, or in KBUILD_SIGN_PIN
    #[arg(long)]
    encrypt: bool,
    /// With --encrypt: file whose first line is the passphrase
    #[arg(long, value_name = "FILE", requires = "encrypt")]
    passphrase_file: Option<PathBuf>,
    /// Where to write the certificate (PEM); with the key's name, both are in one file
    #[arg(long, value_name = "FILE")]
    cert: PathBuf,
    /// Replace files that exist
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let name = match &arguments.cn {
        Some(name) => name.clone(),
        None => own_name()?,
    };
    let characters = name.chars().count();
    ensure!(
        (1..=64).contains(&characters),
        "--cn: a common name of {characters} characters, which no certificate can have; give one of 1 to 64"
    );
    secret::hide()?;
    let passphrase = Passphrase::new(arguments.passphrase_file.as_deref());
    // To make the key may take a while.
    let encrypt = match arguments.encrypt {
        true => Some(passphrase.choose(&arguments.key.display().to_string())?),
        false => None,
    };
    let key = arguments.algorithm.key()?;
    let certificate = certificate(
        arguments.algorithm,
        &key,
        &name,
        arguments.days,
        arguments.code_signing,
    )?;
    let key = Zeroizing::new(match encrypt {
        Some(passphrase) => {
            key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), passphrase)?
        }
        None => key.private_key_to_pem_pkcs8()?,
    });
    let certificate = certificate.to_pem()?;
    if arguments.key == arguments.cert {
        // As Kbuild's signing_key.pem.
        let both = [&key[..], &certificate];
        let pending = arguments.pending(&arguments.key, 0o600, &both)?;
        Pending::sync([&pending])?;
        pending.commit()?;
    } else {
        let key = arguments.pending(&arguments.key, 0o600, &[&key[..]])?;
        let certificate = arguments.pending(&arguments.cert, 0o644, &[&certificate[..]])?;
        Pending::sync([&key, &certificate])?;
        // The key last: if anything goes wrong, the one that may be there is not lost.
        certificate.commit()?;
        key.commit().with_context(|| {
            format!(
                "{} is new, but its key was not written; make both again",
                arguments.cert.display()
            )
        })?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Arguments {
    fn pending(&self, path: &std::path::Path, mode: u32, parts: &[&[u8]]) -> Result<Pending> {
        match self.force {
            true => Pending::create(path, mode, parts),
            false => {
                let pending = Pending::create_new(path, mode, parts);
                pending.map_err(|error| anyhow!("{error:#}, or replace it with --force"))
            }
        }
    }
}

/// A name that no other key has: of this machine, and of today.
fn own_name() -> Result<String> {
    let now = Asn1Time::days_from_now(0)?.to_string();
    // "Nov  9 14:03:00 2026 GMT"
    let parts: Vec<&str> = now.split_whitespace().collect();
    let date = match parts[..] {
        [month, day, time, year, ..] => format!("{day} {month} {year} {time}"),
        _ => now,
    };
    let machine = uname();
    let machine: String = machine
        .nodename()
        .to_string_lossy()
        .chars()
        .take(28)
        .collect();
    Ok(format!("modsig key of {machine}, {date}"))
}
