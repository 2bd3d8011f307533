// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Which messages are read, what they are taken to say, and why others are refused.

mod common;

use common::*;
use modsig::verify::{
    cms::{self, KeyId, MAX_CERTIFICATES, MAX_MESSAGE, MAX_SIGNERS, MAX_SIGNER_ID},
    Class, DigestAlgorithm, Error, KeyAlgorithm, SignerId, Tree,
};

fn error(message: &Message) -> Error {
    parse(&message.der()).expect_err("is refused")
}

fn error_of(signer: Signer) -> Error {
    error(&message(&[signer]))
}

#[test]
fn reads_a_signer_by_issuer_and_serial() {
    let der = message(&[signer(7)]).der();
    let parsed = parse(&der).unwrap();
    let signers = parsed;
    assert_eq!(signers.len(), 1);
    assert_eq!(
        signers[0].id,
        SignerId::IssuerAndSerial {
            issuer: &issuer("someone"),
            serial: &[7]
        }
    );
    assert_eq!(signers[0].digest, DigestAlgorithm::Sha256);
    assert_eq!(signers[0].key, KeyAlgorithm::Rsa);
    assert_eq!(signers[0].signature, b"good");
    assert_eq!(
        signers[0].to_string(),
        "issuer \"CN=someone\" serial 07, rsa/sha256"
    );
}

#[test]
fn reads_a_signer_by_key_id() {
    let der = message(&[signer_by_key_id(&[0xab; 20])]).der();
    let parsed = parse(&der).unwrap();
    let signer = parsed[0];
    assert_eq!(signer.id, SignerId::SubjectKeyId(&[0xab; 20]));
    assert_eq!(signer.id.key_id(), KeyId(&[0xab; 20], &[]));
    assert_eq!(signer.id.to_string(), format!("key id {}", "ab".repeat(20)));
}

#[test]
fn reads_as_many_signers_as_there_may_be() {
    assert_eq!(MAX_SIGNERS, 8, "as Documentation/differences.md says");
    let signers: Vec<_> = (0..MAX_SIGNERS as u8).map(signer).collect();
    let der = message(&signers).der();
    assert_eq!(parse(&der).unwrap().len(), MAX_SIGNERS);
    let signers: Vec<_> = (0..=MAX_SIGNERS as u8).map(signer).collect();
    assert_eq!(error(&message(&signers)), Error::TooManySigners);
}

#[test]
fn names_from_outside_cannot_forge_a_log_line() {
    let mut odd = signer(1);
    let name = issuer("a\n[0] evil \"\u{e9}\x1b");
    odd.sid = seq(&[&tlv(0x30, &name), &tlv(0x02, &[1])]);
    let der = message(&[odd]).der();
    let shown = parse(&der).unwrap()[0].id.to_string();
    assert_eq!(shown, "issuer \"CN=a?[0] evil ????\" serial 01");
}

#[test]
fn names_from_outside_are_cut_short() {
    let mut odd = signer(1);
    let name = issuer(&"x".repeat(3000)).repeat(1);
    odd.sid = seq(&[&tlv(0x30, &name), &tlv(0x02, &[1; 100])]);
    let der = message(&[odd]).der();
    let shown = parse(&der).unwrap()[0].id.to_string();
    assert!(shown.len() < 160, "{shown}");
}

#[test]
fn octets_after_a_structure_are_refused() {
    let good = message(&[signer(1)]);
    let after = |der: Vec<u8>| [der, vec![0x05, 0x00]].concat();
    let is_trailing = |error| assert!(matches!(error, Error::TrailingData(_)), "{error:?}");

    let der = after(good.der());
    assert_eq!(parse(&der).unwrap_err(), Error::TrailingData(der.len() - 2));
    is_trailing(error(&Message {
        signers: after(good.signers.clone()),
        ..good.clone()
    }));
    let signed_data = seq(&[&good.version, &good.digests, &good.content, &good.signers]);
    for der in [
        seq(&[&oid(SIGNED_DATA), &tlv(0xa0, &after(signed_data.clone()))]),
        seq(&[&oid(SIGNED_DATA), &tlv(0xa0, &signed_data), &[0x05, 0x00]]),
    ] {
        is_trailing(parse(&der).unwrap_err());
    }
    is_trailing(error(&Message {
        content: seq(&[&oid(DATA), &[0x05, 0x00]]),
        ..good.clone()
    }));
    is_trailing(error_of(Signer {
        unsigned_attributes: vec![0x05, 0x00],
        ..signer(1)
    }));
    is_trailing(error_of(Signer {
        digest: seq(&[&oid(SHA256), &[0x05, 0x00], &[0x05, 0x00]]),
        ..signer(1)
    }));
    is_trailing(error_of(Signer {
        sid: seq(&[&tlv(0x30, &issuer("x")), &tlv(0x02, &[1]), &[0x05, 0x00]]),
        ..signer(1)
    }));
}

#[test]
fn every_prefix_is_refused() {
    let der = message(&[signer(1)]).der();
    for len in 0..der.len() {
        let error = parse(&der[..len]).expect_err("cut off");
        assert_eq!(error.class(), Class::BadMessage, "{len} bytes: {error}");
    }
}

#[test]
fn lengths_have_one_encoding() {
    let with_integer = |integer: &[u8]| {
        error(&Message {
            version: integer.to_vec(),
            ..message(&[signer(1)])
        })
    };
    assert!(matches!(
        with_integer(&[0x02, 0x80, 1, 0, 0]),
        Error::IndefiniteLength(_)
    ));
    assert!(matches!(
        with_integer(&[0x02, 0x81, 1, 1]),
        Error::NonMinimalLength(_)
    ));
    assert!(matches!(
        with_integer(&[0x02, 0x82, 0, 0x80]),
        Error::NonMinimalLength(_)
    ));
    assert!(matches!(
        with_integer(&[0x02, 0x84, 0, 0, 0, 1, 1]),
        Error::NonMinimalLength(_)
    ));
    assert!(matches!(
        with_integer(&[0x02, 0x85, 0, 0, 0, 0, 1, 1]),
        Error::HugeLength(_)
    ));
    assert!(matches!(
        with_integer(&[0x02, 0xff, 1]),
        Error::HugeLength(_)
    ));
    assert!(matches!(
        with_integer(&[0x02, 0x84, 0xff, 0xff, 0xff, 0xff]),
        Error::Truncated(_)
    ));
    assert!(matches!(
        with_integer(&[[0x02, 0x81, 0x7f], [1; 3]].concat()),
        Error::NonMinimalLength(_)
    ));
    for long_tag in [0x1f, 0x3f, 0x5f, 0x9f, 0xbf, 0xff] {
        assert!(matches!(
            with_integer(&[long_tag, 0x02, 0x01, 1]),
            Error::LongTag(_)
        ));
    }
    // Another type, and the same number in other classes and forms.
    for other_tag in [0x04, 0x22, 0x42, 0x82, 0xa2, 0xc2] {
        assert!(matches!(
            with_integer(&[other_tag, 0x01, 1]),
            Error::UnexpectedTag(_)
        ));
    }
}

#[test]
fn integers_have_one_encoding() {
    let with_serial = |serial: &[u8]| {
        error_of(Signer {
            sid: seq(&[&tlv(0x30, &issuer("x")), &tlv(0x02, serial)]),
            ..signer(1)
        })
    };
    for bad in [&[][..], &[0, 1], &[0, 0], &[0xff, 0x80], &[0xff, 0xff]] {
        assert!(matches!(with_serial(bad), Error::BadInteger(_)), "{bad:x?}");
    }
    for good in [&[0][..], &[0x80], &[0, 0x80], &[0xff, 0x7f]] {
        let signer = Signer {
            sid: seq(&[&tlv(0x30, &issuer("x")), &tlv(0x02, good)]),
            ..signer(1)
        };
        assert!(parse(&message(&[signer]).der()).is_ok(), "{good:x?}");
    }
}

#[test]
fn object_identifiers_have_one_encoding() {
    for bad in [&[][..], &[0x80, 0x01], &[0x2a, 0x80, 0x01], &[0x2a, 0x86]] {
        let signer = Signer {
            digest: algorithm(bad),
            ..signer(1)
        };
        assert!(matches!(error_of(signer), Error::BadOid(_)), "{bad:x?}");
    }
}

#[test]
fn versions_go_together() {
    let v = |version: u8| tlv(0x02, &[version]);
    let cases = [
        (v(1), signer(1), None),
        (v(3), signer_by_key_id(b"id"), None),
        (v(3), signer(1), Some(Class::BadMessage)),
        (v(1), signer_by_key_id(b"id"), Some(Class::BadMessage)),
        (v(2), signer(1), Some(Class::Invalid)),
        (tlv(0x02, &[1, 1]), signer(1), Some(Class::Invalid)),
        (
            v(1),
            Signer {
                version: v(2),
                ..signer(1)
            },
            Some(Class::Invalid),
        ),
        // The version says one kind of name, the name is of the other.
        (
            v(1),
            Signer {
                version: v(1),
                ..signer_by_key_id(b"id")
            },
            Some(Class::BadMessage),
        ),
        (
            v(3),
            Signer {
                version: v(3),
                ..signer(1)
            },
            Some(Class::BadMessage),
        ),
    ];
    for (version, signer, expected) in cases {
        let message = Message {
            version: version.clone(),
            ..message(std::slice::from_ref(&signer))
        };
        let class = parse(&message.der()).map_err(|error| error.class()).err();
        assert_eq!(class, expected, "{version:?} {:?}", signer.version);
    }
}

#[test]
fn what_a_module_signature_may_not_have() {
    let good = message(&[signer(1)]);
    let content = |oid_octets: &[u8], content: &[u8]| Message {
        content: seq(&[&oid(oid_octets), content]),
        ..good.clone()
    };
    let embedded = tlv(0xa0, &tlv(0x04, b"content"));
    assert_eq!(error(&content(DATA, &embedded)), Error::EmbeddedContent);
    assert_eq!(
        error(&content(DATA, &tlv(0xa0, &[0x04, 0x00]))),
        Error::EmbeddedContent
    );
    assert!(matches!(
        error(&content(MS_INDIRECT_DATA, &[])),
        Error::MissingAttribute(_)
    ));
    assert!(matches!(
        error(&content(UNKNOWN, &[])),
        Error::UnknownContentType(_)
    ));

    let with_attributes = Signer {
        signed_attributes: signed_attributes(&[]),
        ..signer(1)
    };
    assert_eq!(error_of(with_attributes.clone()), Error::SignedAttributes);
    assert_eq!(
        error(&message(&[signer(1), with_attributes.clone()])),
        Error::MixedSignedAttributes
    );
    assert_eq!(
        error(&message(&[with_attributes, signer(1)])),
        Error::MixedSignedAttributes
    );

    assert!(matches!(
        error(&Message {
            revocation_lists: tlv(0xa1, &[]),
            ..good.clone()
        }),
        Error::RevocationList(_)
    ));
    let other = seq(&[&oid(DATA), &tlv(0xa0, &seq(&[]))]);
    assert_eq!(parse(&other).unwrap_err(), Error::NotSignedData);
}

#[test]
fn unsigned_attributes_are_skipped_if_they_are_well_formed() {
    let with = |attributes: Vec<u8>| Signer {
        unsigned_attributes: attributes,
        ..signer(1)
    };
    let good = tlv(0xa1, &seq(&[&oid(UNKNOWN), &set(&[&tlv(0x04, b"x")])]));
    assert!(parse(&message(&[with(good)]).der()).is_ok());
    for bad in [
        tlv(0xa1, &[0x05, 0x00]),
        tlv(0xa1, &seq(&[&oid(UNKNOWN)])),
        tlv(0xa1, &seq(&[&oid(UNKNOWN), &set(&[&[0x04]])])),
        tlv(0xa1, &seq(&[&oid(UNKNOWN), &set(&[])])),
        tlv(0xa1, &[]),
    ] {
        assert_eq!(error_of(with(bad)).class(), Class::BadMessage);
    }
}

#[test]
fn unknown_algorithms_count_once_the_form_is_good() {
    let unknown_digest = Signer {
        digest: algorithm(UNKNOWN),
        ..signer(1)
    };
    let unknown_key = Signer {
        key: algorithm(UNKNOWN),
        ..signer(1)
    };
    for signers in [
        vec![unknown_digest.clone()],
        vec![unknown_key.clone()],
        vec![signer(1), unknown_key.clone()],
        vec![unknown_digest.clone(), signer(1)],
    ] {
        assert_eq!(error(&message(&signers)).class(), Class::NoPackage);
    }
    // The first one is named.
    let both = message(&[unknown_digest.clone(), unknown_key]);
    assert!(matches!(error(&both), Error::UnknownDigest(_)));
    // C stops at the unknown algorithm and does not see what comes after it.
    let broken = Signer {
        signature: tlv(0x05, b""),
        ..unknown_digest
    };
    assert_eq!(error_of(broken).class(), Class::BadMessage);
}

#[test]
fn parameters_are_null_or_absent() {
    let digest = |parameters: &[u8]| Signer {
        digest: seq(&[&oid(SHA256), parameters]),
        ..signer(1)
    };
    let key = |algorithm: &[u8], parameters: &[u8]| Signer {
        key: seq(&[&oid(algorithm), parameters]),
        ..signer(1)
    };
    let null = &[0x05, 0x00];
    for good in [
        digest(null),
        key(RSA, null),
        key(ECDSA_SHA256, null),
        key(GOST2012, &[0x30, 0x00]),
    ] {
        assert!(parse(&message(&[good]).der()).is_ok());
    }
    for bad in [&[0x05, 0x01, 0x00][..], &[0x30, 0x00], &[0x02, 0x01, 0x01]] {
        for signer in [digest(bad), key(RSA, bad), key(ECDSA_SHA256, bad)] {
            assert!(matches!(error_of(signer), Error::AlgorithmParameters(_)));
        }
    }
}

#[test]
fn algorithms_are_those_of_c() {
    let nist = |arc: u8| [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, arc];
    let known: Vec<u8> = (0..=20)
        .filter(|&arc| DigestAlgorithm::from_oid(&nist(arc)).is_some())
        .collect();
    assert_eq!(known, [1, 2, 3, 4, 8, 9, 10]);
    let nist = |arc: u8| [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, arc];
    let known: Vec<u8> = (0..=20)
        .filter(|&arc| KeyAlgorithm::from_oid(&nist(arc)).is_some())
        .collect();
    assert_eq!(known, [10, 11, 12, 17, 18, 19]);
    let ecdsa = |arc: u8| [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, arc];
    let known: Vec<u8> = (0..=20)
        .filter(|&arc| KeyAlgorithm::from_oid(&ecdsa(arc)).is_some())
        .collect();
    assert_eq!(known, [1, 2, 3, 4]);
    // What joins RSA to a digest is not an algorithm of a SignerInfo for C (pkcs7_parser.c).
    for arc in [5, 11, 12, 13] {
        let with_digest = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, arc];
        assert_eq!(KeyAlgorithm::from_oid(&with_digest), None);
    }
}

#[test]
fn names_have_the_form_of_names() {
    let with_name = |content: &[u8]| Signer {
        sid: seq(&[&tlv(0x30, content), &tlv(0x02, &[1])]),
        ..signer(1)
    };
    let pair = |parts: &[&[u8]]| set(&[&seq(parts)]);
    let value = tlv(0x0c, b"x");
    for good in [pair(&[&oid(UNKNOWN), &value]), issuer("a").repeat(3)] {
        assert!(parse(&message(&[with_name(&good)]).der()).is_ok());
    }
    for bad in [
        vec![],
        set(&[]),
        seq(&[]),
        set(&[&value]),
        pair(&[]),
        pair(&[&oid(UNKNOWN)]),
        pair(&[&value, &value]),
        pair(&[&oid(UNKNOWN), &value, &value]),
    ] {
        assert_eq!(error_of(with_name(&bad)).class(), Class::BadMessage);
    }
}

#[test]
fn signer_ids_have_a_length_that_keys_have() {
    assert!(matches!(
        error_of(signer_by_key_id(b"")),
        Error::EmptySignerId(_)
    ));
    assert_eq!(MAX_SIGNER_ID, 4096, "as Documentation/differences.md says");
    let longest = signer_by_key_id(&[1; MAX_SIGNER_ID]);
    assert!(parse(&message(&[longest]).der()).is_ok());
    let longer = signer_by_key_id(&[1; MAX_SIGNER_ID + 1]);
    assert!(matches!(error_of(longer), Error::LongSignerId(_)));
    // Issuer and serial number are counted together.
    let around = issuer("").len() + 3 * 2;
    let with_name = |length: usize| {
        let name = issuer(&"x".repeat(length - 1 - around));
        assert_eq!(name.len() + 1, length);
        Signer {
            sid: seq(&[&tlv(0x30, &name), &tlv(0x02, &[1])]),
            ..signer(1)
        }
    };
    let longest = with_name(MAX_SIGNER_ID);
    assert!(parse(&message(&[longest]).der()).is_ok());
    assert!(matches!(
        error_of(with_name(MAX_SIGNER_ID + 1)),
        Error::LongSignerId(_)
    ));
}

#[test]
fn lists_are_not_empty() {
    let good = message(&[signer(1)]);
    for empty in [
        message(&[]),
        Message {
            digests: set(&[]),
            ..good.clone()
        },
    ] {
        assert!(matches!(error(&empty), Error::EmptySet(_)));
    }
    // But for this one, as for C.
    let no_certificates = Message {
        certificates: tlv(0xa0, &[]),
        ..good
    };
    assert!(parse(&no_certificates.der()).is_ok());
}

#[test]
fn a_message_is_no_longer_than_c_reads() {
    let with_value = |length: usize| {
        let signer = Signer {
            signature: tlv(0x04, &vec![1; length]),
            ..signer(1)
        };
        message(&[signer]).der()
    };
    let around = with_value(60_000).len() - 60_000;
    assert!(parse(&with_value(MAX_MESSAGE - around)).is_ok());
    let longer = with_value(MAX_MESSAGE - around + 1);
    assert_eq!(parse(&longer).unwrap_err(), Error::LongMessage);
}

#[test]
fn certificates_are_read_and_counted() {
    let with = |certificates: Vec<u8>| Message {
        certificates,
        ..message(&[signer(1)])
    };
    let count = |message: &Message| {
        let der = message.der();
        cms::parse(&der, Tree::default()).map(|message| message.certificates().encoded().count())
    };
    let many: Vec<Cert> = (0..=MAX_CERTIFICATES as u8)
        .map(|key| cert(key, 99))
        .collect();
    assert_eq!(MAX_CERTIFICATES, 16, "as Documentation/differences.md says");
    assert_eq!(count(&with(certificates(&many[..16]))), Ok(16));
    assert_eq!(
        count(&with(certificates(&many))),
        Err(Error::TooManyCertificates)
    );
    assert!(matches!(
        error(&with(tlv(0xa0, &[0x04, 0x00]))),
        Error::UnexpectedTag(_)
    ));
    assert!(matches!(
        error(&with(tlv(0xa0, &seq(&[])))),
        Error::Truncated(_)
    ));
}

/// C stops at an unknown algorithm and refuses what is wrong in front of it: so the form of all
/// comes first.
#[test]
fn what_is_wrong_in_a_certificate_comes_before_an_unknown_algorithm() {
    let unknown = Cert {
        inner: algorithm(UNKNOWN),
        outer: algorithm(UNKNOWN),
        ..cert(1, 2)
    };
    let broken = Cert {
        validity: seq(&[]),
        ..cert(3, 4)
    };
    let with = |list: &[Cert], signers: &[Signer]| {
        error(&Message {
            certificates: certificates(list),
            ..message(signers)
        })
    };
    let unknown_key = Signer {
        key: algorithm(UNKNOWN),
        ..signer(1)
    };
    assert!(matches!(
        with(std::slice::from_ref(&unknown), &[signer(1)]),
        Error::UnknownKeyAlgorithm(_)
    ));
    for (list, signers) in [
        (vec![unknown.clone(), broken.clone()], [signer(1)]),
        (vec![broken.clone(), unknown], [signer(1)]),
        (vec![broken], [unknown_key]),
    ] {
        assert_eq!(with(&list, &signers).class(), Class::BadMessage);
    }
}

#[test]
fn signed_attributes_are_checked_although_they_are_refused() {
    let with = |set: Vec<u8>| {
        error_of(Signer {
            signed_attributes: set,
            ..signer(1)
        })
    };
    let one = |kind: &[u8], value: &[u8]| seq(&[&oid(kind), &set(&[value])]);
    let content_type = one(CONTENT_TYPE, &oid(DATA));
    let digest = one(MESSAGE_DIGEST, &tlv(0x04, &[0xda; 32]));
    let time = one(SIGNING_TIME, &tlv(0x17, b"240229235960Z"));
    let pkcs9 = |arc: u8| [&CONTENT_TYPE[..8], &[arc]].concat();
    let ms = |arc: u8| [&MS_INDIRECT_DATA[..9], &[arc]].concat();

    type Case<'a> = (&'a [&'a [u8]], fn(&Error) -> bool);
    let cases: [Case<'_>; 15] = [
        (&[&content_type, &digest], |e| *e == Error::SignedAttributes),
        (&[&digest, &time, &content_type], |e| {
            *e == Error::SignedAttributes
        }),
        (
            &[
                &content_type,
                &digest,
                &one(UNKNOWN, &[5, 0]),
                &one(UNKNOWN, &[5, 0]),
            ],
            |e| *e == Error::SignedAttributes,
        ),
        (&[], |e| matches!(e, Error::EmptySet(_))),
        (&[&content_type], |e| {
            matches!(e, Error::MissingAttribute(_))
        }),
        (&[&digest], |e| matches!(e, Error::MissingAttribute(_))),
        (&[&content_type, &digest, &digest], |e| {
            matches!(e, Error::RepeatedAttribute(_))
        }),
        (&[&content_type, &content_type, &digest], |e| {
            matches!(e, Error::RepeatedAttribute(_))
        }),
        (&[&content_type, &digest, &time, &time], |e| {
            matches!(e, Error::RepeatedAttribute(_))
        }),
        (
            &[
                &content_type,
                &seq(&[&oid(MESSAGE_DIGEST), &set(&[&[4, 0], &[4, 0]])]),
            ],
            |e| matches!(e, Error::RepeatedAttribute(_)),
        ),
        (
            &[&one(CONTENT_TYPE, &oid(MS_INDIRECT_DATA)), &digest],
            |e| matches!(e, Error::ContentTypeAttribute(_)),
        ),
        (&[&content_type, &one(MESSAGE_DIGEST, &[5, 0])], |e| {
            matches!(e, Error::UnexpectedTag(_))
        }),
        (
            &[
                &content_type,
                &digest,
                &one(SIGNING_TIME, &tlv(0x17, b"240230000000Z")),
            ],
            |e| matches!(e, Error::BadTime(_)),
        ),
        (
            &[&content_type, &digest, &one(&pkcs9(15), &[0x30, 0])],
            |e| matches!(e, Error::AuthenticodeAttribute(_)),
        ),
        (&[&content_type, &digest, &one(&ms(12), &[0x30, 0])], |e| {
            matches!(e, Error::AuthenticodeAttribute(_))
        }),
    ];
    for (index, (attributes, expected)) in cases.iter().enumerate() {
        let error = with(tlv(0xa0, &attributes.concat()));
        assert!(expected(&error), "{index}: {error:?}");
    }
    // C sees them in front of an algorithm that it does not know.
    let with_unknown = Signer {
        signed_attributes: tlv(0xa0, &digest),
        key: algorithm(UNKNOWN),
        ..signer(1)
    };
    assert!(matches!(error_of(with_unknown), Error::MissingAttribute(_)));

    // Authenticode, well formed: not for modules.
    let authenticode = Signer {
        signed_attributes: tlv(
            0xa0,
            &[
                one(CONTENT_TYPE, &oid(MS_INDIRECT_DATA)),
                digest,
                one(&ms(11), &[0x30, 0]),
            ]
            .concat(),
        ),
        ..signer(1)
    };
    let error = error(&Message {
        content: seq(&[&oid(MS_INDIRECT_DATA)]),
        ..message(&[authenticode])
    });
    assert_eq!(error, Error::NotData);
}

#[test]
fn ml_dsa_is_known_where_the_tree_knows_it() {
    let ml_dsa = Signer {
        key: algorithm(ML_DSA_44),
        ..signer(1)
    };
    let with_attributes = Signer {
        signed_attributes: signed_attributes(&[]),
        ..ml_dsa.clone()
    };
    let rsa = Signer {
        signed_attributes: signed_attributes(&[]),
        ..signer(2)
    };
    let read = |signers: &[Signer], tree| {
        let der = message(signers).der();
        let message = cms::parse(&der, tree).unwrap();
        message.signed_data().map(|data| data.signers().count())
    };
    let only_plain = Tree {
        ml_dsa: true,
        ..Tree::default()
    };
    assert!(matches!(
        read(std::slice::from_ref(&ml_dsa), Tree::default()),
        Err(Error::UnknownKeyAlgorithm(_))
    ));
    assert_eq!(read(std::slice::from_ref(&ml_dsa), only_plain), Ok(1));
    assert_eq!(
        read(std::slice::from_ref(&with_attributes), only_plain),
        Err(Error::SignedAttributes)
    );
    assert_eq!(
        read(std::slice::from_ref(&with_attributes), Tree::NEWEST),
        Ok(1)
    );
    assert_eq!(
        read(&[with_attributes.clone(), ml_dsa], Tree::NEWEST),
        Err(Error::MixedSignedAttributes)
    );
    // C looks at the first signer only.
    for signers in [
        [with_attributes.clone(), rsa.clone()],
        [rsa, with_attributes],
    ] {
        assert_eq!(read(&signers, Tree::NEWEST), Err(Error::SignedAttributes));
    }
}

#[test]
fn every_changed_octet_gives_an_answer_and_no_panic() {
    let good = message(&[signer(1), signer(2)]).der();
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[at] ^= 1 << bit;
            let _ = parse(&bad).map(|parsed| parsed.len());
        }
    }
    let mut random = Random(0x6d6f_6473_6967);
    for _ in 0..200_000 {
        let mut bad = good.clone();
        for _ in 0..=random.below(4) {
            let at = random.below(bad.len());
            match random.below(3) {
                0 => bad[at] = random.next() as u8,
                1 => bad.truncate(at + 1),
                _ => bad.insert(at, random.next() as u8),
            }
        }
        if let Err(error) = parse(&bad) {
            assert!(error.to_string().len() < 120);
        }
    }
}
