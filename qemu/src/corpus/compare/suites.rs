// SPDX-License-Identifier: MIT OR Apache-2.0

//! Files of public test suites (`scripts/get/vectors`): messages as a module's signature, certificates
//! in a message that is good otherwise.

use std::path::Path;

use anyhow::{ensure, Context, Result};
use openssl::base64::decode_block;

use super::{der::split, kitchen::Kitchen, Corpus};

/// What was found in a file.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Message(Vec<u8>),
    Certificate(Vec<u8>),
}

const SEQUENCE: u8 = 0x30;

/// Adds what is in the files below a directory.
pub fn add(kitchen: &Kitchen, directory: &Path, out: &mut Corpus) -> Result<()> {
    let good = kitchen.good()?;
    let (mut messages, mut certificates) = (0, 0);
    for entry in walkdir::WalkDir::new(directory).sort_by_file_name() {
        let entry = entry.with_context(|| directory.display().to_string())?;
        if !entry.file_type().is_file() {
            continue;
        }
        let octets = std::fs::read(entry.path())?;
        let name = entry.path().strip_prefix(directory)?.display().to_string();
        for (index, found) in find(&octets).into_iter().enumerate() {
            match found {
                Found::Message(message) => {
                    messages += 1;
                    out.message(format!("suite: message {name} {index}"), &message)?;
                }
                Found::Certificate(certificate) => {
                    certificates += 1;
                    let mut message = good.clone();
                    message.certificates = certificate;
                    let name = format!("suite: certificate {name} {index}");
                    out.message(name, &message.encode())?;
                }
            }
        }
    }
    ensure!(
        messages > 0 && certificates > 0,
        "{}: {messages} messages and {certificates} certificates; remove it, so that scripts/get/vectors gets it again",
        directory.display()
    );
    Ok(())
}

/// What a file holds: blocks of PEM, or one thing in DER.
fn find(octets: &[u8]) -> Vec<Found> {
    let text = String::from_utf8_lossy(octets);
    let mut found = vec![];
    let mut block: Option<String> = None;
    for line in text.lines().map(str::trim) {
        if line.starts_with("-----BEGIN ") {
            block = Some(String::new());
        } else if line.starts_with("-----END ") {
            let decoded = block.take().map(|block| decode_block(&block));
            found.extend(decoded.and_then(Result::ok).and_then(|der| classify(&der)));
        } else if let Some(block) = &mut block {
            block.push_str(line);
        }
    }
    if found.is_empty() {
        found.extend(classify(octets));
    }
    found
}

/// Tells a message from a certificate by how it starts: with an object identifier, or with a
/// SEQUENCE in which an INTEGER comes first or second, then a SEQUENCE. The rest are keys, lists,
/// requests and the like.
fn classify(octets: &[u8]) -> Option<Found> {
    const PKCS7: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01];
    if let [SEQUENCE, 0x80, 0x06, _, rest @ ..] = octets {
        return rest
            .starts_with(PKCS7)
            .then(|| Found::Message(octets.to_vec()));
    }
    let (SEQUENCE, content, _) = split(octets)? else {
        return None;
    };
    match split(content)? {
        (0x06, oid, _) if oid.starts_with(PKCS7) => Some(Found::Message(octets.to_vec())),
        (SEQUENCE, first, rest) => {
            // A certificate, or a list of revoked ones; its algorithm and its signature follow.
            let (SEQUENCE, _, rest) = split(rest)? else {
                return None;
            };
            let (0x03, ..) = split(rest)? else {
                return None;
            };
            split(first)?;
            Some(Found::Certificate(octets.to_vec()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use modsig_tools::message::{sequence, tlv};

    #[test]
    fn finds_messages_and_certificates() {
        let oid = tlv(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2]);
        let message = sequence(&[&oid]);
        assert_eq!(find(&message), [Found::Message(message.clone())]);
        let body = sequence(&[&tlv(2, &[1])]);
        let certificate = sequence(&[&body, &sequence(&[&oid]), &tlv(3, &[0])]);
        assert_eq!(
            find(&certificate),
            [Found::Certificate(certificate.clone())]
        );
        let pem = format!(
            "text\n-----BEGIN X-----\n{}\n-----END X-----\n",
            openssl::base64::encode_block(&certificate)
        );
        assert_eq!(find(pem.as_bytes()), [Found::Certificate(certificate)]);
        for other in [&b"text"[..], &[], &sequence(&[&tlv(2, &[0])])] {
            assert_eq!(find(other), []);
        }
    }
}
