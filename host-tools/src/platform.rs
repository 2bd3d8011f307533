// SPDX-License-Identifier: MIT OR Apache-2.0

//! OpenSSL and some certificates in place of the kernel's crypto API and keyrings: with this, the
//! kernel's own code says what a kernel with these certificates would say.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{bail, Result};
use modsig::verify::{
    check, check_by_hash,
    memo::{self, Entry, Memo, Memory},
    merkle,
    policy::{self, Decision},
    Blacklist, CertificateHash, Checked, Class, Digest, DigestAlgorithm, Error, Flags, Hashes,
    KeyAlgorithm, KeyId, Keyring, Lookup, Platform, PlatformError, PublicKey, Signature, Signed,
    Tree, Verification,
};
use openssl::{
    error::ErrorStack,
    hash::{hash, Hasher, MessageDigest},
    pkey::{Id, PKey, Public},
    x509::X509Ref,
};

use crate::{
    certificate::{key_algorithm, readable, CertificateIds},
    digest::{message_digest, verify_digest},
    ml_dsa, store,
};

/// The key of a certificate that was filed.
#[derive(Clone)]
pub struct Key(KeyKind);

#[derive(Clone)]
enum KeyKind {
    OpenSsl(PKey<Public>),
    /// Encoded, for OpenSSL may not know it.
    MlDsa(KeyAlgorithm, Arc<[u8]>),
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (KeyKind::OpenSsl(one), KeyKind::OpenSsl(other)) => one.public_eq(other),
            (KeyKind::MlDsa(_, one), KeyKind::MlDsa(_, other)) => one == other,
            _ => false,
        }
    }
}

impl Key {
    /// Takes an encoded SubjectPublicKeyInfo.
    fn new(info: &[u8]) -> Result<Self, ErrorStack> {
        Ok(Key(match key_algorithm(info) {
            Some(algorithm) if algorithm.is_ml_dsa() => KeyKind::MlDsa(algorithm, info.into()),
            _ => KeyKind::OpenSsl(PKey::public_key_from_der(info)?),
        }))
    }
}

/// A certificate, filed as the kernel does.
#[derive(Clone)]
struct Filed {
    by_serial: Vec<u8>,
    subject_key_id: Option<Vec<u8>>,
    key: Key,
}

impl Filed {
    fn new(certificate: &X509Ref) -> Result<Self> {
        let ids = CertificateIds::new(certificate)?;
        Ok(Filed {
            by_serial: [ids.serial, ids.issuer].concat(),
            subject_key_id: ids.subject_key_id,
            key: Key::new(&ids.public_key_info)?,
        })
    }
}

/// The signatures for releases that keys have made, as the kernel remembers them: one is for thousands of
/// modules.
#[derive(Clone, Default)]
struct Known(Arc<Mutex<Memo<Key, Vec<u8>>>>);

impl Known {
    fn lock(&self) -> MutexGuard<'_, Memo<Key, Vec<u8>>> {
        // Nothing is left half done by whoever panics.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory<Key> for Known {
    fn knows(&self, key: &Key, signature: &Signature<'_>) -> bool {
        self.lock().knows(key, signature)
    }

    fn remember(&self, key: &Key, signature: &Signature<'_>) {
        let copy = |octets: &[u8]| Some(octets.to_vec());
        if let Some(entry) = Entry::new(key.clone(), signature, copy) {
            self.lock().remember(entry);
        }
    }
}

/// Tells whether the key of an encoded SubjectPublicKeyInfo made a signature of ML-DSA: algorithm,
/// key, message, signature; `None` if it cannot tell.
pub type MlDsaVerify = fn(KeyAlgorithm, &[u8], &[u8], &[u8]) -> Option<bool>;

/// A kernel's view of the world: whom it trusts, whom it does not.
#[derive(Clone)]
pub struct Host {
    keys: bool,
    releases: bool,
    root: Option<merkle::Root>,
    tree: Tree,
    trusted: Vec<Filed>,
    platform: Vec<Filed>,
    revoked: Vec<Filed>,
    /// Where a key has been revoked in its place.
    dead_keys: Vec<Keyring>,
    blacklisted: Vec<[u8; 32]>,
    blacklisted_certificates: Vec<Vec<u8>>,
    left_out: Vec<DigestAlgorithm>,
    ml_dsa: MlDsaVerify,
    known: Known,
}

/// The newest kernel there are patches for, and one that asks for blacklisted files as well.
impl Default for Host {
    fn default() -> Self {
        Host::new(Tree {
            file_hashes: true,
            ..Tree::NEWEST
        })
    }
}

impl Host {
    /// A kernel of this kind, which trusts nobody yet.
    pub fn new(tree: Tree) -> Self {
        Host {
            keys: true,
            releases: false,
            root: None,
            tree,
            trusted: vec![],
            platform: vec![],
            revoked: vec![],
            dead_keys: vec![],
            blacklisted: vec![],
            blacklisted_certificates: vec![],
            left_out: vec![],
            ml_dsa: ml_dsa::verify,
            known: Known::default(),
        }
    }

    /// Takes modules that are of the tree with this root.
    pub fn accept_hashes(&mut self, root: merkle::Root) {
        self.root = Some(root);
    }

    /// Takes modules of a release that is signed with a key.
    pub fn accept_releases(&mut self) {
        self.releases = true;
    }

    /// Takes no module for a key's sake.
    pub fn accept_no_keys(&mut self) {
        self.keys = false;
    }

    /// Checks a module file as this kernel does.
    pub fn check<'a>(&self, file: &'a [u8], flags: Flags) -> Checked<'a> {
        match self.keys {
            true => check(self, file, flags),
            false => check_by_hash(self, file, flags),
        }
    }

    /// Trusts a certificate as if it were built in.
    ///
    /// # Errors
    ///
    /// If such a kernel does not read it.
    pub fn trust(&mut self, certificate: &X509Ref) -> Result<()> {
        readable(certificate, self.tree)?;
        self.trusted.push(Filed::new(certificate)?);
        Ok(())
    }

    /// Trusts a certificate as if it were the firmware's.
    pub fn trust_platform(&mut self, certificate: &X509Ref) -> Result<()> {
        readable(certificate, self.tree)?;
        self.platform.push(Filed::new(certificate)?);
        Ok(())
    }

    /// Puts a certificate on the revocation list.
    pub fn revoke(&mut self, certificate: &X509Ref) -> Result<()> {
        readable(certificate, self.tree)?;
        self.revoked.push(Filed::new(certificate)?);
        Ok(())
    }

    /// Does without a digest algorithm, as if it were not built in.
    pub fn leave_out(&mut self, digest: DigestAlgorithm) {
        self.left_out.push(digest);
    }

    /// Does without ML-DSA, as a kernel that has never heard of it.
    pub fn leave_out_ml_dsa(&mut self) {
        self.tree.ml_dsa = false;
        self.tree.ml_dsa_attributes = false;
    }

    /// Has signatures of ML-DSA verified by something else than OpenSSL.
    pub fn verify_ml_dsa_by(&mut self, verify: MlDsaVerify) {
        self.ml_dsa = verify;
    }

    /// Refuses the certificate whose TBSCertificate has this digest.
    pub fn blacklist_certificate(&mut self, digest: Vec<u8>) {
        self.blacklisted_certificates.push(digest);
    }

    /// Has a key in this keyring that somebody has revoked there. So ends the search for any key that is not in it: the
    /// kernel looks at the state of each before it compares it (`keyring_search_iterator()` of
    /// security/keys/keyring.c).
    pub fn keep_dead_key(&mut self, keyring: Keyring) {
        self.dead_keys.push(keyring);
    }

    /// Refuses the file that has this SHA-256.
    pub fn blacklist(&mut self, sha256: [u8; 32]) {
        self.blacklisted.push(sha256);
    }

    /// Whether it refuses files by their hashes.
    pub fn refuses_files(&self) -> bool {
        self.tree().file_hashes
    }

    /// Does not look for files among the refused hashes.
    pub fn pass_over_files(&mut self) {
        self.tree.file_hashes = false;
    }
}

/// Whether two identifiers are one: the kernel knows them as strings of bytes.
fn same(filed: &[u8], wanted: KeyId<'_>) -> bool {
    filed.iter().eq(wanted.0.iter().chain(wanted.1))
}

/// As `find_asymmetric_key()` does.
fn find<'k>(
    keys: &'k [Filed],
    first: Option<KeyId<'_>>,
    second: Option<KeyId<'_>>,
) -> Lookup<&'k Filed> {
    let has = |filed: &Filed, wanted| {
        let subject_key_id = filed.subject_key_id.as_deref();
        same(&filed.by_serial, wanted) || subject_key_id.is_some_and(|id| same(id, wanted))
    };
    let Some(wanted) = first.or(second) else {
        return Lookup::Unknown;
    };
    let Some(found) = keys.iter().find(|filed| has(filed, wanted)) else {
        return Lookup::Unknown;
    };
    match (first, second, &found.subject_key_id) {
        (Some(_), Some(second), Some(id)) if same(id, second) => Lookup::Found(found),
        (Some(_), Some(_), _) => Lookup::Mismatch,
        _ => Lookup::Found(found),
    }
}

impl Hashes for Host {
    type Hash = MessageDigest;

    fn root(&self) -> Option<merkle::Root> {
        self.root
    }

    fn tree(&self) -> Tree {
        Tree {
            // To find a file in an empty list, none need be digested.
            file_hashes: self.tree.file_hashes && !self.blacklisted.is_empty(),
            ..self.tree
        }
    }

    fn hash(&self, algorithm: DigestAlgorithm) -> Result<Option<Self::Hash>, PlatformError> {
        if self.left_out.contains(&algorithm) {
            return Ok(None);
        }
        Ok(message_digest(algorithm))
    }

    fn digest(
        &self,
        algorithm: &Self::Hash,
        parts: &[&[u8]],
        digest: &mut Digest,
    ) -> Result<(), PlatformError> {
        let mut hasher = Hasher::new(*algorithm).map_err(openssl_error)?;
        for part in parts {
            hasher.update(part).map_err(openssl_error)?;
        }
        let octets = hasher.finish().map_err(openssl_error)?;
        digest.buffer()[..octets.len()].copy_from_slice(&octets);
        Ok(())
    }

    fn is_blacklisted(&self, what: Blacklist, digest: &Digest) -> Result<bool, PlatformError> {
        let digest = digest.as_bytes();
        Ok(match what {
            Blacklist::Certificate => self.blacklisted_certificates.iter().any(|d| d == digest),
            Blacklist::File => self.blacklisted.iter().any(|d| d == digest),
        })
    }
}

impl Platform for Host {
    type Key = Key;

    fn releases(&self) -> bool {
        self.releases
    }

    fn find_key(
        &self,
        keyring: Keyring,
        first: Option<KeyId<'_>>,
        second: Option<KeyId<'_>>,
    ) -> Result<Lookup<Self::Key>, PlatformError> {
        let keys = match keyring {
            Keyring::Trusted => &self.trusted,
            Keyring::Platform => &self.platform,
            Keyring::Revoked => &self.revoked,
        };
        Ok(match find(keys, first, second) {
            Lookup::Found(filed) => Lookup::Found(filed.key.clone()),
            Lookup::Unknown if self.dead_keys.contains(&keyring) => return Err(KEY_REVOKED),
            Lookup::Unknown => Lookup::Unknown,
            Lookup::Mismatch => Lookup::Mismatch,
        })
    }

    fn verify(
        &self,
        key: &Self::Key,
        signature: &Signature<'_>,
    ) -> Result<Verification, PlatformError> {
        self.ask(key, signature)
    }

    fn verify_release(
        &self,
        key: &Self::Key,
        signature: &Signature<'_>,
    ) -> Result<Verification, PlatformError> {
        memo::verify(self, &self.known, key, signature)
    }

    fn verify_with(
        &self,
        key: &PublicKey<'_>,
        signature: &Signature<'_>,
    ) -> Result<Verification, PlatformError> {
        match Key::new(key.info) {
            Ok(key) => self.ask(&key, signature),
            Err(_) => Ok(Verification::Bad(-EKEYREJECTED)),
        }
    }
}

impl Host {
    /// What the kernel answers (`public_key_verify_signature()`).
    fn ask(&self, key: &Key, signature: &Signature<'_>) -> Result<Verification, PlatformError> {
        let attributes;
        let good = match (&key.0, signature.key, signature.signed) {
            (KeyKind::MlDsa(algorithm, info), claimed, signed) if *algorithm == claimed => {
                let message = match signed {
                    Signed::Data(data) => data,
                    Signed::Attributes {
                        algorithm: DigestAlgorithm::Sha512,
                        after_tag,
                    } => {
                        attributes = [&[0x31][..], after_tag].concat();
                        &attributes
                    }
                    // The kernel goes by the name of the digest alone.
                    Signed::Attributes { .. } | Signed::Digest { .. } => {
                        return Ok(Verification::Bad(-EINVAL));
                    }
                };
                (self.ml_dsa)(*algorithm, info, message, signature.value).ok_or(NO_ML_DSA)?
            }
            (KeyKind::OpenSsl(key), claimed, Signed::Digest { algorithm, octets })
                if matches!(
                    (key.id(), claimed),
                    (Id::RSA, KeyAlgorithm::Rsa) | (Id::EC, KeyAlgorithm::Ecdsa)
                ) =>
            {
                use DigestAlgorithm::{Sm3, Streebog256, Streebog512};
                if matches!(algorithm, Sm3 | Streebog256 | Streebog512) {
                    return Ok(Verification::Bad(-EINVAL));
                }
                verify_digest(key, algorithm, octets, signature.value).map_err(openssl_error)?
            }
            _ => false,
        };
        Ok(if good {
            Verification::Good
        } else {
            Verification::Bad(-EKEYREJECTED)
        })
    }
}

/// What the kernel answers where a signature does not verify (asm-generic/errno.h).
const EKEYREJECTED: i32 = 129;
/// What it answers where key and digest do not go together (asm-generic/errno-base.h).
const EINVAL: i32 = 22;
const EKEYREVOKED: i32 = 128;

/// What the kernel says where a key has been revoked in its place.
pub const KEY_REVOKED: PlatformError = PlatformError(-EKEYREVOKED);

/// A check could not be done: OpenSSL has no ML-DSA ([`ml_dsa::missing`]). No error number of the
/// kernel, those are negative.
pub const NO_ML_DSA: PlatformError = PlatformError(1);
/// OpenSSL has failed; it has no numbers that mean something outside of it.
const OPENSSL_FAILED: PlatformError = PlatformError(2);

/// A kernel that knows all that any does, and trusts nobody but this certificate. It has no list of
/// refused hashes, for which it would digest each file once more.
pub(crate) fn kernel_that_trusts(certificate: &X509Ref) -> Result<Host> {
    let mut kernel = Host::new(Tree {
        certificate_hash: CertificateHash::None,
        ..Tree::NEWEST
    });
    kernel.trust(certificate)?;
    Ok(kernel)
}

/// Why a check has come to no verdict, if it has not: something here, not in the kernel, is missing.
pub fn no_verdict(result: &Result<(), Error>) -> Option<String> {
    let failed = match result {
        Err(error) if *error == NO_ML_DSA.into() => ml_dsa::missing(),
        Err(error) if *error == OPENSSL_FAILED.into() => format!(
            "this OpenSSL does not do what is needed for it, which is no fault of the module. {}",
            openssl_cnf()
        ),
        _ => return None,
    };
    Some(format!("cannot be checked: {failed}"))
}

/// The encoded key of the point that P-256 begins with (SEC 2 section 2.4.2).
const SOME_KEY: &[u8] = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\
\x03\x01\x07\x03\x42\x00\x04\x6b\x17\xd1\xf2\xe1\x2c\x42\x47\xf8\xbc\xe6\xe5\x63\xa4\x40\xf2\x77\x03\x7d\x81\
\x2d\xeb\x33\xa0\xf4\xa1\x39\x45\xd8\x98\xc2\x96\x4f\xe3\x42\xe2\xfe\x1a\x7f\x9b\x8e\xe7\xeb\x4a\x7c\x0f\x9e\
\x16\x2b\xce\x33\x57\x6b\x31\x5e\xce\xcb\xb6\x40\x68\x37\xbf\x51\xf5";

/// Sees to it that OpenSSL does by itself what it can, and looks whether it has what nothing goes without: a
/// digest, and a reader of keys.
///
/// # Errors
///
/// If openssl.cnf has taken that away. Each failure of OpenSSL would look like a fault of what it is given.
pub fn ready() -> Result<()> {
    store::forget_preferences();
    let lacks = if hash(MessageDigest::sha512(), b"").is_err() {
        "has no SHA-512"
    } else if PKey::public_key_from_der(SOME_KEY).is_err() {
        "cannot read keys"
    } else {
        return Ok(());
    };
    bail!("this OpenSSL {lacks}. {}", openssl_cnf())
}

/// Why OpenSSL may lack what each has, and how to find out.
pub fn openssl_cnf() -> String {
    let file = match std::env::var_os("OPENSSL_CONF") {
        Some(file) => format!("{} (OPENSSL_CONF)", std::path::Path::new(&file).display()),
        None => "openssl.cnf".to_owned(),
    };
    format!(
        "See what {file} says: it may activate a provider without the default one, ask for approved \
         algorithms without a provider that has them (default_properties = fips=yes), or forbid the \
         digest (crypto-policies). If it works with OPENSSL_CONF=/dev/null, that is it"
    )
}

fn openssl_error(_: ErrorStack) -> PlatformError {
    OPENSSL_FAILED
}

/// How a kernel is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Neither of the two below.
    Permissive,
    /// `CONFIG_MODULE_SIG_FORCE` or `module.sig_enforce=1`.
    Enforcing,
    /// `lockdown=integrity` or more.
    Lockdown,
}

/// What a kernel in this mode does with a file: `"loads"`, `"loads, taints"`, or the name of the
/// error number.
pub fn outcome(checked: &Checked<'_>, mode: Mode) -> &'static str {
    let class = checked.result.map_err(|error| error.class());
    match policy::decide(class, mode == Mode::Enforcing) {
        Decision::Accept => "loads",
        Decision::AskLockdown if mode == Mode::Lockdown => "EPERM",
        Decision::AskLockdown => "loads, taints",
        Decision::Refuse => "EKEYREJECTED",
        Decision::Fail(class) => errno_name(class),
    }
}

/// The name of a class' error number.
pub fn errno_name(class: Class) -> &'static str {
    match class {
        Class::NoData => "ENODATA",
        Class::NoPackage => "ENOPKG",
        Class::NoKey => "ENOKEY",
        Class::BadMessage => "EBADMSG",
        Class::Invalid => "EINVAL",
        Class::TooLarge => "EFBIG",
        Class::MessageSize => "EMSGSIZE",
        Class::Rejected => "EKEYREJECTED",
        Class::Platform(code) if code == -EKEYREJECTED => "EKEYREJECTED",
        Class::Platform(code) if code == -EINVAL => "EINVAL",
        Class::Platform(code) if code == -EKEYREVOKED => "EKEYREVOKED",
        Class::Platform(_) => "an error of OpenSSL",
    }
}
