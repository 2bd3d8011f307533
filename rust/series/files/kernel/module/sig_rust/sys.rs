// SPDX-License-Identifier: GPL-2.0

//! What the verifier needs of the kernel.

use kernel::{
    crypto::shash::Shash,
    error::Error,
    key::{
        self,
        AsymmetricKeyId,
        Key,
        PublicKeyOid, //
    },
    prelude::*,
    sync::aref::ARef, //
};

use crate::verify::{
    cms::{
        KeyId,
        MAX_MESSAGE, //
    },
    Blacklist,
    CertificateHash,
    Digest,
    DigestAlgorithm,
    Hashes,
    KeyAlgorithm,
    Keyring,
    Lookup,
    Platform,
    PlatformError,
    PublicKey,
    PublicKeyAlgorithm,
    Signature,
    Signed,
    Tree,
    Verification, //
};

/// No key of any algorithm has longer signatures, in bytes (ML-DSA-87 has 4627, RSA with 16384 bits
/// has 2048). The crypto API copies a signature before it looks at its length.
const MAX_SIGNATURE: usize = 8192;

// series: from hook
/// The (negative) error number of a class.
pub(crate) fn errno(class: crate::verify::Class) -> c_int {
    use crate::verify::Class;
    match class {
        Class::NoPackage => ENOPKG.to_errno(),
        Class::MessageSize => EMSGSIZE.to_errno(),
        Class::NoKey => ENOKEY.to_errno(),
        Class::BadMessage => EBADMSG.to_errno(),
        Class::Invalid => EINVAL.to_errno(),
        Class::Rejected => EKEYREJECTED.to_errno(),
        Class::Platform(errno) => errno,
    }
}

// series: end
fn platform_error(error: Error) -> PlatformError {
    PlatformError(error.to_errno())
}

/// The running kernel.
pub(crate) struct Kernel;

impl Hashes for Kernel {
    type Hash = Shash;

    fn tree(&self) -> Tree {
        Tree {
            ml_dsa: true,
            ml_dsa_attributes: cfg!(CONFIG_PKCS7_WAIVE_AUTHATTRS_REJECTION_FOR_MLDSA),
            certificate_hash: if cfg!(CONFIG_SYSTEM_BLACKLIST_KEYRING) {
                CertificateHash::Sha256
            } else {
                CertificateHash::None
            },
        }
    }

    fn hash(&self, algorithm: DigestAlgorithm) -> Result<Option<Shash>, PlatformError> {
        match Shash::new(algorithm.c_name()) {
            Ok(hash) => Ok(Some(hash)),
            Err(ENOENT) => Ok(None),
            Err(error) => Err(platform_error(error)),
        }
    }

    fn digest(
        &self,
        hash: &Shash,
        parts: &[&[u8]],
        digest: &mut Digest,
    ) -> Result<(), PlatformError> {
        hash.digest(parts, digest.buffer()).map_err(platform_error)
    }

    fn is_blacklisted(&self, what: Blacklist, digest: &Digest) -> Result<bool, PlatformError> {
        let Blacklist::Certificate = what;
        key::is_certificate_blacklisted(digest.as_bytes()).map_err(platform_error)
    }
}

impl Platform for Kernel {
    type Key = ARef<Key>;

    fn find_key(
        &self,
        keyring: Keyring,
        first: Option<KeyId<'_>>,
        second: Option<KeyId<'_>>,
    ) -> Result<Lookup<Self::Key>, PlatformError> {
        match find_key(keyring, first, second) {
            Ok(key) => Ok(Lookup::Found(key)),
            Err(ENOKEY) => Ok(Lookup::Unknown),
            Err(EKEYREJECTED) => Ok(Lookup::Mismatch),
            Err(error) => Err(platform_error(error)),
        }
    }

    fn verify(
        &self,
        key: &Self::Key,
        signature: &Signature<'_>,
    ) -> Result<Verification, PlatformError> {
        // pkcs7_validate_trust_one() takes every failure but ENOMEM for a wrong signature: the key
        // is there, and it does not stand for this module.
        match ask(signature, |signature| key.verify(signature)) {
            Ok(()) => Ok(Verification::Good),
            Err(ENOMEM) => Err(platform_error(ENOMEM)),
            Err(error) => Ok(Verification::Bad(error.to_errno())),
        }
    }

    fn verify_with(
        &self,
        key: &PublicKey<'_>,
        signature: &Signature<'_>,
    ) -> Result<Verification, PlatformError> {
        let key = key::PublicKey {
            algorithm: key.algorithm.c_name(),
            oid: match key.algorithm {
                PublicKeyAlgorithm::Ecrdsa256 => PublicKeyOid::GOST2012_256,
                PublicKeyAlgorithm::Ecrdsa512 => PublicKeyOid::GOST2012_512,
                _ => PublicKeyOid::NONE,
            },
            parameters: key.parameters,
            key: key.octets,
        };
        match ask(signature, |signature| key.verify(signature)) {
            Ok(()) => Ok(Verification::Good),
            Err(ENOPKG) => Ok(Verification::Unsupported),
            Err(ENOMEM) => Err(platform_error(ENOMEM)),
            Err(error) => Ok(Verification::Bad(error.to_errno())),
        }
    }
}

// Not inlined, so that the identifiers are on the stack only while they are looked for.
#[inline(never)]
fn find_key(
    keyring: Keyring,
    first: Option<KeyId<'_>>,
    second: Option<KeyId<'_>>,
) -> Result<ARef<Key>> {
    let id = |KeyId(first, second): KeyId<'_>| AsymmetricKeyId::new(first, second);
    let first = first.map(id).transpose()?;
    let second = second.map(id).transpose()?;
    match keyring {
        Keyring::Trusted => Key::system_secondary_keyring()
            .ok_or(ENOKEY)?
            .find_asymmetric(first.as_ref(), second.as_ref()),
        Keyring::Revoked => Key::find_revoked(first.as_ref(), second.as_ref()),
    }
}

/// Hands a signature to `verify`, in the form in which C takes it.
fn ask(
    signature: &Signature<'_>,
    verify: impl FnOnce(&key::Signature<'_>) -> Result,
) -> Result {
    let attributes;
    let (hash, message) = match signature.signed {
        Signed::Digest { algorithm, octets } => (algorithm.c_name(), octets),
        Signed::Data(data) => (c"none", data),
        Signed::Attributes {
            algorithm,
            after_tag,
        } => {
            attributes = Attributes::new(after_tag)?;
            (algorithm.c_name(), attributes.as_bytes())
        }
    };
    if signature.value.len() > MAX_SIGNATURE {
        return Err(EKEYREJECTED);
    }
    verify(&key::Signature {
        algorithm: signature.key.c_name(),
        hash,
        encoding: match signature.key {
            KeyAlgorithm::Rsa => c"pkcs1",
            KeyAlgorithm::Ecdsa => c"x962",
            KeyAlgorithm::Ecrdsa
            | KeyAlgorithm::MlDsa44
            | KeyAlgorithm::MlDsa65
            | KeyAlgorithm::MlDsa87 => c"raw",
        },
        message,
        value: signature.value,
    })
}

/// Signed attributes in the form in which they are signed: behind the tag of a SET OF.
struct Attributes {
    // As long as a message can be: what a `Vec` adds up could panic, for all that the compiler
    // knows.
    octets: KVBox<[u8; MAX_MESSAGE]>,
    size: usize,
}

impl Attributes {
    /// Copies them; they are part of a message.
    fn new(after_tag: &[u8]) -> Result<Self> {
        let mut octets = KVBox::<[u8; MAX_MESSAGE]>::zeroed(GFP_KERNEL)?;
        let [tag, rest @ ..] = &mut *octets;
        *tag = 0x31;
        for (to, from) in rest.iter_mut().zip(after_tag) {
            *to = *from;
        }
        let size = after_tag.len().saturating_add(1);
        Ok(Self { octets, size })
    }

    fn as_bytes(&self) -> &[u8] {
        // They are shorter than the message.
        self.octets.get(..self.size).unwrap_or(&[])
    }
}
