// SPDX-License-Identifier: GPL-2.0

//! Signatures by asymmetric keys.
//!
//! C header: [`include/crypto/public_key.h`](srctree/include/crypto/public_key.h)

use core::ffi::CStr;

use kernel::bindings;

use super::{c_string, errno, keyring::Key};
use crate::verify::{KeyAlgorithm, PlatformError, Signature};

/// No key of any algorithm has longer signatures, in octets (RSA with 16384 bits has 2048). The
/// crypto API copies a signature before it looks at its length.
const MAX_SIGNATURE: usize = 8192;

/// The form of the signature value, as `struct public_key_signature` names it.
fn encoding(key: KeyAlgorithm) -> &'static CStr {
    match key {
        KeyAlgorithm::Rsa => c"pkcs1",
        KeyAlgorithm::Ecdsa => c"x962",
        KeyAlgorithm::Ecrdsa => c"raw",
    }
}

/// Whether `key` has made `signature`.
pub(super) fn verify(key: &Key, signature: &Signature<'_>) -> Result<bool, PlatformError> {
    let value = signature.signature;
    let digest = signature.digest;
    let (Ok(s_size), Ok(digest_size)) = (u32::try_from(value.len()), u32::try_from(digest.len()))
    else {
        return Ok(false);
    };
    if value.len() > MAX_SIGNATURE {
        return Ok(false);
    }

    let mut sig = bindings::public_key_signature {
        s: value.as_ptr().cast_mut(),
        s_size,
        pkey_algo: c_string(signature.key.c_name()),
        hash_algo: c_string(signature.digest_algorithm.c_name()),
        encoding: c_string(encoding(signature.key)),
        ..Default::default()
    };
    // The field's name differs between trees (see Kconfig); C only reads through it.
    #[cfg(CONFIG_MODULE_SIG_RUST_SIGNATURE_M)]
    {
        sig.m = digest.as_ptr().cast_mut();
        sig.m_size = digest_size;
    }
    #[cfg(not(CONFIG_MODULE_SIG_RUST_SIGNATURE_M))]
    {
        sig.digest = digest.as_ptr().cast_mut();
        sig.digest_size = digest_size;
    }

    // SAFETY: `key` is valid; `sig` points to as many octets as it says and to C strings, all of
    // which outlive the call, and nothing is written through it; may sleep, as the module loader
    // may.
    match unsafe { bindings::verify_signature(key.as_ptr(), core::ptr::addr_of!(sig)) } {
        0 => Ok(true),
        errno::ENOMEM => Err(PlatformError(errno::ENOMEM)),
        // pkcs7_validate_trust_one() of C takes every other failure for a wrong signature: the
        // key is there, and it does not stand for this module.
        _ => Ok(false),
    }
}
