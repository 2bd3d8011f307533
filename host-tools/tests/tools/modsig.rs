// SPDX-License-Identifier: MIT OR Apache-2.0

//! The programs, run as a person runs them, against OpenSSL's own.

use std::{
    fs,
    os::unix::fs::{symlink, PermissionsExt},
    process::Output,
};

use crate::common::*;

#[test]
fn signs_what_it_verifies_and_strips_it_again() {
    for algorithm in ["rsa-2048", "p256", "p384", "p521"] {
        for hash in ["sha256", "sha384", "sha512", "sha3-512"] {
            for more in [&[][..], &["--keyid"]] {
                let work = set_up(algorithm);
                good(&modsig(
                    &work,
                    &[&SIGN[..], &["--hash", hash], more].concat(),
                ));
                good(&modsig(&work, &VERIFY));
                good(&modsig(&work, &["inspect", "m.ko"]));
                good(&modsig(&work, &["strip", "m.ko"]));
                assert_eq!(module(&work), MODULE);
            }
        }
    }
}

#[test]
fn openssl_makes_the_same_message() {
    let work = set_up("rsa-2048");
    for (ours, theirs) in [(&[][..], &[][..]), (&["-k"], &["-keyid"])] {
        let operands = ["-d", "sha256", "k.pem", "c.pem", "m.ko"];
        good(&run(&work, SIGN_FILE, &[ours, &operands].concat()));
        assert_eq!(module(&work), MODULE, "-d leaves the module");
        let cms = [
            "cms",
            "-sign",
            "-binary",
            "-noattr",
            "-nocerts",
            "-md",
            "sha256",
            "-outform",
            "DER",
            "-signer",
            "c.pem",
            "-inkey",
            "k.pem",
            "-in",
            "m.ko",
            "-out",
            "theirs.p7s",
        ];
        good(&run(&work, "openssl", &[&cms[..], theirs].concat()));
        assert_eq!(read(&work, "m.ko.p7s"), read(&work, "theirs.p7s"));
    }
}

#[test]
fn signing_again_replaces_the_signature() {
    let work = set_up("rsa-2048");
    good(&modsig(&work, &SIGN));
    let once = module(&work);
    let again = modsig(&work, &SIGN);
    good(&again);
    assert_eq!(module(&work), once);
    assert!(String::from_utf8_lossy(&again.stdout).contains("old signature replaced"));
}

#[test]
fn verify_tells_what_a_kernel_would_do() {
    let work = set_up("p256");
    fails_with_stdout(&modsig(&work, &VERIFY), 1, "not signed");
    good(&modsig(
        &work,
        &[&VERIFY[..], &["--allow-unsigned"]].concat(),
    ));
    good(&modsig(&work, &SIGN));
    let mut altered = module(&work);
    altered[10] ^= 1;
    fs::write(work.path().join("m.ko"), altered).unwrap();
    fails_with_stdout(&modsig(&work, &VERIFY), 1, "permissive: EKEYREJECTED");
    fails(
        &modsig(&work, &["verify", "--cert", "none.pem", "m.ko"]),
        2,
        "none.pem",
    );
    let json = modsig(&work, &[&VERIFY[..], &["--json"]].concat());
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["modules"][0]["enforcing"], "EKEYREJECTED");
}

fn fails_with_stdout(output: &Output, code: i32, message: &str) {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stdout).contains(message),
        "{output:?}"
    );
}

#[test]
fn bad_input_is_named_and_left_alone() {
    let work = set_up("rsa-2048");
    let path = |name: &str| work.path().join(name);
    let sign = |name| modsig(&work, &["sign", "--key", "k.pem", "--cert", "c.pem", name]);
    for (name, content, message) in [
        ("empty.ko", &b""[..], "empty.ko: the file is empty"),
        ("text.ko", b"text", "text.ko: not a kernel module"),
        (
            "m.ko.xz",
            b"\xfd7zXZ\0...",
            "m.ko.xz: cannot be unpacked; install or build it again: not xz data",
        ),
        ("m.ko.zst", b"\x28\xb5\x2f\xfd...", "not zstd data"),
        ("m.ko.gz", b"\x1f\x8b...", "not gzip data"),
    ] {
        fs::write(path(name), content).unwrap();
        fails(&sign(name), 1, message);
        assert_eq!(fs::read(path(name)).unwrap(), content);
    }
    fails(
        &sign("missing.ko"),
        1,
        "missing.ko: cannot open: No such file",
    );
    good(&run(&work, "mkfifo", &["pipe.ko"]));
    fails(&sign("pipe.ko"), 1, "pipe.ko: not a file");
    symlink("nowhere", path("dangling.ko")).unwrap();
    fails(&sign("dangling.ko"), 1, "dangling.ko: cannot open");
    let into_link = ["-s", "c.pem", "sha256", "c.pem", "m.ko", "dangling.ko"];
    fails(
        &run(&work, SIGN_FILE, &into_link),
        1,
        "dangling.ko: a symbolic link is there, and is not followed",
    );
    fs::create_dir(path("nothing")).unwrap();
    fails(&sign("nothing"), 1, "no modules");
    assert_eq!(modsig(&work, &["sign"]).status.code(), Some(2));

    let other = [
        "keygen",
        "--algorithm",
        "p256",
        "--key",
        "k2.pem",
        "--cert",
        "c2.pem",
    ];
    good(&modsig(&work, &other));
    fails(&modsig(&work, &other), 2, "k2.pem: it is there already");
    let mixed = ["sign", "--key", "k.pem", "--cert", "c2.pem", "m.ko"];
    fails(&modsig(&work, &mixed), 2, "do not belong together");

    let encrypt = [
        "pkey",
        "-aes256",
        "-passout",
        "pass:secret",
        "-in",
        "k.pem",
        "-out",
        "e.pem",
    ];
    good(&run(&work, "openssl", &encrypt));
    let encrypted = ["sign", "--key", "e.pem", "--cert", "c.pem", "m.ko"];
    fails(&modsig(&work, &encrypted), 2, "the key is encrypted");
    fs::write(path("wrong"), "wrong").unwrap();
    let with = |file| [&encrypted[..], &["--passphrase-file", file]].concat();
    fails(&modsig(&work, &with("wrong")), 2, "the passphrase is wrong");
    assert_eq!(module(&work), MODULE);
    fs::write(path("right"), "secret\n").unwrap();
    good(&modsig(&work, &with("right")));
}

#[test]
fn a_write_protected_module_stays_as_it_is() {
    let work = set_up("p256");
    let path = work.path().join("m.ko");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    fails(&modsig(&work, &SIGN), 1, "write-protected");
    assert_eq!(module(&work), MODULE);
}

#[test]
fn mode_attributes_and_links_are_kept() {
    let work = set_up("p256");
    let path = work.path().join("m.ko");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("m.ko", work.path().join("link.ko")).unwrap();
    good(&modsig(
        &work,
        &["sign", "--key", "k.pem", "--cert", "c.pem", "link.ko"],
    ));
    good(&modsig(&work, &VERIFY));
    let link = fs::symlink_metadata(work.path().join("link.ko")).unwrap();
    assert!(link.is_symlink());
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
        0o640
    );
    no_left_overs(work.path());
}

#[test]
fn a_directory_is_signed_as_a_whole() {
    let work = set_up("p256");
    fs::create_dir_all(work.path().join("tree/deep")).unwrap();
    for name in ["tree/a.ko", "tree/deep/b.ko", "tree/deep/c.txt"] {
        fs::write(work.path().join(name), MODULE).unwrap();
    }
    good(&modsig(
        &work,
        &["sign", "--key", "k.pem", "--cert", "c.pem", "tree"],
    ));
    good(&modsig(&work, &["verify", "--cert", "c.pem", "tree"]));
    assert_eq!(
        fs::read(work.path().join("tree/deep/c.txt")).unwrap(),
        MODULE
    );
}

#[test]
fn a_directory_of_its_own_gets_the_same_tree() {
    let work = set_up("p256");
    for name in ["tree/a", "tree/b"] {
        fs::create_dir_all(work.path().join(name)).unwrap();
        fs::write(work.path().join(name).join("m.ko"), MODULE).unwrap();
    }
    let sign = [
        "sign",
        "--key",
        "k.pem",
        "--cert",
        "c.pem",
        "--dest-dir",
        "out",
        "tree",
        "m.ko",
    ];
    good(&modsig(&work, &sign));
    for name in ["out/a/m.ko", "out/b/m.ko", "out/m.ko"] {
        good(&modsig(&work, &["verify", "--cert", "c.pem", name]));
    }
    for name in ["tree/a/m.ko", "tree/b/m.ko", "m.ko"] {
        assert_eq!(read(&work, name), MODULE);
    }
}

#[test]
fn sign_file_says_what_is_wrong_and_leaves_the_file() {
    let work = set_up("p256");
    fs::create_dir(work.path().join("dir.ko")).unwrap();
    fs::write(work.path().join("empty.ko"), b"").unwrap();
    fs::write(work.path().join("text.ko"), b"text").unwrap();
    let sign = |arguments: &[&str]| run(&work, SIGN_FILE, arguments);
    for (name, message) in [
        ("missing.ko", "missing.ko: cannot open"),
        ("dir.ko", "dir.ko: not a file"),
        ("empty.ko", "empty.ko: the file is empty"),
    ] {
        fails(&sign(&["sha256", "k.pem", "c.pem", name]), 1, message);
    }
    fails(
        &sign(&["sha257", "k.pem", "c.pem", "m.ko"]),
        1,
        "unknown digest algorithm",
    );
    fails(
        &sign(&["sha256", "none", "c.pem", "m.ko"]),
        1,
        "none: cannot read the key",
    );
    fails(
        &sign(&["sha256", "k.pem", "none", "m.ko"]),
        1,
        "none: cannot read the certificate",
    );
    fails(
        &sign(&["sha256", "c.pem", "c.pem", "m.ko"]),
        1,
        "c.pem: not a private key",
    );
    fails(
        &sign(&["sha256", "k.pem", "k.pem", "m.ko"]),
        1,
        "k.pem: not a certificate",
    );
    fails(
        &sign(&["-s", "none", "sha256", "c.pem", "m.ko"]),
        1,
        "none: cannot open",
    );
    for usage in [
        &[][..],
        &["sha256"],
        &["-x", "sha256", "k.pem", "c.pem", "m.ko"],
    ] {
        assert_eq!(sign(usage).status.code(), Some(2), "{usage:?}");
    }
    assert_eq!(module(&work), MODULE);
}

#[test]
fn keygen_makes_keys_for_their_owner_only() {
    let work = set_up("p256");
    let key = work.path().join("k.pem");
    let mode = || fs::metadata(&key).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(), 0o600);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let before = read(&work, "k.pem");
    let keygen = ["keygen", "--key", "k.pem", "--cert", "new.pem"];
    fails(
        &modsig(&work, &keygen),
        2,
        "k.pem: it is there already; give another name, or replace it with --force",
    );
    let other = ["keygen", "--key", "new.pem", "--cert", "c.pem"];
    fails(&modsig(&work, &other), 2, "c.pem: it is there already");
    assert_eq!(read(&work, "k.pem"), before);
    assert!(!work.path().join("new.pem").exists());
    good(&modsig(&work, &[&keygen[..], &["--force"]].concat()));
    assert_ne!(read(&work, "k.pem"), before);
    assert_eq!(mode(), 0o600);
    no_left_overs(work.path());
}
