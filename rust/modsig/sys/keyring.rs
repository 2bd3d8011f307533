// SPDX-License-Identifier: GPL-2.0

//! Keyrings and the asymmetric keys in them.
//!
//! C headers: [`include/keys/asymmetric-type.h`](srctree/include/keys/asymmetric-type.h),
//! [`include/keys/system_keyring.h`](srctree/include/keys/system_keyring.h)

use core::ptr::{self, NonNull};

use kernel::bindings;

use super::errno;
use crate::verify::{PlatformError, SignerId};

/// A key that was found.
///
/// # Invariants
///
/// Holds one reference to a valid key.
pub(crate) struct Key(NonNull<bindings::key>);

impl Key {
    /// The key, for C; valid as long as `self`.
    pub(super) fn as_ptr(&self) -> *const bindings::key {
        self.0.as_ptr()
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: by the type's invariant there is a reference to drop.
        unsafe { bindings::key_put(self.0.as_ptr()) };
    }
}

/// One of the system's keyrings.
///
/// # Invariants
///
/// Points to a keyring that lives as long as the kernel.
pub(super) struct Keyring(NonNull<bindings::key>);

/// The keyring of `VERIFY_USE_SECONDARY_KEYRING`: the secondary one, from which links lead to the
/// builtin and the machine keyring, or the builtin one if there is no other.
pub(super) fn trusted() -> Option<Keyring> {
    // SAFETY: has no preconditions.
    // INVARIANT: system keyrings are made at boot and never freed.
    NonNull::new(unsafe { bindings::module_trusted_keyring() }).map(Keyring)
}

/// The keyring of `VERIFY_USE_PLATFORM_KEYRING`, if the tree's C verifier asks it for modules
/// (Debian's does, the vanilla one does not) and the kernel has one.
pub(super) fn platform() -> Option<Keyring> {
    #[cfg(CONFIG_MODULE_SIG_RUST_PLATFORM_KEYRING)]
    // SAFETY: has no preconditions.
    // INVARIANT: system keyrings are made at boot and never freed.
    return NonNull::new(unsafe { bindings::module_platform_keyring() }).map(Keyring);
    #[cfg(not(CONFIG_MODULE_SIG_RUST_PLATFORM_KEYRING))]
    None
}

/// The keyring of revoked keys, if the kernel has one.
pub(super) fn revoked() -> Option<Keyring> {
    #[cfg(CONFIG_SYSTEM_REVOCATION_LIST)]
    // SAFETY: has no preconditions.
    // INVARIANT: system keyrings are made at boot and never freed.
    return NonNull::new(unsafe { bindings::module_revocation_keyring() }).map(Keyring);
    #[cfg(not(CONFIG_SYSTEM_REVOCATION_LIST))]
    None
}

impl Keyring {
    /// Looks for the key that a signer names.
    pub(super) fn find(&self, signer: &SignerId<'_>) -> Result<Option<Key>, PlatformError> {
        let id = KeyId::new(signer)?;
        // SAFETY: the keyring is valid by the type's invariant, `id` is valid, the other
        // identifiers may be null; may sleep, as the module loader may.
        let key = unsafe {
            bindings::find_asymmetric_key(
                self.0.as_ptr(),
                id.0.as_ptr(),
                ptr::null(),
                ptr::null(),
                false,
            )
        };
        match errno::from_ptr(key) {
            // INVARIANT: the search has taken a reference for us.
            Ok(key) => Ok(Some(Key(key))),
            Err(PlatformError(errno::ENOKEY)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The identifier of a key.
///
/// # Invariants
///
/// Points to an identifier that is allocated with `kmalloc()` and ours alone.
struct KeyId(NonNull<bindings::asymmetric_key_id>);

impl KeyId {
    fn new(signer: &SignerId<'_>) -> Result<Self, PlatformError> {
        let (first, second) = signer.parts();
        // SAFETY: both parts have as many octets as is said, which are copied.
        let id = unsafe {
            bindings::asymmetric_key_generate_id(
                first.as_ptr().cast(),
                first.len(),
                second.as_ptr().cast(),
                second.len(),
            )
        };
        // INVARIANT: just allocated.
        errno::from_ptr(id).map(KeyId)
    }
}

impl Drop for KeyId {
    fn drop(&mut self) {
        // SAFETY: by the type's invariant this is ours to free.
        unsafe { bindings::kfree(self.0.as_ptr().cast()) };
    }
}
