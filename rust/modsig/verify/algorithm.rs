// SPDX-License-Identifier: GPL-2.0

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
    /// The algorithm of this object identifier (content octets).
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

    /// The name that the kernel's crypto API and `sign-file` have for it.
    pub fn name(self) -> &'static str {
        self.c_name().to_str().unwrap_or_default()
    }

    /// [`Self::name`], for C.
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

    /// Size of a digest in octets.
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
}

impl KeyAlgorithm {
    /// The algorithm of this object identifier (content octets).
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
            _ => None,
        }
    }

    /// The name that the kernel has for it (`struct public_key_signature`, `pkey_algo`).
    pub fn name(self) -> &'static str {
        self.c_name().to_str().unwrap_or_default()
    }

    /// [`Self::name`], for C.
    pub fn c_name(self) -> &'static CStr {
        match self {
            Self::Rsa => c"rsa",
            Self::Ecdsa => c"ecdsa",
            Self::Ecrdsa => c"ecrdsa",
        }
    }
}
