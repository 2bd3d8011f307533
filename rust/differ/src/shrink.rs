// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Makes a case smaller as long as it stays what it is.

use crate::{
    der::{self, Form, Node},
    world::{Case, Rule},
};

/// How often a case is tried, at most.
const TRIES: usize = 20_000;

const MARKER: &[u8] = b"~Module signature appended~\n";

struct Shrinker<F> {
    case: Case,
    is_same: F,
    left: usize,
}

/// The smallest case that was found for which `is_same` holds.
pub fn shrink(case: Case, is_same: impl FnMut(&Case) -> bool) -> Case {
    let mut shrinker = Shrinker {
        case,
        is_same,
        left: TRIES,
    };
    shrinker.shrink();
    shrinker.case
}

/// Takes a file apart whose trailer is as it should be: content and message.
pub fn split(file: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = file.strip_suffix(MARKER)?;
    let (rest, trailer) = rest.split_last_chunk::<12>()?;
    let [0, 0, 2, 0, 0, 0, 0, 0, length @ ..] = trailer else {
        return None;
    };
    let length = u32::from_be_bytes(*length) as usize;
    rest.split_at_checked(rest.len().checked_sub(length)?)
}

/// The reverse.
pub fn join(content: &[u8], message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u32).to_be_bytes();
    let trailer = [&[0, 0, 2, 0, 0, 0, 0, 0], &length[..]].concat();
    [content, message, &trailer, MARKER].concat()
}

impl<F: FnMut(&Case) -> bool> Shrinker<F> {
    /// Changes the case, if it stays what it is.
    fn attempt(&mut self, change: impl FnOnce(&mut Case)) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        let mut changed = self.case.clone();
        change(&mut changed);
        let good = (self.is_same)(&changed);
        if good {
            self.case = changed;
        }
        good
    }

    fn shrink(&mut self) {
        self.attempt(|case| case.world.rule = Rule::Every);
        self.attempt(|case| case.world.missing.clear());
        self.attempt(|case| case.world.certificates.clear());
        self.attempt(|case| case.world.files.clear());
        self.attempt(|case| case.world.flags = 0);
        self.attempt(|case| case.world.keys.clear());
        for index in (0..self.case.world.keys.len()).rev() {
            self.attempt(|case| drop(case.world.keys.remove(index)));
        }
        let Some((_, message)) = split(&self.case.file) else {
            self.octets(true);
            return;
        };
        let message = message.to_vec();
        self.attempt(|case| case.file = join(b"m", &message));
        loop {
            let before = self.case.file.len();
            self.elements();
            if self.left == 0 || self.case.file.len() == before {
                break;
            }
        }
        self.octets(false);
    }

    fn message(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        let (content, message) = split(&self.case.file)?;
        Some((content.to_vec(), message.to_vec()))
    }

    fn elements(&mut self) {
        let Some((content, message)) = self.message() else {
            return;
        };
        let Some(mut nodes) = der::parse(&message).filter(|nodes| nodes.len() == 1) else {
            return;
        };
        let mut root = nodes.remove(0);
        let mut at = 1;
        while at < root.count() {
            let mut try_it = |root: &mut Node, change: &dyn Fn(&mut Node)| {
                let mut changed = root.clone();
                change(&mut changed);
                if changed == *root {
                    return false;
                }
                let file = join(&content, &changed.encode());
                let good = self.attempt(|case| case.file = file);
                if good {
                    *root = changed;
                }
                good
            };
            if try_it(&mut root, &|root| _ = root.remove(at)) {
                continue;
            }
            let of = |root: &mut Node, change: &dyn Fn(&mut Node)| {
                if let Some(node) = root.get(at) {
                    change(node);
                }
            };
            try_it(&mut root, &|root| {
                of(root, &|node| node.form = Form::Minimal)
            });
            for _ in 0..16 {
                let half = |node: &mut Node| node.octets.truncate(node.octets.len() / 2);
                if !try_it(&mut root, &|root| of(root, &half)) {
                    break;
                }
            }
            let less = |node: &mut Node| node.octets.truncate(node.octets.len().saturating_sub(1));
            try_it(&mut root, &|root| of(root, &less));
            let zero =
                |node: &mut Node| node.octets.iter_mut().skip(1).for_each(|octet| *octet = 0);
            if root.get(at).is_none_or(|node| node.tag != 0x06) {
                try_it(&mut root, &|root| of(root, &zero));
            }
            at += 1;
        }
    }

    /// Takes out bytes, of the file or of its message.
    fn octets(&mut self, of_file: bool) {
        let mut size = self.case.file.len() / 2;
        while size > 0 {
            let mut at = 0;
            loop {
                let parts = if of_file {
                    Some((vec![], self.case.file.clone()))
                } else {
                    self.message()
                };
                let Some((content, mut octets)) = parts else {
                    return;
                };
                if at + size > octets.len() || self.left == 0 {
                    break;
                }
                octets.drain(at..at + size);
                let good = self.attempt(|case| {
                    case.file = if of_file {
                        octets
                    } else {
                        join(&content, &octets)
                    };
                });
                if !good {
                    at += size;
                }
            }
            size /= 2;
        }
    }
}
