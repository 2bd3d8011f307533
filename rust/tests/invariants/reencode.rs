// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Reads a message leniently, and writes what it read in its one encoding.
//!
//! Shares no code with the verifier. Lengths, integers, identifiers and booleans may be padded
//! here, and the tags that are written are those of the grammar; so a message that the verifier
//! accepts must come out as it went in. What neither looks into (values of names and attributes,
//! parameters, unknown extensions) is copied.

use crate::common::tlv;

/// The encoding of a signature message; `None` if it is none.
pub fn message(input: &[u8]) -> Option<Vec<u8>> {
    encode(input, |ber| {
        ber.inside(0x30, |ber| {
            ber.oid()?;
            ber.inside(0xa0, |ber| ber.inside(0x30, signed_data))
        })
    })
}

/// The encoding of a certificate; `None` if it is none.
pub fn certificate(input: &[u8]) -> Option<Vec<u8>> {
    encode(input, read_certificate)
}

/// The encoding of an object identifier's content.
pub fn oid(content: &[u8]) -> Vec<u8> {
    let mut out = vec![];
    let mut start_of_arc = true;
    for &octet in content {
        if !(start_of_arc && octet == 0x80) {
            out.push(octet);
            start_of_arc = octet & 0x80 == 0;
        }
    }
    out
}

/// The encoding of an integer's content.
pub fn integer(mut content: &[u8]) -> Vec<u8> {
    while let [first @ (0x00 | 0xff), next, ..] = content {
        if (first ^ next) & 0x80 != 0 {
            break;
        }
        content = &content[1..];
    }
    content.to_vec()
}

fn encode(input: &[u8], grammar: impl FnOnce(&mut Ber<'_>) -> Step) -> Option<Vec<u8>> {
    let mut ber = Ber {
        rest: input,
        out: vec![],
    };
    grammar(&mut ber)?;
    Some(ber.out)
}

/// `None`: the input is not of this grammar.
type Step = Option<()>;

struct Ber<'a> {
    rest: &'a [u8],
    out: Vec<u8>,
}

impl<'a> Ber<'a> {
    fn read(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.rest.split_first()?;
        let (&first, mut rest) = rest.split_first()?;
        let mut length = usize::from(first);
        if first & 0x80 != 0 {
            let (octets, after) = rest.split_at_checked(usize::from(first & 0x7f))?;
            rest = after;
            length = octets.iter().try_fold(0usize, |length, &octet| {
                length.checked_mul(0x100)?.checked_add(octet.into())
            })?;
        }
        let (content, rest) = rest.split_at_checked(length)?;
        self.rest = rest;
        Some((tag, content))
    }

    fn next_is(&self, tag: u8) -> bool {
        self.rest.first() == Some(&tag)
    }

    fn any(&mut self) -> Step {
        let (tag, content) = self.read()?;
        self.out.extend(tlv(tag, content));
        Some(())
    }

    fn leaf(&mut self, tag: u8, encode: impl FnOnce(&[u8]) -> Vec<u8>) -> Step {
        let (_, content) = self.read()?;
        self.out.extend(tlv(tag, &encode(content)));
        Some(())
    }

    fn octets(&mut self, tag: u8) -> Step {
        self.leaf(tag, <[u8]>::to_vec)
    }

    fn oid(&mut self) -> Step {
        self.leaf(0x06, oid)
    }

    fn integer(&mut self, tag: u8) -> Step {
        self.leaf(tag, integer)
    }

    fn boolean(&mut self) -> Step {
        self.leaf(0x01, |content| {
            vec![if content == [0] { 0x00 } else { 0xff }]
        })
    }

    fn inside(&mut self, tag: u8, grammar: impl FnOnce(&mut Ber<'_>) -> Step) -> Step {
        let (_, content) = self.read()?;
        self.out.extend(tlv(tag, &encode(content, grammar)?));
        Some(())
    }

    fn all_inside(&mut self, tag: u8, mut grammar: impl FnMut(&mut Ber<'_>) -> Step) -> Step {
        self.inside(tag, |ber| {
            while !ber.rest.is_empty() {
                grammar(ber)?;
            }
            Some(())
        })
    }

    fn if_next_is(&mut self, tag: u8, grammar: impl FnOnce(&mut Self) -> Step) -> Step {
        if self.next_is(tag) {
            grammar(self)
        } else {
            Some(())
        }
    }
}

fn signed_data(ber: &mut Ber<'_>) -> Step {
    ber.integer(0x02)?;
    ber.all_inside(0x31, algorithm)?;
    ber.inside(0x30, |ber| {
        ber.oid()?;
        ber.if_next_is(0xa0, |ber| ber.inside(0xa0, |ber| ber.any()))
    })?;
    ber.if_next_is(0xa0, |ber| ber.all_inside(0xa0, read_certificate))?;
    ber.all_inside(0x31, signer)
}

fn signer(ber: &mut Ber<'_>) -> Step {
    ber.inside(0x30, |ber| {
        ber.integer(0x02)?;
        if ber.next_is(0x80) {
            ber.octets(0x80)?;
        } else {
            ber.inside(0x30, |ber| {
                name(ber)?;
                ber.integer(0x02)
            })?;
        }
        algorithm(ber)?;
        ber.if_next_is(0xa0, |ber| ber.all_inside(0xa0, attribute))?;
        algorithm(ber)?;
        ber.octets(0x04)?;
        ber.if_next_is(0xa1, |ber| ber.all_inside(0xa1, attribute))
    })
}

fn algorithm(ber: &mut Ber<'_>) -> Step {
    ber.inside(0x30, |ber| {
        ber.oid()?;
        if ber.rest.is_empty() {
            Some(())
        } else {
            ber.any()
        }
    })
}

fn attribute(ber: &mut Ber<'_>) -> Step {
    ber.inside(0x30, |ber| {
        ber.oid()?;
        ber.all_inside(0x31, |ber| ber.any())
    })
}

fn name(ber: &mut Ber<'_>) -> Step {
    ber.all_inside(0x30, |ber| {
        ber.all_inside(0x31, |ber| {
            ber.inside(0x30, |ber| {
                ber.oid()?;
                ber.any()
            })
        })
    })
}

fn read_certificate(ber: &mut Ber<'_>) -> Step {
    ber.inside(0x30, |ber| {
        ber.inside(0x30, |ber| {
            ber.if_next_is(0xa0, |ber| ber.inside(0xa0, |ber| ber.integer(0x02)))?;
            ber.integer(0x02)?;
            algorithm(ber)?;
            name(ber)?;
            ber.inside(0x30, |ber| {
                ber.any()?;
                ber.any()
            })?;
            name(ber)?;
            ber.inside(0x30, |ber| {
                algorithm(ber)?;
                ber.octets(0x03)
            })?;
            ber.if_next_is(0x81, |ber| ber.octets(0x81))?;
            ber.if_next_is(0x82, |ber| ber.octets(0x82))?;
            ber.if_next_is(0xa3, |ber| {
                ber.inside(0xa3, |ber| ber.all_inside(0x30, extension))
            })
        })?;
        algorithm(ber)?;
        ber.octets(0x03)
    })
}

/// Whether C takes the value of an extension, byte by byte as it reads it
/// (`x509_process_extension()`): that way is not DER's where a length has more than one byte.
fn c_takes(kind: &[u8], v: &[u8]) -> bool {
    let all_behind_two = || v.len() >= 2 && usize::from(v[1]) == v.len() - 2;
    match kind {
        [0x55, 0x1d, 14] => v.len() >= 3 && v[0] == 0x04 && all_behind_two(),
        [0x55, 0x1d, 15] => v.len() >= 4 && v[0] == 0x03 && v[2] < 8,
        [0x55, 0x1d, 19] => {
            let is_true = v.len() >= 5 && v[2..5] == [0x01, 0x01, 0xff];
            all_behind_two() && v[0] == 0x30 && (v[1] == 0 || is_true)
        }
        _ => true,
    }
}

fn general_name(ber: &mut Ber<'_>) -> Step {
    match *ber.rest.first()? {
        0xa0 => ber.inside(0xa0, |ber| {
            ber.oid()?;
            ber.inside(0xa0, |ber| ber.any())
        }),
        0xa3 => ber.inside(0xa3, |ber| ber.any()),
        0xa4 => ber.inside(0xa4, name),
        0xa5 => ber.inside(0xa5, |ber| {
            ber.if_next_is(0xa0, |ber| ber.inside(0xa0, |ber| ber.any()))?;
            ber.inside(0xa1, |ber| ber.any())
        }),
        tag => ber.octets(tag),
    }
}

fn extension(ber: &mut Ber<'_>) -> Step {
    ber.inside(0x30, |ber| {
        let kind = Ber {
            rest: ber.rest,
            out: vec![],
        }
        .read()?
        .1;
        ber.oid()?;
        ber.if_next_is(0x01, Ber::boolean)?;
        let value = Ber {
            rest: ber.rest,
            out: vec![],
        }
        .read()?
        .1;
        if !c_takes(kind, value) {
            return None;
        }
        match kind {
            [0x55, 0x1d, 14] => ber.inside(0x04, |ber| ber.octets(0x04)),
            [0x55, 0x1d, 15] => ber.inside(0x04, |ber| ber.octets(0x03)),
            [0x55, 0x1d, 19] => ber.inside(0x04, |ber| {
                ber.inside(0x30, |ber| {
                    ber.if_next_is(0x01, Ber::boolean)?;
                    ber.if_next_is(0x02, |ber| ber.integer(0x02))
                })
            }),
            [0x55, 0x1d, 35] => ber.inside(0x04, |ber| {
                ber.inside(0x30, |ber| {
                    ber.if_next_is(0x80, |ber| ber.octets(0x80))?;
                    ber.if_next_is(0xa1, |ber| ber.all_inside(0xa1, general_name))?;
                    ber.if_next_is(0x82, |ber| ber.integer(0x82))
                })
            }),
            _ => ber.octets(0x04),
        }
    })
}
