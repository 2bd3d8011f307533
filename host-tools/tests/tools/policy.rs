// SPDX-License-Identifier: MIT OR Apache-2.0

//! What depends on how OpenSSL was set up: an error of its is no verdict on a module, and is told as what
//! it is. And names, of signers and of algorithms.

use std::{fs, process::Output};

use tempfile::TempDir;

use crate::common::*;

/// What OpenSSL does where a policy forbids signatures over SHA-1, as RHEL's and Fedora's.
const NO_SHA1: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
int EVP_PKEY_CTX_set_signature_md(EVP_PKEY_CTX *ctx, const EVP_MD *md)
{
	int (*next)(EVP_PKEY_CTX *, const EVP_MD *) = dlsym(RTLD_NEXT, "EVP_PKEY_CTX_set_signature_md");
	if (EVP_MD_get_type(md) != NID_sha1)
		return next(ctx, md);
	ERR_raise(ERR_LIB_EVP, EVP_R_INVALID_DIGEST);
	return -1;
}
"#;

#[test]
fn a_policy_of_openssl_is_no_verdict_on_a_module() {
    let work = set_up("rsa-2048");
    let sha1 = [&SIGN[..], &["--hash", "sha1"]].concat();
    good(&modsig(&work, &sha1));
    good(&modsig(&work, &VERIFY));
    fs::write(work.path().join("policy.c"), NO_SHA1).unwrap();
    let compile = ["-shared", "-fPIC", "-o", "policy.so", "policy.c"];
    good(&run(&work, "cc", &compile));
    let library = format!("LD_PRELOAD={}", work.path().join("policy.so").display());
    let with_policy = |arguments: &[&str]| {
        run(
            &work,
            "env",
            &[&[&*library, MODSIG][..], arguments].concat(),
        )
    };
    let policy = "m.ko: cannot be checked: this OpenSSL does not do what is needed for it";
    fails(&with_policy(&VERIFY), 1, policy);
    fails(&with_policy(&["why", "--cert", "c.pem", "m.ko"]), 2, policy);
    // And nobody signs what cannot be checked.
    let before = module(&work);
    assert_eq!(with_policy(&sha1).status.code(), Some(2));
    assert_eq!(module(&work), before);
}

/// Runs modsig with an openssl.cnf that activates these providers.
fn with_providers(work: &TempDir, providers: &[&str], arguments: &[&str]) -> Output {
    let mut text = "openssl_conf = init\n[init]\nproviders = all\n[all]\n".to_owned();
    for name in providers {
        text += &format!("{name} = its_{name}\n");
    }
    for name in providers {
        text += &format!("[its_{name}]\nactivate = 1\n");
    }
    fs::write(work.path().join("openssl.cnf"), text).unwrap();
    let environment = ["OPENSSL_CONF=openssl.cnf", "KBUILD_SIGN_PIN=secret", MODSIG];
    run(work, "env", &[&environment[..], arguments].concat())
}

#[test]
fn a_key_that_was_encrypted_long_ago_signs_or_says_what_is_missing() {
    let work = set_up("rsa-2048");
    let encrypt = |cipher: &[&str], name: &str| {
        let command = [
            "pkcs8",
            "-topk8",
            "-provider",
            "legacy",
            "-provider",
            "default",
        ];
        let files = ["-in", "k.pem", "-out", name, "-passout", "pass:secret"];
        good(&run(
            &work,
            "openssl",
            &[&command[..], cipher, &files].concat(),
        ));
    };
    encrypt(&["-v1", "PBE-MD5-DES"], "des.pem");
    encrypt(&["-v1", "PBE-SHA1-RC2-40"], "rc2.pem");
    encrypt(&["-v2", "aes-256-cbc"], "aes.pem");
    let sign = |providers: &[&str], key: &str| {
        let arguments = ["sign", "--key", key, "--cert", "c.pem", "m.ko"];
        with_providers(&work, providers, &arguments)
    };
    // OpenSSL's legacy provider is loaded where it is needed, whatever openssl.cnf says.
    for key in ["des.pem", "rc2.pem", "aes.pem"] {
        for providers in [&["default"][..], &["default", "legacy"]] {
            good(&sign(providers, key));
            good(&modsig(&work, &["strip", "m.ko"]));
        }
    }
    fs::write(work.path().join("wrong"), "other\n").unwrap();
    for key in ["des.pem", "rc2.pem", "aes.pem"] {
        let wrong = [
            "sign",
            "--passphrase-file",
            "wrong",
            "--key",
            key,
            "--cert",
            "c.pem",
            "m.ko",
        ];
        fails(&modsig(&work, &wrong), 2, "the passphrase is wrong");
    }
    // Where there is none.
    for key in ["des.pem", "rc2.pem"] {
        let environment = ["OPENSSL_MODULES=/none", "KBUILD_SIGN_PIN=secret", MODSIG];
        let sign = ["sign", "--key", key, "--cert", "c.pem", "m.ko"];
        let output = run(&work, "env", &[&environment[..], &sign].concat());
        fails(&output, 2, "install openssl-provider-legacy (Debian 13)");
        assert_eq!(module(&work), MODULE);
    }
}

#[test]
fn signers_are_named_in_their_own_letters() {
    let work = set_up("p256");
    for (number, subject, shown) in [
        (0, "/CN=Müller GmbH 署名", "CN=Müller GmbH 署名"),
        (1, "/emailAddress=a@b.example", "emailAddress=a@b.example"),
        (2, "/O=Org/CN=plain", "CN=plain"),
    ] {
        let (key, cert) = (format!("{number}.key"), format!("{number}.pem"));
        let pair = [
            "req", "-new", "-x509", "-nodes", "-utf8", "-subj", subject, "-newkey", "rsa:2048",
            "-keyout", &key, "-out", &cert,
        ];
        good(&run(&work, "openssl", &pair));
        let sign = ["sign", "--key", &key, "--cert", &cert, "m.ko"];
        good(&modsig(&work, &sign));
        for arguments in [
            &["inspect", "m.ko"][..],
            &["inspect", "--json", "m.ko"],
            &["verify", "--cert", &cert, "m.ko"],
            &["why", "-v", "--cert", &cert, "m.ko"],
        ] {
            says(&modsig(&work, arguments), shown);
        }
    }
}

/// The kernel's own takes every name that OpenSSL has.
#[test]
fn sign_file_knows_digests_by_openssls_names() {
    let work = set_up("rsa-2048");
    for (name, digest) in [
        ("SHA-256", "sha256"),
        ("sha2-256", "sha256"),
        ("SHA2-512", "sha512"),
        ("RSA-SHA256", "sha256"),
        ("SHA3-384", "sha3-384"),
        ("SHA1", "sha1"),
    ] {
        fs::write(work.path().join("m.ko"), MODULE).unwrap();
        good(&run(&work, SIGN_FILE, &[name, "k.pem", "c.pem", "m.ko"]));
        says(
            &modsig(&work, &["inspect", "m.ko"]),
            &format!("rsa/{digest}"),
        );
    }
}

/// s390 and powerpc sign the images of kernels with it, for kexec.
#[test]
fn sign_file_signs_what_is_no_module_too() {
    let work = set_up("rsa-2048");
    fs::write(work.path().join("image"), "a kernel, for example").unwrap();
    let output = run(&work, SIGN_FILE, &["sha256", "k.pem", "c.pem", "image"]);
    good(&output);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("image: signed, though it is not a kernel module"),
        "{text}"
    );
    let signed = read(&work, "image");
    assert!(signed.starts_with(b"a kernel, for example"));
    assert!(signed.ends_with(b"~Module signature appended~\n"));
}

/// What a machine's openssl.cnf takes away is named before anything is done; no module is called bad for it.
#[test]
fn an_openssl_cnf_that_takes_away_what_is_needed_is_named() {
    let work = set_up("rsa-2048");
    good(&modsig(&work, &[&SIGN[..], &["--detached"]].concat()));
    fs::copy(work.path().join("m.ko"), work.path().join("good.ko")).unwrap();
    good(&modsig(
        &work,
        &["sign", "--key", "k.pem", "--cert", "c.pem", "good.ko"],
    ));
    let list = "openssl_conf = i\n[i]\nproviders = p\n";
    let only = |provider: &str| format!("{list}[p]\n{provider} = t\n[t]\nactivate = 1\n");
    let none = format!("{list}[p]\nnone = t\n[t]\nmodule = /none.so\nactivate = 1\n");
    let fips = format!(
        "{list}alg_section = a\n[p]\ndefault = t\n[t]\nactivate = 1\n[a]\ndefault_properties = fips=yes\n"
    );
    for text in [only("legacy"), only("base"), none, fips] {
        fs::write(work.path().join("o.cnf"), text).unwrap();
        let with_it = |command: &[&str]| {
            let environment = ["OPENSSL_CONF=o.cnf"];
            run(&work, "env", &[&environment[..], command].concat())
        };
        let named = "this OpenSSL has no SHA-512. See what o.cnf (OPENSSL_CONF) says";
        for command in [
            &SIGN[..],
            &["verify", "--cert", "c.pem", "good.ko"],
            &["why", "--cert", "c.pem", "good.ko"],
            &["attach", "--cert", "c.pem", "m.ko"],
            &["sign", "--manifest", "list", "m.ko"],
            &["keygen", "--key", "new.pem", "--cert", "new.crt"],
        ] {
            let output = with_it(&[&[MODSIG], command].concat());
            fails(&output, 2, named);
            assert!(output.stdout.is_empty(), "{output:?}");
        }
        let operands = ["sha512", "k.pem", "c.pem", "m.ko"];
        fails(&with_it(&[&[SIGN_FILE], &operands[..]].concat()), 1, named);
        assert_eq!(module(&work), MODULE);
        assert!(!work.path().join("new.pem").exists());
        // These need nothing of it.
        says(&with_it(&[MODSIG, "inspect", "good.ko"]), "rsa/sha512");
    }
}
