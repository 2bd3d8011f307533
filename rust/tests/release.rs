// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Modules that are signed with all others of their release.

mod common;
#[path = "common/release.rs"]
mod slow;
#[path = "common/world.rs"]
mod world;

use common::{
    cert, certificates, message, signed_attributes, signer, signer_of, tlv, Message, Random,
    Signer, ML_DSA_44,
};
use modsig::verify::{
    check, check_by_hash,
    merkle::Root,
    release::{self, way, Release},
    trailer::{self, Kind, MARKER},
    Checked, Class, DigestAlgorithm, Error, Flags,
};
use slow::Hash;
use world::{sign, World};

/// A file with this at its end.
fn file(kind: u8, module: &[u8], message: &[u8]) -> Vec<u8> {
    let mut file = [module, message].concat();
    file.extend([0, 0, kind, 0, 0, 0, 0, 0]);
    file.extend((message.len() as u32).to_be_bytes());
    file.extend(MARKER);
    file
}

/// What is signed with SHA-256.
fn digest(signed: &[u8]) -> Vec<u8> {
    slow::sha256(&[signed]).to_vec()
}

/// A signer whose signature is over this.
fn signer_over(key: u8, signed: &[u8]) -> Signer {
    Signer {
        signature: tlv(0x04, &sign(key, &digest(signed))),
        ..signer(key)
    }
}

fn signed_by(keys: &[u8], signed: &[u8]) -> Message {
    let signers: Vec<_> = keys.iter().map(|&key| signer_over(key, signed)).collect();
    message(&signers)
}

/// A module's file in a release that key 1 has signed.
fn in_release(module: &[u8], leaves: &[Hash], position: usize) -> Vec<u8> {
    let cms = signed_by(&[1], &slow::head(leaves)).der();
    let proof = slow::proof(leaves, position);
    file(trailer::ID_RELEASE, module, &[proof, cms].concat())
}

fn result(world: &World, file: &[u8]) -> Result<(), Error> {
    check(world, file, Flags::default()).result
}

/// The verdict on a message of this kind, if key 1 is trusted.
fn verdict(module: &[u8], message: &[u8]) -> Result<(), Error> {
    let file = file(trailer::ID_RELEASE, module, message);
    result(&World::trusting(&[1]), &file)
}

#[test]
fn each_module_is_taken_at_its_own_place_only() {
    let world = World::trusting(&[1]);
    for count in 1..=17 {
        let modules = slow::modules(count);
        let leaves = slow::leaves(&modules);
        for (m, module) in modules.iter().enumerate() {
            for p in 0..count {
                let expected = if m == p {
                    Ok(())
                } else {
                    Err(Error::BadSignature)
                };
                let answer = result(&world, &in_release(module, &leaves, p));
                assert_eq!(answer, expected, "{count}: {m} with {p}");
            }
        }
    }
}

#[test]
fn what_loads_is_the_module_without_its_message() {
    let modules = slow::modules(5);
    let file = in_release(&modules[4], &slow::leaves(&modules), 4);
    let world = World::trusting(&[1]);
    let Checked {
        module_len,
        signer,
        result,
    } = check(&world, &file, Flags::default());
    assert_eq!((module_len, result), (modules[4].len(), Ok(())));
    assert_eq!(signer.expect("has a signer").id.key_id().0, [1]);
}

/// Of every size up to 64 every place, of larger ones some.
#[test]
fn trees_are_those_of_the_definition() {
    let world = World::trusting(&[1]);
    let all = slow::modules(5000);
    let hashes = slow::leaves(&all);
    let mut random = Random(0x4d);
    let one = |size: usize, position: usize| {
        let leaves = &hashes[..size];
        let file = in_release(&all[position], leaves, position);
        assert_eq!(result(&world, &file), Ok(()), "{position} of {size}");
        let root = slow::root(leaves);
        assert_eq!(
            release::head(size as u32, &root)[..],
            slow::head_of(size as u32, &root)
        );
    };
    for size in 1..=48 {
        for position in 0..size {
            one(size, position);
        }
    }
    for size in [127, 128, 129, 1023, 1024, 1025, 4095, 4096, 4097, 5000] {
        one(size, size - 1);
        one(size, random.below(size));
    }
    for _ in 0..10 {
        let size = 49 + random.below(4952);
        one(size, random.below(size));
    }
}

#[test]
fn ways_are_those_of_the_definition() {
    let mut random = Random(9162);
    let one = |size: usize, position: usize| {
        let sides = slow::sides(size, position);
        let (count, bits) = way(size as u32, position as u32).expect("is in the tree");
        let found: Vec<bool> = (0..count).map(|level| bits >> level & 1 == 1).collect();
        assert_eq!(found, sides, "{position} of {size}");
    };
    for size in 1..=256 {
        for position in 0..size {
            one(size, position);
        }
    }
    for size in 257..=5000 {
        for position in [0, size / 2, size - 2, size - 1, random.below(size)] {
            one(size, position);
        }
    }
    for size in [u32::MAX, u32::MAX - 1, 1 << 31, (1 << 31) + 1] {
        for position in [
            0,
            1,
            (1 << 31) - 1,
            size - 2,
            size - 1,
            random.next() as u32 % size,
        ] {
            one(size as usize, position as usize);
        }
        for position in [size, u32::MAX] {
            assert_eq!(way(size, position), None);
        }
    }
    assert_eq!((way(0, 0), way(0, u32::MAX)), (None, None));
    assert_eq!(way(1, 0).map(|(count, _)| count), Some(0));
}

#[test]
fn a_tree_may_have_as_many_leaves_as_can_be_counted() {
    let module = &slow::modules(1)[0];
    for (size, position) in [
        (u32::MAX, 0),
        (u32::MAX, 0x1234_5678),
        (u32::MAX, u32::MAX - 2),
        (u32::MAX, u32::MAX - 1),
        (1 << 31, (1 << 31) - 1),
        ((1 << 31) + 1, 1 << 31),
    ] {
        let count = slow::sides(size as usize, position as usize).len();
        let siblings: Vec<Hash> = (0..count).map(|n| [n as u8; 32]).collect();
        let of = |size: u32, root| {
            let cms = signed_by(&[1], &slow::head_of(size, root)).der();
            verdict(
                module,
                &[slow::proof_of(size, position, &siblings), cms].concat(),
            )
        };
        let root = slow::climb(size.into(), position.into(), slow::leaf(module), &siblings);
        let root = root.expect("has as many siblings as it takes");
        assert_eq!(of(size, &root), Ok(()), "{position} of {size}");
        assert_eq!(of(size, &[0; 32]), Err(Error::BadSignature));
        // The size is signed: another tree, in which the way is the same, is another release.
        let cms = signed_by(&[1], &slow::head_of(size - 1, &root)).der();
        let other = [slow::proof_of(size, position, &siblings), cms].concat();
        assert_eq!(verdict(module, &other), Err(Error::BadSignature));
    }
}

#[test]
fn every_malformed_form_is_refused_with_its_own_reason() {
    let modules = slow::modules(6);
    let leaves = slow::leaves(&modules);
    let (module, cms) = (&modules[4], signed_by(&[1], &slow::head(&leaves)).der());
    let proof = slow::proof(&leaves, 4);
    let path: Vec<Hash> = slow::path(&leaves, 4)
        .into_iter()
        .map(|(_, one)| one)
        .collect();
    let with = |size, position, siblings: &[Hash]| {
        let proof = slow::proof_of(size, position, siblings);
        verdict(module, &[&proof[..], &cms].concat())
    };
    assert_eq!(with(6, 4, &path), Ok(()));

    for version in [0, 2, 3, 0x30, 255] {
        let message = [&[version], &proof[1..], &cms].concat();
        assert_eq!(
            verdict(module, &message),
            Err(Error::ReleaseVersion(version))
        );
        assert_eq!(
            verdict(module, &[version]),
            Err(Error::ReleaseVersion(version))
        );
    }
    let truncated = |expected, octets| Err(Error::ReleaseTruncated { expected, octets });
    for octets in 0..9 {
        assert_eq!(verdict(module, &proof[..octets]), truncated(9, octets));
    }
    for octets in 9..proof.len() {
        let expected = proof.len() as u32;
        assert_eq!(
            verdict(module, &proof[..octets]),
            truncated(expected, octets)
        );
    }
    for position in [0, 1, u32::MAX] {
        assert_eq!(with(0, position, &path), Err(Error::ReleaseEmpty));
    }
    for position in [6, 7, 8, u32::MAX] {
        let past = Error::ReleasePosition { position, size: 6 };
        assert_eq!(with(6, position, &path), Err(past));
    }
    // No signature: what is missing is missing from the CMS message.
    assert_eq!(verdict(module, &proof), Err(Error::Truncated(0)));
    for octets in 1..cms.len() {
        let error = verdict(module, &[&proof[..], &cms[..octets]].concat()).unwrap_err();
        assert_eq!(error.class(), Class::BadMessage, "{octets}: {error:?}");
    }
    // One sibling too many is taken for the message; what is behind the message is as well.
    let longer = [&path[..], &[[0x30; 32]]].concat();
    assert_eq!(with(6, 4, &longer).unwrap_err().class(), Class::BadMessage);
    let error = verdict(module, &[&proof[..], &cms, &[0]].concat());
    assert!(matches!(error, Err(Error::TrailingData(_))), "{error:?}");
    // One too few takes its place from the message.
    assert_eq!(
        with(6, 4, &path[..1]).unwrap_err().class(),
        Class::BadMessage
    );
    let long = [&proof[..], &vec![0x30; 65536]].concat();
    assert_eq!(verdict(module, &long), Err(Error::LongMessage));
}

/// Neither a size nor a position other than what was signed, nor siblings in another order.
#[test]
fn a_place_is_signed() {
    let modules = slow::modules(7);
    let leaves = slow::leaves(&modules);
    let cms = signed_by(&[1], &slow::head(&leaves)).der();
    for (at, module) in modules.iter().enumerate() {
        let path: Vec<Hash> = slow::path(&leaves, at)
            .into_iter()
            .map(|(_, one)| one)
            .collect();
        for size in 1..=9 {
            for position in 0..size {
                let proof = slow::proof_of(size, position, &path);
                let answer = verdict(module, &[&proof[..], &cms].concat());
                let same = (size, position) == (7, at as u32);
                assert_eq!(answer.is_ok(), same, "{at} at {position} of {size}");
            }
        }
        let swapped: Vec<Hash> = path.iter().rev().copied().collect();
        let proof = slow::proof_of(7, at as u32, &swapped);
        let answer = verdict(module, &[&proof[..], &cms].concat());
        assert_eq!(answer.is_ok(), swapped == path, "{at}");
    }
}

#[test]
fn every_flipped_bit_of_module_and_proof_is_refused_for_good() {
    let modules = slow::modules(6);
    let leaves = slow::leaves(&modules);
    let world = World::trusting(&[1]);
    for n in [0, 4, 5] {
        let good = in_release(&modules[n], &leaves, n);
        let proof_len = slow::proof(&leaves, n).len();
        for at in 0..modules[n].len() + proof_len {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                let error = result(&world, &bad).unwrap_err();
                assert!(
                    matches!(
                        error.class(),
                        Class::Rejected | Class::Invalid | Class::BadMessage
                    ),
                    "bit {bit} of byte {at}: {error:?}"
                );
            }
        }
    }
}

#[test]
fn an_inner_node_is_no_leaf_and_a_leaf_no_node() {
    let modules = slow::modules(4);
    let leaves = slow::leaves(&modules);
    let cms = signed_by(&[1], &slow::head(&leaves)).der();
    let right = slow::node(&leaves[2], &leaves[3]);
    let children = [leaves[0], leaves[1]].concat();
    for module in [children.clone(), [&[4], &children[..]].concat()] {
        for (size, position) in [(2, 0), (4, 0), (3, 0), (3, 2)] {
            let proof = slow::proof_of(size, position, &[right]);
            let error = verdict(&module, &[proof, cms.clone()].concat()).unwrap_err();
            let soft = matches!(
                error.class(),
                Class::NoKey | Class::NoPackage | Class::NoData
            );
            assert!(!soft, "{error:?}");
        }
    }
}

/// The tree of one kind is never that of the other, and no proof or signature passes as another.
#[test]
fn kinds_are_not_mixed_up() {
    let modules = slow::modules(4);
    let leaves = slow::leaves(&modules);
    let head = slow::head(&leaves);
    let proof = slow::proof(&leaves, 2);
    let (of_head, of_module) = (
        signed_by(&[1], &head).der(),
        signed_by(&[1], &modules[2]).der(),
    );
    let type3 = [&2u32.to_be_bytes()[..], &proof[9..]].concat();
    let hard = |world: &World, kind, module: &[u8], message: &[u8]| {
        let class = result(world, &file(kind, module, message))
            .unwrap_err()
            .class();
        assert!(
            matches!(class, Class::Rejected | Class::Invalid | Class::BadMessage),
            "{class:?}"
        );
    };
    // The kernel's own tree has the root, or the very root, of a release; and has its own leaves.
    let root = slow::root(&leaves);
    let own_leaf =
        |position: u32| slow::sha256(&[&[1], &position.to_be_bytes(), &modules[position as usize]]);
    let own: Vec<Hash> = (0..4).map(own_leaf).collect();
    let own_node = |a: &Hash, b: &Hash| slow::sha256(&[&[2], a, b]);
    let (left, right) = (own_node(&own[0], &own[1]), own_node(&own[2], &own[3]));
    let own_proof = [&2u32.to_be_bytes()[..], &own[3], &left].concat();
    for (hash, own_is_good) in [(root, false), (own_node(&left, &right), true)] {
        let world = World {
            root: Some(Root { levels: 2, hash }),
            ..World::trusting(&[1])
        };
        let release = file(
            trailer::ID_RELEASE,
            &modules[2],
            &[&proof[..], &of_head].concat(),
        );
        assert_eq!(result(&world, &release), Ok(()));
        let answer = result(&world, &file(trailer::ID_MERKLE, &modules[2], &own_proof));
        assert_eq!(answer.is_ok(), own_is_good);
        // A release's proof, with and without what is around it, as one of the kernel's tree.
        for proof in [&type3[..], &proof, &[&proof[..], &of_head].concat()] {
            hard(&world, trailer::ID_MERKLE, &modules[2], proof);
        }
        // And the reverse, with a signature over a head with the kernel's root.
        let of_own = signed_by(&[1], &slow::head_of(4, &hash)).der();
        hard(&world, trailer::ID_RELEASE, &modules[2], &own_proof);
        for proof in [slow::proof_of(4, 2, &[own[3], left]), own_proof.clone()] {
            for cms in [&of_own, &of_head] {
                hard(
                    &world,
                    trailer::ID_RELEASE,
                    &modules[2],
                    &[&proof[..], cms].concat(),
                );
            }
        }
        // A signature over the module behind the proof, and the release's in a module's place.
        hard(
            &world,
            trailer::ID_RELEASE,
            &modules[2],
            &[&proof[..], &of_module].concat(),
        );
        hard(&world, trailer::ID_RELEASE, &modules[2], &of_module);
        hard(&world, trailer::ID_RELEASE, &modules[2], &of_head);
        hard(&world, trailer::ID_PKCS7, &modules[2], &of_head);
        hard(
            &world,
            trailer::ID_PKCS7,
            &modules[2],
            &[&proof[..], &of_head].concat(),
        );
        // A head is signed as any data is; the loader takes none for a module.
        assert_eq!(
            result(&world, &file(trailer::ID_PKCS7, &head, &of_head)),
            Ok(())
        );
    }
    let starts: [&[u8]; 8] = [
        b"\x7fELF",
        b"\x1f\x8b",
        b"\xfd7zXZ",
        b"\x28\xb5\x2f\xfd",
        b"\x04\x22\x4d\x18",
        b"\x30",
        b"\x31",
        b"MZ",
    ];
    for start in starts {
        assert!(!head.starts_with(start));
    }
}

#[test]
fn heads_of_another_form_are_not_taken() {
    let modules = slow::modules(3);
    let leaves = slow::leaves(&modules);
    let (good, proof) = (slow::head(&leaves), slow::proof(&leaves, 1));
    assert_eq!(good.len(), release::HEAD_SIZE);
    let with = |head: &[u8]| {
        let cms = signed_by(&[1], head).der();
        verdict(&modules[1], &[&proof[..], &cms].concat())
    };
    assert_eq!(with(&good), Ok(()));
    // Version, hash algorithm, size and root among them.
    for at in 0..good.len() {
        let mut other = good.clone();
        other[at] ^= 1;
        assert_eq!(with(&other), Err(Error::BadSignature), "byte {at}");
    }
    for other in [
        &good[..53],
        &good[1..],
        &[&good[..], &[0]].concat(),
        &good[22..],
        &[],
    ] {
        assert_eq!(with(other), Err(Error::BadSignature));
    }
}

#[test]
fn without_the_option_it_is_a_kind_that_nobody_knows() {
    let modules = slow::modules(2);
    let leaves = slow::leaves(&modules);
    let good = in_release(&modules[1], &leaves, 1);
    let malformed = file(trailer::ID_RELEASE, &modules[1], b"?");
    for root in [None, Some(Root::default())] {
        let world = World {
            releases: false,
            root,
            ..World::trusting(&[1])
        };
        for file in [&good, &malformed] {
            for checked in [
                check(&world, file, Flags::default()),
                check_by_hash(&world, file, Flags::default()),
            ] {
                assert_eq!(checked.result, Err(Error::UnknownIdType(0x4d)));
                assert_eq!(checked.result.unwrap_err().class(), Class::NoPackage);
                // As C cuts a kind that it does not know.
                assert_eq!(checked.module_len, file.len() - MARKER.len());
                assert_eq!((world.digested.get(), world.verified.get()), (0, 0));
            }
        }
    }
    // A kernel without keys does not know it either, and one with it knows no others.
    let world = World::trusting(&[1]);
    let checked = check_by_hash(&world, &good, Flags::default());
    assert_eq!(checked.result, Err(Error::UnknownIdType(0x4d)));
    for id_type in [0, 1, 3, 4, 0x4c, 0x4e, 255] {
        let answer = result(&world, &file(id_type, b"module", b"?"));
        assert_eq!(answer, Err(Error::UnknownIdType(id_type)));
    }
    let mut reserved = good.clone();
    let at = good.len() - MARKER.len() - trailer::SIZE;
    reserved[at] = 1;
    assert_eq!(result(&world, &reserved), Err(Error::ReservedField));
    assert_eq!(trailer::split(&good).unwrap().kind, Kind::Release);
}

#[test]
fn an_unknown_signer_costs_no_digest() {
    let modules = slow::modules(4);
    let leaves = slow::leaves(&modules);
    let world = World::trusting(&[2]);
    assert_eq!(
        result(&world, &in_release(&modules[1], &leaves, 1)),
        Err(Error::NoKey)
    );
    assert_eq!((world.digested.get(), world.verified.get()), (0, 0));
}

#[test]
fn the_tree_is_digested_once_for_all_signers() {
    let modules = slow::modules(8);
    let leaves = slow::leaves(&modules);
    let proof = slow::proof(&leaves, 5);
    let cms = signed_by(&[1, 2, 3], &slow::head(&leaves)).der();
    let file = file(trailer::ID_RELEASE, &modules[5], &[proof, cms].concat());
    let world = World::trusting(&[1, 2, 3]);
    assert_eq!(result(&world, &file), Ok(()));
    // The leaf, three nodes, the head.
    assert_eq!((world.digested.get(), world.verified.get()), (5, 3));
}

#[test]
fn without_sha256_nothing_is_taken() {
    let modules = slow::modules(2);
    let leaves = slow::leaves(&modules);
    let ml_dsa = Signer {
        key: common::algorithm(ML_DSA_44),
        signature: tlv(0x04, &sign(1, &slow::head(&leaves))),
        ..signer(1)
    };
    let message = [slow::proof(&leaves, 0), message(&[ml_dsa]).der()].concat();
    let file = file(trailer::ID_RELEASE, &modules[0], &message);
    let mut world = World {
        ml_dsa: true,
        ..World::trusting(&[1])
    };
    assert_eq!(result(&world, &file), Ok(()));
    world.missing = Some(DigestAlgorithm::Sha256);
    assert_eq!(result(&world, &file), Err(Error::ProofDigest));
    assert_eq!(Error::ProofDigest.class(), Class::Rejected);
}

/// What the message may be otherwise, it may be here: attributes, certificates, another digest.
#[test]
fn signers_are_those_of_any_message() {
    let modules = slow::modules(3);
    let leaves = slow::leaves(&modules);
    let head = slow::head(&leaves);
    let world = World {
        ml_dsa: true,
        ..World::trusting(&[1])
    };
    let with = |message: Message| {
        let message = [slow::proof(&leaves, 2), message.der()].concat();
        result(&world, &file(trailer::ID_RELEASE, &modules[2], &message))
    };
    // Its own certificate in the message; the key's number is the secret.
    let own = |signed: &[u8]| Message {
        certificates: certificates(&[cert(1, 9)]),
        ..message(&[Signer {
            signature: tlv(0x04, &sign(1, &digest(signed))),
            ..signer_of(1, 9)
        }])
    };
    assert_eq!(with(own(&head)), Ok(()));
    assert_eq!(with(own(&modules[2])), Err(Error::EmbeddedSignature(-129)));

    let attributes = |digest: &[u8]| {
        let mut all = signed_attributes(&[]);
        let at = all.len() - 32;
        all[at..].copy_from_slice(digest);
        all
    };
    let by_attributes = |attributes: Vec<u8>| {
        message(&[Signer {
            key: common::algorithm(ML_DSA_44),
            signature: tlv(0x04, &sign(1, &attributes[1..])),
            signed_attributes: attributes,
            ..signer(1)
        }])
    };
    assert_eq!(with(by_attributes(attributes(&digest(&head)))), Ok(()));
    let of_module = by_attributes(attributes(&digest(&modules[2])));
    assert_eq!(with(of_module), Err(Error::AttributeDigest));
}

#[test]
fn a_blacklisted_file_or_revoked_key_is_refused_whatever_the_release() {
    let modules = slow::modules(2);
    let leaves = slow::leaves(&modules);
    let file = in_release(&modules[1], &leaves, 1);
    let mut world = World {
        file_hashes: true,
        ..World::trusting(&[1])
    };
    assert_eq!(result(&world, &file), Ok(()));
    world.blacklisted.insert(digest(&file));
    assert_eq!(result(&world, &file), Err(Error::Blacklisted));
    // The module alone is not what is on the list.
    world.blacklisted = [digest(&modules[1])].into();
    assert_eq!(result(&world, &file), Ok(()));
    world.revoked.insert(1);
    assert_eq!(result(&world, &file), Err(Error::Revoked));
}

#[test]
fn a_message_is_taken_apart_and_put_together() {
    let leaves = slow::leaves(&slow::modules(11));
    for position in 0..11 {
        let proof = slow::proof(&leaves, position);
        let octets = [&proof[..], b"message"].concat();
        let Release { proof, message } = release::parse(&octets).unwrap();
        assert_eq!(
            (proof.size, proof.position, message),
            (11, position as u32, &b"message"[..])
        );
        let siblings: Vec<Hash> = proof
            .siblings
            .chunks(32)
            .map(|one| one.try_into().unwrap())
            .collect();
        let written = slow::proof_of(proof.size, proof.position, &siblings);
        assert_eq!([&written[..], message].concat(), octets);
    }
}
