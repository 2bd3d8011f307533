// SPDX-License-Identifier: MIT OR Apache-2.0

//! Algorithms, those that are known and others: class 18.

use anyhow::{Context, Result};
use modsig::verify::DigestAlgorithm;
use modsig_tools::{
    certificate::SignerIdForm::IssuerAndSerial,
    message::{algorithm, ecdsa_algorithm, rsa_algorithm},
};

use crate::corpus::compare::{
    craft::{oid, Message},
    kitchen::Kitchen,
    Corpus,
};

/// Class 18.
pub(super) fn algorithms(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
    use DigestAlgorithm::*;
    let nist = |arc| vec![0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, arc];
    let digests: Vec<(&str, Vec<u8>)> = vec![
        ("sha1", vec![0x2b, 0x0e, 0x03, 0x02, 0x1a]),
        ("sha256", nist(1)),
        ("sha384", nist(2)),
        ("sha512", nist(3)),
        ("sha224", nist(4)),
        ("sha512-224", nist(5)),
        ("sha512-256", nist(6)),
        ("sha3-224", nist(7)),
        ("sha3-256", nist(8)),
        ("sha3-384", nist(9)),
        ("sha3-512", nist(10)),
        ("shake128", nist(11)),
        ("shake256", nist(12)),
        ("md5", vec![0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x05]),
        ("sm3", vec![0x2a, 0x81, 0x1c, 0xcf, 0x55, 0x01, 0x83, 0x11]),
        (
            "streebog256",
            vec![0x2a, 0x85, 0x03, 0x07, 0x01, 0x01, 0x02, 0x02],
        ),
        (
            "streebog512",
            vec![0x2a, 0x85, 0x03, 0x07, 0x01, 0x01, 0x02, 0x03],
        ),
        ("unknown", oid::UNKNOWN.to_vec()),
        ("of no bytes", vec![]),
        ("cut off", vec![0x60, 0x86]),
        ("padded", vec![0x60, 0x80, 0x01]),
    ];
    let nist_key = |arc| vec![0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, arc];
    let pkcs1 = |arc| vec![0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, arc];
    let ecdsa = |arc| vec![0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, arc];
    let keys: Vec<(&str, Vec<u8>)> = vec![
        ("rsaEncryption", pkcs1(1)),
        ("sha256WithRSA", pkcs1(11)),
        ("RSA-PSS", pkcs1(10)),
        ("ecdsa-sha1", vec![0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01]),
        ("ecdsa-sha224", ecdsa(1)),
        ("ecdsa-sha256", ecdsa(2)),
        ("ecdsa-sha512", ecdsa(4)),
        ("ecdsa-sha3-256", nist_key(10)),
        (
            "id-ecPublicKey",
            vec![0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01],
        ),
        (
            "gost2012-256",
            vec![0x2a, 0x85, 0x03, 0x07, 0x01, 0x01, 0x01, 0x01],
        ),
        ("ML-DSA-44", nist_key(17)),
        ("ML-DSA-65", nist_key(18)),
        ("ML-DSA-87", nist_key(19)),
        ("Ed25519", vec![0x2b, 0x65, 0x70]),
        ("unknown", oid::UNKNOWN.to_vec()),
        ("of no bytes", vec![]),
    ];
    // A trusted key, a key that nobody has, and an identifier: what each says of itself.
    for who in ["rsa2048", "p256", "untrusted"] {
        for (digest_name, digest) in &digests {
            for (key_name, key) in &keys {
                let mut parts = kitchen.signs(who)?;
                parts.digest = algorithm(digest, &[]);
                parts.key = algorithm(key, &[]);
                let message = Message::new(&[parts]).encode();
                let name = format!("class 18: {who}, digest {digest_name}, key {key_name}");
                out.message(name, &message)?;
            }
        }
    }
    // Signed with what they say.
    for who in ["rsa2048", "rsa4096", "p256", "p384", "p521", "untrusted"] {
        for digest in [
            Sha1, Sha224, Sha256, Sha384, Sha512, Sha3_256, Sha3_384, Sha3_512,
        ] {
            let parts = kitchen
                .id(who)
                .parts(IssuerAndSerial, digest, &kitchen.content)?;
            let message = Message::new(&[parts]).encode();
            out.message(
                format!("class 18: signed by {who} with {}", digest.name()),
                &message,
            )?;
        }
    }
    // ECDSA whose algorithm names another digest than the signer.
    for (digest, named) in [(Sha256, Sha384), (Sha384, Sha256), (Sha512, Sha1)] {
        let mut parts = kitchen
            .id("p384")
            .parts(IssuerAndSerial, digest, &kitchen.content)?;
        parts.key = ecdsa_algorithm(named).context("no such algorithm")?;
        let message = Message::new(&[parts]).encode();
        let name = format!(
            "class 18: {} signed, ECDSA with {} named",
            digest.name(),
            named.name()
        );
        out.message(name, &message)?;
    }
    // Parameters.
    for (name, parameters) in [
        ("NULL", vec![5, 0]),
        ("NULL with a byte", vec![5, 1, 0]),
        ("an empty SEQUENCE", vec![0x30, 0]),
        ("an identifier", vec![6, 1, 0x2a]),
        ("two of them", vec![5, 0, 5, 0]),
        ("half a header", vec![5]),
    ] {
        for who in ["rsa2048", "p256"] {
            let good = kitchen.signs(who)?;
            let mut parts = good.clone();
            parts.digest = algorithm(&nist(1), &parameters);
            let message = Message::new(&[parts]).encode();
            out.message(
                format!("class 18: {who}, digest's parameters {name}"),
                &message,
            )?;
            let mut parts = good.clone();
            let key = if who == "p256" { ecdsa(2) } else { pkcs1(1) };
            parts.key = algorithm(&key, &parameters);
            let message = Message::new(&[parts]).encode();
            out.message(
                format!("class 18: {who}, key's parameters {name}"),
                &message,
            )?;
        }
    }
    let mut parts = kitchen.signs("p256")?;
    parts.key = rsa_algorithm();
    let message = Message::new(&[parts]).encode();
    out.message(
        "class 18: a trusted EC key that is said to be RSA",
        &message,
    )?;
    Ok(())
}
