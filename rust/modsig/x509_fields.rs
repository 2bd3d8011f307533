// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Certificates for C: what `crypto/asymmetric_keys/x509_cert_rust.c` asks for in place of a parser of its own.
//! EXPERIMENTAL.
//!
//! Takes nothing of the kernel, so that `rust/differ` holds it and that file against the parser in C.

use core::{ffi::CStr, ptr, slice};

use crate::verify::{
    der::Element,
    time::{self, Seconds},
    x509::{self, Certificate},
    Class, Error,
};

/// `struct x509_rust_bytes`: a part of the certificate, or nothing.
#[repr(C)]
pub(crate) struct Bytes {
    pub(crate) data: *const u8,
    pub(crate) size: usize,
}

impl Bytes {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Bytes {
            data: bytes.as_ptr(),
            size: bytes.len(),
        }
    }

    pub(crate) fn optional(bytes: Option<&[u8]>) -> Self {
        bytes.map_or(
            Bytes {
                data: ptr::null(),
                size: 0,
            },
            Bytes::new,
        )
    }
}

/// A string of C. Not `c_char`, of which core and the kernel have two ideas.
pub(crate) type Name = *const u8;

pub(crate) fn name(name: &'static CStr) -> Name {
    name.to_bytes_with_nul().as_ptr()
}

/// `struct x509_rust_fields`: what C keeps of a certificate. All that it points to is in the certificate, or
/// there for good.
#[repr(C)]
pub(crate) struct Fields {
    /// What is signed, with its header.
    tbs: Bytes,
    /// Content of the serial number.
    serial: Bytes,
    /// Contents of the names.
    issuer: Bytes,
    subject: Bytes,
    /// What issuer and subject are called by, in two parts.
    issuer_shown: [Bytes; 2],
    subject_shown: [Bytes; 2],
    /// The key, content of the identifier of its algorithm, and the parameters of that with their header.
    key: Bytes,
    key_oid: Bytes,
    key_parameters: Bytes,
    /// The identifiers in its extensions, as far as there are any; the authority has a serial number and an
    /// issuer, or neither.
    subject_key_id: Bytes,
    authority_serial: Bytes,
    authority_issuer: Bytes,
    authority_key_id: Bytes,
    /// The signature value.
    signature: Bytes,
    /// Names that the crypto API has; there is no digest if the algorithm takes all of the data.
    key_algorithm: Name,
    signature_algorithm: Name,
    signature_encoding: Name,
    digest: Name,
    not_before: Seconds,
    not_after: Seconds,
    digital_signature: bool,
    certificate_signature: bool,
    authority: bool,
}

impl Fields {
    fn new(from: &Certificate<'_>) -> Self {
        let shown = |(first, second): (&[u8], &[u8])| [Bytes::new(first), Bytes::new(second)];
        Fields {
            tbs: Bytes::new(from.tbs),
            serial: Bytes::new(from.id.0),
            issuer: Bytes::new(from.issuer),
            subject: Bytes::new(from.subject),
            issuer_shown: shown(from.issuer_shown()),
            subject_shown: shown(from.subject_shown()),
            key: Bytes::new(from.key.octets),
            key_oid: Bytes::new(from.key.oid().unwrap_or_default()),
            key_parameters: Bytes::new(from.key.parameters),
            subject_key_id: Bytes::optional(from.subject_key_id.map(|id| id.0)),
            authority_serial: Bytes::optional(from.authority.map(|id| id.0)),
            authority_issuer: Bytes::optional(from.authority.map(|id| id.1)),
            authority_key_id: Bytes::optional(from.authority_key_id.map(|id| id.0)),
            signature: Bytes::new(from.signature),
            key_algorithm: name(from.key.algorithm.c_name()),
            signature_algorithm: name(from.algorithm.key.c_name()),
            signature_encoding: name(from.algorithm.key.c_encoding()),
            digest: from
                .algorithm
                .digest
                .map_or(ptr::null(), |digest| name(digest.c_name())),
            not_before: from.not_before,
            not_after: from.not_after,
            digital_signature: from.usage.digital_signature,
            certificate_signature: from.usage.certificates,
            authority: from.usage.authority,
        }
    }
}

/// `enum x509_rust_result`.
pub(crate) fn answer<T>(result: Result<T, Error>, keep: impl FnOnce(T)) -> u32 {
    match result.map_err(|error| error.class()) {
        Ok(value) => {
            keep(value);
            0
        }
        Err(Class::NoPackage) => 2,
        Err(Class::Invalid) => 3,
        Err(Class::MessageSize) => 4,
        Err(Class::Rejected) => 5,
        Err(_) => 1,
    }
}

/// Reads a certificate: all of what is at `data`. `ml_dsa` says whether ML-DSA is known.
///
/// # Safety
///
/// There are `size` bytes at `data` that do not change during the call; there is room at `fields`.
#[no_mangle]
pub(crate) unsafe extern "C" fn x509_rust_parse(
    data: *const u8,
    size: usize,
    ml_dsa: bool,
    fields: *mut Fields,
) -> u32 {
    // SAFETY: as the caller promises.
    let input = unsafe { bytes(data, size) };
    // Neither is moved: a kernel's stack is small.
    match &x509::read(input, ml_dsa) {
        Ok(certificate) => {
            // SAFETY: as the caller promises.
            unsafe { fields.write(Fields::new(certificate)) };
            0
        }
        Err(error) => answer(Err::<(), _>(*error), |()| {}),
    }
}

/// Reads the content of a time that has this tag.
///
/// # Safety
///
/// There are `size` bytes at `data` that do not change during the call; there is room at `seconds`.
#[no_mangle]
pub(crate) unsafe extern "C" fn x509_rust_decode_time(
    tag: u8,
    data: *const u8,
    size: usize,
    seconds: *mut Seconds,
) -> u32 {
    // SAFETY: as the caller promises.
    let content = unsafe { bytes(data, size) };
    let time = time::decode(&Element {
        tag,
        content,
        whole: content,
        at: 0,
    });
    // SAFETY: as the caller promises.
    answer(time, |time| unsafe { seconds.write(time) })
}

/// Bytes that C has.
///
/// # Safety
///
/// There are `size` bytes at `data` that do not change for as long as the slice is used.
pub(crate) unsafe fn bytes<'a>(data: *const u8, size: usize) -> &'a [u8] {
    match size {
        0 => &[],
        // SAFETY: as the caller promises.
        _ => unsafe { slice::from_raw_parts(data, size) },
    }
}
