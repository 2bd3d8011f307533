// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A platform out of a few bytes, that writes down what it is asked and about what.
//!
//! There are eight keys: an identifier's, a public key's and a signature's is its last byte,
//! less all but three bits. So random changes make and break signatures and chains often. Digests
//! are constant, so that attributes can have the right one; that the right bytes are digested is
//! seen from where they are.

use std::cell::RefCell;

use modsig::verify::{
    merkle, release, Blacklist, CertificateHash, Digest, DigestAlgorithm, Flags, Hashes, KeyId,
    Keyring, Lookup, Platform, PlatformError, PublicKey, Signature, Signed, Tree, Verification,
};

/// The error number of a call that fails.
pub const FAILURE: i32 = -12;

/// What the platform's digest of a module is made of.
pub const DIGEST: u8 = 0xda;

const ALGORITHMS: [DigestAlgorithm; 11] = [
    DigestAlgorithm::Sha1,
    DigestAlgorithm::Sha224,
    DigestAlgorithm::Sha256,
    DigestAlgorithm::Sha384,
    DigestAlgorithm::Sha512,
    DigestAlgorithm::Sm3,
    DigestAlgorithm::Streebog256,
    DigestAlgorithm::Streebog512,
    DigestAlgorithm::Sha3_256,
    DigestAlgorithm::Sha3_384,
    DigestAlgorithm::Sha3_512,
];

/// Some of the eight keys, a bit for each.
#[derive(Clone, Copy, Debug, Default)]
pub struct Keys(pub u8);

impl Keys {
    fn has(self, key: u8) -> bool {
        self.0 >> (key & 7) & 1 != 0
    }
}

/// What the world is like in which a file is checked.
#[derive(Clone, Debug)]
pub struct World {
    pub flags: Flags,
    pub tree: Tree,
    pub trusted: Keys,
    pub platform: Keys,
    pub revoked: Keys,
    /// Keys that are filed under another SubjectKeyIdentifier.
    pub mismatched: Keys,
    /// Public keys with which nothing can be checked.
    pub unsupported: Keys,
    /// Certificates of which the TBSCertificate ends in these.
    pub blacklisted: Keys,
    pub file_blacklisted: bool,
    pub missing_hash: Option<DigestAlgorithm>,
    /// Which call fails.
    pub fails: Option<usize>,
    /// The module is another one than was signed.
    pub tampered: bool,
    /// Signatures for a release count.
    pub releases: bool,
}

impl World {
    /// How many bytes say what a world is like.
    pub const SIZE: usize = 9;

    /// The world that these bytes describe.
    pub fn new(octets: [u8; Self::SIZE]) -> Self {
        let [bits, trusted, platform, revoked, mismatched, unsupported, blacklisted, hash, fails] =
            octets;
        let bit = |number: u8| bits >> number & 1 != 0;
        World {
            flags: Flags {
                ignore_modversions: bit(0) && bit(1),
                ignore_vermagic: bit(0) && bit(2),
            },
            tree: Tree {
                ml_dsa: bit(3),
                ml_dsa_attributes: bit(3) && bit(4),
                certificate_hash: match bits >> 5 & 3 {
                    0 => CertificateHash::None,
                    1 => CertificateHash::Sha256,
                    _ => CertificateHash::OfSignature,
                },
                file_hashes: bit(7),
            },
            trusted: Keys(trusted),
            platform: Keys(platform),
            revoked: Keys(revoked),
            mismatched: Keys(mismatched),
            unsupported: Keys(unsupported),
            blacklisted: Keys(blacklisted),
            file_blacklisted: hash & 0x80 != 0,
            missing_hash: ALGORITHMS.get(usize::from(hash & 0x7f)).copied(),
            fails: usize::from(fails).checked_sub(1),
            tampered: false,
            releases: false,
        }
    }
}

/// One question, and the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Hash,
    /// Address and length of what is digested; of a leaf, of its module.
    Digest(usize, usize),
    /// A node of a release's tree.
    Node,
    /// The head of a release.
    Head,
    Find(Keyring, bool),
    /// A signature value's address, and the answer.
    Verify(usize, bool),
    VerifyWith(usize, Verification),
    Blacklisted(bool),
    Failed,
}

/// The platform.
pub struct Recorder<'w> {
    pub world: &'w World,
    /// The module: all else that is digested is a file or a part of a message.
    pub content: &'w [u8],
    pub file: &'w [u8],
    pub events: RefCell<Vec<Event>>,
}

impl<'w> Recorder<'w> {
    pub fn new(world: &'w World, content: &'w [u8], file: &'w [u8]) -> Self {
        Recorder {
            world,
            content,
            file,
            events: RefCell::default(),
        }
    }

    /// How many events are like this.
    pub fn count(&self, like: impl Fn(&Event) -> bool) -> usize {
        self.events
            .borrow()
            .iter()
            .filter(|event| like(event))
            .count()
    }

    fn ask<T>(&self, event: Event, answer: T) -> Result<T, PlatformError> {
        let mut events = self.events.borrow_mut();
        assert_ne!(events.last(), Some(&Event::Failed), "asked after a failure");
        if self.world.fails == Some(events.len()) {
            events.push(Event::Failed);
            return Err(PlatformError(FAILURE));
        }
        events.push(event);
        Ok(answer)
    }

    fn is_good(&self, key: u8, signature: &Signature<'_>) -> bool {
        let of_content = match signature.signed {
            Signed::Digest { algorithm, octets } => {
                assert_eq!(octets.len(), algorithm.size());
                assert!(!signature.key.is_ml_dsa());
                // A certificate's starts with a key.
                octets[0] > 7
            }
            Signed::Data(data) => {
                assert!(signature.key.is_ml_dsa());
                let of_content = data.as_ptr() == self.content.as_ptr();
                assert!(!of_content || data.len() == self.content.len());
                of_content || self.is_head(data)
            }
            Signed::Attributes { after_tag, .. } => {
                assert!(signature.key.is_ml_dsa());
                super::offset(after_tag, self.file);
                true
            }
        };
        super::offset(signature.value, self.file);
        key_of(signature.value) == Some(key) && !(of_content && self.world.tampered)
    }
}

/// The key that bytes stand for.
fn key_of(octets: &[u8]) -> Option<u8> {
    octets.last().map(|last| last & 7)
}

fn address(octets: &[u8]) -> usize {
    octets.as_ptr() as usize
}

impl Hashes for Recorder<'_> {
    type Hash = DigestAlgorithm;

    fn root(&self) -> Option<merkle::Root> {
        None
    }

    fn tree(&self) -> Tree {
        self.world.tree
    }

    fn hash(&self, algorithm: DigestAlgorithm) -> Result<Option<Self::Hash>, PlatformError> {
        let there = self.world.missing_hash != Some(algorithm);
        self.ask(Event::Hash, there.then_some(algorithm))
    }

    fn digest(
        &self,
        _: &Self::Hash,
        parts: &[&[u8]],
        digest: &mut Digest,
    ) -> Result<(), PlatformError> {
        let content = match *parts {
            [content] if !self.is_head(content) => content,
            [release::LEAF, module] => {
                assert!(self.world.releases);
                assert_eq!(
                    (address(module), module.len()),
                    (address(self.content), self.content.len())
                );
                module
            }
            [head] => {
                *digest.buffer() = [DIGEST; Digest::MAX];
                // The root is made of nothing but the digests above.
                assert_eq!(head[head.len() - 32..], [DIGEST; 32]);
                return self.ask(Event::Head, ());
            }
            [release::NODE, left, right] => {
                assert_eq!((left.len(), right.len()), (32, 32));
                *digest.buffer() = [DIGEST; Digest::MAX];
                return self.ask(Event::Node, ());
            }
            _ => panic!("nothing else is digested in parts"),
        };
        super::offset(content, self.file);
        let of_file = address(content) == address(self.file);
        let first = match (of_file, self.world.tampered) {
            _ if parts.len() > 1 => DIGEST,
            (true, false) => DIGEST,
            (true, true) => !DIGEST,
            (false, _) => content[content.len() - 1] & 7,
        };
        let mut octets = [DIGEST; Digest::MAX];
        octets[0] = first;
        *digest.buffer() = octets;
        self.ask(Event::Digest(address(content), content.len()), ())
    }

    fn is_blacklisted(&self, what: Blacklist, digest: &Digest) -> Result<bool, PlatformError> {
        let answer = match what {
            Blacklist::File => self.world.file_blacklisted,
            Blacklist::Certificate => self.world.blacklisted.has(digest.as_bytes()[0]),
        };
        self.ask(Event::Blacklisted(answer), answer)
    }
}

impl Recorder<'_> {
    /// Whether these bytes are the head of a release: no part of a file, and nothing else is not.
    fn is_head(&self, octets: &[u8]) -> bool {
        let inside = self.file.as_ptr_range().contains(&octets.as_ptr());
        assert!(inside || octets.is_empty() || self.world.releases);
        !inside && octets.len() == release::HEAD_SIZE && octets.starts_with(&release::CONTEXT)
    }
}

impl Platform for Recorder<'_> {
    type Key = u8;

    fn releases(&self) -> bool {
        self.world.releases
    }

    fn find_key(
        &self,
        keyring: Keyring,
        first: Option<KeyId<'_>>,
        second: Option<KeyId<'_>>,
    ) -> Result<Lookup<Self::Key>, PlatformError> {
        let keys = match keyring {
            Keyring::Trusted => self.world.trusted,
            Keyring::Platform => self.world.platform,
            Keyring::Revoked => self.world.revoked,
        };
        for id in [first, second].into_iter().flatten() {
            super::offset(id.0, self.file);
            super::offset(id.1, self.file);
        }
        let KeyId(id, _) = first.or(second).expect("at least one identifier");
        let key = key_of(id).expect("an identifier is not empty");
        let answer = if !keys.has(key) {
            Lookup::Unknown
        } else if first.is_some() && second.is_some() && self.world.mismatched.has(key) {
            Lookup::Mismatch
        } else {
            Lookup::Found(key)
        };
        self.ask(
            Event::Find(keyring, matches!(answer, Lookup::Found(_))),
            answer,
        )
    }

    fn verify(
        &self,
        key: &Self::Key,
        signature: &Signature<'_>,
    ) -> Result<Verification, PlatformError> {
        let good = self.is_good(*key, signature);
        let answer = match good {
            true => Verification::Good,
            false => Verification::Bad(-129),
        };
        self.ask(Event::Verify(address(signature.value), good), answer)
    }

    fn verify_with(
        &self,
        key: &PublicKey<'_>,
        signature: &Signature<'_>,
    ) -> Result<Verification, PlatformError> {
        for part in [key.parameters, key.octets, key.info] {
            super::offset(part, self.file);
        }
        let answer = match key_of(key.octets) {
            Some(key) if self.world.unsupported.has(key) => Verification::Unsupported,
            Some(key) if self.is_good(key, signature) => Verification::Good,
            _ => Verification::Bad(-129),
        };
        self.ask(Event::VerifyWith(address(signature.value), answer), answer)
    }
}
