// SPDX-License-Identifier: GPL-2.0

//! The signature message: a CMS SignedData (RFC 5652 section 5), as far as module signatures have
//! it.
//!
//! Everything borrows from the message. The whole of it is read before any part of it counts.

use core::fmt;

use super::{
    algorithm::{DigestAlgorithm, KeyAlgorithm},
    der::{self, Element, Reader},
    error::Error,
    name, oid,
};

/// How many signers a message may have. The work for a message is bounded by this; the kernel's
/// own tools make one.
pub const MAX_SIGNERS: usize = 8;

/// How long a [`SignerId`] may be, in octets: more than any name and serial number in use (RFC
/// 5280 has 20 octets for the latter), and little enough that looking for it costs nothing.
pub const MAX_SIGNER_ID: usize = 4096;

/// Who signed: the two ways in which a SignerInfo names a certificate (RFC 5652 section 5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignerId<'a> {
    /// By its issuer and its serial number.
    IssuerAndSerial {
        /// Content octets of the issuer's Name (without the header of its SEQUENCE).
        issuer: &'a [u8],
        /// Content octets of the INTEGER.
        serial: &'a [u8],
    },
    /// By its SubjectKeyIdentifier extension (content octets of the OCTET STRING).
    SubjectKeyId(&'a [u8]),
}

impl<'a> SignerId<'a> {
    /// The two halves of the identifier under which the kernel files a key: serial number and
    /// issuer, or the key identifier and nothing (`asymmetric_key_generate_id()`).
    pub fn parts(&self) -> (&'a [u8], &'a [u8]) {
        match *self {
            Self::IssuerAndSerial { issuer, serial } => (serial, issuer),
            Self::SubjectKeyId(id) => (id, &[]),
        }
    }
}

/// For logs: one line, printable ASCII only, of bounded length.
impl fmt::Display for SignerId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::IssuerAndSerial { issuer, serial } => write!(
                f,
                "issuer {} serial {}",
                name::Printable(issuer),
                Hex(serial)
            ),
            Self::SubjectKeyId(id) => write!(f, "key id {}", Hex(id)),
        }
    }
}

/// The first octets in hexadecimal; as many as a serial number may have.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 20;
        for octet in self.0.iter().take(SHOWN) {
            write!(f, "{octet:02x}")?;
        }
        f.write_str(if self.0.len() > SHOWN { "..." } else { "" })
    }
}

/// One signer's part of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignerInfo<'a> {
    /// Who it says has signed.
    pub id: SignerId<'a>,
    /// What the content is digested with.
    pub digest: DigestAlgorithm,
    /// How the digest is signed.
    pub key: KeyAlgorithm,
    /// The signature value.
    pub signature: &'a [u8],
}

/// For logs: the signer and the algorithms.
impl fmt::Display for SignerInfo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, digest) = (self.key.name(), self.digest.name());
        write!(f, "{}, {key}/{digest}", self.id)
    }
}

/// A message that can be a module's signature: detached, over plain data, without signed
/// attributes, every algorithm known, at least one signer.
#[derive(Clone, Copy, Debug)]
pub struct SignedData<'a> {
    /// INVARIANT: the first is `Some`, and after the first `None` comes no `Some`.
    signers: [Option<SignerInfo<'a>>; MAX_SIGNERS],
    has_certificates: bool,
}

impl<'a> SignedData<'a> {
    /// The signers, in the order of the message; at least one.
    pub fn signers(&self) -> impl Iterator<Item = &SignerInfo<'a>> + Clone {
        self.signers.iter().flatten()
    }

    /// Whether the message carries certificates.
    pub fn has_certificates(&self) -> bool {
        self.has_certificates
    }
}

/// What the content of the message claims to be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ContentType {
    Data,
    MsIndirectData,
}

/// Reads a message.
///
/// # Errors
///
/// What is wrong with its form comes first, in the order of its octets. Then, in the order in
/// which C asks: an algorithm that is not known ([`super::Class::NoPackage`], which a permissive
/// kernel lets in), then what a module's signature may not have.
pub fn parse(message: &[u8]) -> Result<SignedData<'_>, Error> {
    let mut outer = Reader::new(message);
    let mut content_info = outer.element(der::SEQUENCE)?.reader();
    outer.finish()?;

    if content_info.oid()? != oid::SIGNED_DATA {
        return Err(Error::NotSignedData);
    }
    let mut explicit = content_info.element(der::context_constructed(0))?.reader();
    content_info.finish()?;
    let mut fields = explicit.element(der::SEQUENCE)?.reader();
    explicit.finish()?;

    let version_at = fields.at();
    let version = match fields.integer()? {
        &[version @ (1 | 3)] => version,
        _ => return Err(Error::UnknownVersion(version_at)),
    };

    // Not used, neither here nor in C: what counts is what each SignerInfo says.
    let mut digests = fields.element(der::SET)?.reader();
    while !digests.is_empty() {
        algorithm(&mut digests)?;
    }

    let (content_type, embedded) = encapsulated_content(&mut fields)?;
    let has_certificates = certificates(&mut fields)?;
    if let Some(revocation_lists) = fields.optional(der::context_constructed(1))? {
        return Err(Error::RevocationList(revocation_lists.at));
    }

    let mut infos = fields.element(der::SET)?.reader();
    fields.finish()?;

    let mut signers = [None; MAX_SIGNERS];
    let mut slots = signers.iter_mut();
    let mut unknown = None;
    let (mut with_attributes, mut without_attributes) = (false, false);
    while !infos.is_empty() {
        let info = signer_info(&mut infos, version)?;
        let slot = slots.next().ok_or(Error::TooManySigners)?;
        match info.known {
            Ok(signer) => *slot = Some(signer),
            Err(error) => unknown = unknown.or(Some(error)),
        }
        with_attributes |= info.signed_attributes;
        without_attributes |= !info.signed_attributes;
    }

    if let Some(error) = unknown {
        return Err(error);
    }
    match (with_attributes, without_attributes) {
        (false, false) => return Err(Error::NoSigner),
        (true, true) => return Err(Error::MixedSignedAttributes),
        _ => {}
    }
    if embedded {
        return Err(Error::EmbeddedContent);
    }
    if content_type != ContentType::Data {
        return Err(Error::NotData);
    }
    if with_attributes {
        return Err(Error::SignedAttributes);
    }
    // INVARIANT: with no unknown algorithm, each signer has filled its slot, from the first on,
    // and there is one, since one was without attributes.
    Ok(SignedData {
        signers,
        has_certificates,
    })
}

/// Reads EncapsulatedContentInfo: the type, and whether there is content.
fn encapsulated_content(fields: &mut Reader<'_>) -> Result<(ContentType, bool), Error> {
    let info = fields.element(der::SEQUENCE)?;
    let mut info = info.reader();
    let at = info.at();
    let content_type = match info.oid()? {
        oid::DATA => ContentType::Data,
        oid::MS_INDIRECT_DATA => ContentType::MsIndirectData,
        _ => return Err(Error::UnknownContentType(at)),
    };
    let embedded = info.optional(der::context_constructed(0))?;
    if let Some(explicit) = embedded {
        let mut explicit = explicit.reader();
        explicit.any()?;
        explicit.finish()?;
    }
    info.finish()?;
    Ok((content_type, embedded.is_some()))
}

/// Skips the certificates; says whether there are any.
fn certificates(fields: &mut Reader<'_>) -> Result<bool, Error> {
    let Some(set) = fields.optional(der::context_constructed(0))? else {
        return Ok(false);
    };
    let mut set = set.reader();
    let any = !set.is_empty();
    while !set.is_empty() {
        set.element(der::SEQUENCE)?;
    }
    Ok(any)
}

/// Reads an AlgorithmIdentifier (RFC 5280 section 4.1.1.2).
fn algorithm<'a>(input: &mut Reader<'a>) -> Result<(&'a [u8], Option<Element<'a>>), Error> {
    let mut fields = input.element(der::SEQUENCE)?.reader();
    let oid = fields.oid()?;
    let parameters = if fields.is_empty() {
        None
    } else {
        Some(fields.any()?)
    };
    fields.finish()?;
    Ok((oid, parameters))
}

/// For algorithms that have no parameters: none, or NULL (RFC 5754 section 2, RFC 8017 A.1).
fn no_parameters(parameters: Option<Element<'_>>) -> Result<(), Error> {
    match parameters {
        None => Ok(()),
        Some(Element {
            tag: der::NULL,
            content: [],
            ..
        }) => Ok(()),
        Some(other) => Err(Error::AlgorithmParameters(other.at)),
    }
}

/// A SignerInfo of which the form is good.
struct ParsedSigner<'a> {
    /// Its contents, or the algorithm that is not known.
    known: Result<SignerInfo<'a>, Error>,
    signed_attributes: bool,
}

/// Reads one SignerInfo of a SignedData of this version.
fn signer_info<'a>(infos: &mut Reader<'a>, message_version: u8) -> Result<ParsedSigner<'a>, Error> {
    let mut fields = infos.element(der::SEQUENCE)?.reader();

    let version_at = fields.at();
    let version = fields.integer()?;
    let id = match (version, message_version) {
        ([1], 1) => issuer_and_serial(&mut fields)?,
        ([3], 3) => subject_key_id(&mut fields)?,
        ([1 | 3], _) => return Err(Error::VersionMismatch(version_at)),
        _ => return Err(Error::UnknownVersion(version_at)),
    };

    let digest_at = fields.at();
    let (digest_oid, digest_parameters) = algorithm(&mut fields)?;
    let signed_attributes = attributes(&mut fields, 0)?;
    let key_at = fields.at();
    let (key_oid, key_parameters) = algorithm(&mut fields)?;
    let signature = fields.element(der::OCTET_STRING)?.content;
    attributes(&mut fields, 1)?;
    fields.finish()?;

    let known = match (
        DigestAlgorithm::from_oid(digest_oid),
        KeyAlgorithm::from_oid(key_oid),
    ) {
        (None, _) => Err(Error::UnknownDigest(digest_at)),
        (_, None) => Err(Error::UnknownKeyAlgorithm(key_at)),
        (Some(digest), Some(key)) => {
            no_parameters(digest_parameters)?;
            // EC-RDSA has parameters of its own, the others have none.
            if key != KeyAlgorithm::Ecrdsa {
                no_parameters(key_parameters)?;
            }
            Ok(SignerInfo {
                id,
                digest,
                key,
                signature,
            })
        }
    };
    Ok(ParsedSigner {
        known,
        signed_attributes,
    })
}

/// Reads IssuerAndSerialNumber.
fn issuer_and_serial<'a>(fields: &mut Reader<'a>) -> Result<SignerId<'a>, Error> {
    let sid = fields.element(der::SEQUENCE)?;
    let at = sid.at;
    let mut sid = sid.reader();
    let issuer = sid.element(der::SEQUENCE)?;
    name::check(issuer.reader())?;
    let serial = sid.integer()?;
    sid.finish()?;
    // A SEQUENCE's length counts its parts, so the sum cannot overflow.
    if issuer.content.len().saturating_add(serial.len()) > MAX_SIGNER_ID {
        return Err(Error::LongSignerId(at));
    }
    Ok(SignerId::IssuerAndSerial {
        issuer: issuer.content,
        serial,
    })
}

/// Reads `[0] IMPLICIT SubjectKeyIdentifier`.
fn subject_key_id<'a>(fields: &mut Reader<'a>) -> Result<SignerId<'a>, Error> {
    let id = fields.element(der::context(0))?;
    match id.content.len() {
        0 => Err(Error::EmptySignerId(id.at)),
        1..=MAX_SIGNER_ID => Ok(SignerId::SubjectKeyId(id.content)),
        _ => Err(Error::LongSignerId(id.at)),
    }
}

/// Skips `[number] IMPLICIT SET OF Attribute`, if it is there; says whether it is.
fn attributes(fields: &mut Reader<'_>, number: u8) -> Result<bool, Error> {
    let Some(set) = fields.optional(der::context_constructed(number))? else {
        return Ok(false);
    };
    let mut set = set.reader();
    while !set.is_empty() {
        let mut attribute = set.element(der::SEQUENCE)?.reader();
        attribute.oid()?;
        let mut values = attribute.element(der::SET)?.reader();
        attribute.finish()?;
        while !values.is_empty() {
            values.any()?;
        }
    }
    Ok(true)
}
