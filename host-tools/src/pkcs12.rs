// SPDX-License-Identifier: MIT OR Apache-2.0

//! PKCS#12 (RFC 7292): a key, its certificate and those of its issuers in one file, as Windows, Java and
//! browsers write it (`.p12`, `.pfx`).

use anyhow::{bail, Result};
use openssl::{
    pkey::{PKey, Private},
    x509::X509,
};

use crate::{keys::is_unsupported, passphrase::Passphrase, store};

/// What is in such a file.
pub struct Pkcs12 {
    /// The private key, if there is one.
    pub key: Option<PKey<Private>>,
    /// The certificates, the key's first.
    pub certificates: Vec<X509>,
}

/// Whether a file is one: a SEQUENCE that begins with the number 3 (section 4). Private keys in DER begin with
/// 0 or 1, certificates with another SEQUENCE.
pub fn is_pkcs12(file: &[u8]) -> bool {
    let content = match file {
        // Of no definite length, as some write it, or one of 0 to 127 bytes.
        [0x30, 0..=0x80, content @ ..] => content,
        [0x30, count, rest @ ..] => rest.get(usize::from(count & 0x7f)..).unwrap_or_default(),
        _ => return false,
    };
    content.starts_with(&[2, 1, 3])
}

/// Reads one. A file without a passphrase, or with an empty one, needs none.
///
/// # Errors
///
/// If the passphrase is wrong or cannot be had, if OpenSSL does not know the cipher, or if the file is damaged.
pub fn read(name: &str, file: &[u8], passphrase: &Passphrase) -> Result<Pkcs12> {
    let (contents, errors) = store::contents(name, file, passphrase)?;
    let store::Contents {
        mut keys,
        mut certificates,
        legacy,
    } = contents;
    if keys.is_empty() && certificates.is_empty() {
        let reasons: Vec<_> = errors
            .errors()
            .iter()
            .filter_map(|error| error.reason())
            .collect();
        if reasons.iter().any(|reason| reason.contains("mac")) {
            bail!("{name}: the passphrase of this PKCS#12 file is wrong, or the file is damaged");
        }
        if !legacy && is_unsupported(&errors) {
            bail!(
                "{name}: a PKCS#12 file with an old cipher (RC2, DES), which OpenSSL has in its legacy provider only, and that is not there: install openssl-provider-legacy (Debian 13), or write the file anew where it is: openssl pkcs12 -legacy -in {name} -out key.pem"
            );
        }
        bail!(
            "{name}: a PKCS#12 file with neither key nor certificate, or damaged, or one without a MAC, whose passphrase cannot be checked; openssl pkcs12 -in {name} -out key.pem tells, and makes PEM of it"
        );
    }
    let key = keys.pop();
    if let Some(key) = &key {
        // Stable: the issuers stay in their order.
        certificates.sort_by_key(|one| {
            let public = one.public_key();
            !public.is_ok_and(|public| public.public_eq(key))
        });
    }
    Ok(Pkcs12 { key, certificates })
}
