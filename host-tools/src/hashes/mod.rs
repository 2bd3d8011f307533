// SPDX-License-Identifier: MIT OR Apache-2.0

//! The Merkle tree over a build's modules, of which the kernel holds the root and each module its
//! proof ([`modsig::verify::merkle`] says what they are).

mod state;

use anyhow::{ensure, Context, Result};
use modsig::verify::merkle::{Root, HASH_SIZE, LEAF, NODE};
use modsig::verify::trailer::Kind;
use openssl::sha::Sha256;

pub use self::state::{position, Entry, Gone, State};
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

/// The leaf of an unsigned module at this position.
pub fn leaf(position: u32, module: &[u8]) -> Hash {
    sha256(&[LEAF, &position.to_be_bytes(), module])
}

/// A tree, with all its nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// From the leaves upwards; the last has one node, unless there are no leaves.
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    /// Builds the tree over these leaves.
    ///
    /// # Errors
    ///
    /// If there are more than positions can count.
    pub fn new(leaves: Vec<Hash>) -> Result<Self> {
        ensure!(
            u32::try_from(leaves.len()).is_ok(),
            "{} modules are more than a proof can count",
            leaves.len()
        );
        let mut levels = vec![leaves];
        while let Some(below) = levels.last().filter(|level| level.len() > 1) {
            let nodes = below.chunks(2).map(|pair| match pair {
                [left, right] => sha256(&[NODE, left, right]),
                // The last one of an odd number is paired with itself.
                alone => sha256(&[NODE, &alone.concat(), &alone.concat()]),
            });
            let nodes = nodes.collect();
            levels.push(nodes);
        }
        Ok(Tree { levels })
    }

    /// What the kernel holds.
    pub fn root(&self) -> Root {
        match self.levels.last().map(Vec::as_slice) {
            Some([root]) => Root {
                levels: self.levels.len() as u32 - 1,
                hash: *root,
            },
            _ => Root::default(),
        }
    }

    /// What the module at this position has appended.
    ///
    /// # Errors
    ///
    /// If there is no such position.
    pub fn proof(&self, position: u32) -> Result<Vec<u8>> {
        let at = position as usize;
        let mut proof = position.to_be_bytes().to_vec();
        let below_root = self.levels.split_last().map_or(&[][..], |(_, rest)| rest);
        ensure!(
            self.levels.first().is_some_and(|leaves| at < leaves.len()),
            "there is no module at position {position}"
        );
        for (height, level) in below_root.iter().enumerate() {
            let own = at >> height;
            let sibling = level.get(own ^ 1).or(level.get(own));
            proof.extend(sibling.context("a level of the tree is too short")?);
        }
        Ok(proof)
    }

    /// What stands behind the module at this position: the proof and the trailer.
    ///
    /// # Errors
    ///
    /// If there is no such position.
    pub fn end(&self, position: u32) -> Result<Vec<u8>> {
        let proof = self.proof(position)?;
        let length = u32::try_from(proof.len()).context("a proof larger than any is")?;
        Ok([proof, message::trailer_of(Kind::Merkle, length)].concat())
    }
}
