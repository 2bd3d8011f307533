// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Changes: of elements, so that all lengths still fit, and of bytes.

use crate::{
    der::{Form, Node},
    generate::{length, oid},
    rng::Rng,
};

const TAGS: [u8; 26] = [
    0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0c, 0x13, 0x17, 0x18, 0x1f, 0x30, 0x31, 0x80, 0x81, 0x82,
    0x83, 0x86, 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0x00, 0xbf,
];

/// Changes one element of a tree, which keeps its outermost one.
pub fn tree(rng: &mut Rng, root: &mut Node, donors: &[Node]) {
    let count = root.count();
    let at = rng.below(count);
    let other = |rng: &mut Rng, root: &mut Node| {
        let mut from = match donors {
            [] => root.clone(),
            _ if rng.percent(60) => root.clone(),
            _ => rng.pick(donors).clone(),
        };
        let count = from.count();
        from.get(rng.below(count)).cloned()
    };
    match rng.below(22) {
        0..3 => {
            root.remove(at);
        }
        3 => {
            let node = other(rng, root);
            if let (Some(to), Some(node)) = (root.get(at), node) {
                *to = node;
            }
        }
        4 => {
            let node = other(rng, root);
            if let (Some(to), Some(node)) = (root.get(at), node) {
                let index = rng.below(to.nodes.len() + 1);
                to.nodes.insert(index, node);
            }
        }
        5 => {
            let Some(node) = root.get(at) else { return };
            node.tag = *rng.pick(&TAGS);
        }
        6 => {
            let Some(node) = root.get(at) else { return };
            node.form = match rng.below(12) {
                0..4 => Form::Long(1 + rng.below(5) as u8),
                4 => Form::Long(*rng.pick(&[0, 6, 8, 0x7f])),
                5..8 => Form::Indefinite,
                _ => Form::Wrong(*rng.pick(&[-2, -1, 1, 2, 100])),
            };
        }
        7 => {
            let Some(node) = root.get(at) else { return };
            if node.nodes.is_empty() {
                return;
            }
            let index = rng.below(node.nodes.len());
            match rng.below(3) {
                0 => node.nodes.reverse(),
                1 => node.nodes.insert(index, node.nodes[index].clone()),
                // So many that the lengths around it change their form.
                _ => {
                    let size = node.nodes[index].encode().len().max(1);
                    let times = (length(rng) / size).min(200);
                    let copy = node.nodes[index].clone();
                    node.nodes.splice(index..index, vec![copy; times]);
                }
            }
        }
        8 => {
            let Some(node) = root.get(at) else { return };
            let inside = std::mem::replace(node, Node::of(*rng.pick(&TAGS), vec![]));
            node.nodes.push(inside);
        }
        9 => {
            let Some(node) = root.get(at) else { return };
            node.tag ^= 1 << rng.below(8);
        }
        _ => {
            // Of what holds bytes, one at that place or behind it.
            let leaf = (0..count)
                .map(|by| (at + by) % count)
                .find(|&at| root.get(at).is_some_and(|node| node.nodes.is_empty()));
            if let Some(node) = leaf.and_then(|at| root.get(at)) {
                leaf_octets(rng, node);
            }
        }
    }
}

fn leaf_octets(rng: &mut Rng, node: &mut Node) {
    if node.tag == 0x06 && rng.percent(70) {
        node.octets = oid::any(rng).to_vec();
        return;
    }
    match rng.below(3) {
        0 => {
            let size = length(rng);
            let more = rng.octets(size.saturating_sub(node.octets.len()));
            node.octets.extend(more);
            node.octets.truncate(size);
        }
        _ => octets(rng, &mut node.octets),
    }
}

/// Changes some bytes.
pub fn octets(rng: &mut Rng, octets: &mut Vec<u8>) {
    if octets.is_empty() {
        octets.push(rng.draw() as u8);
        return;
    }
    let at = rng.below(octets.len());
    match rng.below(8) {
        0 => octets[at] ^= 1 << rng.below(8),
        1 => octets[at] = rng.draw() as u8,
        2 => octets[at] = *rng.pick(&[0, 1, 2, 7, 8, 0x7f, 0x80, 0x81, 0x82, 0xff]),
        3 => octets.insert(at, rng.draw() as u8),
        4 => drop(octets.remove(at)),
        5 => octets.truncate(at),
        6 => octets[at] = octets[at].wrapping_add(1),
        _ => octets[at] = octets[at].wrapping_sub(1),
    }
}
