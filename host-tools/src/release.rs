// SPDX-License-Identifier: MIT OR Apache-2.0

//! The Merkle tree over the modules of a release, whose head is signed once for all of them
//! ([`modsig::verify::release`] says what it is made of); and the two files that there are of a release
//! that is signed elsewhere: what is to be signed, and the leaves.

use anyhow::{bail, ensure, Context, Result};
use modsig::verify::{
    merkle::HASH_SIZE,
    release::{self, Head, CONTEXT, HEAD_SIZE, LEAF, NODE, SHA256, VERSION},
    trailer::Kind,
    DigestAlgorithm,
};
use openssl::sha::Sha256;

use crate::{digest::digest_by_name, hex, message};

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

/// A tree, with all its nodes. The leaves are in the order of their hashes: so the same modules are the same
/// release, whatever they are called and in whichever order they are given, and a leaf is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    size: u32,
    /// From the leaves upwards; the last has one node. A node without a sibling is a node of the next level as
    /// well, which makes the trees of RFC 9162 section 2.1.1.
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    /// Builds the tree over these leaves, which may be in any order.
    ///
    /// # Errors
    ///
    /// If there are none, or more than positions can count.
    pub fn new(mut leaves: Vec<Hash>) -> Result<Self> {
        let size = u32::try_from(leaves.len());
        let size = size.context("there are more modules than a release can count")?;
        ensure!(size > 0, "a release has one module at least");
        leaves.sort_unstable();
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

    /// The leaves, by position.
    pub fn leaves(&self) -> &[Hash] {
        self.levels.first().map_or(&[], Vec::as_slice)
    }

    /// The position of a leaf, if it is one of the tree: of several that are the same, always the same one.
    pub fn position(&self, leaf: &Hash) -> Option<u32> {
        self.leaves().binary_search(leaf).ok()?.try_into().ok()
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

/// What is signed for a release where its modules are not.
///
/// A text of two lines: one that says what it is, and the tree head in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// What the head is digested with, when it is signed (ML-DSA keys sign the head itself).
    pub hash: DigestAlgorithm,
    /// What is signed.
    pub head: Head,
}

const REQUEST: &str = "# modsig release 1: ";

impl Request {
    /// Whether a text is meant to be one.
    pub fn is(text: &[u8]) -> bool {
        text.starts_with(REQUEST.as_bytes())
    }

    /// How many leaves the tree has.
    pub fn size(&self) -> u32 {
        let octets = self.head[SIZE_AT..ROOT_AT].try_into().unwrap_or_default();
        u32::from_be_bytes(octets)
    }

    /// The text.
    pub fn to_text(&self) -> String {
        let (hash, size, head) = (self.hash.name(), self.size(), hex::encode(&self.head));
        format!("{REQUEST}{hash}, {size} leaves\n{head}\n")
    }

    /// Reads it.
    ///
    /// # Errors
    ///
    /// If it is anything else than what [`Self::to_text`] has made: no kernel takes a signature over any
    /// other head.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(text).unwrap_or_default();
        let (first, head) = text.split_once('\n').unwrap_or_default();
        let (hash, _) = first
            .strip_prefix(REQUEST)
            .and_then(|line| line.split_once(", "))
            .context("not of a release; modsig sign --release --manifest makes one")?;
        let request = Request {
            hash: digest_by_name(hash)?,
            head: hex::decode(head.trim_end().as_bytes())
                .and_then(|octets| octets.try_into().ok())
                .with_context(|| {
                    format!("its second line is not a tree head of {HEAD_SIZE} bytes in hexadecimal; copy it again")
                })?,
        };
        let known = release::head(request.size(), &request.head[ROOT_AT..]);
        ensure!(
            request.head == known && request.size() > 0,
            "it has a tree head that no kernel knows; make it with this version of modsig"
        );
        ensure!(
            text == request.to_text(),
            "its two lines do not belong together; copy it again"
        );
        Ok(request)
    }
}

/// Where the size is in a tree head, and where the root.
const SIZE_AT: usize = CONTEXT.len() + [VERSION, SHA256].len();
const ROOT_AT: usize = HEAD_SIZE - HASH_SIZE;

/// What stands behind the name of such a file in that of its leaves.
pub const LEAVES: &str = ".leaves";

const FIRST_WORDS: &str = "# modsig leaves 1: ";

/// The leaves of a tree as a text, which is kept until there is a signature over its head: a line that says
/// what it is, and for each leaf a line with its hash in hexadecimal.
pub fn leaves_to_text(tree: &Tree) -> String {
    let mut text = format!("{FIRST_WORDS}{} leaves\n", tree.size);
    for leaf in tree.leaves() {
        text += &hex::encode(leaf);
        text.push('\n');
    }
    text
}

/// Reads such a text. It is not known yet whose leaves they are: that is for the signature to say.
///
/// # Errors
///
/// If it is anything else, or less, than what [`leaves_to_text`] has made.
pub fn leaves_from_text(text: &[u8]) -> Result<Tree> {
    let mut lines = text.split(|&octet| octet == b'\n');
    let first = lines.next().and_then(|line| std::str::from_utf8(line).ok());
    let count = first
        .and_then(|line| line.strip_prefix(FIRST_WORDS)?.strip_suffix(" leaves"))
        .context("not the leaves of a release; modsig sign --release --manifest makes them")?;
    ensure!(
        lines.next_back() == Some(b""),
        "its end is missing; copy it again"
    );
    let mut leaves = vec![];
    for (number, line) in (2..).zip(lines) {
        let leaf = hex::decode(line).and_then(|octets| octets.try_into().ok());
        leaves.push(leaf.with_context(|| format!("line {number}: not a hash"))?);
    }
    if count.parse() != Ok(leaves.len()) {
        bail!(
            "it says that it has {count} leaves, and has {}; copy it again",
            leaves.len()
        );
    }
    Tree::new(leaves)
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
            let mut leaves: Vec<_> = (0..size).map(|n| leaf(&[n as u8; 3])).collect();
            let tree = Tree::new(leaves.clone()).unwrap();
            leaves.sort();
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
                assert_eq!(tree.position(&leaves[position]), Some(position as u32));
            }
            assert_eq!(tree.position(&leaf(b"another")), None);
            assert!(tree.proof(size as u32).is_err());
        }
        assert!(Tree::new(vec![]).is_err());
    }
}
