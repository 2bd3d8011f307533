// SPDX-License-Identifier: MIT OR Apache-2.0

//! ML-DSA, which OpenSSL has from 3.5 on, against an implementation that is not OpenSSL's. Where
//! OpenSSL does not have it, each test is about what a person is told instead.
//!
//! `cargo test -p modsig-tools --features vendored --test tools mldsa::` has it anywhere.

use std::fs;

use modsig::verify::{check, trailer, Error, Flags, Hashes, KeyAlgorithm, Tree};
use modsig_testing::ml_dsa::{self as other, Key};
use modsig_tools::{
    certificate::{CertificateIds, SignerIdForm},
    digest::{digest_by_name, message_digest},
    keys,
    message::{self, SignerParts},
    ml_dsa,
    platform::{outcome, Host, Mode, NO_ML_DSA},
    signer::{self},
};
use openssl::{
    cms::{CMSOptions, CmsContentInfo},
    hash::hash,
    stack::Stack,
    x509::X509,
};
use tempfile::TempDir;

use crate::common::*;

const ALGORITHMS: [KeyAlgorithm; 3] = [
    KeyAlgorithm::MlDsa44,
    KeyAlgorithm::MlDsa65,
    KeyAlgorithm::MlDsa87,
];

const MISSING: &str = "has no ML-DSA; build modsig with --features vendored";

/// Whether OpenSSL has it.
fn available() -> bool {
    let available = ml_dsa::is_available(KeyAlgorithm::MlDsa44);
    assert!(available || !cfg!(feature = "vendored"));
    available
}

/// A directory with a module, and with a key that was made without OpenSSL and its certificate.
struct Foreign {
    work: TempDir,
    key: Key,
    certificate: X509,
}

impl Foreign {
    fn new(algorithm: KeyAlgorithm) -> Self {
        let work = tempfile::tempdir().unwrap();
        let key = Key::generate(algorithm).unwrap();
        let certificate = key.certificate("made without OpenSSL").unwrap();
        fs::write(work.path().join("k.pem"), key.to_pem()).unwrap();
        fs::write(work.path().join("c.pem"), certificate.to_pem().unwrap()).unwrap();
        fs::write(work.path().join("m.ko"), MODULE).unwrap();
        Foreign {
            work,
            key,
            certificate,
        }
    }

    /// The module, signed without OpenSSL: over attributes with this digest, if one is named.
    fn signed(&self, with_attributes: Option<&str>) -> Vec<u8> {
        let name = digest_by_name(with_attributes.unwrap_or("sha512")).unwrap();
        let attributes = match with_attributes {
            Some(_) => {
                let digest = hash(message_digest(name).unwrap(), MODULE).unwrap();
                message::signed_attributes(&digest)
            }
            None => vec![],
        };
        let signature = match &attributes[..] {
            [] => self.key.sign(MODULE).unwrap(),
            some => self.key.sign(&message::tlv(0x31, some)).unwrap(),
        };
        let ids = CertificateIds::new(&self.certificate).unwrap();
        let (version, sid) = ids.sid(SignerIdForm::IssuerAndSerial).unwrap();
        let signer = SignerParts {
            version,
            sid,
            digest: message::digest_algorithm(name).unwrap(),
            attributes,
            key: message::ml_dsa_algorithm(self.key.algorithm()).unwrap(),
            signature,
        };
        signer::append(MODULE, &message::signed_data(&[signer], &[])).unwrap()
    }

    fn host(&self) -> Host {
        let mut host = Host::default();
        host.trust(&self.certificate).unwrap();
        host
    }
}

#[test]
fn our_keys_sign_what_we_verify() {
    for algorithm in ALGORITHMS.map(KeyAlgorithm::name) {
        if !available() {
            let work = tempfile::tempdir().unwrap();
            let arguments = [
                "--algorithm",
                algorithm,
                "--key",
                "k.pem",
                "--cert",
                "c.pem",
            ];
            let keygen = modsig(&work, &[&["keygen"], &arguments[..]].concat());
            fails(&keygen, 2, MISSING);
            assert!(!work.path().join("k.pem").exists());
            continue;
        }
        let work = set_up(algorithm);
        for more in [&[][..], &["--keyid"], &["--hash", "sha256"]] {
            good(&modsig(&work, &[&SIGN[..], more].concat()));
            good(&modsig(&work, &VERIFY));
            let inspect = modsig(&work, &["inspect", "m.ko"]);
            let text = String::from_utf8_lossy(&inspect.stdout).into_owned();
            assert!(text.contains(algorithm), "{text}");
        }
        let mut altered = module(&work);
        altered[10] ^= 1;
        fs::write(work.path().join("m.ko"), altered).unwrap();
        let verify = modsig(&work, &VERIFY);
        assert_eq!(verify.status.code(), Some(1));
        let text = String::from_utf8_lossy(&verify.stdout).into_owned();
        assert!(text.contains("permissive: EKEYREJECTED"), "{text}");

        let certificate = keys::certificate(&work.path().join("c.pem")).unwrap();
        assert!(certificate
            .verify(&certificate.public_key().unwrap())
            .unwrap());
    }
}

#[test]
fn another_implementation_takes_our_signatures() {
    for algorithm in ALGORITHMS {
        let foreign = Foreign::new(algorithm);
        let sign_file = ["-d", "sha512", "k.pem", "c.pem", "m.ko"];
        if !available() {
            fails(&modsig(&foreign.work, &SIGN), 2, MISSING);
            fails(
                &modsig(&foreign.work, &SIGN),
                2,
                "c.pem: it is for an mldsa",
            );
            fails(&run(&foreign.work, SIGN_FILE, &sign_file), 1, MISSING);
            assert_eq!(module(&foreign.work), MODULE);
            continue;
        }
        good(&modsig(&foreign.work, &SIGN));
        let mut host = foreign.host();
        host.verify_ml_dsa_by(other::verify);
        let file = module(&foreign.work);
        assert_eq!(check(&host, &file, Flags::default()).result, Ok(()));

        good(&run(
            &foreign.work,
            SIGN_FILE,
            &["sha512", "k.pem", "c.pem", "m.ko"],
        ));
        let file = module(&foreign.work);
        assert_eq!(check(&host, &file, Flags::default()).result, Ok(()));
    }
}

#[test]
fn we_take_the_signatures_of_another_implementation() {
    for algorithm in ALGORITHMS {
        let foreign = Foreign::new(algorithm);
        for attributes in [None, Some("sha512")] {
            let file = foreign.signed(attributes);
            fs::write(foreign.work.path().join("m.ko"), &file).unwrap();
            let output = modsig(&foreign.work, &VERIFY);
            if available() {
                good(&output);
            } else {
                fails(&output, 1, "m.ko: cannot be checked: this OpenSSL");
                fails(&output, 1, MISSING);
            }

            // A verdict that takes no ML-DSA is there in any case.
            let unknown = set_up("p256");
            fs::write(unknown.path().join("m.ko"), &file).unwrap();
            let output = modsig(&unknown, &VERIFY);
            assert_eq!(output.status.code(), Some(1));
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(text.contains("in no trusted keyring"), "{text}");
        }
    }
}

#[test]
fn altered_files_are_refused() {
    let mut host = Foreign::new(KeyAlgorithm::MlDsa44).host();
    let foreign = Foreign::new(KeyAlgorithm::MlDsa65);
    host.trust(&foreign.certificate).unwrap();
    let wrong = if available() {
        Error::BadSignature
    } else {
        NO_ML_DSA.into()
    };
    let result = |file: &[u8]| check(&host, file, Flags::default()).result;
    let flipped = |file: &[u8], at: usize| {
        let mut file = file.to_vec();
        file[at] ^= 1;
        file
    };

    let file = foreign.signed(None);
    assert_eq!(result(&flipped(&file, 10)), Err(wrong));
    assert_eq!(result(&flipped(&file, file.len() - 41)), Err(wrong));
    let file = foreign.signed(Some("sha512"));
    assert_eq!(result(&flipped(&file, 10)), Err(Error::AttributeDigest));
    assert_eq!(result(&flipped(&file, file.len() - 41)), Err(wrong));
    // The kernel goes by the digest's name, whatever the signature.
    let file = foreign.signed(Some("sha256"));
    assert_eq!(result(&file), Err(Error::BadSignature));
}

#[test]
fn the_tree_decides() {
    let foreign = Foreign::new(KeyAlgorithm::MlDsa87);
    let outcomes = |(ml_dsa, ml_dsa_attributes), file: &[u8]| {
        let mut host = Host::new(Tree {
            ml_dsa,
            ml_dsa_attributes,
            ..Host::default().tree()
        });
        // A kernel that does not know such keys has none.
        assert_eq!(host.trust(&foreign.certificate).is_ok(), ml_dsa);
        host.verify_ml_dsa_by(other::verify);
        outcome(&check(&host, file, Flags::default()), Mode::Permissive)
    };
    let (plain, attributes) = (foreign.signed(None), foreign.signed(Some("sha512")));
    assert_eq!(outcomes((false, false), &plain), "loads, taints");
    assert_eq!(outcomes((true, false), &plain), "loads");
    assert_eq!(outcomes((true, false), &attributes), "EKEYREJECTED");
    assert_eq!(outcomes((true, true), &plain), "loads");
    assert_eq!(outcomes((true, true), &attributes), "loads");
}

/// The form that the tree's `sign-file` makes with OpenSSL 3.5, which signs nothing but attributes.
#[test]
fn openssl_takes_messages_with_attributes() {
    for algorithm in ALGORITHMS {
        let foreign = Foreign::new(algorithm);
        if !available() {
            fails(&modsig(&foreign.work, &SIGN), 2, MISSING);
            continue;
        }
        let file = foreign.signed(Some("sha512"));
        let message = trailer::split(&file).unwrap().message;
        let mut certificates = Stack::new().unwrap();
        certificates.push(foreign.certificate.clone()).unwrap();
        let verify = |content: &[u8]| {
            CmsContentInfo::from_der(message).unwrap().verify(
                Some(&certificates),
                None,
                Some(content),
                None,
                CMSOptions::BINARY | CMSOptions::NO_SIGNER_CERT_VERIFY,
            )
        };
        verify(MODULE).unwrap();
        assert!(verify(&MODULE[1..]).is_err());
    }
}

/// ML-DSA signs the module itself: a signature can come from elsewhere, but not from its digest.
#[test]
fn a_digest_is_not_enough() {
    let foreign = Foreign::new(KeyAlgorithm::MlDsa65);
    let work = &foreign.work;
    good(&modsig(work, &["sign", "--manifest", "list", "m.ko"]));
    let from = ["--from-manifest", "list", "--dest-dir", "signatures"];
    let keys = ["--key", "k.pem", "--cert", "c.pem"];
    let output = modsig(work, &[&["sign"], &from[..], &keys].concat());
    let message = if available() {
        "ML-DSA signs a module itself, not its digest; sign where the modules are"
    } else {
        MISSING
    };
    fails(&output, 2, message);
    assert!(!work.path().join("signatures").exists());

    let signed = foreign.signed(None);
    let message = trailer::split(&signed).unwrap().message;
    fs::write(work.path().join("m.ko.p7s"), message).unwrap();
    let attach = modsig(work, &["attach", "--cert", "c.pem", "m.ko"]);
    if available() {
        good(&attach);
        assert_eq!(module(work), signed);
    } else {
        fails(
            &attach,
            1,
            "m.ko.p7s was not attached: it cannot be checked: this OpenSSL",
        );
        assert_eq!(module(work), MODULE);
    }
}

/// Of a release the list has what is signed itself, not its digest.
#[test]
fn a_release_is_signed_elsewhere_as_well() {
    let foreign = Foreign::new(KeyAlgorithm::MlDsa65);
    let work = &foreign.work;
    good(&modsig(
        work,
        &["sign", "--release", "--manifest", "list", "m.ko"],
    ));
    let from = ["--from-manifest", "list", "--dest-dir", "signatures"];
    let keys = ["--key", "k.pem", "--cert", "c.pem"];
    let output = modsig(work, &[&["sign"], &from[..], &keys].concat());
    if !available() {
        fails(&output, 2, MISSING);
        return;
    }
    good(&output);
    let attach = [
        "attach",
        "--cert",
        "c.pem",
        "--release",
        "list",
        "--signatures",
        "signatures",
        "m.ko",
    ];
    good(&modsig(work, &attach));
    let file = module(work);
    let split = trailer::split(&file).unwrap();
    assert_eq!(split.kind, trailer::Kind::Release);
    // A tree of one leaf: the root is the leaf.
    let leaf = openssl::sha::sha256(&[&[3][..], MODULE].concat());
    let head = [b"modsig: release\0\x01\x04\0\0\0\x01", &leaf[..]].concat();
    let signed = signer::append(&head, &split.message[9..]).unwrap();
    assert_eq!(
        check(&foreign.host(), &signed, Flags::default()).result,
        Ok(())
    );
}

#[test]
fn the_harness_keys_are_there() {
    let directory = script("build/keys", &[]);
    for name in ["mldsa44", "mldsa65", "mldsa87", "mldsa-untrusted"] {
        let key = Key::read(&directory.join(format!("{name}.key.pem"))).unwrap();
        let path = directory.join(format!("{name}.cert.pem"));
        let info = CertificateIds::new(&keys::certificate(&path).unwrap())
            .unwrap()
            .public_key_info;
        let signature = key.sign(MODULE).unwrap();
        assert_eq!(
            other::verify(key.algorithm(), &info, MODULE, &signature),
            Some(true)
        );
    }
    let trusted = keys::certificates(&directory.join("trusted-7.pem")).unwrap();
    let always = keys::certificates(&directory.join("trusted.pem")).unwrap();
    assert_eq!(trusted.len(), always.len() + 4);
}
