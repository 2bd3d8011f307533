// SPDX-License-Identifier: MIT OR Apache-2.0

//! Signs modules.

use std::{
    collections::BTreeSet,
    num::NonZero,
    sync::{Condvar, Mutex, PoisonError},
};

use anyhow::{bail, ensure, Context, Result};
use modsig::verify::{
    cms, der::Reader, trailer, DigestAlgorithm, Error, Flags, KeyAlgorithm, Tree,
};
use openssl::{
    bn::BigNum,
    ecdsa::EcdsaSig,
    hash::{hash, MessageDigest},
    md::{Md, MdRef},
    nid::Nid,
    x509::X509,
};

use crate::{
    certificate::{key_algorithm, remarks, CertificateIds, SignerIdForm},
    digest::message_digest,
    keys::SigningKey,
    message::{self, SignerParts},
    platform::{kernel_that_trusts, no_verdict, Host},
    recognize::in_place_of_value,
};

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
    /// Certificates that a message carries, encoded one behind the other.
    certificates: Vec<u8>,
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
    /// Joins a key with its certificate, and lets it sign something for a trial.
    ///
    /// # Errors
    ///
    /// If they do not belong together, if no kernel reads the certificate or takes what the key signs, if
    /// the key is none of RSA, EC and ML-DSA, if OpenSSL does not have the digest, or if the certificate
    /// does not have the identifier that is asked for.
    pub fn new(
        key: impl Into<SigningKey>,
        certificate: &X509,
        digest: DigestAlgorithm,
        form: SignerIdForm,
    ) -> Result<Self> {
        let signer = Self::untried(key, certificate, digest, form)?;
        signer.vouched(b"modsig: is this the key of the certificate?")?;
        Ok(signer)
    }

    /// Without a trial, for whoever signs once only, and looks at that ([`Self::vouched`]).
    pub fn untried(
        key: impl Into<SigningKey>,
        certificate: &X509,
        digest: DigestAlgorithm,
        form: SignerIdForm,
    ) -> Result<Self> {
        let key = key.into();
        let (template, hashing) = template(certificate, digest, form)?;
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
            template,
            certificates: vec![],
            kernel,
            warnings,
        };
        let public = certificate.public_key()?;
        ensure!(
            signer.key.is_on_token() || signer.key.is_public_part(&public),
            NOT_TOGETHER
        );
        Ok(signer)
    }

    /// Fails unless a kernel that trusts the certificate loads this file.
    fn vouch(&self, file: &[u8]) -> Result<()> {
        let result = self.kernel.check(file, Flags::default()).result;
        if let Some(reason) = no_verdict(&result) {
            bail!("what this key signs {reason}");
        }
        match result {
            Ok(()) => Ok(()),
            // What a token says of a key need not be so.
            Err(Error::BadSignature) => bail!(NOT_TOGETHER),
            Err(error) => bail!("no kernel takes what this key signs: {error}"),
        }
    }

    /// Has messages carry these certificates, and the signer's own: a kernel that trusts whoever has issued
    /// them then takes what it signs (RFC 5652 section 10.2.3).
    pub fn with_chain(mut self, certificate: &X509, chain: &[X509]) -> Result<Self> {
        let all = [certificate].into_iter().chain(chain);
        let all: Result<BTreeSet<Vec<u8>>, _> = all.map(|one| one.to_der()).collect();
        // DER: a SET OF is in the order of its encodings (X.690 11.6).
        self.certificates = all?.into_iter().flatten().collect();
        Ok(self)
    }

    /// Lets so many threads use a key on a token at a time, not one only. What is digested is
    /// digested by all of them in any case, and keys in files know no limit.
    pub fn with_token_sessions(mut self, sessions: NonZero<usize>) -> Self {
        if self.sessions.is_some() && !self.key.is_single() {
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

    /// What signs, for people.
    pub fn signed_by(&self) -> String {
        self.key.signed_by()
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
        Ok(message::signed_data(
            &[self.parts(content)?],
            &self.certificates,
        ))
    }

    /// Signs, and looks at what was made: the message over `content`, which a kernel takes that trusts the
    /// certificate. For a signer that was not tried ([`Self::untried`]).
    pub fn vouched(&self, content: &[u8]) -> Result<Vec<u8>> {
        let message = self.message(content).context("the key does not sign")?;
        self.vouch(&append(content, &message)?)?;
        Ok(message)
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
        Ok(message::signed_data(&[parts], &self.certificates))
    }

    /// Whether a message is the one that this signer would make over this content: the same identifier of the
    /// certificate, the same algorithms, nothing else in it, and a signature by this key.
    pub fn has_made(&self, content: &[u8], message: &[u8]) -> bool {
        let parsed = cms::parse(message, Tree::NEWEST);
        let Ok(Ok(signed)) = parsed.as_ref().map(cms::Message::signed_data) else {
            return false;
        };
        let parts = self.parts_with(signed.first().signature.to_vec());
        message == message::signed_data(&[parts], &self.certificates)
            && append(content, message).is_ok_and(|file| self.vouch(&file).is_ok())
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
        split.kind == trailer::Kind::Pkcs7 && self.has_made(split.content, split.message)
    }
}

/// A signer's part of a message without the signature value, and how the module is digested.
fn template(
    certificate: &X509,
    digest: DigestAlgorithm,
    form: SignerIdForm,
) -> Result<(SignerParts, Option<Hashing>)> {
    let ids = CertificateIds::new(certificate)?;
    let (version, sid) = ids.sid(form)?;
    let unusable = || format!("{} cannot be used to sign modules here", digest.name());
    let hashed = || hashing(digest).with_context(unusable).map(Some);
    let (algorithm, hashing) = match key_algorithm(&ids.public_key_info) {
        Some(key) if key.is_ml_dsa() => (message::ml_dsa_algorithm(key), None),
        Some(KeyAlgorithm::Rsa) => (Some(message::rsa_algorithm()), hashed()?),
        Some(KeyAlgorithm::Ecdsa) => (message::ecdsa_algorithm(digest), hashed()?),
        _ => {
            let key = certificate.public_key().ok();
            let name = key.and_then(|key| Nid::from_raw(key.id().as_raw()).long_name().ok());
            bail!(
                "{}: no kernel verifies modules with such a key; use RSA, EC (P-256, P-384, P-521) or ML-DSA",
                name.unwrap_or("a kind of key that OpenSSL has no name for")
            )
        }
    };
    let parts = SignerParts {
        version,
        sid,
        digest: message::digest_algorithm(digest).with_context(unusable)?,
        attributes: vec![],
        key: algorithm.with_context(unusable)?,
        signature: vec![],
    };
    Ok((parts, hashing))
}

/// Makes messages of signature values that were made elsewhere, as by a key management service.
pub struct Elsewhere {
    template: SignerParts,
    /// Bytes of a coordinate, with ECDSA.
    coordinate: Option<usize>,
    /// Bytes of a value, with RSA.
    modulus: Option<usize>,
}

impl Elsewhere {
    /// For signatures by this certificate's key over digests of this kind.
    pub fn new(certificate: &X509, digest: DigestAlgorithm, form: SignerIdForm) -> Result<Self> {
        let (template, _) = template(certificate, digest, form)?;
        let key = certificate.public_key()?;
        let ec = key.ec_key().ok();
        let coordinate = ec.map(|key| key.group().degree().div_ceil(8) as usize);
        let modulus = key.rsa().ok().map(|key| key.size() as usize);
        Ok(Elsewhere {
            template,
            coordinate,
            modulus,
        })
    }

    /// The message that a signature value makes. It is not verified, but for what no key like this makes.
    ///
    /// Of ECDSA that is an Ecdsa-Sig-Value (RFC 3279 section 2.2.3), or its two numbers one behind the other,
    /// as some services give them.
    pub fn message(&self, value: &[u8]) -> Result<Vec<u8>> {
        let mut signature = value.to_vec();
        let is_value = match (self.modulus, self.coordinate) {
            (Some(size), _) => value.len() == size,
            (_, Some(size)) => value.len() == 2 * size || EcdsaSig::from_der(value).is_ok(),
            (None, None) => true,
        };
        if !is_value {
            let what = in_place_of_value(value).unwrap_or_else(|| match self.modulus {
                Some(size) => format!(
                    "it has {} bytes, and a value by this RSA key has {size}",
                    value.len()
                ),
                None => "it is neither an ECDSA value in DER nor two numbers of this curve".into(),
            });
            bail!("not a signature value: {what}");
        }
        if let Some(size) = self.coordinate.filter(|&size| value.len() == 2 * size) {
            if Reader::new(value).element(0x30).is_err() {
                let (r, s) = value.split_at(size);
                let [r, s] = [r, s].map(BigNum::from_slice);
                signature = EcdsaSig::from_private_components(r?, s?)?.to_der()?;
            }
        }
        let parts = SignerParts {
            signature,
            ..self.template.clone()
        };
        Ok(message::signed_data(&[parts], &[]))
    }
}

const NOT_TOGETHER: &str = "the key and the certificate do not belong together; give the certificate that was made for this key";

const NO_DIGEST: &str = "ML-DSA signs a module itself, not its digest; sign where the modules are";

/// What OpenSSL needs to know of a digest.
fn hashing(digest: DigestAlgorithm) -> Option<Hashing> {
    let digest = message_digest(digest)?;
    let md = Md::from_nid(digest.type_())?;
    Some(Hashing { digest, md })
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
