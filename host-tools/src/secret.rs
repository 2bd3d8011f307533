// SPDX-License-Identifier: MIT OR Apache-2.0

//! Keeps what is in this process' memory from getting anywhere else: into swap, a core dump, or
//! another process of the same user.
//!
//! With `store` the only file with `unsafe`: what is locked is memory that others manage.

use std::{ffi::c_void, fs, hint::black_box, io};

use anyhow::{bail, Context, Result};
use rustix::{
    mm::{mlock_with, mlockall, munlockall, MlockAllFlags, MlockFlags},
    process::{set_dumpable_behavior, setrlimit, DumpableBehavior, Resource, Rlimit},
};

/// Bytes that must be left to be locked, for what is done afterwards.
const RESERVE: usize = 1 << 20;

/// Keeps this process' memory out of core dumps, and away from other processes of the same user.
pub fn hide() -> Result<()> {
    // Neither a core dump nor a debugger, nor /proc/PID/mem.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).context("cannot forbid core dumps")?;
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none).context("cannot forbid core dumps")
}

/// Does all of that, for the memory that there is and for what comes. Gives what a person should
/// know of it.
///
/// # Errors
///
/// If memory cannot be locked, and there is swap.
pub fn keep() -> Result<Option<String>> {
    hide()?;
    let Err(error) = lock() else {
        return Ok(None);
    };
    let _ = munlockall();
    match fs::read_to_string("/proc/swaps") {
        Ok(swaps) if !has_swap(&swaps) => Ok(no_swap(&error)),
        // A kernel without CONFIG_SWAP.
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => Ok(no_swap(&error)),
        _ => bail!(
            "the key's memory cannot be locked ({error}), and could get into swap; allow it with ulimit -l 8192 (LimitMEMLOCK=, limits.conf) or swapoff -a"
        ),
    }
}

/// What a person should know if memory is not locked, and need not be.
fn no_swap(error: &io::Error) -> Option<String> {
    Some(format!(
        "memory cannot be locked ({error}); there is no swap, so it stays where it is"
    ))
}

/// Locks what there is, and lets all be locked that comes. Nothing is got for it that is not needed.
fn lock() -> io::Result<()> {
    // First, so that there is nothing in between.
    mlockall(MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT)?;
    for (start, size) in private(&fs::read_to_string("/proc/self/maps")?) {
        // SAFETY: this reads and changes nothing there; of what is not mapped any more, it fails.
        unsafe { mlock_with(start as *mut c_void, size, MlockFlags::ONFAULT) }?;
    }
    // Too little would show as a failure of whoever needs it.
    match has_room(0) {
        true => Ok(()),
        false => Err(io::Error::other("too little of it may be")),
    }
}

/// Whether this process may have so many bytes more, and enough is left.
pub fn has_room(bytes: usize) -> bool {
    let mut memory: Vec<u8> = vec![];
    let reserved = memory.try_reserve_exact(RESERVE + bytes);
    // It has to be there.
    black_box(&mut memory);
    reserved.is_ok()
}

/// Start and size of what a process has for itself and can write to: stack, heap, data.
fn private(maps: &str) -> impl Iterator<Item = (usize, usize)> + '_ {
    maps.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let (start, end) = words.next()?.split_once('-')?;
        let start = usize::from_str_radix(start, 16).ok()?;
        let end = usize::from_str_radix(end, 16).ok()?;
        words
            .next()?
            .starts_with("rw-p")
            .then_some((start, end - start))
    })
}

/// Whether there is anything in what /proc/swaps says, below its head.
fn has_swap(swaps: &str) -> bool {
    swaps.lines().count() > 1
}
