// SPDX-License-Identifier: GPL-2.0

//! Builds messages and files octet by octet, so that a test says what is in them.

#![allow(dead_code, reason = "each test program uses its own part of this")]

use std::cell::RefCell;

use modsig::verify::{
    trailer, Digest, DigestAlgorithm, KeyAlgorithm, Keyring, Platform, PlatformError, Signature,
    SignerId,
};

pub const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
pub const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
pub const MS_INDIRECT_DATA: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x01, 0x04];
pub const SHA256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
pub const SHA512: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03];
pub const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
pub const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
pub const GOST2012: &[u8] = &[0x2a, 0x85, 0x03, 0x07, 0x01, 0x01, 0x01, 0x01];
pub const UNKNOWN: &[u8] = &[0x2a, 0x03, 0x04];
pub const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// One element with its shortest length.
pub fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match content.len() {
        short @ 0..=0x7f => out.push(short as u8),
        long @ 0x80..=0xff => out.extend([0x81, long as u8]),
        long @ 0x100..=0xffff => out.extend([0x82, (long >> 8) as u8, long as u8]),
        long => out.extend([0x83, (long >> 16) as u8, (long >> 8) as u8, long as u8]),
    }
    out.extend(content);
    out
}

pub fn seq(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

pub fn set(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x31, &parts.concat())
}

pub fn oid(octets: &[u8]) -> Vec<u8> {
    tlv(0x06, octets)
}

/// AlgorithmIdentifier without parameters.
pub fn algorithm(octets: &[u8]) -> Vec<u8> {
    seq(&[&oid(octets)])
}

/// Content of a Name with one common name.
pub fn issuer(common_name: &str) -> Vec<u8> {
    set(&[&seq(&[
        &oid(COMMON_NAME),
        &tlv(0x0c, common_name.as_bytes()),
    ])])
}

/// A SignerInfo, part by part.
#[derive(Clone)]
pub struct Signer {
    pub version: Vec<u8>,
    pub sid: Vec<u8>,
    pub digest: Vec<u8>,
    pub signed_attributes: Vec<u8>,
    pub key: Vec<u8>,
    pub signature: Vec<u8>,
    pub unsigned_attributes: Vec<u8>,
}

/// A signer by issuer and serial number; the serial number is its key in [`Double`].
pub fn signer(serial: u8) -> Signer {
    Signer {
        version: tlv(0x02, &[1]),
        sid: seq(&[&tlv(0x30, &issuer("someone")), &tlv(0x02, &[serial])]),
        digest: algorithm(SHA256),
        signed_attributes: vec![],
        key: algorithm(RSA),
        signature: tlv(0x04, b"good"),
        unsigned_attributes: vec![],
    }
}

/// A signer by key identifier.
pub fn signer_by_key_id(id: &[u8]) -> Signer {
    Signer {
        version: tlv(0x02, &[3]),
        sid: tlv(0x80, id),
        ..signer(0)
    }
}

impl Signer {
    pub fn der(&self) -> Vec<u8> {
        seq(&[
            &self.version,
            &self.sid,
            &self.digest,
            &self.signed_attributes,
            &self.key,
            &self.signature,
            &self.unsigned_attributes,
        ])
    }
}

/// A SignedData, part by part.
#[derive(Clone)]
pub struct Message {
    pub version: Vec<u8>,
    pub digests: Vec<u8>,
    pub content: Vec<u8>,
    pub certificates: Vec<u8>,
    pub revocation_lists: Vec<u8>,
    pub signers: Vec<u8>,
}

/// A detached message over plain data with these signers, all of the first one's kind.
pub fn message(signers: &[Signer]) -> Message {
    let version = signers
        .first()
        .map_or(tlv(0x02, &[1]), |signer| signer.version.clone());
    let signers: Vec<u8> = signers.iter().flat_map(Signer::der).collect();
    Message {
        version,
        digests: set(&[&algorithm(SHA256)]),
        content: seq(&[&oid(DATA)]),
        certificates: vec![],
        revocation_lists: vec![],
        signers: tlv(0x31, &signers),
    }
}

impl Message {
    pub fn der(&self) -> Vec<u8> {
        let signed_data = seq(&[
            &self.version,
            &self.digests,
            &self.content,
            &self.certificates,
            &self.revocation_lists,
            &self.signers,
        ]);
        seq(&[&oid(SIGNED_DATA), &tlv(0xa0, &signed_data)])
    }
}

/// Some certificates: elements of the right tag, whatever is in them.
pub fn certificates() -> Vec<u8> {
    tlv(0xa0, &seq(&[&tlv(0x02, &[1])]))
}

/// The end of a file whose message has this length.
pub fn trailer_of(message_len: u32) -> Vec<u8> {
    let mut out = vec![0, 0, trailer::ID_PKCS7, 0, 0, 0, 0, 0];
    out.extend(message_len.to_be_bytes());
    out.extend(trailer::MARKER);
    out
}

pub const CONTENT: &[u8] = b"\x7fELF a module";

/// A module file with this message.
pub fn file(message: &[u8]) -> Vec<u8> {
    [CONTENT, message, &trailer_of(message.len() as u32)].concat()
}

/// A platform that writes down what it is asked. Its keys are the last octets of their
/// identifiers; a signature verifies if it is the word "good".
#[derive(Default)]
pub struct Double {
    pub trusted: Vec<u8>,
    pub platform: Vec<u8>,
    pub revoked: Vec<u8>,
    pub blacklist_all: bool,
    /// Content other than [`CONTENT`] is fine.
    pub any_content: bool,
    pub missing_hash: Option<DigestAlgorithm>,
    /// Answer this error to the question of this name.
    pub fail: Option<(&'static str, i32)>,
    pub asked: RefCell<Vec<&'static str>>,
}

impl Double {
    pub fn trusting(keys: &[u8]) -> Self {
        Double {
            trusted: keys.to_vec(),
            ..Double::default()
        }
    }

    pub fn count(&self, question: &str) -> usize {
        let asked = self.asked.borrow();
        asked.iter().filter(|&&asked| asked == question).count()
    }

    fn ask(&self, question: &'static str) -> Result<(), PlatformError> {
        self.asked.borrow_mut().push(question);
        match self.fail {
            Some((failing, code)) if failing == question => Err(PlatformError(code)),
            _ => Ok(()),
        }
    }
}

fn key_of(signer: &SignerId<'_>) -> u8 {
    match signer {
        SignerId::IssuerAndSerial { serial, .. } => *serial.last().unwrap(),
        SignerId::SubjectKeyId(id) => *id.last().unwrap(),
    }
}

impl Platform for Double {
    type Key = u8;
    type Hash = DigestAlgorithm;

    fn hash(&self, algorithm: DigestAlgorithm) -> Result<Option<Self::Hash>, PlatformError> {
        self.ask("hash")?;
        Ok(Some(algorithm).filter(|&algorithm| self.missing_hash != Some(algorithm)))
    }

    fn digest(&self, hash: &Self::Hash, content: &[u8]) -> Result<Digest, PlatformError> {
        self.ask("digest")?;
        assert!(
            self.any_content || content == CONTENT,
            "exactly the module is digested"
        );
        Digest::fill_with(*hash, |octets| {
            octets.fill(0xda);
            Ok(())
        })
    }

    fn is_revoked(&self, signer: &SignerId<'_>) -> Result<bool, PlatformError> {
        self.ask("is_revoked")?;
        Ok(self.revoked.contains(&key_of(signer)))
    }

    fn find_key(
        &self,
        keyring: Keyring,
        signer: &SignerId<'_>,
    ) -> Result<Option<Self::Key>, PlatformError> {
        let keys = match keyring {
            Keyring::Trusted => {
                self.ask("find trusted")?;
                &self.trusted
            }
            Keyring::Platform => {
                self.ask("find platform")?;
                &self.platform
            }
        };
        let key = key_of(signer);
        Ok(keys.contains(&key).then_some(key))
    }

    fn verify(&self, _key: &Self::Key, signature: &Signature<'_>) -> Result<bool, PlatformError> {
        self.ask("verify")?;
        assert_eq!(signature.digest.len(), signature.digest_algorithm.size());
        assert!(signature.digest.iter().all(|&octet| octet == 0xda));
        assert_eq!(signature.key, KeyAlgorithm::Rsa);
        Ok(signature.signature == b"good")
    }

    fn is_blacklisted(&self, _file: &[u8]) -> Result<bool, PlatformError> {
        self.ask("is_blacklisted")?;
        Ok(self.blacklist_all)
    }
}

/// A small random number generator (xorshift64*), the same on every run.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}
