// SPDX-License-Identifier: GPL-2.0

//! Message digests.
//!
//! C header: [`include/crypto/hash.h`](srctree/include/crypto/hash.h)

use core::{ffi::c_int, ptr::NonNull};

use kernel::bindings;

use super::{c_string, errno};
use crate::verify::{Blacklist, Digest, DigestAlgorithm, PlatformError};

/// A synchronous message digest.
///
/// # Invariants
///
/// `tfm` is a transform of `crypto_alloc_shash()` that was not yet freed, and its digests have
/// `algorithm.size()` octets.
pub(crate) struct Shash {
    tfm: NonNull<bindings::crypto_shash>,
    algorithm: DigestAlgorithm,
}

impl Shash {
    /// Gets a transform; `None` if this kernel does not have the algorithm.
    pub(super) fn new(algorithm: DigestAlgorithm) -> Result<Option<Self>, PlatformError> {
        // SAFETY: the name is a C string; may sleep, as the module loader may.
        let tfm = unsafe { bindings::crypto_alloc_shash(c_string(algorithm.c_name()), 0, 0) };
        match errno::from_ptr(tfm) {
            // INVARIANT: just allocated; the crypto API's name of an algorithm fixes the size.
            Ok(tfm) => Ok(Some(Shash { tfm, algorithm })),
            Err(PlatformError(errno::ENOENT)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Digests `content`, of at most `u32::MAX` octets.
    pub(super) fn digest(&self, content: &[u8]) -> Result<Digest, PlatformError> {
        let len =
            u32::try_from(content.len()).map_err(|_| PlatformError(-(bindings::EFBIG as c_int)))?;
        Digest::fill_with(self.algorithm, |octets| {
            // SAFETY: `tfm` is valid by the type's invariant, `content` has `len` octets, and
            // `octets` has room for the largest digest. The state is on the stack of the callee.
            errno::from_int(unsafe {
                bindings::crypto_shash_tfm_digest(
                    self.tfm.as_ptr(),
                    content.as_ptr(),
                    len,
                    octets.as_mut_ptr(),
                )
            })
        })
    }
}

impl Drop for Shash {
    fn drop(&mut self) {
        let tfm = self.tfm.as_ptr();
        // SAFETY: `tfm` is valid by the type's invariant, and nobody uses it after this. This is
        // what the inline function crypto_free_shash() does: the memory starts at the shash, its
        // `base` is the transform in it.
        unsafe { bindings::crypto_destroy_tfm(tfm.cast(), core::ptr::addr_of_mut!((*tfm).base)) };
    }
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
        // SAFETY: `octets` has as many octets as is said.
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
