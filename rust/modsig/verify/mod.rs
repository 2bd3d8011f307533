// SPDX-License-Identifier: GPL-2.0

//! Whether a module file has a signature that counts.
//!
//! Pure: only `core`, no `unsafe`, no allocation, nothing that can panic. What a kernel or a host
//! program has to bring stands behind [`Platform`], so both come to the same verdict by the same
//! code. The data flows one way:
//!
//! [`trailer::split`] -> [`cms::parse`] -> [`Platform::find_key`] -> [`Platform::digest`] ->
//! [`Platform::verify`] -> [`policy::decide`]

#![forbid(unsafe_code)]

pub mod algorithm;
pub mod cms;
pub mod der;
pub mod error;
mod name;
mod oid;
pub mod policy;
pub mod trailer;

pub use self::{
    algorithm::{DigestAlgorithm, KeyAlgorithm},
    cms::{SignerId, SignerInfo},
    error::{Class, Error},
};

use self::cms::SignedData;

/// The flags of finit_module(2) that matter here: each tells the loader to do without version
/// information, as `modprobe --force` does.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flags {
    /// `MODULE_INIT_IGNORE_MODVERSIONS`
    pub ignore_modversions: bool,
    /// `MODULE_INIT_IGNORE_VERMAGIC`
    pub ignore_vermagic: bool,
}

/// The sets of keys that are asked one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyring {
    /// The builtin keys and all that hangs on them: the secondary and the machine keyring.
    Trusted,
    /// The firmware's keys, which are asked only when no signer is in [`Keyring::Trusted`], and
    /// not by every kernel.
    Platform,
}

/// An error of the platform that says nothing of the module: its own error number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlatformError(pub i32);

impl From<PlatformError> for Error {
    fn from(error: PlatformError) -> Self {
        Error::Platform(error.0)
    }
}

/// A message digest of up to 64 octets.
#[derive(Clone, Copy)]
pub struct Digest {
    octets: [u8; Self::MAX],
    algorithm: DigestAlgorithm,
}

impl Digest {
    /// Size of the largest digest in octets.
    pub const MAX: usize = 64;

    /// A digest whose octets `fill` writes into the start of a buffer.
    pub fn fill_with<E>(
        algorithm: DigestAlgorithm,
        fill: impl FnOnce(&mut [u8; Self::MAX]) -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut octets = [0; Self::MAX];
        fill(&mut octets)?;
        Ok(Digest { octets, algorithm })
    }

    /// The octets.
    pub fn as_bytes(&self) -> &[u8] {
        // No algorithm has more octets than the buffer.
        self.octets.get(..self.algorithm.size()).unwrap_or(&[])
    }
}

/// What a key is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Signature<'a> {
    /// How the digest was signed.
    pub key: KeyAlgorithm,
    /// What the content was digested with.
    pub digest_algorithm: DigestAlgorithm,
    /// The digest of the content.
    pub digest: &'a [u8],
    /// The signature value, from the message.
    pub signature: &'a [u8],
}

/// What the verifier needs of the world around it.
pub trait Platform {
    /// A key that was found.
    type Key;
    /// A digest algorithm, ready for use.
    type Hash;

    /// Readies a digest algorithm; `None` if this platform does not have it.
    fn hash(&self, algorithm: DigestAlgorithm) -> Result<Option<Self::Hash>, PlatformError>;

    /// Digests `content`.
    fn digest(&self, hash: &Self::Hash, content: &[u8]) -> Result<Digest, PlatformError>;

    /// Whether the signer is on the list of revoked keys.
    fn is_revoked(&self, signer: &SignerId<'_>) -> Result<bool, PlatformError>;

    /// Looks for the signer's key.
    fn find_key(
        &self,
        keyring: Keyring,
        signer: &SignerId<'_>,
    ) -> Result<Option<Self::Key>, PlatformError>;

    /// Whether this key made this signature.
    fn verify(&self, key: &Self::Key, signature: &Signature<'_>) -> Result<bool, PlatformError>;

    /// Whether a file, trailer and marker included, is on the list of refused files.
    fn is_blacklisted(&self, file: &[u8]) -> Result<bool, PlatformError>;
}

/// What is known of a file after it was checked.
#[derive(Clone, Copy, Debug)]
pub struct Checked<'a> {
    /// How many octets at the start of the file are the module that is to be loaded, if it is.
    pub module_len: usize,
    /// The signer at whom the verdict was reached; `None` if none was looked at.
    pub signer: Option<SignerInfo<'a>>,
    /// Whether a trusted key has signed the module, and no signer speaks against it.
    pub result: Result<(), Error>,
}

/// Checks a module file: `file` is all of it, with whatever was appended.
pub fn check<'a, P: Platform>(platform: &P, file: &'a [u8], flags: Flags) -> Checked<'a> {
    if flags.ignore_modversions || flags.ignore_vermagic {
        return Checked {
            module_len: file.len(),
            signer: None,
            result: Err(Error::ForceLoaded),
        };
    }
    let (module_len, outcome) = match trailer::split(file) {
        Err(unsplit) => (unsplit.module_len, Err((unsplit.error, None))),
        // The kernel's digests take their length as an `unsigned int`: C cuts it off.
        Ok(split) if u32::try_from(file.len()).is_err() => {
            (split.content.len(), Err((Error::TooLarge, None)))
        }
        Ok(trailer::Split { content, message }) => (
            content.len(),
            check_message(platform, file, content, message),
        ),
    };
    let (signer, result) = match outcome {
        Ok(signer) => (Some(signer), Ok(())),
        Err((error, signer)) => (signer, Err(error)),
    };
    Checked {
        module_len,
        signer,
        result,
    }
}

/// Checks a file's signature message; returns the (last) signer that a trusted key stands for.
fn check_message<'a, P: Platform>(
    platform: &P,
    file: &[u8],
    content: &[u8],
    message: &'a [u8],
) -> Result<SignerInfo<'a>, (Error, Option<SignerInfo<'a>>)> {
    let message = cms::parse(message).map_err(|error| (error, None))?;
    let signer = Signers {
        platform,
        message: &message,
        content,
        hashed: None,
    }
    .check()?;
    // The dearest question last: it takes a digest of the whole file.
    match platform.is_blacklisted(file) {
        Ok(false) => Ok(signer),
        Ok(true) => Err((Error::Blacklisted, Some(signer))),
        Err(error) => Err((error.into(), Some(signer))),
    }
}

/// A digest algorithm in use, and what it made of the content once that was asked for.
struct Hashed<H> {
    algorithm: DigestAlgorithm,
    /// `None`: the platform does not have the algorithm.
    hash: Option<H>,
    digest: Option<Digest>,
}

/// The state of going through the signers of a message.
struct Signers<'p, 'a, P: Platform> {
    platform: &'p P,
    message: &'p SignedData<'a>,
    content: &'p [u8],
    /// The algorithm that was used last. Signers mostly share one, so the content is mostly
    /// digested once, where C does it once for each signer.
    hashed: Option<Hashed<P::Hash>>,
}

impl<'a, P: Platform> Signers<'_, 'a, P> {
    /// Goes through the signers as C does (`pkcs7_verify()`, `is_key_on_revocation_list()`,
    /// `pkcs7_validate_trust()`), but looks for keys before it digests the content, so that a
    /// signer whom nobody knows costs no digest. See Documentation/differences.md for why no
    /// module gets in by this that C would refuse.
    fn check(mut self) -> Result<SignerInfo<'a>, (Error, Option<SignerInfo<'a>>)> {
        let message = self.message;
        // Before any trust: also a key that is trusted can be revoked.
        for signer in message.signers() {
            let failed = |error| (error, Some(*signer));
            let revoked = self.has_hash(signer).map_err(failed)?
                && self
                    .platform
                    .is_revoked(&signer.id)
                    .map_err(|error| failed(error.into()))?;
            if revoked {
                return Err(failed(Error::Revoked));
            }
        }
        match self.find_trusted(Keyring::Trusted) {
            Err((Error::NoKey, _)) => {}
            outcome => return outcome,
        }
        match self.find_trusted(Keyring::Platform) {
            Err((Error::NoKey, signer)) if message.has_certificates() => {
                Err((Error::UntrustedChain, signer))
            }
            outcome => outcome,
        }
    }

    /// Looks for a signer whose key is in `keyring`. One is enough, unless the signature of
    /// another that is there does not verify.
    fn find_trusted(
        &mut self,
        keyring: Keyring,
    ) -> Result<SignerInfo<'a>, (Error, Option<SignerInfo<'a>>)> {
        let message = self.message;
        let mut trusted = None;
        // The answer if nobody is trusted: C prefers "not supported" over "not known".
        let mut otherwise = (Error::NoKey, message.signers().next().copied());
        let mut all_known = true;

        for signer in message.signers() {
            let failed = |error| (error, Some(*signer));
            if !self.has_hash(signer).map_err(failed)? {
                otherwise = (Error::DigestNotBuiltIn, Some(*signer));
                continue;
            }
            let Some(key) = self
                .platform
                .find_key(keyring, &signer.id)
                .map_err(|error| failed(error.into()))?
            else {
                all_known = false;
                continue;
            };
            if !self.verify(&key, signer).map_err(failed)? {
                return Err((Error::BadSignature, Some(*signer)));
            }
            trusted = Some(*signer);
        }
        // C checks an unknown signer against its certificate in the message, and refuses the module
        // if that fails. Certificates are not read here, so such a signer spoils the message, but
        // for one chance: that all signers are in the next keyring.
        if message.has_certificates() && !all_known {
            let ask_on = trusted.is_none() && otherwise.0 == Error::NoKey;
            otherwise.0 = if ask_on {
                Error::NoKey
            } else {
                Error::UntrustedChain
            };
            return Err(otherwise);
        }
        trusted.ok_or(otherwise)
    }

    /// Whether the signer's digest algorithm is there; readies it.
    fn has_hash(&mut self, signer: &SignerInfo<'_>) -> Result<bool, Error> {
        Ok(self.hashed(signer.digest)?.hash.is_some())
    }

    /// Checks a signer's signature by a key.
    fn verify(&mut self, key: &P::Key, signer: &SignerInfo<'_>) -> Result<bool, Error> {
        let (platform, content) = (self.platform, self.content);
        let Hashed { hash, digest, .. } = self.hashed(signer.digest)?;
        let digest = match (&*digest, hash) {
            (Some(digest), _) => digest,
            (None, None) => return Err(Error::DigestNotBuiltIn),
            (None, Some(hash)) => digest.insert(platform.digest(hash, content)?),
        };
        Ok(platform.verify(
            key,
            &Signature {
                key: signer.key,
                digest_algorithm: signer.digest,
                digest: digest.as_bytes(),
                signature: signer.signature,
            },
        )?)
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
