// SPDX-License-Identifier: GPL-2.0

//! What the verifier needs of the kernel: all `unsafe` and all `bindings` but for the entry point.
//!
//! Each file is a thin layer over one part of the kernel, with an interface that cannot be used
//! wrongly.

use core::ffi::{c_int, CStr};

use kernel::bindings;

use crate::verify::{
    Digest, DigestAlgorithm, Keyring, Platform, PlatformError, Signature, SignerId,
};

pub(crate) mod errno;
mod hash;
mod keyring;
mod signature;

/// A string for C, whose characters are unsigned in the kernel. `CStr::as_ptr()` has core's idea
/// of them, which differs between architectures.
fn c_string(string: &'static CStr) -> *const u8 {
    string.to_bytes_with_nul().as_ptr()
}

/// The running kernel.
pub(crate) struct Kernel;

impl Platform for Kernel {
    type Key = keyring::Key;
    type Hash = hash::Shash;

    fn hash(&self, algorithm: DigestAlgorithm) -> Result<Option<Self::Hash>, PlatformError> {
        hash::Shash::new(algorithm)
    }

    fn digest(&self, hash: &Self::Hash, content: &[u8]) -> Result<Digest, PlatformError> {
        hash.digest(content)
    }

    fn is_revoked(&self, signer: &SignerId<'_>) -> Result<bool, PlatformError> {
        match keyring::revoked() {
            Some(revoked) => Ok(revoked.find(signer)?.is_some()),
            None => Ok(false),
        }
    }

    fn find_key(
        &self,
        keyring: Keyring,
        signer: &SignerId<'_>,
    ) -> Result<Option<Self::Key>, PlatformError> {
        let keyring = match keyring {
            Keyring::Trusted => keyring::trusted(),
            Keyring::Platform => keyring::platform(),
        };
        match keyring {
            Some(keyring) => keyring.find(signer),
            None => Ok(None),
        }
    }

    fn verify(&self, key: &Self::Key, signature: &Signature<'_>) -> Result<bool, PlatformError> {
        signature::verify(key, signature)
    }

    fn is_blacklisted(&self, file: &[u8]) -> Result<bool, PlatformError> {
        hash::is_blacklisted(file)
    }
}

/// Whether only validly signed modules may load: `CONFIG_MODULE_SIG_FORCE`, `module.sig_enforce`
/// or `set_module_sig_enforced()`. Once it is so, it stays so.
pub(crate) fn sig_enforced() -> bool {
    // SAFETY: has no preconditions.
    unsafe { bindings::is_module_sig_enforced() }
}

/// Asks the security modules whether a module without a good signature may load; 0 if so, else a
/// negative error number.
pub(crate) fn locked_down() -> c_int {
    #[cfg(CONFIG_SECURITY)]
    // SAFETY: has no preconditions; may sleep, as the module loader may.
    return unsafe {
        bindings::security_locked_down(bindings::lockdown_reason_LOCKDOWN_MODULE_SIGNATURE)
    };
    // An inline function of C, which bindgen does not see: without security modules, nobody says
    // no.
    #[cfg(not(CONFIG_SECURITY))]
    0
}

/// Whether to log now: `kernel.printk_ratelimit` is how an administrator limits it, or does not.
pub(crate) fn may_log() -> bool {
    #[cfg(CONFIG_PRINTK)]
    // SAFETY: the argument is a C string.
    return unsafe { bindings::__printk_ratelimit(c_string(c"module_sig_check")) } != 0;
    #[cfg(not(CONFIG_PRINTK))]
    false
}
