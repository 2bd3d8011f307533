// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Why a module was not accepted: one reason for each rejection.

// series: cut
use core::fmt;
// series: end

/// A reason for which a file is not a module with a good signature.
///
/// Offsets are in bytes from the start of the CMS message, so that a person can find the place with
/// `openssl asn1parse`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    // series: cut
    /// The file does not end in the marker.
    Unsigned,
    /// The loader was told to ignore version information: the module is no longer the one that
    /// was signed, so its signature is not looked at.
    ForceLoaded,

    /// There is a marker, but no room for the signature information in front of it.
    TrailerTooShort,
    /// The claimed length of the signature leaves no module.
    SignatureLength {
        /// Length that the trailer claims, in bytes.
        claimed: u32,
        /// Bytes in front of the trailer.
        available: usize,
    },
    /// The kind of signature is not one that this verifier knows.
    UnknownIdType(u8),
    /// A field of the trailer that must be zero is not.
    ReservedField,
    /// The module is larger than the kernel's digests take in one call.
    TooLarge,
    // series: end
    /// The message is longer than C's decoder takes ([`super::cms::MAX_MESSAGE`]).
    LongMessage,
    /// An element ends after the one that holds it, or a header is cut off.
    Truncated(usize),
    /// A tag other than the one that the grammar has here.
    UnexpectedTag(usize),
    /// A tag of more than one byte.
    LongTag(usize),
    /// Indefinite length, which DER does not have (X.690 10.1).
    IndefiniteLength(usize),
    /// A length in more bytes than it needs (X.690 10.1).
    NonMinimalLength(usize),
    /// A length in more than four bytes.
    HugeLength(usize),
    /// Bytes after the last field of a structure.
    TrailingData(usize),
    /// An INTEGER without bytes, or with more than it needs (X.690 8.3).
    BadInteger(usize),
    /// An OBJECT IDENTIFIER that is empty, cut off or padded (X.690 8.19).
    BadOid(usize),
    /// A SET OF or SEQUENCE OF without an element, where C's decoder wants one.
    EmptySet(usize),
    /// A BIT STRING that does not hold whole bytes, or none.
    BadBitString(usize),
    /// A BOOLEAN that is neither of its two encodings (X.690 11.1).
    BadBoolean(usize),
    /// A time that is none, or in a form that certificates do not have (RFC 5280 section 4.1.2.5).
    BadTime(usize),
    /// A certificate has two extensions of one kind.
    DuplicateExtension(usize),
    /// A key usage of more than 127 bytes, where C takes a part of the length for the content.
    LongKeyUsage(usize),
    /// Basic constraints that do not start with a TRUE, or of more than 127 bytes.
    BasicConstraints(usize),
    /// The two names of a certificate's signature algorithm differ.
    CertificateAlgorithms(usize),
    /// A signed attribute is missing: the content's type, its digest, or all of Authenticode's.
    MissingAttribute(usize),
    /// The attribute with the content's type says something else than the message.
    ContentTypeAttribute(usize),
    /// A signed attribute is there twice, or has two values.
    RepeatedAttribute(usize),
    /// A signed attribute of Authenticode, in a message that is none.
    AuthenticodeAttribute(usize),
    /// Parameters other than none or NULL for an algorithm that takes none.
    AlgorithmParameters(usize),
    /// A key identifier, or an issuer with its serial number, that is empty.
    EmptySignerId(usize),
    /// A key identifier, or an issuer with its serial number, longer than any key has.
    LongSignerId(usize),
    /// The version of a SignerInfo does not go with its SignedData or its way to name the signer.
    VersionMismatch(usize),
    /// A certificate revocation list, which the kernel's C parser does not accept either.
    RevocationList(usize),

    /// The message is not a SignedData.
    NotSignedData,
    /// The SignedData or a SignerInfo is of a version that is not known.
    UnknownVersion(usize),
    /// The content is of a type that is neither data nor Authenticode.
    UnknownContentType(usize),
    /// The message has more signers than [`super::cms::MAX_SIGNERS`].
    TooManySigners,
    /// The message has more certificates than [`super::cms::MAX_CERTIFICATES`].
    TooManyCertificates,
    /// Some signers have signed attributes, others have none.
    MixedSignedAttributes,

    /// The message holds content of its own, where a module's signature is detached.
    EmbeddedContent,
    /// The signature is for something that is not plain data.
    NotData,
    /// The signature is over attributes, where a module's is over the module itself.
    SignedAttributes,

    /// A digest algorithm that this verifier does not know.
    UnknownDigest(usize),
    /// A signature algorithm that this verifier does not know.
    UnknownKeyAlgorithm(usize),
    /// None of the signers uses a digest algorithm that is built in.
    DigestNotBuiltIn,

    /// None of the signers' keys is trusted.
    NoKey,
    /// The signature does not verify with the certificate that the message itself has for the
    /// signer. The error number is the platform's.
    EmbeddedSignature(i32),
    /// A certificate in the message is not signed by the one that it names, or not by itself. The
    /// error number is the platform's.
    CertificateSignature(i32),
    /// A certificate in the message is signed over a digest that is not built in, and the chain
    /// depends on that signature.
    CertificateDigest,
    /// A certificate in the message names its authority by serial number and by key identifier,
    /// and the two are not of one certificate.
    AuthorityMismatch,
    /// A certificate in the message is blacklisted, and a signer depends on it.
    BlacklistedCertificate,
    /// The signed attributes have the digest of something else.
    AttributeDigest,
    /// The digest in the signed attributes has not the algorithm's length.
    AttributeDigestLength,
    /// Signed at a time when the certificate in the message was not valid.
    SigningTime,
    /// The key is trusted, the signature is not its own or not of this module.
    BadSignature,
    /// The key is trusted, and its algorithm is not built in, so nobody can check the signature.
    AlgorithmNotBuiltIn,
    /// The signer is on the list of revoked keys.
    Revoked,
    // series: cut
    /// The file's hash is on the list of refused files.
    Blacklisted,
    /// The digest by which files are blacklisted is not built in, so the list cannot be asked.
    BlacklistDigest,

    /// The kernel's root of module hashes was never written.
    NoRoot,
    /// A proof has not as many bytes as the tree has levels.
    ProofSize {
        /// Levels of the kernel's tree.
        levels: u32,
        /// Bytes of the proof.
        octets: usize,
    },
    /// A proof is for a position that the tree does not have.
    ProofPosition(u32),
    /// The digest of proofs is not built in.
    ProofDigest,
    /// The proof does not lead from this module to the kernel's root.
    BadProof,

    /// The signature for a release is of a version that is not known.
    ReleaseVersion(u8),
    /// The signature for a release ends before its CMS message starts.
    ReleaseTruncated {
        /// Bytes that are in front of a CMS message, as far as could be read.
        expected: u32,
        /// Bytes of the signature.
        octets: usize,
    },
    /// The release has no modules.
    ReleaseEmpty,
    /// The release has no module at this position.
    ReleasePosition {
        /// The position, counted from 0.
        position: u32,
        /// Modules of the release.
        size: u32,
    },
    // series: end
    /// The platform failed in a way that says nothing of the module (for example out of memory).
    Platform(i32),
}

/// What kind of answer an [`Error`] is: each is one error number of the kernel's C verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    // series: cut
    /// ENODATA: there is no signature to check.
    NoData,
    // series: end
    /// ENOPKG: the signature needs something that this kernel does not have.
    NoPackage,
    /// EMSGSIZE: the signature is longer than can be read.
    MessageSize,
    /// ENOKEY: nobody that this kernel trusts has signed.
    NoKey,
    /// EBADMSG: the signature cannot be read.
    BadMessage,
    /// EINVAL: the signature can be read and makes no sense.
    Invalid,
    // series: cut
    /// EFBIG: the module is too large to be checked.
    TooLarge,
    // series: end
    /// EKEYREJECTED: the signature can be read and is wrong.
    Rejected,
    /// Whatever the platform said.
    Platform(i32),
}

impl Error {
    /// The kind of answer that this reason is, the same as C's for the same input
    /// (`kernel/module/signing.c`, `crypto/asymmetric_keys/pkcs7_parser.c`).
    pub fn class(&self) -> Class {
        match *self {
            // series: cut
            Error::Unsigned | Error::ForceLoaded => Class::NoData,
            Error::UnknownIdType(_) => Class::NoPackage,
            Error::TrailerTooShort
            | Error::SignatureLength { .. }
            | Error::ReservedField
            | Error::ReleaseTruncated { .. } => Class::BadMessage,
            Error::ReleaseVersion(_) | Error::ReleaseEmpty | Error::ReleasePosition { .. } => {
                Class::Invalid
            }
            Error::TooLarge => Class::TooLarge,
            Error::Blacklisted
            | Error::BlacklistDigest
            | Error::NoRoot
            | Error::ProofSize { .. }
            | Error::ProofPosition(_)
            | Error::ProofDigest
            | Error::BadProof => Class::Rejected,
            // series: end
            Error::UnknownDigest(_) | Error::UnknownKeyAlgorithm(_) | Error::DigestNotBuiltIn => {
                Class::NoPackage
            }

            Error::NoKey => Class::NoKey,

            Error::Truncated(_)
            | Error::UnexpectedTag(_)
            | Error::LongTag(_)
            | Error::IndefiniteLength(_)
            | Error::NonMinimalLength(_)
            | Error::HugeLength(_)
            | Error::TrailingData(_)
            | Error::BadInteger(_)
            | Error::BadOid(_)
            | Error::EmptySet(_)
            | Error::BadBitString(_)
            | Error::BadBoolean(_)
            | Error::BadTime(_)
            | Error::DuplicateExtension(_)
            | Error::LongKeyUsage(_)
            | Error::BasicConstraints(_)
            | Error::MissingAttribute(_)
            | Error::ContentTypeAttribute(_)
            | Error::AttributeDigestLength
            | Error::AlgorithmParameters(_)
            | Error::LongSignerId(_)
            | Error::VersionMismatch(_)
            | Error::RevocationList(_)
            | Error::EmbeddedContent => Class::BadMessage,

            Error::EmptySignerId(_)
            | Error::NotSignedData
            | Error::UnknownVersion(_)
            | Error::UnknownContentType(_)
            | Error::CertificateAlgorithms(_)
            | Error::TooManyCertificates
            | Error::TooManySigners
            | Error::MixedSignedAttributes => Class::Invalid,

            Error::LongMessage => Class::MessageSize,

            Error::NotData
            | Error::SignedAttributes
            | Error::RepeatedAttribute(_)
            | Error::AuthenticodeAttribute(_)
            | Error::CertificateDigest
            | Error::AuthorityMismatch
            | Error::BlacklistedCertificate
            | Error::AttributeDigest
            | Error::SigningTime
            | Error::BadSignature
            | Error::AlgorithmNotBuiltIn
            | Error::Revoked => Class::Rejected,

            Error::EmbeddedSignature(code)
            | Error::CertificateSignature(code)
            | Error::Platform(code) => Class::Platform(code),
        }
    }
}

// series: cut
/// The reason in words that fit into one line of a log.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |f: &mut fmt::Formatter<'_>, what: &str, offset: usize| {
            write!(f, "{what} at offset {offset} of the signature")
        };
        match *self {
            Error::Unsigned => f.write_str("not signed"),
            Error::ForceLoaded => f.write_str("force-loaded, so its signature does not count"),
            Error::TrailerTooShort => f.write_str("signature trailer truncated"),
            Error::SignatureLength { claimed, available } => write!(
                f,
                "trailer claims a signature of {claimed} bytes, the file has {available} in front of it"
            ),
            Error::UnknownIdType(id) => {
                write!(f, "signatures of type {id} are not supported by this kernel")
            }
            Error::ReservedField => f.write_str("a reserved field of the trailer is not zero"),
            Error::TooLarge => f.write_str("larger than 4 GiB"),
            Error::Truncated(o) => at(f, "element cut off", o),
            Error::UnexpectedTag(o) => at(f, "unexpected element", o),
            Error::LongTag(o) => at(f, "tag of several bytes", o),
            Error::IndefiniteLength(o) => at(f, "indefinite length", o),
            Error::NonMinimalLength(o) => at(f, "padded length", o),
            Error::HugeLength(o) => at(f, "length of more than 4 bytes", o),
            Error::TrailingData(o) => at(f, "trailing data", o),
            Error::BadInteger(o) => at(f, "malformed integer", o),
            Error::BadOid(o) => at(f, "malformed object identifier", o),
            Error::EmptySet(o) => at(f, "empty list", o),
            Error::BadBitString(o) => at(f, "malformed bit string", o),
            Error::BadBoolean(o) => at(f, "malformed boolean", o),
            Error::BadTime(o) => at(f, "malformed time", o),
            Error::DuplicateExtension(o) => at(f, "second extension of one kind", o),
            Error::LongKeyUsage(o) => at(f, "oversized key usage", o),
            Error::BasicConstraints(o) => at(f, "malformed basic constraints", o),
            Error::CertificateAlgorithms(o) => at(f, "second, other signature algorithm", o),
            Error::MissingAttribute(o) => at(f, "missing signed attribute", o),
            Error::ContentTypeAttribute(o) => at(f, "signed attribute for another type", o),
            Error::RepeatedAttribute(o) => at(f, "repeated signed attribute", o),
            Error::AuthenticodeAttribute(o) => at(f, "Authenticode attribute", o),
            Error::AlgorithmParameters(o) => at(f, "unexpected algorithm parameters", o),
            Error::EmptySignerId(o) => at(f, "empty signer identifier", o),
            Error::LongSignerId(o) => at(f, "oversized signer identifier", o),
            Error::VersionMismatch(o) => at(f, "version that does not fit the signer", o),
            Error::RevocationList(o) => at(f, "embedded revocation list", o),
            Error::NotSignedData => f.write_str("the signature is not a SignedData message"),
            Error::UnknownVersion(o) => at(f, "unknown version", o),
            Error::UnknownContentType(o) => at(f, "unknown content type", o),
            Error::TooManySigners => f.write_str("the signature has too many signers"),
            Error::TooManyCertificates => f.write_str("the signature has too many certificates"),
            Error::LongMessage => f.write_str("the signature is longer than 65535 bytes"),
            Error::MixedSignedAttributes => {
                f.write_str("some signers have signed attributes, others have none")
            }
            Error::EmbeddedContent => f.write_str("the signature carries content of its own"),
            Error::NotData => f.write_str("the signature is not for plain data"),
            Error::SignedAttributes => f.write_str("the signature has signed attributes"),
            Error::UnknownDigest(o) => at(f, "unsupported digest algorithm", o),
            Error::UnknownKeyAlgorithm(o) => at(f, "unsupported signature algorithm", o),
            Error::DigestNotBuiltIn => f.write_str("digest algorithm not built into this kernel"),
            Error::NoKey => f.write_str("signer's key is in no trusted keyring"),
            // ENOENT: the crypto API has no such algorithm.
            Error::EmbeddedSignature(-2) | Error::AlgorithmNotBuiltIn => {
                f.write_str("the algorithm of the signature is not built into this kernel")
            }
            Error::CertificateSignature(-2) => f.write_str(
                "a certificate in the signature is signed with an algorithm that is not built into this kernel",
            ),
            Error::EmbeddedSignature(_) => {
                f.write_str("signature does not match its own certificate: altered after signing?")
            }
            Error::CertificateSignature(_) => {
                f.write_str("a certificate in the signature is not signed as it says")
            }
            Error::CertificateDigest => {
                f.write_str("a certificate in the signature needs a digest that is not built in")
            }
            Error::AuthorityMismatch => {
                f.write_str("a certificate in the signature names two authorities")
            }
            Error::BlacklistedCertificate => {
                f.write_str("a certificate in the signature is blacklisted")
            }
            Error::AttributeDigest | Error::AttributeDigestLength => {
                f.write_str("the signed attributes are of another module: altered after signing?")
            }
            Error::SigningTime => f.write_str("signed while the signer's certificate was not valid"),
            Error::BadSignature => f.write_str("signature does not match: altered after signing?"),
            Error::Revoked => f.write_str("signer's key is revoked"),
            Error::Blacklisted => f.write_str("the file's hash is blacklisted"),
            Error::BlacklistDigest => f.write_str("the digest of blacklisted files is not built in"),
            Error::NoRoot => f.write_str("this kernel's root of module hashes was never written"),
            Error::ProofSize { levels, octets } => write!(
                f,
                "proof of {octets} bytes for a tree of {levels} levels: built for a different kernel?"
            ),
            Error::ProofPosition(position) => write!(
                f,
                "proof for position {position}, which the tree does not have: built for a different kernel?"
            ),
            Error::ProofDigest => f.write_str("the digest of proofs is not built in"),
            Error::BadProof => {
                f.write_str("proof does not match: altered after the build, or built for a different kernel?")
            }
            Error::ReleaseVersion(version) => {
                write!(f, "release signatures of version {version} are not supported by this kernel")
            }
            Error::ReleaseTruncated { expected, octets } => write!(
                f,
                "release signature of {octets} bytes, its proof alone takes {expected}"
            ),
            Error::ReleaseEmpty => f.write_str("the signature is for a release without modules"),
            Error::ReleasePosition { position, size } => {
                write!(f, "proof for position {position} of a release of {size} modules")
            }
            Error::Platform(code) => write!(f, "check could not be completed (error {code})"),
        }
    }
}
// series: end
