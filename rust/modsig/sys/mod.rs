// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What the verifier needs of the kernel: all `unsafe` and all `bindings` but for the entry point.
//!
//! Each file is a thin layer over one part of the kernel, with an interface that cannot be used
//! wrongly.

use core::ffi::{c_int, CStr};

use kernel::bindings;

use crate::verify::{
    merkle, Blacklist, CertificateHash, Digest, DigestAlgorithm, Hashes, PlatformError, Tree,
};

pub(crate) mod errno;
mod hash;
#[cfg(CONFIG_MODULE_SIG_RUST_KEYS)]
mod keys;
mod root;

/// A string for C. `CStr::as_ptr()` points to core's `c_char`, which is `i8` on x86; the kernel's is
/// `u8`.
fn c_string(string: &'static CStr) -> *const u8 {
    string.to_bytes_with_nul().as_ptr()
}

/// The running kernel.
pub(crate) struct Kernel;

impl Hashes for Kernel {
    type Hash = hash::Shash;

    fn root(&self) -> Option<merkle::Root> {
        root::get()
    }

    fn tree(&self) -> Tree {
        Tree {
            ml_dsa: cfg!(CONFIG_MODULE_SIG_RUST_MLDSA),
            ml_dsa_attributes: cfg!(CONFIG_PKCS7_WAIVE_AUTHATTRS_REJECTION_FOR_MLDSA),
            certificate_hash: if !cfg!(CONFIG_SYSTEM_BLACKLIST_KEYRING) {
                CertificateHash::None
            } else if cfg!(CONFIG_MODULE_SIG_RUST_TBS_SHA256) {
                CertificateHash::Sha256
            } else {
                CertificateHash::OfSignature
            },
            file_hashes: cfg!(CONFIG_MODULE_SIG_RUST_BLACKLIST_HASH) && hash::blacklist_has_files(),
        }
    }

    fn hash(&self, algorithm: DigestAlgorithm) -> Result<Option<Self::Hash>, PlatformError> {
        hash::Shash::new(algorithm)
    }

    fn digest(
        &self,
        hash: &Self::Hash,
        parts: &[&[u8]],
        digest: &mut Digest,
    ) -> Result<(), PlatformError> {
        hash.digest(parts, digest)
    }

    fn digest_twice(
        &self,
        hash: &Self::Hash,
        start: &[u8],
        end: Option<&[u8]>,
        digest: &mut Digest,
        both: &mut Option<Digest>,
    ) -> Result<(), PlatformError> {
        match end {
            Some(end) if hash.is_small() => hash.digest_twice(start, end, digest, both),
            _ => hash.digest(&[start], digest),
        }
    }

    fn is_blacklisted(&self, what: Blacklist, digest: &Digest) -> Result<bool, PlatformError> {
        hash::is_blacklisted(what, digest)
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

/// Whether to log now. What others log does not count, but `kernel.printk_ratelimit` and
/// `kernel.printk_ratelimit_burst` are how an administrator limits it, or does not.
pub(crate) fn may_log() -> bool {
    // SAFETY: has no preconditions.
    unsafe { bindings::modsig_may_log() }
}
