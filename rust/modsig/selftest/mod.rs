// SPDX-License-Identifier: GPL-2.0 OR MIT

//! KUnit tests: signatures that are known to be good, and what may not be taken for one, by the
//! running kernel's own crypto.
//!
//! Only the keyrings are not the kernel's: one certificate is all that is trusted.

// series: cut
use core::cell::{Cell, RefCell};
// series: end

// series: from signers
use kernel::prelude::*;

use crate::{
    sys::Kernel,
    verify::{
        check_signature,
        der::Reader,
        x509::{self, Certificate},
        Blacklist, CertificateHash, Digest, DigestAlgorithm, Error, Hashes, KeyId, Keyring, Lookup,
        Platform, PlatformError, PublicKey, Signature, Tree, Verification,
    },
};
// series: end
// series: cut
use crate::verify::{
    check,
    memo::{self, Entry, Memo, Memory},
    merkle, trailer, Flags,
};
// series: end

mod parse;
// series: from cms
mod vectors;
// series: end

// series: from signers
/// The running kernel, but it trusts one certificate and nobody else, and refuses none by name.
struct Trusting {
    certificate: Certificate<'static>,
    // series: cut
    /// What it remembers of releases.
    memo: RefCell<Memo<PublicKey<'static>, KVec<u8>>>,
    /// How many signatures were checked.
    checked: Cell<usize>,
    // series: end
}

impl Trusting {
    fn new(certificate: &'static [u8]) -> Option<Self> {
        let encoded = Reader::new(certificate).any().ok()?;
        Some(Trusting {
            certificate: x509::parse(&encoded, false).ok()?,
            // series: cut
            memo: RefCell::new(Memo::new()),
            checked: Cell::new(0),
            // series: end
        })
    }
}

/// A copy.
fn copy(octets: &[u8]) -> Result<KVec<u8>> {
    let mut copy = KVec::new();
    copy.extend_from_slice(octets, GFP_KERNEL)?;
    Ok(copy)
}

// series: cut
impl Memory<PublicKey<'static>> for RefCell<Memo<PublicKey<'static>, KVec<u8>>> {
    fn knows(&self, key: &PublicKey<'static>, signature: &Signature<'_>) -> bool {
        self.try_borrow()
            .is_ok_and(|memo| memo.knows(key, signature))
    }

    fn remember(&self, key: &PublicKey<'static>, signature: &Signature<'_>) {
        if let Some(entry) = Entry::new(*key, signature, |octets| copy(octets).ok()) {
            if let Ok(mut memo) = self.try_borrow_mut() {
                memo.remember(entry);
            }
        }
    }
}
// series: end

impl Hashes for Trusting {
    type Hash = <Kernel as Hashes>::Hash;

    // series: cut
    fn root(&self) -> Option<merkle::Root> {
        None
    }
    // series: end

    fn tree(&self) -> Tree {
        Tree {
            certificate_hash: CertificateHash::None,
            // series: cut
            file_hashes: false,
            // series: end
            ..Kernel.tree()
        }
    }

    fn hash(&self, algorithm: DigestAlgorithm) -> Result<Option<Self::Hash>, PlatformError> {
        Kernel.hash(algorithm)
    }

    fn digest(
        &self,
        hash: &Self::Hash,
        parts: &[&[u8]],
        digest: &mut Digest,
    ) -> Result<(), PlatformError> {
        Kernel.digest(hash, parts, digest)
    }

    fn is_blacklisted(&self, _: Blacklist, _: &Digest) -> Result<bool, PlatformError> {
        Ok(false)
    }
}

impl Platform for Trusting {
    type Key = PublicKey<'static>;

    // series: cut
    fn releases(&self) -> bool {
        true
    }
    // series: end

    fn find_key(
        &self,
        keyring: Keyring,
        first: Option<KeyId<'_>>,
        second: Option<KeyId<'_>>,
    ) -> Result<Lookup<Self::Key>, PlatformError> {
        let certificate = &self.certificate;
        let own = [Some(certificate.id), certificate.subject_key_id];
        let wanted = first.or(second);
        if keyring == Keyring::Trusted && wanted.is_some() && own.contains(&wanted) {
            Ok(Lookup::Found(certificate.key))
        } else {
            Ok(Lookup::Unknown)
        }
    }

    fn verify(
        &self,
        key: &Self::Key,
        signature: &Signature<'_>,
    ) -> Result<Verification, PlatformError> {
        self.verify_with(key, signature)
    }

    // series: cut
    fn verify_release(
        &self,
        key: &Self::Key,
        signature: &Signature<'_>,
    ) -> Result<Verification, PlatformError> {
        memo::verify(self, &self.memo, key, signature)
    }
    // series: end

    fn verify_with(
        &self,
        key: &PublicKey<'_>,
        signature: &Signature<'_>,
    ) -> Result<Verification, PlatformError> {
        // series: cut
        self.checked.set(self.checked.get().wrapping_add(1));
        // series: end
        Kernel.verify_with(key, signature)
    }
}

/// The verdict on this content and message, if one certificate is trusted.
fn verdict(
    certificate: &'static [u8],
    content: &[u8],
    message: &[u8],
) -> Result<Result<(), Error>> {
    let platform = Trusting::new(certificate).ok_or(EINVAL)?;
    Ok(check_signature(&platform, content, message))
}

// series: cut
/// A file with this content and a message of this kind.
fn file(kind: u8, content: &[u8], message: &[u8]) -> Result<KVec<u8>> {
    let length = u32::try_from(message.len())?.to_be_bytes();
    let parts: [&[u8]; 5] = [
        content,
        message,
        &[0, 0, kind, 0, 0, 0, 0, 0],
        &length,
        trailer::MARKER,
    ];
    let mut file = KVec::new();
    for part in parts {
        file.extend_from_slice(part, GFP_KERNEL)?;
    }
    Ok(file)
}
// series: end

/// A copy with one bit changed.
fn flipped(octets: &[u8], at: usize) -> Result<KVec<u8>> {
    let mut copy = copy(octets)?;
    *copy.get_mut(at).ok_or(EINVAL)? ^= 1;
    Ok(copy)
}

#[kunit_tests(module_sig_rust)]
mod tests {
    use super::{vectors::*, *};

    const VECTORS: [(&[u8], &[u8]); 3] = [
        (RSA_CERTIFICATE, RSA_MESSAGE),
        (ECDSA_CERTIFICATE, ECDSA_MESSAGE),
        (ECDSA_CERTIFICATE, CHAIN_MESSAGE),
    ];

    #[test]
    fn good_signatures_are_good() -> Result {
        for (certificate, message) in VECTORS {
            assert_eq!(verdict(certificate, CONTENT, message)?, Ok(()));
        }
        Ok(())
    }

    #[test]
    fn altered_content_is_refused() -> Result {
        for (certificate, message) in VECTORS {
            for at in 0..CONTENT.len() {
                let altered = flipped(CONTENT, at)?;
                let result = verdict(certificate, &altered, message)?;
                assert!(matches!(
                    result,
                    Err(Error::BadSignature | Error::EmbeddedSignature(_))
                ));
            }
        }
        Ok(())
    }

    #[test]
    fn an_altered_or_cut_signature_is_refused() -> Result {
        for (certificate, message) in VECTORS {
            // The signature value is the last thing in a message.
            for at in message.len().saturating_sub(32)..message.len() {
                let altered = flipped(message, at)?;
                assert!(verdict(certificate, CONTENT, &altered)?.is_err());
            }
            for at in 0..message.len() {
                let cut = message.get(..at).ok_or(EINVAL)?;
                assert!(verdict(certificate, CONTENT, cut)?.is_err());
            }
        }
        Ok(())
    }

    #[test]
    fn a_key_that_is_not_trusted_is_unknown() -> Result {
        for (certificate, message) in [
            (RSA_CERTIFICATE, ECDSA_MESSAGE),
            (ECDSA_CERTIFICATE, RSA_MESSAGE),
            (RSA_CERTIFICATE, CHAIN_MESSAGE),
        ] {
            assert_eq!(verdict(certificate, CONTENT, message)?, Err(Error::NoKey));
        }
        Ok(())
    }

    // series: cut
    /// Bytes in front of the CMS message: version, size, position, two siblings.
    const PROOF: usize = 9 + 2 * 32;

    #[test]
    fn a_module_of_a_release_is_taken_and_its_signature_remembered() -> Result {
        let platform = Trusting::new(RSA_CERTIFICATE).ok_or(EINVAL)?;
        let good = file(trailer::ID_RELEASE, CONTENT, RELEASE_MESSAGE)?;
        for _ in 0..3 {
            let checked = check(&platform, &good, Flags::default());
            assert_eq!(
                (checked.result, checked.module_len),
                (Ok(()), CONTENT.len())
            );
            assert_eq!(platform.checked.get(), 1);
        }
        // Good or not, it is good for nothing else.
        for at in 0..CONTENT.len() {
            let altered = file(trailer::ID_RELEASE, &flipped(CONTENT, at)?, RELEASE_MESSAGE)?;
            let result = check(&platform, &altered, Flags::default()).result;
            assert_eq!(result, Err(Error::BadSignature));
        }
        let end = RELEASE_MESSAGE.len();
        for at in (0..end).filter(|&at| at < PROOF || end.saturating_sub(at) <= 32) {
            let altered = file(trailer::ID_RELEASE, CONTENT, &flipped(RELEASE_MESSAGE, at)?)?;
            assert!(check(&platform, &altered, Flags::default()).result.is_err());
        }
        let checked = platform.checked.get();
        let result = check(&platform, &good, Flags::default()).result;
        assert_eq!((result, platform.checked.get()), (Ok(()), checked));
        Ok(())
    }

    #[test]
    fn kinds_are_not_mixed_up() -> Result {
        let platform = Trusting::new(RSA_CERTIFICATE).ok_or(EINVAL)?;
        let of_release = RELEASE_MESSAGE.get(PROOF..).ok_or(EINVAL)?;
        for (kind, message) in [
            (trailer::ID_PKCS7, RELEASE_MESSAGE),
            (trailer::ID_PKCS7, of_release),
            (trailer::ID_RELEASE, RSA_MESSAGE),
            (trailer::ID_RELEASE, of_release),
        ] {
            let file = file(kind, CONTENT, message)?;
            assert!(check(&platform, &file, Flags::default()).result.is_err());
        }
        Ok(())
    }

    #[test]
    fn a_release_by_a_key_that_is_not_trusted_is_unknown() -> Result {
        let platform = Trusting::new(ECDSA_CERTIFICATE).ok_or(EINVAL)?;
        let file = file(trailer::ID_RELEASE, CONTENT, RELEASE_MESSAGE)?;
        let result = check(&platform, &file, Flags::default()).result;
        assert_eq!(result, Err(Error::NoKey));
        Ok(())
    }

    #[test]
    fn a_digest_in_one_pass_is_that_of_two() -> Result {
        let octets = RSA_MESSAGE;
        for algorithm in [DigestAlgorithm::Sha256, DigestAlgorithm::Sha512] {
            let Ok(Some(hash)) = Kernel.hash(algorithm) else {
                return Err(EINVAL);
            };
            let digest = |part| {
                let mut digest = Digest::zero(algorithm);
                let made = Kernel.digest(&hash, &[part], &mut digest);
                made.map_err(|_| EINVAL).map(|()| digest)
            };
            for at in [0, 1, 63, 64, 65, 127, 128, 129, octets.len()] {
                let start = octets.get(..at).ok_or(EINVAL)?;
                let end = octets.get(at..).ok_or(EINVAL)?;
                let mut both = None;
                let mut first = Digest::zero(algorithm);
                let made = Kernel.digest_twice(&hash, start, Some(end), &mut first, &mut both);
                made.map_err(|_| EINVAL)?;
                assert!(first.as_bytes() == digest(start)?.as_bytes());
                match both {
                    Some(both) => assert!(both.as_bytes() == digest(octets)?.as_bytes()),
                    // The state of SHA-512 is too large.
                    None => assert!(algorithm == DigestAlgorithm::Sha512),
                }
            }
        }
        Ok(())
    }

    #[test]
    fn a_signature_of_something_else_is_refused() -> Result {
        let other = flipped(CONTENT, 0)?;
        let platform = Trusting::new(RSA_CERTIFICATE).ok_or(EINVAL)?;
        assert_eq!(
            check(&platform, &other, Flags::default()).result,
            Err(Error::Unsigned)
        );
        Ok(())
    }
    // series: end
}
// series: end
