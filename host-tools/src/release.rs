// SPDX-License-Identifier: MIT OR Apache-2.0

//! The Merkle tree over the modules of a release, whose head is signed once for all of them
//! ([`modsig::verify::release`] says what it is made of).

use anyhow::{ensure, Context, Result};
use modsig::verify::{
    merkle::HASH_SIZE,
    release::{self, Head, LEAF, NODE, VERSION},
    trailer::Kind,
};
use openssl::sha::Sha256;

use crate::message;

/// A leaf, a node or the root.
pub type Hash = [u8; HASH_SIZE];

/// Digests parts, one behind the other.
fn sha256(parts: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finish()
}

/// The leaf of an unsigned module.
pub fn leaf(module: &[u8]) -> Hash {
    sha256(&[LEAF, module])
}

/// A tree, with all its nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    size: u32,
    /// From the leaves upwards; the last has one node. A node without a sibling is a node of the next level as
    /// well, which makes the trees of RFC 9162 section 2.1.1.
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    /// Builds the tree over these leaves.
    ///
    /// # Errors
    ///
    /// If there are none, or more than positions can count.
    pub fn new(leaves: Vec<Hash>) -> Result<Self> {
        let size = u32::try_from(leaves.len());
        let size = size.context("there are more modules than a release can count")?;
        ensure!(size > 0, "a release has one module at least");
        let mut levels = vec![leaves];
        while let Some(below) = levels.last().filter(|level| level.len() > 1) {
            let nodes = below.chunks(2).map(|pair| match pair {
                [left, right] => sha256(&[NODE, left, right]),
                alone => alone.concat().try_into().unwrap_or_default(),
            });
            let nodes = nodes.collect();
            levels.push(nodes);
        }
        Ok(Tree { size, levels })
    }

    /// The leaf at this position.
    pub fn leaf(&self, position: u32) -> Option<&Hash> {
        self.levels.first()?.get(position as usize)
    }

    /// What is signed.
    pub fn head(&self) -> Head {
        let root = self.levels.last().map_or(&[][..], Vec::as_slice);
        release::head(self.size, &root.concat())
    }

    /// What the module at this position has in front of the CMS message.
    ///
    /// # Errors
    ///
    /// If there is no such position.
    pub fn proof(&self, position: u32) -> Result<Vec<u8>> {
        ensure!(
            position < self.size,
            "there is no module at position {position}"
        );
        let mut proof = vec![VERSION];
        proof.extend(self.size.to_be_bytes());
        proof.extend(position.to_be_bytes());
        for (height, level) in self.levels.iter().enumerate() {
            proof.extend(
                level
                    .get(position as usize >> height ^ 1)
                    .into_iter()
                    .flatten(),
            );
        }
        Ok(proof)
    }
}

/// What stands behind a module: its proof, the CMS message over the head, and the trailer.
///
/// # Errors
///
/// If it is larger than any can be.
pub fn end(proof: &[u8], cms: &[u8]) -> Result<Vec<u8>> {
    let message = [proof, cms].concat();
    let length = u32::try_from(message.len()).context("the signature is larger than 4 GiB")?;
    Ok([message, message::trailer_of(Kind::Release, length)].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `MTH` and `PATH` of RFC 9162 section 2.1, as they stand there.
    fn root(leaves: &[Hash]) -> Hash {
        match leaves {
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
                sha256(&[NODE, &root(left), &root(right)])
            }
        }
    }

    fn path(leaves: &[Hash], position: usize) -> Vec<Hash> {
        let half = leaves.len().next_power_of_two() / 2;
        if leaves.len() == 1 {
            return vec![];
        }
        let (left, right) = leaves.split_at(half);
        let (mut path, last) = match position.checked_sub(half) {
            None => (path(left, position), root(right)),
            Some(position) => (path(right, position), root(left)),
        };
        path.push(last);
        path
    }

    #[test]
    fn trees_are_those_of_the_definition() {
        for size in 1..=40 {
            let leaves: Vec<_> = (0..size).map(|n| leaf(&[n as u8; 3])).collect();
            let tree = Tree::new(leaves.clone()).unwrap();
            let head = tree.head();
            assert_eq!(
                head[..22],
                [b"modsig: release\0\x01\x04\0\0\0", &[size as u8][..]].concat()
            );
            assert_eq!(head[22..], root(&leaves));
            for position in 0..size {
                let fields = [1, 0, 0, 0, size as u8, 0, 0, 0, position as u8];
                let expected = [&fields[..], &path(&leaves, position).concat()].concat();
                assert_eq!(tree.proof(position as u32).unwrap(), expected);
            }
            assert!(tree.proof(size as u32).is_err());
        }
        assert!(Tree::new(vec![]).is_err());
    }
}
