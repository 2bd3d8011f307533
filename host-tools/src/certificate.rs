// SPDX-License-Identifier: MIT OR Apache-2.0

//! Certificates: under what a kernel files one, and whether it reads it at all. What OpenSSL reads is
//! more.

use anyhow::{anyhow, ensure, Context, Result};
use modsig::verify::{
    der::Reader,
    x509::{self, Certificate},
    KeyAlgorithm, PublicKeyAlgorithm, SignerId, SignerInfo, Tree,
};
use openssl::{
    asn1::Asn1Time,
    hash::hash,
    nid::Nid,
    pkey::{Id, PKeyRef, Public},
    x509::{X509KeyUsage, X509Name, X509NameRef, X509Ref},
};

use crate::{
    digest::{message_digest, verify_digest},
    message,
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

/// Fails if no kernel that is like this tree reads a certificate, so that it is in no keyring:
/// `x509_key_preparse()` of crypto/asymmetric_keys/x509_public_key.c.
pub fn readable(certificate: &X509Ref, tree: Tree) -> Result<()> {
    let der = certificate.to_der()?;
    let read = || {
        let whole = Reader::new(&der).any()?;
        x509::parse(&whole, tree.ml_dsa)
    };
    let unread = |why: String| anyhow!("no kernel takes this certificate into a keyring: {why}");
    let parsed = read().map_err(|error: modsig::verify::Error| unread(error.to_string()))?;
    let key = certificate.public_key();
    usable(&parsed, key.as_deref().ok()).map_err(|error| unread(error.to_string()))?;
    ensure!(
        !is_self_signed(&parsed) || is_good(&parsed, key.as_deref().ok()),
        unread("it is signed by itself, and the signature is wrong".into())
    );
    Ok(())
}

/// Fails for a key that the kernel's crypto API does not take.
fn usable(certificate: &Certificate<'_>, key: Option<&PKeyRef<Public>>) -> Result<()> {
    use PublicKeyAlgorithm::*;
    let point = |bytes: usize| {
        // crypto/ecdsa.c: a point that is not compressed, of two coordinates.
        let size = 1 + 2 * bytes;
        ensure!(
            certificate.key.octets.first() == Some(&4) && certificate.key.octets.len() == size,
            "its point is compressed, which kernels do not read; make the key again without conv_form"
        );
        Ok(())
    };
    match certificate.key.algorithm {
        EcdsaP192 => point(24),
        EcdsaP256 => point(32),
        EcdsaP384 => point(48),
        EcdsaP521 => point(66),
        Rsa => {
            // crypto/rsa.c, rsa_check_key_length().
            const SIZES: [u32; 6] = [512, 1024, 1536, 2048, 3072, 4096];
            let bits = key.map_or(0, |key| key.bits());
            ensure!(
                SIZES.contains(&bits),
                "its RSA key has {bits} bits, and kernels take 2048, 3072 and 4096"
            );
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Whether the kernel takes it for a certificate that has signed itself: `x509_check_for_self_signed()`
/// of the same file.
fn is_self_signed(certificate: &Certificate<'_>) -> bool {
    let names_itself = [
        certificate.authority.map(|id| id == certificate.id),
        certificate
            .authority_key_id
            .map(|id| certificate.subject_key_id.is_some_and(|own| own == id)),
    ];
    certificate.subject == certificate.issuer
        && (names_itself == [None, None] || names_itself.contains(&Some(true)))
}

/// Whether a certificate's signature is its own key's. Of an algorithm that is not known here, too.
fn is_good(certificate: &Certificate<'_>, key: Option<&PKeyRef<Public>>) -> bool {
    let digest = certificate.algorithm.digest.and_then(|algorithm| {
        let digest = hash(message_digest(algorithm)?, certificate.tbs).ok()?;
        Some((algorithm, digest))
    });
    match (key, digest) {
        (Some(key), Some((algorithm, digest))) if matches!(key.id(), Id::RSA | Id::EC) => {
            verify_digest(key, algorithm, &digest, certificate.signature).unwrap_or(true)
        }
        _ => true,
    }
}

/// A Name as people read it; nothing in it can move a terminal's cursor.
pub fn name(name: &X509NameRef) -> String {
    let mut parts = vec![];
    for entry in name.entries() {
        let kind = entry.object().nid().short_name().unwrap_or("?");
        let value = match entry.data().to_string() {
            Ok(value) => value,
            Err(_) => String::from_utf8_lossy(entry.data().as_slice()).into_owned(),
        };
        let value = value.chars().map(|character| match character {
            control if control.is_control() => '?',
            other => other,
        });
        parts.push(format!("{kind}={}", value.collect::<String>()));
    }
    parts.join(", ")
}

/// A signer as people read it. The kernel's own text has ASCII only, of the common name only.
pub fn shown(signer: &SignerInfo<'_>) -> String {
    shown_by_name(&signer.to_string(), &signer.id)
}

/// The same of an identifier.
pub fn shown_id(id: &SignerId<'_>) -> String {
    shown_by_name(&id.to_string(), id)
}

fn shown_by_name(text: &str, id: &SignerId<'_>) -> String {
    let SignerId::IssuerAndSerial { issuer, .. } = id else {
        return text.to_owned();
    };
    let issuer = X509Name::from_der(&message::tlv(0x30, issuer)).ok();
    let is_plain = |issuer: &X509Name| {
        let mut names = issuer.entries_by_nid(Nid::COMMONNAME);
        names.next().is_some_and(|name| {
            let text = name.data().to_string();
            text.is_ok_and(|text| text.is_ascii())
        })
    };
    let serial = text.rfind(" serial ").unwrap_or(text.len());
    match issuer.filter(|issuer| !is_plain(issuer)) {
        Some(issuer) => format!("issuer \"{}\"{}", name(&issuer), &text[serial..]),
        None => text.to_owned(),
    }
}

/// Whether a certificate is one of a certification authority (basic constraints), as the kernel reads it.
pub fn is_authority(certificate: &X509Ref) -> bool {
    const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
    let Ok(der) = certificate.to_der() else {
        return false;
    };
    extension(&der, BASIC_CONSTRAINTS)
        .and_then(|content| Reader::new(content).element(0x30).ok())
        .is_some_and(|constraints| constraints.reader().boolean().unwrap_or(false))
}

/// The content of an extension, by the content bytes of its identifier.
pub fn extension<'a>(der: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    let certificate = Reader::new(der).element(0x30).ok()?;
    let mut tbs = certificate.reader().element(0x30).ok()?.reader();
    while !tbs.is_empty() {
        let field = tbs.any().ok()?;
        if field.tag != 0xa3 {
            continue;
        }
        let mut all = field.reader().element(0x30).ok()?.reader();
        while !all.is_empty() {
            let mut one = all.element(0x30).ok()?.reader();
            if one.oid().ok()? == wanted {
                one.optional(0x01).ok()?;
                return Some(one.element(0x04).ok()?.content);
            }
        }
    }
    None
}

/// What is odd about a certificate that signs modules, and how little a kernel cares.
pub(crate) fn remarks(certificate: &X509Ref) -> Result<Vec<String>> {
    const LOADS: &str = "the kernel ignores this and loads what it signs";
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
    if is_authority(certificate) {
        remarks.push(format!(
            "the certificate is a certification authority's, whose key can make other signers as \
             well; {LOADS}"
        ));
    }
    Ok(remarks)
}
