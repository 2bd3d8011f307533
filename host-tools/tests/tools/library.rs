// SPDX-License-Identifier: MIT OR Apache-2.0

//! Signatures that AWS-LC makes: OpenSSL has to find each of them good.

use std::collections::HashSet;

use modsig::verify::DigestAlgorithm;
use modsig_tools::{
    digest::{message_digest, verify_digest},
    keys::SigningKey,
    library::Library,
};
use openssl::{
    bn::BigNum,
    ec::{EcGroup, EcKey, EcPoint},
    ecdsa::EcdsaSig,
    md::Md,
    nid::Nid,
    pkey::{PKey, Private, Public},
    rand::rand_bytes,
    rsa::Rsa,
};

use DigestAlgorithm::*;

use crate::common::*;

fn ec(curve: Nid) -> PKey<Private> {
    let group = EcGroup::from_curve_name(curve).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

/// The key with this number.
fn ec_with(curve: Nid, private: &BigNum) -> PKey<Private> {
    let group = EcGroup::from_curve_name(curve).unwrap();
    let mut public = EcPoint::new(&group).unwrap();
    let mut context = openssl::bn::BigNumContext::new().unwrap();
    public
        .mul_generator2(&group, private, &mut context)
        .unwrap();
    let key = EcKey::from_private_components(&group, private, &public).unwrap();
    PKey::from_ec_key(key).unwrap()
}

fn public(key: &PKey<Private>) -> PKey<Public> {
    PKey::public_key_from_der(&key.public_key_to_der().unwrap()).unwrap()
}

/// Signs so many random digests, and the extreme ones; OpenSSL verifies them.
fn all_are_good(key: &PKey<Private>, digest: DigestAlgorithm, count: usize) {
    let public = public(key);
    let signer = SigningKey::from(key.clone());
    let signer = signer.by(Library::AwsLc, digest, 1).unwrap();
    assert!(signer.signed_by().starts_with("AWS-LC signs, OpenSSL "));
    let md = Md::from_nid(message_digest(digest).unwrap().type_()).unwrap();
    let size = digest.size();
    let mut one = vec![0; size];
    one[size - 1] = 1;
    let extremes = [vec![0; size], vec![0xff; size], one];
    let random = (0..count).map(|_| {
        let mut bytes = vec![0; size];
        rand_bytes(&mut bytes).unwrap();
        bytes
    });
    for bytes in extremes.into_iter().chain(random) {
        let signature = signer.sign_digest(md, &bytes).unwrap();
        let good = verify_digest(&public, digest, &bytes, &signature).unwrap();
        assert!(good, "{digest:?} {bytes:02x?}");
        // That it would say if one is bad.
        let mut other = bytes.clone();
        other[0] ^= 1;
        assert!(!verify_digest(&public, digest, &other, &signature).unwrap());
    }
}

#[test]
fn openssl_finds_each_signature_with_p384_good() {
    let key = ec(Nid::SECP384R1);
    for digest in [Sha384, Sha512] {
        all_are_good(&key, digest, 2000);
    }
    // Shorter and longer ones than the order of the curve.
    for digest in [Sha1, Sha224, Sha256, Sha3_256, Sha3_384, Sha3_512] {
        all_are_good(&key, digest, 200);
    }
}

#[test]
fn openssl_finds_each_signature_with_other_curves_good() {
    for curve in [Nid::X9_62_PRIME256V1, Nid::SECP521R1] {
        let key = ec(curve);
        for digest in [Sha1, Sha224, Sha256, Sha384, Sha512, Sha3_512] {
            all_are_good(&key, digest, 300);
        }
    }
}

#[test]
fn openssl_finds_signatures_with_odd_keys_good() {
    for curve in [Nid::X9_62_PRIME256V1, Nid::SECP384R1, Nid::SECP521R1] {
        let group = EcGroup::from_curve_name(curve).unwrap();
        let mut order = BigNum::new().unwrap();
        let mut context = openssl::bn::BigNumContext::new().unwrap();
        group.order(&mut order, &mut context).unwrap();
        let number = |number: u32| BigNum::from_u32(number).unwrap();
        for private in [number(1), number(0x1234_5678), &order - &number(1)] {
            all_are_good(&ec_with(curve, &private), Sha512, 20);
        }
    }
}

#[test]
fn openssl_finds_each_signature_with_rsa_good() {
    for bits in [2048, 3072, 4096] {
        let key = PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap();
        for digest in [Sha256, Sha384, Sha512] {
            all_are_good(&key, digest, 100);
        }
    }
}

/// RSASSA-PKCS1-v1_5 has one signature for each digest, whoever makes it.
#[test]
fn rsa_signatures_are_those_of_openssl() {
    let key = PKey::from_rsa(Rsa::generate(4096).unwrap()).unwrap();
    let by = |library| {
        let signer = SigningKey::from(key.clone());
        let signer = signer.by(library, Sha512, 1).unwrap();
        signer.sign_digest(Md::sha512(), &[0x5a; 64]).unwrap()
    };
    assert_eq!(by(Library::AwsLc), by(Library::OpenSsl));
}

#[test]
fn no_number_is_used_twice() {
    let signer = SigningKey::from(ec(Nid::SECP384R1));
    let signer = signer.by(Library::AwsLc, Sha384, 1).unwrap();
    let sign = |signer: &SigningKey| {
        let signature = signer.sign_digest(Md::sha384(), &[7; 48]).unwrap();
        EcdsaSig::from_der(&signature).unwrap().r().to_vec()
    };
    // Of one digest and of several threads, where a generator would begin anew.
    let all: Vec<Vec<u8>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| (0..500).map(|_| sign(&signer)).collect::<Vec<_>>()))
            .collect();
        let all = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap());
        all.collect()
    });
    let different: HashSet<&Vec<u8>> = all.iter().collect();
    assert_eq!(different.len(), 2000);
}

#[test]
fn which_library_signs_is_said() {
    // What the processor has to have.
    let flags = std::fs::read_to_string("/proc/cpuinfo").unwrap();
    let wide = [
        "avx512f",
        "avx512dq",
        "avx512bw",
        "avx512vl",
        "avx512_ifma",
        "avx512ifma",
    ];
    let wide = wide
        .iter()
        .filter(|flag| flags.split_whitespace().any(|word| word == **flag));
    let rsa = match wide.count() {
        5 => "AWS-LC",
        _ => "OpenSSL",
    };
    for (algorithm, count, library, expected) in [
        ("p384", 1, None, "OpenSSL"),
        ("p384", 49, None, "OpenSSL"),
        ("p384", 50, None, "AWS-LC"),
        ("p521", 50, None, "AWS-LC"),
        ("p256", 50, None, "OpenSSL"),
        ("rsa-2048", 50, None, "OpenSSL"),
        ("rsa-4096", 50, None, rsa),
        ("rsa-4096", 49, None, "OpenSSL"),
        ("p384", 50, Some("openssl"), "OpenSSL"),
        ("p384", 1, Some("aws-lc"), "AWS-LC"),
        ("p256", 1, Some("aws-lc"), "AWS-LC"),
        ("rsa-4096", 1, Some("aws-lc"), "AWS-LC"),
    ] {
        let work = set_up(algorithm);
        let tree = work.path().join("tree");
        std::fs::create_dir(&tree).unwrap();
        for n in 0..count {
            std::fs::write(tree.join(format!("{n}.ko")), MODULE).unwrap();
        }
        let sign = ["sign", "--key", "k.pem", "--cert", "c.pem", "tree"];
        let library = library.map(|name| ["--library", name]);
        let options = library.as_ref().map_or(&[][..], |words| &words[..]);
        let signed = modsig(&work, &[&sign[..], options, &["--verbose"]].concat());
        good(&signed);
        let text = String::from_utf8_lossy(&signed.stderr);
        let case = format!("{algorithm} {count} {library:?}: {text}");
        assert!(text.starts_with(&format!("modsig: {expected} ")), "{case}");
        assert!(text.contains("signs"), "{case}");
        good(&modsig(&work, &["verify", "--cert", "c.pem", "tree"]));
        let quiet = modsig(&work, &[&sign[..], options].concat());
        good(&quiet);
        assert!(quiet.stderr.is_empty(), "{quiet:?}");
    }
}

#[test]
fn what_aws_lc_cannot_is_refused_if_it_was_asked_for() {
    let work = set_up("rsa-2048");
    let sign = ["--hash", "sha224", "--library", "aws-lc"];
    fails(
        &modsig(&work, &[&SIGN[..], &sign].concat()),
        2,
        "AWS-LC does not sign with such a key and sha224 here; leave --library out",
    );
    assert_eq!(module(&work), MODULE);
    good(&modsig(&work, &[&SIGN[..], &sign[..2]].concat()));
}
