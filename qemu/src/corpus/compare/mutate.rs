// SPDX-License-Identifier: MIT OR Apache-2.0

//! Seeded changes to a good message, one element at a time. In most of them the lengths of what
//! is around the element are set right again, so that the inner parsers come to see it.

use super::der::{self, Body, Node};

/// Numbers that look like chance and come again with the same seed (SplitMix64).
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// Starts from a seed.
    pub fn new(seed: u64) -> Self {
        Rng(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// One of these; there is at least one.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// Puts these into an order of chance.
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for at in (1..list.len()).rev() {
            list.swap(at, self.below(at + 1));
        }
    }
}

/// What is done to an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A bit of the tag is flipped.
    FlipTag,
    /// A bit of the length is flipped; nothing else is adapted.
    FlipLength,
    /// A bit of what it holds is flipped.
    FlipContent,
    /// The message ends somewhere in it.
    CutHere,
    /// It loses its last byte.
    Shorten,
    /// It holds a byte more.
    Lengthen,
    /// A byte of zero comes in front of what it holds.
    PadFront,
    /// It holds nothing.
    Empty,
    /// Only a part of what it holds is left.
    Halve,
    /// Another element of the message stands in its place.
    Replace,
    /// Another element of the message stands behind it.
    Splice,
    /// It comes twice.
    Duplicate,
    /// It is not there.
    Remove,
    /// It changes places with the next one.
    Swap,
    /// It is wrapped in an element like the one around it.
    Wrap,
    /// What it holds stands in its place.
    Unwrap,
    /// It has another tag.
    Retag,
    /// It has a tag of several bytes.
    LongTag,
    /// Its length takes a byte more than it needs.
    PadLength,
    /// Its length takes four bytes.
    FourOctetLength,
    /// Its length takes five bytes.
    FiveOctetLength,
    /// Its length is more than there can be.
    HugeLength,
    /// Its length has a header that says 127 bytes.
    ReservedLength,
    /// Its length is 0, though it holds something.
    ZeroLength,
    /// Its length is one more than what it holds.
    LengthPlusOne,
    /// Its length is one less.
    LengthMinusOne,
    /// Its length is indefinite, with an end-of-contents.
    Indefinite,
    /// Its length is indefinite, and never ends.
    Unterminated,
    /// Its length is indefinite, with half an end-of-contents.
    HalfTerminated,
}

use Operation::*;

/// All of them.
pub const OPERATIONS: [Operation; 29] = [
    FlipTag,
    FlipLength,
    FlipContent,
    CutHere,
    Shorten,
    Lengthen,
    PadFront,
    Empty,
    Halve,
    Replace,
    Splice,
    Duplicate,
    Remove,
    Swap,
    Wrap,
    Unwrap,
    Retag,
    LongTag,
    PadLength,
    FourOctetLength,
    FiveOctetLength,
    HugeLength,
    ReservedLength,
    ZeroLength,
    LengthPlusOne,
    LengthMinusOne,
    Indefinite,
    Unterminated,
    HalfTerminated,
];

/// Tags that the grammars of messages and certificates have, and some that they do not.
const TAGS: [u8; 25] = [
    0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0a, 0x0c, 0x13, 0x16, 0x17, 0x18, 0x24, 0x30, 0x31,
    0x80, 0x81, 0x82, 0xa0, 0xa1, 0xa2, 0xa3, 0x1f, 0x3f,
];

/// Does this to the element at `path` of a message; `None` if it cannot be done there, or changes
/// nothing.
pub fn mutate(root: &Node, path: &[usize], operation: Operation, rng: &mut Rng) -> Option<Vec<u8>> {
    let message = root.encode();
    let mut tree = root.clone();
    let offset = root.offset(path)?;
    let node = tree.at_mut(path)?;
    let size = node.encode().len();
    let content = node.content();
    let set_content = |node: &mut Node, content: Vec<u8>| node.body = Body::Octets(content);
    let paths = root.paths();
    // Any other element, the whole message excepted.
    let mut other = || root.at(&paths[1 + rng.below(paths.len() - 1)]).cloned();

    match operation {
        FlipTag => node.tag[0] ^= 1 << rng.below(8),
        FlipLength => {
            let mut message = message;
            let octets = der::length(content.len()).len();
            message[offset + 1 + rng.below(octets)] ^= 1 << rng.below(8);
            return Some(message);
        }
        FlipContent => {
            let mut content = content;
            let at = rng.below(content.len().max(1));
            *content.get_mut(at)? ^= 1 << rng.below(8);
            set_content(node, content);
        }
        CutHere => return Some(message[..offset + rng.below(size)].to_vec()),
        Shorten => set_content(node, content.split_last()?.1.to_vec()),
        Lengthen => {
            let last = [0x00, 0x01, 0x05, 0xff][rng.below(4)];
            set_content(node, [&content[..], &[last]].concat());
        }
        PadFront => set_content(node, [&[0][..], &content].concat()),
        Empty => set_content(node, vec![]),
        Halve => {
            let end = rng.below(content.len().max(1));
            set_content(node, content[..end].to_vec());
        }
        Replace => *node = other()?,
        Splice | Duplicate | Remove | Swap => {
            let (&last, parent) = path.split_last()?;
            let other = other()?;
            let nodes = tree.at_mut(parent)?.nodes_mut()?;
            match operation {
                Splice => nodes.insert(last + 1, other),
                Duplicate => nodes.insert(last, nodes[last].clone()),
                Remove => drop(nodes.remove(last)),
                _ if last + 1 < nodes.len() => nodes.swap(last, last + 1),
                _ => return None,
            }
        }
        Wrap => {
            let (_, parent) = path.split_last()?;
            let tag = root.at(parent)?.tag.clone();
            *node = Node {
                tag,
                body: Body::Nodes(vec![], vec![node.clone()]),
                length: None,
                after: vec![],
            };
        }
        Unwrap => {
            let (&last, parent) = path.split_last()?;
            let inner = node.nodes().to_vec();
            let nodes = tree.at_mut(parent)?.nodes_mut()?;
            nodes.splice(last..=last, inner);
        }
        Retag => node.tag = vec![*rng.pick(&TAGS)],
        LongTag => {
            let long = node.tag[0] | 0x1f;
            node.tag = match rng.below(3) {
                0 => vec![long, node.tag[0] & 0x1f],
                1 => vec![long, 0x81, 0x01],
                _ => vec![long, 0x80, node.tag[0] & 0x1f],
            };
        }
        PadLength => {
            let short = der::length(content.len());
            node.length = Some(match short[..] {
                [octet] => vec![0x81, octet],
                [count, ref octets @ ..] => [&[count + 1, 0], octets].concat(),
                [] => return None,
            });
        }
        FourOctetLength => {
            let octets = u32::try_from(content.len()).ok()?.to_be_bytes();
            node.length = Some([&[0x84][..], &octets].concat());
        }
        FiveOctetLength => {
            let octets = u32::try_from(content.len()).ok()?.to_be_bytes();
            node.length = Some([&[0x85, 0][..], &octets].concat());
        }
        HugeLength => {
            let huge: [&[u8]; 6] = [
                &[0x82, 0xff, 0xff],
                &[0x83, 0xff, 0xff, 0xff],
                &[0x84, 0x7f, 0xff, 0xff, 0xff],
                &[0x84, 0xff, 0xff, 0xff, 0xff],
                &[0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
                &[0x88, 0x80, 0, 0, 0, 0, 0, 0, 0],
            ];
            node.length = Some(rng.pick(&huge).to_vec());
        }
        ReservedLength => node.length = Some(vec![0xff]),
        ZeroLength => node.length = Some(vec![0]),
        LengthPlusOne => node.length = Some(der::length(content.len() + 1)),
        LengthMinusOne => node.length = Some(der::length(content.len().checked_sub(1)?)),
        Indefinite | Unterminated | HalfTerminated => {
            node.length = Some(vec![0x80]);
            node.after = match operation {
                Indefinite => vec![0, 0],
                HalfTerminated => vec![0],
                _ => vec![],
            };
        }
    }
    Some(tree.encode()).filter(|mutant| *mutant != message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use modsig_tools::message::{sequence, tlv};

    fn message() -> Node {
        let inner = sequence(&[&tlv(2, &[1; 130]), &tlv(4, &[7, 8, 9])]);
        Node::parse(&sequence(&[&tlv(6, &[0x2a, 3]), &tlv(0xa0, &inner)])).unwrap()
    }

    fn all(seed: u64) -> Vec<Option<Vec<u8>>> {
        let (root, mut rng) = (message(), Rng::new(seed));
        let paths = root.paths();
        let each = paths
            .iter()
            .flat_map(|path| OPERATIONS.map(|operation| (path, operation)));
        each.map(|(path, operation)| mutate(&root, path, operation, &mut rng))
            .collect()
    }

    #[test]
    fn a_seed_gives_the_same_mutants_again() {
        assert_eq!(all(1), all(1));
        assert_ne!(all(1), all(2));
    }

    #[test]
    fn every_mutant_is_another_message() {
        let original = message().encode();
        let mutants: Vec<_> = all(3).into_iter().flatten().collect();
        assert!(mutants.len() > 100);
        assert!(mutants.iter().all(|mutant| *mutant != original));
    }

    #[test]
    fn lengths_around_the_element_are_right() {
        let (root, mut rng) = (message(), Rng::new(4));
        let path = [1, 0, 0];
        for operation in [Lengthen, PadFront, Shorten, Empty, Duplicate, Remove, Swap] {
            let mutant = mutate(&root, &path, operation, &mut rng).unwrap();
            let tree = Node::parse(&mutant).unwrap_or_else(|| panic!("{operation:?}: {mutant:x?}"));
            assert_eq!(tree.encode(), mutant, "{operation:?}");
        }
        // A length of its own that is wrong: all around it is right.
        for operation in [PadLength, Indefinite, FiveOctetLength] {
            let mutant = mutate(&root, &path, operation, &mut rng).unwrap();
            let grown = mutant.len() - root.encode().len();
            for parent in [&[][..], &[1], &[1, 0]] {
                let (old, offset) = (root.at(parent).unwrap(), root.offset(parent).unwrap());
                let length = der::length(old.content().len() + grown);
                assert_eq!(
                    mutant[offset + 1..][..length.len()],
                    length,
                    "{operation:?}"
                );
            }
        }
    }

    #[test]
    fn an_indefinite_element_ends() {
        let mutant = mutate(&message(), &[1, 0], Indefinite, &mut Rng::new(5)).unwrap();
        assert_eq!(mutant[mutant.len() - 2..], [0, 0]);
        let offset = message().offset(&[1, 0]).unwrap();
        assert_eq!(mutant[offset..offset + 2], [0x30, 0x80]);
    }
}
