// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Certificates in a message: what they must look like, and what they are worth.

mod common;

use common::*;
use modsig::verify::{
    check, cms::MAX_CERTIFICATES, CertificateHash, Class, DigestAlgorithm, Error, Flags,
};

/// The verdict on a module whose message has these certificates and signers.
fn verdict(platform: &Double, list: &[Cert], signers: &[Signer]) -> Result<(), Error> {
    platform.asked.borrow_mut().clear();
    let message = Message {
        certificates: certificates(list),
        ..message(signers)
    };
    check(platform, &file(&message.der()), Flags::default()).result
}

const BAD_CERTIFICATE: Result<(), Error> = Err(Error::CertificateSignature(-129));

fn forged(certificate: Cert) -> Cert {
    Cert {
        signature: tlv(0x03, &[0, b'n', b'o']),
        ..certificate
    }
}

fn with_extensions(certificate: Cert, extensions: &[Vec<u8>]) -> Cert {
    Cert {
        extensions: extensions.to_vec(),
        ..certificate
    }
}

#[test]
fn a_chain_leads_to_a_trusted_key() {
    let list = [cert(1, 2), cert(2, 3), cert(3, 4), cert(4, 4)];
    let signers = [signer_of(1, 2)];
    // Any key of the chain, in the message or not.
    for trusted in 1..=4 {
        let platform = Double::trusting(&[trusted]);
        assert_eq!(verdict(&platform, &list, &signers), Ok(()), "{trusted}");
        assert_eq!(platform.count("digest"), 1);
    }
    let platform = Double::trusting(&[4]);
    for length in 3..=4 {
        assert_eq!(verdict(&platform, &list[..length], &signers), Ok(()));
    }
    for length in 0..3 {
        let verdict = verdict(&platform, &list[..length], &signers);
        assert_eq!(verdict, Err(Error::NoKey), "{length}");
    }
    // The order of the certificates says nothing.
    let mut list = list;
    list.reverse();
    assert_eq!(verdict(&platform, &list, &signers), Ok(()));
    assert_eq!(
        verdict(&Double::trusting(&[9]), &list, &signers),
        Err(Error::NoKey)
    );
    let platform = Double {
        platform: vec![3],
        ..Double::default()
    };
    assert_eq!(verdict(&platform, &list, &signers), Ok(()));
}

#[test]
fn a_signature_is_checked_by_its_certificate_before_anybody_is_asked() {
    let bad = Signer {
        signature: tlv(0x04, b"by\x07"),
        ..signer_of(1, 2)
    };
    let platform = Double::trusting(&[9]);
    assert_eq!(
        verdict(&platform, &[cert(1, 2)], std::slice::from_ref(&bad)),
        Err(Error::EmbeddedSignature(-129))
    );
    assert_eq!(platform.count("find trusted"), 0);
    // A trusted signer does not make up for it.
    let platform = Double::trusting(&[5]);
    assert_eq!(
        verdict(&platform, &[cert(1, 2)], &[signer_of(5, 5), bad.clone()]),
        Err(Error::EmbeddedSignature(-129))
    );
    // Without its certificate it is only unknown, and costs no digest.
    assert_eq!(verdict(&platform, &[cert(3, 2)], &[bad]), Err(Error::NoKey));
    assert_eq!(platform.count("digest"), 0);
}

#[test]
fn links_are_checked_as_far_as_the_message_has_them() {
    let platform = Double::trusting(&[3]);
    let signers = [signer_of(1, 2)];
    assert_eq!(
        verdict(&platform, &[forged(cert(1, 2)), cert(2, 3)], &signers),
        BAD_CERTIFICATE
    );
    assert_eq!(
        verdict(&platform, &[cert(1, 2), forged(cert(2, 3))], &signers),
        Err(Error::BadSignature),
        "by the trusted key"
    );
    assert_eq!(
        verdict(
            &platform,
            &[cert(1, 2), forged(cert(2, 3)), cert(3, 3)],
            &signers
        ),
        BAD_CERTIFICATE,
        "by the one in the message"
    );
    // A certificate that no signer depends on counts only if it says it has signed itself.
    assert_eq!(
        verdict(
            &platform,
            &[cert(1, 2), cert(2, 3), forged(cert(5, 6)), cert(6, 7)],
            &signers
        ),
        Ok(())
    );
    assert_eq!(
        verdict(
            &platform,
            &[cert(1, 2), cert(2, 3), forged(cert(6, 6))],
            &signers
        ),
        BAD_CERTIFICATE
    );
}

#[test]
fn a_bad_self_signature_comes_before_an_unknown_algorithm() {
    let unknown = Signer {
        key: algorithm(UNKNOWN),
        ..signer_of(1, 2)
    };
    assert_eq!(
        verdict(
            &Double::default(),
            &[forged(cert(6, 6))],
            std::slice::from_ref(&unknown)
        ),
        BAD_CERTIFICATE
    );
    let verdict = verdict(&Double::default(), &[cert(6, 6)], &[unknown]);
    assert_eq!(verdict.unwrap_err().class(), Class::NoPackage);
}

#[test]
fn loops_end() {
    let signers = [signer_of(1, 2), signer_of(2, 3), signer_of(3, 1)];
    let list = [cert(1, 2), cert(2, 3), cert(3, 1)];
    for count in 1..=3 {
        let signers = &signers[..count];
        let platform = Double::trusting(&[9]);
        assert_eq!(verdict(&platform, &list, signers), Err(Error::NoKey));
        assert_eq!(verdict(&Double::trusting(&[3]), &list, signers), Ok(()));
    }
    // It names itself, but has another subject: so it is not one that has signed itself.
    let own = Cert {
        issuer: name(7),
        ..cert(1, 1)
    };
    let signers = [signer_of(1, 7)];
    let list = [own];
    assert_eq!(
        verdict(&Double::trusting(&[9]), &list, &signers),
        Err(Error::NoKey)
    );
    assert_eq!(verdict(&Double::trusting(&[1]), &list, &signers), Ok(()));
}

#[test]
fn work_is_bounded_by_the_number_of_certificates() {
    let keys = MAX_CERTIFICATES as u8;
    let list: Vec<Cert> = (0..keys).map(|key| cert(key, key + 1)).collect();
    let signers: Vec<Signer> = (0..8).map(|key| signer_of(key, key + 1)).collect();
    let platform = Double {
        trusted: vec![keys],
        certificate_hash: CertificateHash::Sha256,
        ..Double::default()
    };
    assert_eq!(verdict(&platform, &list, &signers), Ok(()));
    // Each signer by its certificate, each link once, each certificate's hash once.
    assert_eq!(platform.count("verify with"), 8 + MAX_CERTIFICATES - 1);
    assert_eq!(
        platform.count("is certificate blacklisted"),
        MAX_CERTIFICATES
    );
    assert_eq!(platform.count("digest"), 1);
}

#[test]
fn authorities_are_named_by_serial_number_by_key_id_or_both() {
    let signers = [signer_of(1, 2)];
    let leaf = |authority: Option<Vec<u8>>| {
        let own_id = extension(14, &tlv(0x04, &key_id(1)));
        with_extensions(
            cert(1, 2),
            &[Some(own_id), authority]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>(),
        )
    };
    let platform = Double::trusting(&[3]);
    let list = |authority: Vec<u8>| [leaf(Some(authority)), cert(2, 3)];
    for authority in [
        authority_key_id(2),
        authority_by_serial(2, 3, None),
        authority_by_serial(2, 3, Some(2)),
    ] {
        assert_eq!(verdict(&platform, &list(authority), &signers), Ok(()));
    }
    // Of several names the last directory name counts, as for C.
    let among = |names: &[Vec<u8>]| {
        let names = tlv(0xa1, &names.concat());
        extension(35, &seq(&[&names, &tlv(0x82, &[2])]))
    };
    let [right, wrong] = [3, 7].map(|key| tlv(0xa4, &name(key)));
    let uri = tlv(0x86, b"https://host/");
    for (names, expected) in [
        (vec![wrong.clone(), right.clone()], Ok(())),
        (vec![uri.clone(), right.clone(), uri.clone()], Ok(())),
        (vec![right, wrong], Err(Error::NoKey)),
        (vec![uri], Err(Error::NoKey)),
    ] {
        assert_eq!(verdict(&platform, &list(among(&names)), &signers), expected);
    }
    // The serial number finds it, and the key identifier is another's.
    assert_eq!(
        verdict(
            &platform,
            &list(authority_by_serial(2, 3, Some(4))),
            &signers
        ),
        Err(Error::AuthorityMismatch)
    );
    // The serial number decides who is looked for.
    for unknown in [
        authority_by_serial(7, 3, Some(2)),
        authority_by_serial(2, 7, None),
        extension(35, &seq(&[])),
    ] {
        let verdict = verdict(&Double::trusting(&[3]), &list(unknown), &signers);
        assert_eq!(verdict, Err(Error::NoKey));
    }
    // Without an authority the chain ends, whatever the issuer's name is.
    assert_eq!(
        verdict(&platform, &[leaf(None), cert(2, 3)], &signers),
        Err(Error::NoKey)
    );
    // A keyring has the serial number under another key identifier.
    let platform = Double {
        trusted: vec![2],
        other_key_id: vec![2],
        ..Double::default()
    };
    let both = leaf(Some(authority_by_serial(2, 3, Some(2))));
    assert_eq!(
        verdict(&platform, &[both], &signers),
        Err(Error::AuthorityMismatch)
    );
}

#[test]
fn who_has_signed_itself_is_a_root() {
    let signers = [signer_of(1, 1)];
    let itself = |authority: Vec<u8>| {
        let own_id = extension(14, &tlv(0x04, &key_id(1)));
        with_extensions(cert(1, 1), &[own_id, authority])
    };
    // Nobody knows it: it is not looked for any further.
    let platform = Double::trusting(&[9]);
    for root in [
        cert(1, 1),
        itself(authority_by_serial(1, 1, None)),
        itself(authority_by_serial(1, 1, Some(1))),
        with_extensions(cert(1, 1), &[]),
    ] {
        assert_eq!(
            verdict(&platform, std::slice::from_ref(&root), &signers),
            Err(Error::NoKey)
        );
        assert_eq!(verdict(&Double::trusting(&[1]), &[root], &signers), Ok(()));
    }
    // One half names itself, the other does not.
    for mixed in [
        authority_by_serial(1, 1, Some(2)),
        authority_by_serial(2, 1, Some(1)),
    ] {
        assert_eq!(
            verdict(&platform, &[itself(mixed)], &signers),
            Err(Error::AuthorityMismatch)
        );
    }
    // It says somebody else has signed it, who is not there.
    let by_another = itself(authority_key_id(2));
    assert_eq!(
        verdict(&Double::trusting(&[9]), &[by_another], &signers),
        Err(Error::NoKey)
    );
}

/// The key that a signer itself names is the last resort, but not behind a root that nobody knows.
#[test]
fn an_unknown_root_ends_the_search() {
    let platform = Double {
        trusted: vec![1],
        other_key_id: vec![1],
        ..Double::default()
    };
    let signers = [signer_of(1, 2)];
    assert_eq!(verdict(&platform, &[cert(1, 2)], &signers), Ok(()));
    assert_eq!(
        verdict(&platform, &[cert(1, 2), cert(2, 2)], &signers),
        Err(Error::NoKey)
    );
}

#[test]
fn revoked_keys_anywhere_in_the_chain_refuse() {
    let list = [cert(1, 2), cert(2, 3)];
    let signers = [signer_of(1, 2)];
    for revoked in 1..=3 {
        let platform = Double {
            trusted: vec![1, 2, 3],
            revoked: vec![revoked],
            ..Double::default()
        };
        let verdict = verdict(&platform, &list, &signers);
        assert_eq!(verdict, Err(Error::Revoked), "{revoked}");
        assert_eq!(platform.count("find trusted"), 0);
    }
    // One that nobody depends on does not.
    let platform = Double {
        trusted: vec![1],
        revoked: vec![8],
        ..Double::default()
    };
    let list = [cert(1, 2), cert(8, 9)];
    assert_eq!(verdict(&platform, &list, &signers), Ok(()));
}

#[test]
fn blacklisted_certificates_taint_what_depends_on_them() {
    let list = [cert(1, 2), cert(2, 3), cert(5, 6)];
    let blacklisting = |key: u8, certificate_hash| Double {
        trusted: vec![3, 6, 7],
        blacklisted: vec![cert(key, key + 1).key],
        certificate_hash,
        ..Double::default()
    };
    for hash in [CertificateHash::Sha256, CertificateHash::OfSignature] {
        for key in [1, 2] {
            let platform = blacklisting(key, hash);
            // Another signer does not make up for it; for C it does.
            for signers in [
                vec![signer_of(1, 2)],
                vec![signer_of(1, 2), signer_of(9, 9)],
                vec![signer_of(9, 9), signer_of(1, 2)],
                vec![signer_of(1, 2), signer_of(5, 6)],
                vec![signer_of(7, 7), signer_of(1, 2)],
            ] {
                assert_eq!(
                    verdict(&platform, &list, &signers),
                    Err(Error::BlacklistedCertificate)
                );
            }
            // A signer that does not depend on it.
            assert_eq!(verdict(&platform, &list, &[signer_of(5, 6)]), Ok(()));
        }
    }
    let platform = blacklisting(1, CertificateHash::None);
    assert_eq!(verdict(&platform, &list, &[signer_of(1, 2)]), Ok(()));
    assert_eq!(platform.count("is certificate blacklisted"), 0);
}

/// Where a certificate is signed over a digest that is not built in, C checks its signature
/// against an empty digest, for which anybody can make one by any elliptic-curve key.
#[test]
fn a_certificate_is_worth_nothing_without_its_digest() {
    let sha512 = |certificate: Cert| Cert {
        inner: seq(&[&oid(RSA_SHA512), &[0x05, 0x00]]),
        outer: seq(&[&oid(RSA_SHA512), &[0x05, 0x00]]),
        ..certificate
    };
    let platform = |trusted: &[u8]| Double {
        missing_hash: Some(DigestAlgorithm::Sha512),
        ..Double::trusting(trusted)
    };
    let signers = [signer_of(1, 2)];
    let list = [sha512(cert(1, 2)), cert(2, 3)];
    // As a link inside the message, and as the link to a keyring.
    assert_eq!(
        verdict(&platform(&[3]), &list, &signers),
        Err(Error::CertificateDigest)
    );
    assert_eq!(
        verdict(&platform(&[2]), &list[..1], &signers),
        Err(Error::CertificateDigest)
    );
    // Its own key may be trusted all the same.
    assert_eq!(verdict(&platform(&[1]), &list[..1], &signers), Ok(()));
    assert_eq!(
        verdict(&platform(&[9]), &list[..1], &signers),
        Err(Error::NoKey)
    );
    // A self-signature that cannot be checked is none.
    let root = [sha512(forged(cert(1, 1)))];
    let signers = [signer_of(1, 1)];
    assert_eq!(verdict(&platform(&[1]), &root, &signers), Ok(()));
    assert_eq!(verdict(&platform(&[9]), &root, &signers), Err(Error::NoKey));
}

#[test]
fn what_the_platform_cannot_check_counts_neither_way() {
    let platform = Double {
        unsupported_key: Some(2),
        ..Double::trusting(&[3, 4])
    };
    let list = [cert(1, 2), cert(2, 3), cert(4, 5)];
    assert_eq!(
        verdict(&platform, &list, &[signer_of(1, 2)]),
        Err(Error::DigestNotBuiltIn)
    );
    assert_eq!(
        verdict(&platform, &list, &[signer_of(1, 2), signer_of(4, 5)]),
        Ok(())
    );
    let platform = Double {
        unsupported_key: Some(1),
        ..Double::trusting(&[1, 2])
    };
    assert_eq!(
        verdict(&platform, &list, &[signer_of(1, 2)]),
        Err(Error::DigestNotBuiltIn)
    );
}

/// C remembers what it found of a certificate: the second signer through it gets the same answer
/// without a search.
#[test]
fn signers_share_what_was_found_of_a_certificate() {
    let list = [cert(1, 3), cert(2, 3), cert(3, 4)];
    let signers = [signer_of(1, 3), signer_of(2, 3)];
    let platform = Double::trusting(&[4]);
    assert_eq!(verdict(&platform, &list, &signers), Ok(()));
    assert_eq!(platform.count("verify"), 1);
    // So the second one is trusted as well.
    let message = Message {
        certificates: certificates(&list),
        ..message(&signers)
    };
    let file = file(&message.der());
    let checked = check(&platform, &file, Flags::default());
    assert_eq!(
        checked.signer.map(|signer| signer.id.key_id().0),
        Some(&[2][..])
    );
    let platform = Double::trusting(&[9]);
    assert_eq!(verdict(&platform, &list, &signers), Err(Error::NoKey));
    // The second one's certificate, then the shared one, which was seen.
    let asked = platform.asked.borrow();
    let searches = asked.iter().filter(|&&asked| asked == "find trusted");
    assert_eq!(searches.count(), 2 + 1 + 1 + 1);
}

#[test]
fn ml_dsa_signs_the_content_itself() {
    let ml_dsa = |signer: Signer| Signer {
        key: algorithm(ML_DSA_44),
        ..signer
    };
    let platform = Double {
        ml_dsa: true,
        missing_hash: Some(DigestAlgorithm::Sha256),
        ..Double::trusting(&[1])
    };
    // No digest is taken, so none is missing.
    assert_eq!(verdict(&platform, &[], &[ml_dsa(signer_of(1, 1))]), Ok(()));
    assert_eq!(platform.count("digest"), 0);

    let with = |more: &[&[u8]]| Signer {
        signed_attributes: signed_attributes(more),
        ..ml_dsa(signer_of(1, 1))
    };
    assert_eq!(
        verdict(&platform, &[], &[with(&[])]),
        Err(Error::DigestNotBuiltIn)
    );
    let platform = Double {
        ml_dsa: true,
        ..Double::trusting(&[1])
    };
    assert_eq!(verdict(&platform, &[], &[with(&[])]), Ok(()));
    // The digest in the attributes, and the time.
    let one = |kind: &[u8], value: &[u8]| seq(&[&oid(kind), &set(&[value])]);
    let digest = |octets: &[u8]| Signer {
        signed_attributes: tlv(
            0xa0,
            &[
                one(CONTENT_TYPE, &oid(DATA)),
                one(MESSAGE_DIGEST, &tlv(0x04, octets)),
            ]
            .concat(),
        ),
        ..ml_dsa(signer_of(1, 1))
    };
    assert_eq!(
        verdict(&platform, &[], &[digest(&[0xdb; 32])]),
        Err(Error::AttributeDigest)
    );
    for length in [0, 31, 33] {
        assert_eq!(
            verdict(&platform, &[], &[digest(&vec![0xda; length])]),
            Err(Error::AttributeDigestLength)
        );
    }
    let at = |time: &[u8]| [with(&[&one(SIGNING_TIME, &tlv(0x17, time))])];
    for (time, expected) in [
        (b"200101000000Z", Ok(())),
        (b"490101000000Z", Ok(())),
        (b"191231235959Z", Err(Error::SigningTime)),
        (b"490101000001Z", Err(Error::SigningTime)),
    ] {
        let list = [cert(1, 1)];
        assert_eq!(verdict(&platform, &list, &at(time)), expected);
        // Without the certificate there is nothing to hold it against.
        assert_eq!(verdict(&platform, &[], &at(time)), Ok(()));
    }
}

/// The verdict on a module with a good signature by a trusted key, and this certificate beside it.
fn beside(certificate: &Cert) -> Result<(), Error> {
    let platform = Double::trusting(&[1]);
    let list = std::slice::from_ref(certificate);
    verdict(&platform, list, &[signer_of(1, 1)])
}

#[test]
fn certificates_have_the_form_of_certificates() {
    assert_eq!(beside(&cert(5, 6)), Ok(()));
    let good = [
        Cert {
            version: vec![],
            ..cert(5, 6)
        },
        Cert {
            unique: [tlv(0x81, &[0, 1]), tlv(0x82, &[0, 1])].concat(),
            ..cert(5, 6)
        },
        Cert {
            key: seq(&[
                &seq(&[&oid(EC_PUBLIC_KEY), &oid(P256)]),
                &tlv(0x03, &[0, 4, 1, 2]),
            ]),
            ..cert(5, 6)
        },
        with_extensions(cert(5, 6), &[]),
        with_extensions(cert(5, 6), &[extension(99, b"whatever")]),
        with_extensions(
            cert(5, 6),
            &[seq(&[&oid(UNKNOWN), &tlv(0x01, &[0xff]), &tlv(0x04, b"x")])],
        ),
    ];
    for (index, certificate) in good.iter().enumerate() {
        assert_eq!(beside(certificate), Ok(()), "{index}");
    }
    let other_outer = Cert {
        outer: seq(&[&oid(RSA_SHA512), &[0x05, 0x00]]),
        ..cert(5, 6)
    };
    let error = beside(&other_outer).unwrap_err();
    assert!(matches!(error, Error::CertificateAlgorithms(_)));
    assert_eq!(error.class(), Class::Invalid);

    let empty_extensions = Cert {
        unique: tlv(0xa3, &seq(&[])),
        extensions: vec![],
        ..cert(5, 6)
    };
    let bad = [
        empty_extensions,
        Cert {
            version: tlv(0xa0, &[]),
            ..cert(5, 6)
        },
        Cert {
            serial: tlv(0x02, &[]),
            ..cert(5, 6)
        },
        Cert {
            issuer: seq(&[]),
            ..cert(5, 6)
        },
        Cert {
            subject: seq(&[&set(&[])]),
            ..cert(5, 6)
        },
        Cert {
            validity: seq(&[&tlv(0x17, b"200101000000Z")]),
            ..cert(5, 6)
        },
        Cert {
            inner: seq(&[&oid(RSA_SHA256), &[0x04, 0x00]]),
            ..cert(5, 6)
        },
        Cert {
            signature: tlv(0x03, &[]),
            ..cert(5, 6)
        },
        Cert {
            signature: tlv(0x03, &[1, 2]),
            ..cert(5, 6)
        },
        Cert {
            key: seq(&[&algorithm(RSA), &tlv(0x03, &[])]),
            ..cert(5, 6)
        },
        Cert {
            key: seq(&[&algorithm(RSA), &tlv(0x03, &[7, 1])]),
            ..cert(5, 6)
        },
        // An elliptic-curve key without a named curve.
        Cert {
            key: seq(&[&algorithm(EC_PUBLIC_KEY), &tlv(0x03, &[0, 1])]),
            ..cert(5, 6)
        },
        Cert {
            key: seq(&[&seq(&[&oid(EC_PUBLIC_KEY), &seq(&[])]), &tlv(0x03, &[0, 1])]),
            ..cert(5, 6)
        },
    ];
    for (index, certificate) in bad.iter().enumerate() {
        let class = beside(certificate).unwrap_err().class();
        assert_eq!(class, Class::BadMessage, "{index}");
    }
    for unknown in [
        seq(&[&algorithm(UNKNOWN), &tlv(0x03, &[0, 1])]),
        seq(&[&algorithm(ML_DSA_44), &tlv(0x03, &[0, 1])]),
        seq(&[
            &seq(&[&oid(EC_PUBLIC_KEY), &oid(UNKNOWN)]),
            &tlv(0x03, &[0, 1]),
        ]),
    ] {
        let certificate = Cert {
            key: unknown,
            ..cert(5, 6)
        };
        assert_eq!(beside(&certificate).unwrap_err().class(), Class::NoPackage);
    }
}

#[test]
fn every_cut_of_a_certificate_is_refused() {
    let whole = cert(5, 6).der();
    for length in 0..whole.len() {
        let cut = Message {
            certificates: tlv(0xa0, &whole[..length]),
            ..message(&[signer_of(1, 1)])
        };
        let file = file(&cut.der());
        let result = check(&Double::trusting(&[1]), &file, Flags::default()).result;
        assert_eq!(result.is_ok(), length == 0, "{length}");
    }
}

#[test]
fn extensions_that_matter_are_well_formed() {
    let with = |extensions: &[Vec<u8>]| beside(&with_extensions(cert(5, 6), extensions));
    let (skid, usage, constraints, akid) = (14, 15, 19, 35);
    let other_names = |names: &[u8]| extension(akid, &seq(&[&tlv(0xa1, names)]));
    let good = [
        extension(skid, &tlv(0x04, &[1])),
        extension(skid, &tlv(0x04, &[1; 127])),
        extension(usage, &tlv(0x03, &[7, 0x80])),
        extension(usage, &tlv(0x03, &[0, 1, 0x80])),
        extension(usage, &tlv(0x03, &[7; 127])),
        extension(constraints, &seq(&[])),
        extension(constraints, &seq(&[&tlv(0x01, &[0xff])])),
        extension(constraints, &seq(&[&tlv(0x01, &[0xff]), &tlv(0x02, &[3])])),
        extension(akid, &seq(&[])),
        extension(akid, &seq(&[&tlv(0x82, &[1])])),
        // What else may stand beside a directory name, or in its place.
        other_names(&tlv(0x81, b"user@host")),
        other_names(&tlv(0x82, b"host")),
        other_names(&tlv(0x86, b"https://host/")),
        other_names(&tlv(0x87, &[127, 0, 0, 1])),
        other_names(&tlv(0x88, UNKNOWN)),
        other_names(&tlv(0xa0, &[oid(UNKNOWN), tlv(0xa0, &seq(&[]))].concat())),
        other_names(&tlv(0xa3, &seq(&[]))),
        other_names(&tlv(0xa5, &tlv(0xa1, &seq(&[])))),
        other_names(&tlv(
            0xa5,
            &[tlv(0xa0, &seq(&[])), tlv(0xa1, &seq(&[]))].concat(),
        )),
        other_names(&[tlv(0xa4, &name(1)), tlv(0xa4, &name(2))].concat()),
        other_names(&[tlv(0x82, b"host"), tlv(0xa4, &name(2))].concat()),
    ];
    for (index, extension) in good.iter().enumerate() {
        assert_eq!(with(std::slice::from_ref(extension)), Ok(()), "{index}");
    }
    let bad = [
        extension(skid, &[]),
        extension(skid, &[0x04]),
        extension(skid, &tlv(0x04, &[1; 128])),
        extension(skid, &tlv(0x03, &[0, 1])),
        extension(skid, &[4, 1, 1, 1]),
        extension(usage, &[]),
        extension(usage, &[3]),
        extension(usage, &tlv(0x03, &[])),
        extension(usage, &tlv(0x03, &[0])),
        extension(usage, &tlv(0x03, &[8, 1])),
        // C refuses the first two and the last of these, since it reads the length as unused bits.
        extension(usage, &tlv(0x03, &[7; 128])),
        extension(usage, &tlv(0x03, &[7; 255])),
        extension(usage, &tlv(0x03, &[7; 256])),
        extension(usage, &tlv(0x03, &[7; 2048])),
        extension(constraints, &[]),
        extension(constraints, &[0x30]),
        extension(constraints, &seq(&[&tlv(0x01, &[0])])),
        extension(constraints, &seq(&[&tlv(0x01, &[1])])),
        extension(constraints, &seq(&[&tlv(0x01, &[])])),
        extension(constraints, &seq(&[&tlv(0x02, &[3])])),
        extension(
            constraints,
            &seq(&[&tlv(0x01, &[0xff]), &tlv(0x02, &[1; 123])]),
        ),
        extension(akid, &[]),
        extension(akid, &[0x30]),
        extension(akid, &[0x30, 0, 0]),
        other_names(&[]),
        other_names(&tlv(0x83, b"")),
        other_names(&tlv(0x84, &name(1))),
        other_names(&tlv(0x89, b"")),
        other_names(&tlv(0xa0, &oid(UNKNOWN))),
        other_names(&tlv(0xa0, &tlv(0xa0, &seq(&[])))),
        other_names(&tlv(0xa0, &[oid(UNKNOWN), tlv(0xa0, b"")].concat())),
        other_names(&tlv(0xa1, &seq(&[]))),
        other_names(&tlv(0xa3, &[seq(&[]), seq(&[])].concat())),
        other_names(&tlv(0xa4, &seq(&[]))),
        other_names(&[tlv(0xa4, &seq(&[])), tlv(0xa4, &name(2))].concat()),
        other_names(&tlv(0xa4, &[name(1), name(2)].concat())),
        other_names(&tlv(0xa5, &tlv(0xa0, &seq(&[])))),
        other_names(&tlv(
            0xa5,
            &[tlv(0xa1, &seq(&[])), tlv(0xa1, &seq(&[]))].concat(),
        )),
        seq(&[&oid(UNKNOWN)]),
        seq(&[&oid(UNKNOWN), &tlv(0x01, &[2]), &tlv(0x04, b"x")]),
    ];
    for (index, extension) in bad.iter().enumerate() {
        let class = with(std::slice::from_ref(extension)).unwrap_err().class();
        assert_eq!(class, Class::BadMessage, "{index}");
    }
    let empty = extension(akid, &seq(&[&tlv(0x80, &[])]));
    assert!(matches!(with(&[empty]), Err(Error::EmptySignerId(_))));
    for twice in [
        extension(skid, &tlv(0x04, &[1])),
        extension(akid, &seq(&[])),
    ] {
        let both = [twice.clone(), twice];
        assert!(matches!(with(&both), Err(Error::DuplicateExtension(_))));
    }
}

/// C reads one byte behind the tag of a key usage as its length, and the next one as the number of
/// unused bits, which must be less than 8: with a long length that is a byte of the length.
#[test]
fn a_key_usage_is_as_short_as_c_reads_it() {
    // Bytes of the content, and whether C takes it, as it was asked (6.12 and 7.3).
    let lengths = [
        (2, true),
        (127, true),
        (128, false),
        (129, false),
        (255, false),
        (256, true),
        (2047, true),
        (2048, false),
        (4096, false),
    ];
    for (length, c_takes_it) in lengths {
        let mut content = vec![0; length];
        content[1] = 0x80;
        let usage = extension(15, &tlv(0x03, &content));
        let result = beside(&with_extensions(cert(5, 6), &[usage]));
        if length <= 127 {
            assert!(c_takes_it);
            assert_eq!(result, Ok(()), "{length}");
        } else {
            // Not weaker; from 256 to 2047, stricter.
            assert!(matches!(result, Err(Error::LongKeyUsage(_))), "{length}");
            assert_eq!(result.unwrap_err().class(), Class::BadMessage);
        }
    }
}

#[test]
fn identifiers_have_a_length_that_keys_have() {
    let long = Cert {
        serial: tlv(0x02, &[1; 4090]),
        ..cert(5, 6)
    };
    assert!(matches!(beside(&long), Err(Error::LongSignerId(_))));
}

#[test]
fn times_are_times() {
    let with = |tag: u8, time: &str| {
        let time = tlv(tag, time.as_bytes());
        beside(&Cert {
            validity: seq(&[&time, &time]),
            ..cert(5, 6)
        })
    };
    let (utc, generalized) = (0x17, 0x18);
    for (tag, good) in [
        (utc, "700101000000Z"),
        (utc, "491231235959Z"),
        (utc, "000229000000Z"),
        (utc, "240229240000Z"),
        (utc, "161231235960Z"),
        (generalized, "20500101000000Z"),
        (generalized, "99991231235959Z"),
        (generalized, "24000229000000Z"),
    ] {
        assert_eq!(with(tag, good), Ok(()), "{good}");
    }
    for (tag, bad) in [
        (utc, ""),
        (utc, "691231235959Z"),
        (utc, "500101000000Z"),
        (utc, "200001000000Z"),
        (utc, "201301000000Z"),
        (utc, "200100000000Z"),
        (utc, "200132000000Z"),
        (utc, "200431000000Z"),
        (utc, "210229000000Z"),
        (utc, "200101250000Z"),
        (utc, "200101006000Z"),
        (utc, "200101000061Z"),
        (utc, "2001010000Z"),
        (utc, "200101000000"),
        (utc, "200101000000+0000"),
        (utc, "2001010000:0Z"),
        (utc, "20010100000/Z"),
        (generalized, "20490101000000Z"),
        (generalized, "19500101000000Z"),
        (generalized, "19490101000000Z"),
        (generalized, "21000229000000Z"),
        (generalized, "20500101000000.5Z"),
        (0x0c, "200101000000Z"),
    ] {
        let error = with(tag, bad).unwrap_err();
        assert!(matches!(error, Error::BadTime(_)), "{bad}: {error:?}");
    }
}

#[test]
fn a_failure_of_the_platform_is_never_a_verdict_on_a_certificate() {
    let list = [cert(1, 2), cert(2, 3), cert(3, 3)];
    for question in [
        "hash",
        "digest",
        "digest tbs",
        "verify",
        "verify with",
        "find trusted",
        "find revoked",
        "is certificate blacklisted",
    ] {
        let platform = Double {
            fail: Some((question, -12)),
            certificate_hash: CertificateHash::Sha256,
            ..Double::trusting(&[3])
        };
        let verdict = verdict(&platform, &list, &[signer_of(1, 2)]);
        assert_eq!(verdict, Err(Error::Platform(-12)), "{question}");
    }
}

#[test]
fn every_changed_octet_gives_an_answer_and_no_panic() {
    let platform = Double {
        any_content: true,
        ..Double::trusting(&[3])
    };
    let good = file(
        &Message {
            certificates: certificates(&[cert(1, 2), cert(2, 3), cert(4, 4)]),
            ..message(&[signer_of(1, 2)])
        }
        .der(),
    );
    let mut random = Random(0x6365_7274);
    for _ in 0..100_000 {
        let mut bad = good.clone();
        for _ in 0..=random.below(4) {
            let at = CONTENT.len() + random.below(bad.len() - CONTENT.len());
            match random.below(3) {
                0 => bad[at] = random.next() as u8,
                1 => bad[at] ^= 1 << random.below(8),
                _ => bad[at] = bad[at].wrapping_add(1),
            }
        }
        let _ = check(&platform, &bad, Flags::default());
    }
}
