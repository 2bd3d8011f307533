// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Message digests.
//!
//! C header: [`include/crypto/hash.h`](srctree/include/crypto/hash.h)

use core::{ffi::c_int, marker::PhantomData, mem::MaybeUninit, ptr::NonNull};

use kernel::bindings;

use super::{c_string, errno};
use crate::verify::{Blacklist, Digest, DigestAlgorithm, PlatformError};

/// A synchronous message digest.
///
/// # Invariants
///
/// `tfm` is a transform of `crypto_alloc_shash()` that was not yet freed, and its digests have no more
/// than [`Digest::MAX`] bytes.
pub(crate) struct Shash {
    tfm: NonNull<bindings::crypto_shash>,
}

impl Shash {
    /// Gets a transform; `None` if this kernel does not have the algorithm.
    pub(super) fn new(algorithm: DigestAlgorithm) -> Result<Option<Self>, PlatformError> {
        // SAFETY: the name is a C string; may sleep, as the module loader may.
        let tfm = unsafe { bindings::crypto_alloc_shash(c_string(algorithm.c_name()), 0, 0) };
        match errno::from_ptr(tfm) {
            // INVARIANT: just allocated; the crypto API's name of an algorithm fixes the size.
            Ok(tfm) => Ok(Some(Shash { tfm })),
            Err(PlatformError(errno::ENOENT)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Digests these parts, one behind the other; each has at most `u32::MAX` bytes. `digest` is
    /// of the same algorithm.
    #[inline(never)]
    pub(super) fn digest(&self, parts: &[&[u8]], digest: &mut Digest) -> Result<(), PlatformError> {
        let mut state = State::<MAX_STATE>::new(self)?;
        state.init()?;
        // The last part ends it; no part at all is as good as an empty one.
        let (last, others): (&[u8], &[&[u8]]) = match parts {
            [others @ .., last] => (last, others),
            [] => (&[], &[]),
        };
        for part in others {
            state.update(part)?;
        }
        state.finish(last, digest.buffer())
    }

    /// Whether a digest under way is small enough for [`Self::digest_twice`].
    pub(super) fn is_small(&self) -> bool {
        let tfm = self.tfm.as_ptr();
        // SAFETY: `tfm` is valid by the type's invariant.
        let sizes = unsafe {
            [
                bindings::crypto_shash_descsize(tfm),
                bindings::crypto_shash_statesize(tfm),
            ]
        };
        sizes.iter().all(|&size| size as usize <= SMALL_STATE)
    }

    /// Digests `start`, and puts into `both` the digest of `start` with `end` behind it, in one pass.
    /// `digest` is of the same algorithm.
    /// Only for a small one, so that it takes no more of the stack than [`Self::digest`].
    #[inline(never)]
    pub(super) fn digest_twice(
        &self,
        start: &[u8],
        end: &[u8],
        digest: &mut Digest,
        both: &mut Option<Digest>,
    ) -> Result<(), PlatformError> {
        if !self.is_small() {
            return Err(PlatformError(errno::ENOPKG));
        }
        let mut aside = MaybeUninit::<[u8; SMALL_STATE]>::uninit();
        let mut state = State::<SMALL_STATE>::new(self)?;
        state.init()?;
        state.update(start)?;
        // SAFETY: by its type's invariant the state is one of `tfm`, initialised, and `aside` has room
        // for what is exported of it, as was just seen.
        errno::from_int(unsafe {
            bindings::crypto_shash_export(state.desc(), aside.as_mut_ptr().cast())
        })?;
        state.finish(&[], digest.buffer())?;
        // SAFETY: `aside` is what was exported of a state of the same `tfm`.
        errno::from_int(unsafe {
            bindings::crypto_shash_import(state.desc(), aside.as_ptr().cast())
        })?;
        let both = both.insert(*digest);
        state.finish(end, both.buffer())
    }
}

/// Bytes of the state that SHA-256 has (`struct sha256_state`), and some.
const SMALL_STATE: usize = 128;

/// Bytes that the state of a digest may have: no fewer than C lets any algorithm have
/// (`HASH_MAX_DESCSIZE`, at most 376 in 6.12 and 361 in 7.3).
const MAX_STATE: usize = 384;

/// A digest under way: C's `SHASH_DESC_ON_STACK`. C keeps no pointer to it, or into it, between two
/// calls.
///
/// # Invariants
///
/// `desc.tfm` is the transform of `hash`, whose state fits into `bytes`, which follow `desc` without
/// a gap.
#[repr(C, align(16))]
struct State<'a, const SIZE: usize> {
    desc: bindings::shash_desc,
    octets: MaybeUninit<[u8; SIZE]>,
    hash: PhantomData<&'a Shash>,
}

// The state starts where the descriptor ends.
const _: () = assert!(
    core::mem::offset_of!(State<'static, MAX_STATE>, octets)
        == core::mem::size_of::<bindings::shash_desc>()
        && core::mem::offset_of!(State<'static, SMALL_STATE>, octets)
            == core::mem::size_of::<bindings::shash_desc>()
);

impl<'a, const SIZE: usize> State<'a, SIZE> {
    fn new(hash: &'a Shash) -> Result<Self, PlatformError> {
        let tfm = hash.tfm.as_ptr();
        // SAFETY: `tfm` is valid by its type's invariant.
        if unsafe { bindings::crypto_shash_descsize(tfm) } as usize > SIZE {
            return Err(PlatformError(errno::ENOPKG));
        }
        // INVARIANT: the state fits, as was just seen.
        Ok(State {
            desc: bindings::shash_desc {
                tfm,
                ..Default::default()
            },
            octets: MaybeUninit::uninit(),
            hash: PhantomData,
        })
    }

    fn init(&mut self) -> Result<(), PlatformError> {
        // SAFETY: by the type's invariant `desc` has a valid transform, and room behind it for that
        // transform's state.
        errno::from_int(unsafe { bindings::crypto_shash_init(self.desc()) })
    }

    /// The descriptor, for C, with a claim to all of `self`: the state is behind it.
    fn desc(&mut self) -> *mut bindings::shash_desc {
        core::ptr::from_mut(self).cast()
    }

    fn update(&mut self, part: &[u8]) -> Result<(), PlatformError> {
        let len = length(part)?;
        // SAFETY: as above, and `digest()`, the only caller, has initialised the state; `part` has
        // `len` bytes.
        errno::from_int(unsafe { bindings::crypto_shash_update(self.desc(), part.as_ptr(), len) })
    }

    fn finish(&mut self, last: &[u8], digest: &mut [u8; Digest::MAX]) -> Result<(), PlatformError> {
        let len = length(last)?;
        let digest = digest.as_mut_ptr();
        // SAFETY: as for `update()`; `last` has `len` bytes, and `digest` has room for the largest
        // digest.
        errno::from_int(unsafe {
            bindings::crypto_shash_finup(self.desc(), last.as_ptr(), len, digest)
        })
    }
}

/// A length as the crypto API takes it.
fn length(octets: &[u8]) -> Result<u32, PlatformError> {
    u32::try_from(octets.len()).map_err(|_| PlatformError(-(bindings::EFBIG as c_int)))
}

impl Drop for Shash {
    fn drop(&mut self) {
        let tfm = self.tfm.as_ptr();
        // SAFETY: `tfm` is valid by the type's invariant, and nobody uses it after this.
        unsafe { bindings::crypto_free_shash(tfm) };
    }
}

/// Whether there is any file on the blacklist: if not, none need be digested to look for it.
pub(super) fn blacklist_has_files() -> bool {
    #[cfg(CONFIG_SYSTEM_BLACKLIST_KEYRING)]
    // SAFETY: has no preconditions.
    return unsafe { bindings::module_blacklist_has_files() };
    #[cfg(not(CONFIG_SYSTEM_BLACKLIST_KEYRING))]
    false
}

/// Whether a digest is on the blacklist.
pub(super) fn is_blacklisted(what: Blacklist, digest: &Digest) -> Result<bool, PlatformError> {
    #[cfg(CONFIG_SYSTEM_BLACKLIST_KEYRING)]
    {
        let kind = match what {
            Blacklist::Certificate => bindings::blacklist_hash_type_BLACKLIST_HASH_X509_TBS,
            Blacklist::File => bindings::blacklist_hash_type_BLACKLIST_HASH_BINARY,
        };
        let octets = digest.as_bytes();
        // SAFETY: `bytes` has as many bytes as is said.
        let result = unsafe { bindings::is_hash_blacklisted(octets.as_ptr(), octets.len(), kind) };
        match result {
            errno::EKEYREJECTED => Ok(true),
            other => errno::from_int(other).map(|()| false),
        }
    }
    // Without the keyring it is an inline function of C, which says no.
    #[cfg(not(CONFIG_SYSTEM_BLACKLIST_KEYRING))]
    {
        let _ = (what, digest);
        Ok(false)
    }
}
