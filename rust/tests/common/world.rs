// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A world with real digests, and keys that come and go: a signature is a digest of what is signed and
//! of the key's secret.

#![allow(dead_code, reason = "each test program uses its own part of this")]

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use modsig::verify::{
    memo::{self, Entry, Memo, Memory},
    merkle, Blacklist, CertificateHash, Digest, DigestAlgorithm, Hashes, KeyId, Keyring, Lookup,
    Platform, PlatformError, PublicKey, Signature, Signed, Tree, Verification,
};

use super::slow::sha256;

/// A key as a keyring has it: another one with the same secret is another key.
#[derive(Clone)]
pub struct Key(Rc<u8>);

impl Key {
    pub fn new(secret: u8) -> Self {
        Key(Rc::new(secret))
    }

    /// How many hold it.
    pub fn holders(&self) -> usize {
        Rc::strong_count(&self.0)
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

/// The signature of a secret over what [`Signed`] has.
pub fn sign(secret: u8, signed: &[u8]) -> Vec<u8> {
    sha256(&[&[secret], signed]).to_vec()
}

#[derive(Default)]
pub struct World {
    /// By the last byte of an identifier.
    pub trusted: BTreeMap<u8, Key>,
    pub revoked: BTreeSet<u8>,
    /// Digests of whole files.
    pub blacklisted: BTreeSet<Vec<u8>>,
    pub file_hashes: bool,
    pub ml_dsa: bool,
    pub releases: bool,
    pub root: Option<merkle::Root>,
    pub missing: Option<DigestAlgorithm>,
    pub unsupported: Cell<bool>,
    /// What the next signature that is checked fails with.
    pub fails: Cell<Option<i32>>,
    pub memo: Option<RefCell<Memo<Key, Vec<u8>>>>,
    /// Signatures that were checked, and digests that were made.
    pub verified: Cell<usize>,
    pub digested: Cell<usize>,
}

impl World {
    /// One that takes releases by these keys, each with its number for a secret.
    pub fn trusting(keys: &[u8]) -> Self {
        World {
            trusted: keys.iter().map(|&key| (key, Key::new(key))).collect(),
            releases: true,
            ..World::default()
        }
    }

    fn answer(&self, secret: u8, signature: &Signature<'_>) -> Result<Verification, PlatformError> {
        self.verified.set(self.verified.get() + 1);
        if let Some(code) = self.fails.take() {
            return Err(PlatformError(code));
        }
        let signed = match signature.signed {
            Signed::Digest { octets, .. } => octets,
            Signed::Data(data) => data,
            Signed::Attributes { after_tag, .. } => after_tag,
        };
        Ok(if self.unsupported.get() {
            Verification::Unsupported
        } else if signature.value == sign(secret, signed) {
            Verification::Good
        } else {
            Verification::Bad(-129)
        })
    }
}

impl Hashes for World {
    type Hash = DigestAlgorithm;

    fn root(&self) -> Option<merkle::Root> {
        self.root
    }

    fn tree(&self) -> Tree {
        Tree {
            ml_dsa: self.ml_dsa,
            ml_dsa_attributes: self.ml_dsa,
            certificate_hash: CertificateHash::None,
            file_hashes: self.file_hashes,
        }
    }

    fn hash(&self, algorithm: DigestAlgorithm) -> Result<Option<Self::Hash>, PlatformError> {
        Ok((self.missing != Some(algorithm)).then_some(algorithm))
    }

    fn digest(
        &self,
        _: &Self::Hash,
        parts: &[&[u8]],
        digest: &mut Digest,
    ) -> Result<(), PlatformError> {
        self.digested.set(self.digested.get() + 1);
        digest.buffer()[..32].copy_from_slice(&sha256(parts));
        Ok(())
    }

    fn is_blacklisted(&self, what: Blacklist, digest: &Digest) -> Result<bool, PlatformError> {
        assert_eq!(what, Blacklist::File);
        Ok(self.blacklisted.contains(digest.as_bytes()))
    }
}

impl Platform for World {
    type Key = Key;

    fn releases(&self) -> bool {
        self.releases
    }

    fn find_key(
        &self,
        keyring: Keyring,
        first: Option<KeyId<'_>>,
        second: Option<KeyId<'_>>,
    ) -> Result<Lookup<Key>, PlatformError> {
        let KeyId(id, _) = first.or(second).expect("an identifier");
        let number = id.last().expect("an identifier is not empty");
        Ok(match keyring {
            Keyring::Trusted => match self.trusted.get(number) {
                Some(key) => Lookup::Found(key.clone()),
                None => Lookup::Unknown,
            },
            Keyring::Revoked if self.revoked.contains(number) => Lookup::Found(Key::new(0)),
            _ => Lookup::Unknown,
        })
    }

    fn verify(&self, key: &Key, signature: &Signature<'_>) -> Result<Verification, PlatformError> {
        self.answer(*key.0, signature)
    }

    fn verify_release(
        &self,
        key: &Key,
        signature: &Signature<'_>,
    ) -> Result<Verification, PlatformError> {
        match &self.memo {
            Some(memo) => memo::verify(self, memo, key, signature),
            None => self.verify(key, signature),
        }
    }

    /// The secret is the last byte of the public key.
    fn verify_with(
        &self,
        key: &PublicKey<'_>,
        signature: &Signature<'_>,
    ) -> Result<Verification, PlatformError> {
        self.answer(*key.octets.last().expect("a key"), signature)
    }
}

/// As a kernel does it, without a lock.
impl Memory<Key> for RefCell<Memo<Key, Vec<u8>>> {
    fn knows(&self, key: &Key, signature: &Signature<'_>) -> bool {
        self.borrow().knows(key, signature)
    }

    fn remember(&self, key: &Key, signature: &Signature<'_>) {
        let entry = Entry::new(key.clone(), signature, |octets| Some(octets.to_vec()));
        if let Some(entry) = entry {
            self.borrow_mut().remember(entry);
        }
    }
}
