// SPDX-License-Identifier: GPL-2.0

//! Verification of module signatures.
//!
//! What a signature is worth is decided in `verify`, which is pure Rust without `unsafe` code.
// series: from signers
//! All that touches the kernel is in `sys`.
// series: end
// series: from hook
//!
//! The policy is in `kernel/module/signing.c`, which calls [`module_sig_verify_rust`].

use kernel::prelude::*;

// series: end

#[cfg(CONFIG_MODULE_SIG_RUST_KUNIT_TEST)]
// series: before cms
#[allow(unused_imports)]
// series: end
mod selftest;
// series: from signers
mod sys;
// series: end
// What is `pub` can be built outside the kernel, to be fuzzed and compared with the C verifier.
// series: from hook
#[allow(unreachable_pub)]
// series: end
// series: before hook
#[allow(dead_code, unreachable_pub, unused_imports)]
// series: end
mod verify;

// series: from hook
/// What `pr_*!` put in front of each line; `module!` would define it.
const __LOG_PREFIX: &[u8] = b"module\0";

/// Verifies the signature of a module.
///
/// Returns 0 if a trusted key made the signature, or the negative error number that
/// `verify_pkcs7_signature()` has for it.
///
/// # Safety
///
/// `module` points to `module_len` bytes and `sig` to `sig_len` bytes, which do not change during
/// the call.
#[export]
pub unsafe extern "C" fn module_sig_verify_rust(
    module: *const c_void,
    module_len: usize,
    sig: *const c_void,
    sig_len: usize,
) -> c_int {
    // SAFETY: Both are guaranteed by the caller, and not null: they are parts of one file.
    let (module, sig) = unsafe {
        (
            core::slice::from_raw_parts(module.cast(), module_len),
            core::slice::from_raw_parts(sig.cast(), sig_len),
        )
    };
    match verify::check_signature(&sys::Kernel, module, sig) {
        Ok(()) => 0,
        Err(error) => {
            pr_debug!("signature: {error:?}\n");
            sys::errno(error.class())
        }
    }
}
// series: end
