// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What is remembered of signatures for a release changes no verdict.

mod common;
#[path = "common/release.rs"]
mod slow;
#[path = "common/world.rs"]
mod world;

use std::cell::RefCell;

use common::{
    cert, certificates, message, signed_attributes, signer, signer_of, tlv, Message, Random,
    Signer, ML_DSA_44,
};
use modsig::verify::{
    check,
    memo::{Entry, Memo, Memory, ENTRIES, MAX},
    trailer::{self, MARKER},
    DigestAlgorithm, Error, Flags, KeyAlgorithm, Signature, Signed,
};
use slow::Hash;
use world::{sign, Key, World};

fn file(kind: u8, module: &[u8], message: &[u8]) -> Vec<u8> {
    let mut file = [module, message].concat();
    file.extend([0, 0, kind, 0, 0, 0, 0, 0]);
    file.extend((message.len() as u32).to_be_bytes());
    file.extend(MARKER);
    file
}

fn digest(signed: &[u8]) -> Vec<u8> {
    slow::sha256(&[signed]).to_vec()
}

fn signer_over(key: u8, signed: &[u8]) -> Signer {
    Signer {
        signature: tlv(0x04, &sign(key, &digest(signed))),
        ..signer(key)
    }
}

/// A world that remembers.
fn remembering(keys: &[u8]) -> World {
    World {
        memo: Some(RefCell::default()),
        ..World::trusting(keys)
    }
}

fn result(world: &World, file: &[u8]) -> Result<(), Error> {
    check(world, file, Flags::default()).result
}

/// Modules of a release, and the tree over them.
struct Tree {
    modules: Vec<Vec<u8>>,
    leaves: Vec<Hash>,
}

impl Tree {
    /// The modules of one number differ from those of another.
    fn new(number: usize, count: usize) -> Self {
        let modules: Vec<_> = (0..count)
            .map(|n| format!("\x7fELF module {n} of release {number}").into_bytes())
            .collect();
        let leaves = slow::leaves(&modules);
        Tree { modules, leaves }
    }

    fn head(&self) -> Vec<u8> {
        slow::head(&self.leaves)
    }

    fn file(&self, at: usize, cms: &Message) -> Vec<u8> {
        let message = [slow::proof(&self.leaves, at), cms.der()].concat();
        file(trailer::ID_RELEASE, &self.modules[at], &message)
    }
}

#[test]
fn a_key_is_asked_once_for_all_modules_of_a_release() {
    let tree = Tree::new(0, 9);
    let cms = message(&[signer_over(1, &tree.head())]);
    let world = remembering(&[1]);
    for at in 0..9 {
        assert_eq!(result(&world, &tree.file(at, &cms)), Ok(()));
    }
    assert_eq!(world.verified.get(), 1);
    // The signature of a single module is no other module's: it is not remembered.
    let cms = message(&[signer_over(1, &tree.modules[0])]).der();
    let single = file(trailer::ID_PKCS7, &tree.modules[0], &cms);
    for _ in 0..2 {
        assert_eq!(result(&world, &single), Ok(()));
    }
    assert_eq!(world.verified.get(), 3);
}

#[test]
fn certificates_in_the_message_are_checked_each_time() {
    let tree = Tree::new(0, 4);
    let cms = |number: u8| Message {
        certificates: certificates(&[cert(1, 9), cert(number, 9)]),
        ..message(&[Signer {
            signature: tlv(0x04, &sign(1, &digest(&tree.head()))),
            ..signer_of(1, 9)
        }])
    };
    let world = remembering(&[1]);
    for at in 0..4 {
        assert_eq!(result(&world, &tree.file(at, &cms(at as u8 + 20))), Ok(()));
    }
    // Whatever else is in the messages: the signature is one, and the key in the keyring is asked
    // about it once. That of the certificate is asked each time.
    assert_eq!(world.verified.get(), 4 + 1);
}

#[test]
fn failures_are_not_remembered() {
    let tree = Tree::new(0, 2);
    let head = tree.head();
    let good = tree.file(0, &message(&[signer_over(1, &head)]));
    let bad = tree.file(1, &message(&[signer_over(9, &head)]));
    let world = remembering(&[1]);
    for before in 1..3 {
        world.fails.set(Some(-12));
        assert_eq!(result(&world, &good), Err(Error::Platform(-12)));
        assert_eq!(world.verified.get(), before);
    }
    world.unsupported.set(true);
    for before in 3..5 {
        assert_eq!(result(&world, &good), Err(Error::AlgorithmNotBuiltIn));
        assert_eq!(world.verified.get(), before);
    }
    world.unsupported.set(false);
    let wrong = Signer {
        signature: tlv(0x04, &sign(9, &digest(&head))),
        ..signer(1)
    };
    let wrong = tree.file(0, &message(&[wrong]));
    for before in 5..7 {
        assert_eq!(result(&world, &wrong), Err(Error::BadSignature));
        assert_eq!(result(&world, &bad), Err(Error::NoKey));
        assert_eq!(world.verified.get(), before);
    }
    assert_eq!(result(&world, &good), Ok(()));
    assert_eq!(world.verified.get(), 7);
}

/// Each of these was good for something once, and is not for this.
#[test]
fn what_is_remembered_is_good_for_nothing_else() {
    let (one, other) = (Tree::new(1, 3), Tree::new(2, 3));
    let (head, other_head) = (one.head(), other.head());
    let mut world = remembering(&[1, 2]);
    let by = |key, tree: &Tree, head: &[u8]| tree.file(0, &message(&[signer_over(key, head)]));
    for (key, tree, head) in [(1, &one, &head), (2, &one, &head), (1, &other, &other_head)] {
        assert_eq!(result(&world, &by(key, tree, head)), Ok(()));
    }
    let named = |name: u8, value: Vec<u8>| Signer {
        signature: tlv(0x04, &value),
        ..signer(name)
    };
    let value = |key, head: &[u8]| sign(key, &digest(head));
    for (what, tree, signers) in [
        (
            "one CMS with another head",
            &one,
            vec![signer_over(1, &other_head)],
        ),
        ("and the reverse", &other, vec![signer_over(1, &head)]),
        (
            "one key's signature by another name",
            &one,
            vec![named(2, value(1, &head))],
        ),
        ("a signature of nothing", &one, vec![named(1, vec![])]),
        (
            "one byte more",
            &one,
            vec![named(1, [&value(1, &head)[..], &[0]].concat())],
        ),
        // One key, one head and one message, and two signatures.
        (
            "a good one, and a bad one behind it",
            &one,
            vec![signer_over(1, &head), named(1, value(7, &head))],
        ),
        (
            "a bad one, and a good one behind it",
            &one,
            vec![named(1, value(7, &head)), signer_over(1, &head)],
        ),
    ] {
        for _ in 0..2 {
            let answer = result(&world, &tree.file(1, &message(&signers)));
            assert_eq!(answer, Err(Error::BadSignature), "{what}");
        }
    }
    let good = by(1, &one, &head);
    assert_eq!(result(&world, &good), Ok(()));

    // Asked anew each time: whether the key is revoked, or trusted, or another by now.
    world.revoked.insert(1);
    assert_eq!(result(&world, &good), Err(Error::Revoked));
    world.revoked.clear();
    assert_eq!(result(&world, &good), Ok(()));
    world.trusted.remove(&1);
    assert_eq!(result(&world, &good), Err(Error::NoKey));
    world.trusted.insert(1, Key::new(5));
    assert_eq!(result(&world, &good), Err(Error::BadSignature));
    world.trusted.insert(1, Key::new(1));
    assert_eq!(result(&world, &good), Ok(()));
    world.file_hashes = true;
    world.blacklisted.insert(digest(&good));
    assert_eq!(result(&world, &good), Err(Error::Blacklisted));
}

#[test]
fn the_oldest_goes_and_its_key_with_it() {
    let mut world = remembering(&[1]);
    let trees: Vec<_> = (0..ENTRIES + 2)
        .map(|number| Tree::new(number, 2))
        .collect();
    let load = |world: &World, number: usize| {
        let tree: &Tree = &trees[number];
        let before = world.verified.get();
        let cms = message(&[signer_over(1, &tree.head())]);
        assert_eq!(result(world, &tree.file(0, &cms)), Ok(()));
        world.verified.get() - before
    };
    for number in 0..ENTRIES {
        assert_eq!(load(&world, number), 1);
        assert_eq!(load(&world, number), 0);
    }
    // One of the test's, one for each entry.
    let old = world.trusted[&1].clone();
    assert_eq!(old.holders(), 2 + ENTRIES);
    // Oldest out, however often it was asked for.
    assert_eq!(load(&world, 0), 0);
    assert_eq!(load(&world, ENTRIES), 1);
    assert_eq!(load(&world, 1), 0);
    assert_eq!(load(&world, 0), 1);
    assert_eq!(load(&world, 1), 1);
    assert_eq!(old.holders(), 2 + ENTRIES);
    world.trusted.insert(1, Key::new(1));
    for number in 0..ENTRIES {
        assert_eq!(load(&world, number), 1);
    }
    assert_eq!(old.holders(), 1);
}

fn signature<'a>(octets: &'a [u8], value: &'a [u8]) -> Signature<'a> {
    Signature {
        key: KeyAlgorithm::Rsa,
        signed: Signed::Digest {
            algorithm: DigestAlgorithm::Sha256,
            octets,
        },
        value,
    }
}

#[test]
fn an_entry_is_what_the_key_was_asked() {
    let memo = RefCell::new(Memo::new());
    let key = Key::new(1);
    let base = signature(b"digest", b"value");
    memo.remember(&key, &base);
    assert!(memo.knows(&key, &base));
    assert!(!memo.knows(&Key::new(1), &base), "another key");
    let (algorithm, octets) = (DigestAlgorithm::Sha512, &b"digest"[..]);
    for (what, other) in [
        ("value", signature(b"digest", b"valuf")),
        ("where one ends", signature(b"digestv", b"alue")),
        ("digest", signature(b"digesu", b"value")),
        (
            "algorithm",
            Signature {
                key: KeyAlgorithm::Ecdsa,
                ..base
            },
        ),
        (
            "digest algorithm",
            Signature {
                signed: Signed::Digest { algorithm, octets },
                ..base
            },
        ),
        (
            "data",
            Signature {
                signed: Signed::Data(octets),
                ..base
            },
        ),
        (
            "attributes",
            Signature {
                signed: Signed::Attributes {
                    algorithm: DigestAlgorithm::Sha256,
                    after_tag: octets,
                },
                ..base
            },
        ),
    ] {
        assert!(!memo.knows(&key, &other), "{what}");
    }
}

#[test]
fn what_two_processors_found_at_once_is_remembered_once() {
    let mut memo = Memo::new();
    let key = Key::new(1);
    let entry = |value: &[u8]| {
        let entry = Entry::new(key.clone(), &signature(b"digest", value), |o| {
            Some(o.to_vec())
        });
        entry.expect("there is room")
    };
    assert!(memo.remember(entry(b"first")).is_none());
    assert!(memo.remember(entry(b"second")).is_none());
    for _ in 0..2 * ENTRIES {
        assert!(memo.remember(entry(b"second")).is_some());
    }
    assert!(memo.knows(&key, &signature(b"digest", b"first")));
    assert_eq!(key.holders(), 3);
}

#[test]
fn what_there_is_no_room_for_is_not_remembered() {
    let key = Key::new(1);
    let long = vec![0; MAX + 1];
    let copy = |octets: &[u8]| Some(octets.to_vec());
    for (signed, value, room) in [
        (&long[..MAX], &long[..MAX], true),
        (&long, b"value", false),
        (b"digest", &long, false),
    ] {
        let entry = Entry::new(key.clone(), &signature(signed, value), copy);
        assert_eq!(entry.is_some(), room);
    }
    for fails in [b"digest".len(), b"value".len()] {
        let copy = |octets: &[u8]| (octets.len() != fails).then(|| octets.to_vec());
        let entry = Entry::new(key.clone(), &signature(b"digest", b"value"), copy);
        assert!(entry.is_none());
    }
    assert_eq!(key.holders(), 1);
}

/// Every form that a message may have, good and bad.
fn files() -> Vec<Vec<u8>> {
    let mut all = vec![];
    for number in 0..5 {
        let tree = Tree::new(number, 3 + number);
        let other = Tree::new(number + 1, 4 + number).head();
        let head = tree.head();
        let named = |name, key, head: &[u8]| Signer {
            signature: tlv(0x04, &sign(key, &digest(head))),
            ..signer(name)
        };
        let ml_dsa = |signed: &[u8]| Signer {
            key: common::algorithm(ML_DSA_44),
            signature: tlv(0x04, &sign(1, signed)),
            ..signer(1)
        };
        let mut attributes = signed_attributes(&[]);
        let at = attributes.len() - 32;
        attributes[at..].copy_from_slice(&digest(&head));
        let own = |secret| Message {
            certificates: certificates(&[cert(2, 9)]),
            ..message(&[Signer {
                signature: tlv(0x04, &sign(secret, &digest(&head))),
                ..signer_of(2, 9)
            }])
        };
        let messages = [
            message(&[signer_over(1, &head)]),
            message(&[signer_over(2, &head)]),
            message(&[signer_over(3, &head)]),
            message(&[signer_over(1, &head), signer_over(2, &head)]),
            message(&[signer_over(1, &head), signer_over(2, &other)]),
            message(&[signer_over(9, &head), signer_over(3, &head)]),
            message(&[signer_over(1, &other)]),
            message(&[named(2, 1, &head)]),
            message(&[named(1, 1, &head), named(1, 2, &head)]),
            message(&[ml_dsa(&head)]),
            message(&[ml_dsa(&other)]),
            message(&[Signer {
                signed_attributes: attributes.clone(),
                ..ml_dsa(&attributes[1..])
            }]),
            own(2),
            own(1),
        ];
        for cms in &messages {
            for at in [0, tree.modules.len() - 1] {
                all.push(tree.file(at, cms));
            }
        }
        let single = message(&[signer_over(1, &tree.modules[0])]).der();
        all.push(file(trailer::ID_PKCS7, &tree.modules[0], &single));
    }
    all
}

/// Changes a world in one way out of many.
fn change(world: &mut World, random: &mut Random, files: &[Vec<u8>]) {
    let number = 1 + random.below(3) as u8;
    match random.below(10) {
        // The same key again, as another object; another one under its name.
        0 => drop(world.trusted.insert(number, Key::new(number))),
        1 => drop(
            world
                .trusted
                .insert(number, Key::new(1 + random.below(4) as u8)),
        ),
        2 => drop(world.trusted.remove(&number)),
        3 | 4 => drop(world.trusted.insert(number, Key::new(number))),
        5 if world.revoked.len() < 2 => drop(world.revoked.insert(number)),
        5 | 6 => drop(world.revoked.remove(&number)),
        7 => drop(
            world
                .blacklisted
                .insert(digest(&files[random.below(files.len())])),
        ),
        8 => world.blacklisted.clear(),
        _ => world.unsupported.set(random.below(4) == 0),
    }
}

#[test]
fn verdicts_are_the_same_with_and_without() {
    let files = files();
    let (mut good, mut with, mut without) = (0, 0, 0);
    for seed in 1..=40 {
        let mut random = Random(seed);
        let mut world = World {
            ml_dsa: true,
            file_hashes: true,
            ..remembering(&[1, 2, 3])
        };
        // Some of the files, so that they come again.
        let few: Vec<_> = (0..12).map(|_| &files[random.below(files.len())]).collect();
        for step in 0..60 {
            if random.below(3) == 0 {
                // Nothing is there that could not have been checked: that the platform lacks an
                // algorithm all of a sudden is no world of this kind.
                change(&mut world, &mut random, &files);
                if world.unsupported.get() {
                    world.memo = Some(RefCell::default());
                }
            }
            let file = few[random.below(few.len())];
            let ask = |world: &World, verified: &mut usize| {
                let before = world.verified.get();
                let checked = check(world, file, Flags::default());
                *verified += world.verified.get() - before;
                let signer = checked.signer.map(|signer| signer.id.key_id().0.to_vec());
                (checked.result, checked.module_len, signer)
            };
            let remembered = ask(&world, &mut with);
            let memo = world.memo.take();
            let anew = ask(&world, &mut without);
            world.memo = memo;
            good += usize::from(anew.0.is_ok());
            assert_eq!(remembered, anew, "step {step} of world {seed}");
        }
    }
    assert!(good > 300, "{good} loads");
    assert!(
        0 < with && with + 300 < without,
        "{with} of {without} signatures checked"
    );
}
