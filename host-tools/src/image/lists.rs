// SPDX-License-Identifier: MIT OR Apache-2.0

//! The lists in a kernel: `certs/system_certificates.S`, `certs/revocation_certificates.S`,
//! `certs/blacklist_hashes.c`.
//!
//! Most images have no symbols. Then a list is recognised by what surrounds it: certificates one
//! behind the other from an aligned address on, and behind them, aligned again, their size. For
//! the list of trusted ones another size follows, that of its first certificate if that belongs to
//! the module signing key, or 0. Other certificates in an image do not have that around them.

use std::collections::HashMap;

use anyhow::{bail, Context, Result};
use memchr::memmem;
use object::elf::EM_MIPS;

use super::{Certificate, Evidence, Hash, Kernel, List, Segment};
use crate::{hex, loader::Machine};

/// Addresses that the symbol table has.
#[derive(Default)]
pub(super) struct Symbols {
    pub(super) system_list: Option<u64>,
    pub(super) system_size: Option<u64>,
    pub(super) extra: Option<u64>,
    pub(super) revocation_list: Option<u64>,
    pub(super) revocation_size: Option<u64>,
}

/// What was found.
pub(super) struct Found {
    pub(super) evidence: Evidence,
    pub(super) certificates: Vec<Certificate>,
    /// See [`super::Image::has_revocation_list`].
    pub(super) has_revocation_list: Option<bool>,
}

/// The kernel says this as it loads its list of revoked certificates, if it can have one: a kernel without
/// `CONFIG_SYSTEM_REVOCATION_LIST` has neither these words nor the list (`certs/blacklist.c`).
const REVOCATION_NOTICE: &[u8] = b"Loading compiled-in revocation X.509 certificates";
/// What C says of a file whose hash is refused, in trees with Debian's patch (kernel/module/signing.c).
const FILE_NOTICE: &[u8] = b"Module hash %*phN is blacklisted";
/// What modsig says of one, in any tree (verify/error.rs).
const MODSIG_NOTICE: &[u8] = b"the file's hash is blacklisted";
/// It says this as it loads the other list, if it says anything at all.
const SYSTEM_NOTICE: &[u8] = b"Loading compiled-in X.509 certificates";
/// How far behind the one list the other may be. Between them is the table of refused hashes.
const NEIGHBOURS: u64 = 1 << 20;
/// The largest area that is reserved for a certificate (`CONFIG_SYSTEM_EXTRA_CERTIFICATE_SIZE`).
const RESERVED: usize = 1 << 20;

/// What every certificate in a list starts with: a SEQUENCE, and that its length takes two bytes.
pub(super) const CERTIFICATE: [u8; 2] = [0x30, 0x82];

/// Finds the certificates.
pub(super) fn find(kernel: &Kernel) -> Result<Found> {
    match &kernel.symbols {
        Some(symbols) => by_symbols(kernel, symbols),
        None => by_structure(kernel),
    }
}

/// The size of the certificate that `bytes` start with, as the kernel tells it: they have two
/// bytes for their length.
fn certificate_size(octets: &[u8]) -> Option<usize> {
    match octets {
        [first, second, high, low, rest @ ..] if [*first, *second] == CERTIFICATE => {
            let size = usize::from(u16::from_be_bytes([*high, *low]));
            (size <= rest.len()).then_some(size + 4)
        }
        _ => None,
    }
}

/// Takes a list apart; also gives what is left of it at the end.
pub(super) fn split(mut octets: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let mut certificates = vec![];
    while let Some(size) = certificate_size(octets) {
        let (certificate, rest) = octets.split_at(size);
        certificates.push(certificate);
        octets = rest;
    }
    (certificates, octets)
}

/// Whether these bytes are anywhere in a kernel.
fn says(kernel: &Kernel, what: &[u8]) -> bool {
    let mut parts = kernel.segments.iter();
    parts.any(|part| memmem::find(&part.octets, what).is_some())
}

/// Whether the kernel can have a list of revoked certificates, by what it says; `None` if it says nothing at all
/// (`CONFIG_PRINTK=n`).
fn says_of_revocation(kernel: &Kernel) -> Option<bool> {
    match says(kernel, REVOCATION_NOTICE) {
        true => Some(true),
        false => says(kernel, SYSTEM_NOTICE).then_some(false),
    }
}

/// See [`super::Image::refuses_files`].
pub(super) fn says_of_files(kernel: &Kernel) -> Option<bool> {
    match says(kernel, FILE_NOTICE) {
        true => Some(true),
        false if says(kernel, MODSIG_NOTICE) => None,
        false => says(kernel, SYSTEM_NOTICE).then_some(false),
    }
}

fn certificates(list: List, all: &[&[u8]]) -> impl Iterator<Item = Certificate> {
    let owned: Vec<Vec<u8>> = all.iter().map(|der| der.to_vec()).collect();
    owned.into_iter().map(move |der| Certificate { list, der })
}

fn by_symbols(kernel: &Kernel, symbols: &Symbols) -> Result<Found> {
    let damaged = "its symbol table and its content do not fit together; copy it again";
    let at = |address, size| {
        let found = kernel
            .segments
            .iter()
            .find_map(|part| part.at(address, size));
        found.context(damaged)
    };
    let list = |start: Option<u64>, size: Option<u64>| -> Result<(u64, Vec<&[u8]>)> {
        let (Some(start), Some(size)) = (start, size) else {
            return Ok((0, vec![]));
        };
        let size = kernel
            .machine
            .number(at(size, kernel.machine.word() as u64)?);
        // A kernel takes what is in front of what it cannot read.
        Ok((start, split(at(start, size)?).0))
    };
    let (start, trusted) = list(symbols.system_list, symbols.system_size)?;
    let (_, revoked) = list(symbols.revocation_list, symbols.revocation_size)?;
    // The reserved area is the end of the list, if it is in use.
    let mut end = start;
    let builtin = trusted
        .iter()
        .take_while(|certificate| {
            let is_extra = symbols.extra.is_some_and(|extra| end >= extra);
            end += certificate.len() as u64;
            !is_extra
        })
        .count();
    let (builtin, extra) = trusted.split_at(builtin);
    // Both lists are global symbols.
    let has_revocation_list = match (symbols.revocation_list, symbols.system_list) {
        (Some(_), _) => Some(true),
        (None, Some(_)) => Some(false),
        (None, None) => says_of_revocation(kernel),
    };
    let found = certificates(List::Builtin, builtin)
        .chain(certificates(List::Extra, extra))
        .chain(certificates(List::Revoked, &revoked));
    Ok(Found {
        evidence: Evidence::Symbols,
        certificates: found.collect(),
        has_revocation_list,
    })
}

/// Something that has the structure of a list.
struct Candidate<'a> {
    segment: usize,
    address: u64,
    builtin: Vec<&'a [u8]>,
    extra: Vec<&'a [u8]>,
    /// What follows its size.
    next: Option<u64>,
}

impl Candidate<'_> {
    /// Whether it is for sure the list of trusted ones: the size of the module signing key's
    /// certificate follows, or an area is reserved at its end and used.
    fn is_trusted(&self) -> bool {
        let first = self.builtin.first().map(|first| first.len() as u64);
        !self.extra.is_empty() || (first.is_some() && self.next == first)
    }

    /// Whether it may be that list: its kernel may have been built without such a key.
    fn may_be_trusted(&self) -> bool {
        self.is_trusted() || self.next == Some(0)
    }
}

/// Where lists end that start in different places of one segment: many may run into one another, and each
/// part is to be walked once.
#[derive(Default)]
struct Ends {
    /// The end of what starts there.
    ends: HashMap<usize, usize>,
    /// The first that is not zero from an end on, if it is near.
    stops: HashMap<usize, Option<usize>>,
}

impl Ends {
    fn end(&mut self, octets: &[u8], start: usize) -> usize {
        let (mut at, mut walked) = (start, vec![]);
        let end = loop {
            if let Some(&end) = self.ends.get(&at) {
                break end;
            }
            let Some(size) = octets.get(at..).and_then(certificate_size) else {
                break at;
            };
            walked.push(at);
            at += size;
        };
        self.ends.extend(walked.into_iter().map(|at| (at, end)));
        end
    }

    fn stop(&mut self, octets: &[u8], end: usize) -> Option<usize> {
        *self.stops.entry(end).or_insert_with(|| {
            let behind = &octets[end..octets.len().min(end + RESERVED)];
            let position = behind.iter().position(|&octet| octet != 0);
            position.map(|position| end + position)
        })
    }
}

/// What has the structure of a list and starts at `start`.
fn candidate<'a>(
    machine: Machine,
    segment: &'a Segment,
    index: usize,
    start: usize,
    ends: &mut Ends,
) -> Option<(Candidate<'a>, usize)> {
    let octets = &segment.octets[..];
    let end = ends.end(octets, start);
    if end == start {
        return None;
    }
    let size = (end - start) as u64;
    // Zeros up to the size, whether they align it or are reserved.
    let stop = ends.stop(octets, end)?;
    let eight = machine.align(8);
    let down = |alignment: usize| {
        let address = segment.address as usize;
        stop - (address.wrapping_add(stop) & (alignment - 1))
    };
    let up = |at: usize, alignment: usize| {
        let address = (segment.address as usize).wrapping_add(at);
        at + (address.wrapping_neg() & (alignment - 1))
    };

    let plain = down(eight);
    let word = |at| machine.number_at(octets, at, machine.word());
    // For MIPS, the assembler moves the label of the list's end to what is aligned behind it.
    let is_moved = machine.number == EM_MIPS;
    let is_size = |at: usize| {
        let found = word(at);
        found == Some(size) || (is_moved && found == Some((at - start) as u64))
    };
    let certificates = || split(&octets[start..]).0;
    let (all, size_at, extra) = if plain >= end && is_size(plain) {
        (certificates(), plain, 0)
    } else {
        // An area is reserved and used: how much of it stands in front.
        let used_at = down(machine.align(4));
        let used = machine.number_at(octets, used_at, 4)?;
        let size_at = up(used_at + 4, eight);
        if used_at < end || word(size_at) != Some(size) {
            return None;
        }
        let (all, mut sum) = (certificates(), 0);
        let count = all.iter().rev().take_while(|certificate| {
            sum += certificate.len() as u64;
            sum <= used
        });
        let count = count.count();
        let tail: usize = all[all.len() - count..].iter().map(|der| der.len()).sum();
        if tail as u64 != used {
            return None;
        }
        (all, size_at, count)
    };
    let (builtin, extra) = all.split_at(all.len() - extra);
    let next = up(size_at + machine.word(), eight);
    let candidate = Candidate {
        segment: index,
        address: segment.address.wrapping_add(start as u64),
        builtin: builtin.to_vec(),
        extra: extra.to_vec(),
        next: word(next),
    };
    Some((candidate, size_at))
}

/// Everything that has the structure of a list, in the order of the kernel.
fn candidates(kernel: &Kernel) -> Vec<Candidate<'_>> {
    let alignment = kernel.machine.align(8) as u64;
    let mut found = vec![];
    for (index, segment) in kernel.segments.iter().enumerate() {
        let (mut seen, mut ends) = (0, Ends::default());
        for start in memmem::find_iter(&segment.octets, &CERTIFICATE) {
            let is_aligned = segment.address.wrapping_add(start as u64) % alignment == 0;
            if start < seen || !is_aligned {
                continue;
            }
            if let Some((list, end)) = candidate(kernel.machine, segment, index, start, &mut ends) {
                found.push(list);
                seen = end;
            }
        }
    }
    found
}

fn by_structure(kernel: &Kernel) -> Result<Found> {
    let unsure = |what: &str| {
        format!("{what}, so it cannot be told which are trusted; give the vmlinux of this kernel, with its symbols")
    };
    let candidates = candidates(kernel);
    let said = says_of_revocation(kernel);
    let (trusted, revoked) = match &candidates[..] {
        [] => (None, None),
        [only] if only.is_trusted() => (Some(only), None),
        [only] if only.may_be_trusted() => {
            if said != Some(false) {
                bail!(unsure(
                    "it has one list of certificates, which may be of trusted or of revoked ones"
                ));
            }
            (Some(only), None)
        }
        [only] => (None, Some(only)),
        // The linker keeps the order of the Makefile.
        [first, second]
            if first.may_be_trusted()
                && !second.is_trusted()
                && first.segment == second.segment
                && second.address - first.address < NEIGHBOURS =>
        {
            (Some(first), Some(second))
        }
        several => bail!(unsure(&format!(
            "{} places in it look like lists of certificates",
            several.len()
        ))),
    };
    let list = |list, of: Option<&Vec<&[u8]>>| {
        certificates(list, of.map(Vec::as_slice).unwrap_or_default())
    };
    let found = list(List::Builtin, trusted.map(|found| &found.builtin))
        .chain(list(List::Extra, trusted.map(|found| &found.extra)))
        .chain(list(List::Revoked, revoked.map(|found| &found.builtin)));
    Ok(Found {
        evidence: match candidates[..] {
            [] => Evidence::Nothing,
            _ => Evidence::Structure,
        },
        certificates: found.collect(),
        has_revocation_list: revoked.map_or(said, |_| Some(true)),
    })
}

/// The refused hashes: strings of their own, of the form that the kernel takes.
pub(super) fn blacklist(segments: &[Segment]) -> Vec<Hash> {
    let mut found = vec![];
    for segment in segments {
        let octets = &segment.octets;
        let mut take = |prefix: &[u8], kind: fn(Vec<u8>) -> Hash| {
            for at in memmem::find_iter(octets, prefix) {
                let is_alone = at == 0 || !octets[at - 1].is_ascii_graphic();
                let hash = digest(&octets[at + prefix.len()..]).map(kind);
                if let Some(hash) = hash.filter(|hash| is_alone && !found.contains(hash)) {
                    found.push(hash);
                }
            }
        };
        take(b"tbs:", Hash::Certificate);
        take(b"bin:", Hash::File);
    }
    found
}

/// A digest in hexadecimal, with a zero at its end.
fn digest(octets: &[u8]) -> Option<Vec<u8>> {
    // Of 128 to 512 bits.
    let size = octets.iter().take(129).position(|&octet| octet == 0)?;
    let digits = &octets[..size];
    if size < 32 || digits.iter().any(u8::is_ascii_uppercase) {
        return None;
    }
    hex::decode(digits)
}
