// SPDX-License-Identifier: GPL-2.0

//! Signs modules.

use anyhow::{bail, ensure, Context, Result};
use modsig::verify::{der::Reader, trailer, DigestAlgorithm, KeyAlgorithm};
use openssl::{
    hash::MessageDigest,
    pkey::{Id, PKey, Private},
    sign,
    x509::{X509Ref, X509},
};

use crate::message::{self, SignerParts};

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
    /// Content octets of the serial number.
    pub serial: Vec<u8>,
    /// Content octets of the issuer's Name.
    pub issuer: Vec<u8>,
    /// Content octets of the SubjectKeyIdentifier.
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

/// A key with its certificate, ready to sign.
pub struct Signer {
    key: PKey<Private>,
    digest: DigestAlgorithm,
    /// What is signed; `None` with ML-DSA, which signs the content itself.
    message_digest: Option<MessageDigest>,
    template: SignerParts,
}

impl Signer {
    /// Joins a key with its certificate.
    ///
    /// # Errors
    ///
    /// If they do not belong together, if the key is none of RSA, EC and ML-DSA, if OpenSSL does not
    /// have the digest, or if the certificate does not have the identifier that is asked for.
    pub fn new(
        key: PKey<Private>,
        certificate: &X509,
        digest: DigestAlgorithm,
        form: SignerIdForm,
    ) -> Result<Self> {
        ensure!(
            certificate.public_key()?.public_eq(&key),
            "the key and the certificate do not belong together; give the certificate that was made for this key"
        );
        let ids = CertificateIds::new(certificate)?;
        let (version, sid) = ids.sid(form)?;
        let unusable = || format!("{} cannot be used to sign modules here", digest.name());
        let digested = || message_digest(digest).with_context(unusable).map(Some);
        let (algorithm, message_digest) = match (key_algorithm(&ids.public_key_info), key.id()) {
            (Some(key), _) if key.is_ml_dsa() => (message::ml_dsa_algorithm(key), None),
            (_, Id::RSA) => (Some(message::rsa_algorithm()), digested()?),
            (_, Id::EC) => (message::ecdsa_algorithm(digest), digested()?),
            (_, other) => {
                bail!("keys of type {other:?} cannot sign modules; use RSA, EC or ML-DSA")
            }
        };
        Ok(Signer {
            key,
            digest,
            message_digest,
            template: SignerParts {
                version,
                sid,
                digest: message::digest_algorithm(digest).with_context(unusable)?,
                attributes: vec![],
                key: algorithm.with_context(unusable)?,
                signature: vec![],
            },
        })
    }

    /// The digest that is signed; with ML-DSA only a name in the message.
    pub fn digest(&self) -> DigestAlgorithm {
        self.digest
    }

    /// Signs: this signer's part of a message over `content`.
    pub fn parts(&self, content: &[u8]) -> Result<SignerParts> {
        let mut signer = match self.message_digest {
            Some(digest) => sign::Signer::new(digest, &self.key)?,
            None => sign::Signer::new_without_digest(&self.key)?,
        };
        Ok(SignerParts {
            signature: signer.sign_oneshot_to_vec(content)?,
            ..self.template.clone()
        })
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
