// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The signers of a message: what each signature is worth, and whether anybody trusts it.

use super::{
    chain::{Chain, End, Index, Set},
    cms::{KeyId, SignedAttributes, SignedData, MAX_SIGNERS},
    // series: cut
    release::{self, Head, Proof},
    // series: end
    Digest,
    DigestAlgorithm,
    Error,
    Keyring,
    Lookup,
    Platform,
    Signature,
    Signed,
    SignerInfo,
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
struct SignerState {
    /// The platform lacks an algorithm for it, so it counts neither way.
    unsupported: bool,
    /// Its certificate, if the message has it.
    certificate: Option<Index>,
}

// series: cut
/// What the signatures of a message are over.
pub(super) enum Content<'a> {
    /// The module itself, which is the start of the file.
    Module {
        module: &'a [u8],
        /// The SHA-256 of the whole file, if it came with that of the module.
        file_digest: Option<Digest>,
    },
    /// The head of the tree that the module is in.
    Release {
        proof: Proof<'a>,
        module: &'a [u8],
        /// Made when it is needed first: a signer whom nobody knows costs no digest of the module.
        head: Option<Head>,
    },
}

impl<'a> Content<'a> {
    /// The module itself, or, with a proof, the head of the tree in which it stands where that
    /// says.
    #[inline(always)]
    pub(super) fn new(module: &'a [u8], proof: Option<Proof<'a>>) -> Self {
        match proof {
            None => Content::Module {
                module,
                file_digest: None,
            },
            Some(proof) => Content::Release {
                proof,
                module,
                head: None,
            },
        }
    }

    /// The bytes that are signed.
    fn octets(&self) -> Result<&[u8], Error> {
        match self {
            Content::Module { module, .. } => Ok(module),
            Content::Release {
                head: Some(head), ..
            } => Ok(head),
            // Whoever asks has called `ready_content()`.
            Content::Release { head: None, .. } => Err(Error::ProofDigest),
        }
    }
}
// series: end

/// The state of going through the signers of a message.
pub(super) struct Signers<'p, 'a, P: Platform> {
    platform: &'p P,
    message: &'p SignedData<'a>,
    chain: &'p mut Chain<'p, 'a, P>,
    // series: cut
    /// The whole file, of which the module is the start.
    file: &'p [u8],
    content: Content<'p>,
    // series: end
    // series: put /// The module itself.
    // series: put content: &'p [u8],
    /// The algorithm that was used last. Signers mostly share one, so the content is mostly
    /// digested once, where C does it once for each signer.
    hashed: Option<Hashed<P::Hash>>,
    states: [SignerState; MAX_SIGNERS],
}

impl<'p, 'a, P: Platform> Signers<'p, 'a, P> {
    pub(super) fn new(
        platform: &'p P,
        message: &'p SignedData<'a>,
        chain: &'p mut Chain<'p, 'a, P>,
        // series: cut
        file: &'p [u8],
        content: Content<'p>,
        // series: end
        // series: put content: &'p [u8],
    ) -> Self {
        Signers {
            platform,
            message,
            chain,
            // series: cut
            file,
            // series: end
            content,
            hashed: None,
            states: Default::default(),
        }
    }

    /// Goes through the signers as C does, in three passes: whether the message agrees with
    /// itself (`pkcs7_verify()`), whether a key is revoked (`is_key_on_revocation_list()`), and
    /// whether one is trusted (`pkcs7_validate_trust()`).
    ///
    /// Keys are looked for before the content is digested, so an unknown signer costs no digest. If
    /// the message contains the signer's certificate, the signature is checked with it first,
    /// because C rejects a mismatch even for unknown signers. So no module loads by this that C
    /// would refuse: without that certificate, C's answer to an unknown signer is ENOKEY, whatever
    /// the content is.
    ///
    /// Leaves in `signer_out` the signer at whom the verdict was reached.
    pub(super) fn check(&mut self, signer_out: &mut Option<SignerInfo<'a>>) -> Result<(), Error> {
        self.each(signer_out, Self::verify_one)?;
        // Before any trust: also a key that is trusted can be revoked.
        self.each(signer_out, Self::is_not_revoked)?;
        // series: put self.validate_trust(Keyring::Trusted, signer_out)
        // series: cut
        match self.validate_trust(Keyring::Trusted, signer_out) {
            Err(Error::NoKey) => self.validate_trust(Keyring::Platform, signer_out),
            outcome => outcome,
        }
        // series: end
    }

    /// Puts one signer of the message where it stays while it is looked at; `None` behind the last.
    ///
    /// Never inlined: each copy would be on the stack when C is called.
    #[inline(never)]
    fn load<'s>(
        &self,
        index: usize,
        signer_out: &'s mut Option<SignerInfo<'a>>,
    ) -> Option<&'s SignerInfo<'a>> {
        Some(signer_out.insert(self.message.signer(index)?))
    }

    /// Does `pass` for each signer.
    fn each(
        &mut self,
        signer_out: &mut Option<SignerInfo<'a>>,
        pass: impl Fn(&mut Self, usize, &SignerInfo<'a>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for index in 0..MAX_SIGNERS {
            let Some(signer) = self.load(index, signer_out) else {
                break;
            };
            pass(self, index, signer)?;
        }
        Ok(())
    }

    /// Whether the message itself speaks against a signer (`pkcs7_verify_one()`).
    #[inline(never)]
    fn verify_one(&mut self, index: usize, signer: &SignerInfo<'a>) -> Result<(), Error> {
        let certificate = self.chain.find(signer.id.key_id());
        let mut unsupported = !self.has_hash(signer)?;
        if !unsupported {
            // series: cut
            if signer.attributes.is_some() || certificate.is_some() {
                self.ready_content()?;
            }
            // series: end
            if let Some(attributes) = &signer.attributes {
                self.check_attributes(signer.digest, attributes)?;
            }
            if let Some(certificate) = certificate {
                unsupported = self.check_by_certificate(signer, certificate)? == End::Unsupported;
            }
        }
        if let Some(state) = self.states.get_mut(index) {
            *state = SignerState {
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
        match self.check_by_own_key(signer, index)? {
            End::Good => self.chain.verify_chain(index),
            unsupported => Ok(unsupported),
        }
    }

    /// Checks a signer by the key of its certificate in the message.
    #[inline(never)]
    fn check_by_own_key(&mut self, signer: &SignerInfo<'_>, index: Index) -> Result<End, Error> {
        let Some(key) = self.chain.key(index) else {
            return Ok(End::Unsupported);
        };
        let signing_time = signer.attributes.and_then(|found| found.signing_time);
        if signing_time.is_some_and(|time| !self.chain.is_valid_at(index, time)) {
            return Err(Error::SigningTime);
        }
        let platform = self.platform;
        let signature = self.signature(signer)?;
        match platform.verify_with(&key, &signature)? {
            Verification::Good => Ok(End::Good),
            Verification::Unsupported => Ok(End::Unsupported),
            Verification::Bad(code) => Err(Error::EmbeddedSignature(code)),
        }
    }

    /// Whether a signer's key, or one that its certificate depends on, is not revoked. The list
    /// is asked by name only, where C also wants the signature to verify.
    #[inline(never)]
    fn is_not_revoked(&mut self, index: usize, signer: &SignerInfo<'a>) -> Result<(), Error> {
        let state = self.state(index);
        if state.unsupported {
            return Ok(());
        }
        let by_chain = match state.certificate {
            Some(start) => self.chain.chain_hits(Keyring::Revoked, start)?,
            None => false,
        };
        if by_chain || self.find_signer(Keyring::Revoked, signer)?.is_some() {
            return Err(Error::Revoked);
        }
        Ok(())
    }

    fn state(&self, index: usize) -> SignerState {
        self.states.get(index).copied().unwrap_or_default()
    }

    /// Looks for a signer whom a key in `keyring` stands for. One is enough, unless the signature
    /// of another that is there does not verify.
    #[inline(never)]
    fn validate_trust(
        &mut self,
        keyring: Keyring,
        signer_out: &mut Option<SignerInfo<'a>>,
    ) -> Result<(), Error> {
        let mut outcome = Err(Error::NoKey);
        let mut decided_at = 0;
        let mut cache = TrustCache::default();

        for index in 0..MAX_SIGNERS {
            let Some(signer) = self.load(index, signer_out) else {
                break;
            };
            if self.state(index).unsupported {
                // C prefers "not supported" over "not known".
                if outcome.is_err() {
                    decided_at = index;
                    outcome = Err(Error::DigestNotBuiltIn);
                }
            } else if self.validate_trust_one(keyring, index, signer, &mut cache)? {
                decided_at = index;
                outcome = Ok(());
            }
        }
        self.load(decided_at, signer_out);
        outcome
    }

    /// Whether a key in `keyring` stands for a signer (`pkcs7_validate_trust_one()`): the key of a
    /// certificate of its chain, the one that has signed the last of them, or the one that the
    /// signer itself names.
    #[inline(never)]
    fn validate_trust_one(
        &mut self,
        keyring: Keyring,
        index: usize,
        signer: &SignerInfo<'a>,
        cache: &mut TrustCache,
    ) -> Result<bool, Error> {
        let start = self.state(index).certificate;
        let mut last = None;
        let mut next = start;
        while let Some(at) = next {
            if !cache.seen.add(at) {
                return Ok(cache.verified.has(at));
            }
            if let Lookup::Found(key) = self.chain.find_own_key(keyring, at)? {
                // series: cut
                if last.is_none() {
                    self.ready_content()?;
                }
                // series: end
                self.check_by_key(&key, signer, last)?;
                self.mark_verified(start, at, cache);
                return Ok(true);
            }
            next = self.chain.issuer(at);
            // One that has signed itself is a root of its own, and nobody knows it.
            if next == Some(at) {
                return Ok(false);
            }
            last = Some(at);
        }
        if let Some(at) = last {
            match self.chain.find_authority_key(keyring, at)? {
                Lookup::Found(key) => {
                    self.check_by_key(&key, signer, last)?;
                    self.mark_verified(start, at, cache);
                    return Ok(true);
                }
                Lookup::Mismatch => return Err(Error::AuthorityMismatch),
                Lookup::Unknown => {}
            }
        }
        match self.find_signer(keyring, signer)? {
            Some(key) => {
                // series: cut
                self.ready_content()?;
                // series: end
                self.check_by_key(&key, signer, None).map(|()| true)
            }
            None => Ok(false),
        }
    }

    /// Marks the certificates from `start` to `end` as verified.
    fn mark_verified(&self, start: Option<Index>, end: Index, cache: &mut TrustCache) {
        let mut next = start;
        while let Some(at) = next {
            if !cache.verified.add(at) || at == end {
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
    #[inline(never)]
    fn check_by_key(
        &mut self,
        key: &P::Key,
        signer: &SignerInfo<'_>,
        certificate: Option<Index>,
    ) -> Result<(), Error> {
        let platform = self.platform;
        let verification = match certificate {
            Some(certificate) => (self.chain)
                .check_by_key(certificate, key)?
                .ok_or(Error::CertificateDigest)?,
            None => {
                // series: cut
                let of_release = matches!(self.content, Content::Release { .. });
                // series: end
                let signature = self.signature(signer)?;
                // series: cut
                match of_release {
                    false => platform.verify(key, &signature)?,
                    true => platform.verify_release(key, &signature)?,
                }
                // series: end
                // series: put platform.verify(key, &signature)?
            }
        };
        match verification {
            Verification::Good => Ok(()),
            Verification::Unsupported => Err(Error::AlgorithmNotBuiltIn),
            Verification::Bad(_) => Err(Error::BadSignature),
        }
    }

    /// The signature of a signer; digests the content, which is ready, if that was not done yet.
    #[inline(never)]
    fn signature<'s>(&'s mut self, signer: &SignerInfo<'s>) -> Result<Signature<'s>, Error> {
        let algorithm = signer.digest;
        let signed = match signer.attributes {
            Some(SignedAttributes { after_tag, .. }) => Signed::Attributes {
                algorithm,
                after_tag,
            },
            // series: cut
            None if signer.key.is_ml_dsa() => Signed::Data(self.content.octets()?),
            // series: end
            // series: put None if signer.key.is_ml_dsa() => Signed::Data(self.content),
            None => Signed::Digest {
                algorithm,
                octets: self.digest(algorithm)?.as_bytes(),
            },
        };
        Ok(Signature {
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
        self.ready(signer.digest)
    }

    /// The digest of the content.
    #[inline(never)]
    fn digest(&mut self, algorithm: DigestAlgorithm) -> Result<&Digest, Error> {
        let platform = self.platform;
        self.ready(algorithm)?;
        let Some(Hashed { hash, digest, .. }) = &mut self.hashed else {
            return Err(Error::DigestNotBuiltIn);
        };
        if let Some(digest) = digest {
            return Ok(digest);
        }
        let Some(hash) = hash else {
            return Err(Error::DigestNotBuiltIn);
        };
        let made = digest.insert(Digest::zero(algorithm));
        // series: put let outcome = platform.digest(hash, &[self.content], made);
        // series: cut
        let outcome = match &mut self.content {
            // The whole file is looked for by its SHA-256: the module need not be read again for
            // it.
            Content::Module {
                module,
                file_digest: file_digest @ None,
            } if algorithm == DigestAlgorithm::Sha256 && platform.tree().file_hashes => {
                let rest = self.file.get(module.len()..);
                platform
                    .digest_twice(hash, module, rest, made, file_digest)
                    .map_err(Error::from)
            }
            content => content
                .octets()
                .and_then(|octets| Ok(platform.digest(hash, &[octets], made)?)),
        };
        // series: end
        if outcome.is_err() {
            *digest = None;
        }
        outcome?;
        digest.as_ref().ok_or(Error::DigestNotBuiltIn)
    }

    // series: cut
    /// The SHA-256 of the whole file, if it came with that of the content.
    pub(super) fn file_digest(&self) -> Option<&Digest> {
        match &self.content {
            Content::Module { file_digest, .. } => file_digest.as_ref(),
            Content::Release { .. } => None,
        }
    }

    /// Makes what is signed, if that was not done yet. Called before [`Self::signature`] is, not by
    /// it: the digests of a tree and that of its head would take more of the stack one inside the
    /// other.
    #[inline(never)]
    fn ready_content(&mut self) -> Result<(), Error> {
        // So that nothing of it is in a kernel without the option.
        if !self.platform.releases() {
            return Ok(());
        }
        if let Content::Release {
            proof,
            module,
            head: head @ None,
        } = &mut self.content
        {
            *head = Some(release::head_of(self.platform, proof, module)?);
        }
        Ok(())
    }
    // series: end

    /// Readies a digest algorithm; says whether the platform has it.
    #[inline(never)]
    fn ready(&mut self, algorithm: DigestAlgorithm) -> Result<bool, Error> {
        if !matches!(&self.hashed, Some(hashed) if hashed.algorithm == algorithm) {
            self.hashed = None;
            self.hashed = Some(Hashed {
                algorithm,
                hash: self.platform.hash(algorithm)?,
                digest: None,
            });
        }
        Ok(matches!(&self.hashed, Some(Hashed { hash: Some(_), .. })))
    }
}

/// What was found out of the certificates while signers were looked at.
#[derive(Default)]
struct TrustCache {
    seen: Set,
    verified: Set,
}
