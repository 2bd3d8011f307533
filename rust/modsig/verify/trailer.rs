// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What stands at the end of a signed module: message, `struct module_signature`, marker
//! (`include/linux/module_signature.h`).

use super::error::Error;

/// The last bytes of every signed module.
pub const MARKER: &[u8; 28] = b"~Module signature appended~\n";

/// Size of `struct module_signature`, which stands in front of the marker, in bytes.
pub const SIZE: usize = 12;

/// `PKEY_ID_PKCS7`: the signature is a CMS message.
pub const ID_PKCS7: u8 = 2;

/// `PKEY_ID_MERKLE`, as proposed for the kernel: the signature is a proof for [`super::merkle`].
pub const ID_MERKLE: u8 = 3;

/// No kind of the kernel's: the signature is for a release that the module is of ([`super::release`]).
pub const ID_RELEASE: u8 = 0x4d;

/// What a signature is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A CMS message ([`ID_PKCS7`]).
    Pkcs7,
    /// A proof that the module is of the kernel's build ([`ID_MERKLE`]).
    Merkle,
    /// A proof that the module is of a release, and the signature for that ([`ID_RELEASE`]).
    Release,
}

/// A file taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split<'a> {
    /// What the signature is.
    pub kind: Kind,
    /// The module itself: what was signed, and what is loaded.
    pub content: &'a [u8],
    /// The signature itself.
    pub message: &'a [u8],
}

/// A file that could not be taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsplit {
    /// Why not.
    pub error: Error,
    /// How many bytes of the file are left for the loader, which C cuts off as it goes along: a
    /// module that is let in nevertheless is loaded without what was read before the error.
    pub module_len: usize,
}

/// Splits `file` into the module and its signature, of any kind.
pub fn split(file: &[u8]) -> Result<Split<'_>, Unsplit> {
    split_known(file, &[Kind::Pkcs7, Kind::Merkle, Kind::Release])
}

/// Splits `file` into the module and its signature, which has to be of one of these kinds.
///
/// Only the last signature is split off: one below it is content.
///
/// The order of the checks is that of `mod_check_sig()`: the length, then the type, which alone
/// can make a permissive kernel load the module, then the reserved fields.
// Inlined because returning the parts dominates the cost of an unsigned module.
#[inline(always)]
pub fn split_known<'a>(file: &'a [u8], known: &[Kind]) -> Result<Split<'a>, Unsplit> {
    // C wants more than the marker, so a file that is nothing but a marker is unsigned.
    let body = match file.strip_suffix(MARKER) {
        Some(body) if !body.is_empty() => body,
        _ => {
            return Err(Unsplit {
                error: Error::Unsigned,
                module_len: file.len(),
            })
        }
    };
    let fail = |error| Unsplit {
        error,
        module_len: body.len(),
    };

    let (rest, header) = match split_last_chunk(body) {
        Some((rest, header)) if !rest.is_empty() => (rest, header),
        _ => return Err(fail(Error::TrailerTooShort)),
    };
    let [algo, hash, id_type, signer_len, key_id_len, pad0, pad1, pad2, l0, l1, l2, l3] = *header;

    let claimed = u32::from_be_bytes([l0, l1, l2, l3]);
    let content_len = usize::try_from(claimed)
        .ok()
        .and_then(|claimed| rest.len().checked_sub(claimed))
        .filter(|&content_len| content_len != 0)
        .ok_or(fail(Error::SignatureLength {
            claimed,
            available: rest.len(),
        }))?;

    let kind = match id_type {
        ID_PKCS7 => Some(Kind::Pkcs7),
        ID_MERKLE => Some(Kind::Merkle),
        ID_RELEASE => Some(Kind::Release),
        _ => None,
    };
    let Some(kind) = kind.filter(|kind| known.contains(kind)) else {
        return Err(fail(Error::UnknownIdType(id_type)));
    };
    if [algo, hash, signer_len, key_id_len, pad0, pad1, pad2] != [0; 7] {
        return Err(fail(Error::ReservedField));
    }

    match (rest.get(..content_len), rest.get(content_len..)) {
        (Some(content), Some(message)) => Ok(Split {
            kind,
            content,
            message,
        }),
        // `content_len` is less than `rest.len()`.
        _ => Err(fail(Error::TrailerTooShort)),
    }
}

/// `slice::split_last_chunk` of Rust 1.80; kernels build with 1.78.
fn split_last_chunk(bytes: &[u8]) -> Option<(&[u8], &[u8; SIZE])> {
    let at = bytes.len().checked_sub(SIZE)?;
    Some((bytes.get(..at)?, bytes.get(at..)?.try_into().ok()?))
}
