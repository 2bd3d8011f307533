// SPDX-License-Identifier: MIT OR Apache-2.0

//! DER as a tree that can be changed and written again, with wrong lengths where that is wanted.

/// One element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its tag; more than one byte if that is what is to be tried.
    pub tag: Vec<u8>,
    /// Bytes to write in place of the right length.
    pub length: Option<Vec<u8>>,
    /// What it holds.
    pub body: Body,
    /// Bytes behind it that are no element: an end-of-contents, say.
    pub after: Vec<u8>,
}

/// What an element holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Bytes.
    Octets(Vec<u8>),
    /// Elements. In front of them stands what a BIT STRING has there.
    Nodes(Vec<u8>, Vec<Node>),
}

const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const CONSTRUCTED: u8 = 0x20;

/// The bytes of a length, as few as possible.
pub fn length(length: usize) -> Vec<u8> {
    match length {
        0..=0x7f => vec![length as u8],
        _ => {
            let octets = length.to_be_bytes();
            let octets: Vec<u8> = octets.into_iter().skip_while(|&octet| octet == 0).collect();
            [vec![0x80 | octets.len() as u8], octets].concat()
        }
    }
}

/// Splits off an element: its tag, what it holds, and the rest.
pub fn split(octets: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = octets.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let count = usize::from(first.saturating_sub(0x80));
    if tag & 0x1f == 0x1f || first == 0x80 || count > 3 {
        return None;
    }
    let (long, rest) = rest.split_at_checked(count)?;
    let size = match first {
        0..=0x7f => usize::from(first),
        _ => long
            .iter()
            .fold(0, |sum, &octet| sum << 8 | usize::from(octet)),
    };
    let (content, rest) = rest.split_at_checked(size)?;
    Some((tag, content, rest))
}

impl Node {
    /// Reads one element that is all of `bytes`, with everything inside. What stands encoded in a
    /// string (a public key, an extension, an ECDSA signature) is read, too.
    pub fn parse(octets: &[u8]) -> Option<Node> {
        match Self::parse_all(octets)?.as_mut_slice() {
            [node] => Some(node.clone()),
            _ => None,
        }
    }

    fn parse_all(mut octets: &[u8]) -> Option<Vec<Node>> {
        let mut nodes = vec![];
        while !octets.is_empty() {
            let (tag, content, rest) = split(octets)?;
            nodes.push(Node::new(tag, content));
            octets = rest;
        }
        Some(nodes)
    }

    fn new(tag: u8, content: &[u8]) -> Node {
        let (lead, inner) = match (tag, content) {
            (BIT_STRING, [0, inner @ ..]) => (vec![0], inner),
            _ => (vec![], content),
        };
        let nodes = match tag {
            _ if tag & CONSTRUCTED != 0 => Self::parse_all(inner),
            // Bytes of which all are elements by chance are rare, and do no harm.
            BIT_STRING | OCTET_STRING if matches!(inner, [0x30 | 0x04 | 0x03, ..]) => {
                Self::parse_all(inner).filter(|nodes| nodes.len() == 1)
            }
            _ => None,
        };
        Node {
            tag: vec![tag],
            length: None,
            body: match nodes {
                Some(nodes) => Body::Nodes(lead, nodes),
                None => Body::Octets(content.to_vec()),
            },
            after: vec![],
        }
    }

    /// What it holds, written.
    pub fn content(&self) -> Vec<u8> {
        match &self.body {
            Body::Octets(octets) => octets.clone(),
            Body::Nodes(lead, nodes) => {
                let mut out = lead.clone();
                nodes.iter().for_each(|node| out.extend(node.encode()));
                out
            }
        }
    }

    /// Writes it.
    pub fn encode(&self) -> Vec<u8> {
        let content = self.content();
        let length = match &self.length {
            Some(length) => length.clone(),
            None => length(content.len()),
        };
        [&self.tag[..], &length, &content, &self.after].concat()
    }

    /// The elements inside; none if it holds bytes.
    pub fn nodes(&self) -> &[Node] {
        match &self.body {
            Body::Octets(_) => &[],
            Body::Nodes(_, nodes) => nodes,
        }
    }

    /// The elements inside, to be changed.
    pub fn nodes_mut(&mut self) -> Option<&mut Vec<Node>> {
        match &mut self.body {
            Body::Octets(_) => None,
            Body::Nodes(_, nodes) => Some(nodes),
        }
    }

    /// The element at a place: the first number says which one in this element, and so on.
    pub fn at(&self, path: &[usize]) -> Option<&Node> {
        match path {
            [] => Some(self),
            [first, rest @ ..] => self.nodes().get(*first)?.at(rest),
        }
    }

    /// The same, to be changed.
    pub fn at_mut(&mut self, path: &[usize]) -> Option<&mut Node> {
        match path {
            [] => Some(self),
            [first, rest @ ..] => self.nodes_mut()?.get_mut(*first)?.at_mut(rest),
        }
    }

    /// The places of all elements, in the order in which they are written.
    pub fn paths(&self) -> Vec<Vec<usize>> {
        let mut paths = vec![vec![]];
        for (index, node) in self.nodes().iter().enumerate() {
            let inner = node.paths();
            paths.extend(inner.into_iter().map(|path| [&[index], &path[..]].concat()));
        }
        paths
    }

    /// Where an element of this tree, which has right lengths, starts when it is written.
    pub fn offset(&self, path: &[usize]) -> Option<usize> {
        let [first, rest @ ..] = path else {
            return Some(0);
        };
        let Body::Nodes(lead, nodes) = &self.body else {
            return None;
        };
        let header = self.tag.len() + length(self.content().len()).len() + lead.len();
        let before: usize = nodes.iter().take(*first).map(|n| n.encode().len()).sum();
        Some(header + before + nodes.get(*first)?.offset(rest)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use modsig_tools::message::{sequence, tlv};

    #[test]
    fn what_is_read_is_written_again() {
        let key = tlv(
            BIT_STRING,
            &[&[0][..], &sequence(&[&tlv(2, &[5])])].concat(),
        );
        let long = tlv(OCTET_STRING, &[0xff; 300]);
        let message = sequence(&[&tlv(6, &[0x2a]), &key, &long, &tlv(0xa0, &[])]);
        let node = Node::parse(&message).unwrap();
        assert_eq!(node.encode(), message);
        // The INTEGER in the BIT STRING was found, and where it is.
        let path = [1, 0, 0];
        assert_eq!(node.at(&path).unwrap().body, Body::Octets(vec![5]));
        let offset = node.offset(&path).unwrap();
        assert_eq!(message[offset..offset + 3], [2, 1, 5]);
        assert_eq!(node.paths().len(), 7);
    }

    #[test]
    fn what_is_no_der_is_not_read() {
        for octets in [
            &[][..],
            &[0x30],
            &[0x30, 0x80, 0, 0],
            &[0x30, 1],
            &[4, 0, 0],
        ] {
            assert_eq!(Node::parse(octets), None);
        }
    }
}
