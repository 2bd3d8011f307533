// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Distinguished names (RFC 5280 section 4.1.2.4): whether one is well formed.
// series: cut
//! And how to show it to a person.

use core::fmt;
// series: end

use super::{
    der::{self, Reader},
    error::Error,
    // series: cut
    oid,
    // series: end
};

/// Reads a `Name` and returns its content, which must have the form that
/// `crypto/asymmetric_keys/x509.asn1` gives it: a sequence of sets of pairs of a type and any
/// value, none of them empty.
pub(super) fn read<'a>(input: &mut Reader<'a>) -> Result<&'a [u8], Error> {
    let name = input.element(der::SEQUENCE)?;
    let mut rdns = name.list()?;
    while !rdns.is_empty() {
        let mut attributes = rdns.list(der::SET)?;
        while !attributes.is_empty() {
            attribute(&mut attributes)?;
        }
    }
    Ok(name.content)
}

/// Reads one `AttributeTypeAndValue`: the type's identifier and the value's bytes.
fn attribute<'a>(attributes: &mut Reader<'a>) -> Result<(&'a [u8], &'a [u8]), Error> {
    let mut fields = attributes.inside(der::SEQUENCE)?;
    let kind = fields.oid()?;
    let value = fields.any()?.content;
    fields.finish()?;
    Ok((kind, value))
}

// series: cut
/// What `x509_fabricate_name()` of `crypto/asymmetric_keys/x509_cert_parser.c` makes of the content of a name, which is
/// what a key is called by: the common name, the organization in front of it unless it starts with that,
/// one of them, or a mail address. The first part is empty if there is one only.
pub(super) fn shown(content: &[u8]) -> (&[u8], &[u8]) {
    let [mut common_name, mut organization, mut email]: [&[u8]; 3] = Default::default();
    let mut rdns = Reader::new(content);
    while let Ok(rdn) = rdns.element(der::SET) {
        let mut attributes = rdn.reader();
        while let Ok((kind, value)) = attribute(&mut attributes) {
            // Of several, C takes the last one, and counts its bytes in one byte.
            let value = value.get(..value.len() & 0xff).unwrap_or_default();
            match (kind.strip_prefix(oid::X520), kind.strip_prefix(oid::PKCS9)) {
                (Some([3]), _) => common_name = value,
                (Some([10]), _) => organization = value,
                (_, Some([1])) => email = value,
                _ => {}
            }
        }
    }
    match (organization, common_name) {
        ([], []) => (&[], email),
        (organization, []) => (&[], organization),
        ([], common_name) => (&[], common_name),
        _ => {
            let is_same = |size| {
                let start = organization.get(..size);
                start.is_some() && start == common_name.get(..size)
            };
            if common_name.starts_with(organization) || is_same(7) {
                (&[], common_name)
            } else {
                (organization, common_name)
            }
        }
    }
}

/// Shows a name: the attributes that people know, in the order of the name.
///
/// The bytes come from whoever made the module, so nothing but printable ASCII is let through,
/// and not much of it.
pub(super) struct Printable<'a>(pub(super) &'a [u8]);

/// How many attributes of a name are shown, and how many bytes of each.
const SHOWN_ATTRIBUTES: usize = 4;
const SHOWN_OCTETS: usize = 64;

impl Printable<'_> {
    /// Writes up to [`SHOWN_ATTRIBUTES`] attributes; stops where the name is malformed.
    fn write(&self, f: &mut fmt::Formatter<'_>) -> Result<usize, fmt::Error> {
        let mut shown: usize = 0;
        let mut rdns = Reader::new(self.0);
        while let Ok(rdn) = rdns.element(der::SET) {
            let mut attributes = rdn.reader();
            while let Ok((kind, value)) = attribute(&mut attributes) {
                let label = match kind.strip_prefix(oid::X520) {
                    Some([3]) => "CN",
                    Some([10]) => "O",
                    Some([11]) => "OU",
                    _ => continue,
                };
                if shown == SHOWN_ATTRIBUTES {
                    return Ok(shown);
                }
                let separator = if shown == 0 { "" } else { ", " };
                write!(f, "{separator}{label}=")?;
                for &octet in value.iter().take(SHOWN_OCTETS) {
                    let printable = matches!(octet, b' '..=b'~') && octet != b'"' && octet != b'\\';
                    fmt::Write::write_char(f, if printable { char::from(octet) } else { '?' })?;
                }
                shown = shown.saturating_add(1);
            }
        }
        Ok(shown)
    }
}

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        if self.write(f)? == 0 {
            f.write_str("no common name")?;
        }
        f.write_str("\"")
    }
}
// series: end
