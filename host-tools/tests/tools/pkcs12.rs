// SPDX-License-Identifier: MIT OR Apache-2.0

//! Keys in PKCS#12 files, which OpenSSL makes.

use std::fs;

use tempfile::TempDir;

use crate::common::*;

/// A key with its certificate and that of its issuer, in new.p12 with the ciphers of today, and in old.p12 with
/// those of old; the passphrase is "secret".
fn files() -> TempDir {
    let work = tempfile::tempdir().unwrap();
    fs::write(work.path().join("m.ko"), MODULE).unwrap();
    let leaf = "basicConstraints=critical,CA:FALSE";
    for line in [
        "req -x509 -newkey rsa:2048 -nodes -subj /CN=Issuer -keyout ca.key -out ca.pem",
        "req -newkey rsa:2048 -nodes -subj /CN=Signer -keyout k.pem -out request",
        "x509 -req -in request -CA ca.pem -CAkey ca.key -CAcreateserial -extfile leaf -out c.pem",
    ] {
        fs::write(work.path().join("leaf"), leaf).unwrap();
        openssl(&work, line);
    }
    for (name, options) in [("new.p12", ""), ("old.p12", " -legacy")] {
        let files = "-inkey k.pem -in c.pem -certfile ca.pem -passout pass:secret";
        openssl(
            &work,
            &format!("pkcs12 -export {files} -out {name}{options}"),
        );
    }
    work
}

fn openssl(work: &TempDir, line: &str) {
    let words: Vec<&str> = line.split(' ').collect();
    good(&run(work, "openssl", &words));
}

fn sign(work: &TempDir, passphrase: &str, arguments: &[&str]) -> std::process::Output {
    let variable = format!("KBUILD_SIGN_PIN={passphrase}");
    let program = [&variable[..], MODSIG, "sign"];
    run(work, "env", &[&program[..], arguments, &["m.ko"]].concat())
}

fn is_good(work: &TempDir) {
    good(&modsig(work, &VERIFY));
    good(&modsig(work, &["strip", "m.ko"]));
}

#[test]
fn key_and_certificate_come_out_of_one_file() {
    let work = files();
    for name in ["new.p12", "old.p12"] {
        for arguments in [
            &["--key", name][..],
            &["--key", name, "--cert", name],
            &["--key", name, "--cert", "c.pem"],
            &["--key", "k.pem", "--cert", name],
        ] {
            let output = sign(&work, "secret", arguments);
            good(&output);
            assert!(output.stderr.is_empty(), "{output:?}");
            is_good(&work);
        }
        // The same bytes as with the key in a file.
        let operands = ["sha256", name, name, "m.ko"];
        let program = ["KBUILD_SIGN_PIN=secret", SIGN_FILE];
        good(&run(&work, "env", &[&program[..], &operands].concat()));
        let ours = module(&work);
        good(&modsig(&work, &["strip", "m.ko"]));
        good(&run(
            &work,
            SIGN_FILE,
            &["sha256", "k.pem", "c.pem", "m.ko"],
        ));
        assert_eq!(module(&work), ours);
        is_good(&work);
    }
    fs::write(work.path().join("file"), "secret\n").unwrap();
    let from_file = ["--key", "new.p12", "--passphrase-file", "file"];
    good(&sign(&work, "", &from_file));
    is_good(&work);
    // Its certificates are of use to others as well.
    good(&sign(&work, "secret", &["--key", "new.p12"]));
    let verify = [
        "KBUILD_SIGN_PIN=secret",
        MODSIG,
        "verify",
        "--cert",
        "new.p12",
        "m.ko",
    ];
    says(&run(&work, "env", &verify), "1 good");
}

#[test]
fn the_chain_is_there_too() {
    let work = files();
    good(&sign(
        &work,
        "secret",
        &["--key", "new.p12", "--chain", "new.p12"],
    ));
    says(
        &modsig(&work, &["inspect", "m.ko"]),
        "certificates in the signature: 2",
    );
}

#[test]
fn what_is_wrong_is_said_and_no_module_touched() {
    let work = files();
    openssl(
        &work,
        "pkcs12 -export -nokeys -in c.pem -out certs.p12 -passout pass:secret",
    );
    openssl(
        &work,
        "pkcs12 -export -nocerts -inkey k.pem -out key.p12 -passout pass:secret",
    );
    openssl(
        &work,
        "pkcs12 -export -nomac -inkey k.pem -in c.pem -out nomac.p12 -passout pass:secret",
    );
    let whole = read(&work, "new.p12");
    fs::write(work.path().join("cut.p12"), &whole[..500]).unwrap();
    for (name, passphrase, message) in [
        (
            "new.p12",
            "other",
            "the passphrase of this PKCS#12 file is wrong",
        ),
        (
            "old.p12",
            "other",
            "the passphrase of this PKCS#12 file is wrong",
        ),
        ("new.p12", "", "give its passphrase with --passphrase-file"),
        (
            "certs.p12",
            "secret",
            "a PKCS#12 file without a private key",
        ),
        (
            "key.p12",
            "secret",
            "a PKCS#12 file without a certificate; give that with --cert",
        ),
        (
            "cut.p12",
            "secret",
            "openssl pkcs12 -in cut.p12 -out key.pem tells",
        ),
        ("nomac.p12", "secret", "one without a MAC"),
        ("k.pem", "", "nor is there one beside the key"),
    ] {
        let output = sign(&work, passphrase, &["--key", name]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(
            text.contains(name) && text.contains(message),
            "no {message:?} in {text:?}"
        );
        assert_eq!(module(&work), MODULE);
    }
    good(&sign(
        &work,
        "secret",
        &["--key", "key.p12", "--cert", "c.pem"],
    ));
    is_good(&work);
    // Where OpenSSL has not what decrypts RC2.
    let variables = ["KBUILD_SIGN_PIN=secret", "OPENSSL_MODULES=/none", MODSIG];
    let arguments = ["sign", "--key", "old.p12", "m.ko"];
    let output = run(&work, "env", &[&variables[..], &arguments].concat());
    fails(&output, 2, "install openssl-provider-legacy (Debian 13)");
    assert_eq!(module(&work), MODULE);
}

#[test]
fn an_empty_passphrase_is_not_asked_for() {
    let work = files();
    openssl(
        &work,
        "pkcs12 -export -inkey k.pem -in c.pem -out e.p12 -passout pass:",
    );
    good(&sign(&work, "", &["--key", "e.p12"]));
    is_good(&work);
}

#[test]
fn pem_may_have_both_as_kbuild_s_has() {
    let work = files();
    let both = [read(&work, "k.pem"), read(&work, "c.pem")].concat();
    fs::write(work.path().join("signing_key.pem"), both).unwrap();
    good(&sign(&work, "", &["--key", "signing_key.pem"]));
    is_good(&work);
}
