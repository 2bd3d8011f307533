// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a certificate is made of: classes 8 to 10.

use anyhow::{Context, Result};
use modsig::verify::DigestAlgorithm;
use modsig_tools::message::{sequence, tlv};

use crate::corpus::compare::{
    craft::{self, extension, oid, Identity, Message, Template},
    der::Node,
    kitchen::Kitchen,
    Corpus,
};

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
                // A path's length of 122 bytes, and of 123: of a longer length C takes the second
                // byte for the tag of the BOOLEAN.
                &[&[0x30, 0x7f, 0x01, 0x01, 0xff, 0x02, 0x7a][..], &[1; 122]].concat(),
                &[
                    &[0x30, 0x81, 0x80, 0x01, 0x01, 0xff, 0x02, 0x7b][..],
                    &[1; 123],
                ]
                .concat(),
                // Lengths of which C takes the first byte for the whole, the rest for a TRUE.
                &[&[0x30, 0x81, 0x01, 0x01, 0xff][..], &[0; 126]].concat(),
                &[&[0x30, 0x82, 0x01, 0x01, 0xff][..], &[0; 127]].concat(),
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
                // Long ones, where C takes a byte of the length for the number of unused bits.
                &[&[0x03, 0x7f][..], &[0x07; 127]].concat(),
                &[&[0x03, 0x81, 0x80][..], &[0x07; 128]].concat(),
                &[&[0x03, 0x81, 0xff][..], &[0x07; 255]].concat(),
                &[&[0x03, 0x82, 0x01, 0x00][..], &[0x07; 256]].concat(),
                &[&[0x03, 0x82, 0x07, 0xff][..], &[0x07; 2047]].concat(),
                &[&[0x03, 0x82, 0x08, 0x00][..], &[0x07; 2048]].concat(),
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
                // Other forms of general names: another name with and without its value, an address
                // of X.400, a party of EDI with one name, with two and with the first only.
                &[
                    0x30, 0x0b, 0xa1, 0x09, 0xa0, 0x07, 0x06, 0x01, 0x2a, 0xa0, 0x02, 0x30, 0x00,
                ],
                &[0x30, 0x07, 0xa1, 0x05, 0xa0, 0x03, 0x06, 0x01, 0x2a],
                &[0x30, 0x06, 0xa1, 0x04, 0xa3, 0x02, 0x30, 0x00],
                &[0x30, 0x08, 0xa1, 0x06, 0xa5, 0x04, 0xa1, 0x02, 0x30, 0x00],
                &[
                    0x30, 0x0c, 0xa1, 0x0a, 0xa5, 0x08, 0xa0, 0x02, 0x30, 0x00, 0xa1, 0x02, 0x30,
                    0x00,
                ],
                &[0x30, 0x08, 0xa1, 0x06, 0xa5, 0x04, 0xa0, 0x02, 0x30, 0x00],
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
pub(super) fn extensions(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
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
            let name = format!("{what} of {} bytes {shown}", value.len());
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
pub(super) fn times(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
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
pub(super) fn bit_strings(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
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
        ("no bytes behind the unused bits", vec![0]),
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
    // SubjectPublicKeyInfo: SEQUENCE, SEQUENCE of algorithm, BIT STRING of 66 bytes.
    let key = Node::parse(&plain.public_key).context("our own key")?;
    let bits = key.at(&[1]).context("our own key")?.content();
    for (name, bits) in [
        ("empty", vec![]),
        ("no bytes behind the unused bits", vec![0]),
        ("1 unused bit", [&[1][..], &bits[1..]].concat()),
        ("8 unused bits", [&[8][..], &bits[1..]].concat()),
        ("cut short", bits[..40].to_vec()),
        ("a byte longer", [&bits[..], &[0]].concat()),
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
