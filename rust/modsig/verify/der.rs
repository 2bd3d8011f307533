// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A reader for DER (X.690), as far as signatures need it.
//!
//! It goes forward only, never recurses, and takes exactly one encoding for each value: two
//! encodings of one value let two parsers disagree.

use super::error::Error;

/// `BOOLEAN`.
pub(super) const BOOLEAN: u8 = 0x01;
/// `INTEGER`.
pub(super) const INTEGER: u8 = 0x02;
/// `BIT STRING`.
pub(super) const BIT_STRING: u8 = 0x03;
/// `OCTET STRING`.
pub(super) const OCTET_STRING: u8 = 0x04;
/// `NULL`.
pub(super) const NULL: u8 = 0x05;
/// `OBJECT IDENTIFIER`.
pub(super) const OID: u8 = 0x06;
/// `UTCTime`.
pub(super) const UTC_TIME: u8 = 0x17;
/// `GeneralizedTime`.
pub(super) const GENERALIZED_TIME: u8 = 0x18;
/// `SEQUENCE` and `SEQUENCE OF`.
pub(super) const SEQUENCE: u8 = 0x30;
/// `SET` and `SET OF`.
pub(super) const SET: u8 = 0x31;

/// Tag of a context-specific, primitive element (`[number] IMPLICIT` of a string type).
pub(super) const fn context(number: u8) -> u8 {
    0x80 | number
}

/// Tag of a context-specific, constructed element (`[number] EXPLICIT`, or `IMPLICIT` of a set).
pub(super) const fn context_constructed(number: u8) -> u8 {
    0xa0 | number
}

/// One element: tag and content, and where it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element<'a> {
    /// The one byte of the tag, with its class and constructed bits.
    pub tag: u8,
    /// The bytes after tag and length.
    pub content: &'a [u8],
    /// All of its bytes, tag and length included.
    pub whole: &'a [u8],
    /// Offset of the tag from the start of the message, in bytes.
    pub at: usize,
}

impl<'a> Element<'a> {
    /// A reader of what is inside.
    pub fn reader(&self) -> Reader<'a> {
        // Neither can wrap: the content is the end of the whole, which is part of a slice.
        let header = self.whole.len().wrapping_sub(self.content.len());
        Reader {
            rest: self.content,
            at: self.at.wrapping_add(header),
        }
    }

    /// A reader of what is inside, a SET OF or SEQUENCE OF, which must not be empty, as for the
    /// kernel's C decoder.
    pub fn list(&self) -> Result<Reader<'a>, Error> {
        let inside = self.reader();
        if inside.is_empty() {
            return Err(Error::EmptySet(self.at));
        }
        Ok(inside)
    }
}

/// Reads elements one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    /// Offset of `rest` from the start of the message; only ever reported, never used to read.
    at: usize,
}

impl<'a> Reader<'a> {
    /// A reader of a whole message.
    pub fn new(message: &'a [u8]) -> Self {
        Reader {
            rest: message,
            at: 0,
        }
    }

    /// Whether everything was read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// How far this reader is from the start of the message, in bytes.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Ends the reading of a structure: nothing may be left.
    pub fn finish(self) -> Result<(), Error> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(Error::TrailingData(self.at))
        }
    }

    // series: cut
    /// What was not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
    // series: end

    /// The tag of the next element, if there is one.
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Reads the next element, whatever it is.
    pub fn any(&mut self) -> Result<Element<'a>, Error> {
        self.read(None)
    }

    /// Reads the next element, which must have this tag.
    pub fn element(&mut self, tag: u8) -> Result<Element<'a>, Error> {
        self.read(Some(tag))
    }

    /// Reads the next element. Most of the time that reading a message takes is spent here, and
    /// half of that on handing an element over in memory: so it is a part of each function that
    /// wants less than the whole element.
    #[inline(always)]
    fn read(&mut self, wanted: Option<u8>) -> Result<Element<'a>, Error> {
        let (at, all) = (self.at, self.rest);
        let (tag, first, after_first) = match all {
            [tag, ..] if tag & 0x1f == 0x1f => return Err(Error::LongTag(at)),
            [tag, first, after_first @ ..] => (*tag, *first, after_first),
            _ => return Err(Error::Truncated(at)),
        };
        let (length, after_length) = match first {
            0x00..=0x7f => (usize::from(first), after_first),
            0x80 => return Err(Error::IndefiniteLength(at)),
            0x81..=0x84 => {
                let count = usize::from(first & 0x7f);
                let octets = after_first.get(..count).ok_or(Error::Truncated(at))?;
                let rest = after_first.get(count..).ok_or(Error::Truncated(at))?;
                let length = long_length(octets).ok_or(Error::NonMinimalLength(at))?;
                // Does not fit only where all memory is smaller.
                let length = usize::try_from(length).map_err(|_| Error::HugeLength(at))?;
                (length, rest)
            }
            _ => return Err(Error::HugeLength(at)),
        };
        let content = after_length.get(..length).ok_or(Error::Truncated(at))?;
        let rest = after_length.get(length..).ok_or(Error::Truncated(at))?;
        // Last, so that what is cut off is said to be cut off.
        if wanted.is_some_and(|wanted| wanted != tag) {
            return Err(Error::UnexpectedTag(at));
        }

        // Neither can wrap: both are offsets inside one slice.
        let whole_len = all.len().wrapping_sub(rest.len());
        let whole = all.get(..whole_len).ok_or(Error::Truncated(at))?;
        self.at = at.wrapping_add(whole_len);
        self.rest = rest;
        Ok(Element {
            tag,
            content,
            whole,
            at,
        })
    }

    /// Reads the next element, which must have this tag, and returns a reader of what is inside.
    pub fn inside(&mut self, tag: u8) -> Result<Reader<'a>, Error> {
        Ok(self.read(Some(tag))?.reader())
    }

    /// As [`Self::inside`], but for a SET OF or SEQUENCE OF ([`Element::list`]).
    pub fn list(&mut self, tag: u8) -> Result<Reader<'a>, Error> {
        self.read(Some(tag))?.list()
    }

    /// Reads the next element if it has this tag, else leaves it where it is.
    pub fn optional(&mut self, tag: u8) -> Result<Option<Element<'a>>, Error> {
        match self.peek() {
            Some(next) if next == tag => self.any().map(Some),
            _ => Ok(None),
        }
    }

    /// Reads an INTEGER and returns its content bytes: at least one, big endian, two's
    /// complement, no more of them than it needs.
    pub fn integer(&mut self) -> Result<&'a [u8], Error> {
        self.integer_tagged(INTEGER)
    }

    /// Reads an INTEGER that has an implicit tag.
    pub fn integer_tagged(&mut self, tag: u8) -> Result<&'a [u8], Error> {
        let Element { content, at, .. } = self.read(Some(tag))?;
        match content {
            [] => Err(Error::BadInteger(at)),
            [0x00, next, ..] if next & 0x80 == 0 => Err(Error::BadInteger(at)),
            [0xff, next, ..] if next & 0x80 != 0 => Err(Error::BadInteger(at)),
            _ => Ok(content),
        }
    }

    /// Reads a BIT STRING that holds whole bytes, and returns them.
    pub fn octets_of_bit_string(&mut self) -> Result<&'a [u8], Error> {
        let Element { content, at, .. } = self.element(BIT_STRING)?;
        match content.split_first() {
            Some((0, octets)) => Ok(octets),
            _ => Err(Error::BadBitString(at)),
        }
    }

    /// Reads a BOOLEAN.
    pub fn boolean(&mut self) -> Result<bool, Error> {
        let Element { content, at, .. } = self.element(BOOLEAN)?;
        match content {
            [0x00] => Ok(false),
            [0xff] => Ok(true),
            _ => Err(Error::BadBoolean(at)),
        }
    }

    /// Reads an OBJECT IDENTIFIER and returns its content bytes.
    pub fn oid(&mut self) -> Result<&'a [u8], Error> {
        let Element { content, at, .. } = self.read(Some(OID))?;
        // An arc ends with a byte below 0x80, and one that starts with 0x80 is padded. Few
        // identifiers have such a byte at all.
        let whole_arcs = match content {
            [] | [0x80, ..] => false,
            [.., last] => *last < 0x80,
        };
        if !whole_arcs || (content.contains(&0x80) && has_padded_arc(content)) {
            return Err(Error::BadOid(at));
        }
        Ok(content)
    }
}

/// The length that these one to four bytes are, if it takes as many.
fn long_length(octets: &[u8]) -> Option<u32> {
    let length = octets
        .iter()
        .fold(0u32, |length, &octet| (length << 8) | u32::from(octet));
    // Fits into the bytes before, or into the short form?
    if octets.first() == Some(&0) || length < 0x80 {
        return None;
    }
    Some(length)
}

/// Whether an arc behind the first one starts with a zero of seven bits.
#[cold]
fn has_padded_arc(content: &[u8]) -> bool {
    let mut pairs = content.windows(2);
    pairs.any(|pair| matches!(pair, [0x00..=0x7f, 0x80]))
}
