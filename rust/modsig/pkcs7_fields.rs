// SPDX-License-Identifier: GPL-2.0 OR MIT

//! PKCS#7 messages for C: what `crypto/asymmetric_keys/pkcs7_message_rust.c` asks for in place of a parser of its
//! own. EXPERIMENTAL.
//!
//! As `x509_fields.rs`, for messages.

use core::ptr;

use crate::{
    verify::{
        cms::{self, General},
        der::Reader,
        time::Seconds,
        SignerInfo,
    },
    x509_fields::{answer, bytes, name, Bytes, Name},
};

/// `struct pkcs7_rust_message`. All that it points to is in the message.
#[repr(C)]
pub(crate) struct MessageFields {
    /// The content, if there is any: without its header, and with it.
    content: Bytes,
    content_whole: Bytes,
    /// The certificates, one behind the other.
    certificates: Bytes,
    /// The SignerInfos, one behind the other; at least one.
    signers: Bytes,
    /// The version of the message.
    version: u8,
    /// Whether the content is Authenticode's.
    authenticode: bool,
}

impl MessageFields {
    fn new(from: &General<'_>) -> Self {
        MessageFields {
            content: Bytes::optional(from.content.map(|content| content.content)),
            content_whole: Bytes::optional(from.content.map(|content| content.whole)),
            certificates: Bytes::new(from.certificates.rest()),
            signers: Bytes::new(from.signers.rest()),
            version: from.version,
            authenticode: from.authenticode,
        }
    }
}

/// `struct pkcs7_rust_signer`. All that it points to is in the message, or there for good.
#[repr(C)]
pub(crate) struct SignerFields {
    /// The identifier, of two parts, the second of which may be empty.
    id: [Bytes; 2],
    signature: Bytes,
    /// The signed attributes from behind their tag, which is one byte, and the digest in them, if there are any.
    attributes: Bytes,
    message_digest: Bytes,
    /// Names that the crypto API has; there is no digest if all of the data is signed.
    digest: Name,
    key_algorithm: Name,
    encoding: Name,
    signing_time: Seconds,
    has_signing_time: bool,
    /// Whether it is an algorithm that takes all of the data, or all of the attributes.
    takes_data: bool,
}

impl SignerFields {
    fn new(from: &SignerInfo<'_>) -> Self {
        let id = from.id.key_id();
        let attributes = from.attributes;
        let time = attributes.and_then(|attributes| attributes.signing_time);
        SignerFields {
            id: [Bytes::new(id.0), Bytes::new(id.1)],
            signature: Bytes::new(from.signature),
            attributes: Bytes::optional(attributes.map(|attributes| attributes.after_tag)),
            message_digest: Bytes::optional(attributes.map(|attributes| attributes.message_digest)),
            digest: if from.key.is_ml_dsa() && attributes.is_none() {
                ptr::null()
            } else {
                name(from.digest.c_name())
            },
            key_algorithm: name(from.key.c_name()),
            encoding: name(from.key.c_encoding()),
            signing_time: time.unwrap_or_default(),
            has_signing_time: time.is_some(),
            takes_data: from.key.is_ml_dsa(),
        }
    }
}

/// Reads a message: all of what is at `data`. `ml_dsa` says whether ML-DSA is known.
///
/// # Safety
///
/// There are `size` bytes at `data` that do not change during the call; there is room at `fields`.
#[no_mangle]
pub(crate) unsafe extern "C" fn pkcs7_rust_parse(
    data: *const u8,
    size: usize,
    ml_dsa: bool,
    fields: *mut MessageFields,
) -> u32 {
    // SAFETY: as the caller promises.
    let input = unsafe { bytes(data, size) };
    let read = cms::read_general(input, ml_dsa).map(|message| MessageFields::new(&message));
    // SAFETY: as the caller promises.
    answer(read, |read| unsafe { fields.write(read) })
}

/// Takes one certificate from the front of `rest`, if there is one.
///
/// # Safety
///
/// `rest` is what [`pkcs7_rust_parse`] gave, or this function left, of a message that is as it was; there is
/// room at `certificate`.
#[no_mangle]
pub(crate) unsafe extern "C" fn pkcs7_rust_certificate(
    rest: *mut Bytes,
    certificate: *mut Bytes,
) -> bool {
    // SAFETY: as the caller promises.
    let mut reader = Reader::new(unsafe { bytes((*rest).data, (*rest).size) });
    let Ok(element) = reader.any() else {
        return false;
    };
    // SAFETY: as the caller promises.
    unsafe {
        rest.write(Bytes::new(reader.rest()));
        certificate.write(Bytes::new(element.whole));
    }
    true
}

/// Reads one signer from the front of `rest`.
///
/// # Safety
///
/// As [`pkcs7_rust_certificate`]; `message` is where `rest` comes from.
#[no_mangle]
pub(crate) unsafe extern "C" fn pkcs7_rust_signer(
    rest: *mut Bytes,
    message: *const MessageFields,
    ml_dsa: bool,
    fields: *mut SignerFields,
) -> u32 {
    // SAFETY: as the caller promises, twice.
    let (signers, message) = unsafe { (bytes((*rest).data, (*rest).size), &*message) };
    let mut reader = Reader::new(signers);
    let read = cms::read_signer(&mut reader, message.version, message.authenticode, ml_dsa);
    answer(read, |signer| {
        // SAFETY: as the caller promises.
        unsafe {
            rest.write(Bytes::new(reader.rest()));
            fields.write(SignerFields::new(&signer));
        }
    })
}
