// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Signatures by asymmetric keys.
//!
//! C header: [`include/crypto/public_key.h`](srctree/include/crypto/public_key.h)

use core::ffi::c_int;

use kernel::bindings;

use super::{
    super::{c_string, errno},
    keyring::Key,
};
#[cfg(CONFIG_PKCS7_WAIVE_AUTHATTRS_REJECTION_FOR_MLDSA)]
use crate::verify::cms::MAX_MESSAGE;
use crate::verify::{
    PlatformError, PublicKey, PublicKeyAlgorithm, Signature, Signed, Verification,
};

/// No key of any algorithm has longer signatures, in bytes (ML-DSA-87 has 4627, RSA with 16384
/// bits has 2048). The crypto API copies a signature before it looks at its length.
const MAX_SIGNATURE: usize = 8192;

/// Whose signature it is to be.
enum Signer<'a> {
    /// A key of a keyring.
    Key(&'a Key),
    /// One that came with the message. What it points to is valid as long as it is borrowed.
    PublicKey(&'a bindings::public_key),
}

/// Asks C whether `signer` has made `signature`: 0, or C's error number.
fn verify_with_c(signer: &Signer<'_>, signature: &Signature<'_>) -> Result<c_int, PlatformError> {
    let value = signature.value;
    let attributes;
    let (hash, message) = match signature.signed {
        Signed::Digest { algorithm, octets } => (algorithm.c_name(), octets),
        Signed::Data(data) => (c"none", data),
        Signed::Attributes {
            algorithm,
            after_tag,
        } => {
            attributes = Attributes::new(after_tag)?;
            (algorithm.c_name(), attributes.as_bytes())
        }
    };
    let (Ok(s_size), Ok(message_size)) = (u32::try_from(value.len()), u32::try_from(message.len()))
    else {
        return Ok(errno::EKEYREJECTED);
    };
    if value.len() > MAX_SIGNATURE {
        return Ok(errno::EKEYREJECTED);
    }

    let mut sig = bindings::public_key_signature {
        s: value.as_ptr().cast_mut(),
        s_size,
        pkey_algo: c_string(signature.key.c_name()),
        hash_algo: c_string(hash),
        encoding: c_string(signature.key.c_encoding()),
        ..Default::default()
    };
    // The field's name differs between trees (see Kconfig); C only reads through it.
    #[cfg(CONFIG_MODULE_SIG_RUST_SIGNATURE_M)]
    {
        sig.m = message.as_ptr().cast_mut();
        sig.m_size = message_size;
    }
    #[cfg(not(CONFIG_MODULE_SIG_RUST_SIGNATURE_M))]
    {
        sig.digest = message.as_ptr().cast_mut();
        sig.digest_size = message_size;
    }
    let sig = core::ptr::addr_of!(sig);
    // SAFETY: key and `sig` point to as many bytes as they say and to C strings, all of which outlive
    // the call, and nothing is written through them; may sleep, as the module loader may.
    let answer = unsafe {
        match *signer {
            Signer::Key(key) => bindings::verify_signature(key.as_ptr(), sig),
            Signer::PublicKey(key) => bindings::public_key_verify_signature(key, sig),
        }
    };
    match answer {
        errno::ENOMEM => Err(PlatformError(errno::ENOMEM)),
        answer => Ok(answer),
    }
}

/// Whether `key` has made `signature`.
pub(super) fn verify(key: &Key, signature: &Signature<'_>) -> Result<Verification, PlatformError> {
    // pkcs7_validate_trust_one() of C takes every failure for a wrong signature: the key is
    // there, and it does not stand for this module. That the crypto API has no such algorithm is
    // told apart for the log.
    Ok(match verify_with_c(&Signer::Key(key), signature)? {
        0 => Verification::Good,
        errno::ENOENT | errno::ENOPKG => Verification::Unsupported,
        other => Verification::Bad(other),
    })
}

/// Whether a key that came with the message has made `signature`.
pub(super) fn verify_with(
    key: &PublicKey<'_>,
    signature: &Signature<'_>,
) -> Result<Verification, PlatformError> {
    let (Ok(keylen), Ok(paramlen)) = (
        u32::try_from(key.octets.len()),
        u32::try_from(key.parameters.len()),
    ) else {
        return Ok(Verification::Bad(errno::EKEYREJECTED));
    };
    let public_key = bindings::public_key {
        key: key.octets.as_ptr().cast_mut().cast(),
        keylen,
        // Only EC-RDSA looks at it.
        algo: match key.algorithm {
            PublicKeyAlgorithm::Ecrdsa256 => bindings::OID_OID_gost2012PKey256,
            PublicKeyAlgorithm::Ecrdsa512 => bindings::OID_OID_gost2012PKey512,
            _ => bindings::OID_OID__NR,
        },
        params: key.parameters.as_ptr().cast_mut().cast(),
        paramlen,
        pkey_algo: c_string(key.algorithm.c_name()),
        ..Default::default()
    };
    Ok(
        match verify_with_c(&Signer::PublicKey(&public_key), signature)? {
            0 => Verification::Good,
            errno::ENOPKG => Verification::Unsupported,
            other => Verification::Bad(other),
        },
    )
}

/// Signed attributes in the form in which they are signed: behind the tag of a SET OF.
#[cfg(CONFIG_PKCS7_WAIVE_AUTHATTRS_REJECTION_FOR_MLDSA)]
struct Attributes {
    // Of a fixed size, as long as a message can be: what a vector adds up could panic, for all that
    // the compiler knows.
    octets: kernel::alloc::KVBox<[u8; MAX_MESSAGE]>,
    size: usize,
}

#[cfg(CONFIG_PKCS7_WAIVE_AUTHATTRS_REJECTION_FOR_MLDSA)]
impl Attributes {
    /// Copies them; they are part of a message.
    fn new(after_tag: &[u8]) -> Result<Self, PlatformError> {
        use kernel::alloc::{flags::GFP_KERNEL, KVBox};
        let mut octets = KVBox::<[u8; MAX_MESSAGE]>::zeroed(GFP_KERNEL)
            .map_err(|_| PlatformError(errno::ENOMEM))?;
        let all = core::iter::once(&0x31).chain(after_tag);
        for (to, from) in octets.iter_mut().zip(all) {
            *to = *from;
        }
        let size = after_tag.len().saturating_add(1);
        Ok(Attributes { octets, size })
    }

    fn as_bytes(&self) -> &[u8] {
        // They are shorter than the message.
        self.octets.get(..self.size).unwrap_or(&[])
    }
}

/// Signed attributes, which nobody asks about in this kernel: the parser has refused them.
#[cfg(not(CONFIG_PKCS7_WAIVE_AUTHATTRS_REJECTION_FOR_MLDSA))]
struct Attributes;

#[cfg(not(CONFIG_PKCS7_WAIVE_AUTHATTRS_REJECTION_FOR_MLDSA))]
impl Attributes {
    fn new(_after_tag: &[u8]) -> Result<Self, PlatformError> {
        Err(PlatformError(errno::EKEYREJECTED))
    }

    fn as_bytes(&self) -> &[u8] {
        &[]
    }
}
