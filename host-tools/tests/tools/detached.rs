// SPDX-License-Identifier: MIT OR Apache-2.0

//! Signing elsewhere: detached signatures, manifests, and what is let near a module.

use std::{fs, path::Path, process::Output};

use modsig_tools::detached::Manifest;
use openssl::{
    ecdsa::EcdsaSig,
    hash::{hash, MessageDigest},
};
use tempfile::TempDir;

use crate::common::{self, *};

const NAMES: [&str; 3] = ["a.ko", "kernel/b.ko", "kernel/drivers/c.ko"];

/// A key, and a tree of modules that differ.
fn tree(algorithm: &str) -> TempDir {
    let work = set_up(algorithm);
    for name in NAMES {
        let path = work.path().join("tree").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content(name)).unwrap();
    }
    work
}

fn content(name: &str) -> Vec<u8> {
    [MODULE, name.as_bytes()].concat()
}

fn untouched(work: &TempDir) {
    for name in NAMES {
        assert_eq!(read(work, &format!("tree/{name}")), content(name), "{name}");
    }
}

fn attach(work: &TempDir, more: &[&str]) -> Output {
    modsig(work, &[&["attach", "--cert", "c.pem"], more].concat())
}

const SIGN: [&str; 6] = ["sign", "--key", "k.pem", "--cert", "c.pem", "tree"];
const MANIFEST: [&str; 6] = ["sign", "--hash", "sha384", "--manifest", "list", "tree"];
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

fn all_verify(work: &TempDir) {
    let verify = modsig(work, &["verify", "--cert", "c.pem", "tree"]);
    good(&verify);
    assert!(
        String::from_utf8_lossy(&verify.stdout).contains("3 good"),
        "{verify:?}"
    );
}

#[test]
fn what_is_signed_detached_can_be_attached() {
    for (sign_more, attach_more) in [
        (&[][..], &[][..]),
        (&["--dest-dir", "sigs"], &["--signatures", "sigs"]),
        (&["--keyid", "--hash", "sha256"], &[]),
    ] {
        let work = tree("p384");
        good(&modsig(
            &work,
            &[&SIGN[..], &["--detached"], sign_more].concat(),
        ));
        untouched(&work);
        good(&attach(&work, &[attach_more, &["tree"]].concat()));
        all_verify(&work);
        // Once more changes nothing.
        let signed = read(&work, "tree/a.ko");
        let again = attach(&work, &[attach_more, &["tree"]].concat());
        good(&again);
        assert!(String::from_utf8_lossy(&again.stdout).contains("3 attached before"));
        assert_eq!(read(&work, "tree/a.ko"), signed);
    }
}

#[test]
fn a_signature_is_as_the_one_in_the_module() {
    let work = tree("rsa-2048");
    good(&modsig(&work, &[&SIGN[..], &["--detached"]].concat()));
    good(&attach(&work, &["tree"]));
    let attached = read(&work, "tree/a.ko");
    good(&modsig(&work, &["strip", "tree"]));
    untouched(&work);
    good(&modsig(&work, &SIGN));
    assert_eq!(read(&work, "tree/a.ko"), attached);
}

#[test]
fn openssl_may_be_the_signing_service() {
    let work = tree("p256");
    for name in NAMES {
        let (module, out) = (format!("tree/{name}"), format!("tree/{name}.p7s"));
        let sign = [
            "cms", "-sign", "-binary", "-noattr", "-nocerts", "-md", "sha256", "-outform", "DER",
            "-signer", "c.pem", "-inkey", "k.pem", "-in", &module, "-out", &out,
        ];
        good(&run(&work, "openssl", &sign));
    }
    good(&attach(&work, &["tree"]));
    all_verify(&work);
}

#[test]
fn a_manifest_goes_to_the_service_and_signatures_come_back() {
    for algorithm in ["rsa-2048", "p384"] {
        let work = tree(algorithm);
        // No key is there where the modules are.
        fs::create_dir(work.path().join("service")).unwrap();
        for name in ["k.pem", "c.pem"] {
            fs::rename(
                work.path().join(name),
                work.path().join("service").join(name),
            )
            .unwrap();
        }
        good(&modsig(&work, &MANIFEST));
        untouched(&work);
        let text = String::from_utf8(read(&work, "list")).unwrap();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("# modsig manifest 1: sha384, 3 modules"));
        for (line, name) in lines.zip(NAMES) {
            let digest = hash(MessageDigest::sha384(), &content(name)).unwrap();
            let digest: String = digest.iter().map(|octet| format!("{octet:02x}")).collect();
            assert_eq!(line, format!("{digest}  {name}"));
        }
        // sha384sum understands it as well, as long as the modules are not signed.
        let mut check = std::process::Command::new("sha384sum");
        check
            .args(["--check", "--strict", "../list"])
            .current_dir(work.path().join("tree"));
        good(&check.output().unwrap());

        fs::copy(work.path().join("list"), work.path().join("service/list")).unwrap();
        let mut service = std::process::Command::new(MODSIG);
        service.args(FROM).current_dir(work.path().join("service"));
        good(&service.output().unwrap());
        fs::rename(work.path().join("service/c.pem"), work.path().join("c.pem")).unwrap();
        good(&attach(&work, &["--signatures", "service/sigs", "tree"]));
        all_verify(&work);
    }
}

#[test]
fn a_manifest_is_of_what_is_signed() {
    let work = tree("p256");
    good(&modsig(&work, &MANIFEST));
    let unsigned = read(&work, "list");
    // A signature and packing make no difference.
    good(&modsig(&work, &SIGN));
    good(&run(&work, "xz", &["--check=crc32", "tree/kernel/b.ko"]));
    good(&modsig(&work, &MANIFEST));
    let list = String::from_utf8(read(&work, "list")).unwrap();
    assert_eq!(list.replace("b.ko.xz", "b.ko").as_bytes(), unsigned);
    good(&modsig(&work, &FROM));
    good(&attach(&work, &["--signatures", "sigs", "tree"]));
    all_verify(&work);
    assert!(work.path().join("tree/kernel/b.ko.xz").exists());
}

#[test]
fn nothing_is_attached_unverified() {
    let work = tree("p256");
    let path = |name: &str| work.path().join(name);
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
    let p7s = |key: &str, certificate: &str| {
        let sign = [
            "sign",
            "--key",
            key,
            "--cert",
            certificate,
            "--detached",
            "tree",
        ];
        good(&modsig(&work, &sign));
        NAMES.map(|name| read(&work, &format!("tree/{name}.p7s")))
    };
    let strangers = p7s("k2.pem", "c2.pem");
    let ours = p7s("k.pem", "c.pem");
    let mut altered = ours[0].clone();
    *altered.last_mut().unwrap() ^= 1;
    let certs = [
        "cms",
        "-sign",
        "-binary",
        "-noattr",
        "-md",
        "sha256",
        "-outform",
        "DER",
        "-signer",
        "c.pem",
        "-inkey",
        "k.pem",
        "-signer",
        "c2.pem",
        "-inkey",
        "k2.pem",
        "-in",
        "tree/a.ko",
        "-out",
        "both",
    ];
    good(&run(&work, "openssl", &certs));
    let both = read(&work, "both");
    let file = path("tree/a.ko.p7s");
    for (signature, message) in [
        (
            &strangers[0],
            "tree/a.ko.p7s was not attached: it is by another signer",
        ),
        (
            &ours[1],
            "tree/a.ko.p7s was not attached: it is not good for this module",
        ),
        (&altered, "it is not good for this module"),
        (&both, "another signer has signed as well"),
        (&vec![], "it is not good for this module"),
        (&b"text".to_vec(), "it is not good for this module"),
        (
            &[&ours[0][..], b"x"].concat(),
            "it is not good for this module",
        ),
        (&content("a.ko"), "it is not good for this module"),
    ] {
        fs::write(&file, signature).unwrap();
        let output = attach(&work, &["tree/a.ko"]);
        fails(&output, 1, message);
        untouched(&work);
    }
    fs::remove_file(&file).unwrap();
    fails(
        &attach(&work, &["tree/a.ko"]),
        1,
        "tree/a.ko: has no signature to attach",
    );
    untouched(&work);
    // The others are attached nevertheless, and the exit status tells.
    let output = attach(&work, &["tree", "--json"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["counts"]["attached"], 2);
    assert_eq!(json["counts"]["failed"], 1);
    assert_eq!(read(&work, "tree/a.ko"), content("a.ko"));
    for name in &NAMES[1..] {
        let name = format!("tree/{name}");
        good(&modsig(&work, &["verify", "--cert", "c.pem", &name]));
    }
    // A module that was changed after its digest was taken.
    fs::write(path("tree/a.ko"), content("changed")).unwrap();
    fs::write(&file, &ours[0]).unwrap();
    fails(
        &attach(&work, &["tree/a.ko"]),
        1,
        "it is not good for this module",
    );
    assert_eq!(read(&work, "tree/a.ko"), content("changed"));
}

#[test]
fn a_service_does_not_sign_what_was_tampered_with() {
    let work = tree("p256");
    good(&modsig(&work, &MANIFEST));
    let good_list = String::from_utf8(read(&work, "list")).unwrap();
    let first = good_list.lines().nth(1).unwrap();
    let digest = first.split_once("  ").unwrap().0;
    let last = good_list.trim_end_matches('\n').rfind('\n').unwrap() + 1;
    for (list, message) in [
        (
            good_list[..last].to_owned(),
            "it says that it has 3 modules, and has 2",
        ),
        (
            good_list[..good_list.len() - 1].to_owned(),
            "its end is missing",
        ),
        (good_list.replace("# modsig", "# nodsig"), "not a manifest"),
        (
            good_list.replace("sha384", "sha999"),
            "unknown digest algorithm",
        ),
        (
            good_list.replace("sha384", "sha256"),
            "line 2: not a digest of sha256",
        ),
        (
            good_list.replace(digest, &digest.replace(&digest[..1], "g")),
            "line 2: not a digest",
        ),
        (good_list.replace("  a.ko", " a.ko"), "line 2: not a digest"),
        (
            good_list.replace("  a.ko", "  ../a.ko"),
            "line 2: ../a.ko: not a name below",
        ),
        (good_list.replace("  a.ko", "  /a.ko"), "not a name below"),
        (good_list.replace("  a.ko", "  "), "not a name below"),
        (
            good_list.replace("  a.ko", "  kernel/b.ko"),
            "two modules of this name",
        ),
        (String::new(), "not a manifest"),
    ] {
        fs::write(work.path().join("list"), &list).unwrap();
        let output = modsig(&work, &FROM);
        fails(&output, 2, message);
        fails(&output, 2, "list: ");
        assert!(!work.path().join("sigs").exists());
        assert!(!work.path().join("a.ko.p7s").exists());
    }
}

#[test]
fn a_manifest_is_whole_or_not_there() {
    let work = tree("p256");
    fs::write(work.path().join("tree/text.ko"), "text").unwrap();
    let output = modsig(&work, &MANIFEST);
    fails(
        &output,
        2,
        "list: not written, for some modules could not be digested",
    );
    fails(&output, 2, "tree/text.ko: not a kernel module");
    assert!(!work.path().join("list").exists());
    fs::rename(
        work.path().join("tree/text.ko"),
        work.path().join("tree/line\nbreak.ko"),
    )
    .unwrap();
    fs::write(work.path().join("tree/line\nbreak.ko"), MODULE).unwrap();
    fails(&modsig(&work, &MANIFEST), 2, "a line break in a name");
    assert!(!work.path().join("list").exists());
}

#[test]
fn options_that_do_not_go_together_are_refused() {
    let work = tree("p256");
    for arguments in [
        &["sign", "tree"][..],
        &["sign", "--key", "k.pem", "tree"],
        &["sign", "--manifest", "list"],
        &[
            "sign",
            "--manifest",
            "list",
            "--key",
            "k.pem",
            "--cert",
            "c.pem",
            "tree",
        ],
        &[
            "sign",
            "--from-manifest",
            "list",
            "--key",
            "k.pem",
            "--cert",
            "c.pem",
        ],
        &[&FROM[..], &["tree"]].concat(),
        &[&FROM[..], &["--hash", "sha256"]].concat(),
        &["attach", "tree"],
        &[&SIGN[..], &["--token-sessions", "0"]].concat(),
    ] {
        let output = modsig(&work, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(!work.path().join("list").exists());
    }
    untouched(&work);
}

#[test]
fn manifests_are_read_as_they_were_written() {
    let manifest = Manifest {
        hash: modsig_tools::digest::digest_by_name("sha256").unwrap(),
        modules: vec![
            (vec![7; 32], Path::new("dir/two  spaces.ko").to_path_buf()),
            (vec![0xff; 32], Path::new("b\\c.ko").to_path_buf()),
        ],
    };
    let text = manifest.to_text().unwrap();
    assert_eq!(Manifest::parse(&text).unwrap(), manifest);
}

/// As a key management service signs: digests, and bare values that come back.
#[test]
fn bare_signature_values_are_attached() {
    for (algorithm, as_two_numbers) in [
        ("rsa-2048", false),
        ("p384", false),
        ("p384", true),
        ("p521", true),
    ] {
        let work = set_up(algorithm);
        let digest = [
            "dgst", "-sha384", "-sign", "k.pem", "-out", "m.ko.sig", "m.ko",
        ];
        good(&run(&work, "openssl", &digest));
        if as_two_numbers {
            // As some services give them (IEEE P1363): r and s, each as long as a coordinate.
            let value = EcdsaSig::from_der(&read(&work, "m.ko.sig")).unwrap();
            let size = if algorithm == "p384" { 48 } else { 66 };
            let numbers = [value.r(), value.s()].map(|number| number.to_vec_padded(size).unwrap());
            fs::write(work.path().join("m.ko.sig"), numbers.concat()).unwrap();
        }
        let attach = ["attach", "--raw", "--cert", "c.pem", "m.ko"];
        // Of another digest than it was made over.
        fails(&modsig(&work, &attach), 1, "m.ko.sig was not attached");
        assert_eq!(module(&work), MODULE);
        let attach = [&attach[..], &["--hash", "sha384"]].concat();
        good(&modsig(&work, &attach));
        good(&modsig(&work, &["verify", "--cert", "c.pem", "m.ko"]));
        if algorithm == "rsa-2048" {
            // The same that the key itself makes.
            let attached = module(&work);
            good(&modsig(
                &work,
                &[&common::SIGN[..], &["--hash", "sha384"]].concat(),
            ));
            assert_eq!(module(&work), attached);
        }
        good(&modsig(&work, &["strip", "m.ko"]));
        good(&modsig(&work, &[&attach[..], &["--keyid"]].concat()));
        says(&modsig(&work, &["inspect", "m.ko"]), "signer key id ");
        // A message, or nothing of the kind.
        for garbage in [&b"garbage"[..], &[0; 96], &[]] {
            good(&modsig(&work, &["strip", "m.ko"]));
            fs::write(work.path().join("m.ko.sig"), garbage).unwrap();
            assert_eq!(modsig(&work, &attach).status.code(), Some(1), "{garbage:?}");
            assert_eq!(module(&work), MODULE);
        }
    }
}

/// A CA is trusted, and its certificates come with the signatures.
#[test]
fn a_signature_carries_its_chain() {
    let work = set_up("p256");
    let keys = script("build/keys", &[]);
    let key = |name: &str| keys.join(name).display().to_string();
    let sign = |more: &[&str]| {
        let (leaf, cert) = (key("leaf.key.pem"), key("leaf.cert.pem"));
        let sign = ["sign", "--key", &leaf, "--cert", &cert, "m.ko"];
        good(&modsig(&work, &[&sign[..], more].concat()));
    };
    let verify = || modsig(&work, &["verify", "--cert", &key("ca.cert.pem"), "m.ko"]);
    sign(&[]);
    fails(&verify(), 1, "");
    sign(&["--chain", &key("leaf.cert.pem")]);
    good(&verify());
    says(
        &modsig(&work, &["inspect", "m.ko"]),
        "certificates in the signature: 1",
    );
    // It is known again.
    let chain = ["--chain", &key("leaf.cert.pem"), "--only-missing"];
    let (leaf, cert) = (key("leaf.key.pem"), key("leaf.cert.pem"));
    let again = [
        &["sign", "--key", &leaf, "--cert", &cert, "m.ko"],
        &chain[..],
    ]
    .concat();
    says(&modsig(&work, &again), "signed before");
    // OpenSSL reads it, too.
    good(&modsig(&work, &["strip", "m.ko"]));
    sign(&["--detached", "--chain", &key("leaf.cert.pem")]);
    let cms = [
        "cms",
        "-verify",
        "-binary",
        "-inform",
        "DER",
        "-in",
        "m.ko.p7s",
        "-content",
        "m.ko",
        "-CAfile",
        &key("ca.cert.pem"),
        "-partial_chain",
        "-purpose",
        "any",
        "-out",
        "/dev/null",
    ];
    good(&run(&work, "openssl", &cms));
}

/// What people have in place of a message, and what is said of it: the name of the file that has it, and the
/// commands that make it of k.pem, c.pem and m.ko.
#[test]
fn what_is_no_message_is_recognized() {
    let work = set_up("rsa-2048");
    let cms = "openssl cms -sign -binary -in m.ko -inkey k.pem -signer c.pem -md sha256";
    let smime = "openssl smime -sign -binary -in m.ko -inkey k.pem -signer c.pem -noattr";
    let rsa = "openssl dgst -sha256 -sign k.pem m.ko";
    let plain = format!("{cms} -noattr -nocerts -outform");
    let ec = "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ec.pem; \
              openssl dgst -sha256 -sign ec.pem m.ko";
    let shell = |script: &str, output: &str| {
        let script = format!("({script}) > {output}");
        good(&run(&work, "sh", &["-c", &script]));
    };
    for (script, message) in [
        (
            format!("{plain} PEM"),
            "it is PEM, and must be DER: sign with -outform DER, or convert",
        ),
        (
            format!("{plain} SMIME"),
            "it is S/MIME, and must be DER: sign with -outform DER",
        ),
        (
            format!("{smime} -outform SMIME"),
            "it is S/MIME, and must be DER",
        ),
        (
            rsa.into(),
            "a bare RSA value, not a message: name it MODULE.sig, and attach it with --raw",
        ),
        (
            ec.into(),
            "a bare ECDSA value, not a message: name it MODULE.sig",
        ),
        (
            format!("{rsa} | openssl base64"),
            "it is in base64: decode it first",
        ),
        (
            format!("{cms} -nocerts -outform DER"),
            "it has signed attributes, which nothing needs: sign with -noattr",
        ),
        (format!("{cms} -outform DER"), "sign with -noattr"),
        (
            format!("{plain} DER -nodetach"),
            "content of its own: sign without -nodetach",
        ),
        (
            format!("{plain} DER -stream"),
            "must be DER: sign without -stream",
        ),
        (
            "cat c.pem".into(),
            "it is PEM with a CERTIFICATE, not a signature",
        ),
        (
            "openssl x509 -in c.pem -outform DER".into(),
            "it is a certificate, not a signature",
        ),
        ("true".into(), "the file is empty"),
        ("echo error 403".into(), "it is a text, not a signature"),
        (
            format!("cp m.ko s.ko; {MODSIG} sign --key k.pem --cert c.pem s.ko >&2; cat s.ko"),
            "give the signature by itself, without module and trailer",
        ),
    ] {
        shell(&script, "m.ko.p7s");
        let attach = modsig(&work, &["attach", "--cert", "c.pem", "m.ko"]);
        fails(&attach, 1, message);
        assert_eq!(module(&work), MODULE);
    }
    // As it says.
    shell(&format!("{plain} PEM"), "pem");
    shell(
        "openssl cms -cmsout -inform PEM -outform DER -in pem",
        "m.ko.p7s",
    );
    good(&modsig(&work, &["attach", "--cert", "c.pem", "m.ko"]));
    good(&modsig(&work, &VERIFY));
    good(&modsig(&work, &["strip", "m.ko"]));

    let raw = [
        "attach", "--raw", "--hash", "sha256", "--cert", "c.pem", "m.ko",
    ];
    for (script, message) in [
        (
            format!("{rsa} | openssl base64"),
            "it is in base64: decode it first",
        ),
        (format!("{plain} PEM"), "it is PEM, and must be DER"),
        (
            format!("{plain} DER"),
            "a whole message: name it MODULE.p7s, and attach it without --raw",
        ),
        (
            format!("{rsa} | head -c 200"),
            "it has 200 bytes, and a value by this RSA key has 256",
        ),
        (rsa.replace("256", "512"), "and with the digest of --hash?"),
    ] {
        shell(&script, "m.ko.sig");
        fails(&modsig(&work, &raw), 1, message);
        assert_eq!(module(&work), MODULE);
    }
    shell(rsa, "m.ko.sig");
    good(&modsig(&work, &raw));
    good(&modsig(&work, &VERIFY));
}
