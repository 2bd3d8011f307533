// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Modules that the kernel knows by their hashes.

#[path = "common/merkle.rs"]
mod slow;

use modsig::verify::{
    check, check_by_hash,
    merkle::{self, Root},
    trailer::{self, MARKER},
    Blacklist, Checked, Class, Digest, DigestAlgorithm, Error, Flags, Hashes, KeyId, Keyring,
    Lookup, Platform, PlatformError, PublicKey, Signature, Tree, Verification,
};
use sha2::{Digest as _, Sha256};

/// A kernel without keys.
struct Kernel {
    root: Option<Root>,
    blacklisted: Option<Vec<u8>>,
    has_sha256: bool,
}

fn kernel(root: Root) -> Kernel {
    Kernel {
        root: Some(root),
        blacklisted: None,
        has_sha256: true,
    }
}

impl Hashes for Kernel {
    type Hash = ();

    fn root(&self) -> Option<Root> {
        self.root
    }

    fn tree(&self) -> Tree {
        Tree {
            file_hashes: true,
            ..Tree::default()
        }
    }

    fn hash(&self, algorithm: DigestAlgorithm) -> Result<Option<()>, PlatformError> {
        assert_eq!(algorithm, DigestAlgorithm::Sha256);
        Ok(self.has_sha256.then_some(()))
    }

    fn digest(&self, (): &(), parts: &[&[u8]], digest: &mut Digest) -> Result<(), PlatformError> {
        digest.buffer()[..32].copy_from_slice(&Sha256::digest(parts.concat()));
        Ok(())
    }

    fn is_blacklisted(&self, what: Blacklist, digest: &Digest) -> Result<bool, PlatformError> {
        assert_eq!(what, Blacklist::File);
        Ok(self.blacklisted.as_deref() == Some(digest.as_bytes()))
    }
}

impl Platform for Kernel {
    type Key = ();

    fn find_key(
        &self,
        _: Keyring,
        _: Option<KeyId<'_>>,
        _: Option<KeyId<'_>>,
    ) -> Result<Lookup<()>, PlatformError> {
        panic!("there are no keys")
    }

    fn verify(&self, (): &(), _: &Signature<'_>) -> Result<Verification, PlatformError> {
        panic!("there are no keys")
    }

    fn verify_with(
        &self,
        _: &PublicKey<'_>,
        _: &Signature<'_>,
    ) -> Result<Verification, PlatformError> {
        panic!("there are no keys")
    }
}

fn file(module: &[u8], proof: &[u8]) -> Vec<u8> {
    let mut file = [module, proof].concat();
    file.extend([0, 0, trailer::ID_MERKLE, 0, 0, 0, 0, 0]);
    file.extend((proof.len() as u32).to_be_bytes());
    file.extend(MARKER);
    file
}

fn result(root: Root, module: &[u8], proof: &[u8]) -> Result<(), Error> {
    check(&kernel(root), &file(module, proof), Flags::default()).result
}

#[test]
fn each_module_is_taken_with_its_own_proof_only() {
    for count in 1..=33 {
        let modules = slow::modules(count);
        let root = slow::root(&modules);
        let proofs: Vec<_> = (0..count).map(|n| slow::proof(&modules, n)).collect();
        for (m, module) in modules.iter().enumerate() {
            for (p, proof) in proofs.iter().enumerate() {
                let expected = if m == p { Ok(()) } else { Err(Error::BadProof) };
                assert_eq!(
                    result(root, module, proof),
                    expected,
                    "{count}: {m} with {p}"
                );
            }
        }
    }
}

#[test]
fn what_loads_is_the_module_without_its_proof() {
    let modules = slow::modules(5);
    let file = file(&modules[3], &slow::proof(&modules, 3));
    let kernel = kernel(slow::root(&modules));
    let Checked {
        module_len,
        signer,
        result,
    } = check(&kernel, &file, Flags::default());
    assert_eq!((module_len, signer), (modules[3].len(), None));
    assert_eq!(result, Ok(()));
}

#[test]
fn every_flipped_bit_is_refused_for_good() {
    let modules = slow::modules(6);
    let root = slow::root(&modules);
    for n in [0, 4, 5] {
        let good = file(&modules[n], &slow::proof(&modules, n));
        let of_proof = good.len() - MARKER.len() - trailer::SIZE;
        for at in 0..of_proof {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                let error = check(&kernel(root), &bad, Flags::default()).result;
                let class = error.unwrap_err().class();
                assert_eq!(class, Class::Rejected, "bit {bit} of byte {at}");
            }
        }
    }
}

#[test]
fn the_position_says_on_which_side_and_stays_inside_the_tree() {
    let modules = slow::modules(5);
    let root = slow::root(&modules);
    let proof = slow::proof(&modules, 4);
    let at = |position: u32| {
        let moved = [&position.to_be_bytes(), &proof[4..]].concat();
        result(root, &modules[4], &moved)
    };
    assert_eq!(at(4), Ok(()));
    // Places that only pairing a node with itself makes: as good as any other wrong one.
    for position in [0, 1, 5, 6, 7] {
        assert_eq!(at(position), Err(Error::BadProof), "{position}");
    }
    for position in [8, 12, 1 << 31, u32::MAX] {
        assert_eq!(at(position), Err(Error::ProofPosition(position)));
    }
}

#[test]
fn a_proof_has_the_size_of_the_tree() {
    let modules = slow::modules(5);
    let root = slow::root(&modules);
    let proof = slow::proof(&modules, 2);
    let longer = [&proof[..], &[0; 32]].concat();
    for octets in [0, 1, 3, 4, 35, 36, 68, 99, 101, 132] {
        assert_eq!(
            result(root, &modules[2], &longer[..octets]),
            Err(Error::ProofSize { levels: 3, octets })
        );
    }
    for levels in [0, 1, 2, 4, 32, 33, u32::MAX] {
        assert_eq!(
            result(Root { levels, ..root }, &modules[2], &proof),
            Err(Error::ProofSize {
                levels,
                octets: 100
            })
        );
    }
}

/// A module that is the children of a node, with the proof from that node on.
#[test]
fn an_inner_node_is_no_leaf() {
    let modules = slow::modules(4);
    let root = slow::root(&modules);
    let proofs = [0, 1].map(|n| slow::proof(&modules, n));
    // Each one's first sibling is the other's leaf.
    let children = [&proofs[1][4..36], &proofs[0][4..36]].concat();
    let upper_half = &proofs[0][36..];
    for levels in [1, 2] {
        for module in [&children[..], &[&[2], &children[..]].concat()] {
            let proof = [&0u32.to_be_bytes()[..], upper_half].concat();
            let answer = result(Root { levels, ..root }, module, &proof);
            assert_eq!(answer.unwrap_err().class(), Class::Rejected);
        }
    }
}

#[test]
fn nothing_matches_a_root_that_was_never_written() {
    let modules = slow::modules(1);
    let proof = slow::proof(&modules, 0);
    for levels in [0, 1, 5] {
        let root = Root {
            levels,
            hash: [0; 32],
        };
        let proof = [&proof[..], &vec![0; 32 * levels as usize]].concat();
        assert_eq!(result(root, &modules[0], &proof), Err(Error::NoRoot));
    }
    // One module is its own root.
    assert_eq!(result(slow::root(&modules), &modules[0], &proof), Ok(()));
}

#[test]
fn a_kernel_takes_only_what_it_is_to_take() {
    let modules = slow::modules(3);
    let proven = file(&modules[0], &slow::proof(&modules, 0));
    let signed = [
        &modules[0][..],
        b"message",
        &[0, 0, trailer::ID_PKCS7, 0, 0, 0, 0, 0],
    ]
    .concat();
    let signed = [&signed[..], &7u32.to_be_bytes(), MARKER].concat();
    let result = |keys, hashes: Option<Root>, file: &[u8]| {
        let kernel = Kernel {
            root: hashes,
            ..kernel(Root::default())
        };
        let checked = match keys {
            true => check(&kernel, file, Flags::default()),
            false => check_by_hash(&kernel, file, Flags::default()),
        };
        (checked.result, checked.module_len)
    };
    let root = Some(slow::root(&modules));
    for keys in [false, true] {
        assert_eq!(result(keys, root, &proven), (Ok(()), modules[0].len()));
    }
    // As C cuts a kind that it does not know.
    let unknown = (Err(Error::UnknownIdType(3)), proven.len() - MARKER.len());
    assert_eq!(result(true, None, &proven), unknown);
    // With neither keys nor a tree, nothing loads.
    assert_eq!(
        result(false, None, &proven),
        (Err(Error::NoRoot), modules[0].len())
    );
    let unknown = (Err(Error::UnknownIdType(2)), signed.len() - MARKER.len());
    assert_eq!(result(false, root, &signed), unknown);
    let (error, _) = result(true, root, &signed);
    assert_eq!(error.unwrap_err().class(), Class::BadMessage);
    let unsigned = result(true, root, &modules[0]);
    assert_eq!(unsigned, (Err(Error::Unsigned), modules[0].len()));
}

#[test]
fn a_blacklisted_file_is_refused_whatever_its_proof() {
    let modules = slow::modules(2);
    let file = file(&modules[1], &slow::proof(&modules, 1));
    let kernel = Kernel {
        blacklisted: Some(Sha256::digest(&file).to_vec()),
        ..kernel(slow::root(&modules))
    };
    let result = check(&kernel, &file, Flags::default()).result;
    assert_eq!(result, Err(Error::Blacklisted));
}

#[test]
fn without_sha256_nothing_is_taken() {
    let modules = slow::modules(2);
    let file = file(&modules[1], &slow::proof(&modules, 1));
    let kernel = Kernel {
        has_sha256: false,
        ..kernel(slow::root(&modules))
    };
    let result = check(&kernel, &file, Flags::default()).result;
    assert_eq!(result, Err(Error::ProofDigest));
    assert_eq!(result.unwrap_err().class(), Class::Rejected);
}

/// No error of a proof lets a permissive kernel go on.
#[test]
fn each_reason_is_one_to_refuse_always() {
    for error in [
        Error::NoRoot,
        Error::ProofSize {
            levels: 1,
            octets: 4,
        },
        Error::ProofPosition(2),
        Error::ProofDigest,
        Error::BadProof,
    ] {
        assert_eq!(error.class(), Class::Rejected, "{error:?}");
    }
}

/// More levels than a position has bits: all positions are inside.
#[test]
fn a_tree_may_be_as_deep_as_it_likes() {
    let modules = slow::modules(2);
    for levels in [31, 32, 33, 40] {
        let position = if levels < 32 { 1 << 30 } else { u32::MAX };
        let mut node = Sha256::digest([&[1], &position.to_be_bytes()[..], &modules[1]].concat());
        let mut proof = position.to_be_bytes().to_vec();
        for level in 0..levels {
            let sibling = [level as u8; 32];
            let is_right = u64::from(position) >> level & 1 == 1;
            let (left, right) = match is_right {
                true => (&sibling[..], &node[..]),
                false => (&node[..], &sibling[..]),
            };
            node = Sha256::digest([&[2], left, right].concat());
            proof.extend(sibling);
        }
        let hash = node.into();
        assert_eq!(result(Root { levels, hash }, &modules[1], &proof), Ok(()));
    }
}

#[test]
fn a_proof_is_a_position_and_whole_hashes() {
    let octets = [0, 0, 1, 2];
    assert_eq!(merkle::parse(&octets), Some((258, &[][..])));
    let one = [&octets[..], &[7; 32]].concat();
    assert_eq!(merkle::parse(&one), Some((258, &[7; 32][..])));
    for short in [0, 3, 5, 35] {
        assert_eq!(merkle::parse(&one[..short]), None);
    }
}
