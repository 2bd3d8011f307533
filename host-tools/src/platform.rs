// SPDX-License-Identifier: GPL-2.0

//! OpenSSL and some certificates in place of the kernel's crypto API and keyrings: with this, the
//! kernel's own code says what a kernel with these certificates would say.

use anyhow::Result;
use modsig::verify::{
    policy::{self, Decision},
    Checked, Class, Digest, DigestAlgorithm, KeyAlgorithm, Keyring, Platform, PlatformError,
    Signature, SignerId,
};
use openssl::{
    hash::{hash, MessageDigest},
    pkey::{Id, PKey, Public},
    pkey_ctx::PkeyCtx,
    rsa::Padding,
    x509::X509Ref,
};

use crate::signer::{message_digest, CertificateIds};

/// A certificate, filed as the kernel does.
struct Filed {
    ids: [Option<Vec<u8>>; 2],
    key: PKey<Public>,
}

impl Filed {
    fn new(certificate: &X509Ref) -> Result<Self> {
        let ids = CertificateIds::new(certificate)?;
        let by_serial = [ids.serial, ids.issuer].concat();
        Ok(Filed {
            ids: [Some(by_serial), ids.subject_key_id],
            key: certificate.public_key()?,
        })
    }
}

/// A kernel's view of the world: whom it trusts, whom it does not.
#[derive(Default)]
pub struct Host {
    trusted: Vec<Filed>,
    platform: Vec<Filed>,
    revoked: Vec<Filed>,
    blacklisted: Vec<[u8; 32]>,
}

impl Host {
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

    /// Refuses the file that has this SHA-256.
    pub fn blacklist(&mut self, sha256: [u8; 32]) {
        self.blacklisted.push(sha256);
    }
}

fn find<'k>(keys: &'k [Filed], signer: &SignerId<'_>) -> Option<&'k Filed> {
    let (first, second) = signer.parts();
    let wanted = [first, second].concat();
    keys.iter()
        .find(|filed| filed.ids.iter().flatten().any(|id| *id == wanted))
}

impl Platform for Host {
    type Key = PKey<Public>;
    type Hash = (DigestAlgorithm, MessageDigest);

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

    fn is_revoked(&self, signer: &SignerId<'_>) -> Result<bool, PlatformError> {
        Ok(find(&self.revoked, signer).is_some())
    }

    fn find_key(
        &self,
        keyring: Keyring,
        signer: &SignerId<'_>,
    ) -> Result<Option<Self::Key>, PlatformError> {
        let keys = match keyring {
            Keyring::Trusted => &self.trusted,
            Keyring::Platform => &self.platform,
        };
        Ok(find(keys, signer).map(|filed| filed.key.clone()))
    }

    fn verify(&self, key: &Self::Key, signature: &Signature<'_>) -> Result<bool, PlatformError> {
        let Some(digest) = message_digest(signature.digest_algorithm) else {
            return Ok(false);
        };
        let check = || {
            let mut context = PkeyCtx::new(key)?;
            context.verify_init()?;
            match (key.id(), signature.key) {
                (Id::RSA, KeyAlgorithm::Rsa) => context.set_rsa_padding(Padding::PKCS1)?,
                (Id::EC, KeyAlgorithm::Ecdsa) => {}
                _ => return Ok(false),
            }
            context.set_signature_md(
                openssl::md::Md::from_nid(digest.type_())
                    .ok_or_else(openssl::error::ErrorStack::get)?,
            )?;
            context.verify(signature.digest, signature.signature)
        };
        // OpenSSL calls a malformed signature an error.
        Ok(check().unwrap_or(false))
    }

    fn is_blacklisted(&self, file: &[u8]) -> Result<bool, PlatformError> {
        if self.blacklisted.is_empty() {
            return Ok(false);
        }
        let sha256 = hash(MessageDigest::sha256(), file).map_err(openssl_error)?;
        Ok(self.blacklisted.iter().any(|hash| *hash == *sha256))
    }
}

/// OpenSSL has no numbers that mean something outside of it.
fn openssl_error(_: openssl::error::ErrorStack) -> PlatformError {
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
        Class::Rejected => "EKEYREJECTED",
        Class::Platform(_) => "an error of OpenSSL",
    }
}
