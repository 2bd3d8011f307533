// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Changes inputs so that they stay DER: random bytes seldom have lengths that fit, and an input
//! of which the outermost length is wrong tests nothing else.

use crate::common::{tlv, Random};

/// How deep an input is taken apart; a message has about fifteen levels.
const DEPTH: usize = 20;

/// A libFuzzer mutator for inputs that are DER behind `header` bytes: every second time an
/// element is changed and all lengths are made to fit, else any bytes are changed.
pub fn der(data: &mut [u8], size: usize, max_size: usize, seed: u32, header: usize) -> usize {
    // The first number of neighbouring seeds is alike, so it is thrown away.
    let mut random = Random(u64::from(seed) << 1 | 1);
    random.next();
    if random.below(2) == 0 {
        if let Some(changed) = structured(&data[..size], header, &mut random) {
            if changed.len() <= max_size {
                data[..changed.len()].copy_from_slice(&changed);
                return changed.len();
            }
        }
    }
    libfuzzer_sys::fuzzer_mutate(data, size, max_size)
}

fn structured(input: &[u8], header: usize, random: &mut Random) -> Option<Vec<u8>> {
    let (header, der) = input.split_at_checked(header)?;
    let mut nodes = parse(der, DEPTH)?;
    let total = nodes.iter().map(Node::count).sum::<usize>();
    if total == 0 {
        return None;
    }
    let other = get(&mut nodes, random.below(total))?.clone();
    let at = random.below(total);
    match random.below(8) {
        0 => edit(&mut nodes, at, |list, index| drop(list.remove(index))),
        1 => edit(&mut nodes, at, |list, index| {
            list.insert(index, list[index].clone())
        }),
        2 => edit(&mut nodes, at, |list, index| list[index] = other),
        3 => edit(&mut nodes, at, |list, index| list.insert(index, other)),
        4 => get(&mut nodes, at)?.tag = other.tag,
        _ => match &mut get(&mut nodes, at)?.content {
            Content::Octets(octets) => {
                let size = octets.len();
                octets.resize(size + 16, 0);
                let max_size = octets.len();
                let size = libfuzzer_sys::fuzzer_mutate(octets, size, max_size);
                octets.truncate(size);
            }
            Content::Nodes(nodes) => nodes.reverse(),
        },
    }
    Some([header.to_vec(), encode(&nodes)].concat())
}

#[derive(Clone)]
struct Node {
    tag: u8,
    content: Content,
}

#[derive(Clone)]
enum Content {
    Octets(Vec<u8>),
    Nodes(Vec<Node>),
}

impl Node {
    /// How many nodes it is, those inside included.
    fn count(&self) -> usize {
        match &self.content {
            Content::Octets(_) => 1,
            Content::Nodes(nodes) => 1 + nodes.iter().map(Node::count).sum::<usize>(),
        }
    }
}

/// The elements of an input; `None` if it is something else.
fn parse(mut input: &[u8], depth: usize) -> Option<Vec<Node>> {
    let mut nodes = vec![];
    while let [tag, first, rest @ ..] = input {
        let (length, rest) = match first {
            0x81 => (usize::from(*rest.first()?), &rest[1..]),
            0x82 => (
                usize::from(u16::from_be_bytes(rest.get(..2)?.try_into().ok()?)),
                &rest[2..],
            ),
            short => (usize::from(*short), rest),
        };
        let (content, rest) = rest.split_at_checked(length)?;
        // Extensions are elements in strings.
        let inside = if depth > 0 && (tag & 0x20 != 0 || *tag == 0x04) {
            parse(content, depth - 1)
        } else {
            None
        };
        nodes.push(Node {
            tag: *tag,
            content: inside.map_or_else(|| Content::Octets(content.to_vec()), Content::Nodes),
        });
        input = rest;
    }
    input.is_empty().then_some(nodes)
}

fn encode(nodes: &[Node]) -> Vec<u8> {
    let each = nodes.iter().flat_map(|node| match &node.content {
        Content::Octets(octets) => tlv(node.tag, octets),
        Content::Nodes(nodes) => tlv(node.tag, &encode(nodes)),
    });
    each.collect()
}

/// The node of this number, counted from the outside in.
fn get(nodes: &mut [Node], mut number: usize) -> Option<&mut Node> {
    for node in nodes {
        let count = node.count();
        if number == 0 {
            return Some(node);
        }
        if number < count {
            return match &mut node.content {
                Content::Nodes(nodes) => get(nodes, number - 1),
                Content::Octets(_) => None,
            };
        }
        number -= count;
    }
    None
}

/// Gives `edit` the list that the node of this number is in, and its place there.
fn edit(nodes: &mut Vec<Node>, mut number: usize, edit: impl FnOnce(&mut Vec<Node>, usize)) {
    for index in 0..nodes.len() {
        let count = nodes[index].count();
        if number == 0 {
            return edit(nodes, index);
        }
        if number < count {
            if let Content::Nodes(nodes) = &mut nodes[index].content {
                self::edit(nodes, number - 1, edit);
            }
            return;
        }
        number -= count;
    }
}
