// SPDX-License-Identifier: GPL-2.0

//! Keys, keyrings, and signatures by asymmetric keys.
//!
//! C headers: [`include/linux/key.h`](srctree/include/linux/key.h),
//! [`include/keys/asymmetric-type.h`](srctree/include/keys/asymmetric-type.h),
//! [`include/keys/system_keyring.h`](srctree/include/keys/system_keyring.h),
//! [`include/crypto/public_key.h`](srctree/include/crypto/public_key.h)

use crate::{
    bindings,
    error::{
        from_err_ptr,
        to_result, //
    },
    prelude::*,
    sync::aref::{
        ARef,
        AlwaysRefCounted, //
    },
    types::Opaque,
};

use core::ptr::{
    self,
    NonNull, //
};

/// A key, or a keyring, which is a key that holds others.
///
/// # Invariants
///
/// Instances of this type are always reference-counted: a call of `key_get()` keeps the key until
/// the matching call of `key_put()`.
#[repr(transparent)]
pub struct Key(Opaque<bindings::key>);

// SAFETY: `key_put()` can be called from any thread.
unsafe impl Send for Key {}

// SAFETY: What is done through shared references is synchronised by C.
unsafe impl Sync for Key {}

// SAFETY: The type invariants guarantee that keys are always reference-counted.
unsafe impl AlwaysRefCounted for Key {
    fn inc_ref(&self) {
        // SAFETY: The existence of a shared reference means that the reference count is not zero.
        unsafe { bindings::key_get(self.0.get()) };
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: The safety requirements guarantee that there is a reference to drop. The cast is
        // okay because `Key` has the same representation as `struct key`.
        unsafe { bindings::key_put(obj.cast().as_ptr()) };
    }
}

impl Key {
    /// Returns the keyring that `VERIFY_USE_SECONDARY_KEYRING` stands for: the secondary one, from
    /// which links lead to the builtin and the machine keyring, or the builtin one.
    ///
    /// The answer is `None` while the system keyrings were not made yet.
    pub fn system_secondary_keyring() -> Option<&'static Self> {
        // SAFETY: Has no preconditions.
        let keyring = unsafe { bindings::system_secondary_keyring() };
        // SAFETY: System keyrings are made at boot and never freed. The cast is okay because `Key`
        // has the same representation as `struct key`.
        unsafe { keyring.cast::<Self>().as_ref() }
    }

    /// Takes over the reference that a search returned.
    fn from_search(found: *mut bindings::key) -> Result<ARef<Self>> {
        let found = NonNull::new(from_err_ptr(found)?).ok_or(ENOKEY)?;
        // SAFETY: The search has taken a reference for us. The cast is okay because `Key` has the
        // same representation as `struct key`.
        Ok(unsafe { ARef::from_raw(found.cast()) })
    }

    /// Searches a keyring for an asymmetric key (`find_asymmetric_key()`).
    ///
    /// The key has the first identifier, and then the second one has to be its subject key
    /// identifier as well; without a first one, it has the second. The answer is `ENOKEY` if there
    /// is no such key, and `EKEYREJECTED` if one has the first identifier and not the second.
    pub fn find_asymmetric(
        &self,
        first: Option<&AsymmetricKeyId>,
        second: Option<&AsymmetricKeyId>,
    ) -> Result<ARef<Self>> {
        if first.is_none() && second.is_none() {
            return Err(ENOKEY);
        }
        // SAFETY: The keyring is valid by the type invariants; each identifier is valid or null,
        // and one is not null.
        Self::from_search(unsafe {
            bindings::find_asymmetric_key(
                self.0.get(),
                AsymmetricKeyId::as_ptr(first),
                AsymmetricKeyId::as_ptr(second),
                ptr::null(),
                false,
            )
        })
    }

    /// Searches the list of revoked keys, as [`Self::find_asymmetric`] does a keyring.
    pub fn find_revoked(
        first: Option<&AsymmetricKeyId>,
        second: Option<&AsymmetricKeyId>,
    ) -> Result<ARef<Self>> {
        if first.is_none() && second.is_none() {
            return Err(ENOKEY);
        }
        // SAFETY: Each identifier is valid or null, and one is not null.
        Self::from_search(unsafe {
            bindings::find_revoked_key(
                AsymmetricKeyId::as_ptr(first),
                AsymmetricKeyId::as_ptr(second),
            )
        })
    }

    /// Checks that this key made a signature.
    pub fn verify(&self, signature: &Signature<'_>) -> Result {
        let signature = signature.as_c()?;
        // SAFETY: The key is valid by the type invariants. `signature` points to as many bytes as
        // it says and to C strings, which outlive the call, and nothing is written through it.
        to_result(unsafe { bindings::verify_signature(self.0.get(), &signature) })
    }
}

/// The identifier of an asymmetric key.
///
/// # Invariants
///
/// Points to an identifier that was allocated with `kmalloc()` and is owned.
pub struct AsymmetricKeyId(NonNull<bindings::asymmetric_key_id>);

// SAFETY: The identifier is memory that nothing else refers to.
unsafe impl Send for AsymmetricKeyId {}

// SAFETY: The identifier is never changed.
unsafe impl Sync for AsymmetricKeyId {}

impl AsymmetricKeyId {
    /// Makes the identifier that has these two parts: serial number and issuer, or a subject key
    /// identifier and nothing.
    pub fn new(first: &[u8], second: &[u8]) -> Result<Self> {
        // SAFETY: Both parts have as many bytes as is said, which are copied.
        let id = from_err_ptr(unsafe {
            bindings::asymmetric_key_generate_id(
                first.as_ptr().cast(),
                first.len(),
                second.as_ptr().cast(),
                second.len(),
            )
        })?;
        // INVARIANT: Just allocated.
        NonNull::new(id).map(Self).ok_or(ENOMEM)
    }

    /// The identifier, valid as long as what it is borrowed from, or null for none.
    fn as_ptr(id: Option<&Self>) -> *const bindings::asymmetric_key_id {
        id.map_or(ptr::null(), |id| id.0.as_ptr().cast_const())
    }
}

impl Drop for AsymmetricKeyId {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this is ours to free.
        unsafe { bindings::kfree(self.0.as_ptr().cast()) };
    }
}

/// A signature, and what it is over (`struct public_key_signature`).
#[derive(Clone, Copy)]
pub struct Signature<'a> {
    /// The signature algorithm, as `pkey_algo` has it.
    pub algorithm: &'a CStr,
    /// The digest algorithm, or `c"none"` if `message` is not digested.
    pub hash: &'a CStr,
    /// The form of `value`: `c"pkcs1"`, `c"x962"`, `c"raw"`.
    pub encoding: &'a CStr,
    /// The digest, or for algorithms that make one of their own, what is signed.
    pub message: &'a [u8],
    /// The signature value.
    pub value: &'a [u8],
}

impl Signature<'_> {
    /// The signature for C, which only reads through it, as long as what `self` borrows is there.
    fn as_c(&self) -> Result<bindings::public_key_signature> {
        Ok(bindings::public_key_signature {
            s: self.value.as_ptr().cast_mut(),
            s_size: u32::try_from(self.value.len()).map_err(|_| EFBIG)?,
            m: self.message.as_ptr().cast_mut(),
            m_size: u32::try_from(self.message.len()).map_err(|_| EFBIG)?,
            pkey_algo: self.algorithm.as_char_ptr(),
            hash_algo: self.hash.as_char_ptr(),
            encoding: self.encoding.as_char_ptr(),
            ..Default::default()
        })
    }
}

/// The object identifier of a public key, for the algorithms that want to know it.
#[derive(Clone, Copy)]
pub struct PublicKeyOid(bindings::OID);

impl PublicKeyOid {
    /// None; for all but EC-RDSA.
    pub const NONE: Self = Self(bindings::OID_OID__NR);
    /// EC-RDSA with 256 bits.
    pub const GOST2012_256: Self = Self(bindings::OID_OID_gost2012PKey256);
    /// EC-RDSA with 512 bits.
    pub const GOST2012_512: Self = Self(bindings::OID_OID_gost2012PKey512);
}

/// A public key that is in no keyring (`struct public_key`).
#[derive(Clone, Copy)]
pub struct PublicKey<'a> {
    /// The algorithm, with its curve, as `pkey_algo` has it.
    pub algorithm: &'a CStr,
    /// The object identifier of the key.
    pub oid: PublicKeyOid,
    /// The encoded parameters; may be empty.
    pub parameters: &'a [u8],
    /// The key itself.
    pub key: &'a [u8],
}

impl PublicKey<'_> {
    /// Checks that this key made a signature.
    pub fn verify(&self, signature: &Signature<'_>) -> Result {
        let signature = signature.as_c()?;
        let key = bindings::public_key {
            key: self.key.as_ptr().cast_mut().cast(),
            keylen: u32::try_from(self.key.len()).map_err(|_| EFBIG)?,
            algo: self.oid.0,
            params: self.parameters.as_ptr().cast_mut().cast(),
            paramlen: u32::try_from(self.parameters.len()).map_err(|_| EFBIG)?,
            pkey_algo: self.algorithm.as_char_ptr(),
            ..Default::default()
        };
        // SAFETY: Both point to as many bytes as they say and to C strings, which outlive the call,
        // and nothing is written through them.
        to_result(unsafe { bindings::public_key_verify_signature(&key, &signature) })
    }
}

/// Returns whether a certificate is blacklisted; `digest` is the SHA-256 of its TBSCertificate.
pub fn is_certificate_blacklisted(digest: &[u8]) -> Result<bool> {
    let kind = bindings::blacklist_hash_type_BLACKLIST_HASH_X509_TBS;
    // SAFETY: `digest` has as many bytes as is said.
    let answer = unsafe { bindings::is_hash_blacklisted(digest.as_ptr(), digest.len(), kind) };
    match to_result(answer) {
        Ok(()) => Ok(false),
        Err(EKEYREJECTED) => Ok(true),
        Err(error) => Err(error),
    }
}
