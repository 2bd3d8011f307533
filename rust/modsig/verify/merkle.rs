// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Modules that a kernel knows by their hashes, without any key: it holds the root of a Merkle
//! tree, and each module of its build has the proof appended that it is a leaf.
//!
//! A leaf is `SHA256(0x01 || be32 position || module)`, a node `SHA256(0x02 || left || right)`; the
//! last node of a level with an odd number of them is paired with itself. The proof is the position
//! (big-endian, 4 bytes), then the sibling at each level from the leaf upwards (32 bytes each).
//! Bit `i` of the position says on which side of the sibling the node at level `i` stands: 0 is
//! left. As the first byte tells leaves from nodes, no node can be passed off as a module.

use super::{Digest, DigestAlgorithm, Error, Hashes, PlatformError};

/// Bytes of a hash.
pub const HASH_SIZE: usize = 32;

/// What is in front of a leaf's position when it is digested.
pub const LEAF: &[u8] = &[0x01];

/// What is in front of a node's children when they are digested.
pub const NODE: &[u8] = &[0x02];

/// What stands in the section `.module_hashes` behind levels, root and a word that is 1 if the kernel
/// goes by keys as well: by it they are found in an image that has no sections.
pub const MARK: [u8; 16] = *b"modsig: hashes 1";

/// What a kernel holds of the tree. All zero if nothing was written there yet, or there are no
/// modules; then no module matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Root {
    /// Steps from a leaf to the root.
    pub levels: u32,
    /// The root's hash.
    pub hash: [u8; HASH_SIZE],
}

/// Takes a proof apart: the position, and the siblings' hashes. `None` if it is of no tree at all.
pub fn parse(proof: &[u8]) -> Option<(u32, &[u8])> {
    let (&[p0, p1, p2, p3], siblings) = (proof.get(..4)?, proof.get(4..)?) else {
        return None;
    };
    let position = u32::from_be_bytes([p0, p1, p2, p3]);
    (siblings.len() % HASH_SIZE == 0).then_some((position, siblings))
}

/// Checks the proof that `content` is a leaf of the tree with this root.
///
/// # Errors
///
/// All are of the class that is refused always: a module with a wrong proof was altered, or belongs
/// to another build.
#[inline(never)]
pub fn check<P: Hashes>(
    platform: &P,
    root: &Root,
    content: &[u8],
    proof: &[u8],
) -> Result<(), Error> {
    if root.hash == [0; HASH_SIZE] {
        return Err(Error::NoRoot);
    }
    let wrong_size = Error::ProofSize {
        levels: root.levels,
        octets: proof.len(),
    };
    let Some((position, siblings)) = parse(proof) else {
        return Err(wrong_size);
    };
    let expected = usize::try_from(root.levels)
        .ok()
        .and_then(|levels| levels.checked_mul(HASH_SIZE));
    if Some(siblings.len()) != expected {
        return Err(wrong_size);
    }
    if position.checked_shr(root.levels).unwrap_or(0) != 0 {
        return Err(Error::ProofPosition(position));
    }
    let Some(sha256) = platform.hash(DigestAlgorithm::Sha256)? else {
        return Err(Error::ProofDigest);
    };

    let mut node = Digest::zero(DigestAlgorithm::Sha256);
    let parts = [LEAF, &position.to_be_bytes(), content];
    platform.digest(&sha256, &parts, &mut node)?;
    climb(
        platform,
        &sha256,
        NODE,
        &mut node,
        position.into(),
        siblings,
    )?;
    if node.as_bytes() == root.hash {
        Ok(())
    } else {
        Err(Error::BadProof)
    }
}

/// Goes from a node to the one that these siblings lead to, [`HASH_SIZE`] bytes each; `prefix` is in
/// front of a node's children when they are digested. A bit of `sides` for each sibling, the lowest for
/// the first, says on which side it stands: 0 is right, 1 is left.
#[inline(always)]
pub(super) fn climb<P: Hashes>(
    platform: &P,
    sha256: &P::Hash,
    prefix: &[u8],
    node: &mut Digest,
    mut sides: u64,
    siblings: &[u8],
) -> Result<(), PlatformError> {
    for sibling in siblings.chunks_exact(HASH_SIZE) {
        let own = *node;
        let (left, right) = match sides & 1 {
            0 => (own.as_bytes(), sibling),
            _ => (sibling, own.as_bytes()),
        };
        platform.digest(sha256, &[prefix, left, right], node)?;
        sides >>= 1;
    }
    Ok(())
}
