// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Elements that can be changed: a tree that is written as DER, or as something near it.

/// How the length of an element is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As DER has it.
    Minimal,
    /// In this many bytes behind the first one.
    Long(u8),
    /// Indefinite, with an end behind the content.
    Indefinite,
    /// As DER has it, but for a length that is off by this.
    Wrong(i8),
}

/// One element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its tag.
    pub tag: u8,
    /// How its length is written.
    pub form: Form,
    /// The bytes at the start of its content: all of them, or the unused bits of a BIT STRING.
    pub octets: Vec<u8>,
    /// The elements behind those.
    pub nodes: Vec<Node>,
}

impl Node {
    /// An element that holds bytes.
    pub fn new(tag: u8, octets: &[u8]) -> Self {
        Node {
            tag,
            form: Form::Minimal,
            octets: octets.to_vec(),
            nodes: vec![],
        }
    }

    /// An element that holds others.
    pub fn of(tag: u8, nodes: Vec<Node>) -> Self {
        Node {
            tag,
            form: Form::Minimal,
            octets: vec![],
            nodes,
        }
    }

    /// What it is written as.
    pub fn encode(&self) -> Vec<u8> {
        let mut to = vec![];
        self.write(&mut to);
        to
    }

    /// What its content is written as.
    pub fn content(&self) -> Vec<u8> {
        let mut to = self.octets.clone();
        self.nodes.iter().for_each(|node| node.write(&mut to));
        to
    }

    fn write(&self, to: &mut Vec<u8>) {
        // The length goes in front when it is known.
        let start = to.len();
        to.extend(&self.octets);
        self.nodes.iter().for_each(|node| node.write(to));
        let length = to.len() - start;
        let mut head = vec![self.tag];
        match self.form {
            Form::Indefinite => {
                head.push(0x80);
                to.extend([0, 0]);
            }
            Form::Long(count) => {
                head.push(0x80 | count);
                let length = (length as u64).to_be_bytes();
                let padding = usize::from(count).saturating_sub(length.len());
                head.extend(std::iter::repeat_n(0, padding));
                head.extend(&length[length.len().saturating_sub(count.into())..]);
            }
            Form::Minimal => put_length(&mut head, length),
            Form::Wrong(by) => put_length(&mut head, length.saturating_add_signed(by.into())),
        }
        to.splice(start..start, head);
    }

    /// How many elements it is, itself included.
    pub fn count(&self) -> usize {
        1 + self.nodes.iter().map(Node::count).sum::<usize>()
    }

    /// The element at a place, in the order in which they begin; 0 is itself.
    pub fn get(&mut self, at: usize) -> Option<&mut Node> {
        fn get<'a>(node: &'a mut Node, at: &mut usize) -> Option<&'a mut Node> {
            if *at == 0 {
                return Some(node);
            }
            *at -= 1;
            node.nodes.iter_mut().find_map(|node| get(node, at))
        }
        get(self, &mut { at })
    }

    /// Takes out the element at a place, which is not 0.
    pub fn remove(&mut self, at: usize) -> bool {
        fn remove(node: &mut Node, at: &mut usize) -> bool {
            for index in 0..node.nodes.len() {
                *at -= 1;
                if *at == 0 {
                    node.nodes.remove(index);
                    return true;
                }
                if remove(&mut node.nodes[index], at) {
                    return true;
                }
            }
            false
        }
        at != 0 && remove(self, &mut { at })
    }
}

fn put_length(to: &mut Vec<u8>, length: usize) {
    if length < 0x80 {
        to.push(length as u8);
        return;
    }
    let octets = length.to_be_bytes();
    let skip = octets.iter().take_while(|octet| **octet == 0).count();
    to.push(0x80 | (octets.len() - skip) as u8);
    to.extend(&octets[skip..]);
}

/// Reads elements, so that they are written as they stood there; `None` if they are none.
pub fn parse(input: &[u8]) -> Option<Vec<Node>> {
    elements(input, 24)
}

fn elements(mut rest: &[u8], depth: usize) -> Option<Vec<Node>> {
    let mut nodes = vec![];
    while !rest.is_empty() {
        nodes.push(element(&mut rest, depth)?);
    }
    Some(nodes)
}

fn element(rest: &mut &[u8], depth: usize) -> Option<Node> {
    let (&[tag, first], mut behind) = rest.split_first_chunk()?;
    if tag & 0x1f == 0x1f {
        return None;
    }
    let mut node = Node::new(tag, &[]);
    let length = match first {
        0x80 => {
            node.form = Form::Indefinite;
            while !behind.starts_with(&[0, 0]) {
                node.nodes
                    .push(element(&mut behind, depth.checked_sub(1)?)?);
            }
            *rest = &behind[2..];
            return Some(node);
        }
        0..0x80 => first.into(),
        _ => {
            let (length, after) = behind.split_at_checked((first & 0x7f).into())?;
            behind = after;
            let count = length.len();
            let length = length.iter().fold(0usize, |length, octet| {
                length.saturating_mul(256).saturating_add((*octet).into())
            });
            let mut minimal = vec![];
            put_length(&mut minimal, length);
            if minimal.len() != 1 + count {
                node.form = Form::Long(count as u8);
            }
            length
        }
    };
    let (content, behind) = behind.split_at_checked(length)?;
    *rest = behind;
    // What looks as if there were elements inside, has elements inside: also in strings.
    let (octets, inside) = match (tag, content) {
        (0x03, [0, inside @ ..]) => (&content[..1], inside),
        _ => (&content[..0], content),
    };
    let may_hold = tag & 0x20 != 0 || (matches!(tag, 0x03 | 0x04) && inside.len() >= 2);
    match depth.checked_sub(1).filter(|_| may_hold) {
        Some(depth) => match elements(inside, depth) {
            Some(nodes) => (node.octets, node.nodes) = (octets.to_vec(), nodes),
            None => node.octets = content.to_vec(),
        },
        None => node.octets = content.to_vec(),
    }
    Some(node)
}
