// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Builds messages and files byte by byte, so that a test says what is in them.

#![allow(dead_code, reason = "each test program uses its own part of this")]

use std::cell::RefCell;

use modsig::verify::{
    cms::{self, SignerInfo},
    merkle, trailer, Blacklist, CertificateHash, Digest, DigestAlgorithm, Error, Hashes, KeyId,
    Keyring, Lookup, Platform, PlatformError, PublicKey, Signature, Signed, Tree, Verification,
};

pub const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
pub const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
pub const MS_INDIRECT_DATA: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x01, 0x04];
pub const SHA256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
pub const SHA512: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03];
pub const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
pub const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
pub const GOST2012: &[u8] = &[0x2a, 0x85, 0x03, 0x07, 0x01, 0x01, 0x01, 0x01];
pub const ML_DSA_44: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 17];
pub const CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 3];
pub const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 4];
pub const SIGNING_TIME: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 5];
pub const RSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 11];
pub const RSA_SHA512: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 13];
pub const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
pub const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
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

/// Reads a message; what is wrong with it, at whichever stage.
pub fn parse(der: &[u8]) -> Result<Vec<SignerInfo<'_>>, Error> {
    let message = cms::parse(der, Tree::default())?;
    Ok(message.signed_data()?.signers().collect())
}

/// Signed attributes over [`CONTENT`] as [`Double`] digests it, with these more.
pub fn signed_attributes(more: &[&[u8]]) -> Vec<u8> {
    let content_type = seq(&[&oid(CONTENT_TYPE), &set(&[&oid(DATA)])]);
    let digest = seq(&[&oid(MESSAGE_DIGEST), &set(&[&tlv(0x04, &[0xda; 32])])]);
    tlv(
        0xa0,
        &[&[&content_type[..], &digest], more].concat().concat(),
    )
}

/// A certificate, part by part. In [`Double`]'s world a key is a number: its certificate has it
/// as serial number, its subject's name, its subject key identifier and its public key.
#[derive(Clone)]
pub struct Cert {
    pub version: Vec<u8>,
    pub serial: Vec<u8>,
    pub inner: Vec<u8>,
    pub issuer: Vec<u8>,
    pub validity: Vec<u8>,
    pub subject: Vec<u8>,
    pub key: Vec<u8>,
    pub unique: Vec<u8>,
    pub extensions: Vec<Vec<u8>>,
    pub outer: Vec<u8>,
    pub signature: Vec<u8>,
}

/// The Name of a key.
pub fn name(key: u8) -> Vec<u8> {
    tlv(0x30, &issuer(&format!("key {key}")))
}

/// The subject key identifier of a key.
pub fn key_id(key: u8) -> [u8; 2] {
    [0x5c, key]
}

/// One extension, not critical.
pub fn extension(arc: u8, value: &[u8]) -> Vec<u8> {
    seq(&[&oid(&[0x55, 0x1d, arc]), &tlv(0x04, value)])
}

/// The AuthorityKeyIdentifier that names a key by its key identifier.
pub fn authority_key_id(key: u8) -> Vec<u8> {
    extension(35, &seq(&[&tlv(0x80, &key_id(key))]))
}

/// The AuthorityKeyIdentifier that names a certificate by issuer and serial number; with the key
/// identifier of another key, if one is given.
pub fn authority_by_serial(key: u8, issuer_key: u8, by_key_id: Option<u8>) -> Vec<u8> {
    let id = by_key_id.map_or(vec![], |key| tlv(0x80, &key_id(key)));
    let names = tlv(0xa1, &tlv(0xa4, &name(issuer_key)));
    extension(35, &seq(&[&id, &names, &tlv(0x82, &[key])]))
}

/// The certificate of a key, signed by another, which it names by key identifier.
pub fn cert(key: u8, by: u8) -> Cert {
    let time = tlv(0x17, b"200101000000Z");
    let end = tlv(0x17, b"490101000000Z");
    Cert {
        version: tlv(0xa0, &tlv(0x02, &[2])),
        serial: tlv(0x02, &[key]),
        inner: seq(&[&oid(RSA_SHA256), &[0x05, 0x00]]),
        issuer: name(by),
        validity: seq(&[&time, &end]),
        subject: name(key),
        key: seq(&[
            &seq(&[&oid(RSA), &[0x05, 0x00]]),
            &tlv(0x03, &[0, 0xee, key]),
        ]),
        unique: vec![],
        extensions: vec![
            extension(14, &tlv(0x04, &key_id(key))),
            authority_key_id(by),
        ],
        outer: seq(&[&oid(RSA_SHA256), &[0x05, 0x00]]),
        signature: tlv(0x03, &[0, b'b', b'y', by]),
    }
}

impl Cert {
    pub fn der(&self) -> Vec<u8> {
        let extensions = match &self.extensions[..] {
            [] => vec![],
            some => tlv(0xa3, &tlv(0x30, &some.concat())),
        };
        let tbs = seq(&[
            &self.version,
            &self.serial,
            &self.inner,
            &self.issuer,
            &self.validity,
            &self.subject,
            &self.key,
            &self.unique,
            &extensions,
        ]);
        seq(&[&tbs, &self.outer, &self.signature])
    }
}

/// The signer whose certificate is `cert(key, by)`; its signature is by its own key.
pub fn signer_of(key: u8, by: u8) -> Signer {
    Signer {
        sid: seq(&[&name(by), &tlv(0x02, &[key])]),
        signature: tlv(0x04, &[b'b', b'y', key]),
        ..signer(key)
    }
}

/// The certificates field of a message.
pub fn certificates(certificates: &[Cert]) -> Vec<u8> {
    let all: Vec<u8> = certificates.iter().flat_map(Cert::der).collect();
    tlv(0xa0, &all)
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

/// A platform that writes down what it is asked. Its keys are the last bytes of their
/// identifiers (of an issuer and serial number: the serial number's last byte). A signature
/// verifies if it is the word "good", or "by" and the key's number.
#[derive(Default)]
pub struct Double {
    pub ml_dsa: bool,
    pub trusted: Vec<u8>,
    pub platform: Vec<u8>,
    pub revoked: Vec<u8>,
    /// Keys that are filed under another SubjectKeyIdentifier than one would think.
    pub other_key_id: Vec<u8>,
    /// Whether files are looked for on the blacklist, and whether all are on it.
    pub file_hashes: bool,
    pub blacklist_all: bool,
    /// The digest of a file comes with that of its content.
    pub one_pass: bool,
    /// Certificates with these bytes in them are blacklisted.
    pub blacklisted: Vec<Vec<u8>>,
    pub certificate_hash: CertificateHash,
    /// Content other than [`CONTENT`] is fine.
    pub any_content: bool,
    pub missing_hash: Option<DigestAlgorithm>,
    /// Nothing is known of public keys with this number.
    pub unsupported_key: Option<u8>,
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

    fn is_good(&self, key: u8, signature: &Signature<'_>) -> bool {
        match signature.signed {
            // The first byte is what was digested.
            Signed::Digest { algorithm, octets } => {
                assert_eq!(octets.len(), algorithm.size());
                assert!(octets[1..].iter().all(|&octet| octet == 0xda));
            }
            Signed::Data(data) => assert!(data == CONTENT || data[0] == 0x30),
            Signed::Attributes { after_tag, .. } => {
                assert_eq!(usize::from(after_tag[0]), after_tag.len() - 1)
            }
        }
        signature.value == b"good" || signature.value == [b'b', b'y', key]
    }
}

/// The number of a key.
fn key_of(KeyId(first, _): KeyId<'_>) -> u8 {
    *first.last().unwrap()
}

/// What [`Double`] makes of a certificate: blacklisted ones have a digest of their own.
const BLACKLISTED: u8 = 0xbb;

impl Hashes for Double {
    type Hash = DigestAlgorithm;

    fn root(&self) -> Option<merkle::Root> {
        None
    }

    fn tree(&self) -> Tree {
        Tree {
            ml_dsa: self.ml_dsa,
            ml_dsa_attributes: self.ml_dsa,
            certificate_hash: self.certificate_hash,
            file_hashes: self.file_hashes,
        }
    }

    fn hash(&self, algorithm: DigestAlgorithm) -> Result<Option<Self::Hash>, PlatformError> {
        self.ask("hash")?;
        Ok(Some(algorithm).filter(|&algorithm| self.missing_hash != Some(algorithm)))
    }

    fn digest(
        &self,
        _: &Self::Hash,
        parts: &[&[u8]],
        digest: &mut Digest,
    ) -> Result<(), PlatformError> {
        let content = &parts.concat()[..];
        let is_certificate = content.first() == Some(&0x30);
        self.ask(if is_certificate {
            "digest tbs"
        } else {
            "digest"
        })?;
        let blacklisted = |octets: &Vec<u8>| content.windows(octets.len()).any(|at| at == octets);
        assert!(
            self.any_content || is_certificate || content.starts_with(CONTENT),
            "exactly the module is digested"
        );
        let mut octets = [0xda; Digest::MAX];
        if is_certificate && self.blacklisted.iter().any(blacklisted) {
            octets[0] = BLACKLISTED;
        }
        *digest.buffer() = octets;
        Ok(())
    }

    fn digest_twice(
        &self,
        hash: &Self::Hash,
        start: &[u8],
        end: Option<&[u8]>,
        digest: &mut Digest,
        both: &mut Option<Digest>,
    ) -> Result<(), PlatformError> {
        self.digest(hash, &[start], digest)?;
        assert!(end.is_none_or(|end| self.file_hashes && !end.is_empty()));
        if self.one_pass && end.is_some() {
            *both = Some(*digest);
        }
        Ok(())
    }

    fn is_blacklisted(&self, what: Blacklist, digest: &Digest) -> Result<bool, PlatformError> {
        match what {
            Blacklist::File => {
                self.ask("is_blacklisted")?;
                Ok(self.blacklist_all)
            }
            Blacklist::Certificate => {
                self.ask("is certificate blacklisted")?;
                Ok(digest.as_bytes()[0] == BLACKLISTED)
            }
        }
    }
}

impl Platform for Double {
    type Key = u8;

    fn find_key(
        &self,
        keyring: Keyring,
        first: Option<KeyId<'_>>,
        second: Option<KeyId<'_>>,
    ) -> Result<Lookup<Self::Key>, PlatformError> {
        let keys = match keyring {
            Keyring::Trusted => {
                self.ask("find trusted")?;
                &self.trusted
            }
            Keyring::Platform => {
                self.ask("find platform")?;
                &self.platform
            }
            Keyring::Revoked => {
                self.ask("find revoked")?;
                &self.revoked
            }
        };
        let key = key_of(first.or(second).expect("an identifier"));
        Ok(if !keys.contains(&key) {
            Lookup::Unknown
        } else if first.is_some() && second.is_some() && self.other_key_id.contains(&key) {
            Lookup::Mismatch
        } else {
            Lookup::Found(key)
        })
    }

    fn verify(
        &self,
        key: &Self::Key,
        signature: &Signature<'_>,
    ) -> Result<Verification, PlatformError> {
        self.ask("verify")?;
        Ok(if self.unsupported_key == Some(*key) {
            Verification::Unsupported
        } else if self.is_good(*key, signature) {
            Verification::Good
        } else {
            Verification::Bad(-129)
        })
    }

    fn verify_with(
        &self,
        key: &PublicKey<'_>,
        signature: &Signature<'_>,
    ) -> Result<Verification, PlatformError> {
        self.ask("verify with")?;
        let key = *key.octets.last().unwrap();
        Ok(if self.unsupported_key == Some(key) {
            Verification::Unsupported
        } else if self.is_good(key, signature) {
            Verification::Good
        } else {
            Verification::Bad(-129)
        })
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
