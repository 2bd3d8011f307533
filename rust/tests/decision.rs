// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The verdict: for every combination of signers, and what the platform is asked on the way.

mod common;

use common::*;
use modsig::verify::{
    check,
    policy::{decide, Decision},
    Class, DigestAlgorithm, Error, Flags,
};

/// Checks a file with these signers.
fn verdict(platform: &Double, signers: &[Signer]) -> Result<(), Error> {
    verdict_of(platform, &message(signers))
}

fn verdict_of(platform: &Double, message: &Message) -> Result<(), Error> {
    let file = file(&message.der());
    let checked = check(platform, &file, Flags::default());
    assert_eq!(checked.module_len, CONTENT.len());
    checked.result
}

fn bad(serial: u8) -> Signer {
    Signer {
        signature: tlv(0x04, b"wrong"),
        ..signer(serial)
    }
}

fn sha512(signer: Signer) -> Signer {
    Signer {
        digest: algorithm(SHA512),
        ..signer
    }
}

#[test]
fn a_trusted_signer_is_enough() {
    let platform = Double::trusting(&[1]);
    assert_eq!(verdict(&platform, &[signer(1)]), Ok(()));
    assert_eq!(
        *platform.asked.borrow(),
        ["hash", "find revoked", "find trusted", "digest", "verify"]
    );
    assert_eq!(verdict(&platform, &[signer(2), signer(1)]), Ok(()));
    assert_eq!(verdict(&platform, &[signer(1), signer(2)]), Ok(()));
}

#[test]
fn an_unknown_signer_costs_no_digest() {
    let platform = Double::trusting(&[1]);
    assert_eq!(verdict(&platform, &[signer(2), bad(3)]), Err(Error::NoKey));
    assert_eq!(platform.count("digest"), 0);
    assert_eq!(platform.count("is_blacklisted"), 0);
}

#[test]
fn signers_with_one_algorithm_cost_one_digest() {
    let platform = Double::trusting(&[1, 2, 3]);
    assert_eq!(
        verdict(&platform, &[signer(1), signer(2), signer(3)]),
        Ok(())
    );
    assert_eq!((platform.count("digest"), platform.count("verify")), (1, 3));
}

#[test]
fn a_wrong_signature_by_a_trusted_key_refuses_whatever_else_is_there() {
    let platform = Double::trusting(&[1, 2]);
    for signers in [
        vec![bad(1)],
        vec![signer(1), bad(2)],
        vec![bad(1), signer(2)],
        vec![signer(9), bad(1)],
        vec![sha512(signer(1)), bad(2)],
    ] {
        assert_eq!(verdict(&platform, &signers), Err(Error::BadSignature));
    }
}

#[test]
fn a_revoked_signer_refuses_whatever_else_is_there() {
    let platform = Double {
        trusted: vec![1, 2],
        revoked: vec![2],
        ..Double::default()
    };
    for signers in [
        vec![signer(2)],
        vec![bad(2)],
        vec![signer(1), signer(2)],
        vec![signer(2), signer(1)],
        vec![signer(9), signer(2)],
    ] {
        assert_eq!(verdict(&platform, &signers), Err(Error::Revoked));
    }
    assert_eq!(platform.count("digest"), 0);
}

#[test]
fn the_platform_keyring_is_asked_only_when_nobody_else_is_known() {
    let platform = Double {
        trusted: vec![1],
        platform: vec![2],
        ..Double::default()
    };
    assert_eq!(verdict(&platform, &[signer(1)]), Ok(()));
    assert_eq!(platform.count("find platform"), 0);
    assert_eq!(verdict(&platform, &[signer(2)]), Ok(()));
    assert_eq!(verdict(&platform, &[bad(2)]), Err(Error::BadSignature));
    // C does not come to the second signer's keyring: the first one has decided.
    assert_eq!(verdict(&platform, &[signer(1), bad(2)]), Ok(()));
    assert_eq!(
        verdict(&platform, &[bad(1), signer(2)]),
        Err(Error::BadSignature)
    );
}

#[test]
fn algorithms_that_are_not_built_in() {
    let platform = Double {
        trusted: vec![1, 2],
        platform: vec![3],
        missing_hash: Some(DigestAlgorithm::Sha512),
        ..Double::default()
    };
    let cases = [
        (vec![sha512(signer(1))], Err(Error::DigestNotBuiltIn)),
        (vec![sha512(signer(9))], Err(Error::DigestNotBuiltIn)),
        (vec![sha512(signer(1)), signer(2)], Ok(())),
        (vec![signer(2), sha512(signer(1))], Ok(())),
        (vec![sha512(signer(1)), bad(2)], Err(Error::BadSignature)),
        // "Not supported" comes before "not known", and keeps the platform keyring out.
        (
            vec![sha512(signer(1)), signer(9)],
            Err(Error::DigestNotBuiltIn),
        ),
        (
            vec![signer(3), sha512(signer(1))],
            Err(Error::DigestNotBuiltIn),
        ),
    ];
    for (signers, expected) in cases {
        assert_eq!(verdict(&platform, &signers), expected);
    }
}

#[test]
fn a_trusted_key_whose_algorithm_is_not_built_in_refuses() {
    let platform = Double {
        unsupported_key: Some(1),
        ..Double::trusting(&[1, 2])
    };
    for signers in [
        vec![signer(1)],
        vec![signer(1), signer(2)],
        vec![signer(2), signer(1)],
    ] {
        assert_eq!(
            verdict(&platform, &signers),
            Err(Error::AlgorithmNotBuiltIn)
        );
    }
    for error in [
        Error::AlgorithmNotBuiltIn,
        Error::EmbeddedSignature(-2),
        Error::CertificateSignature(-2),
    ] {
        let said = error.to_string();
        assert!(said.ends_with("not built into this kernel"), "{said}");
    }
}

#[test]
fn a_blacklisted_file_is_refused_last() {
    let platform = Double {
        trusted: vec![1],
        file_hashes: true,
        blacklist_all: true,
        ..Double::default()
    };
    assert_eq!(verdict(&platform, &[signer(1)]), Err(Error::Blacklisted));
    assert_eq!(verdict(&platform, &[bad(1)]), Err(Error::BadSignature));
    assert_eq!(verdict(&platform, &[signer(2)]), Err(Error::NoKey));
}

#[test]
fn a_file_that_was_digested_with_its_content_is_not_digested_again() {
    let platform = Double {
        file_hashes: true,
        one_pass: true,
        any_content: true,
        ..Double::trusting(&[1, 2])
    };
    // Both by SHA-256.
    assert_eq!(verdict(&platform, &[signer(1), signer(2)]), Ok(()));
    assert_eq!(platform.count("digest"), 1);
    assert_eq!(platform.count("is_blacklisted"), 1);
}

#[test]
fn a_blacklist_that_cannot_be_asked_refuses() {
    let platform = Double {
        file_hashes: true,
        missing_hash: Some(DigestAlgorithm::Sha256),
        ..Double::trusting(&[1])
    };
    assert_eq!(
        verdict(&platform, &[sha512(signer(1))]),
        Err(Error::BlacklistDigest)
    );
}

#[test]
fn a_failure_of_the_platform_is_never_a_verdict() {
    for question in [
        "hash",
        "find revoked",
        "find trusted",
        "digest",
        "verify",
        "is_blacklisted",
    ] {
        let platform = Double {
            file_hashes: true,
            fail: Some((question, -12)),
            ..Double::trusting(&[1])
        };
        assert_eq!(
            verdict(&platform, &[signer(1)]),
            Err(Error::Platform(-12)),
            "{question}"
        );
    }
    let platform = Double {
        fail: Some(("find platform", -12)),
        ..Double::default()
    };
    assert_eq!(verdict(&platform, &[signer(1)]), Err(Error::Platform(-12)));
}

#[test]
fn a_verdict_names_its_signer() {
    let signer_of = |platform: &Double, signers: &[Signer]| {
        let file = file(&message(signers).der());
        let checked = check(platform, &file, Flags::default());
        checked.signer.map(|signer| signer.id.key_id().0.to_vec())
    };
    let platform = Double {
        trusted: vec![1, 2],
        revoked: vec![3],
        ..Double::default()
    };
    assert_eq!(signer_of(&platform, &[signer(8), signer(9)]), Some(vec![8]));
    assert_eq!(signer_of(&platform, &[signer(8), bad(2)]), Some(vec![2]));
    assert_eq!(signer_of(&platform, &[signer(1), signer(3)]), Some(vec![3]));
    assert_eq!(signer_of(&platform, &[]), None);
}

#[test]
fn force_loading_counts_as_unsigned_and_cuts_nothing() {
    let file = file(&message(&[signer(1)]).der());
    let platform = Double::trusting(&[1]);
    for (ignore_modversions, ignore_vermagic) in [(true, false), (false, true), (true, true)] {
        let flags = Flags {
            ignore_modversions,
            ignore_vermagic,
        };
        let checked = check(&platform, &file, flags);
        assert_eq!(checked.result, Err(Error::ForceLoaded));
        assert_eq!(checked.module_len, file.len());
        assert_eq!(Error::ForceLoaded.class(), Class::NoData);
    }
    assert!(platform.asked.borrow().is_empty());
}

/// The error numbers are C's for the same reason; `Documentation/policy.md` has them.
#[test]
fn every_reason_has_its_class() {
    use Error::*;
    for (class, errors) in [
        (Class::NoData, &[Unsigned, ForceLoaded][..]),
        (
            Class::NoPackage,
            &[
                UnknownIdType(1),
                UnknownDigest(0),
                UnknownKeyAlgorithm(0),
                DigestNotBuiltIn,
            ],
        ),
        (Class::NoKey, &[NoKey]),
        (
            Class::BadMessage,
            &[
                TrailerTooShort,
                SignatureLength {
                    claimed: 0,
                    available: 0,
                },
                ReservedField,
                Truncated(0),
                UnexpectedTag(0),
                LongTag(0),
                IndefiniteLength(0),
                NonMinimalLength(0),
                HugeLength(0),
                TrailingData(0),
                BadInteger(0),
                BadOid(0),
                EmptySet(0),
                BadBitString(0),
                BadBoolean(0),
                BadTime(0),
                DuplicateExtension(0),
                LongKeyUsage(0),
                BasicConstraints(0),
                MissingAttribute(0),
                ContentTypeAttribute(0),
                AttributeDigestLength,
                AlgorithmParameters(0),
                LongSignerId(0),
                VersionMismatch(0),
                RevocationList(0),
                EmbeddedContent,
                ReleaseTruncated {
                    expected: 9,
                    octets: 0,
                },
            ],
        ),
        (
            Class::Invalid,
            &[
                EmptySignerId(0),
                NotSignedData,
                UnknownVersion(0),
                UnknownContentType(0),
                CertificateAlgorithms(0),
                TooManyCertificates,
                TooManySigners,
                MixedSignedAttributes,
                ReleaseVersion(2),
                ReleaseEmpty,
                ReleasePosition {
                    position: 1,
                    size: 1,
                },
            ],
        ),
        (Class::TooLarge, &[TooLarge]),
        (Class::MessageSize, &[LongMessage]),
        (
            Class::Rejected,
            &[
                NotData,
                SignedAttributes,
                RepeatedAttribute(0),
                AuthenticodeAttribute(0),
                CertificateDigest,
                AuthorityMismatch,
                BlacklistedCertificate,
                AttributeDigest,
                SigningTime,
                BadSignature,
                AlgorithmNotBuiltIn,
                Revoked,
                Blacklisted,
                BlacklistDigest,
            ],
        ),
        (
            Class::Platform(-12),
            &[
                Platform(-12),
                EmbeddedSignature(-12),
                CertificateSignature(-12),
            ],
        ),
    ] {
        for error in errors {
            assert_eq!(error.class(), class, "{error:?}");
            assert!(error.to_string().len() < 120, "{error}");
        }
    }
}

#[test]
fn policy() {
    let soft = [Class::NoData, Class::NoPackage, Class::NoKey];
    let hard = [
        Class::BadMessage,
        Class::Invalid,
        Class::TooLarge,
        Class::MessageSize,
        Class::Rejected,
        Class::Platform(-12),
    ];
    for enforced in [false, true] {
        assert_eq!(decide(Ok(()), enforced), Decision::Accept);
        for class in hard {
            assert_eq!(decide(Err(class), enforced), Decision::Fail(class));
        }
    }
    for class in soft {
        assert_eq!(decide(Err(class), false), Decision::AskLockdown);
        assert_eq!(decide(Err(class), true), Decision::Refuse);
    }
}

/// A module whose length a kernel's digest would cut off is refused, not digested in part.
#[test]
#[cfg(target_pointer_width = "64")]
fn a_file_of_more_than_4_gib_is_refused() {
    let message = message(&[signer(1)]).der();
    let end = [&message[..], &trailer_of(message.len() as u32)].concat();
    for (size, expected) in [
        (u32::MAX as usize, Ok(())),
        (u32::MAX as usize + 1, Err(Error::TooLarge)),
    ] {
        // The allocator hands out untouched pages, and only the last ones are looked at.
        let mut file = vec![0; size];
        file[size - end.len()..].copy_from_slice(&end);
        let platform = Double {
            any_content: true,
            ..Double::trusting(&[1])
        };
        let checked = check(&platform, &file, Flags::default());
        assert_eq!(checked.result, expected, "{size} bytes");
        assert_eq!(checked.module_len, size - end.len());
    }
}

/// A signature is over the whole message's meaning: no single changed bit may turn a refusal into
/// something that is let in.
#[test]
fn no_changed_bit_makes_an_untrusted_module_trusted() {
    let platform = Double::trusting(&[1]);
    let good = file(&message(&[signer_by_key_id(&[0xee, 2])]).der());
    for at in CONTENT.len()..good.len() {
        for bit in 0..8 {
            let mut changed = good.clone();
            changed[at] ^= 1 << bit;
            let message_start = at >= CONTENT.len();
            let checked = check(&platform, &changed, Flags::default());
            // The double's only key is reached by a changed key identifier; nothing else is.
            let reaches_key = message_start && changed.windows(2).any(|w| w == [0xee, 1]);
            assert!(
                checked.result.is_err() || reaches_key,
                "byte {at} bit {bit}"
            );
        }
    }
}
