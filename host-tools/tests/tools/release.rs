// SPDX-License-Identifier: MIT OR Apache-2.0

//! One signature for all modules: signed here, and taken apart by hand and by OpenSSL.

// What the kernel tests itself with.
#[allow(dead_code)]
#[path = "../../../rust/modsig/selftest/vectors.rs"]
mod vectors;

use std::fs;

use modsig::verify::{trailer, Error, Flags};
use modsig_tools::platform::Host;
use openssl::{
    pkcs7::{Pkcs7, Pkcs7Flags},
    sha::sha256,
    stack::Stack,
    x509::{store::X509StoreBuilder, X509},
};
use tempfile::TempDir;

use crate::common::*;

/// This many modules in `lib`, all different; the key has the name `k.pem`.
fn modules(algorithm: &str, count: usize) -> TempDir {
    let work = set_up(algorithm);
    fs::create_dir(work.path().join("lib")).unwrap();
    for n in 0..count {
        fs::write(work.path().join(name(n)), content(n)).unwrap();
    }
    work
}

fn name(n: usize) -> String {
    format!("lib/m{n:02}.ko")
}

fn content(n: usize) -> Vec<u8> {
    [MODULE, format!("module {n}").as_bytes()].concat()
}

const RELEASE: [&str; 7] = [
    "sign",
    "--release",
    "--key",
    "k.pem",
    "--cert",
    "c.pem",
    "lib",
];

const CHECK: [&str; 4] = ["verify", "--cert", "c.pem", "lib"];

/// Size, position, siblings and CMS message of a file in a release; the module itself.
fn taken_apart(file: &[u8]) -> (u32, u32, Vec<[u8; 32]>, Vec<u8>, Vec<u8>) {
    let end = file.len() - trailer::MARKER.len() - trailer::SIZE;
    assert_eq!(file[end..end + 8], [0, 0, 0x4d, 0, 0, 0, 0, 0]);
    let number = |at: usize| u32::from_be_bytes(file[at..at + 4].try_into().unwrap());
    let start = end - number(end + 8) as usize;
    assert_eq!(file[start], 1);
    let (size, position) = (number(start + 1), number(start + 5));
    // The check of RFC 9162 section 2.1.3.2, for how many there are.
    let (mut first, mut second, mut count) = (position, size - 1, 0);
    while second > 0 {
        while first & 1 == 0 && first == second {
            (first, second) = (first >> 1, second >> 1);
        }
        (first, second, count) = (first >> 1, second >> 1, count + 1);
    }
    let siblings = file[start + 9..start + 9 + 32 * count].chunks(32);
    let siblings = siblings.map(|one| one.try_into().unwrap()).collect();
    let cms = file[start + 9 + 32 * count..end].to_vec();
    (size, position, siblings, cms, file[..start].to_vec())
}

fn root(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            sha256(&[&[4][..], &root(left), &root(right)].concat())
        }
    }
}

#[test]
fn one_signature_is_over_the_tree_of_all() {
    for count in [1, 2, 3, 7, 13] {
        let work = modules("rsa-2048", count);
        good(&modsig(&work, &RELEASE));
        let leaves: Vec<_> = (0..count)
            .map(|n| sha256(&[&[3][..], &content(n)].concat()))
            .collect();
        let fields = [&[1, 4][..], &(count as u32).to_be_bytes()].concat();
        let head = [b"modsig: release\0", &fields[..], &root(&leaves)].concat();
        let mut all_cms = vec![];
        for n in 0..count {
            let (size, position, _, cms, module) = taken_apart(&read(&work, &name(n)));
            assert_eq!((size as usize, position as usize), (count, n));
            assert_eq!(module, content(n));
            all_cms.push(cms);
        }
        all_cms.dedup();
        assert_eq!(all_cms.len(), 1, "one signature");
        let certificate = X509::from_pem(&read(&work, "c.pem")).unwrap();
        let mut store = X509StoreBuilder::new().unwrap();
        store.add_cert(certificate.clone()).unwrap();
        let mut signers = Stack::new().unwrap();
        signers.push(certificate).unwrap();
        let flags = Pkcs7Flags::BINARY | Pkcs7Flags::DETACHED | Pkcs7Flags::NOVERIFY;
        Pkcs7::from_der(&all_cms[0])
            .unwrap()
            .verify(&signers, &store.build(), Some(&head), None, flags)
            .expect("OpenSSL finds it good");
        says(&modsig(&work, &CHECK), "good");
    }
}

#[test]
fn a_module_loads_alone_and_in_no_other_place() {
    let work = modules("p256", 5);
    good(&modsig(&work, &RELEASE));
    let files: Vec<_> = (0..5).map(|n| read(&work, &name(n))).collect();
    let certificate = X509::from_pem(&read(&work, "c.pem")).unwrap();
    let mut host = Host::default();
    host.trust(&certificate).unwrap();
    let result = |host: &Host, file: &[u8]| host.check(file, Flags::default()).result;
    assert_eq!(result(&host, &files[2]), Err(Error::UnknownIdType(0x4d)));
    host.accept_releases();
    for (n, file) in files.iter().enumerate() {
        assert_eq!(result(&host, file), Ok(()));
        let end = &file[content(n).len()..];
        let other = [&content((n + 1) % 5)[..], end].concat();
        assert_eq!(result(&host, &other), Err(Error::BadSignature));
    }
    // With another certificate nobody knows it.
    good(&modsig(
        &work,
        &[
            "keygen", "--key", "k2.pem", "--cert", "c2.pem", "--cn", "other",
        ],
    ));
    let output = modsig(&work, &["verify", "--cert", "c2.pem", "lib/m02.ko"]);
    fails(&output, 1, "");
}

#[test]
fn it_is_seen_and_taken_off() {
    let work = modules("p256", 3);
    good(&modsig(&work, &RELEASE));
    let output = modsig(&work, &["inspect", "lib/m02.ko"]);
    says(&output, " for a release: position 2 of 3");
    says(&output, "signer issuer");
    let output = modsig(&work, &["inspect", "--json", "lib/m01.ko"]);
    says(&output, "\"position\":1,\"release\":3");
    says(
        &modsig(&work, &["verify", "--cert", "c.pem", "lib/m01.ko"]),
        "good, with its release: for kernels with CONFIG_MODULE_SIG_RUST_RELEASE",
    );
    let output = modsig(
        &work,
        &["verify", "--json", "--cert", "c.pem", "lib/m01.ko"],
    );
    says(&output, "\"of_release\":true");
    good(&modsig(&work, &["strip", "lib"]));
    for n in 0..3 {
        assert_eq!(read(&work, &name(n)), content(n));
    }
    let output = modsig(
        &work,
        &["verify", "--json", "--cert", "c.pem", "lib/m01.ko"],
    );
    fails(&output, 1, "");
}

#[test]
fn what_is_signed_already_is_left_or_replaced() {
    let work = modules("p256", 4);
    good(&modsig(
        &work,
        &[
            &["sign", "--key", "k.pem", "--cert", "c.pem"][..],
            &["lib/m00.ko"],
        ]
        .concat(),
    ));
    good(&modsig(&work, &RELEASE));
    let first: Vec<_> = (0..4).map(|n| read(&work, &name(n))).collect();
    assert_eq!(taken_apart(&first[0]).4, content(0), "signed once");

    let missing = [&RELEASE[..], &["--only-missing"]].concat();
    says(&modsig(&work, &missing), "4 signed before");
    // One that was lost gets the signature that the others have.
    fs::write(work.path().join(name(2)), content(2)).unwrap();
    says(&modsig(&work, &missing), "3 signed before");
    assert!(first
        .iter()
        .zip(0..)
        .all(|(file, n)| *file == read(&work, &name(n))));
    // Of another release, none has.
    fs::write(work.path().join(name(4)), content(4)).unwrap();
    good(&modsig(&work, &missing));
    for n in 0..5 {
        assert_eq!(taken_apart(&read(&work, &name(n))).0, 5);
    }
    says(&modsig(&work, &CHECK), "5 good");
}

#[test]
fn nothing_is_signed_if_one_cannot_be() {
    let work = modules("p256", 3);
    fs::write(work.path().join("lib/m01.ko"), b"no module").unwrap();
    let before = all_of(&work);
    fails(&modsig(&work, &RELEASE), 2, "nothing was signed");
    let missing = [&RELEASE[..], &["nowhere.ko"]].concat();
    fs::write(work.path().join("lib/m01.ko"), content(1)).unwrap();
    let now = all_of(&work);
    fails(&modsig(&work, &missing), 2, "nothing was signed");
    assert_eq!(all_of(&work), now);
    assert_ne!(before, now);
    let dry = [&RELEASE[..], &["--dry-run"]].concat();
    says(&modsig(&work, &dry), "3 to be signed");
    assert_eq!(all_of(&work), now);
}

#[test]
fn packed_modules_and_copies_are_of_the_release() {
    let work = modules("p256", 3);
    good(&run(&work, "xz", &["--check=crc32", "-f", "lib/m01.ko"]));
    let copies = [&RELEASE[..], &["--dest-dir", "out"]].concat();
    good(&modsig(&work, &copies));
    assert_eq!(read(&work, "lib/m00.ko"), content(0));
    good(&run(&work, "xz", &["-d", "out/m01.ko.xz"]));
    assert_eq!(taken_apart(&read(&work, "out/m01.ko")).1, 1);
    says(
        &modsig(&work, &["verify", "--cert", "c.pem", "out"]),
        "3 good",
    );
}

/// OpenSSL has signed it, over a tree that was made in the shell (`scripts/tools/selftest-vectors`).
#[test]
fn the_release_of_the_kernels_self_test_is_good() {
    let message = vectors::RELEASE_MESSAGE;
    let end = modsig_tools::message::trailer_of(trailer::Kind::Release, message.len() as u32);
    let mut file = [vectors::CONTENT, message, &end].concat();
    let mut host = Host::default();
    host.trust(&X509::from_der(vectors::RSA_CERTIFICATE).unwrap())
        .unwrap();
    host.accept_releases();
    assert_eq!(host.check(&file, Flags::default()).result, Ok(()));
    file[0] ^= 1;
    assert_eq!(
        host.check(&file, Flags::default()).result,
        Err(Error::BadSignature)
    );
}
