// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The signatures for releases that keys of this kernel are known to have made.
//!
//! What is remembered, and what that means, is in [`crate::verify::memo`]; here are the lock around
//! it, and the memory that its entries are in.

use core::{
    cell::UnsafeCell,
    ops::{Deref, DerefMut},
    ptr::NonNull,
};

use kernel::bindings;

use super::keyring::Key;
use crate::verify::{
    memo::{Entry, Memo, Memory},
    Signature,
};

/// The memo of the running kernel.
pub(super) struct Shared(UnsafeCell<Memo<Key, Octets>>);

// SAFETY: what is inside is reached through a `Locked` only, of which there is one at a time. It may be
// used and dropped by any process: key_put() and kfree() do not ask which one that is.
unsafe impl Sync for Shared {}

pub(super) static MEMO: Shared = Shared(UnsafeCell::new(Memo::new()));

impl Memory<Key> for Shared {
    // Neither is inlined: nothing of their stack is in use while a signature is checked.
    #[inline(never)]
    fn knows(&self, key: &Key, signature: &Signature<'_>) -> bool {
        self.lock().knows(key, signature)
    }

    #[inline(never)]
    fn remember(&self, key: &Key, signature: &Signature<'_>) {
        if let Some(entry) = Entry::new(key.clone(), signature, Octets::copy) {
            let unused = self.lock().remember(entry);
            // Not under the lock, which is free after the line above.
            drop(unused);
        }
    }
}

impl Shared {
    /// Waits for the lock.
    fn lock(&self) -> Locked<'_> {
        // SAFETY: has no preconditions; may sleep, as the module loader may, and does not hold it.
        unsafe { bindings::modsig_memo_lock() };
        // INVARIANT: just locked.
        Locked(self)
    }
}

/// The memo, locked.
///
/// # Invariants
///
/// The lock is held, by whoever has this; there is one memo and one lock.
struct Locked<'m>(&'m Shared);

impl Deref for Locked<'_> {
    type Target = Memo<Key, Octets>;

    fn deref(&self) -> &Self::Target {
        // SAFETY: by the type's invariant nobody else has access, and `self` is borrowed.
        unsafe { &*self.0 .0.get() }
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        // SAFETY: by the type's invariant nobody else has access, and `self` is borrowed for this alone.
        unsafe { &mut *self.0 .0.get() }
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // SAFETY: by the type's invariant the lock is held, and nobody has a reference to the memo any
        // more: each was borrowed from `self`.
        unsafe { bindings::modsig_memo_unlock() };
    }
}

/// A copy of some bytes.
///
/// # Invariants
///
/// `start` points to `len` bytes that are allocated with `kmalloc()`, ours alone, and never changed.
pub(super) struct Octets {
    start: NonNull<u8>,
    len: usize,
}

impl Octets {
    /// Copies; `None` if there is no memory.
    fn copy(octets: &[u8]) -> Option<Self> {
        let len = octets.len();
        // Nothing is amiss without it: the key is asked once more.
        let flags = bindings::GFP_KERNEL | bindings::__GFP_NOWARN;
        // SAFETY: there are `len` bytes, which are copied; may sleep, as the module loader may.
        let start = unsafe { bindings::kmemdup(octets.as_ptr().cast(), len, flags) };
        // INVARIANT: just allocated. Of no bytes it is a pointer that may not be followed, and is not.
        NonNull::new(start.cast()).map(|start| Octets { start, len })
    }
}

impl Deref for Octets {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: by the type's invariant there are `len` bytes, as long as `self`.
        unsafe { core::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Octets {
    fn drop(&mut self) {
        // SAFETY: by the type's invariant this is ours to free.
        unsafe { bindings::kfree(self.start.as_ptr().cast()) };
    }
}
