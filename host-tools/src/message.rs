// SPDX-License-Identifier: MIT OR Apache-2.0

//! Writes the signature message: a CMS SignedData (RFC 5652) as modules have it, byte for byte
//! what OpenSSL makes of it.

use modsig::verify::{
    trailer::{self, Kind},
    DigestAlgorithm, KeyAlgorithm,
};

/// One DER element.
pub fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len().to_be_bytes();
    match content.len() {
        short @ 0..=0x7f => out.push(short as u8),
        _ => {
            let octets: Vec<u8> = length.into_iter().skip_while(|&octet| octet == 0).collect();
            out.push(0x80 | octets.len() as u8);
            out.extend(octets);
        }
    }
    out.extend_from_slice(content);
    out
}

/// A SEQUENCE of these parts.
pub fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

/// An AlgorithmIdentifier: content bytes of its identifier, and its encoded parameters.
pub fn algorithm(oid: &[u8], parameters: &[u8]) -> Vec<u8> {
    sequence(&[&tlv(0x06, oid), parameters])
}

const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
const CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x03];
const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04];
const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const NULL: &[u8] = &[0x05, 0x00];

/// The AlgorithmIdentifier of a digest; `None` for those that modules are not signed with.
pub fn digest_algorithm(digest: DigestAlgorithm) -> Option<Vec<u8>> {
    let nist = |arc| {
        let oid = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, arc];
        Some(algorithm(&oid, &[]))
    };
    match digest {
        DigestAlgorithm::Sha1 => Some(algorithm(&[0x2b, 0x0e, 0x03, 0x02, 0x1a], &[])),
        DigestAlgorithm::Sha256 => nist(1),
        DigestAlgorithm::Sha384 => nist(2),
        DigestAlgorithm::Sha512 => nist(3),
        DigestAlgorithm::Sha224 => nist(4),
        DigestAlgorithm::Sha3_256 => nist(8),
        DigestAlgorithm::Sha3_384 => nist(9),
        DigestAlgorithm::Sha3_512 => nist(10),
        _ => None,
    }
}

/// The AlgorithmIdentifier of an RSA signature (RFC 8017 appendix A.1).
pub fn rsa_algorithm() -> Vec<u8> {
    algorithm(RSA_ENCRYPTION, NULL)
}

/// The AlgorithmIdentifier of an ECDSA signature with this digest (RFC 5758 section 3.2).
pub fn ecdsa_algorithm(digest: DigestAlgorithm) -> Option<Vec<u8>> {
    let sha2 = |arc| algorithm(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, arc], &[]);
    let sha3 = |arc| algorithm(&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, arc], &[]);
    Some(match digest {
        DigestAlgorithm::Sha1 => algorithm(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01], &[]),
        DigestAlgorithm::Sha224 => sha2(1),
        DigestAlgorithm::Sha256 => sha2(2),
        DigestAlgorithm::Sha384 => sha2(3),
        DigestAlgorithm::Sha512 => sha2(4),
        DigestAlgorithm::Sha3_256 => sha3(10),
        DigestAlgorithm::Sha3_384 => sha3(11),
        DigestAlgorithm::Sha3_512 => sha3(12),
        _ => return None,
    })
}

/// The AlgorithmIdentifier of ML-DSA (RFC 9882 section 2), of its keys and its signatures.
pub fn ml_dsa_algorithm(algorithm: KeyAlgorithm) -> Option<Vec<u8>> {
    let arc = match algorithm {
        KeyAlgorithm::MlDsa44 => 17,
        KeyAlgorithm::MlDsa65 => 18,
        KeyAlgorithm::MlDsa87 => 19,
        _ => return None,
    };
    let oid = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, arc];
    Some(self::algorithm(&oid, &[]))
}

/// Signed attributes (RFC 5652 section 11) of plain data with this digest: its type and the digest,
/// in the order that DER wants. Behind the header of a SET ([`tlv`] with 0x31) they are what is
/// signed.
///
/// Modules have none. OpenSSL before 4.0 does not sign with ML-DSA without, though, and kernels
/// may be told to put up with that.
pub fn signed_attributes(digest: &[u8]) -> Vec<u8> {
    let attribute = |kind, value: &[u8]| sequence(&[&tlv(0x06, kind), &tlv(0x31, value)]);
    [
        attribute(CONTENT_TYPE, &tlv(0x06, DATA)),
        attribute(MESSAGE_DIGEST, &tlv(0x04, digest)),
    ]
    .concat()
}

/// One signer of a message, each part encoded.
#[derive(Clone, Debug)]
pub struct SignerParts {
    /// 1 with issuer and serial number, 3 with a key identifier.
    pub version: u8,
    /// SignerIdentifier.
    pub sid: Vec<u8>,
    /// AlgorithmIdentifier of the digest.
    pub digest: Vec<u8>,
    /// Signed attributes ([`signed_attributes`]); empty if there are none.
    pub attributes: Vec<u8>,
    /// AlgorithmIdentifier of the signature.
    pub key: Vec<u8>,
    /// The signature value itself.
    pub signature: Vec<u8>,
}

impl SignerParts {
    fn der(&self) -> Vec<u8> {
        let attributes = match &self.attributes[..] {
            [] => vec![],
            some => tlv(0xa0, some),
        };
        sequence(&[
            &tlv(0x02, &[self.version]),
            &self.sid,
            &self.digest,
            &attributes,
            &self.key,
            &tlv(0x04, &self.signature),
        ])
    }
}

/// A detached message over plain data with these signers (at least one, all of one version) and
/// these certificates (encoded, mostly none).
pub fn signed_data(signers: &[SignerParts], certificates: &[u8]) -> Vec<u8> {
    let mut digests: Vec<&[u8]> = signers.iter().map(|signer| &signer.digest[..]).collect();
    digests.sort_unstable();
    digests.dedup();
    let mut infos: Vec<Vec<u8>> = signers.iter().map(SignerParts::der).collect();
    // DER: a SET OF is in the order of its encodings (X.690 11.6).
    infos.sort_unstable();
    let certificates = match certificates {
        [] => vec![],
        some => tlv(0xa0, some),
    };
    let version = signers.first().map_or(1, |signer| signer.version);
    let signed_data = sequence(&[
        &tlv(0x02, &[version]),
        &tlv(0x31, &digests.concat()),
        &sequence(&[&tlv(0x06, DATA)]),
        &certificates,
        &tlv(0x31, &infos.concat()),
    ]);
    sequence(&[&tlv(0x06, SIGNED_DATA), &tlv(0xa0, &signed_data)])
}

/// What stands behind a message of this length (bytes) at the end of a module:
/// `struct module_signature` and the marker.
pub fn trailer(message_len: u32) -> Vec<u8> {
    trailer_of(Kind::Pkcs7, message_len)
}

/// What stands behind a signature of this kind and length.
pub fn trailer_of(kind: Kind, message_len: u32) -> Vec<u8> {
    let id = match kind {
        Kind::Pkcs7 => trailer::ID_PKCS7,
        Kind::Merkle => trailer::ID_MERKLE,
        Kind::Release => trailer::ID_RELEASE,
    };
    let mut out = vec![0, 0, id, 0, 0, 0, 0, 0];
    out.extend(message_len.to_be_bytes());
    out.extend_from_slice(trailer::MARKER);
    out
}
