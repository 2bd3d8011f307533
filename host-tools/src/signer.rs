// SPDX-License-Identifier: GPL-2.0

//! Signs modules.

use std::{
    num::NonZero,
    sync::{Condvar, Mutex, PoisonError},
};

use anyhow::{bail, ensure, Context, Result};
use modsig::verify::{
    cms, der::Reader, trailer, CertificateHash, DigestAlgorithm, Flags, KeyAlgorithm, SignerId,
    Tree,
};
use openssl::{
    asn1::Asn1Time,
    hash::{hash, MessageDigest},
    md::{Md, MdRef},
    pkey::Id,
    pkey_ctx::PkeyCtx,
    rsa::Padding,
    x509::{X509KeyUsage, X509Ref, X509},
};

use crate::{
    keys::SigningKey,
    message::{self, SignerParts},
    platform::Host,
    store,
};

/// How a signature names its signer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignerIdForm {
    /// By the certificate's issuer and serial number, as `sign-file` does.
    IssuerAndSerial,
    /// By the certificate's SubjectKeyIdentifier, as `sign-file -k` does.
    SubjectKeyId,
}

/// The parts of a certificate under which a kernel files its key.
#[derive(Clone, Debug)]
pub struct CertificateIds {
    /// Content bytes of the serial number.
    pub serial: Vec<u8>,
    /// Content bytes of the issuer's Name.
    pub issuer: Vec<u8>,
    /// Content bytes of the SubjectKeyIdentifier.
    pub subject_key_id: Option<Vec<u8>>,
    /// The encoded SubjectPublicKeyInfo.
    pub public_key_info: Vec<u8>,
}

/// What an encoded SubjectPublicKeyInfo is the key for, if modules are signed with it.
pub fn key_algorithm(public_key_info: &[u8]) -> Option<KeyAlgorithm> {
    const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
    let mut info = Reader::new(public_key_info).element(0x30).ok()?.reader();
    match info.element(0x30).ok()?.reader().oid().ok()? {
        EC_PUBLIC_KEY => Some(KeyAlgorithm::Ecdsa),
        // RSA and ML-DSA have one identifier for keys and signatures.
        other => KeyAlgorithm::from_oid(other),
    }
}

impl CertificateIds {
    /// Reads them from a certificate (RFC 5280 section 4.1).
    pub fn new(certificate: &X509Ref) -> Result<Self> {
        let der = certificate.to_der()?;
        let read = || {
            let mut tbs = Reader::new(&der)
                .element(0x30)?
                .reader()
                .element(0x30)?
                .reader();
            tbs.optional(0xa0)?;
            let serial = tbs.integer()?;
            tbs.element(0x30)?;
            let issuer = tbs.element(0x30)?.content;
            // Validity and subject.
            tbs.element(0x30)?;
            tbs.element(0x30)?;
            let info = tbs.element(0x30)?.whole;
            Ok((serial.to_vec(), issuer.to_vec(), info.to_vec()))
        };
        let (serial, issuer, public_key_info) =
            read().map_err(|error: modsig::verify::Error| {
                anyhow::anyhow!("certificate cannot be read: {error}")
            })?;
        Ok(CertificateIds {
            serial,
            issuer,
            subject_key_id: certificate
                .subject_key_id()
                .map(|id| id.as_slice().to_vec()),
            public_key_info,
        })
    }

    /// Whether this is who a signature names.
    pub fn are_of(&self, id: &SignerId<'_>) -> bool {
        match *id {
            SignerId::IssuerAndSerial { issuer, serial } => {
                (issuer, serial) == (&self.issuer, &self.serial)
            }
            SignerId::SubjectKeyId(id) => self.subject_key_id.as_deref() == Some(id),
        }
    }

    /// The encoded SignerIdentifier, and the version that goes with it.
    pub fn sid(&self, form: SignerIdForm) -> Result<(u8, Vec<u8>)> {
        match form {
            SignerIdForm::IssuerAndSerial => {
                let issuer = message::tlv(0x30, &self.issuer);
                let serial = message::tlv(0x02, &self.serial);
                Ok((1, message::sequence(&[&issuer, &serial])))
            }
            SignerIdForm::SubjectKeyId => {
                let id = self.subject_key_id.as_ref().context(
                    "the certificate has no SubjectKeyIdentifier; sign without --keyid, or make one that has",
                )?;
                Ok((3, message::tlv(0x80, id)))
            }
        }
    }
}

/// Finds a digest by the name that the kernel has for it.
pub fn digest_by_name(name: &str) -> Result<DigestAlgorithm> {
    use DigestAlgorithm::*;
    let all = [
        Sha1, Sha224, Sha256, Sha384, Sha512, Sha3_256, Sha3_384, Sha3_512,
    ];
    all.into_iter()
        .find(|digest| digest.name() == name)
        .with_context(|| {
            let names: Vec<_> = all.iter().map(|digest| digest.name()).collect();
            format!(
                "unknown digest algorithm {name:?}; known are {}",
                names.join(", ")
            )
        })
}

/// OpenSSL's implementation of a digest, if it has one.
pub fn message_digest(digest: DigestAlgorithm) -> Option<MessageDigest> {
    MessageDigest::from_name(digest.name())
}

/// A key with its certificate, ready to sign; threads may share it.
///
/// Modules are digested here and only the digest goes to the key, so that a token never sees a
/// module.
pub struct Signer {
    key: SigningKey,
    /// How many may use the key at a time.
    sessions: Option<Sessions>,
    digest: DigestAlgorithm,
    /// What is signed; `None` with ML-DSA, which signs the content itself.
    hashing: Option<Hashing>,
    template: SignerParts,
    /// A kernel that trusts nobody but the certificate.
    kernel: Host,
    warnings: Vec<String>,
}

/// One digest algorithm, as OpenSSL names it in two places.
#[derive(Clone, Copy)]
struct Hashing {
    digest: MessageDigest,
    md: &'static MdRef,
}

impl Signer {
    /// Joins a key with its certificate. A key on a token signs something for a trial.
    ///
    /// # Errors
    ///
    /// If they do not belong together, if the key is none of RSA, EC and ML-DSA, if OpenSSL does not
    /// have the digest, or if the certificate does not have the identifier that is asked for.
    pub fn new(
        key: impl Into<SigningKey>,
        certificate: &X509,
        digest: DigestAlgorithm,
        form: SignerIdForm,
    ) -> Result<Self> {
        let key = key.into();
        let ids = CertificateIds::new(certificate)?;
        let (version, sid) = ids.sid(form)?;
        let unusable = || format!("{} cannot be used to sign modules here", digest.name());
        let hashed = || hashing(digest).with_context(unusable).map(Some);
        let (algorithm, hashing) = match (key_algorithm(&ids.public_key_info), key.id()) {
            (Some(key), _) if key.is_ml_dsa() => (message::ml_dsa_algorithm(key), None),
            (_, Id::RSA) => (Some(message::rsa_algorithm()), hashed()?),
            (_, Id::EC) => (message::ecdsa_algorithm(digest), hashed()?),
            (_, other) => {
                bail!("keys of type {other:?} cannot sign modules; use RSA, EC or ML-DSA")
            }
        };
        let kernel = kernel_that_trusts(certificate)?;
        let mut warnings = key.warnings().to_vec();
        warnings.extend(remarks(certificate)?);
        let signer = Signer {
            sessions: key
                .is_on_token()
                .then(|| Sessions::new(NonZero::<usize>::MIN)),
            key,
            digest,
            hashing,
            template: SignerParts {
                version,
                sid,
                digest: message::digest_algorithm(digest).with_context(unusable)?,
                attributes: vec![],
                key: algorithm.with_context(unusable)?,
                signature: vec![],
            },
            kernel,
            warnings,
        };
        ensure!(
            signer.belongs_to(certificate)?,
            "the key and the certificate do not belong together; give the certificate that was made for this key"
        );
        Ok(signer)
    }

    /// Whether the certificate is the key's. What a token says of a key need not be so, and it may
    /// not let it sign: it has to show.
    fn belongs_to(&self, certificate: &X509) -> Result<bool> {
        let public = certificate.public_key()?;
        let Some(hashing) = self.hashing.filter(|_| self.key.is_on_token()) else {
            return Ok(self.key.is_public_part(&public));
        };
        if self.key.id() != public.id() {
            return Ok(false);
        }
        let digest = self.digest_of(b"modsig: is this the key of the certificate?")?;
        let signature = self.sign_digest(hashing, &digest)?;
        let mut context = PkeyCtx::new(&public)?;
        context.verify_init()?;
        if public.id() == Id::RSA {
            context.set_rsa_padding(Padding::PKCS1)?;
        }
        context.set_signature_md(hashing.md)?;
        Ok(context.verify(&digest, &signature).unwrap_or(false))
    }

    /// Lets so many threads use a key on a token at a time, not one only. What is digested is
    /// digested by all of them in any case, and keys in files know no limit.
    pub fn with_token_sessions(mut self, sessions: NonZero<usize>) -> Self {
        if self.sessions.is_some() {
            self.sessions = Some(Sessions::new(sessions));
        }
        self
    }

    /// The digest that is signed; with ML-DSA only a name in the message.
    pub fn digest(&self) -> DigestAlgorithm {
        self.digest
    }

    /// What a person should know before this key signs: each of the certificate is nothing that a
    /// kernel would mind.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Digests content, as it is signed.
    ///
    /// # Errors
    ///
    /// With ML-DSA, which signs the content itself.
    pub fn digest_of(&self, content: &[u8]) -> Result<Vec<u8>> {
        let hashing = self.hashing.context(NO_DIGEST)?;
        Ok(hash(hashing.digest, content)?.to_vec())
    }

    fn sign_digest(&self, hashing: Hashing, digest: &[u8]) -> Result<Vec<u8>> {
        let _session = self.sessions.as_ref().map(Sessions::take);
        self.key.sign_digest(hashing.md, digest)
    }

    /// Signs: this signer's part of a message over `content`.
    pub fn parts(&self, content: &[u8]) -> Result<SignerParts> {
        Ok(self.parts_with(match self.hashing {
            Some(hashing) => self.sign_digest(hashing, &self.digest_of(content)?)?,
            None => self.key.sign_content(content)?,
        }))
    }

    /// This signer's part of a message with a signature value that was made elsewhere.
    pub fn parts_with(&self, signature: Vec<u8>) -> SignerParts {
        SignerParts {
            signature,
            ..self.template.clone()
        }
    }

    /// Signs: the whole message over `content`.
    pub fn message(&self, content: &[u8]) -> Result<Vec<u8>> {
        Ok(message::signed_data(&[self.parts(content)?], &[]))
    }

    /// Signs: the whole message over content that has this digest ([`Self::digest_of`]).
    ///
    /// # Errors
    ///
    /// If this is not as long as a digest is; and with ML-DSA, which signs the content itself.
    pub fn message_over(&self, digest: &[u8]) -> Result<Vec<u8>> {
        let hashing = self.hashing.context(NO_DIGEST)?;
        ensure!(
            digest.len() == hashing.digest.size(),
            "{} bytes are not a digest of {}",
            digest.len(),
            self.digest.name()
        );
        let parts = self.parts_with(self.sign_digest(hashing, digest)?);
        Ok(message::signed_data(&[parts], &[]))
    }

    /// Whether a file ends with the one signature that this signer would put there: the same
    /// identifier of the certificate, the same algorithms, nothing else in the message, and made by
    /// this key over this module, so that a kernel that trusts the certificate loads it.
    pub fn has_signed(&self, file: &[u8]) -> bool {
        let Ok(split) = trailer::split(file) else {
            return false;
        };
        if trailer::split(split.content).is_ok() {
            return false;
        }
        let parsed = cms::parse(split.message, Tree::NEWEST);
        let Ok(Ok(message)) = parsed.as_ref().map(cms::Message::signed_data) else {
            return false;
        };
        let parts = self.parts_with(message.first().signature.to_vec());
        split.message == message::signed_data(&[parts], &[])
            && self.kernel.check(file, Flags::default()).result.is_ok()
    }
}

const NO_DIGEST: &str = "ML-DSA signs a module itself, not its digest; sign where the modules are";

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

/// What OpenSSL needs to know of a digest.
fn hashing(digest: DigestAlgorithm) -> Option<Hashing> {
    let digest = message_digest(digest)?;
    let md = Md::from_nid(digest.type_())?;
    Some(Hashing { digest, md })
}

/// What is odd about a certificate that signs modules, and how little a kernel cares.
fn remarks(certificate: &X509) -> Result<Vec<String>> {
    const LOADS: &str = "a kernel does not mind, and loads what it signs";
    let now = Asn1Time::days_from_now(0)?;
    let mut remarks = vec![];
    if certificate.not_after() < now {
        let end = certificate.not_after();
        remarks.push(format!("the certificate has expired on {end}; {LOADS}"));
    }
    if certificate.not_before() > now {
        let start = certificate.not_before();
        remarks.push(format!(
            "the certificate is not valid before {start}; {LOADS}"
        ));
    }
    let usage = certificate.key_usage();
    if usage.is_some_and(|usage| !usage.contains(X509KeyUsage::DIGITAL_SIGNATURE)) {
        remarks.push(format!(
            "the certificate's key usage lacks digitalSignature; {LOADS}"
        ));
    }
    if store::is_authority(certificate) {
        remarks.push(format!(
            "the certificate is a certification authority's, whose key can make other signers as \
             well; {LOADS}"
        ));
    }
    Ok(remarks)
}

/// How many may do something at a time.
struct Sessions {
    free: Mutex<usize>,
    returned: Condvar,
}

impl Sessions {
    fn new(count: NonZero<usize>) -> Self {
        Sessions {
            free: Mutex::new(count.get()),
            returned: Condvar::new(),
        }
    }

    /// Waits for one, which comes back when the answer is dropped.
    fn take(&self) -> Session<'_> {
        // Nothing is left half done by whoever panics.
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.returned.wait_while(free, |free| *free == 0);
        *waited.unwrap_or_else(PoisonError::into_inner) -= 1;
        Session(self)
    }
}

struct Session<'a>(&'a Sessions);

impl Drop for Session<'_> {
    fn drop(&mut self) {
        let free = self.0.free.lock();
        *free.unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.returned.notify_one();
    }
}

/// The file that a module and its signature message make.
pub fn append(content: &[u8], message: &[u8]) -> Result<Vec<u8>> {
    let length = u32::try_from(message.len()).context("the signature is larger than 4 GiB")?;
    Ok([content, message, &message::trailer(length)].concat())
}

/// Takes signatures off a file: all that stand at its end, for a file may have been signed twice.
/// Returns the module and how many there were.
///
/// What is no well-formed trailer is left alone: it may be part of the module.
pub fn strip(file: &[u8]) -> (&[u8], usize) {
    let mut rest = file;
    let mut count = 0;
    while let Ok(split) = trailer::split(rest) {
        rest = split.content;
        count += 1;
    }
    (rest, count)
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            atomic::{AtomicUsize, Ordering::SeqCst},
            Barrier,
        },
        thread,
    };

    use super::*;

    /// The most that had a session at the same time, of eight threads that want one often.
    fn most_at_once(sessions: usize) -> usize {
        let sessions = Sessions::new(NonZero::new(sessions).unwrap());
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let all_there = Barrier::new(8);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    all_there.wait();
                    for _ in 0..200 {
                        let _session = sessions.take();
                        most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
                        thread::yield_now();
                        now.fetch_sub(1, SeqCst);
                    }
                });
            }
        });
        most.into_inner()
    }

    #[test]
    fn no_more_sessions_than_allowed() {
        assert_eq!(most_at_once(1), 1);
        assert!(most_at_once(3) <= 3);
    }
}
