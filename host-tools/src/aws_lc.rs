// SPDX-License-Identifier: MIT OR Apache-2.0

//! Signatures by AWS-LC, with keys that OpenSSL has read.
//!
//! The number that must not be used twice (k of ECDSA) is taken from a generator that the system seeds,
//! into which SHA-512 of key and digest goes as well (`ECDSA_do_sign()` of AWS-LC): should the generator
//! fail, two digests still have two of them. RSA is blinded, and its result checked. What AWS-LC frees it
//! clears (`OPENSSL_free()`).

use std::fmt;

use anyhow::{ensure, Context, Result};
use aws_lc_rs::{
    digest::{self, Digest},
    signature::{
        EcdsaKeyPair, EcdsaSigningAlgorithm, RsaEncoding, RsaKeyPair,
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING,
        ECDSA_P521_SHA512_ASN1_SIGNING, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
    },
};
use modsig::verify::DigestAlgorithm;
use openssl::{
    bn::BigNumContext,
    ec::PointConversionForm,
    nid::Nid,
    pkey::{Id, PKeyRef, Private},
};
use zeroize::Zeroizing;

/// A private key.
pub(crate) struct Key(Kind);

enum Kind {
    Ec {
        key: EcdsaKeyPair,
        /// As long as the order of the curve, or the longest.
        digest: &'static digest::Algorithm,
    },
    Rsa {
        key: RsaKeyPair,
        padding: &'static dyn RsaEncoding,
        digest: &'static digest::Algorithm,
    },
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key of AWS-LC")
    }
}

impl Key {
    /// Takes a key that OpenSSL has; `None` if AWS-LC does not sign digests of this kind with it.
    pub(crate) fn new(key: &PKeyRef<Private>, algorithm: DigestAlgorithm) -> Option<Self> {
        let kind = match key.id() {
            Id::EC => ec(key),
            Id::RSA => rsa(key, algorithm),
            _ => None,
        };
        kind.map(Key)
    }

    /// Signs a digest of the kind that the key was made for.
    pub(crate) fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        const FAILED: &str = "AWS-LC does not sign";
        match &self.0 {
            Kind::Ec { key, digest } => {
                let digest = Digest::import_less_safe(&number(bytes, digest.output_len), digest);
                let signature = digest.and_then(|digest| key.sign_digest(&digest));
                Ok(signature.ok().context(FAILED)?.as_ref().to_vec())
            }
            Kind::Rsa {
                key,
                padding,
                digest,
            } => {
                ensure!(bytes.len() == digest.output_len, FAILED);
                let mut signature = vec![0; key.public_modulus_len()];
                let digest = Digest::import_less_safe(bytes, digest);
                let signed =
                    digest.and_then(|digest| key.sign_digest(*padding, &digest, &mut signature));
                signed.ok().context(FAILED)?;
                Ok(signature)
            }
        }
    }
}

/// The same number in so many bytes. ECDSA signs the leftmost bits of a digest, as many as the order of the
/// curve has, as a number (FIPS 186-5 section 6.4.1).
fn number(digest: &[u8], size: usize) -> Vec<u8> {
    let kept = &digest[..digest.len().min(size)];
    let mut number = vec![0; size - kept.len()];
    number.extend(kept);
    number
}

fn ec(key: &PKeyRef<Private>) -> Option<Kind> {
    let key = key.ec_key().ok()?;
    let (algorithm, size, digest): (&EcdsaSigningAlgorithm, _, _) =
        match key.group().curve_name()? {
            Nid::X9_62_PRIME256V1 => (&ECDSA_P256_SHA256_ASN1_SIGNING, 32, &digest::SHA256),
            Nid::SECP384R1 => (&ECDSA_P384_SHA384_ASN1_SIGNING, 48, &digest::SHA384),
            Nid::SECP521R1 => (&ECDSA_P521_SHA512_ASN1_SIGNING, 66, &digest::SHA512),
            _ => return None,
        };
    let private = Zeroizing::new(key.private_key().to_vec_padded(size).ok()?);
    let mut context = BigNumContext::new().ok()?;
    let form = PointConversionForm::UNCOMPRESSED;
    let public = key.public_key().to_bytes(key.group(), form, &mut context);
    let key = EcdsaKeyPair::from_private_key_and_public_key(algorithm, &private, &public.ok()?);
    Some(Kind::Ec {
        key: key.ok()?,
        digest,
    })
}

fn rsa(key: &PKeyRef<Private>, algorithm: DigestAlgorithm) -> Option<Kind> {
    let (padding, digest): (&dyn RsaEncoding, _) = match algorithm {
        DigestAlgorithm::Sha256 => (&RSA_PKCS1_SHA256, &digest::SHA256),
        DigestAlgorithm::Sha384 => (&RSA_PKCS1_SHA384, &digest::SHA384),
        DigestAlgorithm::Sha512 => (&RSA_PKCS1_SHA512, &digest::SHA512),
        _ => return None,
    };
    let der = Zeroizing::new(key.rsa().ok()?.private_key_to_der().ok()?);
    Some(Kind::Rsa {
        key: RsaKeyPair::from_der(&der).ok()?,
        padding,
        digest,
    })
}
