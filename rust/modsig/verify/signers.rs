// SPDX-License-Identifier: GPL-2.0

//! The signers of a message: what each signature is worth, and whether anybody trusts it.

use super::{
    chain::{Chain, End, Index, Set},
    cms::{KeyId, SignedAttributes, SignedData, MAX_SIGNERS},
    Digest, DigestAlgorithm, Error, Keyring, Lookup, Platform, Signature, Signed, SignerInfo,
    Verification,
};

/// A digest algorithm in use, and what it made of the content once that was asked for.
struct Hashed<H> {
    algorithm: DigestAlgorithm,
    /// `None`: the platform does not have the algorithm.
    hash: Option<H>,
    digest: Option<Digest>,
}

/// What is known of one signer before anybody is asked for trust.
#[derive(Clone, Copy, Default)]
struct Standing {
    /// The platform lacks an algorithm for it, so it counts neither way.
    unsupported: bool,
    /// Its certificate, if the message has it.
    certificate: Option<Index>,
}

/// The state of going through the signers of a message.
pub(super) struct Signers<'p, 'a, P: Platform> {
    platform: &'p P,
    message: SignedData<'a>,
    chain: Chain<'p, 'a, P>,
    content: &'p [u8],
    /// The algorithm that was used last. Signers mostly share one, so the content is mostly
    /// digested once, where C does it once for each signer.
    hashed: Option<Hashed<P::Hash>>,
    standings: [Standing; MAX_SIGNERS],
}

impl<'p, 'a, P: Platform> Signers<'p, 'a, P> {
    pub(super) fn new(
        platform: &'p P,
        message: SignedData<'a>,
        chain: Chain<'p, 'a, P>,
        content: &'p [u8],
    ) -> Self {
        Signers {
            platform,
            message,
            chain,
            content,
            hashed: None,
            standings: Default::default(),
        }
    }

    /// Goes through the signers as C does, in three passes: whether the message agrees with
    /// itself (`pkcs7_verify()`), whether a key is revoked (`is_key_on_revocation_list()`), and
    /// whether one is trusted (`pkcs7_validate_trust()`).
    ///
    /// Keys are looked for before the content is digested, so that a signer whom nobody knows
    /// costs no digest, unless the message has the signer's certificate: then C has something to
    /// check the signature with, and refuses the module if it is wrong. See
    /// Documentation/differences.md for why no module gets in by this that C would refuse.
    ///
    /// Leaves in `looked_at` the signer at whom the verdict was reached.
    pub(super) fn check(&mut self, looked_at: &mut Option<SignerInfo<'a>>) -> Result<(), Error> {
        self.each(looked_at, Self::agrees_with_message)?;
        // Before any trust: also a key that is trusted can be revoked.
        self.each(looked_at, Self::is_not_revoked)?;
        match self.find_trusted(Keyring::Trusted, looked_at) {
            Err(Error::NoKey) => self.find_trusted(Keyring::Platform, looked_at),
            outcome => outcome,
        }
    }

    /// Does `pass` for each signer.
    fn each(
        &mut self,
        looked_at: &mut Option<SignerInfo<'a>>,
        pass: impl Fn(&mut Self, usize, &SignerInfo<'a>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for (index, signer) in (0..MAX_SIGNERS).zip(self.message.signers()) {
            pass(self, index, looked_at.insert(signer))?;
        }
        Ok(())
    }

    /// Whether the message itself speaks against a signer (`pkcs7_verify_one()`).
    fn agrees_with_message(&mut self, index: usize, signer: &SignerInfo<'a>) -> Result<(), Error> {
        let certificate = self.chain.find(signer.id.key_id());
        let mut unsupported = !self.has_hash(signer)?;
        if !unsupported {
            if let Some(attributes) = &signer.attributes {
                self.check_attributes(signer.digest, attributes)?;
            }
            if let Some(certificate) = certificate {
                unsupported = self.check_by_certificate(signer, certificate)? == End::Unsupported;
            }
        }
        if let Some(standing) = self.standings.get_mut(index) {
            *standing = Standing {
                unsupported,
                certificate,
            };
        }
        Ok(())
    }

    /// Whether the signed attributes are those of this content (RFC 5652 section 5.6).
    fn check_attributes(
        &mut self,
        algorithm: DigestAlgorithm,
        attributes: &SignedAttributes<'_>,
    ) -> Result<(), Error> {
        let digest = self.digest(algorithm)?.as_bytes();
        if attributes.message_digest.len() != digest.len() {
            Err(Error::AttributeDigestLength)
        } else if attributes.message_digest != digest {
            Err(Error::AttributeDigest)
        } else {
            Ok(())
        }
    }

    /// Checks a signer by its certificate in the message, and the chain from there on.
    fn check_by_certificate(
        &mut self,
        signer: &SignerInfo<'_>,
        index: Index,
    ) -> Result<End, Error> {
        let Some(certificate) = self.chain.get(index) else {
            return Ok(End::Unsupported);
        };
        let signing_time = signer.attributes.and_then(|found| found.signing_time);
        if let Some(time) = signing_time {
            if time < certificate.not_before || time > certificate.not_after {
                return Err(Error::SigningTime);
            }
        }
        let platform = self.platform;
        match self.with_signature(signer, |signature| {
            Ok(platform.verify_with(&certificate.key, signature)?)
        })? {
            Verification::Good => self.chain.follow(index),
            Verification::Unsupported => Ok(End::Unsupported),
            Verification::Bad(code) => Err(Error::EmbeddedSignature(code)),
        }
    }

    /// Whether a signer's key, or one that its certificate depends on, is not revoked. The list
    /// is asked by name only, where C also wants the signature to verify.
    fn is_not_revoked(&mut self, index: usize, signer: &SignerInfo<'a>) -> Result<(), Error> {
        let standing = self.standing(index);
        if standing.unsupported {
            return Ok(());
        }
        let by_chain = match standing.certificate {
            Some(start) => self.chain.leads_into(Keyring::Revoked, start)?,
            None => false,
        };
        if by_chain || self.find_signer(Keyring::Revoked, signer)?.is_some() {
            return Err(Error::Revoked);
        }
        Ok(())
    }

    fn standing(&self, index: usize) -> Standing {
        self.standings.get(index).copied().unwrap_or_default()
    }

    /// Looks for a signer whom a key in `keyring` stands for. One is enough, unless the signature
    /// of another that is there does not verify.
    fn find_trusted(
        &mut self,
        keyring: Keyring,
        looked_at: &mut Option<SignerInfo<'a>>,
    ) -> Result<(), Error> {
        *looked_at = Some(*self.message.first());
        let mut outcome = Err(Error::NoKey);
        let mut marks = Marks::default();

        for (index, signer) in (0..MAX_SIGNERS).zip(self.message.signers()) {
            if self.standing(index).unsupported {
                // C prefers "not supported" over "not known".
                if outcome.is_err() {
                    *looked_at = Some(signer);
                    outcome = Err(Error::DigestNotBuiltIn);
                }
                continue;
            }
            match self.is_trusted(keyring, index, &signer, &mut marks) {
                Ok(false) => {}
                trusted => {
                    *looked_at = Some(signer);
                    outcome = Ok(());
                    trusted?;
                }
            }
        }
        outcome
    }

    /// Whether a key in `keyring` stands for a signer (`pkcs7_validate_trust_one()`): the key of a
    /// certificate of its chain, the one that has signed the last of them, or the one that the
    /// signer itself names.
    fn is_trusted(
        &mut self,
        keyring: Keyring,
        index: usize,
        signer: &SignerInfo<'a>,
        marks: &mut Marks,
    ) -> Result<bool, Error> {
        let start = self.standing(index).certificate;
        let mut last = None;
        let mut next = start;
        while let Some(at) = next {
            if !marks.seen.add(at) {
                return Ok(marks.verified.has(at));
            }
            let Some((first, second)) = self.chain.own_ids(at) else {
                break;
            };
            if let Lookup::Found(key) = self.platform.find_key(keyring, first, second)? {
                self.check_by_key(&key, signer, last)?;
                self.mark_verified(start, at, marks);
                return Ok(true);
            }
            next = self.chain.issuer(at);
            // One that has signed itself is a root of its own, and nobody knows it.
            if next == Some(at) {
                return Ok(false);
            }
            last = Some(at);
        }
        let authority = last.and_then(|at| Some((at, self.chain.authority_ids(at)?)));
        if let Some((at, (first, second))) = authority {
            match self.platform.find_key(keyring, first, second)? {
                Lookup::Found(key) => {
                    self.check_by_key(&key, signer, last)?;
                    self.mark_verified(start, at, marks);
                    return Ok(true);
                }
                Lookup::Mismatch => return Err(Error::AuthorityMismatch),
                Lookup::Unknown => {}
            }
        }
        match self.find_signer(keyring, signer)? {
            Some(key) => self.check_by_key(&key, signer, None).map(|()| true),
            None => Ok(false),
        }
    }

    /// Marks the certificates from `start` to `end` as verified.
    fn mark_verified(&self, start: Option<Index>, end: Index, marks: &mut Marks) {
        let mut next = start;
        while let Some(at) = next {
            if !marks.verified.add(at) || at == end {
                return;
            }
            next = self.chain.issuer(at);
        }
    }

    /// Looks for the key that a signer itself names.
    fn find_signer(
        &self,
        keyring: Keyring,
        signer: &SignerInfo<'_>,
    ) -> Result<Option<P::Key>, Error> {
        let id: KeyId<'_> = signer.id.key_id();
        match self.platform.find_key(keyring, Some(id), None)? {
            Lookup::Found(key) => Ok(Some(key)),
            Lookup::Unknown | Lookup::Mismatch => Ok(None),
        }
    }

    /// Checks by a key from a keyring the signature of a certificate, or, without one, the
    /// signer's own.
    fn check_by_key(
        &mut self,
        key: &P::Key,
        signer: &SignerInfo<'_>,
        certificate: Option<Index>,
    ) -> Result<(), Error> {
        let platform = self.platform;
        let check = |signature: &Signature<'_>| Ok(platform.verify(key, signature)?);
        let certificate = certificate.and_then(|at| self.chain.get(at));
        let good = match certificate {
            Some(certificate) => self
                .chain
                .with_signature(&certificate, check)?
                .ok_or(Error::CertificateDigest)?,
            None => self.with_signature(signer, check)?,
        };
        if good {
            Ok(())
        } else {
            Err(Error::BadSignature)
        }
    }

    /// Gives `check` the signature of a signer; digests the content if that was not done yet.
    fn with_signature<T>(
        &mut self,
        signer: &SignerInfo<'_>,
        check: impl FnOnce(&Signature<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let algorithm = signer.digest;
        let signed = match signer.attributes {
            Some(SignedAttributes { after_tag, .. }) => Signed::Attributes {
                algorithm,
                after_tag,
            },
            None if signer.key.is_ml_dsa() => Signed::Data(self.content),
            None => Signed::Digest {
                algorithm,
                octets: self.digest(algorithm)?.as_bytes(),
            },
        };
        check(&Signature {
            key: signer.key,
            signed,
            value: signer.signature,
        })
    }

    /// Whether the signer's digest algorithm is there, if it takes one; readies it.
    fn has_hash(&mut self, signer: &SignerInfo<'_>) -> Result<bool, Error> {
        if signer.key.is_ml_dsa() && signer.attributes.is_none() {
            return Ok(true);
        }
        Ok(self.hashed(signer.digest)?.hash.is_some())
    }

    /// The digest of the content.
    fn digest(&mut self, algorithm: DigestAlgorithm) -> Result<&Digest, Error> {
        let (platform, content) = (self.platform, self.content);
        let Hashed { hash, digest, .. } = self.hashed(algorithm)?;
        match (digest, hash) {
            (Some(digest), _) => Ok(digest),
            (None, None) => Err(Error::DigestNotBuiltIn),
            (digest @ None, Some(hash)) => Ok(digest.insert(platform.digest(hash, &[content])?)),
        }
    }

    /// The state of this digest algorithm.
    fn hashed(&mut self, algorithm: DigestAlgorithm) -> Result<&mut Hashed<P::Hash>, Error> {
        if self
            .hashed
            .as_ref()
            .is_some_and(|hashed| hashed.algorithm != algorithm)
        {
            self.hashed = None;
        }
        match &mut self.hashed {
            Some(hashed) => Ok(hashed),
            none => Ok(none.insert(Hashed {
                algorithm,
                hash: self.platform.hash(algorithm)?,
                digest: None,
            })),
        }
    }
}

/// What was found out of the certificates while signers were looked at.
#[derive(Default)]
struct Marks {
    seen: Set,
    verified: Set,
}
