// SPDX-License-Identifier: MIT OR Apache-2.0

//! Memory for files, shared by all jobs: as many as there are may have a small file at a time, and one
//! of them a large one.

use std::{
    cell::RefCell,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Bytes of the largest file that is small: more than nearly all modules have, unpacked.
pub const SMALL: usize = 16 << 20;

static LARGE: Mutex<()> = Mutex::new(());

thread_local! {
    static HELD: RefCell<Option<MutexGuard<'static, ()>>> = const { RefCell::new(None) };
}

/// Waits until this thread may have a file of this many bytes, and has it until [`release`].
pub fn reserve(bytes: usize) {
    if bytes > SMALL {
        HELD.with_borrow_mut(|held| {
            // Nothing is behind the lock that could be left half done.
            held.get_or_insert_with(|| LARGE.lock().unwrap_or_else(PoisonError::into_inner));
        });
    }
}

/// This thread has no large file any more; nor does it keep a buffer of one.
pub fn release(buffer: &mut Vec<u8>) {
    if buffer.capacity() > SMALL {
        *buffer = vec![];
    }
    HELD.take();
}
