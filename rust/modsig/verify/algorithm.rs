// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The algorithms that a signature may name: those of the kernel's
//! `crypto/asymmetric_keys/pkcs7_parser.c`.
//!
//! To know an algorithm is not to have it: whether it is built in is for the platform to say. A
//! known one that is missing, or a bad signature by it, is judged as C does, which an unknown
//! one could not be.

use core::ffi::CStr;

use super::oid;

/// A digest algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigestAlgorithm {
    /// SHA-1 (FIPS 180-4).
    Sha1,
    /// SHA-224 (FIPS 180-4).
    Sha224,
    /// SHA-256 (FIPS 180-4).
    Sha256,
    /// SHA-384 (FIPS 180-4).
    Sha384,
    /// SHA-512 (FIPS 180-4).
    Sha512,
    /// SM3 (GB/T 32905).
    Sm3,
    /// Streebog with 256 bits (RFC 6986).
    Streebog256,
    /// Streebog with 512 bits (RFC 6986).
    Streebog512,
    /// SHA3-256 (FIPS 202).
    Sha3_256,
    /// SHA3-384 (FIPS 202).
    Sha3_384,
    /// SHA3-512 (FIPS 202).
    Sha3_512,
}

impl DigestAlgorithm {
    /// The algorithm of this object identifier (content bytes).
    pub fn from_oid(oid: &[u8]) -> Option<Self> {
        if let Some(arc) = oid.strip_prefix(oid::NIST_HASH) {
            return match arc {
                [1] => Some(Self::Sha256),
                [2] => Some(Self::Sha384),
                [3] => Some(Self::Sha512),
                [4] => Some(Self::Sha224),
                [8] => Some(Self::Sha3_256),
                [9] => Some(Self::Sha3_384),
                [10] => Some(Self::Sha3_512),
                _ => None,
            };
        }
        match oid {
            oid::SHA1 => Some(Self::Sha1),
            oid::SM3 => Some(Self::Sm3),
            oid::STREEBOG256 => Some(Self::Streebog256),
            oid::STREEBOG512 => Some(Self::Streebog512),
            _ => None,
        }
    }

    // series: cut
    /// [`Self::c_name`], for people.
    pub fn name(self) -> &'static str {
        self.c_name().to_str().unwrap_or_default()
    }
    // series: end

    /// The name that the kernel's crypto API and `sign-file` have for it.
    pub fn c_name(self) -> &'static CStr {
        match self {
            Self::Sha1 => c"sha1",
            Self::Sha224 => c"sha224",
            Self::Sha256 => c"sha256",
            Self::Sha384 => c"sha384",
            Self::Sha512 => c"sha512",
            Self::Sm3 => c"sm3",
            Self::Streebog256 => c"streebog256",
            Self::Streebog512 => c"streebog512",
            Self::Sha3_256 => c"sha3-256",
            Self::Sha3_384 => c"sha3-384",
            Self::Sha3_512 => c"sha3-512",
        }
    }

    /// Size of a digest in bytes.
    pub fn size(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha224 => 28,
            Self::Sha256 | Self::Sm3 | Self::Streebog256 | Self::Sha3_256 => 32,
            Self::Sha384 | Self::Sha3_384 => 48,
            Self::Sha512 | Self::Streebog512 | Self::Sha3_512 => 64,
        }
    }
}

/// A signature algorithm, as far as a SignerInfo tells it: the curve is the key's matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// RSASSA-PKCS1-v1_5 (RFC 8017 section 8.2).
    Rsa,
    /// ECDSA with an X9.62 signature value (RFC 3279 section 2.2.3).
    Ecdsa,
    /// EC-RDSA (RFC 7091).
    Ecrdsa,
    /// ML-DSA-44 (FIPS 204).
    MlDsa44,
    /// ML-DSA-65 (FIPS 204).
    MlDsa65,
    /// ML-DSA-87 (FIPS 204).
    MlDsa87,
}

impl KeyAlgorithm {
    /// The algorithm of this object identifier (content bytes) in a SignerInfo.
    ///
    /// For RSA only the key's own identifier is one, as in C: those that join it to a digest are
    /// not.
    pub fn from_oid(oid: &[u8]) -> Option<Self> {
        match oid {
            oid::RSA_ENCRYPTION => return Some(Self::Rsa),
            oid::ECDSA_WITH_SHA1 => return Some(Self::Ecdsa),
            oid::GOST2012_256 | oid::GOST2012_512 => return Some(Self::Ecrdsa),
            _ => {}
        }
        match (
            oid.strip_prefix(oid::ECDSA_WITH_SHA2),
            oid.strip_prefix(oid::NIST_SIGNATURE),
        ) {
            // SHA-224, -256, -384, -512; SHA3-256, -384, -512.
            (Some([1..=4]), _) | (_, Some([10..=12])) => Some(Self::Ecdsa),
            (_, Some(&[arc])) => Self::ml_dsa(arc),
            _ => None,
        }
    }

    /// The ML-DSA of this last arc of NIST's signature algorithms.
    fn ml_dsa(arc: u8) -> Option<Self> {
        match arc {
            17 => Some(Self::MlDsa44),
            18 => Some(Self::MlDsa65),
            19 => Some(Self::MlDsa87),
            _ => None,
        }
    }

    /// Whether it is one of ML-DSA, which is given what is signed, not a digest.
    pub fn is_ml_dsa(self) -> bool {
        matches!(self, Self::MlDsa44 | Self::MlDsa65 | Self::MlDsa87)
    }

    /// Whether its identifier has parameters that are its own affair.
    pub(super) fn has_parameters(self) -> bool {
        self == Self::Ecrdsa
    }

    // series: cut
    /// [`Self::c_name`], for people.
    pub fn name(self) -> &'static str {
        self.c_name().to_str().unwrap_or_default()
    }
    // series: end

    /// The name that the kernel has for it (`struct public_key_signature`, `pkey_algo`).
    pub fn c_name(self) -> &'static CStr {
        match self {
            Self::Rsa => c"rsa",
            Self::Ecdsa => c"ecdsa",
            Self::Ecrdsa => c"ecrdsa",
            Self::MlDsa44 => c"mldsa44",
            Self::MlDsa65 => c"mldsa65",
            Self::MlDsa87 => c"mldsa87",
        }
    }

    // series: cut
    /// The form of the signature value, as the kernel names it (`struct public_key_signature`,
    /// `encoding`).
    pub fn c_encoding(self) -> &'static CStr {
        match self {
            Self::Rsa => c"pkcs1",
            Self::Ecdsa => c"x962",
            Self::Ecrdsa | Self::MlDsa44 | Self::MlDsa65 | Self::MlDsa87 => c"raw",
        }
    }
    // series: end
}

/// How a certificate is signed: the identifier names the digest as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CertificateAlgorithm {
    /// The signature algorithm.
    pub key: KeyAlgorithm,
    /// The digest; `None` for ML-DSA.
    pub digest: Option<DigestAlgorithm>,
}

impl CertificateAlgorithm {
    /// The algorithm of this object identifier (content bytes), as far as `x509_note_sig_algo()`
    /// of `crypto/asymmetric_keys/x509_cert_parser.c` knows it.
    pub fn from_oid(oid: &[u8]) -> Option<Self> {
        use DigestAlgorithm::*;
        use KeyAlgorithm::*;
        let (key, digest) = match oid {
            oid::ECDSA_WITH_SHA1 => (Ecdsa, Sha1),
            oid::GOST2012_SIGNATURE_256 => (Ecrdsa, Streebog256),
            oid::GOST2012_SIGNATURE_512 => (Ecrdsa, Streebog512),
            _ => match (
                oid.strip_prefix(oid::PKCS1),
                oid.strip_prefix(oid::ECDSA_WITH_SHA2),
                oid.strip_prefix(oid::NIST_SIGNATURE),
            ) {
                (Some([5]), _, _) => (Rsa, Sha1),
                (Some([11]), _, _) => (Rsa, Sha256),
                (Some([12]), _, _) => (Rsa, Sha384),
                (Some([13]), _, _) => (Rsa, Sha512),
                (Some([14]), _, _) => (Rsa, Sha224),
                (_, Some([1]), _) => (Ecdsa, Sha224),
                (_, Some([2]), _) => (Ecdsa, Sha256),
                (_, Some([3]), _) => (Ecdsa, Sha384),
                (_, Some([4]), _) => (Ecdsa, Sha512),
                (_, _, Some([10])) => (Ecdsa, Sha3_256),
                (_, _, Some([11])) => (Ecdsa, Sha3_384),
                (_, _, Some([12])) => (Ecdsa, Sha3_512),
                (_, _, Some([14])) => (Rsa, Sha3_256),
                (_, _, Some([15])) => (Rsa, Sha3_384),
                (_, _, Some([16])) => (Rsa, Sha3_512),
                (_, _, Some(&[arc])) => {
                    let key = KeyAlgorithm::ml_dsa(arc)?;
                    return Some(CertificateAlgorithm { key, digest: None });
                }
                _ => return None,
            },
        };
        let digest = Some(digest);
        Some(CertificateAlgorithm { key, digest })
    }
}

/// The kind of a public key, with its curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublicKeyAlgorithm {
    /// RSA (RFC 8017).
    Rsa,
    /// ECDSA with P-192 (FIPS 186-4), which the kernel still has.
    EcdsaP192,
    /// ECDSA with P-256 (FIPS 186-5).
    EcdsaP256,
    /// ECDSA with P-384 (FIPS 186-5).
    EcdsaP384,
    /// ECDSA with P-521 (FIPS 186-5).
    EcdsaP521,
    /// EC-RDSA with 256 bits (RFC 7091).
    Ecrdsa256,
    /// EC-RDSA with 512 bits (RFC 7091).
    Ecrdsa512,
    /// ML-DSA-44 (FIPS 204).
    MlDsa44,
    /// ML-DSA-65 (FIPS 204).
    MlDsa65,
    /// ML-DSA-87 (FIPS 204).
    MlDsa87,
}

impl PublicKeyAlgorithm {
    /// The name that the kernel has for it (`struct public_key`, `pkey_algo`), for C.
    pub fn c_name(self) -> &'static CStr {
        match self {
            Self::Rsa => c"rsa",
            Self::EcdsaP192 => c"ecdsa-nist-p192",
            Self::EcdsaP256 => c"ecdsa-nist-p256",
            Self::EcdsaP384 => c"ecdsa-nist-p384",
            Self::EcdsaP521 => c"ecdsa-nist-p521",
            Self::Ecrdsa256 | Self::Ecrdsa512 => c"ecrdsa",
            Self::MlDsa44 => c"mldsa44",
            Self::MlDsa65 => c"mldsa65",
            Self::MlDsa87 => c"mldsa87",
        }
    }

    // series: cut
    /// Whether it is one of ML-DSA.
    pub fn is_ml_dsa(self) -> bool {
        matches!(self, Self::MlDsa44 | Self::MlDsa65 | Self::MlDsa87)
    }
    // series: end
}
