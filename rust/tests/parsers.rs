// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What the rest of the kernel wants to know of certificates and messages, beyond what modules do.

mod common;

use common::*;
use modsig::verify::{
    cms, x509,
    x509::{Certificate, Usage},
    Error,
};

const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];
const EMAIL: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 1];
const UNIT: &[u8] = &[0x55, 0x04, 0x0b];

/// A certificate that stands alone.
fn read(der: &[u8]) -> Result<Certificate<'_>, Error> {
    x509::read(der, true)
}

#[test]
fn a_certificate_is_all_there_is() {
    let der = cert(1, 2).der();
    let certificate = read(&der).unwrap();
    assert_eq!(certificate.key.oid(), Ok(RSA));
    assert_eq!(certificate.id.0, [1]);

    let trailing = [&der[..], &[0]].concat();
    assert!(matches!(read(&trailing), Err(Error::TrailingData(at)) if at == der.len()));
    for end in 0..der.len() {
        assert!(read(&der[..end]).is_err(), "{end}");
    }
    let mut long = der.clone();
    long.resize(65536, 0);
    assert_eq!(read(&long).err(), Some(Error::LongMessage));
    long.pop();
    assert!(matches!(read(&long), Err(Error::TrailingData(_))));
}

#[test]
fn a_key_is_called_as_c_calls_it() {
    let called = |attributes: &[(&[u8], &[u8])]| {
        let rdns = attributes
            .iter()
            .map(|(kind, value)| set(&[&seq(&[&oid(kind), &tlv(0x0c, value)])]));
        let name: Vec<u8> = rdns.flatten().collect();
        let der = Cert {
            subject: tlv(0x30, &name),
            ..cert(1, 2)
        };
        let der = der.der();
        let certificate = read(&der).unwrap();
        let (first, second) = certificate.subject_shown();
        [first, second].map(|part| String::from_utf8_lossy(part).into_owned())
    };
    let cn = |value: &'static [u8]| (COMMON_NAME, value);
    let o = |value: &'static [u8]| (ORGANIZATION, value);
    let mail = (EMAIL, &b"a@b"[..]);
    // x509_fabricate_name() of crypto/asymmetric_keys/x509_cert_parser.c.
    for (attributes, first, second) in [
        (vec![cn(b"name")], "", "name"),
        (vec![o(b"org")], "", "org"),
        (vec![mail], "", "a@b"),
        (vec![(UNIT, b"unit")], "", ""),
        (vec![mail, o(b"org")], "", "org"),
        (vec![cn(b"name"), o(b"org")], "org", "name"),
        (vec![o(b"org"), cn(b"org's name")], "", "org's name"),
        (
            vec![o(b"company Inc."), cn(b"company Ltd.")],
            "",
            "company Ltd.",
        ),
        (vec![o(b"abcdefX"), cn(b"abcdefY")], "abcdefX", "abcdefY"),
        (vec![o(b"abcdef"), cn(b"abcdeY")], "abcdef", "abcdeY"),
        // Of several the last one, of which C counts 256 bytes as none.
        (vec![cn(b"one"), cn(b"two")], "", "two"),
        (vec![cn(&[b'x'; 256]), o(b"org")], "", "org"),
        (vec![cn(&[b'x'; 258])], "", "xx"),
    ] {
        assert_eq!(called(&attributes), [first, second], "{attributes:?}");
    }
    let der = cert(1, 2).der();
    assert_eq!(
        read(&der).unwrap().issuer_shown(),
        (&b""[..], &b"key 2"[..])
    );
}

#[test]
fn the_usage_is_c_s() {
    let none = Usage::default();
    let data = Usage {
        digital_signature: true,
        ..none
    };
    let signs = Usage {
        certificates: true,
        ..none
    };
    let authority = Usage {
        authority: true,
        ..none
    };
    let bits = |content: &[u8]| extension(15, &tlv(0x03, content));
    let constraints = |content: &[u8]| extension(19, &tlv(0x30, content));
    for (extensions, expected) in [
        (vec![], none),
        (vec![bits(&[7, 0x80])], data),
        (vec![bits(&[2, 0x04])], signs),
        (vec![bits(&[3, 0x04])], none),
        (vec![bits(&[7, 0x04, 0x80])], signs),
        (vec![bits(&[0, 0x04, 0, 0])], none),
        (vec![bits(&[0, 0x80, 0, 0])], data),
        (vec![constraints(&[])], none),
        (vec![constraints(&[1, 1, 0xff])], authority),
        (vec![constraints(&[1, 1, 0xff, 2, 1, 0])], authority),
        (
            vec![
                bits(&[7, 0x80]),
                bits(&[2, 0x04]),
                constraints(&[1, 1, 0xff]),
            ],
            Usage {
                digital_signature: true,
                certificates: true,
                authority: true,
            },
        ),
    ] {
        let der = Cert {
            extensions: extensions.clone(),
            ..cert(1, 2)
        };
        assert_eq!(read(&der.der()).unwrap().usage, expected, "{extensions:x?}");
    }
}

#[test]
fn a_message_need_not_be_a_module_s() {
    // Detached; with content; Authenticode's, which wants attributes.
    let signer = signer(7);
    let with_attributes = Signer {
        signed_attributes: signed_attributes(&[]),
        ..signer.clone()
    };
    let content = tlv(0x04, b"content");
    let embedded = seq(&[&oid(DATA), &tlv(0xa0, &content)]);
    for (signer, embedded, has_attributes) in [
        (&signer, None, false),
        (&with_attributes, None, true),
        (&signer, Some(&embedded), false),
        (&with_attributes, Some(&embedded), true),
    ] {
        let mut message = message(std::slice::from_ref(signer));
        message.certificates = certificates(&[cert(1, 2), cert(3, 4)]);
        if let Some(embedded) = embedded {
            message.content = embedded.clone();
        }
        let der = message.der();
        let mut read = cms::read_general(&der, true).unwrap();
        assert_eq!((read.version, read.authenticode), (1, false));
        assert_eq!(
            read.content.map(|content| content.content),
            embedded.map(|_| &b"content"[..])
        );
        assert_eq!(
            read.certificates.rest(),
            [cert(1, 2).der(), cert(3, 4).der()].concat()
        );
        let found = cms::read_signer(&mut read.signers, 1, false, true).unwrap();
        assert_eq!(found.attributes.is_some(), has_attributes);
        assert!(read.signers.is_empty());
    }

    let mixed = message(&[signer.clone(), with_attributes]).der();
    assert_eq!(
        cms::read_general(&mixed, true).err(),
        Some(Error::MixedSignedAttributes)
    );
    let unknown = Signer {
        digest: algorithm(UNKNOWN),
        ..signer
    };
    assert!(matches!(
        cms::read_general(&message(&[unknown]).der(), true),
        Err(Error::UnknownDigest(_))
    ));
}
