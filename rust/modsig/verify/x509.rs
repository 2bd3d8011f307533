// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Certificates (RFC 5280 section 4.1), as far as a chain of signatures needs them: who it is,
//! whose key it holds, who has signed it.
//!
//! As the kernel's own reader (`crypto/asymmetric_keys/x509_cert_parser.c`): validity, key usage
//! and constraints must be well formed and decide nothing. Everything borrows from the message.

use super::{
    algorithm::{CertificateAlgorithm, KeyAlgorithm, PublicKeyAlgorithm},
    // series: cut
    cms::MAX_MESSAGE,
    // series: end
    cms::{algorithm, no_parameters, KeyId, MAX_SIGNER_ID},
    der::{self, Element, Reader},
    error::Error,
    name,
    oid,
    time::{self, Seconds},
};

/// The longest content, in bytes, of what C reads with lengths of one byte only.
const SHORT: usize = 127;

/// A public key, as a certificate holds it (SubjectPublicKeyInfo).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey<'a> {
    /// What kind of key it is.
    pub algorithm: PublicKeyAlgorithm,
    /// The encoded parameters of the algorithm; may be empty.
    pub parameters: &'a [u8],
    /// The key itself: the bytes of the BIT STRING.
    pub octets: &'a [u8],
    /// All of SubjectPublicKeyInfo.
    pub info: &'a [u8],
}

// series: cut
impl<'a> PublicKey<'a> {
    /// The object identifier of the algorithm (content bytes).
    ///
    /// # Errors
    ///
    /// None for a key that [`parse`] has read.
    pub fn oid(&self) -> Result<&'a [u8], Error> {
        let mut info = Reader::new(self.info).inside(der::SEQUENCE)?;
        info.inside(der::SEQUENCE)?.oid()
    }
}

/// What a certificate says that its key is for, as far as the kernel keeps it (`key_eflags` of `struct
/// public_key`). It decides nothing here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// It signs data.
    pub digital_signature: bool,
    /// It signs certificates.
    pub certificates: bool,
    /// It is that of an authority.
    pub authority: bool,
}
// series: end

/// A certificate.
#[derive(Clone, Copy, Debug)]
pub struct Certificate<'a> {
    /// What is signed: all bytes of TBSCertificate.
    pub tbs: &'a [u8],
    /// The identifier by issuer and serial number.
    pub id: KeyId<'a>,
    /// Content bytes of the issuer's Name.
    pub issuer: &'a [u8],
    /// Content bytes of the subject's Name.
    pub subject: &'a [u8],
    /// notBefore.
    pub not_before: Seconds,
    /// notAfter.
    pub not_after: Seconds,
    /// The key that it is about.
    pub key: PublicKey<'a>,
    /// Its SubjectKeyIdentifier.
    pub subject_key_id: Option<KeyId<'a>>,
    /// The certificate of whoever has signed it, by issuer and serial number, if it says so.
    pub authority: Option<KeyId<'a>>,
    /// The SubjectKeyIdentifier of whoever has signed it, if it says so.
    pub authority_key_id: Option<KeyId<'a>>,
    // series: cut
    /// What the key is for.
    pub usage: Usage,
    // series: end
    /// How it is signed.
    pub algorithm: CertificateAlgorithm,
    /// The signature value.
    pub signature: &'a [u8],
}

// series: cut
impl<'a> Certificate<'a> {
    /// What the kernel calls the issuer by ([`name::shown`]).
    pub fn issuer_shown(&self) -> (&'a [u8], &'a [u8]) {
        name::shown(self.issuer)
    }

    /// What the kernel calls the subject by.
    pub fn subject_shown(&self) -> (&'a [u8], &'a [u8]) {
        name::shown(self.subject)
    }
}

/// Reads a certificate that is not part of a message: all of `input`.
///
/// # Errors
///
/// As [`parse`], but for one that C's decoder would not take for its length.
pub fn read(input: &[u8], ml_dsa: bool) -> Result<Certificate<'_>, Error> {
    if input.len() > MAX_MESSAGE {
        return Err(Error::LongMessage);
    }
    let mut reader = Reader::new(input);
    let certificate = parse(&reader.element(der::SEQUENCE)?, ml_dsa)?;
    reader.finish()?;
    Ok(certificate)
}
// series: end

/// Reads a certificate: all of `input`.
///
/// # Errors
///
/// What is wrong with its form comes first, then an algorithm that is not known
/// ([`super::Class::NoPackage`]): `ml_dsa` says whether ML-DSA is.
#[inline(never)]
pub fn parse<'a>(input: &Element<'a>, ml_dsa: bool) -> Result<Certificate<'a>, Error> {
    let mut fields = input.reader();
    let tbs = fields.element(der::SEQUENCE)?;
    let outer_at = fields.at();
    let (outer, outer_parameters) = algorithm(&mut fields)?;
    let signature = fields.octets_of_bit_string()?;
    fields.finish()?;

    let mut fields = tbs.reader();
    if let Some(version) = fields.optional(der::context_constructed(0))? {
        let mut version = version.reader();
        version.integer()?;
        version.finish()?;
    }
    let serial_at = fields.at();
    let serial = fields.integer()?;
    let inner_at = fields.at();
    let (inner, inner_parameters) = algorithm(&mut fields)?;
    let issuer = name::read(&mut fields)?;
    let id = KeyId::by_serial(serial, issuer, serial_at)?;
    let mut validity = fields.inside(der::SEQUENCE)?;
    let not_before = time::decode(&validity.any()?)?;
    let not_after = time::decode(&validity.any()?)?;
    validity.finish()?;
    let subject = name::read(&mut fields)?;
    let key = public_key(&mut fields, ml_dsa)?;
    // Unique identifiers, of version 2.
    fields.optional(der::context(1))?;
    fields.optional(der::context(2))?;
    let mut extensions = Extensions::default();
    if let Some(explicit) = fields.optional(der::context_constructed(3))? {
        let mut explicit = explicit.reader();
        let mut list = explicit.list(der::SEQUENCE)?;
        while !list.is_empty() {
            extensions.read(&mut list)?;
        }
        explicit.finish()?;
    }
    fields.finish()?;

    let known = |found: &CertificateAlgorithm| ml_dsa || !found.key.is_ml_dsa();
    let algorithm = CertificateAlgorithm::from_oid(inner)
        .filter(known)
        .ok_or(Error::UnknownKeyAlgorithm(inner_at));
    if let Ok(CertificateAlgorithm { key, .. }) = algorithm {
        if !key.has_parameters() {
            no_parameters(inner_parameters)?;
            no_parameters(outer_parameters)?;
        }
    }
    // The copy that nobody has signed (RFC 5280 section 4.1.1.2).
    if inner != outer {
        return Err(Error::CertificateAlgorithms(outer_at));
    }
    Ok(Certificate {
        tbs: tbs.whole,
        id,
        issuer,
        subject,
        not_before,
        not_after,
        algorithm: algorithm?,
        key: key?,
        subject_key_id: extensions.subject_key_id,
        authority: extensions.authority,
        authority_key_id: extensions.authority_key_id,
        // series: cut
        usage: extensions.usage,
        // series: end
        signature,
    })
}

/// Reads SubjectPublicKeyInfo; the inner error is an algorithm that is not known.
fn public_key<'a>(
    fields: &mut Reader<'a>,
    ml_dsa: bool,
) -> Result<Result<PublicKey<'a>, Error>, Error> {
    let info = fields.element(der::SEQUENCE)?;
    let mut fields = info.reader();
    let at = fields.at();
    let (kind, parameters) = algorithm(&mut fields)?;
    let octets = fields.octets_of_bit_string()?;
    fields.finish()?;

    let algorithm = match kind {
        oid::EC_PUBLIC_KEY => {
            // A named curve (RFC 5480 section 2.1.1).
            let curve = match parameters {
                Some(curve) if curve.tag == der::OID && curve.content.len() <= SHORT => {
                    Reader::new(curve.whole).oid()
                }
                _ => Err(Error::AlgorithmParameters(at)),
            };
            match curve? {
                oid::P192 => Some(PublicKeyAlgorithm::EcdsaP192),
                oid::P256 => Some(PublicKeyAlgorithm::EcdsaP256),
                oid::P384 => Some(PublicKeyAlgorithm::EcdsaP384),
                oid::P521 => Some(PublicKeyAlgorithm::EcdsaP521),
                _ => None,
            }
        }
        oid::GOST2012_256 => Some(PublicKeyAlgorithm::Ecrdsa256),
        oid::GOST2012_512 => Some(PublicKeyAlgorithm::Ecrdsa512),
        _ => {
            let found = match KeyAlgorithm::from_oid(kind) {
                Some(KeyAlgorithm::Rsa) => Some(PublicKeyAlgorithm::Rsa),
                Some(KeyAlgorithm::MlDsa44) if ml_dsa => Some(PublicKeyAlgorithm::MlDsa44),
                Some(KeyAlgorithm::MlDsa65) if ml_dsa => Some(PublicKeyAlgorithm::MlDsa65),
                Some(KeyAlgorithm::MlDsa87) if ml_dsa => Some(PublicKeyAlgorithm::MlDsa87),
                _ => None,
            };
            if found.is_some() {
                no_parameters(parameters)?;
            }
            found
        }
    };
    Ok(algorithm
        .map(|algorithm| PublicKey {
            algorithm,
            parameters: parameters.map_or(&[], |parameters| parameters.whole),
            octets,
            info: info.whole,
        })
        .ok_or(Error::UnknownKeyAlgorithm(at)))
}

/// The extensions that matter, in the order of the certificate.
#[derive(Default)]
struct Extensions<'a> {
    subject_key_id: Option<KeyId<'a>>,
    authority: Option<KeyId<'a>>,
    authority_key_id: Option<KeyId<'a>>,
    // series: cut
    usage: Usage,
    // series: end
    has_authority: bool,
}

impl<'a> Extensions<'a> {
    /// Reads one Extension (RFC 5280 section 4.1).
    fn read(&mut self, extensions: &mut Reader<'a>) -> Result<(), Error> {
        let mut fields = extensions.inside(der::SEQUENCE)?;
        let at = fields.at();
        let kind = fields.oid()?;
        // Unknown critical extensions are ignored, as in C.
        if fields.peek() == Some(der::BOOLEAN) {
            fields.boolean()?;
        }
        let value = fields.element(der::OCTET_STRING)?;
        fields.finish()?;

        let mut value = value.reader();
        match kind.strip_prefix(oid::EXTENSION) {
            Some([14]) => {
                if self.subject_key_id.is_some() {
                    return Err(Error::DuplicateExtension(at));
                }
                let id = value.element(der::OCTET_STRING)?;
                if id.content.len() > SHORT {
                    return Err(Error::LongSignerId(id.at));
                }
                self.subject_key_id = Some(KeyId::by_key_id(&id)?);
            }
            // series: cut
            Some([15]) => key_usage(&mut value, &mut self.usage)?,
            Some([19]) => basic_constraints(&mut value, &mut self.usage)?,
            // series: end
            // series: put Some([15]) => key_usage(&mut value)?,
            // series: put Some([19]) => basic_constraints(&mut value)?,
            Some([35]) => {
                if self.has_authority {
                    return Err(Error::DuplicateExtension(at));
                }
                self.has_authority = true;
                self.authority_key_identifier(&mut value)?;
            }
            _ => return Ok(()),
        }
        value.finish()
    }

    /// Reads AuthorityKeyIdentifier (RFC 5280 section 4.2.1.1).
    fn authority_key_identifier(&mut self, value: &mut Reader<'a>) -> Result<(), Error> {
        let mut fields = value.inside(der::SEQUENCE)?;
        if let Some(id) = fields.optional(der::context(0))? {
            self.authority_key_id = Some(KeyId::by_key_id(&id)?);
        }
        let issuer = match fields.optional(der::context_constructed(1))? {
            Some(names) => directory_name(&names)?,
            None => None,
        };
        let at = fields.at();
        if fields.peek() == Some(der::context(2)) {
            let serial = fields.integer_tagged(der::context(2))?;
            self.authority = issuer
                .map(|issuer| KeyId::by_serial(serial, issuer, at))
                .transpose()?;
        }
        fields.finish()
    }
}

/// Reads GeneralNames (RFC 5280 section 4.2.1.6) and returns the last directory name, which is the
/// one that C takes. Others must have the form that `crypto/asymmetric_keys/x509_akid.asn1` gives
/// them.
fn directory_name<'a>(names: &Element<'a>) -> Result<Option<&'a [u8]>, Error> {
    const OTHER_NAME: u8 = der::context_constructed(0);
    const X400_ADDRESS: u8 = der::context_constructed(3);
    const DIRECTORY_NAME: u8 = der::context_constructed(4);
    const EDI_PARTY_NAME: u8 = der::context_constructed(5);
    // A mail address, a host, a URI, an IP address, an object identifier: any bytes for C.
    const RFC822_NAME: u8 = der::context(1);
    const DNS_NAME: u8 = der::context(2);
    const URI: u8 = der::context(6);
    const IP_ADDRESS: u8 = der::context(7);
    const REGISTERED_ID: u8 = der::context(8);

    let mut found = None;
    let mut names = names.list()?;
    while !names.is_empty() {
        let name = names.any()?;
        let mut fields = name.reader();
        match name.tag {
            RFC822_NAME | DNS_NAME | URI | IP_ADDRESS | REGISTERED_ID => continue,
            OTHER_NAME => {
                fields.oid()?;
                any_in(&mut fields, der::context_constructed(0))?;
            }
            X400_ADDRESS => {
                fields.any()?;
            }
            DIRECTORY_NAME => found = Some(name::read(&mut fields)?),
            EDI_PARTY_NAME => {
                if fields.peek() == Some(der::context_constructed(0)) {
                    any_in(&mut fields, der::context_constructed(0))?;
                }
                any_in(&mut fields, der::context_constructed(1))?;
            }
            _ => return Err(Error::UnexpectedTag(name.at)),
        }
        fields.finish()?;
    }
    Ok(found)
}

/// Reads one element of any kind that has an explicit tag.
fn any_in(fields: &mut Reader<'_>, tag: u8) -> Result<(), Error> {
    let mut inside = fields.inside(tag)?;
    inside.any()?;
    inside.finish()
}

/// Reads KeyUsage (RFC 5280 section 4.2.1.3): a BIT STRING with at least one byte. It has nine
/// bits; C reads one byte behind the tag as its length, and takes the second byte of a longer
/// length for the number of unused bits.
// series: cut
fn key_usage(value: &mut Reader<'_>, usage: &mut Usage) -> Result<(), Error> {
    // series: end
    // series: put fn key_usage(value: &mut Reader<'_>) -> Result<(), Error> {
    let bits = value.element(der::BIT_STRING)?;
    if bits.content.len() > SHORT {
        return Err(Error::LongKeyUsage(bits.at));
    }
    // series: cut
    let (unused, first, behind) = match bits.content {
        [unused @ 0..=7, first, behind @ ..] => (unused, first, behind),
        _ => return Err(Error::BadBitString(bits.at)),
    };
    // C counts those of all such extensions, the second one with one or two bytes of bits only.
    usage.digital_signature |= first & 0x80 != 0;
    usage.certificates |= first & 0x04 != 0
        && match behind {
            [] => *unused <= 2,
            [_] => true,
            _ => false,
        };
    // series: end
    // series: put if !matches!(bits.content, [0..=7, _, ..]) {
    // series: put     return Err(Error::BadBitString(bits.at));
    // series: put }
    Ok(())
}

/// Reads BasicConstraints (RFC 5280 section 4.2.1.9). What is there must start with a TRUE: a
/// FALSE is the default, and a length of the path without it says nothing.
// series: cut
fn basic_constraints(value: &mut Reader<'_>, usage: &mut Usage) -> Result<(), Error> {
    // series: end
    // series: put fn basic_constraints(value: &mut Reader<'_>) -> Result<(), Error> {
    let constraints = value.element(der::SEQUENCE)?;
    let mut fields = constraints.reader();
    if fields.is_empty() {
        return Ok(());
    }
    let at = constraints.at;
    if !fields.boolean()? || constraints.content.len() > SHORT {
        return Err(Error::BasicConstraints(at));
    }
    // series: cut
    usage.authority = true;
    // series: end
    if !fields.is_empty() {
        fields.integer()?;
    }
    fields.finish()
}

impl<'a> KeyId<'a> {
    /// The identifier by issuer (content bytes of the Name) and serial number (content bytes),
    /// found at an offset.
    pub(super) fn by_serial(serial: &'a [u8], issuer: &'a [u8], at: usize) -> Result<Self, Error> {
        // Both are parts of one message, so the sum cannot overflow.
        if serial.len().saturating_add(issuer.len()) > MAX_SIGNER_ID {
            return Err(Error::LongSignerId(at));
        }
        Ok(KeyId(serial, issuer))
    }

    /// The identifier by key identifier.
    pub(super) fn by_key_id(id: &Element<'a>) -> Result<Self, Error> {
        match id.content.len() {
            0 => Err(Error::EmptySignerId(id.at)),
            1..=MAX_SIGNER_ID => Ok(KeyId(id.content, &[])),
            _ => Err(Error::LongSignerId(id.at)),
        }
    }
}
