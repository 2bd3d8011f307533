// SPDX-License-Identifier: GPL-2.0

//! The classes in which such verifiers have failed, case by case: what is wrong with each file is
//! in its name. Class 14, certificates and chains, is in [`super::chains`]. Class 22 is that of a
//! mode which does not exist yet. Class 23, every error number with and without enforcement, is
//! what comes of giving each file to kernels in every mode.

use std::{
    collections::BTreeMap,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{ensure, Context, Result};
use modsig::verify::{trailer::MARKER, DigestAlgorithm};
use modsig_tools::{
    message::{algorithm, ecdsa_algorithm, rsa_algorithm, sequence, tlv, trailer, SignerParts},
    signer::SignerIdForm::{IssuerAndSerial, SubjectKeyId},
};
use openssl::{
    bn::{BigNum, BigNumContext},
    ecdsa::EcdsaSig,
    rsa::Padding,
};

use super::{
    chains,
    craft::{self, extension, oid, signer_info, Identity, Message, Template},
    der::Node,
    mutate::{mutate, Operation, Rng},
    Corpus,
};

/// What cases are made of.
pub struct Kitchen {
    /// The unsigned module.
    pub content: Vec<u8>,
    identities: BTreeMap<&'static str, Identity>,
}

const KEYS: [&str; 17] = [
    "rsa2048",
    "rsa4096",
    "p256",
    "p384",
    "p521",
    "revoked",
    "untrusted",
    "ca",
    "leaf",
    "inter",
    "leaf2",
    "blocked",
    "inter-blocked",
    "leaf3",
    "revoked-leaf",
    "root",
    "stray",
];

impl Kitchen {
    /// With the test keys (`scripts/build/keys`) from this directory.
    pub fn new(keys: &Path, content: Vec<u8>) -> Result<Self> {
        let load = |name| Ok((name, Identity::load(keys, name)?));
        Ok(Kitchen {
            content,
            identities: KEYS.into_iter().map(load).collect::<Result<_>>()?,
        })
    }

    /// One of the test keys.
    pub fn id(&self, name: &str) -> &Identity {
        &self.identities[name]
    }

    /// Its part of a message over the module.
    pub fn signs(&self, name: &str) -> Result<SignerParts> {
        self.id(name).signs(&self.content)
    }

    /// The same with a signature over something else.
    pub fn signs_wrongly(&self, name: &str) -> Result<SignerParts> {
        self.id(name).signs(b"something else")
    }

    /// A message of which nothing is to be complained.
    pub fn good(&self) -> Result<Message> {
        Ok(Message::new(&[self.signs("rsa2048")?]))
    }
}

/// Adds the cases of all classes.
pub fn add(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
    messages_of_no_size(out)?;
    lengths_and_tags(kitchen, out)?;
    truncated(kitchen, out)?;
    mismatches(kitchen, out)?;
    extensions(kitchen, out)?;
    times(kitchen, out)?;
    bit_strings(kitchen, out)?;
    rsa_values(kitchen, out)?;
    ecdsa_values(kitchen, out)?;
    identifiers(kitchen, out)?;
    chains::add(kitchen, out)?;
    signers(kitchen, out)?;
    attributes(kitchen, out)?;
    contents(kitchen, out)?;
    algorithms(kitchen, out)?;
    trailers(kitchen, out)?;
    flags(kitchen, out)?;
    compressed(kitchen, out)?;
    flipped(kitchen, out)
}

/// Class 1.
fn messages_of_no_size(out: &mut Corpus) -> Result<()> {
    out.message("class 1: empty message", &[])?;
    for octet in 0..=255 {
        out.message(format!("class 1: one octet {octet:02x}"), &[octet])?;
    }
    for octets in [
        [0x30, 0x00],
        [0x30, 0x80],
        [0x30, 0x84],
        [0x00, 0x00],
        [0x31, 0x00],
    ] {
        out.message(format!("class 1: two octets {octets:02x?}"), &octets)?;
    }
    Ok(())
}

/// Classes 2, 3, 4 and 6: each length and each tag of a good message, one at a time.
fn lengths_and_tags(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
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
        let name = format!("class 2: the last {cut} octets of the ends of contents missing");
        out.message(name, &ended[..ended.len() - cut])?;
    }
    for depth in [9, 10, 11, 200, 5000] {
        let deep = [vec![[0x30, 0x80]; depth].concat(), vec![0; 2 * depth]].concat();
        out.message(format!("class 2: {depth} indefinite SEQUENCEs"), &deep)?;
    }
    Ok(())
}

/// Class 5.
fn truncated(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
    let message = kitchen.good()?.encode();
    for length in 0..message.len() {
        let name = format!("class 5: {length} of {} octets", message.len());
        out.message(name, &message[..length])?;
    }
    Ok(())
}

/// Class 7: the grammar wants something, and the octets are over.
fn mismatches(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
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

/// An extension's name, its identifier, and the values to try.
type Extensions = (&'static str, &'static [u8], Vec<Vec<u8>>);

/// Values that an extension may have: good ones, and those of which a reader may read too much.
fn extension_values() -> Vec<Extensions> {
    let short: Vec<Vec<u8>> = [
        &[][..],
        &[0x00],
        &[0x03],
        &[0x04],
        &[0x30],
        &[0x04, 0x00],
        &[0x03, 0x00],
        &[0x30, 0x00],
        &[0x30, 0x01],
        &[0x04, 0x01],
        &[0x03, 0x01],
        &[0x03, 0x01, 0x00],
        &[0x80, 0x00],
        &[0x05, 0x00],
    ]
    .map(<[u8]>::to_vec)
    .into();
    let with = |more: &[&[u8]]| {
        let more = more.iter().map(|value| value.to_vec());
        short.iter().cloned().chain(more).collect::<Vec<_>>()
    };
    vec![
        (
            "basicConstraints",
            oid::BASIC_CONSTRAINTS,
            with(&[
                &[0x30, 0x03, 0x01, 0x01, 0xff],
                &[0x30, 0x03, 0x01, 0x01, 0x00],
                &[0x30, 0x03, 0x01, 0x01, 0x01],
                &[0x30, 0x06, 0x01, 0x01, 0xff, 0x02, 0x01, 0x00],
                &[0x30, 0x03, 0x02, 0x01, 0x00],
                &[0x30, 0x01, 0x01],
                &[0x30, 0x02, 0x01, 0x00],
                &[0x30, 0x02, 0x01, 0x01],
                &[0x30, 0x03, 0x01, 0x01],
                &[0x30, 0x04, 0x01, 0x01, 0xff],
                &[0x30, 0x03, 0x01, 0x01, 0xff, 0x00],
                &[0x30, 0x81, 0x03, 0x01, 0x01, 0xff],
                &[0x31, 0x03, 0x01, 0x01, 0xff],
            ]),
        ),
        (
            "keyUsage",
            oid::KEY_USAGE,
            with(&[
                &[0x03, 0x02, 0x07, 0x80],
                &[0x03, 0x02, 0x01, 0x06],
                &[0x03, 0x02, 0x02, 0x04],
                &[0x03, 0x02, 0x00, 0x00],
                &[0x03, 0x02, 0x08, 0x80],
                &[0x03, 0x02, 0xff, 0x80],
                &[0x03, 0x03, 0x07, 0x80, 0x80],
                &[0x03, 0x03, 0x07, 0x80],
                &[0x03, 0x02, 0x07],
                &[0x03, 0x03, 0x07, 0x04, 0x80],
                &[0x03, 0x7f, 0x07, 0x80],
                &[0x03, 0x00, 0x07, 0x80],
                &[0x03, 0x81, 0x02, 0x07, 0x80],
                &[0x02, 0x02, 0x07, 0x80],
            ]),
        ),
        (
            "subjectKeyIdentifier",
            oid::SUBJECT_KEY_ID,
            with(&[
                &[0x04, 0x01, 0x55],
                &[0x04, 0x02, 0x55],
                &[0x04, 0x01, 0x55, 0x55],
                &[0x03, 0x01, 0x55],
                &[0x24, 0x03, 0x04, 0x01, 0x55],
                &[0x04, 0x81, 0x01, 0x55],
                &[&[0x04, 0x7f][..], &[0x55; 127]].concat(),
                &[&[0x04, 0x81, 0x80][..], &[0x55; 128]].concat(),
                &[&[0x04, 0x82, 0x01, 0x00][..], &[0x55; 256]].concat(),
                &[&[0x04, 0xff][..], &[0x55; 255]].concat(),
            ]),
        ),
        (
            "authorityKeyIdentifier",
            oid::AUTHORITY_KEY_ID,
            with(&[
                &[0x30, 0x02, 0x80, 0x00],
                &[0x30, 0x02, 0x81, 0x00],
                &[0x30, 0x02, 0x82, 0x00],
                &[0x30, 0x02, 0xa1, 0x00],
                &[0x30, 0x03, 0x80, 0x01, 0x55],
                &[0x30, 0x03, 0x80, 0x02, 0x55],
                &[0x30, 0x04, 0x80, 0x01, 0x55],
                &[0x30, 0x06, 0x80, 0x01, 0x55, 0x80, 0x01, 0x56],
                &[0x30, 0x03, 0x82, 0x01, 0x01],
                &[0x30, 0x04, 0xa1, 0x02, 0xa4, 0x00],
                &[0x30, 0x06, 0xa1, 0x04, 0xa4, 0x02, 0x30, 0x00],
                &[
                    0x30, 0x09, 0xa1, 0x04, 0xa4, 0x02, 0x30, 0x00, 0x82, 0x01, 0x01,
                ],
                &[0x30, 0x08, 0xa1, 0x04, 0xa4, 0x02, 0x30, 0x00, 0x82, 0x00],
                &[0x30, 0x07, 0xa1, 0x02, 0x82, 0x00, 0x82, 0x01, 0x01],
                &[0x30, 0x07, 0xa1, 0x05, 0x86, 0x03, b'u', b'r', b'i'],
                &[0x30, 0x06, 0xa1, 0x04, 0xa0, 0x02, 0x06, 0x00],
                &[0x30, 0x80, 0x80, 0x01, 0x55, 0x00, 0x00],
                &[0x30, 0x80, 0x80, 0x01, 0x55],
                &[0x30, 0x03, 0x80, 0x01, 0x55, 0x00],
                &[0x31, 0x03, 0x80, 0x01, 0x55],
            ]),
        ),
        (
            "an unknown extension",
            oid::UNKNOWN,
            vec![vec![], vec![0], vec![0x30, 0x80], vec![0; 300]],
        ),
    ]
}

/// Class 8. Each value twice: in a certificate that nobody needs, beside a good signature, so that
/// whether it can be read decides; and in that of a signer below the trusted `ca`.
fn extensions(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
    let (good, ca) = (kitchen.good()?, kitchen.id("ca"));
    let plain = Template::new("extensions")?;
    let mut both = |name: &str, extensions: Vec<Vec<u8>>| -> Result<()> {
        let template = Template {
            extensions,
            ..plain.clone()
        };
        let unneeded = template.issued_by(&kitchen.id("root").key)?;
        let message = good.clone().with(&[&unneeded]).encode();
        out.message(format!("class 8: {name}, certificate beside"), &message)?;
        let signer = template.below(ca).issued_by(&ca.key)?;
        let message = Message::new(&[signer.signs(&kitchen.content)?]).with(&[&signer]);
        let name = format!("class 8: {name}, the signer's certificate");
        out.message(name, &message.encode()).map(drop)
    };
    for (what, oid, values) in extension_values() {
        for value in values {
            let shown: String = value.iter().take(8).map(|o| format!("{o:02x}")).collect();
            let name = format!("{what} of {} octets {shown}", value.len());
            both(&name, vec![extension(oid, &value)])?;
        }
        let twice = plain.extensions[0].clone();
        both(
            &format!("{what} beside others"),
            vec![twice, extension(oid, &[4, 1, 1])],
        )?;
    }
    let ski = extension(oid::SUBJECT_KEY_ID, &[4, 1, 1]);
    both("subjectKeyIdentifier twice", vec![ski.clone(), ski.clone()])?;
    both("no extensions", vec![])?;
    let critical = |value: &[u8]| {
        let parts = [&tlv(6, oid::SUBJECT_KEY_ID)[..], value, &tlv(4, &[4, 1, 1])];
        vec![sequence(&parts)]
    };
    for value in [
        &[1, 1, 0xff][..],
        &[1, 1, 0],
        &[1, 0],
        &[1, 2, 0, 0],
        &[5, 0],
    ] {
        both(&format!("critical as {value:02x?}"), critical(value))?;
    }
    for (what, octets) in [
        ("an empty SEQUENCE", sequence(&[])),
        (
            "an identifier only",
            sequence(&[&tlv(6, oid::SUBJECT_KEY_ID)]),
        ),
        ("an identifier that is empty", extension(&[], &[4, 1, 1])),
        ("no SEQUENCE", tlv(4, &[])),
        (
            "a field more",
            sequence(&[&tlv(6, oid::SUBJECT_KEY_ID), &tlv(4, &[4, 1, 1]), &[5, 0]]),
        ),
    ] {
        both(&format!("extension that is {what}"), vec![octets])?;
    }
    Ok(())
}

/// Class 9: as the start of a certificate's time in one that nobody needs, and as its end.
fn times(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
    let good = kitchen.good()?;
    let plain = Template::new("times")?;
    let issuer = &kitchen.id("root").key;
    let times = [
        "000101000000Z",
        "491231235959Z",
        "500101000000Z",
        "691231235959Z",
        "700101000000Z",
        "240001000000Z",
        "241301000000Z",
        "240100000000Z",
        "240132000000Z",
        "240229000000Z",
        "230229000000Z",
        "240230000000Z",
        "240431000000Z",
        "240101240000Z",
        "240101250000Z",
        "240101006000Z",
        "240101000060Z",
        "240101000061Z",
        "240101000000",
        "240101000000z",
        "240101000000+0000",
        "2401010000Z",
        "24010100000 Z",
        "24-101000000Z",
        "2401010000:0Z",
        "240101000000ZZ",
        "",
        "Z",
        "20240101000000Z",
        "20490101000000Z",
        "20500101000000Z",
        "20240001000000Z",
        "20501301000000Z",
        "20500100000000Z",
        "20500132000000Z",
        "20500101000060Z",
        "20500101000061Z",
        "20500101250000Z",
        "19500101000000Z",
        "19491231235959Z",
        "19690101000000Z",
        "21000229000000Z",
        "24000229000000Z",
        "99991231235959Z",
        "00000101000000Z",
        "20500101000000",
        "20500101000000.5Z",
        "20500101000000+0000",
        "205001010000Z",
    ];
    for (tag, kind) in [
        (0x17, "UTCTime"),
        (0x18, "GeneralizedTime"),
        (0x16, "IA5String"),
    ] {
        for (index, time) in times.iter().enumerate() {
            // One of another kind is the same to every reader, whatever is in it.
            if tag == 0x16 && index > 0 {
                break;
            }
            for end in [false, true] {
                let mut template = plain.clone();
                let time_element = tlv(tag, time.as_bytes());
                let field = if end {
                    &mut template.not_after
                } else {
                    &mut template.not_before
                };
                *field = time_element;
                let message = good.clone().with(&[&template.issued_by(issuer)?]);
                let which = if end { "notAfter" } else { "notBefore" };
                let name = format!("class 9: {which} {kind} {time:?}");
                out.message(name, &message.encode())?;
            }
        }
    }
    Ok(())
}

/// Class 10: in a certificate that nobody needs, and in the signer's.
fn bit_strings(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
    let (good, ca) = (kitchen.good()?, kitchen.id("ca"));
    let plain = Template::new("bits")?.below(ca);
    let mut both = |name: &str, signer: &Identity| -> Result<()> {
        let message = good.clone().with(&[signer]).encode();
        out.message(format!("class 10: {name}, certificate beside"), &message)?;
        let message = Message::new(&[signer.signs(&kitchen.content)?]).with(&[signer]);
        let name = format!("class 10: {name}, the signer's certificate");
        out.message(name, &message.encode()).map(drop)
    };
    let signed = plain.issued_by(&ca.key)?;
    both("as it should be", &signed)?;
    let outer = craft::certificate_algorithm(&ca.key, DigestAlgorithm::Sha256);
    let mut template = plain.clone();
    template.inner = Some(outer.clone());
    for (name, bits) in [
        ("empty", vec![]),
        ("no octets behind the unused bits", vec![0]),
        ("7 unused bits of none", vec![7]),
        ("8 unused bits", vec![8, 0]),
    ] {
        both(
            &format!("signature {name}"),
            &template.with_bits(&outer, &tlv(3, &bits)),
        )?;
    }
    both(
        "signature that is an OCTET STRING",
        &template.with_bits(&outer, &tlv(4, &[0; 257])),
    )?;
    both("signature missing", &template.with_bits(&outer, &[]))?;
    for unused_bits in [1, 7, 8, 255] {
        let mut template = plain.clone();
        template.unused_bits = unused_bits;
        both(
            &format!("signature with {unused_bits} unused bits"),
            &template.issued_by(&ca.key)?,
        )?;
    }
    // SubjectPublicKeyInfo: SEQUENCE, SEQUENCE of algorithm, BIT STRING of 66 octets.
    let key = Node::parse(&plain.public_key).context("our own key")?;
    let bits = key.at(&[1]).context("our own key")?.content();
    for (name, bits) in [
        ("empty", vec![]),
        ("no octets behind the unused bits", vec![0]),
        ("1 unused bit", [&[1][..], &bits[1..]].concat()),
        ("8 unused bits", [&[8][..], &bits[1..]].concat()),
        ("cut short", bits[..40].to_vec()),
        ("an octet longer", [&bits[..], &[0]].concat()),
        (
            "a point that is not on the curve",
            [&bits[..65], &[bits[65] ^ 1]].concat(),
        ),
        ("a compressed point", [&[0, 2][..], &bits[2..34]].concat()),
        ("a point at infinity", vec![0, 0]),
    ] {
        let mut template = plain.clone();
        let algorithm = key.at(&[0]).context("our own key")?.encode();
        template.public_key = sequence(&[&algorithm, &tlv(3, &bits)]);
        both(&format!("public key {name}"), &template.issued_by(&ca.key)?)?;
    }
    for (name, unique_ids) in [
        ("issuerUniqueID", tlv(0x81, &[0, 1])),
        ("subjectUniqueID", tlv(0x82, &[0, 1])),
        (
            "both unique identifiers",
            [tlv(0x81, &[0, 1]), tlv(0x82, &[0, 1])].concat(),
        ),
        (
            "unique identifiers in the wrong order",
            [tlv(0x82, &[0]), tlv(0x81, &[0])].concat(),
        ),
        ("an empty unique identifier", tlv(0x81, &[])),
        ("a unique identifier with 9 unused bits", tlv(0x81, &[9, 1])),
        (
            "a constructed unique identifier",
            tlv(0xa1, &tlv(3, &[0, 1])),
        ),
    ] {
        let mut template = plain.clone();
        template.unique_ids = unique_ids;
        both(name, &template.issued_by(&ca.key)?)?;
    }
    Ok(())
}

/// Class 11.
fn rsa_values(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
    let signer = kitchen.id("rsa2048");
    let rsa = signer.key.rsa()?;
    let good = craft::sign(&signer.key, DigestAlgorithm::Sha256, &kitchen.content)?;
    let size = good.len();
    let mut case = |name: &str, signature: Vec<u8>| -> Result<()> {
        let parts = signer.parts_with(IssuerAndSerial, DigestAlgorithm::Sha256, signature)?;
        let message = Message::new(&[parts]).encode();
        out.message(format!("class 11: {name}"), &message).map(drop)
    };
    case("good", good.clone())?;
    case("signature 0", vec![0; size])?;
    case("signature 1", [vec![0; size - 1], vec![1]].concat())?;
    case("signature of no octets", vec![])?;
    case("signature of one octet", vec![1])?;
    case("all ones", vec![0xff; size])?;
    case("n", rsa.n().to_vec())?;
    let mut sum = BigNum::new()?;
    sum.checked_add(rsa.n(), &*BigNum::from_slice(&good)?)?;
    case("n and the signature", sum.to_vec())?;
    let mut minus_one = rsa.n().to_owned()?;
    minus_one.sub_word(1)?;
    case("n - 1", minus_one.to_vec())?;
    case("a zero in front", [&[0][..], &good].concat())?;
    case("a zero behind", [&good[..], &[0]].concat())?;
    case("last octet missing", good[..size - 1].to_vec())?;
    case("first octet missing", good[1..].to_vec())?;
    case("twice", [&good[..], &good].concat())?;
    case("of 512 octets", vec![1; 512])?;
    case("of 8192 octets", vec![1; 8192])?;

    // What it is to be when raised: 00 01 ff .. ff 00 DigestInfo.
    let digest = openssl::sha::sha256(&kitchen.content);
    let sha256 = algorithm(
        &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01],
        &[5, 0],
    );
    let info = sequence(&[&sha256, &tlv(4, &digest)]);
    let bare = algorithm(&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01], &[]);
    let sha512 = algorithm(
        &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03],
        &[5, 0],
    );
    let block = |start: &[u8], ones: usize, end: &[u8]| {
        let mut block = [start, &vec![0xff; ones], &[0][..], end].concat();
        block.resize(size, 0x55);
        block
    };
    let fill = |start: &[u8], end: &[u8]| {
        let ones = size - start.len() - 1 - end.len();
        block(start, ones, end)
    };
    let start = &[0, 1][..];
    let forgeries = [
        ("as it should be", fill(start, &info)),
        ("8 ones, the rest behind the digest", block(start, 8, &info)),
        ("7 ones, the rest behind the digest", block(start, 7, &info)),
        (
            "no ones, the rest behind the digest",
            block(start, 0, &info),
        ),
        (
            "one octet behind the digest",
            fill(start, &[&info[..], &[0]].concat()),
        ),
        ("block type 0", fill(&[0, 0], &info)),
        ("block type 2", fill(&[0, 2], &info)),
        ("starts with 01 01", fill(&[1, 1], &info)),
        ("a zero among the ones", fill(&[0, 1, 0xff, 0], &info)),
        (
            "another octet among the ones",
            fill(&[0, 1, 0xff, 0xfe], &info),
        ),
        ("the digest alone", fill(start, &digest)),
        (
            "no NULL behind the algorithm",
            fill(start, &sequence(&[&bare, &tlv(4, &digest)])),
        ),
        (
            "another algorithm",
            fill(start, &sequence(&[&sha512, &tlv(4, &digest)])),
        ),
        (
            "a digest of no octets",
            fill(start, &sequence(&[&sha256, &tlv(4, &[])])),
        ),
        (
            "a digest cut short",
            fill(start, &sequence(&[&sha256, &tlv(4, &digest[..31])])),
        ),
        (
            "a field behind the digest",
            fill(start, &sequence(&[&sha256, &tlv(4, &digest), &[5, 0]])),
        ),
        (
            "padded lengths",
            fill(start, &[&[0x30, 0x81, 0x31][..], &info[2..]].concat()),
        ),
        (
            "nothing behind the ones",
            [start, &vec![0xff; size - 2]].concat(),
        ),
        ("nothing but zeros", vec![0; size]),
    ];
    for (name, block) in forgeries {
        let mut signature = vec![0; size];
        rsa.private_encrypt(&block, &mut signature, Padding::NONE)
            .with_context(|| name.to_owned())?;
        case(&format!("block with {name}"), signature)?;
    }
    Ok(())
}

/// Class 12.
fn ecdsa_values(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
    for (key, digest) in [
        ("p256", DigestAlgorithm::Sha256),
        ("p384", DigestAlgorithm::Sha384),
        ("p521", DigestAlgorithm::Sha512),
    ] {
        let signer = kitchen.id(key);
        let der = craft::sign(&signer.key, digest, &kitchen.content)?;
        let good = EcdsaSig::from_der(&der)?;
        let (mut order, mut context) = (BigNum::new()?, BigNumContext::new()?);
        let ec = signer.key.ec_key()?;
        ec.group().order(&mut order, &mut context)?;
        let integer = |number: &openssl::bn::BigNumRef| {
            let octets = number.to_vec();
            let sign = if octets.first().is_none_or(|first| first & 0x80 != 0) {
                1
            } else {
                0
            };
            [vec![0; sign], octets].concat()
        };
        let pair = |r: &[u8], s: &[u8]| sequence(&[&tlv(2, r), &tlv(2, s)]);
        let (r, s, n) = (integer(good.r()), integer(good.s()), integer(&order));
        let mut plus = BigNum::new()?;
        plus.checked_add(good.s(), &order)?;
        let mut minus = BigNum::new()?;
        minus.checked_sub(&order, good.s())?;
        let mut below = order.to_owned()?;
        below.sub_word(1)?;
        let padded = |number: &[u8]| [&[0][..], number].concat();
        let inner = [tlv(2, &r), tlv(2, &s)].concat();
        let raw = [good.r().to_vec(), good.s().to_vec()].concat();
        let cases = [
            ("good", der.clone()),
            ("r 0", pair(&[0], &s)),
            ("s 0", pair(&r, &[0])),
            ("r and s 0", pair(&[0], &[0])),
            ("r and s 1", pair(&[1], &[1])),
            ("r n", pair(&n, &s)),
            ("s n", pair(&r, &n)),
            ("r and s n", pair(&n, &n)),
            ("r and s n - 1", pair(&integer(&below), &integer(&below))),
            ("s and n", pair(&r, &integer(&plus))),
            ("n - s, which is good as well", pair(&r, &integer(&minus))),
            ("r and s swapped", pair(&s, &r)),
            ("r of no octets", pair(&[], &s)),
            ("s of no octets", pair(&r, &[])),
            ("r with a zero in front", pair(&padded(&r), &s)),
            ("s with a zero in front", pair(&r, &padded(&s))),
            (
                "s with 40 zeros in front",
                pair(&r, &[&[0; 40][..], &s].concat()),
            ),
            ("r negative", pair(&[&[0x80][..], &r].concat(), &s)),
            ("s all ones", pair(&r, &[0xff; 32])),
            ("r without s", sequence(&[&tlv(2, &r)])),
            ("a third number", sequence(&[&inner, &tlv(2, &[1])])),
            ("an empty SEQUENCE", sequence(&[])),
            ("no octets", vec![]),
            ("numbers side by side", raw),
            ("octets behind", [&der[..], &[0, 0]].concat()),
            ("last octet missing", der[..der.len() - 1].to_vec()),
            (
                "padded length",
                [&[0x30, 0x82, 0, inner.len() as u8][..], &inner].concat(),
            ),
            (
                "indefinite length",
                [&[0x30, 0x80][..], &inner, &[0, 0]].concat(),
            ),
            ("a SET", tlv(0x31, &inner)),
            ("OCTET STRINGs", sequence(&[&tlv(4, &r), &tlv(4, &s)])),
            ("numbers of 200 octets", pair(&[1; 200], &[1; 200])),
        ];
        for (name, signature) in cases {
            let parts = signer.parts_with(IssuerAndSerial, digest, signature)?;
            let message = Message::new(&[parts]).encode();
            out.message(format!("class 12: {key}, {name}"), &message)?;
        }
    }
    Ok(())
}

/// Class 13.
fn identifiers(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
    let (signer, content) = (kitchen.id("rsa2048"), &kitchen.content);
    let good = signer.signs(content)?;
    let by_key_id = signer.parts(SubjectKeyId, DigestAlgorithm::Sha256, content)?;
    let mut case = |name: String, parts: SignerParts| -> Result<()> {
        let message = Message::new(&[parts]).encode();
        out.message(format!("class 13: {name}"), &message).map(drop)
    };
    let named = |issuer: &[u8], serial: &[u8]| SignerParts {
        sid: sequence(&[&tlv(0x30, issuer), &tlv(2, serial)]),
        ..good.clone()
    };
    let keyed = |id: &[u8]| SignerParts {
        sid: tlv(0x80, id),
        ..by_key_id.clone()
    };
    case("by key id".to_owned(), keyed(&signer.key_id))?;
    for size in [0, 1, 2, 19, 20, 21, 100, 4000, 4096, 4097, 20000, 60000] {
        case(
            format!("serial number of {size} octets"),
            named(&signer.issuer, &vec![1; size]),
        )?;
        case(format!("key id of {size} octets"), keyed(&vec![1; size]))?;
        let long = craft::name(&"x".repeat(size));
        let long = Node::parse(&long).context("our own name")?.content();
        case(
            format!("issuer of {size} letters"),
            named(&long, &signer.serial),
        )?;
    }
    case(
        "neither issuer nor serial number".to_owned(),
        named(&[], &[]),
    )?;
    case("serial number with a zero in front".to_owned(), {
        named(&signer.issuer, &[&[0][..], &signer.serial].concat())
    })?;
    case("serial number without its last octet".to_owned(), {
        named(&signer.issuer, &signer.serial[..signer.serial.len() - 1])
    })?;
    let joined = [&signer.serial[..], &signer.issuer].concat();
    case(
        "key id that is serial number and issuer".to_owned(),
        keyed(&joined),
    )?;
    case(
        "serial number that is serial number and issuer".to_owned(),
        named(&[], &joined),
    )?;
    case(
        "serial number that is the key id".to_owned(),
        named(&[], &signer.key_id),
    )?;
    case(
        "key id that is the subject".to_owned(),
        keyed(&signer.issuer),
    )?;
    case("key id that is the issuer's Name".to_owned(), {
        keyed(&tlv(0x30, &signer.issuer))
    })?;
    case("key id without its last octet".to_owned(), {
        keyed(&signer.key_id[..signer.key_id.len() - 1])
    })?;
    case(
        "key id constructed".to_owned(),
        SignerParts {
            sid: tlv(0xa0, &tlv(4, &signer.key_id)),
            ..by_key_id.clone()
        },
    )?;
    let mut two_names = signer.issuer.clone();
    two_names.extend(&signer.issuer);
    case("issuer twice".to_owned(), named(&two_names, &signer.serial))?;
    case(
        "issuer of an empty SET".to_owned(),
        named(&tlv(0x31, &[]), &signer.serial),
    )?;
    for version in [0, 1, 2, 3, 4, 5, 255] {
        let with = |parts: &SignerParts| SignerParts {
            version,
            ..parts.clone()
        };
        case(
            format!("version {version} with issuer and serial number"),
            with(&good),
        )?;
        case(format!("version {version} with key id"), with(&by_key_id))?;
    }
    // The message's version, and each signer's.
    for message in [0, 1, 2, 3, 4, 5] {
        for parts in [&good, &by_key_id] {
            let mut made = Message::new(std::slice::from_ref(parts));
            made.version = tlv(2, &[message]);
            let name = format!(
                "class 13: message of version {message}, signer of version {}",
                parts.version
            );
            out.message(name, &made.encode())?;
        }
    }
    for (what, version) in [("no octets", vec![]), ("two octets", vec![0, 1])] {
        let mut made = kitchen.good()?;
        made.version = tlv(2, &version);
        out.message(format!("class 13: version of {what}"), &made.encode())?;
    }
    Ok(())
}

/// What a signer can be, and the certificates that go with it.
fn kinds_of_signers(kitchen: &Kitchen) -> Result<Vec<(&'static str, SignerParts, Vec<&Identity>)>> {
    let id = |name| kitchen.id(name);
    let mut unsupported = kitchen.signs("rsa4096")?;
    // SM3, which C knows of, and no test kernel has.
    unsupported.digest = algorithm(&[0x2a, 0x81, 0x1c, 0xcf, 0x55, 0x01, 0x83, 0x11], &[]);
    Ok(vec![
        ("trusted", kitchen.signs("rsa2048")?, vec![]),
        ("trusted P-256", kitchen.signs("p256")?, vec![]),
        ("trusted, wrong", kitchen.signs_wrongly("rsa4096")?, vec![]),
        ("unknown", kitchen.signs("untrusted")?, vec![]),
        (
            "unknown with certificate",
            kitchen.signs("untrusted")?,
            vec![id("untrusted")],
        ),
        ("unsupported", unsupported, vec![]),
        ("revoked", kitchen.signs("revoked")?, vec![]),
        ("revoked, wrong", kitchen.signs_wrongly("revoked")?, vec![]),
        (
            "revoked, not trusted",
            kitchen.signs("revoked-leaf")?,
            vec![],
        ),
        (
            "revoked, not trusted, wrong",
            kitchen.signs_wrongly("revoked-leaf")?,
            vec![],
        ),
        ("leaf", kitchen.signs("leaf")?, vec![id("leaf")]),
        (
            "leaf, wrong",
            kitchen.signs_wrongly("leaf")?,
            vec![id("leaf")],
        ),
        (
            "leaf2",
            kitchen.signs("leaf2")?,
            vec![id("leaf2"), id("inter")],
        ),
        ("blocked", kitchen.signs("blocked")?, vec![id("blocked")]),
        (
            "revoked leaf",
            kitchen.signs("revoked-leaf")?,
            vec![id("revoked-leaf")],
        ),
        (
            "stray",
            kitchen.signs("stray")?,
            vec![id("stray"), id("root")],
        ),
    ])
}

/// Class 15: every pair, and every three, of the kinds of signers.
fn signers(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
    let kinds = kinds_of_signers(kitchen)?;
    let mut combined = |which: &[usize]| -> Result<()> {
        let each: Vec<_> = which.iter().map(|&index| &kinds[index]).collect();
        let names: Vec<_> = each.iter().map(|(name, ..)| *name).collect();
        let parts: Vec<_> = each.iter().map(|(_, parts, _)| parts.clone()).collect();
        let mut message = Message::new(&parts);
        // No certificate twice; a later signer's may then serve an earlier one.
        let mut certificates: Vec<&[u8]> = vec![];
        for identity in each.iter().flat_map(|(.., certificates)| certificates) {
            if !certificates.contains(&&identity.certificate[..]) {
                certificates.push(&identity.certificate);
            }
        }
        message.certificates = certificates.concat();
        let name = format!("class 15: signers {}", names.join(" + "));
        out.message(name, &message.encode()).map(drop)
    };
    for a in 0..kinds.len() {
        combined(&[a])?;
        for b in 0..kinds.len() {
            combined(&[a, b])?;
        }
    }
    // Of the threes, those in which each is of another kind, in two of the orders: what the others
    // have besides is in the pairs.
    for a in 0..kinds.len() {
        for b in a + 1..kinds.len() {
            for c in b + 1..kinds.len() {
                combined(&[a, b, c])?;
                combined(&[c, a, b])?;
            }
        }
    }
    let good = kitchen.signs("rsa2048")?;
    let mut none = Message::new(&[]);
    out.message("class 15: no signers", &none.encode())?;
    none.digests = kitchen.good()?.digests;
    out.message("class 15: no signers, a digest algorithm", &none.encode())?;
    for count in [2, 7, 8, 9, 16, 17, 40, 100] {
        let many = Message::new(&vec![good.clone(); count]).encode();
        out.message(format!("class 15: {count} times the same signer"), &many)?;
        let mut others = vec![kitchen.signs("untrusted")?; count - 1];
        others.push(good.clone());
        let many = Message::new(&others).encode();
        out.message(
            format!("class 15: {} unknown and one trusted", count - 1),
            &many,
        )?;
    }
    let content = &kitchen.content;
    for a in ["rsa2048", "untrusted", "revoked"] {
        for b in ["rsa4096", "untrusted", "revoked-leaf"] {
            let first = kitchen
                .id(a)
                .parts(SubjectKeyId, DigestAlgorithm::Sha256, content)?;
            let second = kitchen
                .id(b)
                .parts(SubjectKeyId, DigestAlgorithm::Sha512, content)?;
            let message = Message::new(&[first, second]).encode();
            out.message(format!("class 15: signers by key id {a} + {b}"), &message)?;
        }
    }
    let mixed = [
        good.clone(),
        kitchen
            .id("rsa4096")
            .parts(SubjectKeyId, DigestAlgorithm::Sha256, content)?,
    ];
    for version in [1, 3] {
        let mut message = Message::new(&mixed);
        message.version = tlv(2, &[version]);
        let name = format!("class 15: both ways to name a signer in version {version}");
        out.message(name, &message.encode())?;
    }
    let mut sequence_of = kitchen.good()?;
    sequence_of.more = tlv(0x30, &sequence_of.signers);
    out.message(
        "class 15: signers in a SEQUENCE, then in a SET",
        &sequence_of.encode(),
    )?;
    Ok(())
}

/// An Attribute.
fn attribute(oid: &[u8], values: &[u8]) -> Vec<u8> {
    sequence(&[&tlv(6, oid), &tlv(0x31, values)])
}

/// Class 16.
fn attributes(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
    let signer = kitchen.id("rsa2048");
    let digest = openssl::sha::sha256(&kitchen.content);
    let content_type = attribute(oid::CONTENT_TYPE, &tlv(6, oid::DATA));
    let right = attribute(oid::MESSAGE_DIGEST, &tlv(4, &digest));
    let wrong = attribute(oid::MESSAGE_DIGEST, &tlv(4, &[0; 32]));
    let short = attribute(oid::MESSAGE_DIGEST, &tlv(4, &digest[..31]));
    let twice = attribute(
        oid::MESSAGE_DIGEST,
        &[tlv(4, &digest), tlv(4, &digest)].concat(),
    );
    let time = attribute(oid::SIGNING_TIME, &tlv(0x17, b"240101000000Z"));
    let bad_time = attribute(oid::SIGNING_TIME, &tlv(0x17, b"241301000000Z"));
    let other_type = attribute(oid::CONTENT_TYPE, &tlv(6, oid::SIGNED_DATA));
    let unknown = attribute(oid::UNKNOWN, &[5, 0]);
    let lists: [(&str, Vec<&[u8]>); 15] = [
        ("content type and digest", vec![&content_type, &right]),
        ("and a time", vec![&content_type, &right, &time]),
        ("and an unknown one", vec![&content_type, &right, &unknown]),
        ("wrong digest", vec![&content_type, &wrong]),
        ("short digest", vec![&content_type, &short]),
        ("digest twice", vec![&content_type, &right, &right]),
        ("digest with two values", vec![&content_type, &twice]),
        (
            "right and wrong digest",
            vec![&content_type, &right, &wrong],
        ),
        (
            "content type twice",
            vec![&content_type, &content_type, &right],
        ),
        ("no digest", vec![&content_type]),
        ("no content type", vec![&right]),
        ("none in the list", vec![]),
        ("another content type", vec![&other_type, &right]),
        (
            "a time that is none",
            vec![&content_type, &right, &bad_time],
        ),
        (
            "an empty attribute",
            vec![&content_type, &right, &[0x30, 0]],
        ),
    ];
    for (name, list) in lists {
        let content = list.concat();
        // What is signed is the list as a SET.
        let signed = craft::sign(&signer.key, DigestAlgorithm::Sha256, &tlv(0x31, &content))?;
        let over_list = signer.parts_with(IssuerAndSerial, DigestAlgorithm::Sha256, signed)?;
        let over_content = signer.signs(&kitchen.content)?;
        let places: [(&str, Vec<u8>); 3] = [
            ("[0]", tlv(0xa0, &content)),
            ("[2] (hole F)", tlv(0xa2, &tlv(0x30, &content))),
            ("[0] as octets", tlv(0x80, &content)),
        ];
        for (place, element) in places {
            for (over, parts) in [("them", &over_list), ("the module", &over_content)] {
                let mut message = kitchen.good()?;
                message.signers = signer_info(parts, &element, &[]);
                let name =
                    format!("class 16: signed attributes {place}, {name}, signature over {over}");
                out.message(name, &message.encode())?;
            }
        }
        for (place, tag) in [("[1]", 0xa1), ("[3]", 0xa3)] {
            let mut message = kitchen.good()?;
            message.signers = signer_info(&over_content, &[], &tlv(tag, &content));
            let name = format!("class 16: unsigned attributes {place}, {name}");
            out.message(name, &message.encode())?;
        }
    }
    // Some with, some without. With ML-DSA signed attributes may be allowed: hole E, C asks the first
    // signer only. And hole F, it knows attributes in [2], and does not count them as such.
    let list = [&content_type[..], &right].concat();
    let signed = craft::sign(&signer.key, DigestAlgorithm::Sha256, &tlv(0x31, &list))?;
    let over_list = signer.parts_with(IssuerAndSerial, DigestAlgorithm::Sha256, signed)?;
    let with = signer_info(&over_list, &tlv(0xa0, &list), &[]);
    let without = signer_info(&kitchen.signs("rsa2048")?, &[], &[]);
    let mut ml_dsa = kitchen.signs("untrusted")?;
    let sha512 = attribute(
        oid::MESSAGE_DIGEST,
        &tlv(4, &openssl::sha::sha512(&kitchen.content)),
    );
    ml_dsa.digest = algorithm(&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03], &[]);
    ml_dsa.key = algorithm(&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x12], &[]);
    let ml_dsa_list = [&content_type[..], &sha512].concat();
    let ml_dsa_with = signer_info(&ml_dsa, &tlv(0xa0, &ml_dsa_list), &[]);
    let ml_dsa_without = signer_info(&ml_dsa, &[], &[]);
    for (name, signers) in [
        ("in the first signer only", [&with, &without]),
        ("in the second signer only", [&without, &with]),
        ("in both", [&with, &with]),
        (
            "of an unknown ML-DSA signer, then of a trusted RSA one (hole E)",
            [&ml_dsa_with, &with],
        ),
        (
            "of a trusted RSA signer, then of an unknown ML-DSA one",
            [&with, &ml_dsa_with],
        ),
        (
            "of an unknown ML-DSA signer, and a trusted one without",
            [&ml_dsa_with, &without],
        ),
        (
            "none of an unknown ML-DSA signer, those of a trusted RSA one",
            [&ml_dsa_without, &with],
        ),
        (
            "none of an unknown ML-DSA signer nor of a trusted RSA one",
            [&ml_dsa_without, &without],
        ),
    ] {
        let mut message = kitchen.good()?;
        message.signers = signers.map(|signer| &signer[..]).concat();
        out.message(
            format!("class 16: signed attributes {name}"),
            &message.encode(),
        )?;
    }
    Ok(())
}

/// Class 17.
fn contents(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
    let good = kitchen.good()?;
    let mut case = |name: &str, info: Vec<u8>| -> Result<()> {
        let mut message = good.clone();
        message.content_info = info;
        let message = message.encode();
        out.message(format!("class 17: {name}"), &message).map(drop)
    };
    let data = tlv(6, oid::DATA);
    for (name, content) in [
        ("the module embedded", tlv(0xa0, &tlv(4, &kitchen.content))),
        ("one octet embedded", tlv(0xa0, &tlv(4, &[0]))),
        ("an empty OCTET STRING embedded", tlv(0xa0, &tlv(4, &[]))),
        ("an empty SEQUENCE embedded", tlv(0xa0, &sequence(&[]))),
        ("NULL embedded", tlv(0xa0, &[5, 0])),
        ("nothing in [0]", tlv(0xa0, &[])),
        ("two elements in [0]", tlv(0xa0, &[4, 0, 4, 0])),
        ("[0] as octets", tlv(0x80, &[4, 0])),
        ("[0] of indefinite length", vec![0xa0, 0x80, 4, 1, 0, 0, 0]),
        ("[0] of indefinite length, with a constructed string", {
            vec![0xa0, 0x80, 0x24, 0x80, 4, 1, 0, 0, 0, 0, 0]
        }),
        ("[1] in place of [0]", tlv(0xa1, &tlv(4, &[0]))),
    ] {
        case(name, sequence(&[&data, &content]))?;
    }
    for (name, oid) in [
        ("signedData", oid::SIGNED_DATA),
        ("Authenticode", oid::MS_INDIRECT_DATA),
        ("unknown", oid::UNKNOWN),
        ("of no octets", &[]),
        ("data with an octet more", &[oid::DATA, &[1]].concat()),
        ("data without its last octet", &oid::DATA[..8]),
    ] {
        case(&format!("content type {name}"), sequence(&[&tlv(6, oid)]))?;
    }
    let signed = [
        ("data", oid::DATA),
        ("unknown", oid::UNKNOWN),
        ("of no octets", &[]),
    ];
    for (name, outer) in signed {
        let message = good.encode();
        let mut root = Node::parse(&message).context("our own message")?;
        let node = root.at_mut(&[0]).context("our own message")?;
        *node = Node::parse(&tlv(6, outer)).context("our own message")?;
        out.message(format!("class 17: message of type {name}"), &root.encode())?;
    }
    Ok(())
}

/// Class 18.
fn algorithms(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
    use DigestAlgorithm::*;
    let nist = |arc| vec![0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, arc];
    let digests: Vec<(&str, Vec<u8>)> = vec![
        ("sha1", vec![0x2b, 0x0e, 0x03, 0x02, 0x1a]),
        ("sha256", nist(1)),
        ("sha384", nist(2)),
        ("sha512", nist(3)),
        ("sha224", nist(4)),
        ("sha512-224", nist(5)),
        ("sha512-256", nist(6)),
        ("sha3-224", nist(7)),
        ("sha3-256", nist(8)),
        ("sha3-384", nist(9)),
        ("sha3-512", nist(10)),
        ("shake128", nist(11)),
        ("shake256", nist(12)),
        ("md5", vec![0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x05]),
        ("sm3", vec![0x2a, 0x81, 0x1c, 0xcf, 0x55, 0x01, 0x83, 0x11]),
        (
            "streebog256",
            vec![0x2a, 0x85, 0x03, 0x07, 0x01, 0x01, 0x02, 0x02],
        ),
        (
            "streebog512",
            vec![0x2a, 0x85, 0x03, 0x07, 0x01, 0x01, 0x02, 0x03],
        ),
        ("unknown", oid::UNKNOWN.to_vec()),
        ("of no octets", vec![]),
        ("cut off", vec![0x60, 0x86]),
        ("padded", vec![0x60, 0x80, 0x01]),
    ];
    let nist_key = |arc| vec![0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, arc];
    let pkcs1 = |arc| vec![0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, arc];
    let ecdsa = |arc| vec![0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, arc];
    let keys: Vec<(&str, Vec<u8>)> = vec![
        ("rsaEncryption", pkcs1(1)),
        ("sha256WithRSA", pkcs1(11)),
        ("RSA-PSS", pkcs1(10)),
        ("ecdsa-sha1", vec![0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01]),
        ("ecdsa-sha224", ecdsa(1)),
        ("ecdsa-sha256", ecdsa(2)),
        ("ecdsa-sha512", ecdsa(4)),
        ("ecdsa-sha3-256", nist_key(10)),
        (
            "id-ecPublicKey",
            vec![0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01],
        ),
        (
            "gost2012-256",
            vec![0x2a, 0x85, 0x03, 0x07, 0x01, 0x01, 0x01, 0x01],
        ),
        ("ML-DSA-44", nist_key(17)),
        ("ML-DSA-65", nist_key(18)),
        ("ML-DSA-87", nist_key(19)),
        ("Ed25519", vec![0x2b, 0x65, 0x70]),
        ("unknown", oid::UNKNOWN.to_vec()),
        ("of no octets", vec![]),
    ];
    // A trusted key, a key that nobody has, and an identifier: what each says of itself.
    for who in ["rsa2048", "p256", "untrusted"] {
        for (digest_name, digest) in &digests {
            for (key_name, key) in &keys {
                let mut parts = kitchen.signs(who)?;
                parts.digest = algorithm(digest, &[]);
                parts.key = algorithm(key, &[]);
                let message = Message::new(&[parts]).encode();
                let name = format!("class 18: {who}, digest {digest_name}, key {key_name}");
                out.message(name, &message)?;
            }
        }
    }
    // Signed with what they say.
    for who in ["rsa2048", "rsa4096", "p256", "p384", "p521", "untrusted"] {
        for digest in [
            Sha1, Sha224, Sha256, Sha384, Sha512, Sha3_256, Sha3_384, Sha3_512,
        ] {
            let parts = kitchen
                .id(who)
                .parts(IssuerAndSerial, digest, &kitchen.content)?;
            let message = Message::new(&[parts]).encode();
            out.message(
                format!("class 18: signed by {who} with {}", digest.name()),
                &message,
            )?;
        }
    }
    // ECDSA whose algorithm names another digest than the signer.
    for (digest, named) in [(Sha256, Sha384), (Sha384, Sha256), (Sha512, Sha1)] {
        let mut parts = kitchen
            .id("p384")
            .parts(IssuerAndSerial, digest, &kitchen.content)?;
        parts.key = ecdsa_algorithm(named).context("no such algorithm")?;
        let message = Message::new(&[parts]).encode();
        let name = format!(
            "class 18: {} signed, ECDSA with {} named",
            digest.name(),
            named.name()
        );
        out.message(name, &message)?;
    }
    // Parameters.
    for (name, parameters) in [
        ("NULL", vec![5, 0]),
        ("NULL with an octet", vec![5, 1, 0]),
        ("an empty SEQUENCE", vec![0x30, 0]),
        ("an identifier", vec![6, 1, 0x2a]),
        ("two of them", vec![5, 0, 5, 0]),
        ("half a header", vec![5]),
    ] {
        for who in ["rsa2048", "p256"] {
            let good = kitchen.signs(who)?;
            let mut parts = good.clone();
            parts.digest = algorithm(&nist(1), &parameters);
            let message = Message::new(&[parts]).encode();
            out.message(
                format!("class 18: {who}, digest's parameters {name}"),
                &message,
            )?;
            let mut parts = good.clone();
            let key = if who == "p256" { ecdsa(2) } else { pkcs1(1) };
            parts.key = algorithm(&key, &parameters);
            let message = Message::new(&[parts]).encode();
            out.message(
                format!("class 18: {who}, key's parameters {name}"),
                &message,
            )?;
        }
    }
    let mut parts = kitchen.signs("p256")?;
    parts.key = rsa_algorithm();
    let message = Message::new(&[parts]).encode();
    out.message(
        "class 18: a trusted EC key that is said to be RSA",
        &message,
    )?;
    Ok(())
}

/// Class 19.
fn trailers(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
    let message = kitchen.good()?.encode();
    let module = kitchen.content.len();
    let info = trailer(message.len() as u32);
    let mut edited = |name: String, at: usize, octets: &[u8]| {
        let mut info = info.clone();
        info.splice(at..at + octets.len(), octets.iter().copied());
        out.tail(format!("class 19: {name}"), [&message[..], &info].concat());
    };
    let length = message.len() as u32;
    let all = module as u32 + length;
    for value in [
        0,
        1,
        length - 1,
        length + 1,
        module as u32,
        all - 1,
        all,
        all + 1,
        all + 12,
        all + 40,
        0x7fff_ffff,
        0x8000_0000,
        u32::MAX - 40,
        u32::MAX - 11,
        u32::MAX,
    ] {
        let name = format!("length {value} where it is {length} of {all}");
        edited(name, 8, &value.to_be_bytes());
    }
    edited(
        "length with its octets the other way round".into(),
        8,
        &length.to_le_bytes(),
    );
    for id_type in 0..=255 {
        edited(format!("type {id_type}"), 2, &[id_type]);
    }
    for at in [0, 1, 3, 4, 5, 6, 7] {
        for value in [1, 0x80, 0xff] {
            edited(format!("octet {at} of the trailer {value}"), at, &[value]);
        }
        let name = format!("octet {at} of the trailer 1, type 1");
        let mut octets = [0, 0, 1, 0, 0, 0, 0, 0];
        octets[at] = 1;
        edited(name, 0, &octets);
    }
    for (at, octet) in info.iter().enumerate().skip(12) {
        edited(
            format!("octet {} of the marker flipped", at - 12),
            at,
            &[octet ^ 1],
        );
    }
    let whole = [&message[..], &info].concat();
    for more in [&[0][..], b"\n", MARKER] {
        let name = format!("class 19: {} octets behind the marker", more.len());
        out.tail(name, [&whole[..], more].concat());
    }
    let twice = [&whole[..], &whole].concat();
    out.tail("class 19: message and trailer twice", twice);
    out.tail("class 19: unsigned", vec![]);
    out.tail("class 19: only a marker appended", MARKER.to_vec());
    out.tail("class 19: only a trailer appended", trailer(0));
    out.tail("class 19: only a trailer appended, length 1", trailer(1));
    let file = [&kitchen.content[..], &whole].concat();
    for length in [0, 1, 2, 27, 28, 29, 39, 40, 41, 42, 64, 100] {
        let name = format!("class 19: the last {length} octets of the file alone");
        out.file(name, file[file.len() - length..].to_vec());
        let name = format!("class 19: a trailer that claims all of {length} octets");
        let claimed = [vec![0x30; length], trailer(length as u32)].concat();
        out.file(name, claimed);
    }
    out.file(
        "class 19: 40 octets of marker and zeros",
        [&[0; 12][..], MARKER].concat(),
    );
    let signed = |content: &[u8]| -> Result<Vec<u8>> {
        let message = Message::new(&[kitchen.id("rsa2048").signs(content)?]).encode();
        Ok([content, &message, &trailer(message.len() as u32)].concat())
    };
    out.file("class 19: nothing, well signed", signed(&[])?);
    out.file("class 19: one octet, well signed", signed(&[0x7f])?);
    out.file(
        "class 19: a text, well signed",
        signed(b"modsig: this is not ELF")?,
    );
    out.file(
        "class 19: signed twice, the inner one counts for nothing",
        signed(&file)?,
    );
    let huge = [message.clone(), vec![0; 70_000]].concat();
    out.message("class 19: a message of more than 65535 octets", &huge)?;
    let exact = |size: usize| [message.clone(), vec![0; size - message.len()]].concat();
    out.message("class 19: a message of 65535 octets", &exact(65_535))?;
    out.message("class 19: a message of 65536 octets", &exact(65_536))?;
    Ok(())
}

/// Class 20.
fn flags(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
    let good = kitchen.good()?.encode();
    let unknown = Message::new(&[kitchen.signs("untrusted")?]).encode();
    let wrong = Message::new(&[kitchen.signs_wrongly("rsa2048")?]).encode();
    let revoked = Message::new(&[kitchen.signs("revoked")?]).encode();
    // 8 and above are no flags of any kernel.
    for flags in [0, 1, 2, 3, 8, 9, 16, 128, 255] {
        let mut with = |name: &str, message: Option<&[u8]>| -> Result<()> {
            let name = format!("class 20: flags {flags}, {name}");
            match message {
                Some(message) => out.message(name, message)?,
                None => out.tail(name, vec![]),
            }
            .flags = flags;
            Ok(())
        };
        with("unsigned", None)?;
        with("good", Some(&good))?;
        with("unknown signer", Some(&unknown))?;
        with("wrong signature", Some(&wrong))?;
        with("revoked signer", Some(&revoked))?;
        with("empty message", Some(&[]))?;
        with("nonsense", Some(&[0x30]))?;
    }
    Ok(())
}

/// Compresses as `make modules_install` does.
fn gzip(octets: &[u8]) -> Result<Vec<u8>> {
    let mut child = Command::new("gzip")
        .args(["-n", "-c"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("gzip: cannot start; install it")?;
    let mut stdin = child.stdin.take().context("no pipe")?;
    let octets = octets.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&octets));
    let output = child.wait_with_output()?;
    writer.join().ok().context("gzip went away")??;
    ensure!(output.status.success(), "gzip failed");
    Ok(output.stdout)
}

/// Class 21.
fn compressed(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
    let signed = |message: &[u8]| {
        let trailer = trailer(message.len() as u32);
        [&kitchen.content[..], message, &trailer].concat()
    };
    let good = kitchen.good()?.encode();
    let file = signed(&good);
    let mut flipped = file.clone();
    flipped[kitchen.content.len() / 2] ^= 1;
    let unknown = signed(&Message::new(&[kitchen.signs("untrusted")?]).encode());
    let mut bits = file.clone();
    let last = bits.len() - 41;
    bits[last] ^= 1;
    for (name, file) in [
        ("unsigned", kitchen.content.clone()),
        ("good", file.clone()),
        ("content flipped", flipped),
        ("signature flipped", bits),
        ("unknown signer", unknown),
        ("cut in the signature", file[..file.len() - 100].to_vec()),
        ("nothing", vec![]),
    ] {
        for flags in [4, 5, 6, 0] {
            let packed = gzip(&file)?;
            let case = out.file(
                format!("class 21: compressed, flags {flags}, {name}"),
                packed,
            );
            case.flags = flags;
            case.unpacked = (flags & 4 != 0).then(|| file.clone());
        }
    }
    let packed = gzip(&file)?;
    let mut tampered = |name: &str, octets: Vec<u8>| {
        let case = out.file(format!("class 21: compressed and then {name}"), octets);
        case.flags = 4;
        // The loader gives up before it comes to the signature, or sees the same file.
        case.unpacked = Some(file.clone());
    };
    for at in [
        0,
        1,
        2,
        3,
        8,
        10,
        40,
        packed.len() / 2,
        packed.len() - 8,
        packed.len() - 1,
    ] {
        let mut octets = packed.clone();
        octets[at] ^= 1;
        tampered(&format!("flipped at {at}"), octets);
    }
    for length in [
        0,
        1,
        10,
        18,
        packed.len() / 2,
        packed.len() - 8,
        packed.len() - 1,
    ] {
        tampered(&format!("cut to {length}"), packed[..length].to_vec());
    }
    tampered("an octet appended", [&packed[..], &[0]].concat());
    let outside = [&packed[..], &good, &trailer(good.len() as u32)].concat();
    tampered("signed again outside", outside);
    tampered("not compressed at all", file.clone());
    Ok(())
}

/// A bit in every octet of a good signature and its trailer, and in some of the content.
fn flipped(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
    for who in ["rsa2048", "p256"] {
        let message = Message::new(&[kitchen.signs(who)?]).encode();
        let tail = [&message[..], &trailer(message.len() as u32)].concat();
        for at in 0..tail.len() {
            let mut tail = tail.clone();
            tail[at] ^= 1 << (at % 8);
            out.tail(
                format!("flipped bit: {who}, octet {at} of the signature"),
                tail,
            );
        }
        let steps = 80;
        for step in 0..steps {
            let at = step * (kitchen.content.len() - 1) / (steps - 1);
            let octet = kitchen.content[at] ^ 1 << (step % 8);
            let case = out.message(
                format!("flipped bit: {who}, octet {at} of the content"),
                &message,
            )?;
            case.edits = vec![(at, octet)];
        }
        for keep in [
            0,
            1,
            63,
            64,
            kitchen.content.len() / 2,
            kitchen.content.len() - 1,
        ] {
            let case = out.message(format!("content of {who} cut to {keep}"), &message)?;
            case.keep = Some(keep);
        }
    }
    Ok(())
}
