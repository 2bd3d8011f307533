// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Trees of module hashes, made slowly and straight from their definition, to hold others against.

use modsig::verify::merkle::Root;
use sha2::{Digest, Sha256};

type Hash = [u8; 32];

fn sha256(parts: &[&[u8]]) -> Hash {
    Sha256::digest(parts.concat()).into()
}

fn leaf(position: usize, module: &[u8]) -> Hash {
    sha256(&[&[1], &(position as u32).to_be_bytes(), module])
}

/// Levels above this many leaves.
pub fn levels(leaves: usize) -> usize {
    (0..).find(|&levels| leaves <= 1 << levels).unwrap()
}

/// The node that stands above the leaves from `at << level` on.
fn node(modules: &[Vec<u8>], level: usize, at: usize) -> Hash {
    if level == 0 {
        return leaf(at, &modules[at]);
    }
    let left = node(modules, level - 1, 2 * at);
    let has_right = (2 * at + 1) << (level - 1) < modules.len();
    let right = if has_right {
        node(modules, level - 1, 2 * at + 1)
    } else {
        left
    };
    sha256(&[&[2], &left, &right])
}

/// What the kernel holds for these modules.
pub fn root(modules: &[Vec<u8>]) -> Root {
    if modules.is_empty() {
        return Root::default();
    }
    let levels = levels(modules.len());
    Root {
        levels: levels as u32,
        hash: node(modules, levels, 0),
    }
}

/// What the module at `position` has appended.
pub fn proof(modules: &[Vec<u8>], position: usize) -> Vec<u8> {
    let mut proof = (position as u32).to_be_bytes().to_vec();
    for level in 0..levels(modules.len()) {
        let own = position >> level;
        let sibling = own ^ 1;
        let is_there = sibling << level < modules.len();
        proof.extend(node(modules, level, if is_there { sibling } else { own }));
    }
    proof
}

/// Some modules, each of its own size.
pub fn modules(count: usize) -> Vec<Vec<u8>> {
    (0..count)
        .map(|n| format!("\x7fELF module {n}{}", ".".repeat(n % 7)).into_bytes())
        .collect()
}
