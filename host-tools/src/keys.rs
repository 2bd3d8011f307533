// SPDX-License-Identifier: GPL-2.0

//! Keys and certificates in files.

use std::{fs, io::IsTerminal, path::Path};

use anyhow::{bail, ensure, Context, Result};
use openssl::{
    pkey::{PKey, Private},
    version,
    x509::X509,
};

use crate::{
    ml_dsa,
    signer::{key_algorithm, CertificateIds},
};

/// The environment variable that the kernel's tools take a passphrase from.
pub const PIN_VARIABLE: &str = "KBUILD_SIGN_PIN";

/// Reads a private key (PEM, encrypted or not). The passphrase comes from `passphrase_file` (its
/// first line), from [`PIN_VARIABLE`], or from the terminal.
pub fn private_key(path: &Path, passphrase_file: Option<&Path>) -> Result<PKey<Private>> {
    let name = path.display();
    if path.to_string_lossy().starts_with("pkcs11:") {
        bail!("{name}: keys on tokens are not supported yet; give a PEM file");
    }
    let pem = fs::read(path).with_context(|| format!("{name}: cannot read the key"))?;
    let passphrase = match passphrase_file {
        Some(file) => Some(
            fs::read_to_string(file)
                .with_context(|| format!("{}: cannot read the passphrase", file.display()))?,
        ),
        None => std::env::var(PIN_VARIABLE).ok(),
    };
    let encrypted = pem.windows(9).any(|window| window == b"ENCRYPTED");
    let key = match passphrase {
        Some(passphrase) => {
            let line = passphrase.lines().next().unwrap_or_default();
            PKey::private_key_from_pem_passphrase(&pem, line.as_bytes())
        }
        None if encrypted && !std::io::stdin().is_terminal() => bail!(
            "{name}: the key is encrypted; give its passphrase with --passphrase-file or in {PIN_VARIABLE}"
        ),
        // OpenSSL asks on the terminal.
        None => PKey::private_key_from_pem(&pem),
    };
    key.with_context(|| {
        if encrypted {
            format!("{name}: the passphrase is wrong, or the key is damaged")
        } else {
            format!(
                "{name}: not a private key in PEM that {} knows; convert it with openssl pkey",
                version::version()
            )
        }
    })
}

/// Reads a private key ([`private_key`]) and its certificate ([`certificate`]), after it has seen
/// that OpenSSL knows that kind of key.
pub fn pair(
    key: &Path,
    certificate: &Path,
    passphrase_file: Option<&Path>,
) -> Result<(PKey<Private>, X509)> {
    let name = certificate.display();
    let certificate = self::certificate(certificate)?;
    let info = CertificateIds::new(&certificate)
        .with_context(|| name.to_string())?
        .public_key_info;
    if let Some(algorithm) = key_algorithm(&info).filter(|algorithm| algorithm.is_ml_dsa()) {
        ensure!(
            ml_dsa::is_available(algorithm),
            "{name}: it is for an {} key, and {}",
            algorithm.name(),
            ml_dsa::missing()
        );
    }
    Ok((private_key(key, passphrase_file)?, certificate))
}

/// Reads the first certificate of a file (PEM or DER).
pub fn certificate(path: &Path) -> Result<X509> {
    let first = certificates(path)?.into_iter().next();
    first.with_context(|| format!("{}: no certificate in it", path.display()))
}

/// Reads all certificates of a file (PEM, or one in DER); at least one.
pub fn certificates(path: &Path) -> Result<Vec<X509>> {
    let name = path.display();
    let octets = fs::read(path).with_context(|| format!("{name}: cannot read the certificate"))?;
    if let Ok(certificate) = X509::from_der(&octets) {
        return Ok(vec![certificate]);
    }
    match X509::stack_from_pem(&octets) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => bail!(
            "{name}: not a certificate in PEM or DER; give the one that was made with the key"
        ),
    }
}
