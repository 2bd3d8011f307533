// SPDX-License-Identifier: MIT OR Apache-2.0

//! Who has signed, what else they say, and of what: classes 15 to 17.

use anyhow::{Context, Result};
use modsig::verify::DigestAlgorithm;
use modsig_tools::{
    certificate::SignerIdForm::{IssuerAndSerial, SubjectKeyId},
    message::{algorithm, sequence, tlv, SignerParts},
};

use crate::corpus::compare::{
    craft::{self, oid, signer_info, Identity, Message},
    der::Node,
    kitchen::Kitchen,
    Corpus,
};

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
pub(super) fn signers(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
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
pub(super) fn attributes(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
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
            ("[0] as bytes", tlv(0x80, &content)),
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
            "of a trusted RSA signer, then of an unknown ML-DSA one (as hole E)",
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
pub(super) fn contents(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
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
        ("one byte embedded", tlv(0xa0, &tlv(4, &[0]))),
        ("an empty OCTET STRING embedded", tlv(0xa0, &tlv(4, &[]))),
        ("an empty SEQUENCE embedded", tlv(0xa0, &sequence(&[]))),
        ("NULL embedded", tlv(0xa0, &[5, 0])),
        ("nothing in [0]", tlv(0xa0, &[])),
        ("two elements in [0]", tlv(0xa0, &[4, 0, 4, 0])),
        ("[0] as bytes", tlv(0x80, &[4, 0])),
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
        ("of no bytes", &[]),
        ("data with a byte more", &[oid::DATA, &[1]].concat()),
        ("data without its last byte", &oid::DATA[..8]),
    ] {
        case(&format!("content type {name}"), sequence(&[&tlv(6, oid)]))?;
    }
    let signed = [
        ("data", oid::DATA),
        ("unknown", oid::UNKNOWN),
        ("of no bytes", &[]),
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
