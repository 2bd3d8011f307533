// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Whether a module file has a signature that counts.
//!
//! Pure: only `core`, no `unsafe`, no allocation, nothing that can panic. What a kernel or a host
//! program has to bring stands behind [`Platform`], so both come to the same verdict by the same
//! code. The data flows one way:
//!
//! [`cms::parse`] -> certificates in the message (`chain`) -> [`Platform::find_key`] ->
//! [`Hashes::digest`] -> [`Platform::verify`]
// series: cut
//!
//! with [`trailer::split`] in front and [`policy::decide`] behind; or, without a key,
//! [`trailer::split`] -> [`merkle::check`] -> [`policy::decide`].
//!
//! A signature for a release goes the first way, with [`release::parse`] in front of
//! [`cms::parse`]: what is signed is then the head of the tree that the module is in, not the
//! module.
//!
//! A kernel without keys calls [`check_by_hash`] in place of [`check`]; nothing of the first way is
//! in it then.
// series: end

#![forbid(unsafe_code)]

pub mod der;
pub mod error;

// series: from cms
pub mod algorithm;
pub mod cms;
mod name;
mod oid;
pub mod time;
pub mod x509;
// series: end

// series: from signers
mod chain;
mod signers;
// series: end

// series: cut
pub mod memo;
pub mod merkle;
pub mod policy;
pub mod release;
pub mod trailer;
// series: end

pub use self::error::{Class, Error};

// series: from cms
pub use self::{
    algorithm::{DigestAlgorithm, KeyAlgorithm, PublicKeyAlgorithm},
    cms::{KeyId, SignerInfo},
    x509::PublicKey,
};
// series: end

// series: from signers
use self::{chain::Chain, signers::Signers};
// series: end

// series: cut
pub use self::cms::SignerId;

use self::{
    signers::Content,
    trailer::{Kind, Split, Unsplit},
};

/// The flags of finit_module(2) that matter here: each tells the loader to do without version
/// information, as `modprobe --force` does.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flags {
    /// `MODULE_INIT_IGNORE_MODVERSIONS`
    pub ignore_modversions: bool,
    /// `MODULE_INIT_IGNORE_VERMAGIC`
    pub ignore_vermagic: bool,
}
// series: end

// series: from signers
/// The sets of keys that are asked one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyring {
    /// The builtin keys and all that hangs on them: the secondary and the machine keyring.
    Trusted,
    // series: cut
    /// The firmware's keys, which are asked only when no signer is in [`Keyring::Trusted`], and
    /// not by every kernel.
    Platform,
    // series: end
    /// The keys that are not to be trusted any more.
    Revoked,
}

/// What became of the search for a key by two identifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup<K> {
    /// The key.
    Found(K),
    /// No key has the first identifier.
    Unknown,
    /// A key has the first identifier, but not the second.
    Mismatch,
}

/// What became of a signature that was checked with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    /// The key made the signature.
    Good,
    /// The platform lacks what the check takes: with a key out of the message this is the kernel's
    /// ENOPKG only, since C takes its ENOENT for a bad signature.
    Unsupported,
    /// It did not, and this is the platform's error number.
    Bad(i32),
}

/// What kind of thing is asked for on the list of refused hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blacklist {
    /// A certificate: the digest is of its TBSCertificate.
    Certificate,
    // series: cut
    /// A module: the digest is of the whole file, trailer and marker included.
    File,
    // series: end
}
// series: end

// series: from cms
/// How the C verifier of a tree goes about things, where trees and configurations differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// Its parser knows ML-DSA, in signatures and in certificates.
    pub ml_dsa: bool,
    /// It takes signed attributes where all signers use ML-DSA
    /// (`CONFIG_PKCS7_WAIVE_AUTHATTRS_REJECTION_FOR_MLDSA`).
    pub ml_dsa_attributes: bool,
    /// What a certificate is blacklisted by.
    pub certificate_hash: CertificateHash,
    // series: cut
    /// It looks for the module file on the blacklist.
    pub file_hashes: bool,
    // series: end
}

// series: cut
impl Tree {
    /// What the newest tree's parser knows, which is all that any does.
    pub const NEWEST: Self = Tree {
        ml_dsa: true,
        ml_dsa_attributes: true,
        certificate_hash: CertificateHash::Sha256,
        file_hashes: false,
    };
}
// series: end

/// The digest by which a certificate is blacklisted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CertificateHash {
    /// The tree has no list.
    #[default]
    None,
    /// SHA-256.
    Sha256,
    // series: cut
    /// The one that its signature is over; none if that is not built in.
    OfSignature,
    // series: end
}
// series: end

// series: from signers
/// An error of the platform that says nothing of the module: its own error number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlatformError(pub i32);

impl From<PlatformError> for Error {
    fn from(error: PlatformError) -> Self {
        Error::Platform(error.0)
    }
}

/// A message digest of up to 64 bytes.
#[derive(Clone, Copy)]
pub struct Digest {
    octets: [u8; Self::MAX],
    algorithm: DigestAlgorithm,
}

impl Digest {
    /// Size of the largest digest in bytes.
    pub const MAX: usize = 64;

    /// The digest that stands at the start of a buffer.
    pub fn new(algorithm: DigestAlgorithm, octets: [u8; Self::MAX]) -> Self {
        Digest { octets, algorithm }
    }

    /// One that is not made yet.
    pub fn zero(algorithm: DigestAlgorithm) -> Self {
        Digest::new(algorithm, [0; Self::MAX])
    }

    /// The buffer, for a digest of the same algorithm to be written to.
    pub fn buffer(&mut self) -> &mut [u8; Self::MAX] {
        &mut self.octets
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        // No algorithm has more bytes than the buffer.
        self.octets.get(..self.algorithm.size()).unwrap_or(&[])
    }
}

/// What a key is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Signature<'a> {
    /// How it was signed.
    pub key: KeyAlgorithm,
    /// What was signed.
    pub signed: Signed<'a>,
    /// The signature value, from the message.
    pub value: &'a [u8],
}

/// What was signed, in the form in which the algorithm takes it.
#[derive(Clone, Copy, Debug)]
pub enum Signed<'a> {
    /// A digest of it.
    Digest {
        /// What it was digested with.
        algorithm: DigestAlgorithm,
        /// The bytes of the digest.
        octets: &'a [u8],
    },
    /// Itself; only for ML-DSA.
    Data(&'a [u8]),
    /// Signed attributes; only for ML-DSA.
    Attributes {
        /// What the content was digested with.
        algorithm: DigestAlgorithm,
        /// What is signed is these bytes behind one of 0x31 (the tag of a SET OF).
        after_tag: &'a [u8],
    },
}

/// What the verifier needs of the world around it to digest, and to know what is blacklisted.
pub trait Hashes {
    /// A digest algorithm, ready for use.
    type Hash;

    // series: cut
    /// The root of the tree of modules that load without a key; `None` if there is no such tree.
    fn root(&self) -> Option<merkle::Root>;
    // series: end

    /// How this tree's C verifier goes about things.
    fn tree(&self) -> Tree;

    /// Readies a digest algorithm; `None` if this platform does not have it.
    fn hash(&self, algorithm: DigestAlgorithm) -> Result<Option<Self::Hash>, PlatformError>;

    /// Digests these parts, one behind the other; at most `u32::MAX` bytes each. What is in
    /// `digest`, which is of the same algorithm, counts only if there was no error.
    ///
    /// Not returned, for it would be on the stack twice, and a kernel's is small.
    fn digest(
        &self,
        hash: &Self::Hash,
        parts: &[&[u8]],
        digest: &mut Digest,
    ) -> Result<(), PlatformError>;

    // series: cut
    /// Digests `start`. If there is an `end`, and the same pass can digest `start` with that behind
    /// it, that is put into `both`; else `both` stays as it is.
    fn digest_twice(
        &self,
        hash: &Self::Hash,
        start: &[u8],
        end: Option<&[u8]>,
        digest: &mut Digest,
        both: &mut Option<Digest>,
    ) -> Result<(), PlatformError> {
        let _ = (end, both);
        self.digest(hash, &[start], digest)
    }
    // series: end

    /// Whether a digest is on the list of refused ones.
    fn is_blacklisted(&self, what: Blacklist, digest: &Digest) -> Result<bool, PlatformError>;
}

/// What it needs beyond that to check signatures by keys.
pub trait Platform: Hashes {
    /// A key that was found.
    type Key;

    // series: cut
    /// Whether signatures for a release count; if not, they are of an unknown kind.
    fn releases(&self) -> bool {
        false
    }
    // series: end

    /// Looks for a key that is filed under the first identifier (either of its two), and, if a
    /// second one is given, has that as its SubjectKeyIdentifier. Without a first one, the second
    /// takes its place. At least one is given.
    fn find_key(
        &self,
        keyring: Keyring,
        first: Option<KeyId<'_>>,
        second: Option<KeyId<'_>>,
    ) -> Result<Lookup<Self::Key>, PlatformError>;

    /// Whether this key made this signature.
    fn verify(
        &self,
        key: &Self::Key,
        signature: &Signature<'_>,
    ) -> Result<Verification, PlatformError>;

    // series: cut
    /// Whether this key made this signature, which is over the head of a release: other modules
    /// have the same one, so a platform may remember a good one, with [`memo::verify`].
    fn verify_release(
        &self,
        key: &Self::Key,
        signature: &Signature<'_>,
    ) -> Result<Verification, PlatformError> {
        self.verify(key, signature)
    }
    // series: end

    /// Whether this public key, which is out of the message, made this signature.
    fn verify_with(
        &self,
        key: &PublicKey<'_>,
        signature: &Signature<'_>,
    ) -> Result<Verification, PlatformError>;
}

// series: cut
/// What is known of a file after it was checked.
#[derive(Clone, Copy, Debug)]
pub struct Checked<'a> {
    /// How many bytes at the start of the file are the module that is to be loaded, if it is.
    pub module_len: usize,
    /// The signer at whom the verdict was reached; `None` if none was looked at.
    pub signer: Option<SignerInfo<'a>>,
    /// Whether a trusted key has signed the module and no signer speaks against it, or its proof is
    /// right.
    pub result: Result<(), Error>,
}

/// Checks a module file: `file` is all of it, with whatever was appended.
// Inlined because returning `Checked` dominates the cost of an unsigned module.
#[inline(always)]
pub fn check<'a, P: Platform>(platform: &P, file: &'a [u8], flags: Flags) -> Checked<'a> {
    let root = platform.root();
    let known: &[Kind] = match (root, platform.releases()) {
        (Some(_), true) => &[Kind::Pkcs7, Kind::Merkle, Kind::Release],
        (Some(_), false) => &[Kind::Pkcs7, Kind::Merkle],
        (None, true) => &[Kind::Pkcs7, Kind::Release],
        (None, false) => &[Kind::Pkcs7],
    };
    let mut checked = Checked::nothing();
    match split(file, flags, known) {
        Ok(split) => {
            checked.module_len = split.content.len();
            checked.result = match split.kind {
                Kind::Pkcs7 | Kind::Release => {
                    check_split(platform, file, &split, &mut checked.signer)
                }
                Kind::Merkle => check_proof(platform, file, &split, root),
            };
        }
        Err(unsplit) => checked.fail(unsplit),
    }
    checked
}

/// The same for a kernel without keys.
#[inline(always)]
pub fn check_by_hash<'a, P: Hashes>(platform: &P, file: &'a [u8], flags: Flags) -> Checked<'a> {
    let mut checked = Checked::nothing();
    match split(file, flags, &[Kind::Merkle]) {
        Ok(split) => {
            checked.module_len = split.content.len();
            checked.result = check_proof(platform, file, &split, platform.root());
        }
        Err(unsplit) => checked.fail(unsplit),
    }
    checked
}

/// Splits a file into the module and a signature of a known kind, unless the loader was told not to
/// look at it.
#[inline(always)]
fn split<'a>(file: &'a [u8], flags: Flags, known: &[Kind]) -> Result<Split<'a>, Unsplit> {
    if flags.ignore_modversions || flags.ignore_vermagic {
        return Err(Unsplit {
            error: Error::ForceLoaded,
            module_len: file.len(),
        });
    }
    let split = trailer::split_known(file, known)?;
    // The kernel's digests take their length as an `unsigned int`: C cuts it off.
    if u32::try_from(file.len()).is_err() {
        return Err(Unsplit {
            error: Error::TooLarge,
            module_len: split.content.len(),
        });
    }
    Ok(split)
}

impl Checked<'_> {
    /// Of a file that is not looked at yet. There is one on the stack, which is filled in.
    #[inline(always)]
    fn nothing() -> Self {
        Checked {
            module_len: 0,
            signer: None,
            result: Err(Error::Unsigned),
        }
    }

    #[inline(always)]
    fn fail(&mut self, unsplit: Unsplit) {
        self.module_len = unsplit.module_len;
        self.result = Err(unsplit.error);
    }
}

/// Checks the proof that a module is of the kernel's build.
#[inline(never)]
fn check_proof<P: Hashes>(
    platform: &P,
    file: &[u8],
    split: &Split<'_>,
    root: Option<merkle::Root>,
) -> Result<(), Error> {
    // No module has the default.
    let root = root.unwrap_or_default();
    merkle::check(platform, &root, split.content, split.message)?;
    is_not_blacklisted(platform, file, None, &mut None)
}

/// Checks a module's signature message, or that of its release.
///
/// Never inlined: an unsigned module needs none of its stack.
#[inline(never)]
fn check_split<'a, P: Platform>(
    platform: &P,
    file: &[u8],
    split: &Split<'a>,
    signer: &mut Option<SignerInfo<'a>>,
) -> Result<(), Error> {
    let (message, proof) = match split.kind {
        Kind::Release if platform.releases() => {
            let release = release::parse(split.message)?;
            (release.message, Some(release.proof))
        }
        _ => (split.message, None),
    };
    let content = Content::new(split.content, proof);
    check_message(platform, file, content, message, signer)
}
// series: end

/// Whether `message` is a good signature for the module `content`, of which the loader has taken
/// the trailer off.
#[inline(never)]
pub fn check_signature<P: Platform>(
    platform: &P,
    content: &[u8],
    message: &[u8],
) -> Result<(), Error> {
    // series: put check_message(platform, content, message, &mut None)
    // series: cut
    let whole = Content::new(content, None);
    check_message(platform, content, whole, message, &mut None)
    // series: end
}

/// Checks a signature message; leaves in `signer` at whom the verdict was reached: if it is good,
/// the (last) one that a trusted key stands for.
///
/// What it calls is never inlined: each is done with its own stack before C's crypto is entered.
#[inline(always)]
fn check_message<'a, P: Platform>(
    platform: &P,
    // series: cut
    file: &[u8],
    // series: end
    // series: put content: &[u8],
    // series: cut
    content: Content<'_>,
    // series: end
    message: &'a [u8],
    signer: &mut Option<SignerInfo<'a>>,
) -> Result<(), Error> {
    let tree = platform.tree();
    let parsed = cms::parse(message, tree);
    // Not moved out of it: there is one of each on the stack.
    let message = match &parsed {
        Ok(message) => message,
        Err(error) => return Err(*error),
    };
    let mut chain = Chain::new(platform, tree, message.certificates());
    // C does this while it parses.
    chain.check_self_signed()?;
    let signed_data = message.signed_data()?;
    // series: put let mut signers = Signers::new(platform, signed_data, &mut chain, content);
    // series: cut
    let mut signers = Signers::new(platform, signed_data, &mut chain, file, content);
    // series: end
    signers.check(signer)?;
    // series: cut
    is_not_blacklisted(platform, file, signers.file_digest(), signer)?;
    // series: end
    Ok(())
}

// series: cut
/// Asks whether a file that somebody vouches for is refused nevertheless. Last, for it takes a
/// digest of the whole file, if that is not there already.
#[inline(never)]
fn is_not_blacklisted<P: Hashes>(
    platform: &P,
    file: &[u8],
    digest: Option<&Digest>,
    signer: &mut Option<SignerInfo<'_>>,
) -> Result<(), Error> {
    if !platform.tree().file_hashes {
        return Ok(());
    }
    match is_file_blacklisted(platform, file, digest) {
        Ok(false) => Ok(()),
        Ok(true) => Err(Error::Blacklisted),
        Err(error) => {
            // Not for anything of the signer's.
            *signer = None;
            Err(error)
        }
    }
}

/// Whether the SHA-256 of a whole file is on the list of refused ones.
fn is_file_blacklisted<P: Hashes>(
    platform: &P,
    file: &[u8],
    digest: Option<&Digest>,
) -> Result<bool, Error> {
    if let Some(digest) = digest {
        return Ok(platform.is_blacklisted(Blacklist::File, digest)?);
    }
    match sha256(platform, file)? {
        Some(digest) => Ok(platform.is_blacklisted(Blacklist::File, &digest)?),
        // The kernel's configuration sees to it that this cannot be. If it were, nobody could say
        // that the file is not on the list.
        None => Err(Error::BlacklistDigest),
    }
}
// series: end

/// The SHA-256 of `bytes`, if it is built in.
fn sha256<P: Hashes>(platform: &P, octets: &[u8]) -> Result<Option<Digest>, PlatformError> {
    match platform.hash(DigestAlgorithm::Sha256)? {
        Some(hash) => {
            let mut digest = Digest::zero(DigestAlgorithm::Sha256);
            platform.digest(&hash, &[octets], &mut digest)?;
            Ok(Some(digest))
        }
        None => Ok(None),
    }
}
// series: end
