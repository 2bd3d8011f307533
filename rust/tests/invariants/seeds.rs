// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Inputs to start from: good ones of every kind, and some that are nearly good.

use modsig::verify::{
    cms::{MAX_CERTIFICATES, MAX_SIGNERS},
    release, trailer,
};

use crate::common::*;

use super::{HEADER, OF_RELEASE, RELEASES};

/// The world of the `decision` target in which these keys are trusted and these revoked.
fn world(bits: u8, trusted: u8, platform: u8, revoked: u8) -> [u8; HEADER] {
    [0, bits, trusted, platform, revoked, 0, 0, 0, 0x7f, 0]
}

/// One in which the file is blacklisted.
const LISTED: [u8; HEADER] = [0, ALL, 0xff, 0, 0, 0, 0, 0, 0xff, 0];

/// The bit that the flags depend on, and those of the flags.
const FORCED: [u8; 2] = [0x03, 0x05];

/// Everything that a tree may know, and asks for.
const ALL: u8 = 0xf8;

fn messages() -> Vec<Message> {
    let with_chain = |certs: &[Cert], signers: &[Signer]| Message {
        certificates: certificates(certs),
        ..message(signers)
    };
    let ml_dsa = |signer: Signer| Signer {
        key: algorithm(ML_DSA_44),
        ..signer
    };
    let ec = |cert: Cert| Cert {
        inner: algorithm(ECDSA_SHA256),
        outer: algorithm(ECDSA_SHA256),
        key: seq(&[
            &seq(&[&oid(EC_PUBLIC_KEY), &oid(P256)]),
            &tlv(0x03, &[0, 0xee, 2]),
        ]),
        ..cert
    };
    let ml_dsa_cert = |cert: Cert| Cert {
        inner: algorithm(ML_DSA_44),
        outer: algorithm(ML_DSA_44),
        key: seq(&[&algorithm(ML_DSA_44), &tlv(0x03, &[0, 0xee, 1])]),
        ..cert
    };
    let by_serial = Cert {
        extensions: vec![
            extension(14, &tlv(0x04, &key_id(1))),
            extension(15, &tlv(0x03, &[1, 6])),
            extension(19, &seq(&[&tlv(0x01, &[0xff]), &tlv(0x02, &[0])])),
            authority_by_serial(2, 3, Some(2)),
        ],
        ..cert(1, 2)
    };
    let old = Cert {
        version: vec![],
        unique: [tlv(0x81, &[0, 1]), tlv(0x82, &[0, 1])].concat(),
        extensions: vec![],
        ..cert(3, 3)
    };
    // As much work as a message can make: long chains, and signers that share no digest.
    let keys = || 0..MAX_SIGNERS as u8;
    let chain: Vec<Cert> = (0..MAX_CERTIFICATES as u8)
        .map(|key| cert(key, key + 1))
        .collect();
    let many: Vec<Signer> = keys().map(|key| signer_of(key, key + 1)).collect();
    let alternating: Vec<Signer> = keys()
        .map(|key| Signer {
            digest: algorithm(if key & 1 == 0 { SHA256 } else { SHA512 }),
            ..signer_of(key, key + 1)
        })
        .collect();
    let attributes = signed_attributes(&[]);
    let time = seq(&[&oid(SIGNING_TIME), &set(&[&tlv(0x17, b"200101000000Z")])]);
    let with_attributes = |more: &[&[u8]], one: Signer| Signer {
        signed_attributes: signed_attributes(more),
        ..ml_dsa(one)
    };
    vec![
        message(&[signer_of(1, 2)]),
        message(&[signer_by_key_id(&key_id(1))]),
        message(&[
            signer_of(1, 2),
            Signer {
                digest: algorithm(SHA512),
                key: seq(&[&oid(GOST2012), &seq(&[&oid(SHA256)])]),
                ..signer_of(2, 3)
            },
            Signer {
                key: algorithm(ECDSA_SHA256),
                unsigned_attributes: tlv(0xa1, &time),
                ..signer_of(3, 3)
            },
        ]),
        message(&[ml_dsa(signer_of(1, 2))]),
        message(&[with_attributes(&[&time], signer_of(1, 2))]),
        with_chain(&[cert(1, 2), cert(2, 3), cert(3, 3)], &[signer_of(1, 2)]),
        with_chain(
            &[cert(1, 2), ec(cert(2, 3)), cert(3, 1)],
            &[signer_of(1, 2), signer_of(2, 3), signer_of(3, 1)],
        ),
        with_chain(&[by_serial, cert(2, 3), old], &[signer_of(1, 2)]),
        with_chain(
            &[ml_dsa_cert(cert(1, 2)), cert(2, 2)],
            &[with_attributes(&[&time], signer_of(1, 2))],
        ),
        with_chain(&chain, &many),
        with_chain(&chain[..8], &alternating),
        message(&alternating),
        with_chain(&[ml_dsa_cert(cert(1, 1))], &[ml_dsa(signer_of(1, 1))]),
        Message {
            content: seq(&[&oid(DATA), &tlv(0xa0, &tlv(0x04, b"content"))]),
            ..message(&[signer_of(1, 2)])
        },
        Message {
            content: seq(&[&oid(MS_INDIRECT_DATA), &tlv(0xa0, &tlv(0x04, b"content"))]),
            ..message(&[Signer {
                signed_attributes: attributes,
                ..signer_of(1, 2)
            }])
        },
    ]
}

/// The proof for a place in a release; without siblings if there is no such place.
fn proof(size: u32, position: u32) -> Vec<u8> {
    let count = release::way(size, position).map_or(0, |(count, _)| count);
    let fields = [size.to_be_bytes(), position.to_be_bytes()].concat();
    [&[1], &fields[..], &vec![0x5b; 32 * count as usize]].concat()
}

/// The inputs: target, name, bytes.
pub fn seeds() -> Vec<(&'static str, String, Vec<u8>)> {
    let mut all = vec![];
    for (number, message) in messages().iter().enumerate() {
        let der = message.der();
        let mut put = |target: &'static str, name: &str, parts: &[&[u8]]| {
            all.push((target, format!("{number}{name}"), parts.concat()));
        };
        put("trailer", "", &[&file(&der)]);
        put("der", "", &[&der]);
        for (name, bits) in [("-old", 0), ("-new", 3)] {
            put("cms", name, &[&[bits], &der]);
        }
        // What is behind the header of the field; the target reads the first one.
        let first = match message.certificates[..] {
            [_, length, ..] => {
                let header = if length < 0x80 {
                    2
                } else {
                    2 + (length & 0x7f)
                };
                &message.certificates[header.into()..]
            }
            _ => &[],
        };
        put("x509", "", &[&[1], first]);
        for (name, world) in [
            ("-trusted", world(ALL, 0xff, 0, 0)),
            ("-root", world(ALL, 0x08, 0, 0)),
            ("-nobody", world(ALL, 0, 0, 0)),
            ("-platform", world(0x20, 0, 0xff, 0)),
            ("-revoked", world(0x20, 0xff, 0, 0x08)),
            ("-listed", LISTED),
            ("-modversions", world(FORCED[0], 0xff, 0, 0)),
            ("-vermagic", world(FORCED[1], 0xff, 0, 0)),
        ] {
            put("decision", name, &[&world, &der]);
        }
        let world = &world(ALL, 0xff, 0, 0)[1..];
        put("decision", "-file", &[&[1], world, &file(&der)]);
        let of_release = [&proof(6, 4)[..], &der].concat();
        let bits = [RELEASES | OF_RELEASE];
        put("decision", "-release", &[&bits, world, &of_release]);
        put("release", "", &[&of_release]);
    }
    for (size, position) in [
        (0, 0),
        (1, 0),
        (1, 1),
        (5, 4),
        (4096, 77),
        (u32::MAX, 0),
        (u32::MAX, u32::MAX - 1),
        (u32::MAX, u32::MAX),
    ] {
        let whole = proof(size, position);
        let name = format!("{position}-of-{size}");
        all.push((
            "release",
            format!("{name}-cut"),
            whole[..whole.len() - 1].to_vec(),
        ));
        all.push(("release", name, whole));
    }
    for field in 0..trailer::SIZE {
        let mut bad = file(b"message");
        let at = bad.len() - trailer::MARKER.len() - trailer::SIZE + field;
        bad[at] ^= 1;
        all.push(("trailer", format!("field-{field}"), bad));
    }
    // A byte more in each structure around the signed data.
    let good = message(&[signer(1)]);
    let fields = [good.version, good.digests, good.content, good.signers].concat();
    let null = [0x05, 0x00];
    for level in 0..4 {
        let after = |at, der: Vec<u8>| match at == level {
            true => [&der[..], &null].concat(),
            false => der,
        };
        let signed_data = after(1, tlv(0x30, &after(0, fields.clone())));
        let content_info = after(2, [oid(SIGNED_DATA), tlv(0xa0, &signed_data)].concat());
        let der = after(3, tlv(0x30, &content_info));
        all.push((
            "cms",
            format!("trailing-{level}"),
            [&[0], &der[..]].concat(),
        ));
    }
    all
}
