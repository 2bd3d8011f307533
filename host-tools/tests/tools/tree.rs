// SPDX-License-Identifier: MIT OR Apache-2.0

//! Against the kernel tree's own signer and test vectors, and the system's own modinfo.

use std::{fs, path::PathBuf};

use modsig::verify::{check, Flags};
use modsig_tools::{message, platform::Host, signer};
use openssl::x509::X509;
use tempfile::TempDir;

use crate::common::*;

const SERIES: [&str; 2] = ["6.12", "7.3"];

/// All that modules are signed with.
const HASHES: [&str; 8] = [
    "sha1", "sha224", "sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512",
];

/// Builds a tree's `scripts/sign-file` as `scripts/Makefile` does.
fn stock_sign_file(work: &TempDir, series: &str) -> String {
    let tree = kernel_source(series);
    let path = |name: &str| tree.join(name).display().to_string();
    let include = format!("-I{}", path("tools/include/uapi"));
    let program = work.path().join(format!("sign-file-{series}"));
    let program = program.to_str().unwrap();
    good(&run(
        work,
        "cc",
        &[
            "-O2",
            &include,
            "-o",
            program,
            &path("scripts/sign-file.c"),
            "-lcrypto",
        ],
    ));
    program.to_owned()
}

#[test]
fn the_trees_sign_file_makes_the_same_files() {
    for series in SERIES {
        let work = set_up("rsa-2048");
        let stock = stock_sign_file(&work, series);
        for hash in HASHES {
            for options in [
                &[][..],
                &["-k"],
                &["-p"],
                &["-d"],
                &["-k", "-p"],
                &["-d", "-k"],
            ] {
                for destination in [&[][..], &["signed.ko"]] {
                    let operands = [hash, "k.pem", "c.pem", "m.ko"];
                    let arguments = [options, &operands, destination].concat();
                    let made = |program: &str| {
                        for name in ["m.ko.p7s", "signed.ko"] {
                            let _ = fs::remove_file(work.path().join(name));
                        }
                        fs::write(work.path().join("m.ko"), MODULE).unwrap();
                        good(&run(&work, program, &arguments));
                        ["m.ko", "signed.ko", "m.ko.p7s"]
                            .map(|name| fs::read(work.path().join(name)).ok())
                    };
                    assert!(
                        made(&stock) == made(SIGN_FILE),
                        "{series}: sign-file {arguments:?} makes something else"
                    );
                }
            }
        }
    }
}

#[test]
fn a_signature_made_elsewhere_is_appended_as_by_the_tree() {
    let work = set_up("p384");
    let stock = stock_sign_file(&work, SERIES[0]);
    good(&run(
        &work,
        &stock,
        &["-d", "sha384", "k.pem", "c.pem", "m.ko"],
    ));
    let attach = ["-s", "m.ko.p7s", "sha384", "c.pem", "m.ko", "signed.ko"];
    good(&run(&work, &stock, &attach));
    let theirs = read(&work, "signed.ko");
    good(&run(&work, SIGN_FILE, &attach));
    assert_eq!(read(&work, "signed.ko"), theirs);
    good(&modsig(&work, &["verify", "--cert", "c.pem", "signed.ko"]));
}

/// ECDSA signatures differ each time, so the messages are held against each other by their form.
#[test]
fn the_trees_ecdsa_signatures_have_the_form_of_ours() {
    for series in SERIES {
        for algorithm in ["p256", "p384", "p521"] {
            let work = set_up(algorithm);
            let stock = stock_sign_file(&work, series);
            let form = |program: &str, hash: &str| {
                fs::write(work.path().join("m.ko"), MODULE).unwrap();
                let arguments = ["-p", hash, "k.pem", "c.pem", "m.ko"];
                let output = run(&work, program, &arguments);
                // The CMS of OpenSSL 3.0 does not know ECDSA with SHA-3, of which the kernel knows
                // to read the signatures. Ours does without OpenSSL's CMS.
                if program == stock && hash.starts_with("sha3-") && !output.status.success() {
                    fails(&output, 1, "unsupported signature algorithm");
                    return None;
                }
                good(&output);
                good(&modsig(&work, &VERIFY));
                let parse = ["asn1parse", "-inform", "DER", "-in", "m.ko.p7s"];
                let output = run(&work, "openssl", &parse);
                good(&output);
                // Each line less offset and lengths, and less the signature's bytes.
                let text = String::from_utf8(output.stdout).unwrap();
                let element = |line: &str| {
                    let (_, rest) = line.split_once("d=").unwrap();
                    let (depth, rest) = rest.split_once(' ').unwrap();
                    let what = rest.split_once(": ").unwrap().1;
                    let what = what.split("[HEX DUMP]").next().unwrap();
                    format!("{depth} {}", what.trim_end())
                };
                Some(text.lines().map(element).collect::<Vec<_>>())
            };
            for hash in HASHES {
                let (theirs, ours) = (form(&stock, hash), form(SIGN_FILE, hash));
                if theirs.is_some() {
                    assert_eq!(theirs, ours, "{series} {algorithm} {hash}");
                }
            }
        }
    }
}

#[test]
fn modinfo_reads_our_signatures() {
    let source = "#define INFO(name, text) \\
        static const char name[] __attribute__((section(\".modinfo\"), used)) = text;
        INFO(license, \"license=GPL\")
        INFO(description, \"description=for modinfo\")
        char this_module[64] __attribute__((section(\".gnu.linkonce.this_module\"), used)) = \"m\";";
    for (algorithm, hash) in [
        ("rsa-2048", "sha256"),
        ("p384", "sha384"),
        ("rsa-4096", "sha512"),
    ] {
        let work = set_up(algorithm);
        fs::write(work.path().join("m.c"), source).unwrap();
        good(&run(&work, "cc", &["-c", "-o", "m.ko", "m.c"]));
        good(&modsig(&work, &[&SIGN[..], &["--hash", hash]].concat()));
        let field = |name: &str| {
            let output = run(&work, "/sbin/modinfo", &["-F", name, "./m.ko"]);
            good(&output);
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        assert_eq!(field("description"), "for modinfo");
        assert_eq!(field("sig_id"), "PKCS#7");
        assert_eq!(field("signer"), "Build time autogenerated kernel key");
        assert_eq!(field("sig_hashalgo"), hash);
        let serial = run(
            &work,
            "openssl",
            &["x509", "-in", "c.pem", "-noout", "-serial"],
        );
        let serial = String::from_utf8(serial.stdout).unwrap();
        assert_eq!(
            field("sig_key").replace(':', ""),
            serial.trim().trim_start_matches("serial=")
        );
        good(&modsig(&work, &["strip", "m.ko"]));
        assert_eq!(field("sig_id"), "");
        assert_eq!(field("description"), "for modinfo");
    }
}

/// An array of a C source that is written as string literals, without the last literal's zero.
fn c_array(source: &str, name: &str) -> Vec<u8> {
    let start = source
        .find(&format!("{name}[]"))
        .unwrap_or_else(|| panic!("no {name}"));
    let initializer = &source[start..];
    let initializer = &initializer[..initializer.find("};").unwrap()];
    let mut octets = vec![];
    let mut rest = initializer;
    while let Some(quote) = rest.find('"') {
        // Comments stand between the literals and have no quotes in them.
        rest = &rest[quote + 1..];
        loop {
            match rest.as_bytes() {
                [b'"', ..] => break,
                [b'\\', b'x', ..] => {
                    octets.push(u8::from_str_radix(&rest[2..4], 16).unwrap());
                    rest = &rest[4..];
                }
                [b'\\', b'n', ..] => {
                    octets.push(b'\n');
                    rest = &rest[2..];
                }
                [other, ..] if *other != b'\\' => {
                    octets.push(*other);
                    rest = &rest[1..];
                }
                _ => panic!("{name}: an escape that is not known"),
            }
        }
        rest = &rest[1..];
    }
    octets
}

fn selftest(series: &str, algorithm: &str) -> [Vec<u8>; 3] {
    let path: PathBuf = kernel_source(series)
        .join("crypto/asymmetric_keys")
        .join(format!("selftest_{algorithm}.c"));
    let source = fs::read_to_string(&path).unwrap();
    ["keys", "data", "sig"]
        .map(|what| c_array(&source, &format!("certs_selftest_{algorithm}_{what}")))
}

/// The vectors that a kernel in FIPS mode tests its own verifier with.
#[test]
fn the_kernels_fips_selftest_passes_on_our_verifier() {
    for series in SERIES {
        for algorithm in ["rsa", "ecdsa"] {
            let [keys, data, message] = selftest(series, algorithm);
            let mut host = Host::default();
            let mut rest = &keys[..];
            while !rest.is_empty() {
                let certificate = X509::from_der(rest).unwrap();
                rest = &rest[certificate.to_der().unwrap().len()..];
                host.trust(&certificate).unwrap();
            }
            let module = |data: &[u8]| {
                let length = u32::try_from(message.len()).unwrap();
                [data, &message, &message::trailer(length)].concat()
            };
            let file = module(&data);
            assert_eq!(signer::strip(&file), (&data[..], 1));
            let good = check(&host, &file, Flags::default());
            assert_eq!(good.result, Ok(()), "{series} {algorithm}");

            let mut altered = data.clone();
            altered[0] ^= 1;
            let file = module(&altered);
            let bad = check(&host, &file, Flags::default());
            assert_eq!(
                bad.result,
                Err(modsig::verify::Error::BadSignature),
                "{series} {algorithm}"
            );
        }
    }
}
