// SPDX-License-Identifier: MIT OR Apache-2.0

//! One signature for all modules: signed here, and taken apart by hand and by OpenSSL.

// What the kernel tests itself with.
#[allow(dead_code)]
#[path = "../../../rust/modsig/selftest/vectors.rs"]
mod vectors;

use std::{fs, os::unix::fs::MetadataExt};

use modsig::verify::{trailer, Error, Flags};
use modsig_tools::platform::Host;
use openssl::{
    pkcs7::{Pkcs7, Pkcs7Flags},
    sha::sha256,
    stack::Stack,
    x509::{store::X509StoreBuilder, X509},
};
use serde_json::json;
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

fn leaf(module: &[u8]) -> [u8; 32] {
    sha256(&[&[3][..], module].concat())
}

/// What is signed for these modules.
fn head(contents: &[Vec<u8>]) -> Vec<u8> {
    let mut leaves: Vec<_> = contents.iter().map(|content| leaf(content)).collect();
    leaves.sort();
    let size = (contents.len() as u32).to_be_bytes();
    [b"modsig: release\0\x01\x04", &size[..], &root(&leaves)].concat()
}

/// These files are these modules, each in its place of a tree over them all, with one signature over its head,
/// which OpenSSL finds good.
fn is_release(work: &TempDir, contents: &[Vec<u8>], files: &[Vec<u8>]) {
    let of_all: Vec<_> = (0..contents.len()).collect();
    is_part(work, contents, &of_all, files);
}

/// The same of some of the modules of a tree, by their numbers.
fn is_part(work: &TempDir, contents: &[Vec<u8>], numbers: &[usize], files: &[Vec<u8>]) {
    let mut leaves: Vec<_> = contents.iter().map(|content| leaf(content)).collect();
    leaves.sort();
    let mut all_cms = vec![];
    for (n, file) in numbers.iter().zip(files) {
        let (size, position, siblings, cms, module) = taken_apart(file);
        assert_eq!(size as usize, contents.len());
        assert!(module == contents[*n]);
        assert_eq!(leaves[position as usize], leaf(&module));
        assert_eq!(siblings, path(&leaves, position as usize));
        all_cms.push(cms);
    }
    all_cms.dedup();
    assert_eq!(all_cms.len(), 1, "one signature");
    let certificate = X509::from_pem(&read(work, "c.pem")).unwrap();
    let mut store = X509StoreBuilder::new().unwrap();
    store.add_cert(certificate.clone()).unwrap();
    let mut signers = Stack::new().unwrap();
    signers.push(certificate).unwrap();
    let flags = Pkcs7Flags::BINARY | Pkcs7Flags::DETACHED | Pkcs7Flags::NOVERIFY;
    Pkcs7::from_der(&all_cms[0])
        .unwrap()
        .verify(&signers, &store.build(), Some(&head(contents)), None, flags)
        .expect("OpenSSL finds it good");
}

#[test]
fn one_signature_is_over_the_tree_of_all() {
    for count in [1, 2, 3, 7, 13] {
        let work = modules("rsa-2048", count);
        good(&modsig(&work, &RELEASE));
        let contents: Vec<_> = (0..count).map(content).collect();
        let mut files: Vec<_> = (0..count).map(|n| read(&work, &name(n))).collect();
        is_release(&work, &contents, &files);
        says(&modsig(&work, &CHECK), "good");
        // The same modules in another order are the same release.
        let names: Vec<_> = (0..count).rev().map(name).collect();
        let mut again = RELEASE[..6].to_vec();
        again.extend(names.iter().map(|name| &**name));
        good(&modsig(&work, &again));
        for (n, file) in files.iter_mut().enumerate() {
            let now = read(&work, &name(n));
            assert!(std::mem::replace(file, now.clone()) == now, "{n}");
        }
    }
}

/// `PATH` of RFC 9162 section 2.1.3.1.
fn path(leaves: &[[u8; 32]], position: usize) -> Vec<[u8; 32]> {
    if leaves.len() == 1 {
        return vec![];
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    let (mut path, last) = match position.checked_sub(left.len()) {
        None => (path(left, position), root(right)),
        Some(position) => (path(right, position), root(left)),
    };
    path.push(last);
    path
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
    let position = |n| {
        let all = (0..3).map(content).map(|one| leaf(&one));
        all.filter(|other| *other < leaf(&content(n))).count()
    };
    let text = format!(" for a release: position {} of 3", position(2));
    says(&output, &text);
    says(&output, "signer issuer");
    let output = modsig(&work, &["inspect", "--json", "lib/m01.ko"]);
    says(
        &output,
        &format!("\"position\":{},\"release\":3", position(1)),
    );
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
    let contents: Vec<_> = (0..3).map(content).collect();
    let files: Vec<_> = (0..3)
        .map(|n| read(&work, &name(n).replace("lib", "out")))
        .collect();
    is_release(&work, &contents, &files);
    // In place, each kind.
    for (packer, ending) in [("gzip", "gz"), ("xz", "xz"), ("zstd", "zst")] {
        let work = modules("p256", 3);
        let options: &[&str] = match packer {
            "xz" => &["--check=crc32"],
            "zstd" => &["-q", "--rm"],
            _ => &[],
        };
        good(&run(&work, packer, &[options, &["lib/m01.ko"]].concat()));
        good(&modsig(&work, &RELEASE));
        let missing = [&RELEASE[..], &["--only-missing"]].concat();
        says(&modsig(&work, &missing), "3 signed before");
        let packed = format!("lib/m01.ko.{ending}");
        good(&run(&work, packer, &["-d", &packed]));
        let files: Vec<_> = (0..3).map(|n| read(&work, &name(n))).collect();
        is_release(&work, &contents, &files);
    }
}

const MANIFEST: [&str; 5] = ["sign", "--release", "--manifest", "list", "lib"];
const FROM: [&str; 9] = [
    "sign",
    "--from-manifest",
    "list",
    "--key",
    "k.pem",
    "--cert",
    "c.pem",
    "--dest-dir",
    "sigs",
];
const ATTACH: [&str; 8] = [
    "attach",
    "--release",
    "list",
    "--signatures",
    "sigs",
    "--cert",
    "c.pem",
    "lib",
];

#[test]
fn one_line_goes_to_the_service_and_one_signature_comes_back() {
    for algorithm in ["rsa-2048", "p384"] {
        let work = modules(algorithm, 7);
        let contents: Vec<_> = (0..7).map(content).collect();
        // No key is there where the modules are.
        fs::create_dir(work.path().join("service")).unwrap();
        fs::rename(work.path().join("k.pem"), work.path().join("service/k.pem")).unwrap();
        fs::copy(work.path().join("c.pem"), work.path().join("service/c.pem")).unwrap();
        says(&modsig(&work, &MANIFEST), "7 digested");
        let digits: String = head(&contents)
            .iter()
            .map(|one| format!("{one:02x}"))
            .collect();
        let list = String::from_utf8(read(&work, "list")).unwrap();
        assert_eq!(
            list,
            format!("# modsig release 1: sha512, 7 leaves\n{digits}\n")
        );
        fs::copy(work.path().join("list"), work.path().join("service/list")).unwrap();
        let mut service = std::process::Command::new(MODSIG);
        service.args(FROM).current_dir(work.path().join("service"));
        let output = service.output().unwrap();
        says(&output, "list: signature in sigs/list.p7s");
        fs::rename(work.path().join("service/sigs"), work.path().join("sigs")).unwrap();
        // What came back is over what was sent, and over nothing of the service's.
        assert_eq!(fs::read_dir(work.path().join("sigs")).unwrap().count(), 1);
        let dry = [&ATTACH[..], &["--dry-run"]].concat();
        says(&modsig(&work, &dry), "7 to be attached");
        assert_eq!(read(&work, &name(0)), content(0));
        // One by one: the signature is for each of them.
        let one = [&ATTACH[..7], &["lib/m03.ko"]].concat();
        says(&modsig(&work, &one), "lib/m03.ko: signature attached");
        is_part(&work, &contents, &[3], &[read(&work, &name(3))]);
        says(&modsig(&work, &ATTACH), "6 attached, 1 attached before");
        let files: Vec<_> = (0..7).map(|n| read(&work, &name(n))).collect();
        is_release(&work, &contents, &files);
        says(&modsig(&work, &CHECK), "7 good");
        // The list is of the modules, whether they are signed or packed.
        good(&run(&work, "xz", &["--check=crc32", "lib/m02.ko"]));
        good(&modsig(&work, &MANIFEST));
        assert_eq!(read(&work, "list"), list.as_bytes());
        says(&modsig(&work, &ATTACH), "7 attached before");
    }
}

#[test]
fn programs_hear_of_each_module_and_of_the_one_signature() {
    let work = modules("p256", 2);
    let printed = |arguments: &[&str], more: &str| {
        let output = modsig(&work, &[arguments, &[more]].concat());
        good(&output);
        let text = String::from_utf8(output.stdout).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect::<Vec<serde_json::Value>>()
    };
    let module = |n, members: serde_json::Value| {
        let mut module = members;
        module["path"] = name(n).into();
        module
    };
    let all = |count: &str, modules: &[serde_json::Value]| {
        json!({
            "schema": 1, "counts": { count: modules.len() }, "left": 0, "warnings": [],
            "modules": modules,
        })
    };
    let signed = |n| {
        let file = json!({ "path": name(n) });
        module(n, json!({ "signed": true, "replaced": 0, "file": file }))
    };
    assert_eq!(
        printed(&RELEASE, "--json"),
        [all("signed", &[signed(0), signed(1)])]
    );
    good(&modsig(&work, &["strip", "lib"]));
    let with_schema = |mut one: serde_json::Value| {
        one["schema"] = 1.into();
        one
    };
    assert_eq!(
        printed(&RELEASE, "--json-lines"),
        [
            with_schema(signed(0)),
            with_schema(signed(1)),
            json!({ "schema": 1, "counts": { "signed": 2 }, "left": 0, "warnings": [] }),
        ]
    );
    let digested = |n| module(n, json!({ "digested": true }));
    assert_eq!(
        printed(&MANIFEST, "--json"),
        [all("digested", &[digested(0), digested(1)])]
    );
    let one = json!({
        "path": "list", "signed": true, "replaced": 0, "file": { "path": "sigs/list.p7s" },
    });
    assert_eq!(printed(&FROM, "--json"), [all("signed", &[one])]);
    let attached = |n| module(n, json!({ "attached": true, "replaced": 1 }));
    assert_eq!(
        printed(&ATTACH, "--json"),
        [all("attached", &[attached(0), attached(1)])]
    );
    let verified = &printed(&CHECK, "--json")[0]["modules"][0];
    assert_eq!(
        (&verified["good"], &verified["of_release"]),
        (&true.into(), &true.into())
    );
    fs::write(work.path().join("list.leaves"), "").unwrap();
    let output = modsig(&work, &[&ATTACH[..], &["--json"]].concat());
    fails(&output, 2, "list.leaves: ");
    let error: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(
        error["error"]
            .as_str()
            .unwrap()
            .starts_with("list.leaves: "),
        "{error}"
    );
}

#[test]
fn openssl_may_sign_the_line() {
    let work = modules("p256", 3);
    good(&modsig(&work, &MANIFEST));
    let service = "mkdir sigs; tail -n 1 list | tr a-f A-F | basenc --base16 -d > head
        openssl cms -sign -binary -noattr -nocerts -md sha256 -outform DER -signer c.pem -inkey k.pem \\
            -in head -out sigs/list.p7s";
    good(&run(&work, "bash", &["-ec", service]));
    says(&modsig(&work, &ATTACH), "3 attached");
    let contents: Vec<_> = (0..3).map(content).collect();
    let files: Vec<_> = (0..3).map(|n| read(&work, &name(n))).collect();
    is_release(&work, &contents, &files);
}

#[test]
fn a_bare_value_of_a_key_management_service_will_do() {
    let work = modules("p256", 3);
    let manifest = [&MANIFEST[..], &["--hash", "sha384"]].concat();
    good(&modsig(&work, &manifest));
    let service = "mkdir sigs; tail -n 1 list | tr a-f A-F | basenc --base16 -d > head
        openssl dgst -sha384 -sign k.pem -out sigs/list.sig head";
    good(&run(&work, "bash", &["-ec", service]));
    let raw = [&ATTACH[..], &["--raw", "--hash", "sha384"]].concat();
    says(&modsig(&work, &raw), "3 attached");
    let contents: Vec<_> = (0..3).map(content).collect();
    let files: Vec<_> = (0..3).map(|n| read(&work, &name(n))).collect();
    is_release(&work, &contents, &files);
}

#[test]
fn a_module_that_was_changed_since_is_refused_by_name_and_the_others_are_not() {
    let work = modules("p256", 4);
    good(&modsig(&work, &MANIFEST));
    good(&modsig(&work, &FROM));
    fs::write(work.path().join(name(1)), content(91)).unwrap();
    fs::write(work.path().join("lib/new.ko"), content(92)).unwrap();
    let output = modsig(&work, &ATTACH);
    fails(
        &output,
        1,
        "lib/m01.ko: is not of the release: it was changed since",
    );
    fails(&output, 1, "lib/new.ko: is not of the release");
    assert_eq!(read(&work, &name(1)), content(91));
    assert_eq!(read(&work, "lib/new.ko"), content(92));
    let contents: Vec<_> = (0..4).map(content).collect();
    let files = [0, 2, 3].map(|n| read(&work, &name(n)));
    is_part(&work, &contents, &[0, 2, 3], &files);
    // As it was, it is of the release.
    fs::write(work.path().join(name(1)), content(1)).unwrap();
    fs::remove_file(work.path().join("lib/new.ko")).unwrap();
    says(&modsig(&work, &ATTACH), "1 attached, 3 attached before");
    says(&modsig(&work, &CHECK), "4 good");
}

#[test]
fn no_signature_is_attached_but_the_one_for_this_release() {
    let work = modules("p256", 3);
    let path = |name: &str| work.path().join(name);
    good(&modsig(&work, &MANIFEST));
    good(&modsig(&work, &FROM));
    let ours = read(&work, "sigs/list.p7s");
    let leaves = read(&work, "list.leaves");
    let list = read(&work, "list");
    // Another release, by the same key; the same one by another.
    fs::write(path("lib/new.ko"), content(9)).unwrap();
    good(&modsig(&work, &MANIFEST));
    good(&modsig(&work, &FROM));
    let (other, other_list) = (read(&work, "sigs/list.p7s"), read(&work, "list"));
    fs::write(path("list"), &list).unwrap();
    fs::remove_file(path("lib/new.ko")).unwrap();
    let keygen = [
        "keygen",
        "--algorithm",
        "p256",
        "--key",
        "k2.pem",
        "--cert",
        "c2.pem",
    ];
    good(&modsig(&work, &keygen));
    let theirs = FROM.map(|word| match word {
        "k.pem" => "k2.pem",
        "c.pem" => "c2.pem",
        word => word,
    });
    good(&modsig(&work, &theirs));
    let strangers = read(&work, "sigs/list.p7s");
    // A signature over a module, by the right key.
    let detached = [
        "sign",
        "--detached",
        "--key",
        "k.pem",
        "--cert",
        "c.pem",
        "lib/m00.ko",
    ];
    good(&modsig(&work, &detached));
    let of_module = read(&work, "lib/m00.ko.p7s");
    fs::write(path("list.leaves"), &leaves).unwrap();
    let before = all_of(&work);
    for (signature, message) in [
        (
            &other,
            "sigs/list.p7s was not attached: it is not good for this release",
        ),
        (&strangers, "it is by another signer"),
        (&of_module, "it is not good for this release"),
        (&vec![], "it is not good for this release"),
        (
            &[&ours[..], b"x"].concat(),
            "it is not good for this release",
        ),
    ] {
        fs::write(path("sigs/list.p7s"), signature).unwrap();
        fails(&modsig(&work, &ATTACH), 2, message);
    }
    fs::remove_file(path("sigs/list.p7s")).unwrap();
    fails(
        &modsig(&work, &ATTACH),
        2,
        "list: has no signature to attach",
    );
    fs::write(path("sigs/list.p7s"), &ours).unwrap();
    // The two files that belong together.
    fs::write(path("list"), &other_list).unwrap();
    fails(
        &modsig(&work, &ATTACH),
        2,
        "list and list.leaves are of two releases",
    );
    fs::write(path("list"), &list).unwrap();
    let text = String::from_utf8(leaves.clone()).unwrap();
    let line = text.lines().nth(1).unwrap();
    for (altered, message) in [
        (String::new(), "not the leaves of a release"),
        (text[..text.len() - 1].to_owned(), "its end is missing"),
        (
            text.replace(&format!("{line}\n"), ""),
            "it says that it has 3 leaves, and has 2",
        ),
        (text.replace(line, &line[2..]), "line 2: not a hash"),
        (text.replace(line, &"0".repeat(64)), "are of two releases"),
    ] {
        fs::write(path("list.leaves"), altered).unwrap();
        fails(&modsig(&work, &ATTACH), 2, message);
    }
    fs::remove_file(path("list.leaves")).unwrap();
    fails(
        &modsig(&work, &ATTACH),
        2,
        "list.leaves: cannot read; it was made with the other file",
    );
    for n in 0..3 {
        let path = path(&name(n)).display().to_string();
        assert!(before[&path] == all_of(&work)[&path], "{path}");
    }
    fs::write(path("list.leaves"), &leaves).unwrap();
    says(&modsig(&work, &ATTACH), "3 attached");
}

#[test]
fn a_service_signs_no_head_that_was_tampered_with() {
    let work = modules("p256", 3);
    good(&modsig(&work, &MANIFEST));
    let list = String::from_utf8(read(&work, "list")).unwrap();
    let digits = list.lines().nth(1).unwrap();
    for (altered, message) in [
        (
            list.replace(digits, &digits[2..]),
            "its second line is not a tree head",
        ),
        (
            list.replace(digits, &format!("{digits}00")),
            "its second line is not a tree head",
        ),
        (
            list.replace(digits, "x"),
            "its second line is not a tree head",
        ),
        // What it starts with, its version, its hash, and a tree of nothing.
        (
            list.replace("6d6f64", "7f454c"),
            "a tree head that no kernel knows",
        ),
        (
            list.replace("6500010400", "6500020400"),
            "a tree head that no kernel knows",
        ),
        (
            list.replace("6500010400", "6500010500"),
            "a tree head that no kernel knows",
        ),
        (
            list.replace("6500010400000003", "6500010400000000"),
            "a tree head that no kernel knows",
        ),
        (
            list.replace("3 leaves", "4 leaves"),
            "its two lines do not belong together",
        ),
        (
            format!("{list}{digits}\n"),
            "its second line is not a tree head",
        ),
        (list.replace("sha512", "sha999"), "unknown digest algorithm"),
        (list.replace("# modsig", "# nodsig"), "not a manifest"),
    ] {
        assert_ne!(altered, list);
        fs::write(work.path().join("list"), &altered).unwrap();
        fails(&modsig(&work, &FROM), 2, message);
        assert!(!work.path().join("sigs").exists());
    }
}

#[test]
fn stripped_modules_are_of_the_release_if_it_is_told_how() {
    let work = modules("p256", 3);
    // It takes off what is behind the smallest module.
    let strip = "truncate -s 576";
    let manifest = [&MANIFEST[..], &["--stripped-by", strip]].concat();
    // One of them would be the same as another.
    for n in 0..3 {
        let number = n as u8;
        let mut content = content(n);
        content[16 + 8] = number;
        fs::write(work.path().join(name(n)), content).unwrap();
    }
    let mut contents: Vec<_> = (0..3).map(|n| read(&work, &name(n))).collect();
    good(&modsig(&work, &manifest));
    assert_eq!(read(&work, &name(0)), contents[0]);
    contents.extend(
        (0..3)
            .map(|n| contents[n][..576].to_vec())
            .collect::<Vec<_>>(),
    );
    good(&modsig(&work, &FROM));
    good(&run(&work, "sh", &["-c", &format!("{strip} lib/m01.ko")]));
    says(&modsig(&work, &ATTACH), "3 attached");
    let files: Vec<_> = (0..3).map(|n| read(&work, &name(n))).collect();
    is_part(&work, &contents, &[0, 4, 2], &files);
    // A command that fails is one of the module's.
    let manifest = [&MANIFEST[..], &["--stripped-by", "false"]].concat();
    fails(
        &modsig(&work, &manifest),
        2,
        "lib/m00.ko: cannot be stripped by \"false\"",
    );
}

#[test]
fn what_makes_no_sense_is_refused_with_a_remedy() {
    let work = modules("p256", 2);
    good(&modsig(&work, &["sign", "--manifest", "each", "lib"]));
    good(&modsig(&work, &MANIFEST));
    let before = all_of(&work);
    let refuses = |arguments: &[&str], message: &str| {
        fails(&modsig(&work, arguments), 2, message);
        assert!(all_of(&work) == before, "{message}");
    };
    let with = |more: &[&'static str]| [&RELEASE[..], more].concat();
    refuses(
        &with(&["--detached"]),
        "sign --release --manifest FILE, then sign --from-manifest FILE",
    );
    refuses(
        &with(&["--stripped-by", "strip"]),
        "then attach --release FILE",
    );
    let manifest = [
        "sign",
        "--manifest",
        "list",
        "--stripped-by",
        "strip",
        "lib",
    ];
    refuses(&manifest, "then attach --release FILE");
    refuses(
        &with(&["--only-missing", "--dest-dir", "out"]),
        "cannot be used with",
    );
    let each: Vec<_> = FROM
        .into_iter()
        .map(|word| if word == "list" { "each" } else { word })
        .chain(["--release"])
        .collect();
    refuses(
        &each,
        "each: lists the digests of modules, each to be signed by itself; leave --release out",
    );
    let attach = ATTACH.map(|word| if word == "list" { "each" } else { word });
    refuses(
        &attach,
        "each: not of a release; modsig sign --release --manifest makes one",
    );
    for options in [["-d", ""], ["-p", ""], ["-s", "c.pem"]] {
        let mut sign_file = vec!["--release"];
        sign_file.extend(options.iter().filter(|word| !word.is_empty()));
        sign_file.extend(["sha512", "k.pem", "c.pem", "lib/m00.ko"]);
        fails(&run(&work, SIGN_FILE, &sign_file), 2, "cannot be used with");
    }
    // That it is one may be said once more.
    good(&modsig(&work, &[&FROM[..], &["--release"]].concat()));
}

#[test]
fn sign_file_makes_a_release_of_each_module() {
    let work = modules("rsa-2048", 2);
    for n in 0..2 {
        let sign = ["--release", "sha512", "k.pem", "c.pem", &name(n)];
        let output = run(&work, SIGN_FILE, &sign);
        good(&output);
        assert!(output.stderr.is_empty(), "{output:?}");
        is_release(&work, &[content(n)], &[read(&work, &name(n))]);
    }
    says(&modsig(&work, &CHECK), "2 good");
    // Once more, into another file, packed.
    good(&run(&work, "xz", &["--check=crc32", "lib/m00.ko"]));
    let sign = [
        "--release",
        "sha512",
        "k.pem",
        "c.pem",
        "lib/m00.ko.xz",
        "copy.ko.xz",
    ];
    good(&run(&work, SIGN_FILE, &sign));
    good(&run(&work, "xz", &["-d", "copy.ko.xz"]));
    is_release(&work, &[content(0)], &[read(&work, "copy.ko")]);
    fs::write(work.path().join("image"), "no module").unwrap();
    let sign = ["--release", "sha512", "k.pem", "c.pem", "image"];
    fails(
        &run(&work, SIGN_FILE, &sign),
        1,
        "image: not a kernel module",
    );
    assert_eq!(read(&work, "image"), b"no module");
}

/// A library that changes a file as soon as the program has begun to write modules.
const MEANWHILE: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static void change(void)
{
	static int done;
	int file;

	if (__atomic_exchange_n(&done, 1, __ATOMIC_SEQ_CST))
		return;
	file = open(getenv("CHANGED"), O_WRONLY);
	if (file < 0 || lseek(file, 300, SEEK_SET) != 300 || write(file, "x", 1) != 1)
		abort();
	close(file);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t at)
{
	ssize_t (*real)(int, const void *, size_t, off64_t) = dlsym(RTLD_NEXT, "pwrite64");

	change();
	return real(file, bytes, count, at);
}

ssize_t writev(int file, const struct iovec *parts, int count)
{
	ssize_t (*real)(int, const struct iovec *, int) = dlsym(RTLD_NEXT, "writev");

	if (file > 2)
		change();
	return real(file, parts, count);
}
"#;

#[test]
fn a_module_that_changes_after_it_was_hashed_gets_no_proof_of_what_it_was() {
    for more in [&["--no-sync"][..], &[]] {
        let work = modules("p256", 3);
        fs::write(work.path().join("meanwhile.c"), MEANWHILE).unwrap();
        let cc = [
            "-shared",
            "-fPIC",
            "-o",
            "meanwhile.so",
            "meanwhile.c",
            "-ldl",
        ];
        good(&run(&work, "cc", &cc));
        let mut sign = std::process::Command::new(MODSIG);
        sign.args(RELEASE).args(more).args(["--jobs", "1"]);
        sign.current_dir(work.path());
        sign.env("LD_PRELOAD", work.path().join("meanwhile.so"));
        sign.env("CHANGED", work.path().join(name(2)));
        let output = sign.output().unwrap();
        fails(&output, 1, "lib/m02.ko: ");
        says_error(&output, "meanwhile", "changed while the release was signed");
        let mut changed = content(2);
        changed[300] = b'x';
        assert_eq!(read(&work, &name(2)), changed, "it is as somebody left it");
        let contents: Vec<_> = (0..3).map(content).collect();
        let files = [0, 1].map(|n| read(&work, &name(n)));
        is_part(&work, &contents, &[0, 1], &files);
    }
}

/// It says one or the other, on standard error.
fn says_error(output: &std::process::Output, one: &str, other: &str) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains(one) || text.contains(other), "{text}");
}

#[test]
fn two_runs_at_once_leave_modules_that_are_each_of_one_release() {
    let work = modules("p256", 60);
    for _ in 0..3 {
        let runs = [0, 1].map(|_| {
            let mut sign = std::process::Command::new(MODSIG);
            sign.args(RELEASE).arg("--no-sync").current_dir(work.path());
            sign.stderr(std::process::Stdio::null());
            sign.stdout(std::process::Stdio::null()).spawn().unwrap()
        });
        for mut run in runs {
            // That the other was there meanwhile may be an error; that is not what this is about.
            run.wait().unwrap();
        }
        for n in 0..60 {
            assert_eq!(
                modsig_tools::signer::strip(&read(&work, &name(n))).0,
                content(n)
            );
        }
        let check = modsig(&work, &[&CHECK[..], &["--allow-unsigned"]].concat());
        good(&check);
    }
    good(&modsig(&work, &RELEASE));
    says(&modsig(&work, &CHECK), "60 good");
}

/// In place, what stands behind a module may lie on two pages, of which the second is written first.
#[test]
fn what_a_kill_left_between_two_pages_is_mended() {
    // All its signatures have the same length, unlike those by ECDSA: another is not written in place.
    let work = modules("rsa-2048", 3);
    // Its end begins some bytes before the second page.
    let long = [content(1), vec![b'x'; 4096 - 100 - content(1).len()]].concat();
    fs::write(work.path().join(name(1)), &long).unwrap();
    let in_place = [&RELEASE[..], &["--no-sync"]].concat();
    let inode = || fs::metadata(work.path().join(name(1))).unwrap().ino();
    let before = inode();
    good(&modsig(&work, &in_place));
    assert_eq!(inode(), before, "in place");
    let signed = read(&work, &name(1));
    is_release(
        &work,
        &[content(0), long.clone(), content(2)],
        &[0, 1, 2].map(|n| read(&work, &name(n))),
    );
    let mut half = signed.clone();
    half[long.len()..4096].fill(0);
    fs::write(work.path().join(name(1)), &half).unwrap();
    for command in [&["inspect", &name(1)][..], &CHECK] {
        let output = modsig(&work, command);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            text.contains("release signatures of version 0 are not supported"),
            "{text}"
        );
    }
    let missing = [&in_place[..], &["--only-missing"]].concat();
    says(&modsig(&work, &missing), "1 signed again, 2 signed before");
    assert!(read(&work, &name(1)) == signed);
    assert_eq!(inode(), before, "in place");
    // In two steps as well.
    good(&modsig(&work, &MANIFEST));
    good(&modsig(&work, &FROM));
    let attach = [&ATTACH[..], &["--no-sync"]].concat();
    for _ in 0..2 {
        good(&modsig(&work, &attach));
        assert_eq!(inode(), before, "in place");
        says(&modsig(&work, &CHECK), "3 good");
        let mut half = read(&work, &name(1));
        half[long.len()..4096].fill(0);
        fs::write(work.path().join(name(1)), &half).unwrap();
    }
    // And taken off.
    fs::write(work.path().join(name(1)), &half).unwrap();
    good(&modsig(&work, &["strip", "lib"]));
    assert!(read(&work, &name(1)) == long);
}

#[test]
fn a_killed_run_leaves_each_module_as_it_was_or_signed() {
    let work = modules("p256", 400);
    let contents: Vec<_> = (0..400).map(content).collect();
    for (more, delay) in [(&[][..], 40), (&["--no-sync"][..], 15), (&[][..], 60)] {
        let mut sign = std::process::Command::new(MODSIG);
        sign.args(RELEASE).args(more).current_dir(work.path());
        sign.stdout(std::process::Stdio::null());
        let mut run = sign.spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(delay));
        run.kill().unwrap();
        run.wait().unwrap();
        let check = modsig(&work, &[&CHECK[..], &["--allow-unsigned"]].concat());
        good(&check);
        for (n, content) in contents.iter().enumerate() {
            assert!(modsig_tools::signer::strip(&read(&work, &name(n))).0 == &content[..]);
        }
    }
    // What was begun goes on, with the signature that there is.
    good(&modsig(
        &work,
        &[&RELEASE[..], &["--only-missing"]].concat(),
    ));
    let files: Vec<_> = (0..400).map(|n| read(&work, &name(n))).collect();
    is_release(&work, &contents, &files);
}

/// The reasons are those of Documentation/release.md, in the verifier's words.
#[test]
fn what_is_wrong_with_a_release_signature_is_said() {
    let work = modules("p256", 5);
    good(&modsig(&work, &RELEASE));
    let files = (0..5).map(|n| read(&work, &name(n)));
    // The last one is alone on its side: of it the way would be another one in a tree of six.
    let file = files
        .into_iter()
        .find(|file| taken_apart(file).1 < 4)
        .unwrap();
    let (_, position, siblings, cms, module) = taken_apart(&file);
    let with = |fields: &[u8], siblings: &[[u8; 32]], cms: &[u8]| {
        let message = [fields, &siblings.concat(), cms].concat();
        let end = modsig_tools::message::trailer_of(trailer::Kind::Release, message.len() as u32);
        [&module[..], &message, &end].concat()
    };
    let fields = |version: u8, size: u32, position: u32| {
        [&[version][..], &size.to_be_bytes(), &position.to_be_bytes()].concat()
    };
    let right = fields(1, 5, position);
    assert!(with(&right, &siblings, &cms) == file);
    let all = siblings.len();
    let proof = 9 + 32 * all;
    for (file, inspected, verified) in [
        (
            with(&fields(2, 5, position), &siblings, &cms),
            true,
            "release signatures of version 2 are not supported".to_owned(),
        ),
        (
            with(&fields(1, 0, 0), &siblings, &cms),
            true,
            "the signature is for a release without modules".to_owned(),
        ),
        (
            with(&fields(1, 5, 5), &siblings, &cms),
            true,
            "proof for position 5 of a release of 5 modules".to_owned(),
        ),
        (
            with(&right, &siblings[1..], b""),
            true,
            format!(
                "release signature of {} bytes, its proof alone takes {proof}",
                proof - 32
            ),
        ),
        (
            with(&right[..4], &[], b""),
            true,
            "release signature of 4 bytes, its proof alone takes 9".to_owned(),
        ),
        (
            with(&[], &[], b""),
            true,
            "release signature of 0 bytes, its proof alone takes 9".to_owned(),
        ),
        // One too few, or too many: what stands there is no CMS message.
        (
            with(&right, &siblings[1..], &cms),
            true,
            "at offset".to_owned(),
        ),
        (
            with(&right, &[&siblings[..], &siblings[..1]].concat(), &cms),
            true,
            "at offset".to_owned(),
        ),
        (
            with(&right, &siblings, &[&cms[..], b"x"].concat()),
            true,
            "at offset".to_owned(),
        ),
        // What can be read, and is not so.
        (
            with(&fields(1, 6, position), &siblings, &cms),
            false,
            "signature does not match".to_owned(),
        ),
        (
            with(&fields(1, 5, position ^ 1), &siblings, &cms),
            false,
            "signature does not match".to_owned(),
        ),
    ] {
        fs::write(work.path().join("odd.ko"), &file).unwrap();
        let verify = modsig(&work, &["verify", "--cert", "c.pem", "odd.ko"]);
        assert_eq!(verify.status.code(), Some(1));
        let text = String::from_utf8_lossy(&verify.stdout);
        assert!(text.contains(&verified), "no {verified:?} in {text}");
        let inspect = modsig(&work, &["inspect", "odd.ko"]);
        let text = String::from_utf8_lossy(&inspect.stdout);
        assert_eq!(inspect.status.success(), !inspected, "{text}");
        assert!(
            !inspected || text.contains(&verified),
            "no {verified:?} in {text}"
        );
    }
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
