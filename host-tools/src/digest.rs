// SPDX-License-Identifier: MIT OR Apache-2.0

//! Digest algorithms, as OpenSSL knows them.

use anyhow::{Context, Result};
use modsig::verify::DigestAlgorithm;
use openssl::{
    error::ErrorStack,
    hash::MessageDigest,
    md::Md,
    pkey::{Id, PKeyRef, Public},
    pkey_ctx::PkeyCtx,
    rsa::Padding,
};

/// Finds a digest by the name that the kernel has for it.
pub fn digest_by_name(name: &str) -> Result<DigestAlgorithm> {
    use DigestAlgorithm::*;
    let all = [
        Sha1, Sha224, Sha256, Sha384, Sha512, Sha3_256, Sha3_384, Sha3_512,
    ];
    all.into_iter()
        .find(|digest| digest.name() == name)
        .with_context(|| {
            let names: Vec<_> = all.iter().map(|digest| digest.name()).collect();
            format!(
                "unknown digest algorithm {name:?}; known are {}",
                names.join(", ")
            )
        })
}

/// OpenSSL's implementation of a digest, if it has one.
pub fn message_digest(digest: DigestAlgorithm) -> Option<MessageDigest> {
    MessageDigest::from_name(digest.name())
}

/// The same by any name that OpenSSL has for it, for the kernel's sign-file takes those.
pub fn digest_by_any_name(name: &str) -> Result<DigestAlgorithm> {
    let name = name.to_lowercase();
    let plain = name.strip_prefix("rsa-").unwrap_or(&name);
    let plain = match plain.strip_prefix("sha2-").or(plain.strip_prefix("sha-")) {
        Some(size) => format!("sha{size}"),
        None => plain.to_owned(),
    };
    digest_by_name(&plain).or_else(|_| digest_by_name(&name))
}

/// Whether a key, RSA or EC, has made a signature over a digest; a signature that is malformed is none.
///
/// # Errors
///
/// If OpenSSL does not say: it has not that digest, or a policy forbids it.
pub fn verify_digest(
    key: &PKeyRef<Public>,
    algorithm: DigestAlgorithm,
    octets: &[u8],
    signature: &[u8],
) -> Result<bool, ErrorStack> {
    let Some(digest) = message_digest(algorithm) else {
        return Err(ErrorStack::get());
    };
    let mut context = PkeyCtx::new(key)?;
    context.verify_init()?;
    if key.id() == Id::RSA {
        context.set_rsa_padding(Padding::PKCS1)?;
    }
    context.set_signature_md(Md::from_nid(digest.type_()).ok_or_else(ErrorStack::get)?)?;
    // It calls a malformed signature an error.
    Ok(context.verify(octets, signature).unwrap_or(false))
}
