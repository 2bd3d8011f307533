// SPDX-License-Identifier: GPL-2.0 OR MIT

//! One signature for all modules of a release: it is over the head of a Merkle tree, and each module
//! has the proof appended that it is a leaf of that tree, with the signature behind the proof.
//!
//! The message is [`VERSION`] (1 byte), the tree's size and the module's position (big-endian, 4 bytes
//! each), the siblings from the leaf upwards ([`HASH_SIZE`] bytes each, as many as size and position
//! say), and a CMS SignedData, detached, of which the content is the tree head.
//!
//! The tree is that of RFC 9162 section 2.1.1, for any number of leaves: no node is paired with itself.
//! A leaf is `SHA256(0x03 || module)`, a node `SHA256(0x04 || left || right)`. The tree head is
//! [`CONTEXT`], [`VERSION`], [`SHA256`], the size (big-endian, 4 bytes) and the root.
//!
//! Documentation/release.md says why each of these is as it is.

use super::{
    merkle::{climb, HASH_SIZE},
    Digest, DigestAlgorithm, Error, Hashes,
};

/// The version of message and tree head: the first byte of the one, the 17th of the other.
pub const VERSION: u8 = 1;

/// What a tree head starts with. Nothing else that a trusted key signs does: no ELF file, no
/// compressed one, no certificate.
pub const CONTEXT: [u8; 16] = *b"modsig: release\0";

/// The number of the tree's hash in a tree head: `HASH_ALGO_SHA256` of
/// `include/uapi/linux/hash_info.h`.
pub const SHA256: u8 = 4;

/// What is in front of a module when its leaf is digested.
pub const LEAF: &[u8] = &[0x03];

/// What is in front of a node's children when they are digested.
pub const NODE: &[u8] = &[0x04];

/// Bytes in front of the siblings.
pub const HEADER: usize = 9;

/// Bytes of a tree head.
pub const HEAD_SIZE: usize = 54;

/// What is signed in place of a module.
pub type Head = [u8; HEAD_SIZE];

/// Where a module stands in a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof<'a> {
    /// How many leaves the tree has; at least one.
    pub size: u32,
    /// Which of them the module is, counted from 0; less than `size`.
    pub position: u32,
    /// The siblings' hashes, from the leaf upwards: as many as [`way`] says.
    pub siblings: &'a [u8],
}

/// A message taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release<'a> {
    /// That the module is of the release.
    pub proof: Proof<'a>,
    /// The CMS message for the release.
    pub message: &'a [u8],
}

/// The way from a leaf to the root: how many siblings there are, and a bit for each, the lowest for the
/// leaf's own. 0: the sibling stands on the right; 1: on the left. `None` if there is no such leaf.
///
/// The way meets that of the last leaf (RFC 9162 section 2.1.3.2 goes both at once) where the
/// positions agree from that bit on. Below that, all nodes are whole, and the position's bits say on
/// which side the sibling is. From there on nothing is on the right, and only where there is something
/// on the left is there a node of two.
pub fn way(size: u32, position: u32) -> Option<(u32, u64)> {
    let last = size.checked_sub(1)?;
    if position > last {
        return None;
    }
    // At most 32.
    let below = u32::BITS.wrapping_sub((position ^ last).leading_zeros());
    let above = u64::from(position).wrapping_shr(below).count_ones();
    let sides = u64::from(position) | u64::MAX.wrapping_shl(below);
    Some((below.wrapping_add(above), sides))
}

/// Takes a message apart. What is in the CMS message is not looked at.
///
/// # Errors
///
/// What is wrong in front of the CMS message: all are refused always.
#[inline(never)]
pub fn parse(message: &[u8]) -> Result<Release<'_>, Error> {
    let octets = message.len();
    let truncated = |expected: usize| Error::ReleaseTruncated {
        // Never more than 1,033.
        expected: expected as u32,
        octets,
    };
    // The version first: it says how much more there is.
    match message.first() {
        None | Some(&VERSION) => {}
        Some(&other) => return Err(Error::ReleaseVersion(other)),
    }
    let (Some(&[_, s0, s1, s2, s3, p0, p1, p2, p3]), Some(rest)) =
        (message.get(..HEADER), message.get(HEADER..))
    else {
        return Err(truncated(HEADER));
    };
    let size = u32::from_be_bytes([s0, s1, s2, s3]);
    let position = u32::from_be_bytes([p0, p1, p2, p3]);
    if size == 0 {
        return Err(Error::ReleaseEmpty);
    }
    let (count, _) = way(size, position).ok_or(Error::ReleasePosition { position, size })?;
    // At most 32 of 32 bytes.
    let end = (count as usize).wrapping_mul(HASH_SIZE);
    match (rest.get(..end), rest.get(end..)) {
        (Some(siblings), Some(message)) => Ok(Release {
            proof: Proof {
                size,
                position,
                siblings,
            },
            message,
        }),
        _ => Err(truncated(HEADER.wrapping_add(end))),
    }
}

/// The head of a tree of this size with this root, which has [`HASH_SIZE`] bytes.
pub fn head(size: u32, root: &[u8]) -> Head {
    let size = size.to_be_bytes();
    let parts: [&[u8]; 4] = [&CONTEXT, &[VERSION, SHA256], &size, root];
    let mut head = [0; HEAD_SIZE];
    for (to, from) in head.iter_mut().zip(parts.into_iter().flatten()) {
        *to = *from;
    }
    head
}

/// The head of the tree in which `module` stands where the proof says.
///
/// Nothing is compared here: another module, or another place, leads to a head that nobody has signed.
///
/// # Errors
///
/// If SHA-256 is not built in, or the platform fails.
#[inline(never)]
pub(super) fn head_of<P: Hashes>(
    platform: &P,
    proof: &Proof<'_>,
    module: &[u8],
) -> Result<Head, Error> {
    let (Some(sha256), Some((_, sides))) = (
        platform.hash(DigestAlgorithm::Sha256)?,
        way(proof.size, proof.position),
    ) else {
        return Err(Error::ProofDigest);
    };
    let mut node = Digest::zero(DigestAlgorithm::Sha256);
    platform.digest(&sha256, &[LEAF, module], &mut node)?;
    climb(platform, &sha256, NODE, &mut node, sides, proof.siblings)?;
    Ok(head(proof.size, node.as_bytes()))
}
