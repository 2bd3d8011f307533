// SPDX-License-Identifier: GPL-2.0

//! The certificates that a message carries: which has signed which, and what that is worth.
//!
//! C keeps this in its parsed certificates (`struct x509_certificate`: `signer`, `self_signed`,
//! `seen`, `verified`); here it is a few numbers beside the message, and a certificate is read
//! again when it is looked at. Work is bounded by [`MAX_CERTIFICATES`]: each certificate's own
//! signature is checked at most twice, by itself and by one other.

use super::{
    cms::{Certificates, KeyId, MAX_CERTIFICATES},
    der::Element,
    sha256, x509,
    x509::Certificate,
    Blacklist, CertificateHash, Digest, DigestAlgorithm, Error, Keyring, Lookup, Platform,
    PublicKey, Signature, Signed, Tree, Verification,
};

/// Which certificate of the message: small, since a kernel's stack is.
pub(super) type Index = u8;

/// All that there can be; `enumerate()` would count on, and could panic for all that the compiler
/// knows.
const INDICES: core::ops::Range<Index> = 0..MAX_CERTIFICATES as Index;

/// What a key is asked for by ([`Platform::find_key`]).
pub(super) type Ids<'a> = (Option<KeyId<'a>>, Option<KeyId<'a>>);

/// Some of the certificates.
#[derive(Clone, Copy, Default)]
pub(super) struct Set([bool; MAX_CERTIFICATES]);

impl Set {
    /// Whether a certificate is in it.
    pub(super) fn has(&self, index: Index) -> bool {
        self.0.get(usize::from(index)).copied().unwrap_or(false)
    }

    /// Adds a certificate; says whether it is new.
    pub(super) fn add(&mut self, index: Index) -> bool {
        match self.0.get_mut(usize::from(index)) {
            Some(has) => !core::mem::replace(has, true),
            None => false,
        }
    }
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
    /// Takes the certificates of a message, and checks those that say they have signed themselves
    /// (`x509_check_for_self_signed()`): all of them, because C refuses a message for any, whether
    /// a signer depends on it or not.
    pub(super) fn new(
        platform: &'p P,
        tree: Tree,
        certificates: Certificates<'a>,
    ) -> Result<Self, Error> {
        let mut chain = Chain {
            platform,
            tree,
            certificates,
            issuer: [None; MAX_CERTIFICATES],
            self_signed: Set::default(),
            not_blacklisted: Set::default(),
        };
        for (index, encoded) in INDICES.zip(certificates.encoded()) {
            // One that has an unknown algorithm spoils the message later.
            let Ok(certificate) = chain.read(&encoded) else {
                continue;
            };
            if is_own_authority(&certificate)? {
                match chain.check_signature(&certificate, &certificate.key)? {
                    Some(Verification::Good) => {
                        chain.self_signed.add(index);
                    }
                    // C takes it for one that somebody else has signed.
                    Some(Verification::Unsupported) | None => {}
                    Some(Verification::Bad(code)) => return Err(Error::CertificateSignature(code)),
                }
            }
        }
        Ok(chain)
    }

    fn read(&self, encoded: &Element<'a>) -> Result<Certificate<'a>, Error> {
        x509::parse(encoded, self.tree.dialect.ml_dsa)
    }

    /// The certificate that has the identifier, or, without one, the key identifier.
    fn position(&self, id: Option<KeyId<'_>>, key_id: Option<KeyId<'_>>) -> Option<Index> {
        let wanted = id.or(key_id)?;
        for (index, encoded) in INDICES.zip(self.certificates.encoded()) {
            let Ok(found) = self.read(&encoded) else {
                continue;
            };
            let found = match id {
                Some(_) => Some(found.id),
                None => found.subject_key_id,
            };
            if found == Some(wanted) {
                return Some(index);
            }
        }
        None
    }

    /// One certificate.
    pub(super) fn get(&self, index: Index) -> Option<Certificate<'a>> {
        let encoded = self.certificates.encoded().nth(index.into())?;
        self.read(&encoded).ok()
    }

    /// The identifiers of one certificate's key.
    pub(super) fn own_ids(&self, index: Index) -> Option<Ids<'a>> {
        let certificate = self.get(index)?;
        Some((Some(certificate.id), certificate.subject_key_id))
    }

    /// The identifiers of the key that has signed one certificate, if it says so.
    pub(super) fn authority_ids(&self, index: Index) -> Option<Ids<'a>> {
        let certificate = self.get(index)?;
        match (certificate.authority, certificate.authority_key_id) {
            (None, None) => None,
            ids => Some(ids),
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
    pub(super) fn follow(&mut self, start: Index) -> Result<End, Error> {
        let mut seen = Set::default();
        let mut at = start;
        while let Some(certificate) = self.get(at) {
            seen.add(at);
            if self.is_blacklisted(at, &certificate)? {
                return Err(Error::BlacklistedCertificate);
            }
            if self.self_signed.has(at) {
                self.set_issuer(at, at);
                break;
            }
            let Some((next, key)) = self.find_issuer(&certificate)? else {
                break;
            };
            if seen.has(next) {
                break;
            }
            if self.issuer(at) != Some(next) {
                match self.check_signature(&certificate, &key)? {
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

    /// Looks through the message for whoever has signed a certificate, and for the key.
    fn find_issuer(
        &self,
        certificate: &Certificate<'_>,
    ) -> Result<Option<(Index, PublicKey<'a>)>, Error> {
        let by_key_id = certificate.authority_key_id;
        let Some(index) = self.position(certificate.authority, by_key_id) else {
            return Ok(None);
        };
        match self.get(index) {
            Some(issuer) if by_key_id.is_some() && issuer.subject_key_id != by_key_id => {
                Err(Error::AuthorityMismatch)
            }
            Some(issuer) => Ok(Some((index, issuer.key))),
            None => Ok(None),
        }
    }

    /// Whether a certificate is blacklisted (`x509_get_sig_params()`).
    fn is_blacklisted(
        &mut self,
        index: Index,
        certificate: &Certificate<'_>,
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
            CertificateHash::OfSignature => match certificate.algorithm.digest {
                Some(algorithm) => self.digest(algorithm, certificate.tbs)?,
                None => None,
            },
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
    fn digest(&self, algorithm: DigestAlgorithm, octets: &[u8]) -> Result<Option<Digest>, Error> {
        match self.platform.hash(algorithm)? {
            Some(hash) => Ok(Some(self.platform.digest(&hash, &[octets])?)),
            None => Ok(None),
        }
    }

    /// Gives `check` the signature that a certificate bears; `None` if it is over a digest that is
    /// not built in.
    pub(super) fn with_signature<T, E: From<Error>>(
        &self,
        certificate: &Certificate<'_>,
        check: impl FnOnce(&Signature<'_>) -> Result<T, E>,
    ) -> Result<Option<T>, E> {
        let digest;
        let signed = match certificate.algorithm.digest {
            None => Signed::Data(certificate.tbs),
            Some(algorithm) => {
                digest = self.digest(algorithm, certificate.tbs)?;
                match &digest {
                    None => return Ok(None),
                    Some(digest) => Signed::Digest {
                        algorithm,
                        octets: digest.as_bytes(),
                    },
                }
            }
        };
        check(&Signature {
            key: certificate.algorithm.key,
            signed,
            value: certificate.signature,
        })
        .map(Some)
    }

    /// Checks by whom a certificate is signed; `None` as above.
    fn check_signature(
        &self,
        certificate: &Certificate<'_>,
        by: &PublicKey<'_>,
    ) -> Result<Option<Verification>, Error> {
        self.with_signature(certificate, |signature| {
            Ok(self.platform.verify_with(by, signature)?)
        })
    }

    /// Whether a keyring has a key of the chain that starts at a certificate, or the one that has
    /// signed its last certificate.
    pub(super) fn leads_into(&self, keyring: Keyring, start: Index) -> Result<bool, Error> {
        let mut seen = Set::default();
        let mut at = start;
        while let Some(ids) = self.own_ids(at) {
            if self.is_in(keyring, ids)? {
                return Ok(true);
            }
            seen.add(at);
            match self.issuer(at) {
                Some(next) if !seen.has(next) => at = next,
                _ => {
                    return match self.authority_ids(at) {
                        Some(ids) => self.is_in(keyring, ids),
                        None => Ok(false),
                    }
                }
            }
        }
        Ok(false)
    }

    fn is_in(&self, keyring: Keyring, (first, second): Ids<'_>) -> Result<bool, Error> {
        let found = self.platform.find_key(keyring, first, second)?;
        Ok(matches!(found, Lookup::Found(_)))
    }
}

/// Whether a certificate says that it has signed itself: one name, and no other authority.
fn is_own_authority(certificate: &Certificate<'_>) -> Result<bool, Error> {
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
