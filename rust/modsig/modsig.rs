// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Verification of module signatures.
//!
//! [`module_sig_check`] is the entry point: load_module() calls it before anything else looks at the
//! file. What a signature is worth is decided in [`verify`], which is pure; all that touches the
//! kernel is in [`sys`].

use core::ffi::c_int;

use kernel::{bindings, prelude::*};

#[cfg(CONFIG_MODULE_SIG_RUST_KUNIT_TEST)]
mod selftest;
mod sys;
// Private, so that the compiler drops what this configuration does not use.
#[allow(dead_code, unreachable_pub, unused_imports)]
mod verify;

#[cfg(CONFIG_MODULE_SIG_RUST_KEYS)]
use verify::check;
#[cfg(not(CONFIG_MODULE_SIG_RUST_KEYS))]
use verify::check_by_hash as check;
use verify::{
    policy::{self, Decision},
    Checked, Flags,
};

/// What `pr_*!` put in front of each line; `module!` would define it.
const __LOG_PREFIX: &[u8] = b"modsig\0";

/// Checks the signature of a module that is about to be loaded, and says whether to go on.
///
/// Takes the place of the function of the same name in `kernel/module/signing.c`. Returns 0 to go
/// on, else a negative error number. Cuts what was appended to the module off `info.len` as far
/// as it could be read, and sets `info.sig_ok` if a trusted key has signed the module; the loader
/// taints the kernel if it is not set.
///
/// # Safety
///
/// `info` points to a `struct load_info` that nobody else uses during the call; its `hdr` points
/// to `len` bytes that do not change during the call, or `len` is 0.
#[no_mangle]
pub unsafe extern "C" fn module_sig_check(info: *mut bindings::load_info, flags: c_int) -> c_int {
    // SAFETY: the caller lends us `*info` for the call.
    let info = unsafe { &mut *info };
    let file: &[u8] = match info.len {
        0 => &[],
        // SAFETY: the caller promises `len` bytes at `hdr`. They are not part of `*info`.
        len => unsafe { core::slice::from_raw_parts(info.hdr.cast(), len) },
    };
    let given = |flag: u32| flags & flag as c_int != 0;

    let checked = check(
        &sys::Kernel,
        file,
        Flags {
            ignore_modversions: given(bindings::MODULE_INIT_IGNORE_MODVERSIONS),
            ignore_vermagic: given(bindings::MODULE_INIT_IGNORE_VERMAGIC),
        },
    );
    let enforced = sys::sig_enforced();
    let decision = policy::decide(checked.result.map_err(|error| error.class()), enforced);
    let size = file.len();
    info.len = checked.module_len;

    // The policy that turned this into a refusal.
    let (verdict, because) = match decision {
        Decision::Accept => {
            info.sig_ok = true;
            return 0;
        }
        Decision::AskLockdown => (sys::locked_down(), " (the kernel is locked down)"),
        Decision::Refuse => (sys::errno::EKEYREJECTED, " (only signed modules may load)"),
        Decision::Fail(class) => (sys::errno::from_class(class), ""),
    };
    if sys::may_log() {
        log(&checked, size, verdict, because);
    }
    verdict
}

// The loader's prototype (kernel/module/internal.h) and the function above have one type.
const _: [unsafe extern "C" fn(*mut bindings::load_info, c_int) -> c_int; 2] =
    [module_sig_check, bindings::module_sig_check];

/// Logs one line on a module that has no good signature. Never inlined: what it takes of the stack is
/// not in use while a signature is checked.
///
/// `pr_*!` of newer kernels take `kernel::fmt::Display` for an argument, which what is pure cannot
/// know of; the arguments of core's `format_args!` pass everywhere.
#[cold]
#[inline(never)]
fn log(checked: &Checked<'_>, size: usize, verdict: c_int, because: &str) {
    let Err(reason) = checked.result else {
        return;
    };
    let signer = Signer(checked.signer.as_ref());
    if verdict == 0 {
        pr_notice!(
            "{}\n",
            format_args!("module of {size} bytes loaded, taints the kernel: {reason}{signer}")
        );
        return;
    }
    let error = Error::from_errno(verdict);
    pr_err!(
        "{}\n",
        format_args!("module of {size} bytes refused, {error:?}: {reason}{because}{signer}")
    );
}

/// Adds the signer to a log line, if there is one.
struct Signer<'a>(Option<&'a verify::SignerInfo<'a>>);

impl core::fmt::Display for Signer<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0 {
            Some(signer) => write!(f, "; signer {signer}"),
            None => Ok(()),
        }
    }
}
