// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The certificates that a message carries: which has signed which, and what that is worth.
//!
//! C keeps this in its parsed certificates (`struct x509_certificate`: `signer`, `self_signed`,
//! `seen`, `verified`); here it is a few numbers beside the message, and a certificate is read
//! again when it is looked at. So nothing is allocated that could be missing, and next to no stack
//! is in use when C's crypto is entered: a certificate that was read has some 300 bytes, and none
//! is held meanwhile. Work is bounded by [`MAX_CERTIFICATES`]: each certificate's own signature is
//! checked at most twice, by itself and by one other.

use super::{
    algorithm::CertificateAlgorithm,
    cms::{Certificates, KeyId, MAX_CERTIFICATES},
    der::Element,
    sha256,
    time::Seconds,
    x509,
    x509::Certificate,
    Blacklist, CertificateHash, Digest, DigestAlgorithm, Error, Keyring, Lookup, Platform,
    PlatformError, PublicKey, Signature, Signed, Tree, Verification,
};

/// Which certificate of the message: small, since a kernel's stack is.
pub(super) type Index = u8;

/// In place of `enumerate()`, whose overflow check would link a panic.
const INDICES: core::ops::Range<Index> = 0..MAX_CERTIFICATES as Index;

/// Some of the certificates: a bit for each.
#[derive(Clone, Copy, Default)]
pub(super) struct Set(u16);

// There is a bit for each.
const _: () = assert!(MAX_CERTIFICATES <= 16);

impl Set {
    fn bit(index: Index) -> u16 {
        1u16.checked_shl(index.into()).unwrap_or(0)
    }

    /// Whether a certificate is in it.
    pub(super) fn has(self, index: Index) -> bool {
        self.0 & Self::bit(index) != 0
    }

    /// Adds a certificate; says whether it is new.
    pub(super) fn add(&mut self, index: Index) -> bool {
        let had = self.has(index);
        self.0 |= Self::bit(index);
        !had
    }
}

/// What a certificate's signature is over, and the signature.
struct SignedPart<'a> {
    tbs: &'a [u8],
    algorithm: CertificateAlgorithm,
    signature: &'a [u8],
}

/// The end of a chain inside the message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// All that could be checked was good.
    Good,
    /// The platform lacks what a check takes.
    Unsupported,
}

/// The certificates of a message, and what is known of them.
pub(super) struct Chain<'p, 'a, P: Platform> {
    platform: &'p P,
    tree: Tree,
    certificates: Certificates<'a>,
    /// The certificate in the message that has signed this one, once that was checked; itself
    /// where a chain ends in a certificate that has signed itself.
    issuer: [Option<Index>; MAX_CERTIFICATES],
    self_signed: Set,
    not_blacklisted: Set,
}

impl<'p, 'a, P: Platform> Chain<'p, 'a, P> {
    /// The certificates of a message, of which nothing is known yet.
    pub(super) fn new(platform: &'p P, tree: Tree, certificates: Certificates<'a>) -> Self {
        Chain {
            platform,
            tree,
            certificates,
            issuer: [None; MAX_CERTIFICATES],
            self_signed: Set::default(),
            not_blacklisted: Set::default(),
        }
    }

    /// Checks those that say they have signed themselves (`x509_check_for_self_signed()`): all of
    /// them, because C refuses a message for any, whether a signer depends on it or not.
    #[inline(never)]
    pub(super) fn check_self_signed(&mut self) -> Result<(), Error> {
        for (index, _) in INDICES.zip(self.certificates.encoded()) {
            if !self.is_own_authority(index)? {
                continue;
            }
            match self.check_signature(index, index)? {
                Some(Verification::Good) => {
                    self.self_signed.add(index);
                }
                // C takes it for one that somebody else has signed.
                Some(Verification::Unsupported) | None => {}
                Some(Verification::Bad(code)) => return Err(Error::CertificateSignature(code)),
            }
        }
        Ok(())
    }

    fn read(&self, encoded: &Element<'a>) -> Result<Certificate<'a>, Error> {
        x509::parse(encoded, self.tree.ml_dsa)
    }

    /// The certificate that has the identifier, or, without one, the key identifier.
    #[inline(never)]
    fn position(&self, id: Option<KeyId<'_>>, key_id: Option<KeyId<'_>>) -> Option<Index> {
        let wanted = id.or(key_id)?;
        for (index, _) in INDICES.zip(self.certificates.encoded()) {
            let found = match id {
                Some(_) => self.id(index),
                None => self.subject_key_id(index),
            };
            if found == Some(wanted) {
                return Some(index);
            }
        }
        None
    }

    /// One certificate; `None` for one with an unknown algorithm, which spoils the message later.
    // Inlined into each of those below, which take out of it what they are for, so that it is on
    // the stack once, and only while it is read.
    #[inline(always)]
    fn get(&self, index: Index) -> Option<Certificate<'a>> {
        let encoded = self.certificates.encoded().nth(index.into())?;
        self.read(&encoded).ok()
    }

    /// What one certificate says of the key that has signed it: its identifier, and its key
    /// identifier.
    #[inline(never)]
    fn authority(&self, index: Index) -> (Option<KeyId<'a>>, Option<KeyId<'a>>) {
        match self.get(index) {
            Some(found) => (found.authority, found.authority_key_id),
            None => (None, None),
        }
    }

    /// The SubjectKeyIdentifier of one certificate.
    #[inline(never)]
    fn subject_key_id(&self, index: Index) -> Option<KeyId<'a>> {
        self.get(index)?.subject_key_id
    }

    /// The identifier of one certificate.
    #[inline(never)]
    fn id(&self, index: Index) -> Option<KeyId<'a>> {
        Some(self.get(index)?.id)
    }

    /// The key of one certificate.
    #[inline(never)]
    pub(super) fn key(&self, index: Index) -> Option<PublicKey<'a>> {
        Some(self.get(index)?.key)
    }

    /// Whether one certificate is valid at this time.
    #[inline(never)]
    pub(super) fn is_valid_at(&self, index: Index, time: Seconds) -> bool {
        self.get(index)
            .is_some_and(|found| found.not_before <= time && time <= found.not_after)
    }

    #[inline(never)]
    fn signed_part(&self, index: Index) -> Option<SignedPart<'a>> {
        let certificate = self.get(index)?;
        Some(SignedPart {
            tbs: certificate.tbs,
            algorithm: certificate.algorithm,
            signature: certificate.signature,
        })
    }

    /// Whether a certificate says that it has signed itself: one name, and no other authority.
    #[inline(never)]
    fn is_own_authority(&self, index: Index) -> Result<bool, Error> {
        let Some(certificate) = self.get(index) else {
            return Ok(false);
        };
        if certificate.subject != certificate.issuer {
            return Ok(false);
        }
        let by_key_id = certificate
            .authority_key_id
            .map(|id| certificate.subject_key_id == Some(id));
        let by_serial = certificate.authority.map(|id| certificate.id == id);
        match (by_key_id, by_serial) {
            (None, None) => Ok(true),
            (Some(true), Some(false)) | (Some(false), Some(true)) => Err(Error::AuthorityMismatch),
            (by_key_id, by_serial) => Ok(by_key_id == Some(true) || by_serial == Some(true)),
        }
    }

    /// Looks for the key of one certificate.
    #[inline(never)]
    pub(super) fn find_own_key(
        &self,
        keyring: Keyring,
        index: Index,
    ) -> Result<Lookup<P::Key>, PlatformError> {
        match self.id(index) {
            None => Ok(Lookup::Unknown),
            id => (self.platform).find_key(keyring, id, self.subject_key_id(index)),
        }
    }

    /// Looks for the key that has signed one certificate, if that says which.
    #[inline(never)]
    pub(super) fn find_authority_key(
        &self,
        keyring: Keyring,
        index: Index,
    ) -> Result<Lookup<P::Key>, PlatformError> {
        match self.authority(index) {
            (None, None) => Ok(Lookup::Unknown),
            (first, second) => self.platform.find_key(keyring, first, second),
        }
    }

    /// The certificate that a signer names (`pkcs7_find_key()`).
    pub(super) fn find(&self, id: KeyId<'_>) -> Option<Index> {
        self.position(Some(id), None)
    }

    /// The certificate in the message that is known to have signed this one.
    pub(super) fn issuer(&self, index: Index) -> Option<Index> {
        self.issuer.get(usize::from(index)).copied().flatten()
    }

    /// Checks the chain that starts at a certificate, as far as the message has it
    /// (`pkcs7_verify_sig_chain()`).
    ///
    /// Unlike C, which lets another signer make up for it, a blacklisted certificate refuses the
    /// message.
    #[inline(never)]
    pub(super) fn verify_chain(&mut self, start: Index) -> Result<End, Error> {
        let mut seen = Set::default();
        let mut at = start;
        while let Some(certificate) = self.signed_part(at) {
            seen.add(at);
            if self.is_blacklisted(at, &certificate)? {
                return Err(Error::BlacklistedCertificate);
            }
            if self.self_signed.has(at) {
                self.set_issuer(at, at);
                break;
            }
            let Some(next) = self.find_issuer(at)? else {
                break;
            };
            if seen.has(next) {
                break;
            }
            if self.issuer(at) != Some(next) {
                match self.check_signature(at, next)? {
                    Some(Verification::Good) => self.set_issuer(at, next),
                    Some(Verification::Unsupported) => return Ok(End::Unsupported),
                    Some(Verification::Bad(code)) => return Err(Error::CertificateSignature(code)),
                    // C goes on with an empty digest, for which anybody can make a signature by
                    // any elliptic-curve key.
                    None => return Err(Error::CertificateDigest),
                }
            }
            at = next;
        }
        Ok(End::Good)
    }

    fn set_issuer(&mut self, index: Index, issuer: Index) {
        if let Some(slot) = self.issuer.get_mut(usize::from(index)) {
            *slot = Some(issuer);
        }
    }

    /// Looks through the message for whoever has signed a certificate.
    #[inline(never)]
    fn find_issuer(&self, index: Index) -> Result<Option<Index>, Error> {
        let (authority, by_key_id) = self.authority(index);
        let Some(issuer) = self.position(authority, by_key_id) else {
            return Ok(None);
        };
        if by_key_id.is_some() && self.subject_key_id(issuer) != by_key_id {
            return Err(Error::AuthorityMismatch);
        }
        Ok(Some(issuer))
    }

    /// Whether a certificate is blacklisted (`x509_get_sig_params()`).
    #[inline(never)]
    fn is_blacklisted(
        &mut self,
        index: Index,
        certificate: &SignedPart<'_>,
    ) -> Result<bool, Error> {
        if self.not_blacklisted.has(index) {
            return Ok(false);
        }
        let digest = match self.tree.certificate_hash {
            CertificateHash::None => None,
            CertificateHash::Sha256 => match sha256(self.platform, certificate.tbs)? {
                Some(digest) => Some(digest),
                // The kernel's configuration sees to it that this cannot be.
                None => return Err(Error::CertificateDigest),
            },
            // series: cut
            CertificateHash::OfSignature => match certificate.algorithm.digest {
                Some(algorithm) => self.digest(algorithm, certificate.tbs)?,
                None => None,
            },
            // series: end
        };
        let blacklisted = match digest {
            Some(digest) => self
                .platform
                .is_blacklisted(Blacklist::Certificate, &digest)?,
            None => false,
        };
        if !blacklisted {
            self.not_blacklisted.add(index);
        }
        Ok(blacklisted)
    }

    /// Digests; `None` if the algorithm is not built in.
    #[inline(always)]
    fn digest(&self, algorithm: DigestAlgorithm, octets: &[u8]) -> Result<Option<Digest>, Error> {
        match self.platform.hash(algorithm)? {
            Some(hash) => {
                let mut digest = Digest::zero(algorithm);
                self.platform.digest(&hash, &[octets], &mut digest)?;
                Ok(Some(digest))
            }
            None => Ok(None),
        }
    }

    /// Checks the signature that a certificate bears, by a key of a keyring; `None` if it is over a
    /// digest that is not built in.
    #[inline(never)]
    pub(super) fn check_by_key(
        &self,
        index: Index,
        key: &P::Key,
    ) -> Result<Option<Verification>, Error> {
        let mut digest = None;
        match self.signature(index, &mut digest)? {
            Some(signature) => Ok(Some(self.platform.verify(key, &signature)?)),
            None => Ok(None),
        }
    }

    /// The same by the key of a certificate in the message.
    #[inline(never)]
    fn check_signature(&self, index: Index, by: Index) -> Result<Option<Verification>, Error> {
        let Some(key) = self.key(by) else {
            return Ok(None);
        };
        let mut digest = None;
        match self.signature(index, &mut digest)? {
            Some(signature) => Ok(Some(self.platform.verify_with(&key, &signature)?)),
            None => Ok(None),
        }
    }

    /// The signature that a certificate bears, over a digest that is kept in `digest`; `None` if it
    /// is over one that is not built in.
    #[inline(always)]
    fn signature<'d>(
        &self,
        index: Index,
        digest: &'d mut Option<Digest>,
    ) -> Result<Option<Signature<'d>>, Error>
    where
        'a: 'd,
    {
        let Some(certificate) = self.signed_part(index) else {
            return Ok(None);
        };
        let signed = match certificate.algorithm.digest {
            None => Signed::Data(certificate.tbs),
            Some(algorithm) => {
                *digest = self.digest(algorithm, certificate.tbs)?;
                match digest {
                    None => return Ok(None),
                    Some(digest) => Signed::Digest {
                        algorithm,
                        octets: digest.as_bytes(),
                    },
                }
            }
        };
        Ok(Some(Signature {
            key: certificate.algorithm.key,
            signed,
            value: certificate.signature,
        }))
    }

    /// Whether a keyring has a key of the chain that starts at a certificate, or the one that has
    /// signed its last certificate.
    #[inline(never)]
    pub(super) fn chain_hits(&self, keyring: Keyring, start: Index) -> Result<bool, Error> {
        let is_found = |lookup| matches!(lookup, Lookup::Found(_));
        let mut seen = Set::default();
        let mut at = start;
        while seen.add(at) {
            if is_found(self.find_own_key(keyring, at)?) {
                return Ok(true);
            }
            match self.issuer(at) {
                Some(next) if !seen.has(next) => at = next,
                _ => return Ok(is_found(self.find_authority_key(keyring, at)?)),
            }
        }
        Ok(false)
    }
}
