// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What is cut off a file, and what is refused, at the trailer.

mod common;

use common::{file, trailer_of};
use modsig::verify::{
    trailer::{self, Kind, Split},
    Error,
};

fn error(file: &[u8]) -> (Error, usize) {
    let unsplit = trailer::split_known(file, &[Kind::Pkcs7]).expect_err("is refused");
    (unsplit.error, unsplit.module_len)
}

#[test]
fn splits_a_signed_file() {
    let file = file(b"message");
    let split = trailer::split(&file).unwrap();
    assert_eq!(
        split,
        Split {
            kind: Kind::Pkcs7,
            content: common::CONTENT,
            message: b"message"
        }
    );
}

#[test]
fn only_the_last_signature_is_split_off() {
    let once = file(b"one");
    let twice = [&once[..], b"two", &trailer_of(3)].concat();
    let split = trailer::split(&twice).unwrap();
    assert_eq!((split.content, split.message), (&once[..], &b"two"[..]));
}

#[test]
fn an_empty_message_is_split_off() {
    let file = file(b"");
    assert_eq!(trailer::split(&file).unwrap().message, b"");
}

#[test]
fn files_without_marker_are_unsigned_and_whole() {
    for file in [
        &b""[..],
        b"x",
        b"~Module signature appended~",
        b"~Module signature appended~\n\n",
    ] {
        assert_eq!(error(file), (Error::Unsigned, file.len()));
    }
    // A marker alone is 28 bytes; C wants more in front of it.
    assert_eq!(error(trailer::MARKER), (Error::Unsigned, 28));
}

#[test]
fn nothing_but_a_trailer_is_no_module() {
    let file = trailer_of(0);
    assert_eq!(file.len(), 40);
    for cut in 0..12 {
        assert_eq!(error(&file[cut..]), (Error::TrailerTooShort, 12 - cut));
    }
}

#[test]
fn length_must_leave_a_module() {
    let with_claim = |claimed: u32| [&b"0123456789"[..], &trailer_of(claimed)].concat();
    assert!(trailer::split(&with_claim(9)).is_ok());
    for claimed in [10, 11, u32::MAX] {
        let expected = Error::SignatureLength {
            claimed,
            available: 10,
        };
        assert_eq!(error(&with_claim(claimed)), (expected, 22));
    }
}

#[test]
fn every_reserved_field_must_be_zero() {
    let good = file(b"message");
    let start = good.len() - 40;
    for field in [0, 1, 3, 4, 5, 6, 7] {
        let mut bad = good.clone();
        bad[start + field] = 1;
        assert_eq!(error(&bad), (Error::ReservedField, good.len() - 28));
    }
}

#[test]
fn type_counts_before_reserved_fields_and_after_the_length() {
    let mut bad = file(b"message");
    let start = bad.len() - 40;
    bad[start] = 1;
    for id_type in [0, 1, 3, 255] {
        bad[start + 2] = id_type;
        // As in C, only the marker is cut off: a permissive kernel loads the rest.
        assert_eq!(error(&bad), (Error::UnknownIdType(id_type), bad.len() - 28));
    }
    bad[start + 8] = 0xff;
    assert!(matches!(error(&bad).0, Error::SignatureLength { .. }));
}

#[test]
fn proofs_are_split_off_where_they_are_known() {
    let mut file = file(b"message");
    let id_type = file.len() - 38;
    file[id_type] = 3;
    let split = trailer::split(&file).unwrap();
    assert_eq!((split.kind, split.message), (Kind::Merkle, &b"message"[..]));
    assert_eq!(error(&file), (Error::UnknownIdType(3), file.len() - 28));
    file[id_type + 1] = 1;
    assert_eq!(
        trailer::split(&file).unwrap_err().error,
        Error::ReservedField
    );
}
