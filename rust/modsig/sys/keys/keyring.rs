// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Keyrings and the asymmetric keys in them.
//!
//! C headers: [`include/keys/asymmetric-type.h`](srctree/include/keys/asymmetric-type.h),
//! [`include/keys/system_keyring.h`](srctree/include/keys/system_keyring.h)

use core::ptr::{self, NonNull};

use kernel::bindings;

use super::super::errno;
use crate::verify::{KeyId, Lookup, PlatformError};

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

/// The same key, not one that is like it.
#[cfg(CONFIG_MODULE_SIG_RUST_RELEASE)]
impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

#[cfg(CONFIG_MODULE_SIG_RUST_RELEASE)]
impl Clone for Key {
    fn clone(&self) -> Self {
        // SAFETY: by the type's invariant the key is valid, and has a reference that is not dropped
        // meanwhile.
        unsafe { bindings::key_get(self.0.as_ptr()) };
        // INVARIANT: a reference was taken for this one.
        Key(self.0)
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
    /// Finds a key by its identifiers (`find_asymmetric_key()`): by the first, and then the second has
    /// to be its key identifier as well; without a first one, by the second.
    pub(super) fn find(
        &self,
        first: Option<KeyId<'_>>,
        second: Option<KeyId<'_>>,
    ) -> Result<Lookup<Key>, PlatformError> {
        if first.is_none() && second.is_none() {
            return Ok(Lookup::Unknown);
        }
        let first = first.map(Id::new).transpose()?;
        let second = second.map(Id::new).transpose()?;
        // SAFETY: the keyring is valid by the type's invariant, each identifier is valid or null,
        // and one is not null; may sleep, as the module loader may.
        let key = unsafe {
            bindings::find_asymmetric_key(
                self.0.as_ptr(),
                Id::as_ptr(first.as_ref()),
                Id::as_ptr(second.as_ref()),
                ptr::null(),
                false,
            )
        };
        match errno::from_ptr(key) {
            // INVARIANT: the search has taken a reference for us.
            Ok(key) => Ok(Lookup::Found(Key(key))),
            Err(PlatformError(errno::ENOKEY)) => Ok(Lookup::Unknown),
            Err(PlatformError(errno::EKEYREJECTED)) => Ok(Lookup::Mismatch),
            Err(error) => Err(error),
        }
    }
}

/// The identifier of a key, for C.
///
/// # Invariants
///
/// Points to an identifier that is allocated with `kmalloc()` and ours alone.
struct Id(NonNull<bindings::asymmetric_key_id>);

impl Id {
    fn new(KeyId(first, second): KeyId<'_>) -> Result<Self, PlatformError> {
        // SAFETY: both parts have as many bytes as is said, which are copied.
        let id = unsafe {
            bindings::asymmetric_key_generate_id(
                first.as_ptr().cast(),
                first.len(),
                second.as_ptr().cast(),
                second.len(),
            )
        };
        // INVARIANT: just allocated.
        errno::from_ptr(id).map(Id)
    }

    /// The identifier, valid as long as what it is borrowed from, or null for none.
    fn as_ptr(id: Option<&Self>) -> *const bindings::asymmetric_key_id {
        id.map_or(ptr::null(), |id| id.0.as_ptr().cast_const())
    }
}

impl Drop for Id {
    fn drop(&mut self) {
        // SAFETY: by the type's invariant this is ours to free.
        unsafe { bindings::kfree(self.0.as_ptr().cast()) };
    }
}
