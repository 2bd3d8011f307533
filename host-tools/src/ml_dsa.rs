// SPDX-License-Identifier: MIT OR Apache-2.0

//! ML-DSA (FIPS 204), which OpenSSL has from 3.5 on: whether it is there shows when the program
//! runs, not when it is built.

use anyhow::{Context, Result};
use modsig::verify::KeyAlgorithm;
use openssl::{
    asn1::Asn1Object,
    error::ErrorStack,
    nid::Nid,
    pkey::{Id, PKey, Private},
    pkey_ctx::PkeyCtx,
    sign, version,
};

/// Readies OpenSSL to make a key; `None` if it does not have the algorithm.
fn generator(algorithm: KeyAlgorithm) -> Option<PkeyCtx<()>> {
    let oid = match algorithm {
        KeyAlgorithm::MlDsa44 => "2.16.840.1.101.3.4.3.17",
        KeyAlgorithm::MlDsa65 => "2.16.840.1.101.3.4.3.18",
        KeyAlgorithm::MlDsa87 => "2.16.840.1.101.3.4.3.19",
        _ => return None,
    };
    let nid = Asn1Object::from_str(oid).ok()?.nid();
    if nid == Nid::UNDEF {
        return None;
    }
    let mut context = PkeyCtx::new_id(Id::from_raw(nid.as_raw())).ok()?;
    context.keygen_init().ok()?;
    Some(context)
}

/// Whether this OpenSSL has it.
pub fn is_available(algorithm: KeyAlgorithm) -> bool {
    generator(algorithm).is_some()
}

/// What a person is told where OpenSSL does not have it.
pub fn missing() -> String {
    // "OpenSSL 3.0.19 27 Jan 2026"
    let version = version::version();
    let number = version.split(' ').nth(1).unwrap_or(version);
    format!(
        "this OpenSSL ({number}) has no ML-DSA; build modsig with --features vendored, \
         or use OpenSSL 3.5 or later"
    )
}

/// Makes a key.
pub fn generate(algorithm: KeyAlgorithm) -> Result<PKey<Private>> {
    Ok(generator(algorithm).with_context(missing)?.keygen()?)
}

/// Whether the key of this SubjectPublicKeyInfo made this signature; `None` if OpenSSL cannot
/// tell.
pub fn verify(
    algorithm: KeyAlgorithm,
    public_key_info: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Option<bool> {
    let check = || -> Result<bool, ErrorStack> {
        let key = PKey::public_key_from_der(public_key_info)?;
        let mut verifier = sign::Verifier::new_without_digest(&key)?;
        verifier.verify_oneshot(signature, message)
    };
    match check() {
        Ok(good) => Some(good),
        // OpenSSL calls a malformed signature an error.
        Err(_) => is_available(algorithm).then_some(false),
    }
}
