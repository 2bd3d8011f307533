// SPDX-License-Identifier: MIT OR Apache-2.0

//! `modsig seal`: what it writes into modules and vmlinux, what it refuses, and that nothing is
//! left of its key.

mod spy;

use std::{
    fs,
    io::Write,
    os::unix::{
        fs::{chown, PermissionsExt},
        process::ExitStatusExt,
    },
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use modsig::verify::trailer::{self, Kind};
use modsig_tools::{
    compression::Compression,
    image::{self, List},
    message::trailer_of,
    signer::strip,
};
use openssl::{pkey::PKey, x509::X509};
use tempfile::TempDir;

use crate::common::{
    linked::{module, module_for, Linked, Places, VERMAGIC},
    *,
};
use spy::{Spied, Spy};

const SEAL: [&str; 5] = ["seal", "--modules", "modules.order", "--vmlinux", "vmlinux"];
const MODULES: usize = 5;

fn seal(work: &TempDir, more: &[&str]) -> Output {
    modsig(work, &[&SEAL[..], more].concat())
}

fn path(number: usize) -> String {
    format!("lib/m{number}.ko")
}

/// A build: a kernel with an area, and modules, of which none is signed.
fn build_of(kernel: &Linked) -> TempDir {
    let work = tempfile::tempdir().unwrap();
    kernel.write(&work.path().join("vmlinux"));
    fs::create_dir(work.path().join("lib")).unwrap();
    let mut order = String::new();
    for number in 0..MODULES {
        let content = module_for(kernel.machine, VERMAGIC, &format!("module {number}"));
        fs::write(work.path().join(path(number)), content).unwrap();
        order += &format!("lib/m{number}.o\n");
    }
    fs::write(work.path().join("modules.order"), order).unwrap();
    work
}

fn sealed(kernel: &Linked, more: &[&str]) -> TempDir {
    let work = build_of(kernel);
    good(&seal(&work, more));
    is_consistent(&work);
    work
}

/// The certificate in the area.
fn extra(work: &TempDir) -> Option<Vec<u8>> {
    let image = image::read(&work.path().join("vmlinux")).unwrap();
    let mut all = image.certificates.into_iter();
    let found = all.find(|certificate| certificate.list == List::Extra);
    found.map(|certificate| certificate.der)
}

/// Kernel and modules belong together, by what is told by their files alone.
fn is_consistent(work: &TempDir) {
    good(&modsig(work, &["verify", "--kernel", "vmlinux", "lib"]));
    assert!(extra(work).is_some());
    no_left_overs(work.path());
    no_left_overs(&work.path().join("lib"));
}

/// It fails, says this, and changes nothing at all.
fn refuses(work: &TempDir, more: &[&str], message: &str) {
    let before = all_of(work);
    fails(&seal(work, more), 2, message);
    assert!(all_of(work) == before, "{message}: something was changed");
}

/// A certificate that is built in, of a key in `k.pem` of this directory.
fn builtin(work: &TempDir) -> Vec<u8> {
    let pem = read(work, "c.pem");
    X509::from_pem(&pem).unwrap().to_der().unwrap()
}

#[test]
fn modules_are_signed_and_the_kernel_trusts_their_key() {
    for more in [&[][..], &["--no-sync"], &["--jobs", "1"]] {
        let keys = set_up("rsa-2048");
        let kernel = Linked {
            builtin: vec![builtin(&keys)],
            ..Linked::default()
        };
        let work = build_of(&kernel);
        let output = seal(&work, more);
        let der = extra(&work).unwrap();
        let certificate = X509::from_der(&der).unwrap();
        let serial = certificate.serial_number().to_bn().unwrap();
        let serial = serial.to_hex_str().unwrap().to_lowercase();
        says(
            &output,
            &format!("sealed: 5 modules, p256 key destroyed; certificate {serial} in vmlinux, which trusts 1 more"),
        );
        assert!(output.stderr.is_empty(), "{output:?}");
        let output = seal(&build_of(&kernel), &["--verbose"]);
        says(&output, "lib/m4.ko: sealed\nsealed: 5 modules");
        is_consistent(&work);
        assert!(certificate.subject_key_id().is_some());
        let name = certificate.subject_name().entries().next().unwrap();
        assert_eq!(name.data().as_slice(), b"modsig seal");
        for number in 0..MODULES {
            let file = read(&work, &path(number));
            let split = trailer::split(&file).unwrap();
            assert_eq!(split.kind, Kind::Pkcs7);
            assert_eq!(split.content, module(VERMAGIC, &format!("module {number}")));
        }
        // By this key only, not by the one that is built in.
        fs::write(work.path().join("sealed.der"), &der).unwrap();
        good(&modsig(&work, &["verify", "--cert", "sealed.der", "lib"]));
        let other = keys.path().join("c.pem");
        let other = ["verify", "--cert", other.to_str().unwrap(), "lib"];
        fails(&modsig(&work, &other), 1, "");
    }
}

/// A kernel that takes signatures for a release.
fn with_releases() -> Linked {
    Linked {
        releases: true,
        ..Linked::default()
    }
}

#[test]
fn one_signature_may_be_for_all_modules() {
    for more in [
        &[][..],
        &["--no-sync"],
        &["--algorithm", "rsa-2048", "--jobs", "1"],
    ] {
        let work = sealed(&with_releases(), &[&["--release"], more].concat());
        let der = extra(&work).unwrap();
        fs::write(work.path().join("sealed.der"), &der).unwrap();
        let mut all_cms = vec![];
        for number in 0..MODULES {
            let file = read(&work, &path(number));
            let split = trailer::split(&file).unwrap();
            assert_eq!(split.kind, Kind::Release);
            assert_eq!(split.content, module(VERMAGIC, &format!("module {number}")));
            assert_eq!(split.message[1..5], (MODULES as u32).to_be_bytes());
            // Of five, one is alone on its side of the root.
            let siblings = if split.message[5..9] == [0, 0, 0, 4] {
                1
            } else {
                3
            };
            all_cms.push(split.message[9 + 32 * siblings..].to_vec());
        }
        all_cms.dedup();
        assert_eq!(all_cms.len(), 1, "one signature");
        let check = ["verify", "--cert", "sealed.der", "lib"];
        says(&modsig(&work, &check), "5 good");
    }
    let work = build_of(&with_releases());
    let output = seal(&work, &["--release"]);
    says(
        &output,
        "sealed: 5 modules with one signature, p256 key destroyed",
    );
    // Each way takes the other's place, as that of an earlier seal.
    for more in [
        &["--release", "--json"][..],
        &["--json"],
        &["--release", "--json"],
    ] {
        let text = format!("\"release\":{}", more.len() == 2);
        says(&seal(&work, more), &text);
        is_consistent(&work);
    }
    // Somebody else's stays.
    let keys = set_up("p256");
    let [key, cert] = ["k.pem", "c.pem"].map(|name| keys.path().join(name));
    let [key, cert] = [&key, &cert].map(|path| path.to_str().unwrap());
    let sign = [
        "sign",
        "--release",
        "--key",
        key,
        "--cert",
        cert,
        "lib/m3.ko",
    ];
    good(&modsig(&work, &sign));
    refuses(&work, &[], "lib/m3.ko: it is signed by issuer");
    good(&seal(&work, &["--release", "--replace"]));
    is_consistent(&work);
}

#[test]
fn a_kernel_that_does_not_know_releases_is_not_sealed_with_one() {
    let work = build_of(&Linked::default());
    refuses(
        &work,
        &["--release"],
        "vmlinux: takes no signature for a release; build it with CONFIG_MODULE_SIG_RUST_RELEASE=y, or leave --release out",
    );
    // What is signed so is nothing for it, and that is said beforehand.
    let keys = set_up("p256");
    let [key, cert] = ["k.pem", "c.pem"].map(|name| keys.path().join(name));
    let [key, cert] = [&key, &cert].map(|path| path.to_str().unwrap());
    let sign = ["sign", "--release", "--key", key, "--cert", cert, "lib"];
    for releases in [false, true] {
        let kernel = Linked {
            builtin: vec![builtin(&keys)],
            releases,
            ..Linked::default()
        };
        let work = build_of(&kernel);
        good(&modsig(&work, &sign));
        let verify = modsig(&work, &["verify", "-v", "--kernel", "vmlinux", "lib"]);
        let why = modsig(&work, &["why", "--kernel", "vmlinux", "lib/m0.ko"]);
        if releases {
            says(&verify, "lib/m0.ko: good, with its release; signer");
            says(&verify, "5 good");
            says(&why, "loads on vmlinux");
            continue;
        }
        assert_eq!(verify.status.code(), Some(1));
        let text = String::from_utf8_lossy(&verify.stdout);
        assert!(text.contains("5 bad"), "{text}");
        let modes = "permissive: loads, taints; enforcing: EKEYREJECTED; locked down: EPERM";
        assert!(text.contains(modes), "{text}");
        assert_eq!(why.status.code(), Some(1));
        let text = String::from_utf8_lossy(&why.stdout);
        let cause =
            "Only kernels with CONFIG_MODULE_SIG_RUST_RELEASE take those, and this one does not";
        assert!(text.contains(cause), "{text}");
    }
}

#[test]
fn each_seal_is_by_another_key() {
    let work = sealed(&Linked::default(), &[]);
    let (first, der) = (read(&work, &path(0)), extra(&work));
    fs::write(work.path().join("first.ko"), &first).unwrap();
    good(&seal(&work, &[]));
    is_consistent(&work);
    assert_ne!(extra(&work), der);
    let verify = ["verify", "--kernel", "vmlinux", "first.ko"];
    let output = modsig(&work, &verify);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("in no trusted keyring"), "{text}");
}

#[test]
fn any_kind_of_key_and_digest() {
    for algorithm in ["p256", "p384", "p521", "rsa-2048", "rsa-4096"] {
        for hash in ["sha512", "sha256", "sha3-512"] {
            let work = build_of(&Linked::default());
            let more = ["--algorithm", algorithm, "--hash", hash, "--json"];
            says(
                &seal(&work, &more),
                &format!("\"algorithm\":\"{algorithm}\""),
            );
            is_consistent(&work);
        }
    }
}

/// What `scripts/insert-sys-cert` does to an image, by the names that it goes by.
fn insert(image: &mut [u8], places: Places, area: usize, certificate: &[u8]) {
    let used = u32::from_le_bytes(image[places.used..places.used + 4].try_into().unwrap());
    let at = places.list_size..places.list_size + 8;
    let size = u64::from_le_bytes(image[at.clone()].try_into().unwrap());
    image[places.area..places.area + certificate.len()].copy_from_slice(certificate);
    image[places.area + certificate.len()..places.area + area].fill(0);
    let size = size.wrapping_add(certificate.len() as u64) - u64::from(used);
    image[at].copy_from_slice(&size.to_le_bytes());
    let used = certificate.len() as u32;
    image[places.used..places.used + 4].copy_from_slice(&used.to_le_bytes());
}

/// The kernel's own program.
fn insert_sys_cert(work: &Path) -> PathBuf {
    let source = script("get/kernel-source", &["6.12"]).join("scripts/insert-sys-cert.c");
    let program = work.join("insert-sys-cert");
    let mut cc = Command::new("cc");
    let output = cc.arg("-o").arg(&program).arg(&source).output().unwrap();
    good(&output);
    program
}

#[test]
fn vmlinux_is_what_the_kernels_own_program_makes_of_it() {
    let keys = set_up("rsa-4096");
    let der = builtin(&keys);
    let tools = tempfile::tempdir().unwrap();
    let program = insert_sys_cert(tools.path());
    for machine in [62, 183] {
        for builtin in [vec![], vec![der.clone(), der.clone()]] {
            for area in [2048, 4099] {
                let kernel = Linked {
                    machine,
                    builtin: builtin.clone(),
                    area: Some(area),
                    ..Linked::default()
                };
                let work = build_of(&kernel);
                let (mut expected, places) = kernel.vmlinux();
                // A long one, a short one in its place, and a long one again.
                for algorithm in ["rsa-4096", "p256", "rsa-2048"] {
                    good(&seal(&work, &["--algorithm", algorithm]));
                    is_consistent(&work);
                    let certificate = extra(&work).unwrap();
                    let before = expected.clone();
                    insert(&mut expected, places, area, &certificate);
                    assert!(read(&work, "vmlinux") == expected, "{kernel:?} {algorithm}");
                    fs::write(work.path().join("before"), before).unwrap();
                    fs::write(work.path().join("c.der"), certificate).unwrap();
                    let arguments = ["-b", "before", "-c", "c.der"];
                    good(&run(&work, program.to_str().unwrap(), &arguments));
                    assert!(read(&work, "before") == expected, "{kernel:?} {algorithm}");
                }
            }
        }
    }
}

#[test]
fn interrupted_it_leaves_a_kernel_that_trusts_less() {
    let keys = set_up("p256");
    let kernel = Linked {
        builtin: vec![builtin(&keys)],
        ..Linked::default()
    };
    let spy = Spy::new();
    for times_before in [0, 1] {
        // The writes of which there are five, and then one that does not come.
        for writes in 1..=6 {
            let work = build_of(&kernel);
            for _ in 0..times_before {
                good(&seal(&work, &["--algorithm", "rsa-2048"]));
            }
            let old = extra(&work);
            let mut command = spy.command(MODSIG, &work);
            command.args(SEAL).env("SPY_WRITES", writes.to_string());
            let output = command.output().unwrap();
            let image = image::read(&work.path().join("vmlinux")).unwrap();
            if writes == 6 {
                good(&output);
                is_consistent(&work);
                continue;
            }
            assert_eq!(output.status.signal(), Some(9), "{output:?}");
            let found = extra(&work);
            assert_eq!(found, if writes == 1 { old } else { None }, "{writes}");
            let others = image.certificates.iter();
            let others = others.filter(|one| one.list == List::Builtin);
            assert!(others.map(|one| &one.der).eq(&kernel.builtin));
            // None of them can be loaded: each is by the new key.
            let verify = ["verify", "--kernel", "vmlinux", "lib"];
            assert_eq!(modsig(&work, &verify).status.code(), Some(1));
            good(&seal(&work, &[]));
            is_consistent(&work);
        }
    }
}

#[test]
fn a_vmlinux_without_room_is_refused() {
    let without = |change: fn(&mut Linked)| {
        let mut kernel = Linked::default();
        change(&mut kernel);
        build_of(&kernel)
    };
    refuses(
        &without(|kernel| kernel.area = None),
        &[],
        "vmlinux: it has no area for another certificate; build it with CONFIG_SYSTEM_EXTRA_CERTIFICATE=y",
    );
    refuses(
        &without(|kernel| kernel.stripped = true),
        &[],
        "vmlinux: it was stripped",
    );
    refuses(
        &without(|kernel| kernel.hashes_only = true),
        &[],
        "CONFIG_MODULE_SIG_RUST_KEYS=y",
    );
    refuses(
        &without(|kernel| kernel.builtin = vec![vec![0x30, 0x82, 0x7f]]),
        &[],
        "a kernel cannot read all of its list of certificates",
    );
    // The size that is needed is said.
    let work = without(|kernel| kernel.area = Some(1000));
    let output = seal(&work, &["--algorithm", "rsa-4096"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let needed = text.split("CONFIG_SYSTEM_EXTRA_CERTIFICATE_SIZE=").nth(1);
    let needed: usize = needed.unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(text.contains("its area has 1000 bytes"), "{text}");
    refuses(&work, &["--algorithm", "rsa-4096"], "or more");
    let enough = Linked {
        // Signatures and serial numbers are not all of one length.
        area: Some(needed + 8),
        ..Linked::default()
    };
    sealed(&enough, &["--algorithm", "rsa-4096"]);
    good(&seal(&work, &[]));
}

#[test]
fn what_is_no_vmlinux_is_refused() {
    let work = build_of(&Linked::default());
    let vmlinux = work.path().join("vmlinux");
    let whole = read(&work, "vmlinux");
    for (content, message) in [
        (&b"MZ a boot image"[..], "vmlinux: not an ELF file"),
        (b"", "vmlinux: not an ELF file"),
        (&module(VERMAGIC, ""), "a module or an object file"),
        (&whole[..whole.len() - 1], "vmlinux: section headers"),
    ] {
        fs::write(&vmlinux, content).unwrap();
        refuses(&work, &[], message);
    }
    let at = memchr::memmem::find(&whole, b"linux_banner").unwrap();
    let mut renamed = whole.clone();
    renamed[at] = b'x';
    fs::write(&vmlinux, renamed).unwrap();
    refuses(&work, &[], "vmlinux: not a kernel, by its symbols");
    fs::remove_file(&vmlinux).unwrap();
    refuses(&work, &[], "vmlinux: cannot open for writing");
}

#[test]
fn numbers_that_do_not_fit_together_are_refused() {
    let keys = set_up("p256");
    let kernel = Linked {
        builtin: vec![builtin(&keys)],
        ..Linked::default()
    };
    let work = build_of(&kernel);
    let (whole, places) = kernel.vmlinux();
    let before = kernel.builtin.concat().len() as u64;
    let vmlinux = work.path().join("vmlinux");
    for (used, list_size, fits) in [
        (0, before, true),
        // Interrupted before the list got longer.
        (500, before, true),
        (500, before + 500, true),
        (0, before + 500, false),
        (500, before + 499, false),
        (500, before - 1, false),
        (5000, before + 5000, false),
        (u32::MAX, before, false),
        (0, u64::MAX, false),
    ] {
        let mut changed = whole.clone();
        changed[places.used..places.used + 4].copy_from_slice(&u32::to_le_bytes(used));
        changed[places.list_size..places.list_size + 8].copy_from_slice(&list_size.to_le_bytes());
        fs::write(&vmlinux, changed).unwrap();
        match fits {
            true => {
                good(&seal(&work, &[]));
                is_consistent(&work);
            }
            false => refuses(&work, &[], "vmlinux: its symbols, the size fields"),
        }
    }
}

#[test]
fn symbols_that_lie_are_refused() {
    let kernel = Linked::default();
    let work = build_of(&kernel);
    let (whole, places) = kernel.vmlinux();
    let vmlinux = work.path().join("vmlinux");
    // Where the addresses of symbols are, in the order of the table; their sizes follow.
    let names = memchr::memmem::find(&whole, b"\0linux_banner\0").unwrap();
    let number = |at: usize| u64::from_le_bytes(whole[at..at + 8].try_into().unwrap());
    let addresses = (places.list_size..names).step_by(8);
    let addresses: Vec<usize> = addresses
        .filter(|&at| number(at) >> 32 == 0xffff_8000)
        .collect();
    let [_, _, _, _, list, area, used, list_size] = addresses[..] else {
        panic!("{addresses:?}");
    };
    let base = number(list) - places.list as u64;
    let refuses_with = |at: usize, lie: u64| {
        let mut changed = whole.clone();
        changed[at..at + 8].copy_from_slice(&lie.to_le_bytes());
        fs::write(&vmlinux, &changed).unwrap();
        refuses(&work, &[], "vmlinux: its symbols, the size fields");
    };
    for symbol in [list, area, used, list_size] {
        let others = [list, area, used, list_size].map(number);
        let others = others.into_iter().filter(|&other| other != number(symbol));
        for address in others.chain([0, 8, base, u64::MAX, u64::MAX - 7, base - 8]) {
            refuses_with(symbol, address);
        }
    }
    for size in [0, 4097, 1 << 32, u64::MAX, u64::MAX - 4096] {
        refuses_with(area + 8, size);
    }
    // Behind the section are as many zeroes as would be right: the first symbol, which is none.
    let symbols = addresses[0] - 8 - 24;
    assert_eq!(number(symbols), 0);
    refuses_with(list_size, base + symbols as u64);
}

#[test]
fn without_ecdsa_in_the_kernel_the_key_is_of_rsa() {
    let kernel = |curves: &[&'static str]| Linked {
        curves: curves.to_vec(),
        ..Linked::default()
    };
    let work = build_of(&kernel(&[]));
    let output = seal(&work, &[]);
    says(&output, "rsa-2048 key destroyed");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("vmlinux: has no ECDSA"), "{text}");
    is_consistent(&work);
    for algorithm in ["p256", "p384", "p521"] {
        let message = format!("has no ECDSA with {algorithm}");
        refuses(&work, &["--algorithm", algorithm], &message);
    }
    let work = build_of(&kernel(&["p256", "p384"]));
    refuses(&work, &["--algorithm", "p521"], "has no ECDSA with p521");
    says(&seal(&work, &["--algorithm", "p384"]), "p384 key destroyed");
}

#[test]
fn a_digest_that_the_kernel_lacks_is_an_error() {
    let kernel = |digests: &[&'static str]| Linked {
        digests: digests.to_vec(),
        ..Linked::default()
    };
    // As of 6.12 and as of 7.3.
    for driver in ["sha256-generic", "sha256-lib"] {
        let work = build_of(&kernel(&[driver, "sha3-512-lib"]));
        refuses(&work, &[], "vmlinux: has no sha512 built in");
        says(&seal(&work, &["--hash", "sha256"]), "sealed: ");
    }
}

#[test]
fn wrong_arguments() {
    let work = build_of(&Linked::default());
    refuses(&work, &["--hash", "md5"], "unknown digest algorithm");
    refuses(&work, &["--algorithm", "mldsa65"], "mldsa65");
    refuses(&work, &["--modules", "nowhere"], "nowhere: cannot read");
    refuses(&work, &["--modules", "lib"], "is there twice");
    fs::create_dir(work.path().join("empty")).unwrap();
    let before = all_of(&work);
    let empty = ["seal", "--modules", "empty", "--vmlinux", "vmlinux"];
    fails(&modsig(&work, &empty), 2, "no modules");
    assert!(all_of(&work) == before);
    fs::remove_file(work.path().join(path(3))).unwrap();
    refuses(&work, &[], "m3.ko: is in modules.order, but not there");
}

/// Signs a module with a key of this kind, beside it.
fn sign(work: &TempDir, name: &str) {
    let keys = ["--key", "k.pem", "--cert", "c.pem"];
    let keygen = [
        &[
            "keygen",
            "--force",
            "--cn",
            "somebody",
            "--algorithm",
            "p256",
        ],
        &keys[..],
    ]
    .concat();
    good(&modsig(work, &keygen));
    good(&modsig(work, &[&["sign"], &keys[..], &[name]].concat()));
}

#[test]
fn one_bad_module_and_nothing_is_written() {
    let work = sealed(&Linked::default(), &[]);
    let whole = read(&work, &path(2));
    let unsigned = strip(&whole).0;
    let end = &whole[unsigned.len()..];
    let with = |text: &[u8]| [unsigned, text].concat();
    let proof = [&[0; 36][..], &trailer_of(Kind::Merkle, 36)].concat();
    let not_cms = [&[1; 36][..], &trailer_of(Kind::Pkcs7, 36)].concat();
    let mut reserved = end.to_vec();
    let at = reserved.len() - trailer::MARKER.len() - trailer::SIZE;
    reserved[at] = 1;
    let packed = Compression::Xz.pack(unsigned, None).unwrap();
    for (content, message, is_replaced) in [
        (vec![], "m2.ko: the file is empty", false),
        (
            b"something".to_vec(),
            "m2.ko: not a kernel module (not an ELF file)",
            false,
        ),
        (
            module(VERMAGIC, "")
                .iter()
                .map(|byte| if *byte == b'v' { b'w' } else { *byte })
                .collect(),
            "m2.ko: it does not say which kernel it is for (no vermagic)",
            false,
        ),
        (
            module("6.99.0-other SMP ", ""),
            "vmlinux: is not the kernel of lib/m2.ko",
            false,
        ),
        (with(&reserved), "m2.ko: a reserved field", false),
        (with(&proof), "m2.ko: it has a proof", true),
        (
            with(&not_cms),
            "m2.ko: it has a signature that cannot be read",
            true,
        ),
        (with(&[&proof, end].concat()), "m2.ko: it has a proof", true),
        (
            [&packed[..], end].concat(),
            "m2.ko: it was signed after it was packed",
            true,
        ),
    ] {
        fs::write(work.path().join(path(2)), &content).unwrap();
        refuses(&work, &[], message);
        match is_replaced {
            false => refuses(&work, &["--replace"], message),
            true => {
                good(&seal(&work, &["--replace"]));
                is_consistent(&work);
            }
        }
    }
    // What a kill between the two pages of an end leaves: a trailer, and zeros in front of it.
    let mut half = end.to_vec();
    half[..end.len() - 60].fill(0);
    fs::write(work.path().join(path(2)), with(&half)).unwrap();
    good(&seal(&work, &[]));
    is_consistent(&work);
    // Another name of vmlinux would change as well.
    fs::hard_link(work.path().join("vmlinux"), work.path().join("copy")).unwrap();
    let output = seal(&work, &[]);
    fails(
        &output,
        1,
        "it has 2 names (hard links), all of which would change",
    );
    fs::remove_file(work.path().join("copy")).unwrap();
    good(&seal(&work, &[]));

    fs::write(work.path().join(path(2)), unsigned).unwrap();
    fs::write(work.path().join(path(3)), b"one").unwrap();
    fs::write(work.path().join(path(4)), b"two").unwrap();
    // All are named.
    refuses(&work, &[], "m3.ko: not a");
    refuses(&work, &[], "m4.ko: not a");
    refuses(&work, &[], "2 modules cannot be taken; nothing was done");
}

#[test]
fn signatures_of_others_are_replaced_only_if_that_is_wanted() {
    let work = sealed(&Linked::default(), &[]);
    let unsigned = strip(&read(&work, &path(1))).0.to_vec();
    let ours = read(&work, &path(1));
    sign(&work, &path(1));
    let theirs = read(&work, &path(1));
    refuses(&work, &[], "m1.ko: it is signed by issuer \"CN=somebody\"");
    // Below one that could be replaced, too.
    let both = [&theirs, &ours[unsigned.len()..]].concat();
    fs::write(work.path().join(path(1)), both).unwrap();
    refuses(&work, &[], "m1.ko: it is signed by");
    good(&seal(&work, &["--replace"]));
    is_consistent(&work);
    assert_eq!(strip(&read(&work, &path(1))), (&unsigned[..], 1));
    // Twice by earlier seals.
    let again = read(&work, &path(1));
    let twice = [&again, &ours[unsigned.len()..]].concat();
    fs::write(work.path().join(path(1)), twice).unwrap();
    good(&seal(&work, &[]));
    is_consistent(&work);
    assert_eq!(strip(&read(&work, &path(1))), (&unsigned[..], 1));
}

#[test]
fn what_the_kernel_does_not_take_is_seen_at_the_end() {
    let spy = Spy::new();
    let work = build_of(&Linked::default());
    let mut command = spy.command(MODSIG, &work);
    command.args(SEAL).env("SPY_SPOILS", path(3));
    let output = command.output().unwrap();
    fails(&output, 1, "lib/m3.ko: sealed, but not signed");
    fails(&output, 1, "1 modules are not taken; seal again");
    assert!(output.stdout.is_empty(), "{output:?}");
    fails(
        &modsig(&work, &["verify", "--kernel", "vmlinux", "lib"]),
        1,
        "",
    );
    // Nobody can tell any more that something is to be replaced.
    good(&seal(&work, &[]));
    is_consistent(&work);
}

#[test]
fn installed_and_packed_modules_are_sealed_along() {
    let work = build_of(&Linked::default());
    let installed = work.path().join("lib/modules/kernel");
    fs::create_dir_all(&installed).unwrap();
    let content = module(VERMAGIC, "packed");
    for compression in Compression::ALL {
        let path = installed.join(format!("packed.ko.{}", compression.extension()));
        fs::write(&path, compression.pack(&content, None).unwrap()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    }
    for more in [&[][..], &["--no-sync"]] {
        let more = [&["--modules", "lib/modules"], more].concat();
        says(&seal(&work, &more), "sealed: 8 modules");
        is_consistent(&work);
        for compression in Compression::ALL {
            let path = installed.join(format!("packed.ko.{}", compression.extension()));
            let file = fs::read(&path).unwrap();
            assert_eq!(Compression::of(&file), Some(compression));
            let unpacked = compression.unpack(&file).unwrap();
            assert_eq!(strip(&unpacked), (&content[..], 1));
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o640);
        }
    }
}

#[test]
fn nobody_sees_what_the_process_with_the_key_is_called() {
    let everything = ["--help", "help", "-h"].map(|argument| {
        let output = Command::new(MODSIG).arg(argument).output().unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    });
    assert!(!everything.concat().contains("one-time-key"));
    assert!(everything.concat().contains("seal"));
}

/// Runs the process that has the key by itself, with this input.
fn key_process(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(MODSIG)
        .arg("one-time-key")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // It may end before it has read it.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

#[test]
fn the_process_with_the_key_does_nothing_but_sign() {
    let frame = |content: &[u8]| [&(content.len() as u32).to_le_bytes(), content].concat();
    let p256 = ["p256", "sha512", "auto", "2", "1"];
    let error = |arguments: &[&str], input: &[u8], message: &str| {
        let output = key_process(arguments, input);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(message), "no {message:?} in {text:?}");
        // None of it is anything like a private key.
        let mut rest = &output.stdout[..];
        while let Some((length, after)) = rest.split_first_chunk() {
            let (frame, after) = after.split_at(u32::from_le_bytes(*length) as usize);
            assert!(PKey::private_key_from_der(&frame[1..]).is_err());
            rest = after;
        }
    };
    error(&[], &[], "only modsig seal starts this");
    error(&["p256"], &[], "only modsig seal starts this");
    error(&["p256", "sha512"], &[], "only modsig seal starts this");
    let but = |at: usize, word: &'static str| {
        let mut words = p256;
        words[at] = word;
        words
    };
    error(&but(0, "p255"), &[], "unknown kind of key");
    error(&but(1, "md5"), &[], "unknown digest algorithm");
    for (at, word) in [(2, "none"), (3, "0"), (3, "x"), (4, "-1")] {
        error(&but(at, word), &[], "only modsig seal starts this");
    }
    error(
        &p256,
        &frame(&[0; 63]),
        "63 bytes are not a digest of sha512",
    );
    error(&p256, &[1], "");
    error(&p256, &[1, 0, 0], "");
    error(&p256, &[5, 0, 0, 0, 1], "");
    error(&p256, &[255; 20], "invalid data");
    error(&p256, &[1, 0, 1, 0], "invalid data");
    let output = key_process(&p256, &[]);
    good(&output);
    let output = key_process(&p256, &frame(&[7; 64]));
    good(&output);
    assert!(output.stdout.len() > 600);
    // Several in a frame, and what is left of one.
    error(
        &p256,
        &frame(&[7; 3 * 64 + 1]),
        "1 bytes are not a digest of sha512",
    );
    let three = key_process(&p256, &frame(&[7; 3 * 64]));
    good(&three);
    assert!(three.stdout.len() > output.stdout.len() + 2 * 200);
    good(&key_process(&p256, &frame(&[])));
}

/// Whom the system lets lock little memory: nobody, if root runs this.
fn limited(spy: &Spy, work: &TempDir, memory: &str, swaps: &str) -> Output {
    let swaps_path = work.path().join("swaps");
    fs::write(
        &swaps_path,
        format!("Filename Type Size Used Priority\n{swaps}"),
    )
    .unwrap();
    let program = copy_of(MODSIG, work);
    let library = work.path().join("spy.so");
    fs::copy(spy.library(), &library).unwrap();
    for entry in walkdir::WalkDir::new(work.path()) {
        let entry = entry.unwrap();
        let mode = fs::Permissions::from_mode(0o777);
        fs::set_permissions(entry.path(), mode).unwrap();
        if is_root() {
            chown(entry.path(), Some(65534), Some(65534)).unwrap();
        }
    }
    let memlock = format!("--memlock={memory}:{memory}");
    let nobody = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
    ];
    let mut words = vec![];
    if is_root() {
        words.extend(nobody);
        words.extend(["--inh-caps=-all", "--bounding-set=-all"]);
    }
    words.extend(["prlimit", &memlock]);
    words.push(&program);
    let output = Command::new(words[0])
        .args(&words[1..])
        .args(SEAL)
        .env("LD_PRELOAD", &library)
        .env("SPY_SWAPS", &swaps_path)
        .current_dir(work.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    for name in ["swaps", "modsig", "spy.so"] {
        fs::remove_file(work.path().join(name)).unwrap();
    }
    output
}

const SWAP: &str = "/dev/sda2 partition 1024 0 -2\n";

#[test]
fn anybody_can_lock_as_much_as_is_needed() {
    let spy = Spy::new();
    // Half of what systems allow, and a quarter.
    for memory in ["8388608", "4194304", "2097152"] {
        let work = build_of(&Linked::default());
        let output = limited(&spy, &work, memory, SWAP);
        says(&output, "sealed: 5 modules");
        assert!(output.stderr.is_empty(), "{output:?}");
        is_consistent(&work);
    }
}

#[test]
fn a_key_that_could_get_into_swap_is_not_made() {
    let spy = Spy::new();
    for memory in ["0", "65536", "524288"] {
        let work = build_of(&Linked::default());
        let before = all_of(&work);
        let output = limited(&spy, &work, memory, SWAP);
        fails(
            &output,
            2,
            "could get into swap; allow it with ulimit -l 8192",
        );
        // But for their owners.
        let after = all_of(&work);
        let contents = after.iter().map(|(name, seen)| (name, &seen.4));
        assert!(contents.eq(before.iter().map(|(name, seen)| (name, &seen.4))));

        let output = limited(&spy, &work, memory, "");
        says(&output, "sealed: 5 modules");
        remarks(&output, "there is no swap, so it stays where it is");
        is_consistent(&work);
    }
}

/// It has done all, and says this besides.
fn remarks(output: &Output, remark: &str) {
    good(output);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains(remark) && text.lines().count() == 1, "{text}");
}

fn stopping(spy: &Spy, work: &TempDir, more: &[&str]) -> Spied {
    let mut command = spy.command(MODSIG, work);
    command.args(SEAL).args(more);
    spy.start(command)
}

/// No file of the build, no temporary one, none of the user's, nothing that is said.
fn nothing_is_in_files(needles: &spy::Needles, directories: &[&TempDir], output: &Output) {
    for directory in directories {
        let found = needles.files(directory.path());
        assert!(found.is_empty(), "{found:?}");
    }
    for said in [&output.stdout, &output.stderr] {
        assert!(!needles.are_in(said));
    }
}

/// Nor a file that has no name, or none any more, nor what a process was started with.
fn nothing_is_in_hand(needles: &spy::Needles, process: u32) {
    let process = Path::new("/proc").join(process.to_string());
    for place in ["cmdline", "environ"] {
        assert!(
            !needles.are_in(&fs::read(process.join(place)).unwrap()),
            "{place}"
        );
    }
    for entry in fs::read_dir(process.join("fd")).unwrap() {
        let path = entry.unwrap().path();
        if path.metadata().is_ok_and(|metadata| metadata.is_file()) {
            let name = fs::read_link(&path);
            assert!(!needles.are_in(&fs::read(path).unwrap()), "{name:?}");
        }
    }
}

#[test]
fn seal_leaves_no_key() {
    let spy = Spy::new();
    // One thread, and the signature that is made for a trial; several, in the middle of their work; and by
    // AWS-LC, which nobody can look into, when some messages have been sent. The second frame has the
    // certificate, for which the trial was made. Should OpenSSL sign then, it stops elsewhere, for good.
    let openssl = |jobs, number| {
        (
            ["--library", "openssl", "--jobs", jobs],
            "signed",
            ("SPY_SIGNED", number),
        )
    };
    let aws_lc = |number| {
        (
            ["--library", "aws-lc", "--jobs", "4"],
            "sent",
            ("SPY_SENT", number),
        )
    };
    for (algorithm, (options, signing, (variable, number))) in [
        ("p256", openssl("1", "1")),
        ("p521", openssl("1", "1")),
        ("rsa-2048", openssl("1", "1")),
        ("p384", openssl("4", "4")),
        ("rsa-4096", openssl("4", "4")),
        ("p384", aws_lc("2")),
        ("rsa-4096", aws_lc("4")),
    ] {
        let work = build_of(&Linked::default());
        let [home, temporary] = [(), ()].map(|()| tempfile::tempdir().unwrap());
        let mut command = spy.command(MODSIG, &work);
        command
            .args(SEAL)
            .args(["--algorithm", algorithm, "--verbose"])
            .args(options)
            .env(variable, number)
            .env("HOME", home.path())
            .env("TMPDIR", temporary.path());
        let mut spied = spy.start(command);
        let mut needles = None;
        for place in ["made", signing, "ended"] {
            let stopped = spied.stopped(place);
            assert_eq!(stopped.parent, spied.process());
            // No core dump, no debugger.
            assert_eq!((stopped.dumpable, stopped.core), (0, (0, 0)));
            if place == "signed" {
                // Two digests at least are left, for which somebody else is there.
                let threads = fs::read_dir(format!("/proc/{}/task", stopped.process));
                assert_eq!(threads.unwrap().count() > 1, options[3] == "4");
            }
            let needles = needles.get_or_insert_with(|| spy::Needles::new(&spied.numbers()));
            let mut found = vec![];
            for (mapping, octets) in spy::memory(stopped.process) {
                // All of it is locked, whether it is from before or from now.
                let is_private = mapping.line.contains(" rw-p ");
                assert!(mapping.locked || !is_private, "{}", mapping.line);
                if mapping.addresses.contains(&stopped.probe) {
                    assert!(mapping.locked, "{}", mapping.line);
                }
                if needles.are_in(&octets) {
                    found.push(mapping);
                }
            }
            match place {
                "ended" => assert!(found.is_empty(), "{algorithm}: still in {found:?}"),
                // That it is found here shows that it would be found there.
                _ => {
                    assert!(!found.is_empty(), "{algorithm}: {place}: not found");
                    assert!(found.iter().all(|mapping| mapping.locked), "{found:?}");
                }
            }
            let locked = spy::locked(stopped.process);
            assert!(locked > 1 << 17 && locked < 1 << 22, "{locked}");
            for (mapping, octets) in spy::memory(stopped.parent) {
                assert!(!needles.are_in(&octets), "parent: {}", mapping.line);
            }
            for process in [stopped.process, stopped.parent] {
                nothing_is_in_hand(needles, process);
            }
            let nothing = Output {
                status: Default::default(),
                stdout: vec![],
                stderr: vec![],
            };
            nothing_is_in_files(needles, &[&work, &home, &temporary], &nothing);
            spy::signal(stopped.process, "CONT");
        }
        let output = spied.end();
        says(&output, &format!("{algorithm} key destroyed"));
        nothing_is_in_files(&needles.unwrap(), &[&work, &home, &temporary], &output);
        is_consistent(&work);
    }
}

#[test]
fn a_key_that_is_in_a_file_would_be_found() {
    for algorithm in ["p256", "p521", "rsa-2048"] {
        let work = set_up(algorithm);
        let key = PKey::private_key_from_pem(&read(&work, "k.pem")).unwrap();
        let number = match key.ec_key() {
            Ok(key) => key.private_key().to_vec(),
            Err(_) => key.rsa().unwrap().d().to_vec(),
        };
        let needles = spy::Needles::new(std::slice::from_ref(&number));
        assert_eq!(needles.files(work.path()), [work.path().join("k.pem")]);
        fs::write(work.path().join("k.der"), key.private_key_to_der().unwrap()).unwrap();
        fs::remove_file(work.path().join("k.pem")).unwrap();
        assert_eq!(needles.files(work.path()), [work.path().join("k.der")]);
        let hex: String = number.iter().map(|octet| format!("{octet:02x}")).collect();
        let reversed: Vec<u8> = number.iter().rev().copied().collect();
        assert!(needles.are_in(hex.as_bytes()) && needles.are_in(hex.to_uppercase().as_bytes()));
        assert!(needles.are_in(&reversed) && !needles.are_in(&[0; 1000]));
    }
}

#[test]
fn the_process_with_the_key_dumps_no_core() {
    let spy = Spy::new();
    let work = build_of(&Linked::default());
    // Here others would.
    let allow = "ulimit -c unlimited || ulimit -c $(ulimit -H -c)";
    let abort = Command::new("sh")
        .args(["-c", &format!("{allow}; kill -s ABRT $$")])
        .current_dir(work.path())
        .status()
        .unwrap();
    assert!(
        abort.core_dumped(),
        "{abort}: allow core dumps: ulimit -H -c unlimited"
    );
    for entry in fs::read_dir(work.path()).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with("core") {
            fs::remove_file(entry.path()).unwrap();
        }
    }

    let mut command = spy.command("sh", &work);
    let run = format!("{allow}; exec \"$@\"");
    command.args(["-c", &run, "sh", MODSIG]).args(SEAL);
    command.env("SPY_AS_IS", "1");
    let before = all_of(&work);
    let mut spied = spy.start(command);
    let stopped = spied.stopped("made");
    assert_ne!(stopped.process, spied.process());
    spy::signal(stopped.process, "ABRT");
    spy::signal(stopped.process, "CONT");
    let output = spied.end();
    // The shell's words for a process that has ended so name the core, if there is one.
    fails(
        &output,
        2,
        "the process that has the key has ended (signal: 6 (SIGABRT)), and the key is gone; do it again",
    );
    assert!(all_of(&work) == before);
}

#[test]
fn if_one_of_both_dies_so_does_the_other() {
    let spy = Spy::new();
    for place in ["made", "signed"] {
        let work = build_of(&Linked::default());
        let before = all_of(&work);
        let mut spied = stopping(&spy, &work, &[]);
        let stopped = stopped_at(&mut spied, place);
        spy::signal(stopped.process, "KILL");
        fails(
            &spied.end(),
            2,
            "has ended (signal: 9 (SIGKILL)), and the key is gone",
        );
        assert!(all_of(&work) == before);

        let mut spied = stopping(&spy, &work, &[]);
        let stopped = stopped_at(&mut spied, place);
        spy::signal(spied.process(), "KILL");
        // Although it is stopped.
        spy::wait_for("its end", || {
            let there = Path::new("/proc").join(stopped.process.to_string());
            (!there.exists()).then_some(())
        });
        assert_eq!(spied.end().status.signal(), Some(9));
        assert!(all_of(&work) == before);
    }
}

/// Lets it go on up to this place.
fn stopped_at(spied: &mut Spied, place: &str) -> spy::Stopped {
    let stopped = spied.stopped("made");
    if place == "made" {
        return stopped;
    }
    spy::signal(stopped.process, "CONT");
    spied.stopped(place)
}
