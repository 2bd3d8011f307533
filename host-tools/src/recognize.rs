// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a file is that was given for a signature and is none: as people make them with `openssl cms` and its
//! relatives, or get them from a key management service.

use modsig::verify::{der::Reader, Error};
use openssl::{ecdsa::EcdsaSig, x509::X509};

/// What a file is in place of a signature message (PKCS#7 in DER), and what to do; `None` if that is not known.
pub fn in_place_of_message(file: &[u8]) -> Option<String> {
    in_place_of_both(file).or_else(|| {
        if EcdsaSig::from_der(file).is_ok() {
            return Some(format!("it is a bare ECDSA value{RAW}"));
        }
        if file.starts_with(&[0x30, 0x80]) {
            return Some(
                "it has no definite length (BER), and must be DER: sign without -stream".into(),
            );
        }
        if is_random(file) && matches!(file.len(), 128 | 192 | 256 | 384 | 512) {
            return Some(format!("it looks like a bare RSA value{RAW}"));
        }
        None
    })
}

/// What a file is in place of a bare value, and what to do; `None` if that is not known.
pub fn in_place_of_value(file: &[u8]) -> Option<String> {
    in_place_of_both(file).or_else(|| {
        is_message(file).then(|| {
            "it is a whole message: name it MODULE.p7s, and attach it without --raw".into()
        })
    })
}

/// Whether a message has signed attributes, which `openssl cms -sign` adds unless it is told not to.
pub fn has_attributes(message: &[u8]) -> bool {
    signed_attributes(message).unwrap_or(false)
}

const RAW: &str = ", not a message: name it MODULE.sig, and attach it with --raw";

fn in_place_of_both(file: &[u8]) -> Option<String> {
    const MAGIC: &[u8] = b"~Module signature appended~\n";
    let text = std::str::from_utf8(file).ok().map(str::trim);
    // It may have the module in it.
    if file.starts_with(b"MIME-Version:") || file.starts_with(b"Content-Type:") {
        return Some("it is S/MIME, and must be DER: sign with -outform DER, or convert it: openssl cms -cmsout -inform SMIME -outform DER".into());
    }
    Some(match text {
        Some("") => "the file is empty; sign again".into(),
        Some(text) if text.contains("-----BEGIN ") => {
            let label = text.split("-----BEGIN ").nth(1).unwrap_or_default();
            let label = label.split("-----").next().unwrap_or_default();
            match label {
                "CMS" | "PKCS7" => "it is PEM, and must be DER: sign with -outform DER, or convert it: openssl cms -cmsout -inform PEM -outform DER".into(),
                other => format!("it is PEM with a {other}, not a signature"),
            }
        }
        Some(text) if is_base64(text) => "it is in base64: decode it first (base64 -d)".into(),
        Some(_) => "it is a text, not a signature".into(),
        None if file.ends_with(MAGIC) => {
            "it ends as a signed module does: give the signature by itself, without module and trailer".into()
        }
        None if X509::from_der(file).is_ok() => "it is a certificate, not a signature".into(),
        None => return None,
    })
}

fn is_base64(text: &str) -> bool {
    text.len() >= 64
        && text
            .chars()
            .all(|one| one.is_ascii_alphanumeric() || "+/=\r\n".contains(one))
}

/// Whether it is a SEQUENCE that begins with an identifier (ContentInfo, RFC 5652 section 3).
fn is_message(file: &[u8]) -> bool {
    let element = Reader::new(file).element(0x30);
    element.is_ok_and(|element| element.reader().oid().is_ok())
}

/// Whether nothing in it looks like an encoding of something.
fn is_random(file: &[u8]) -> bool {
    Reader::new(file).element(0x30).is_err()
}

/// RFC 5652 sections 3, 5.1 and 5.3.
fn signed_attributes(message: &[u8]) -> Result<bool, Error> {
    let mut content_info = Reader::new(message).element(0x30)?.reader();
    content_info.oid()?;
    let mut signed_data = content_info.element(0xa0)?.reader().element(0x30)?.reader();
    // Version, algorithms, content.
    signed_data.integer()?;
    signed_data.element(0x31)?;
    signed_data.element(0x30)?;
    // Certificates and revocation lists.
    signed_data.optional(0xa0)?;
    signed_data.optional(0xa1)?;
    let mut signer = signed_data.element(0x31)?.reader().element(0x30)?.reader();
    signer.integer()?;
    // Who it is, and the digest algorithm.
    signer.any()?;
    signer.element(0x30)?;
    Ok(signer.optional(0xa0)?.is_some())
}
