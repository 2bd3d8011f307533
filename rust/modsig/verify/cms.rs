// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The signature message: a CMS SignedData (RFC 5652 section 5), as far as module signatures have
//! it.
//!
//! Everything borrows from the message. The whole of it is read before any part of it counts.

// series: cut
use core::fmt;
// series: end

use super::{
    algorithm::{DigestAlgorithm, KeyAlgorithm},
    der::{self, Element, Reader},
    error::{Class, Error},
    name, oid,
    time::{self, Seconds},
    x509, Tree,
};

/// How many signers a message may have. The work for a message is bounded by this; the kernel's
/// own tools make one.
pub const MAX_SIGNERS: usize = 8;

/// How many certificates a message may have. The kernel's own tools add none; a chain has two or
/// three.
pub const MAX_CERTIFICATES: usize = 16;

/// How long a message may be, in bytes: C's decoder takes no longer ones.
pub const MAX_MESSAGE: usize = 65535;

/// How long a [`SignerId`] may be, in bytes: more than any name and serial number in use (RFC
/// 5280 has 20 bytes for the latter), and little enough that looking for it costs nothing.
pub const MAX_SIGNER_ID: usize = 4096;

/// The identifier under which the kernel files a key: issuer and serial number of its
/// certificate, or its SubjectKeyIdentifier. The kernel knows it as one string of bytes
/// (`asymmetric_key_generate_id()`), of which these are the two halves: serial number and issuer,
/// or the key identifier and nothing.
#[derive(Clone, Copy, Debug)]
pub struct KeyId<'a>(pub &'a [u8], pub &'a [u8]);

/// As the kernel compares them: the bytes count, not what they are the halves of.
impl PartialEq for KeyId<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0
            .iter()
            .chain(self.1)
            .eq(other.0.iter().chain(other.1))
    }
}

impl Eq for KeyId<'_> {}

/// Who signed: the two ways in which a SignerInfo names a certificate (RFC 5652 section 5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignerId<'a> {
    /// By its issuer and its serial number.
    IssuerAndSerial {
        /// Content bytes of the issuer's Name (without the header of its SEQUENCE).
        issuer: &'a [u8],
        /// Content bytes of the INTEGER.
        serial: &'a [u8],
    },
    /// By its SubjectKeyIdentifier extension (content bytes of the OCTET STRING).
    SubjectKeyId(&'a [u8]),
}

impl<'a> SignerId<'a> {
    /// The identifier of the signer's key.
    pub fn key_id(&self) -> KeyId<'a> {
        match *self {
            Self::IssuerAndSerial { issuer, serial } => KeyId(serial, issuer),
            Self::SubjectKeyId(id) => KeyId(id, &[]),
        }
    }
}

// series: cut
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

/// The first bytes in hexadecimal; as many as a serial number may have.
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
// series: end

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
    /// The signed attributes, if there are any.
    pub attributes: Option<SignedAttributes<'a>>,
}

/// Signed attributes (RFC 5652 section 5.3): if there are any, they are what is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedAttributes<'a> {
    /// What is signed, less its first byte: that one is the tag of a SET OF (0x31), where the
    /// message has a tag of its own.
    pub after_tag: &'a [u8],
    /// The digest of the content.
    pub message_digest: &'a [u8],
    /// When the signer says it was.
    pub signing_time: Option<Seconds>,
}

// series: cut
/// For logs: the signer and the algorithms.
impl fmt::Display for SignerInfo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, digest) = (self.key.name(), self.digest.name());
        write!(f, "{}, {key}/{digest}", self.id)
    }
}
// series: end

/// A message.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    certificates: Certificates<'a>,
    signed_data: Result<SignedData<'a>, Error>,
}

/// A message that can be a module's signature: detached, over plain data, every algorithm known,
/// at least one signer, and signed attributes for all or none.
#[derive(Clone, Copy, Debug)]
pub struct SignedData<'a> {
    first: SignerInfo<'a>,
    /// INVARIANT: holds SignerInfos of this grammar only, all of them with known algorithms, and
    /// less than [`MAX_SIGNERS`].
    others: Reader<'a>,
    grammar: Grammar,
}

impl<'a> SignedData<'a> {
    // series: cut
    /// The signer that comes first in the message.
    pub fn first(&self) -> &SignerInfo<'a> {
        &self.first
    }
    // series: end

    /// One signer, by its place in the message.
    ///
    /// Few messages have more than one, and a kernel's stack is small: those behind the first are
    /// read again.
    pub fn signer(&self, index: usize) -> Option<SignerInfo<'a>> {
        let Some(before) = index.checked_sub(1) else {
            return Some(self.first);
        };
        let mut others = self.others;
        for _ in 0..before {
            others.any().ok()?;
        }
        signer_info(&mut others, self.grammar).ok()?.known.ok()
    }

    // series: cut
    /// The signers, in the order of the message; at least one.
    pub fn signers(&self) -> impl Iterator<Item = SignerInfo<'a>> + '_ {
        (0..MAX_SIGNERS).map_while(|index| self.signer(index))
    }
    // series: end
}

/// The certificates of a message, in its order.
#[derive(Clone, Copy, Debug)]
pub struct Certificates<'a> {
    /// INVARIANT: holds elements only, of which there are at most [`MAX_CERTIFICATES`].
    set: Reader<'a>,
}

impl<'a> Certificates<'a> {
    /// The encoded certificates.
    pub fn encoded(&self) -> impl Iterator<Item = Element<'a>> {
        let mut set = self.set;
        core::iter::from_fn(move || set.any().ok())
    }
}

/// What decides on how a SignerInfo is read.
#[derive(Clone, Copy, Debug)]
struct Grammar {
    /// The version of the SignedData.
    version: u8,
    content_type: ContentType,
    /// Whether ML-DSA is known.
    ml_dsa: bool,
}

/// What the content of the message claims to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ContentType {
    Data,
    MsIndirectData,
}

impl<'a> Message<'a> {
    /// The certificates: well formed, not all of them with known algorithms.
    pub fn certificates(&self) -> Certificates<'a> {
        self.certificates
    }

    /// What a module's signature is made of.
    ///
    /// # Errors
    ///
    /// In the order in which C asks, but after the signatures of certificates on themselves, which
    /// C checks before: an algorithm that is not known ([`super::Class::NoPackage`], which a
    /// permissive kernel lets in), then what a module's signature may not have.
    pub fn signed_data(&self) -> Result<&SignedData<'a>, Error> {
        self.signed_data.as_ref().map_err(|error| *error)
    }
}

/// Reads a message.
///
/// # Errors
///
/// What is wrong with its form, certificates included, in the order of its bytes.
#[inline(never)]
pub fn parse(message: &[u8], tree: Tree) -> Result<Message<'_>, Error> {
    if message.len() > MAX_MESSAGE {
        return Err(Error::LongMessage);
    }
    let mut outer = Reader::new(message);
    let mut content_info = outer.inside(der::SEQUENCE)?;
    outer.finish()?;

    if content_info.oid()? != oid::SIGNED_DATA {
        return Err(Error::NotSignedData);
    }
    let mut explicit = content_info.inside(der::context_constructed(0))?;
    content_info.finish()?;
    let mut fields = explicit.inside(der::SEQUENCE)?;
    explicit.finish()?;

    let version_at = fields.at();
    let version = match fields.integer()? {
        &[version @ (1 | 3)] => version,
        _ => return Err(Error::UnknownVersion(version_at)),
    };

    // Not used, neither here nor in C: what counts is what each SignerInfo says.
    let mut digests = fields.list(der::SET)?;
    while !digests.is_empty() {
        algorithm(&mut digests)?;
    }

    let (content_type, content) = encapsulated_content(&mut fields)?;
    let mut unknown = None;
    let certificates = certificates(&mut fields, tree.ml_dsa, &mut unknown)?;
    if let Some(revocation_lists) = fields.optional(der::context_constructed(1))? {
        return Err(Error::RevocationList(revocation_lists.at));
    }

    let grammar = Grammar {
        version,
        content_type,
        ml_dsa: tree.ml_dsa,
    };
    let mut infos = fields.list(der::SET)?;
    let (mut first, mut others) = (None, infos);
    let (mut with_attributes, mut without_attributes) = (false, false);
    let mut only_ml_dsa = true;
    let mut count = 0..MAX_SIGNERS;
    while !infos.is_empty() {
        count.next().ok_or(Error::TooManySigners)?;
        let info = signer_info(&mut infos, grammar)?;
        with_attributes |= info.signed_attributes;
        without_attributes |= !info.signed_attributes;
        match info.known {
            Ok(signer) => {
                only_ml_dsa &= signer.key.is_ml_dsa();
                if first.is_none() {
                    (first, others) = (Some(signer), infos);
                }
            }
            Err(error) => unknown = unknown.or(Some(error)),
        }
    }
    fields.finish()?;

    let signed_data = match (unknown, first) {
        (Some(error), _) => Err(error),
        _ if with_attributes && without_attributes => Err(Error::MixedSignedAttributes),
        _ if content.is_some() => Err(Error::EmbeddedContent),
        _ if content_type != ContentType::Data => Err(Error::NotData),
        _ if with_attributes && !(tree.ml_dsa_attributes && only_ml_dsa) => {
            Err(Error::SignedAttributes)
        }
        // INVARIANT: all were read above, and none had an unknown algorithm.
        (None, Some(first)) => Ok(SignedData {
            first,
            others,
            grammar,
        }),
        // There is one, since the set is not empty.
        (None, None) => Err(Error::NotSignedData),
    };
    Ok(Message {
        certificates,
        signed_data,
    })
}

// series: cut
/// A message that need not be a module's signature: of any content that the kernel knows, with or without
/// signed attributes. Every algorithm is known.
#[derive(Clone, Copy, Debug)]
pub struct General<'a> {
    /// The version of the SignedData: 1 or 3.
    pub version: u8,
    /// Whether the content is Authenticode's, not plain data.
    pub authenticode: bool,
    /// The content, if it is not detached.
    pub content: Option<Element<'a>>,
    /// The certificates: elements only.
    pub certificates: Reader<'a>,
    /// The SignerInfos: elements only, which [`read_signer`] can read.
    pub signers: Reader<'a>,
}

/// Reads such a message.
///
/// # Errors
///
/// As [`parse`]; then an algorithm that is not known, or signed attributes for some signers only.
pub fn read_general(message: &[u8], ml_dsa: bool) -> Result<General<'_>, Error> {
    let tree = Tree {
        ml_dsa,
        ..Tree::default()
    };
    let parsed = parse(message, tree)?;
    match parsed.signed_data() {
        // What a module's signature may not have.
        Ok(_) | Err(Error::EmbeddedContent | Error::NotData | Error::SignedAttributes) => {}
        Err(error) => return Err(error),
    }
    // The parts once more, of which the form is known to be good.
    let mut content_info = Reader::new(message).inside(der::SEQUENCE)?;
    content_info.oid()?;
    let mut explicit = content_info.inside(der::context_constructed(0))?;
    let mut fields = explicit.inside(der::SEQUENCE)?;
    let version = match fields.integer()? {
        [1] => 1,
        _ => 3,
    };
    fields.element(der::SET)?;
    let (content_type, content) = encapsulated_content(&mut fields)?;
    fields.optional(der::context_constructed(0))?;
    Ok(General {
        version,
        authenticode: content_type == ContentType::MsIndirectData,
        content,
        certificates: parsed.certificates.set,
        signers: fields.inside(der::SET)?,
    })
}

/// Reads the next signer of such a message.
///
/// # Errors
///
/// None, if there is one.
pub fn read_signer<'a>(
    signers: &mut Reader<'a>,
    version: u8,
    authenticode: bool,
    ml_dsa: bool,
) -> Result<SignerInfo<'a>, Error> {
    let grammar = Grammar {
        version,
        content_type: if authenticode {
            ContentType::MsIndirectData
        } else {
            ContentType::Data
        },
        ml_dsa,
    };
    signer_info(signers, grammar)?.known
}
// series: end

/// Reads EncapsulatedContentInfo: the type, and the content, if there is any.
fn encapsulated_content<'a>(
    fields: &mut Reader<'a>,
) -> Result<(ContentType, Option<Element<'a>>), Error> {
    let mut info = fields.inside(der::SEQUENCE)?;
    let at = info.at();
    let content_type = match info.oid()? {
        oid::DATA => ContentType::Data,
        oid::MS_INDIRECT_DATA => ContentType::MsIndirectData,
        _ => return Err(Error::UnknownContentType(at)),
    };
    let embedded = info.optional(der::context_constructed(0))?;
    let mut content = None;
    if let Some(explicit) = embedded {
        let mut explicit = explicit.reader();
        content = Some(explicit.any()?);
        explicit.finish()?;
    }
    info.finish()?;
    Ok((content_type, content))
}

/// Reads the certificates; notes the first algorithm that is not known.
fn certificates<'a>(
    fields: &mut Reader<'a>,
    ml_dsa: bool,
    unknown: &mut Option<Error>,
) -> Result<Certificates<'a>, Error> {
    let set = match fields.optional(der::context_constructed(0))? {
        Some(set) => set.reader(),
        None => Reader::new(&[]),
    };
    let mut rest = set;
    let mut count = 0..MAX_CERTIFICATES;
    while !rest.is_empty() {
        let encoded = rest.element(der::SEQUENCE)?;
        count.next().ok_or(Error::TooManyCertificates)?;
        match x509::parse(&encoded, ml_dsa) {
            Ok(_) => {}
            Err(error) if error.class() == Class::NoPackage => *unknown = unknown.or(Some(error)),
            Err(error) => return Err(error),
        }
    }
    // INVARIANT: all of it was read as elements, and counted.
    Ok(Certificates { set })
}

/// Reads an AlgorithmIdentifier (RFC 5280 section 4.1.1.2).
pub(super) fn algorithm<'a>(
    input: &mut Reader<'a>,
) -> Result<(&'a [u8], Option<Element<'a>>), Error> {
    let mut fields = input.inside(der::SEQUENCE)?;
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
pub(super) fn no_parameters(parameters: Option<Element<'_>>) -> Result<(), Error> {
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

/// Reads one SignerInfo.
#[inline(never)]
fn signer_info<'a>(infos: &mut Reader<'a>, grammar: Grammar) -> Result<ParsedSigner<'a>, Error> {
    let mut fields = infos.inside(der::SEQUENCE)?;

    let version_at = fields.at();
    let version = fields.integer()?;
    let id = match (version, grammar.version) {
        ([1], 1) => issuer_and_serial(&mut fields)?,
        ([3], 3) => subject_key_id(&mut fields)?,
        ([1 | 3], _) => return Err(Error::VersionMismatch(version_at)),
        _ => return Err(Error::UnknownVersion(version_at)),
    };

    let digest_at = fields.at();
    let (digest_oid, digest_parameters) = algorithm(&mut fields)?;
    let attributes = match fields.optional(der::context_constructed(0))? {
        Some(set) => Some(signed_attributes(&set, grammar.content_type)?),
        None if grammar.content_type == ContentType::MsIndirectData => {
            return Err(Error::MissingAttribute(fields.at()))
        }
        None => None,
    };
    let key_at = fields.at();
    let (key_oid, key_parameters) = algorithm(&mut fields)?;
    let signature = fields.element(der::OCTET_STRING)?.content;
    if let Some(unsigned) = fields.optional(der::context_constructed(1))? {
        let mut unsigned = unsigned.list()?;
        while !unsigned.is_empty() {
            attribute(&mut unsigned)?;
        }
    }
    fields.finish()?;

    let known = match (
        DigestAlgorithm::from_oid(digest_oid),
        KeyAlgorithm::from_oid(key_oid).filter(|key| grammar.ml_dsa || !key.is_ml_dsa()),
    ) {
        (None, _) => Err(Error::UnknownDigest(digest_at)),
        (_, None) => Err(Error::UnknownKeyAlgorithm(key_at)),
        (Some(digest), Some(key)) => {
            no_parameters(digest_parameters)?;
            if !key.has_parameters() {
                no_parameters(key_parameters)?;
            }
            Ok(SignerInfo {
                id,
                digest,
                key,
                signature,
                attributes,
            })
        }
    };
    Ok(ParsedSigner {
        known,
        signed_attributes: attributes.is_some(),
    })
}

/// Reads IssuerAndSerialNumber.
fn issuer_and_serial<'a>(fields: &mut Reader<'a>) -> Result<SignerId<'a>, Error> {
    let sid = fields.element(der::SEQUENCE)?;
    let at = sid.at;
    let mut sid = sid.reader();
    let issuer = name::read(&mut sid)?;
    let serial = sid.integer()?;
    sid.finish()?;
    let KeyId(serial, issuer) = KeyId::by_serial(serial, issuer, at)?;
    Ok(SignerId::IssuerAndSerial { issuer, serial })
}

/// Reads `[0] IMPLICIT SubjectKeyIdentifier`.
fn subject_key_id<'a>(fields: &mut Reader<'a>) -> Result<SignerId<'a>, Error> {
    let id = fields.element(der::context(0))?;
    let KeyId(id, _) = KeyId::by_key_id(&id)?;
    Ok(SignerId::SubjectKeyId(id))
}

/// Reads one Attribute: its type's identifier, and the set of its values, of which there is one
/// at least.
fn attribute<'a>(attributes: &mut Reader<'a>) -> Result<(&'a [u8], Element<'a>), Error> {
    let mut fields = attributes.inside(der::SEQUENCE)?;
    let kind = fields.oid()?;
    let values = fields.element(der::SET)?;
    fields.finish()?;
    let mut each = values.list()?;
    while !each.is_empty() {
        each.any()?;
    }
    Ok((kind, values))
}

/// The one value of an attribute that may have no more.
fn only<'a>(values: &Element<'a>) -> Result<Element<'a>, Error> {
    let mut values = values.reader();
    let value = values.any()?;
    if values.is_empty() {
        Ok(value)
    } else {
        Err(Error::RepeatedAttribute(value.at))
    }
}

/// Reads SignedAttributes as C does (`pkcs7_sig_note_authenticated_attr()`): type of the content
/// and digest must be there, what C knows must be there once, and some only in Authenticode.
fn signed_attributes<'a>(
    set: &Element<'a>,
    content_type: ContentType,
) -> Result<SignedAttributes<'a>, Error> {
    let mut has_content_type = false;
    let mut message_digest = None;
    let mut signing_time = None;
    // S/MIME capabilities, SpcSpOpusInfo, SpcStatementType.
    let mut authenticode = [false; 3];

    let mut attributes = set.list()?;
    while !attributes.is_empty() {
        let at = attributes.at();
        let (kind, values) = attribute(&mut attributes)?;
        let once = |first: bool| {
            if first {
                Ok(())
            } else {
                Err(Error::RepeatedAttribute(at))
            }
        };
        let [capabilities, opus, statement] = &mut authenticode;
        let seen = match (kind.strip_prefix(oid::PKCS9), kind) {
            (Some([3]), _) => {
                let value = only(&values)?;
                once(!has_content_type)?;
                has_content_type = true;
                let same = match Reader::new(value.whole).oid() {
                    Ok(oid::DATA) => content_type == ContentType::Data,
                    Ok(oid::MS_INDIRECT_DATA) => content_type == ContentType::MsIndirectData,
                    _ => false,
                };
                if !same {
                    return Err(Error::ContentTypeAttribute(value.at));
                }
                continue;
            }
            (Some([4]), _) => {
                let value = only(&values)?;
                once(message_digest.is_none())?;
                if value.tag != der::OCTET_STRING {
                    return Err(Error::UnexpectedTag(value.at));
                }
                message_digest = Some(value.content);
                continue;
            }
            (Some([5]), _) => {
                let value = only(&values)?;
                once(signing_time.is_none())?;
                signing_time = Some(time::decode(&value)?);
                continue;
            }
            (Some([15]), _) => capabilities,
            (_, oid::MS_SP_OPUS_INFO) => opus,
            (_, oid::MS_STATEMENT_TYPE) => statement,
            _ => continue,
        };
        only(&values)?;
        once(!*seen)?;
        *seen = true;
        if content_type != ContentType::MsIndirectData {
            return Err(Error::AuthenticodeAttribute(at));
        }
    }

    match (has_content_type, message_digest, set.whole) {
        (true, Some(message_digest), [_, after_tag @ ..]) => Ok(SignedAttributes {
            after_tag,
            message_digest,
            signing_time,
        }),
        _ => Err(Error::MissingAttribute(set.at)),
    }
}
