// SPDX-License-Identifier: MIT OR Apache-2.0

//! The values of signatures, and the names of who has signed: classes 11 to 13.

use anyhow::{Context, Result};
use modsig::verify::DigestAlgorithm;
use modsig_tools::{
    certificate::SignerIdForm::{IssuerAndSerial, SubjectKeyId},
    message::{algorithm, sequence, tlv, SignerParts},
};
use openssl::{
    bn::{BigNum, BigNumContext},
    ecdsa::EcdsaSig,
    rsa::Padding,
};

use crate::corpus::compare::{
    craft::{self, Message},
    der::Node,
    kitchen::Kitchen,
    Corpus,
};

/// Class 11.
pub(super) fn rsa_values(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
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
    case("signature of no bytes", vec![])?;
    case("signature of one byte", vec![1])?;
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
    case("last byte missing", good[..size - 1].to_vec())?;
    case("first byte missing", good[1..].to_vec())?;
    case("twice", [&good[..], &good].concat())?;
    case("of 512 bytes", vec![1; 512])?;
    case("of 8192 bytes", vec![1; 8192])?;

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
            "one byte behind the digest",
            fill(start, &[&info[..], &[0]].concat()),
        ),
        ("block type 0", fill(&[0, 0], &info)),
        ("block type 2", fill(&[0, 2], &info)),
        ("starts with 01 01", fill(&[1, 1], &info)),
        ("a zero among the ones", fill(&[0, 1, 0xff, 0], &info)),
        (
            "another byte among the ones",
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
            "a digest of no bytes",
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
pub(super) fn ecdsa_values(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
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
            ("r of no bytes", pair(&[], &s)),
            ("s of no bytes", pair(&r, &[])),
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
            ("no bytes", vec![]),
            ("numbers side by side", raw),
            ("bytes behind", [&der[..], &[0, 0]].concat()),
            ("last byte missing", der[..der.len() - 1].to_vec()),
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
            ("numbers of 200 bytes", pair(&[1; 200], &[1; 200])),
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
pub(super) fn identifiers(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
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
            format!("serial number of {size} bytes"),
            named(&signer.issuer, &vec![1; size]),
        )?;
        case(format!("key id of {size} bytes"), keyed(&vec![1; size]))?;
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
    case("serial number without its last byte".to_owned(), {
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
    case("key id without its last byte".to_owned(), {
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
    for (what, version) in [("no bytes", vec![]), ("two bytes", vec![0, 1])] {
        let mut made = kitchen.good()?;
        made.version = tlv(2, &version);
        out.message(format!("class 13: version of {what}"), &made.encode())?;
    }
    Ok(())
}
