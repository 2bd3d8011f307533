// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What must hold for every input, whatever is in it. The fuzz targets and the replay of their
//! corpus call the same functions; each panics if something does not hold.
//!
//! That nothing is read outside of the input needs no check, for the verifier has no `unsafe`;
//! that what it returns is a part of the input, in the place where it should be, does.

#![allow(dead_code, reason = "each program uses its own part of this")]

mod recorder;
mod reencode;
pub mod seeds;

use std::ops::Range;

use modsig::verify::{
    check,
    cms::{self, Certificates, MAX_CERTIFICATES, MAX_SIGNERS},
    der::{Element, Reader},
    release, time, trailer, x509, Checked, Class, DigestAlgorithm, Error, Flags, KeyAlgorithm,
    KeyId, Keyring, SignerId, SignerInfo, Tree, Verification,
};

use crate::common::{file, oid, seq, tlv, DATA, SIGNED_DATA};

use self::recorder::{Event, Recorder, World, FAILURE};

/// What a target does with an input.
pub type Target = fn(&[u8]);

/// The targets, by name.
pub const TARGETS: [(&str, Target); 6] = [
    ("trailer", split),
    ("release", of_release),
    ("der", walk),
    ("cms", message),
    ("x509", certificate),
    ("decision", decision),
];

/// Where a part of the input starts in it.
fn offset(part: &[u8], input: &[u8]) -> usize {
    if part.is_empty() {
        return 0;
    }
    let at = (part.as_ptr() as usize).checked_sub(input.as_ptr() as usize);
    at.filter(|at| at + part.len() <= input.len())
        .expect("is a part of the input")
}

/// Whether these parts of the input come in this order without overlapping.
fn in_order(parts: &[&[u8]], input: &[u8]) {
    let mut end = 0;
    for part in parts.iter().filter(|part| !part.is_empty()) {
        let at = offset(part, input);
        assert!(at >= end, "parts out of order");
        end = at + part.len();
    }
}

/// Where the input has these bytes, of which `part` is the end.
fn ending_in(part: &[u8], octets: &[u8], input: &[u8]) -> Range<usize> {
    if part.is_empty() {
        return 0..0;
    }
    let end = offset(part, input) + part.len();
    assert!(input[..end].ends_with(octets));
    end - octets.len()..end
}

/// Any bytes are a file: it is unsigned exactly if it does not end in the marker, and what it is
/// split into makes up the file again.
pub fn split(input: &[u8]) {
    let has_marker = input.len() > trailer::MARKER.len() && input.ends_with(trailer::MARKER);
    match take_apart(input, false) {
        Ok(trailer::Split {
            content, message, ..
        }) => {
            assert!(has_marker && !content.is_empty());
            assert_eq!(offset(content, input), 0);
            in_order(&[content, message], input);
            let length = (message.len() as u32).to_be_bytes();
            let header = [&[0, 0, trailer::ID_PKCS7, 0, 0, 0, 0, 0][..], &length].concat();
            assert_eq!([content, message, &header, trailer::MARKER].concat(), input);
        }
        Err(unsplit) => {
            assert_eq!(unsplit.error == Error::Unsigned, !has_marker);
            let cut = if has_marker { trailer::MARKER.len() } else { 0 };
            assert_eq!(unsplit.module_len, input.len() - cut);
            shown(&unsplit.error);
        }
    }
}

/// Any bytes are a message for a release up to the first that is wrong: what it is taken apart into,
/// written again, is the message, and it has as many siblings as the check of RFC 9162 section 2.1.3.2
/// takes, on the sides on which that has them.
pub fn of_release(input: &[u8]) {
    let fields = input.get(1..9).map(|fields| {
        let (size, position) = fields.split_at(4);
        let number = |octets: &[u8]| u32::from_be_bytes(octets.try_into().expect("are four"));
        (number(size), number(position))
    });
    let wrong_place = fields.is_some_and(|(size, position)| position >= size);
    let release = match release::parse(input) {
        Ok(release) => release,
        Err(error) => {
            shown(&error);
            assert!(matches!(error.class(), Class::BadMessage | Class::Invalid));
            let wrong_version = input.first().is_some_and(|&version| version != 1);
            assert_eq!(matches!(error, Error::ReleaseVersion(_)), wrong_version);
            let is_place = matches!(error, Error::ReleaseEmpty | Error::ReleasePosition { .. });
            assert_eq!(is_place, wrong_place && !wrong_version);
            return;
        }
    };
    let release::Proof {
        size,
        position,
        siblings,
    } = release.proof;
    assert!(!wrong_place && fields == Some((size, position)));
    in_order(&[siblings, release.message], input);
    let numbers = [size.to_be_bytes(), position.to_be_bytes()].concat();
    let written = [&[1], &numbers[..], siblings, release.message].concat();
    assert_eq!(written, input);

    let (count, sides) = release::way(size, position).expect("is in the tree");
    assert_eq!(siblings.len(), count as usize * 32);
    let (mut first, mut second) = (position, size - 1);
    for level in 0..count {
        assert_ne!(second, 0, "a sibling too many");
        let on_left = first & 1 == 1 || first == second;
        assert_eq!(sides >> level & 1 == 1, on_left);
        while on_left && first & 1 == 0 && first != 0 {
            (first, second) = (first >> 1, second >> 1);
        }
        (first, second) = (first >> 1, second >> 1);
    }
    assert_eq!(second, 0, "a sibling too few");
}

/// An error is shown in one short line.
fn shown(error: &Error) {
    printable(&error.to_string(), 120);
    error.class();
}

fn printable(line: &str, limit: usize) {
    assert!(!line.is_empty() && line.len() <= limit, "{line}");
    assert!(line.bytes().all(|octet| matches!(octet, b' '..=b'~')));
}

/// Any bytes are elements up to the first that is none: each is where it says, has no other
/// encoding, and there are no more of them than half the bytes, however they are nested.
pub fn walk(input: &[u8]) {
    let mut readers = vec![Reader::new(input)];
    let mut count = 0;
    while let Some(mut reader) = readers.pop() {
        let next = reader;
        match reader.any() {
            Ok(element) => {
                count += 1;
                placed(&element, input);
                assert_eq!(next.peek(), Some(element.tag));
                assert_eq!(reader.at(), element.at + element.whole.len());
                assert_eq!(tlv(element.tag, element.content), element.whole);
                values(next, &element);
                readers.push(reader);
                // Also what is inside of strings, as in extensions.
                readers.push(element.reader());
            }
            Err(error) => {
                assert_eq!(
                    reader.at(),
                    next.at(),
                    "an error leaves the reader where it was"
                );
                assert!(next.at() <= input.len());
                shown(&error);
            }
        }
    }
    assert!(count <= input.len() / 2);
}

fn placed(element: &Element<'_>, input: &[u8]) {
    assert_eq!(offset(element.whole, input), element.at);
    assert!(element.whole.ends_with(element.content));
    assert_eq!(
        element.reader().at() + element.content.len(),
        element.at + element.whole.len()
    );
    in_order(&[&input[..element.at], element.content], input);
}

/// Reads an element as each type there is.
fn values(at: Reader<'_>, element: &Element<'_>) {
    let content = element.content;
    if let Ok(integer) = at.clone().integer() {
        assert_eq!(integer, content);
        assert_eq!(reencode::integer(integer), integer);
    }
    if let Ok(octets) = at.clone().oid() {
        assert_eq!(octets, content);
        assert_eq!(reencode::oid(octets), octets);
    }
    if let Ok(boolean) = at.clone().boolean() {
        assert_eq!(tlv(0x01, &[if boolean { 0xff } else { 0 }]), element.whole);
    }
    if let Ok(octets) = at.clone().octets_of_bit_string() {
        assert_eq!(tlv(0x03, &[&[0], octets].concat()), element.whole);
    }
    if let Ok(seconds) = time::decode(element) {
        assert_eq!(written(seconds, element), content);
    }
    let mut seen = 0;
    let all = element.list().and_then(|mut list| {
        while !list.is_empty() {
            seen += list.any()?.whole.len();
        }
        Ok(())
    });
    assert_eq!(all.is_ok(), seen == content.len() && !content.is_empty());
}

/// A point in time as it must have been written; a second earlier where that is a leap second, an
/// hour where that is midnight at the end of a day.
fn written(seconds: time::Seconds, element: &Element<'_>) -> Vec<u8> {
    assert!(seconds >= 0);
    let text = &element.content[element.content.len() - 11..];
    let late = &text[4..6] == b"24";
    let leap = &text[8..10] == b"60";
    let seconds = seconds - i64::from(leap) - if late { 3600 } else { 0 };
    let (mut days, second) = (seconds / 86400, seconds % 86400);
    let is_leap_year = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let mut year = 1970;
    while days >= 365 + i64::from(is_leap_year(year)) {
        days -= 365 + i64::from(is_leap_year(year));
        year += 1;
    }
    let february = 28 + i64::from(is_leap_year(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let hour = second / 3600 + i64::from(late);
    let minute = second / 60 % 60;
    let second = second % 60 + i64::from(leap);
    let year = match element.tag {
        0x17 => format!("{:02}", year % 100),
        _ => format!("{year:04}"),
    };
    let day = days + 1;
    format!("{year}{month:02}{day:02}{hour:02}{minute:02}{second:02}Z").into_bytes()
}

/// The first byte is what the tree knows, the others are a message: if it is accepted, it is the one
/// encoding of what it says, and what is read out of it is in the places where it says so.
pub fn message(input: &[u8]) {
    let Some((&bits, input)) = input.split_first() else {
        return;
    };
    let tree = Tree {
        ml_dsa: bits & 1 != 0,
        ml_dsa_attributes: bits & 2 != 0,
        ..Tree::default()
    };
    let parsed = match cms::parse(input, tree) {
        Ok(parsed) => parsed,
        Err(error) => {
            shown(&error);
            assert!(!matches!(
                error.class(),
                Class::NoPackage | Class::NoKey | Class::Platform(_) | Class::NoData
            ));
            return;
        }
    };
    assert!(input.len() <= cms::MAX_MESSAGE);
    assert_eq!(reencode::message(input).as_deref(), Some(input));

    let end_of_certificates = certificates(&parsed.certificates(), input, tree);
    match parsed.signed_data() {
        Ok(signed_data) => {
            let signers: Vec<_> = signed_data.signers().collect();
            assert!((1..=MAX_SIGNERS).contains(&signers.len()));
            let with_attributes = signers.iter().filter(|s| s.attributes.is_some()).count();
            assert!(with_attributes == 0 || with_attributes == signers.len());
            let mut at = end_of_certificates;
            for signer in signers {
                at = self::signer(&signer, input, at, tree);
            }
            assert_eq!(at, input.len());
            assert_eq!(content(input), Ok(seq(&[&oid(DATA)])));
        }
        Err(error) => {
            shown(&error);
            assert!(matches!(
                error.class(),
                Class::NoPackage | Class::Rejected | Class::BadMessage | Class::Invalid
            ));
        }
    }
}

/// What a message says of its content.
fn content(input: &[u8]) -> Result<Vec<u8>, Error> {
    let mut content_info = Reader::new(input).any()?.reader();
    content_info.any()?;
    let mut fields = content_info.any()?.reader().any()?.reader();
    fields.any()?;
    fields.any()?;
    Ok(fields.any()?.whole.to_vec())
}

/// The certificates of a message; where they end, at the least.
fn certificates(certificates: &Certificates<'_>, input: &[u8], tree: Tree) -> usize {
    let mut end = seq(&[&oid(SIGNED_DATA)]).len();
    assert!(certificates.encoded().count() <= MAX_CERTIFICATES);
    for encoded in certificates.encoded() {
        placed(&encoded, input);
        assert!(encoded.at >= end);
        end = encoded.at + encoded.whole.len();
        one_certificate(&encoded, tree.ml_dsa);
    }
    end
}

/// Writes a signer again, and looks for it where it was read, which is behind an offset; returns
/// where it ends.
fn signer(signer: &SignerInfo<'_>, input: &[u8], from: usize, tree: Tree) -> usize {
    printable(&signer.to_string(), 400);
    let version_and_name = match signer.id {
        SignerId::IssuerAndSerial { issuer, serial } => {
            in_order(&[issuer, serial, signer.signature], input);
            let sid = seq(&[&tlv(0x30, issuer), &tlv(0x02, serial)]);
            ending_in(serial, &[tlv(0x02, &[1]), sid].concat(), input)
        }
        SignerId::SubjectKeyId(id) => {
            in_order(&[id, signer.signature], input);
            ending_in(id, &[tlv(0x02, &[3]), tlv(0x80, id)].concat(), input)
        }
    };
    assert!(version_and_name.start >= from);
    assert_ne!(signer.id.key_id(), KeyId(&[], &[]));
    let mut rest = Reader::new(&input[version_and_name.end..]);

    let digest = rest.any().and_then(|element| element.reader().oid());
    assert_eq!(
        digest.map(DigestAlgorithm::from_oid),
        Ok(Some(signer.digest))
    );
    if let Some(attributes) = &signer.attributes {
        assert!(tree.ml_dsa_attributes && signer.key.is_ml_dsa());
        let whole = rest.any().expect("the attributes are in the message").whole;
        assert_eq!(whole[0], 0xa0);
        assert_eq!(&whole[1..], attributes.after_tag);
        in_order(&[attributes.message_digest], attributes.after_tag);
    }
    let key = rest.any().and_then(|element| element.reader().oid());
    assert_eq!(key.map(KeyAlgorithm::from_oid), Ok(Some(signer.key)));
    assert!(tree.ml_dsa || !signer.key.is_ml_dsa());
    let signature = rest.any().map(|element| element.whole.to_vec());
    assert_eq!(signature, Ok(tlv(0x04, signer.signature)));
    // Unsigned attributes.
    let _ = rest.optional(0xa1);
    version_and_name.end + rest.at()
}

/// The first byte says whether ML-DSA is known, the others are a certificate.
pub fn certificate(input: &[u8]) {
    let Some((&bits, input)) = input.split_first() else {
        return;
    };
    if let Ok(encoded) = Reader::new(input).element(0x30) {
        one_certificate(&encoded, bits & 1 != 0);
    }
}

/// A certificate that is accepted is the one encoding of what it says, and what is read out of it
/// is in the places where it says so.
fn one_certificate(encoded: &Element<'_>, ml_dsa: bool) {
    let whole = encoded.whole;
    let certificate = match x509::parse(encoded, ml_dsa) {
        Ok(certificate) => certificate,
        Err(error) => {
            shown(&error);
            assert!(matches!(
                error.class(),
                Class::BadMessage | Class::Invalid | Class::NoPackage
            ));
            return;
        }
    };
    assert_eq!(reencode::certificate(whole).as_deref(), Some(whole));
    assert_eq!(
        encoded.reader().any().map(|tbs| tbs.whole),
        Ok(certificate.tbs)
    );
    in_order(&[certificate.tbs, certificate.signature], whole);

    let KeyId(serial, issuer) = certificate.id;
    let key = certificate.key;
    assert_eq!(issuer, certificate.issuer);
    let subject = certificate.subject;
    in_order(&[serial, issuer, subject, key.info], certificate.tbs);
    in_order(&[key.parameters, key.octets], key.info);
    for id in [
        certificate.subject_key_id,
        certificate.authority,
        certificate.authority_key_id,
    ]
    .into_iter()
    .flatten()
    {
        assert_ne!(id, KeyId(&[], &[]));
        // The serial number comes behind the issuer.
        in_order(&[key.info, id.1, id.0], certificate.tbs);
    }
    for (part, written) in [
        (serial, tlv(0x02, serial)),
        (issuer, tlv(0x30, issuer)),
        (subject, tlv(0x30, subject)),
        (
            certificate.signature,
            tlv(0x03, &[&[0], certificate.signature].concat()),
        ),
    ] {
        ending_in(part, &written, whole);
    }
    assert!(one_algorithm(encoded).is_ok_and(|one| one));
    let algorithm = certificate.algorithm;
    assert_eq!(algorithm.digest.is_none(), algorithm.key.is_ml_dsa());
    assert!(ml_dsa || !algorithm.key.is_ml_dsa() && !key.algorithm.is_ml_dsa());
}

/// Whether a certificate says twice that it is signed by one algorithm.
fn one_algorithm(encoded: &Element<'_>) -> Result<bool, Error> {
    let mut fields = encoded.reader();
    let mut tbs = fields.any()?.reader();
    tbs.optional(0xa0)?;
    tbs.any()?;
    Ok(tbs.any()?.reader().oid()? == fields.any()?.reader().oid()?)
}

/// How many bytes in front of a file say how it is checked.
pub const HEADER: usize = World::SIZE + 1;

/// Of the first byte: the rest is a whole file, signatures for a release count, the message is one.
pub const IS_FILE: u8 = 1;
pub const RELEASES: u8 = 2;
pub const OF_RELEASE: u8 = 4;

/// The first bytes are a world, the others a file, or the message of one: no file is accepted
/// that should not be, and the work is bounded.
pub fn decision(input: &[u8]) {
    let Some((header, rest)) = input.split_first_chunk::<HEADER>() else {
        return;
    };
    let [bits, world @ ..] = *header;
    let world = World {
        releases: bits & RELEASES != 0,
        ..World::new(world)
    };
    let mut file = match bits & IS_FILE != 0 {
        true => rest.to_vec(),
        false => file(rest),
    };
    if bits & OF_RELEASE != 0 && bits & IS_FILE == 0 {
        let id_type = file.len() - trailer::MARKER.len() - trailer::SIZE + 2;
        file[id_type] = trailer::ID_RELEASE;
    }
    let (checked, recorder) = run(&world, &file);
    verdict(&checked, &recorder);
    work(&recorder);

    // The same again is the same again.
    let (again, recorder_again) = run(&world, &file);
    assert_eq!(
        (again.result, again.signer),
        (checked.result, checked.signer)
    );
    assert_eq!(recorder_again.events, recorder.events);

    if checked.result.is_ok() {
        accepted(&checked, &recorder);
        // Whatever was accepted is not, once its reason is gone.
        let nobody = World {
            trusted: Default::default(),
            platform: Default::default(),
            ..world.clone()
        };
        let all_revoked = World {
            revoked: recorder::Keys(0xff),
            ..world.clone()
        };
        let tampered = World {
            tampered: true,
            ..world.clone()
        };
        let forced = World {
            flags: Flags {
                ignore_modversions: true,
                ..world.flags
            },
            ..world.clone()
        };
        for world in [nobody, all_revoked, tampered, forced] {
            let (checked, _) = run(&world, &file);
            assert!(checked.result.is_err(), "accepted in {world:?}");
        }
    }
}

fn run<'w>(world: &'w World, file: &'w [u8]) -> (Checked<'w>, Recorder<'w>) {
    let content = take_apart(file, world.releases).map_or(file, |split| split.content);
    let recorder = Recorder::new(world, content, file);
    let checked = check(&recorder, file, world.flags);
    (checked, recorder)
}

/// Whether a verdict agrees with the file and with what the platform has answered.
fn verdict(checked: &Checked<'_>, recorder: &Recorder<'_>) {
    let Recorder { world, file, .. } = recorder;
    let failed = recorder.events.borrow().last() == Some(&Event::Failed);
    let forced = world.flags.ignore_modversions || world.flags.ignore_vermagic;
    let has_marker = file.len() > trailer::MARKER.len() && file.ends_with(trailer::MARKER);

    assert_eq!(checked.result == Err(Error::ForceLoaded), forced);
    if forced {
        assert_eq!(checked.module_len, file.len());
        assert!(recorder.events.borrow().is_empty());
        return;
    }
    assert_eq!(checked.result == Err(Error::Unsigned), !has_marker);
    let split = take_apart(file, world.releases);
    let split_len = split.map_or_else(|unsplit| unsplit.module_len, |split| split.content.len());
    assert_eq!(checked.module_len, split_len);
    assert_eq!(checked.result == Err(Error::Platform(FAILURE)), failed);
    if let Err(error) = checked.result {
        shown(&error);
    }
    if let Some(signer) = checked.signer {
        let message = split.expect("a signer is in a message").message;
        offset(signer.signature, message);
        printable(&signer.to_string(), 400);
    }
    let refused = [
        recorder.count(|event| matches!(event, Event::Find(Keyring::Revoked, true))),
        recorder.count(|event| matches!(event, Event::Verify(_, false))),
        recorder.count(|event| matches!(event, Event::VerifyWith(_, Verification::Bad(_)))),
        recorder.count(|event| *event == Event::Blacklisted(true)),
    ];
    if refused != [0; 4] {
        assert_eq!(refused.iter().sum::<usize>(), 1, "the first one decides");
        let class = checked.result.expect_err("must not be accepted").class();
        assert!(
            failed || matches!(class, Class::Rejected | Class::Platform(-129)),
            "{class:?}: must not be let in by a permissive kernel"
        );
    }
}

/// Whether somebody stands for a module that was accepted.
fn accepted(checked: &Checked<'_>, recorder: &Recorder<'_>) {
    let Recorder { world, file, .. } = recorder;
    let content = &file[..checked.module_len];
    let split = take_apart(file, world.releases).expect("has a signature");
    let mut message = split.message;
    let of_release = split.kind == trailer::Kind::Release;
    if of_release {
        let release = release::parse(message).expect("was accepted");
        message = release.message;
        let nodes = recorder.count(|event| *event == Event::Node);
        assert_eq!(
            nodes * 32,
            release.proof.siblings.len(),
            "the way was gone once"
        );
    }
    let signer = checked.signer.expect("has a signer");

    let parsed = cms::parse(message, world.tree).expect("was accepted");
    let signed_data = parsed.signed_data().expect("was accepted");
    assert!(signed_data.signers().any(|one| one == signer));

    let by = |value: &[u8]| {
        let value = value.as_ptr() as usize;
        recorder.count(|event| match *event {
            Event::Verify(at, good) => at == value && good,
            Event::VerifyWith(at, answer) => at == value && answer == Verification::Good,
            _ => false,
        })
    };
    assert_ne!(by(signer.signature), 0, "its own signature was checked");
    if let Some(attributes) = signer.attributes {
        assert!(attributes
            .message_digest
            .iter()
            .all(|&o| o == recorder::DIGEST));
    }
    let content_at = (content.as_ptr() as usize, content.len());
    if !signer.key.is_ml_dsa() || signer.attributes.is_some() {
        let of_content = |event: &Event| *event == Event::Digest(content_at.0, content_at.1);
        assert_ne!(recorder.count(of_content), 0, "the content was digested");
        let heads = recorder.count(|event| *event == Event::Head);
        assert_eq!(heads > 0, of_release);
    }
    assert_ne!(
        recorder.count(|event| matches!(event, Event::Verify(_, true))),
        0,
        "a key out of a keyring was asked"
    );
    // A signer whose certificate is in the message was checked with it, if that can be.
    for signer in signed_data.signers() {
        let has_certificate = parsed.certificates().encoded().any(|encoded| {
            x509::parse(&encoded, world.tree.ml_dsa)
                .is_ok_and(|certificate| certificate.id == signer.id.key_id())
        });
        let lacking = world.unsupported.0 != 0 || world.missing_hash.is_some();
        assert!(!has_certificate || lacking || by(signer.signature) > 0);
    }
    if world.tree.file_hashes {
        let of_file = Event::Digest(file.as_ptr() as usize, file.len());
        assert_eq!(recorder.count(|event| *event == of_file), 1);
    }
}

/// The work is bounded by a constant for the content, and one for the message.
fn work(recorder: &Recorder<'_>) {
    const S: usize = MAX_SIGNERS;
    const C: usize = MAX_CERTIFICATES;
    let Recorder { file, content, .. } = recorder;
    let split = take_apart(file, recorder.world.releases);
    let message_len = split.map_or(0, |split| split.message.len());

    let (mut of_file, mut of_message) = (0, 0);
    for event in recorder.events.borrow().iter() {
        if let Event::Digest(at, len) = *event {
            if at == file.as_ptr() as usize {
                assert!(len == content.len() || len == file.len());
                of_file += len;
            } else {
                of_message += len;
            }
        }
    }
    // Each signer's own algorithm in two passes, and the file as a whole.
    assert!(of_file <= 2 * S * content.len() + file.len());
    // Each certificate by itself, for the blacklist and by its issuer; each signer's chain may end
    // in one that is looked at again, and in one that a keyring's key has signed.
    assert!(of_message <= (3 + 2 * S) * message_len);

    let verify = recorder.count(|event| matches!(event, Event::Verify(..)));
    let verify_with = recorder.count(|event| matches!(event, Event::VerifyWith(..)));
    let find = recorder.count(|event| matches!(event, Event::Find(..)));
    let hash = recorder.count(|event| matches!(event, Event::Hash));
    let blacklisted = recorder.count(|event| matches!(event, Event::Blacklisted(_)));
    assert!(verify <= S, "each signer once");
    assert!(verify_with <= 2 * C + 2 * S);
    assert!(find <= S * (C + 2) + 2 * (C + 2 * S));
    assert!(blacklisted <= C + 1);
    assert!(hash <= 3 * C + 5 * S + 2);
    assert!(recorder.count(|event| *event == Event::Node) <= 32);
    assert!(recorder.count(|event| *event == Event::Head) <= 2 * S);
}

/// As a kernel with keys and without hashes splits files.
fn take_apart(file: &[u8], releases: bool) -> Result<trailer::Split<'_>, trailer::Unsplit> {
    match releases {
        true => trailer::split_known(file, &[trailer::Kind::Pkcs7, trailer::Kind::Release]),
        false => trailer::split_known(file, &[trailer::Kind::Pkcs7]),
    }
}
