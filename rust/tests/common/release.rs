// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Trees of releases, made slowly and straight from RFC 9162 section 2.1, to hold others against.

#![allow(dead_code, reason = "each test program uses its own part of this")]

use sha2::{Digest, Sha256};

pub type Hash = [u8; 32];

pub fn sha256(parts: &[&[u8]]) -> Hash {
    Sha256::digest(parts.concat()).into()
}

pub fn leaf(module: &[u8]) -> Hash {
    sha256(&[&[3], module])
}

pub fn node(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[4], left, right])
}

/// The largest power of two that is smaller than `size`, which is at least 2.
fn split(size: usize) -> usize {
    (0..)
        .map(|bit| 1 << bit)
        .take_while(|&power| power < size)
        .last()
        .unwrap()
}

/// `MTH(D[n])` of section 2.1.1, of leaves that are digested already.
pub fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => panic!("a release has a module"),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node(&root(left), &root(right))
        }
    }
}

/// `PATH(m, D[n])` of section 2.1.3.1, and for each sibling whether it is on the left.
pub fn path(leaves: &[Hash], position: usize) -> Vec<(bool, Hash)> {
    if leaves.len() == 1 {
        return vec![];
    }
    let at = split(leaves.len());
    let (left, right) = leaves.split_at(at);
    let (mut path, last) = match position < at {
        true => (path(left, position), (false, root(right))),
        false => (path(right, position - at), (true, root(left))),
    };
    path.push(last);
    path
}

/// On which sides the siblings are: [`path`] without the hashes.
pub fn sides(size: usize, position: usize) -> Vec<bool> {
    if size == 1 {
        return vec![];
    }
    let at = split(size);
    let (mut all, last) = match position < at {
        true => (sides(at, position), false),
        false => (sides(size - at, position - at), true),
    };
    all.push(last);
    all
}

/// The root that a proof leads to, as section 2.1.3.2 checks one; `None` if it is too short or too
/// long.
pub fn climb(size: u64, position: u64, leaf: Hash, siblings: &[Hash]) -> Option<Hash> {
    let (mut first, mut second, mut r) = (position, size - 1, leaf);
    for p in siblings {
        if second == 0 {
            return None;
        }
        if first & 1 == 1 || first == second {
            r = node(p, &r);
            while first & 1 == 0 && first != 0 {
                first >>= 1;
                second >>= 1;
            }
        } else {
            r = node(&r, p);
        }
        first >>= 1;
        second >>= 1;
    }
    (second == 0).then_some(r)
}

/// What is in front of the CMS message of the module at `position`.
pub fn proof(leaves: &[Hash], position: usize) -> Vec<u8> {
    let path = path(leaves, position);
    let siblings: Vec<Hash> = path.into_iter().map(|(_, sibling)| sibling).collect();
    proof_of(leaves.len() as u32, position as u32, &siblings)
}

pub fn proof_of(size: u32, position: u32, siblings: &[Hash]) -> Vec<u8> {
    let fields = [size.to_be_bytes(), position.to_be_bytes()].concat();
    [&[1], &fields[..], &siblings.concat()].concat()
}

/// The tree head of these leaves.
pub fn head(leaves: &[Hash]) -> Vec<u8> {
    head_of(leaves.len() as u32, &root(leaves))
}

pub fn head_of(size: u32, root: &Hash) -> Vec<u8> {
    [b"modsig: release\0\x01\x04", &size.to_be_bytes()[..], root].concat()
}

/// Some modules, each of its own size.
pub fn modules(count: usize) -> Vec<Vec<u8>> {
    (0..count)
        .map(|n| format!("\x7fELF module {n}{}", ".".repeat(n % 7)).into_bytes())
        .collect()
}

pub fn leaves(modules: &[Vec<u8>]) -> Vec<Hash> {
    modules.iter().map(|module| leaf(module)).collect()
}
