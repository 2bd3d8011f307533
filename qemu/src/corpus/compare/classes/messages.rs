// SPDX-License-Identifier: MIT OR Apache-2.0

//! Messages that are cut off or have lengths, tags or fields that they may not have: classes 1 to 7.

use anyhow::{Context, Result};
use modsig_tools::message::{algorithm, sequence, tlv};

use crate::corpus::compare::{
    craft::{oid, signer_info, Message},
    der::Node,
    kitchen::Kitchen,
    mutate::{mutate, Operation, Rng},
    Corpus,
};

/// Class 1.
pub(super) fn messages_of_no_size(out: &mut Corpus) -> Result<()> {
    out.message("class 1: empty message", &[])?;
    for octet in 0..=255 {
        out.message(format!("class 1: one byte {octet:02x}"), &[octet])?;
    }
    for octets in [
        [0x30, 0x00],
        [0x30, 0x80],
        [0x30, 0x84],
        [0x00, 0x00],
        [0x31, 0x00],
    ] {
        out.message(format!("class 1: two bytes {octets:02x?}"), &octets)?;
    }
    Ok(())
}

/// Classes 2, 3, 4 and 6: each length and each tag of a good message, one at a time.
pub(super) fn lengths_and_tags(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
    use Operation::*;
    let message = kitchen.good()?.with(&[kitchen.id("stray")]).encode();
    let root = Node::parse(&message).context("our own message")?;
    let mut rng = Rng::new(0);
    let paths = root.paths();
    for path in &paths {
        for (class, operation) in [
            (2, Indefinite),
            (2, Unterminated),
            (2, HalfTerminated),
            (3, ZeroLength),
            (3, PadLength),
            (3, FourOctetLength),
            (3, FiveOctetLength),
            (3, HugeLength),
            (3, ReservedLength),
            (4, LengthPlusOne),
            (4, LengthMinusOne),
            (6, LongTag),
        ] {
            if let Some(mutant) = mutate(&root, path, operation, &mut rng) {
                let name = format!("class {class}: {operation:?} at {:?}", path);
                out.message(name, &mutant)?;
            }
        }
    }
    // Nested: all that are around the last element are indefinite.
    let mut nested = root.clone();
    for path in [&[][..], &[1], &[1, 0], &[1, 0, 4], &[1, 0, 4, 0]] {
        let node = nested.at_mut(path).context("our own message")?;
        node.length = Some(vec![0x80]);
        node.after = vec![0, 0];
        let name = format!("class 2: {} nested indefinite lengths", path.len() + 1);
        out.message(name, &nested.encode())?;
    }
    let ended = nested.encode();
    for cut in 1..=10 {
        let name = format!("class 2: the last {cut} bytes of the ends of contents missing");
        out.message(name, &ended[..ended.len() - cut])?;
    }
    for depth in [9, 10, 11, 200, 5000] {
        let deep = [vec![[0x30, 0x80]; depth].concat(), vec![0; 2 * depth]].concat();
        out.message(format!("class 2: {depth} indefinite SEQUENCEs"), &deep)?;
    }
    Ok(())
}

/// Class 5.
pub(super) fn truncated(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
    let message = kitchen.good()?.encode();
    for length in 0..message.len() {
        let name = format!("class 5: {length} of {} bytes", message.len());
        out.message(name, &message[..length])?;
    }
    Ok(())
}

/// Class 7: the grammar wants something, and the bytes are over.
pub(super) fn mismatches(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
    let good = kitchen.good()?;
    let parts = kitchen.signs("rsa2048")?;
    let mut case = |name: &str, change: &dyn Fn(&mut Message)| {
        let mut message = good.clone();
        change(&mut message);
        let message = message.encode();
        out.message(format!("class 7: {name}"), &message).map(drop)
    };
    case("no digest algorithms", &|m| m.digests = vec![])?;
    case("empty SET of digest algorithms", &|m| {
        m.digests = tlv(0x31, &[])
    })?;
    case("empty digest algorithm", &|m| {
        m.digests = tlv(0x31, &sequence(&[]))
    })?;
    case("digest algorithms in a SEQUENCE", &|m| m.digests[0] = 0x30)?;
    case("digest algorithm with two parameters", &|m| {
        m.digests = tlv(0x31, &algorithm(&[0x2a], &[5, 0, 5, 0]));
    })?;
    case("empty content info", &|m| m.content_info = sequence(&[]))?;
    case("content info with two fields more", &|m| {
        m.content_info = sequence(&[&tlv(6, oid::DATA), &tlv(0xa1, &[]), &tlv(0xa2, &[])]);
    })?;
    case("no signers' SET", &|m| {
        m.signers = vec![];
        m.more = vec![];
    })?;
    case("empty certificates [0]", &|m| m.more = tlv(0xa0, &[]))?;
    case("empty certificates [2]", &|m| m.more = tlv(0xa2, &[]))?;
    case("empty revocation lists [1]", &|m| m.more = tlv(0xa1, &[]))?;
    case("empty revocation lists [3]", &|m| m.more = tlv(0xa3, &[]))?;
    case("a revocation list that is an empty SEQUENCE", &|m| {
        m.more = tlv(0xa1, &sequence(&[]));
    })?;
    case("a revocation list in [3]", &|m| {
        m.more = tlv(0xa3, &sequence(&[]))
    })?;
    case("certificates twice", &|m| {
        m.more = [tlv(0xa0, &[]), tlv(0xa0, &[])].concat()
    })?;
    case("certificates in a SEQUENCE [2]", &|m| {
        m.more = tlv(0xa2, &kitchen.id("stray").certificate);
    })?;
    case("extended certificate [0] among the certificates", &|m| {
        m.certificates = tlv(0xa0, &kitchen.id("stray").certificate);
    })?;
    for (octets, what) in [
        (&[0x30][..], "half a header"),
        (&[0x30, 0x01], "a SEQUENCE cut off"),
        (&[0x02, 0x01, 0x00], "an INTEGER"),
        (&[0x05, 0x00], "NULL"),
        (&[0x30, 0x00], "an empty SEQUENCE"),
        (&[0x00, 0x00], "an end-of-contents"),
    ] {
        let add = |field: &mut Vec<u8>| field.extend(octets);
        case(&format!("{what} among the certificates"), &|m| {
            add(&mut m.certificates)
        })?;
        case(&format!("{what} behind the certificates"), &|m| {
            add(&mut m.more)
        })?;
        case(&format!("{what} behind a signer"), &|m| add(&mut m.signers))?;
        case(&format!("{what} before the signer"), &|m| {
            m.signers = [octets, &m.signers].concat();
        })?;
        case(&format!("{what} at the end of a signer"), &|m| {
            m.signers = signer_info(&parts, &[], octets);
        })?;
    }
    Ok(())
}
