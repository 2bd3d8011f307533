// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What is remembered of signatures for a release: that a key made one, so that it is asked once for
//! all modules that have the signature.
//!
//! Only the public-key operation is remembered. Whether a key is trusted or revoked, whether a module
//! or a certificate is blacklisted, what the policy is: all that is asked anew for each module, before
//! and after. An entry has all that the operation depends on, and what it has is compared byte by byte,
//! so the answer out of the memo is the one that the key would give. A signature that is not good
//! is never remembered.
//!
//! What may be in the memo is chosen by those who have a trusted key: without one, nobody makes a good
//! signature, so nobody can push another's out. Certificates in the message are no part of an entry. A
//! release of 4,000 modules whose messages have 64 KiB of certificates each, all different, takes one
//! entry for each of its signers, and what there is to do for the certificates is done for each module,
//! as it is for a module that was signed by itself. Only who holds trusted keys and makes more than
//! [`ENTRIES`] good signatures that are used in turn has nothing remembered: each load then costs what
//! it costs without the memo.

use core::ops::Deref;

use super::{
    DigestAlgorithm, KeyAlgorithm, Platform, PlatformError, Signature, Signed, Verification,
};

/// How many signatures are remembered.
pub const ENTRIES: usize = 8;

/// The longest signature that is remembered, and the longest signed attributes, in bytes. ML-DSA-87 has
/// the longest signatures, with 4627.
pub const MAX: usize = 8192;

/// One signature that a key has made. Its bytes are kept in a `B`.
#[derive(Debug)]
pub struct Entry<K, B> {
    /// Holds a reference: as long as the entry is there, there is no other key that could be taken for
    /// this one.
    key: K,
    algorithm: KeyAlgorithm,
    form: Form,
    signed: B,
    value: B,
}

/// What a [`Signed`] is, apart from its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Digest(DigestAlgorithm),
    Data,
    Attributes(DigestAlgorithm),
}

/// The parts of a [`Signed`].
fn parts<'a>(signed: &Signed<'a>) -> (Form, &'a [u8]) {
    match *signed {
        Signed::Digest { algorithm, octets } => (Form::Digest(algorithm), octets),
        Signed::Data(data) => (Form::Data, data),
        Signed::Attributes {
            algorithm,
            after_tag,
        } => (Form::Attributes(algorithm), after_tag),
    }
}

impl<K: PartialEq, B: Deref<Target = [u8]>> Entry<K, B> {
    /// An entry for a signature that is known to be good. `None` if it is longer than [`MAX`], or
    /// `copy` has no room for its bytes.
    pub fn new(
        key: K,
        signature: &Signature<'_>,
        copy: impl Fn(&[u8]) -> Option<B>,
    ) -> Option<Self> {
        let (form, signed) = parts(&signature.signed);
        if signed.len() > MAX || signature.value.len() > MAX {
            return None;
        }
        Some(Entry {
            key,
            algorithm: signature.key,
            form,
            signed: copy(signed)?,
            value: copy(signature.value)?,
        })
    }

    fn is(&self, key: &K, signature: &Signature<'_>) -> bool {
        let (form, signed) = parts(&signature.signed);
        self.key == *key
            && self.algorithm == signature.key
            && self.form == form
            && *self.signed == *signed
            && *self.value == *signature.value
    }

    fn is_same(&self, other: &Self) -> bool {
        self.key == other.key
            && self.algorithm == other.algorithm
            && self.form == other.form
            && *self.signed == *other.signed
            && *self.value == *other.value
    }
}

/// The signatures that are remembered.
#[derive(Debug)]
pub struct Memo<K, B> {
    entries: [Option<Entry<K, B>>; ENTRIES],
    /// Where the next one goes: the oldest is there, if all are in use.
    next: usize,
}

impl<K: PartialEq, B: Deref<Target = [u8]>> Memo<K, B> {
    const NONE: Option<Entry<K, B>> = None;

    /// One that knows nothing.
    pub const fn new() -> Self {
        Memo {
            entries: [Self::NONE; ENTRIES],
            next: 0,
        }
    }

    /// Whether this key is known to have made this signature.
    pub fn knows(&self, key: &K, signature: &Signature<'_>) -> bool {
        self.entries
            .iter()
            .flatten()
            .any(|entry| entry.is(key, signature))
    }

    /// Remembers a signature, in place of the oldest if all entries are in use. Returns what is not
    /// needed any more, for the caller to drop: that, or the new one if it was there already.
    pub fn remember(&mut self, entry: Entry<K, B>) -> Option<Entry<K, B>> {
        if self.entries.iter().flatten().any(|old| old.is_same(&entry)) {
            return Some(entry);
        }
        let slot = self.entries.get_mut(self.next)?;
        self.next = self.next.wrapping_add(1) % ENTRIES;
        slot.replace(entry)
    }
}

impl<K: PartialEq, B: Deref<Target = [u8]>> Default for Memo<K, B> {
    fn default() -> Self {
        Self::new()
    }
}

/// Where a platform has its [`Memo`].
pub trait Memory<K> {
    /// Whether this key is known to have made this signature.
    fn knows(&self, key: &K, signature: &Signature<'_>) -> bool;

    /// Remembers that this key made this signature, or does not: it may have no room.
    fn remember(&self, key: &K, signature: &Signature<'_>);
}

/// Whether this key made this signature: out of the memory, or asked of the platform, and remembered if
/// it did.
///
/// # Errors
///
/// Those of the platform.
#[inline(always)]
pub fn verify<P: Platform>(
    platform: &P,
    memory: &impl Memory<P::Key>,
    key: &P::Key,
    signature: &Signature<'_>,
) -> Result<Verification, PlatformError> {
    if memory.knows(key, signature) {
        return Ok(Verification::Good);
    }
    let answer = platform.verify(key, signature)?;
    if answer == Verification::Good {
        memory.remember(key, signature);
    }
    Ok(answer)
}
