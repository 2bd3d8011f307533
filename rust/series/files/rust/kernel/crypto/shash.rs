// SPDX-License-Identifier: GPL-2.0

//! Synchronous message digests.
//!
//! C header: [`include/crypto/hash.h`](srctree/include/crypto/hash.h)

use crate::{
    bindings,
    error::{
        from_err_ptr,
        to_result, //
    },
    prelude::*,
};

use core::{
    mem::MaybeUninit,
    ptr::NonNull, //
};

/// A synchronous message digest algorithm, ready for use.
///
/// # Invariants
///
/// `tfm` is a transform of `crypto_alloc_shash()` that was not freed yet.
///
/// # Examples
///
/// ```
/// use kernel::crypto::shash::Shash;
///
/// let sha256 = match Shash::new(c"sha256") {
///     // Not built into this kernel.
///     Err(ENOENT) => return Ok(()),
///     other => other?,
/// };
/// let (mut whole, mut parts) = ([0u8; 32], [0u8; 32]);
/// sha256.digest(&[b"abc"], &mut whole)?;
/// sha256.digest(&[b"a", b"", b"bc"], &mut parts)?;
/// assert_eq!(whole, parts);
/// assert_eq!(whole[..4], [0xba, 0x78, 0x16, 0xbf]);
///
/// // A buffer that is too small is not written to.
/// assert_eq!(sha256.digest(&[b"abc"], &mut [0u8; 31]), Err(EINVAL));
/// assert_eq!(Shash::new(c"no-such-digest").err(), Some(ENOENT));
/// # Ok::<(), Error>(())
/// ```
pub struct Shash {
    tfm: NonNull<bindings::crypto_shash>,
}

// SAFETY: A transform without a key is not changed by being used, and `crypto_free_shash()` can be
// called from any thread.
unsafe impl Send for Shash {}

// SAFETY: The state of a digest is in its descriptor, of which each has its own; a transform that
// has no key is only read.
unsafe impl Sync for Shash {}

impl Shash {
    /// Allocates a transform by its name in the crypto API.
    ///
    /// The answer is `ENOENT` if the kernel does not have the algorithm. May sleep, and may load a
    /// module.
    pub fn new(name: &CStr) -> Result<Self> {
        // SAFETY: `name` is a C string.
        let tfm = from_err_ptr(unsafe { bindings::crypto_alloc_shash(name.as_char_ptr(), 0, 0) })?;
        // INVARIANT: Just allocated.
        Ok(Self {
            tfm: NonNull::new(tfm).ok_or(ENOMEM)?,
        })
    }

    /// Returns the size of a digest in bytes.
    pub fn digest_size(&self) -> usize {
        // SAFETY: `tfm` is valid by the type invariant.
        unsafe { bindings::crypto_shash_digestsize(self.tfm.as_ptr()) as usize }
    }

    /// Digests `parts`, one after the other, into the start of `digest`.
    ///
    /// A part of 4 GiB or more is refused with `EFBIG`. What is in `digest` after an error is not
    /// specified.
    // Not inlined, so that the state is on the stack only while it is used.
    #[inline(never)]
    pub fn digest(&self, parts: &[&[u8]], digest: &mut [u8]) -> Result {
        let tfm = self.tfm.as_ptr();
        // SAFETY: `tfm` is valid by the type invariant.
        let state_size = unsafe { bindings::crypto_shash_descsize(tfm) } as usize;
        if digest.len() < self.digest_size() || state_size > MAX_STATE {
            return Err(EINVAL);
        }
        // Never moved: it is large, and a move is a copy on the stack.
        let mut state = State {
            desc: bindings::shash_desc {
                tfm,
                ..Default::default()
            },
            state: MaybeUninit::uninit(),
        };
        // With a claim to all of it: the transform's state is behind the descriptor.
        let desc = core::ptr::from_mut(&mut state).cast::<bindings::shash_desc>();
        // SAFETY: `desc` has a valid transform, and room behind it for that transform's state.
        to_result(unsafe { bindings::crypto_shash_init(desc) })?;
        for part in parts {
            let len = u32::try_from(part.len()).map_err(|_| EFBIG)?;
            // SAFETY: As above, and the state was initialised; `part` has `len` bytes.
            to_result(unsafe { bindings::crypto_shash_update(desc, part.as_ptr(), len) })?;
        }
        // SAFETY: As above; `digest` has room for what the transform makes.
        to_result(unsafe { bindings::crypto_shash_final(desc, digest.as_mut_ptr()) })
    }
}

impl Drop for Shash {
    fn drop(&mut self) {
        // SAFETY: `tfm` is valid by the type invariant, and nobody uses it after this.
        unsafe { bindings::crypto_free_shash(self.tfm.as_ptr()) };
    }
}

/// How many bytes the state of any digest may have.
const MAX_STATE: usize = bindings::HASH_MAX_DESCSIZE;

/// A digest in progress: C's `SHASH_DESC_ON_STACK()`.
#[repr(C, align(16))]
struct State {
    desc: bindings::shash_desc,
    state: MaybeUninit<[u8; MAX_STATE]>,
}

// The state starts where the descriptor ends.
const _: () = assert!(core::mem::offset_of!(State, state) == size_of::<bindings::shash_desc>());
