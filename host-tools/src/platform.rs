// SPDX-License-Identifier: GPL-2.0

//! OpenSSL and some certificates in place of the kernel's crypto API and keyrings: with this, the
//! kernel's own code says what a kernel with these certificates would say.

use anyhow::Result;
use modsig::verify::{
    cms::Dialect,
    policy::{self, Decision},
    Blacklist, CertificateHash, Checked, Class, Digest, DigestAlgorithm, KeyAlgorithm, KeyId,
    Keyring, Lookup, Platform, PlatformError, PublicKey, Signature, Signed, Tree, Verification,
};
use openssl::{
    error::ErrorStack,
    hash::{hash, MessageDigest},
    md::Md,
    pkey::{Id, PKey, Public},
    pkey_ctx::PkeyCtx,
    rsa::Padding,
    x509::X509Ref,
};

use crate::signer::{message_digest, CertificateIds};

/// A certificate, filed as the kernel does.
struct Filed {
    by_serial: Vec<u8>,
    subject_key_id: Option<Vec<u8>>,
    key: PKey<Public>,
}

impl Filed {
    fn new(certificate: &X509Ref) -> Result<Self> {
        let ids = CertificateIds::new(certificate)?;
        Ok(Filed {
            by_serial: [ids.serial, ids.issuer].concat(),
            subject_key_id: ids.subject_key_id,
            key: certificate.public_key()?,
        })
    }
}

/// A kernel's view of the world: whom it trusts, whom it does not.
pub struct Host {
    tree: Tree,
    trusted: Vec<Filed>,
    platform: Vec<Filed>,
    revoked: Vec<Filed>,
    blacklisted: Vec<[u8; 32]>,
    blacklisted_certificates: Vec<Vec<u8>>,
}

/// The newest kernel there are patches for, and one that asks for blacklisted files as well.
impl Default for Host {
    fn default() -> Self {
        Host::new(Tree {
            dialect: Dialect {
                ml_dsa: true,
                ml_dsa_attributes: true,
            },
            certificate_hash: CertificateHash::Sha256,
            file_hashes: true,
        })
    }
}

impl Host {
    /// A kernel of this kind, which trusts nobody yet.
    pub fn new(tree: Tree) -> Self {
        Host {
            tree,
            trusted: vec![],
            platform: vec![],
            revoked: vec![],
            blacklisted: vec![],
            blacklisted_certificates: vec![],
        }
    }

    /// Trusts a certificate as if it were built in.
    pub fn trust(&mut self, certificate: &X509Ref) -> Result<()> {
        self.trusted.push(Filed::new(certificate)?);
        Ok(())
    }

    /// Trusts a certificate as if it were the firmware's.
    pub fn trust_platform(&mut self, certificate: &X509Ref) -> Result<()> {
        self.platform.push(Filed::new(certificate)?);
        Ok(())
    }

    /// Puts a certificate on the revocation list.
    pub fn revoke(&mut self, certificate: &X509Ref) -> Result<()> {
        self.revoked.push(Filed::new(certificate)?);
        Ok(())
    }

    /// Refuses the certificate whose TBSCertificate has this digest.
    pub fn blacklist_certificate(&mut self, digest: Vec<u8>) {
        self.blacklisted_certificates.push(digest);
    }

    /// Refuses the file that has this SHA-256.
    pub fn blacklist(&mut self, sha256: [u8; 32]) {
        self.blacklisted.push(sha256);
    }
}

/// Whether two identifiers are one: the kernel knows them as strings of octets.
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

impl Platform for Host {
    type Key = PKey<Public>;
    type Hash = (DigestAlgorithm, MessageDigest);

    fn tree(&self) -> Tree {
        self.tree
    }

    fn hash(&self, algorithm: DigestAlgorithm) -> Result<Option<Self::Hash>, PlatformError> {
        Ok(message_digest(algorithm).map(|digest| (algorithm, digest)))
    }

    fn digest(
        &self,
        &(algorithm, digest): &Self::Hash,
        content: &[u8],
    ) -> Result<Digest, PlatformError> {
        let octets = hash(digest, content).map_err(openssl_error)?;
        Digest::fill_with(algorithm, |buffer| {
            buffer[..octets.len()].copy_from_slice(&octets);
            Ok(())
        })
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
            Lookup::Unknown => Lookup::Unknown,
            Lookup::Mismatch => Lookup::Mismatch,
        })
    }

    fn verify(&self, key: &Self::Key, signature: &Signature<'_>) -> Result<bool, PlatformError> {
        // OpenSSL calls a malformed signature an error.
        Ok(verify(key, signature).unwrap_or(false))
    }

    fn verify_with(
        &self,
        key: &PublicKey<'_>,
        signature: &Signature<'_>,
    ) -> Result<Verification, PlatformError> {
        let good = PKey::public_key_from_der(key.info)
            .and_then(|key| verify(&key, signature))
            .unwrap_or(false);
        Ok(if good {
            Verification::Good
        } else {
            Verification::Bad(-EKEYREJECTED)
        })
    }

    fn is_blacklisted(&self, what: Blacklist, digest: &Digest) -> Result<bool, PlatformError> {
        let digest = digest.as_bytes();
        Ok(match what {
            Blacklist::Certificate => self.blacklisted_certificates.iter().any(|d| d == digest),
            Blacklist::File => self.blacklisted.iter().any(|d| d == digest),
        })
    }
}

/// What the kernel answers where a signature does not verify (asm-generic/errno.h).
const EKEYREJECTED: i32 = 129;

/// Whether a key has made a signature.
fn verify(key: &PKey<Public>, signature: &Signature<'_>) -> Result<bool, ErrorStack> {
    let (algorithm, octets) = match signature.signed {
        Signed::Digest { algorithm, octets } => (algorithm, octets),
        // For ML-DSA, which this OpenSSL does not have.
        Signed::Data(_) | Signed::Attributes { .. } => return Ok(false),
    };
    let Some(digest) = message_digest(algorithm) else {
        return Ok(false);
    };
    let mut context = PkeyCtx::new(key)?;
    context.verify_init()?;
    match (key.id(), signature.key) {
        (Id::RSA, KeyAlgorithm::Rsa) => context.set_rsa_padding(Padding::PKCS1)?,
        (Id::EC, KeyAlgorithm::Ecdsa) => {}
        _ => return Ok(false),
    }
    context.set_signature_md(Md::from_nid(digest.type_()).ok_or_else(ErrorStack::get)?)?;
    context.verify(octets, signature.value)
}

/// OpenSSL has no numbers that mean something outside of it.
fn openssl_error(_: ErrorStack) -> PlatformError {
    PlatformError(-1)
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
        Class::Platform(_) => "an error of OpenSSL",
    }
}
