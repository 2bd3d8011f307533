// SPDX-License-Identifier: GPL-2.0 OR MIT

//! KUnit tests of the parsers: what they take, and what they refuse.

use kernel::prelude::*;

#[kunit_tests(module_sig_rust_parse)]
mod tests {
    use super::*;
    use crate::verify::{der::Reader, Error};

    // series: from cms
    use super::super::vectors::*;
    use crate::verify::{cms, x509};
    // series: end

    #[test]
    fn one_encoding_of_each_value() {
        let read = |octets: &'static [u8]| Reader::new(octets).any().map(|element| element.content);
        assert_eq!(read(&[0x04, 0x01, 0x2a]), Ok(&[0x2a][..]));
        assert_eq!(
            read(&[0x04, 0x80, 0x2a, 0, 0]),
            Err(Error::IndefiniteLength(0))
        );
        assert_eq!(
            read(&[0x04, 0x81, 0x01, 0x2a]),
            Err(Error::NonMinimalLength(0))
        );
        assert_eq!(
            read(&[0x04, 0x85, 0, 0, 0, 0, 1, 0x2a]),
            Err(Error::HugeLength(0))
        );
        assert_eq!(read(&[0x1f, 0x01, 0x00]), Err(Error::LongTag(0)));
        assert_eq!(read(&[0x04, 0x02, 0x2a]), Err(Error::Truncated(0)));
        assert_eq!(read(&[]), Err(Error::Truncated(0)));

        let integer = |octets: &'static [u8]| Reader::new(octets).integer();
        assert_eq!(integer(&[0x02, 0x02, 0x00, 0x80]), Ok(&[0x00, 0x80][..]));
        assert_eq!(
            integer(&[0x02, 0x02, 0x00, 0x7f]),
            Err(Error::BadInteger(0))
        );
        assert_eq!(integer(&[0x02, 0x00]), Err(Error::BadInteger(0)));
        assert_eq!(integer(&[0x04, 0x01, 0x00]), Err(Error::UnexpectedTag(0)));
    }

    #[test]
    fn nothing_may_be_left() {
        let mut reader = Reader::new(&[0x30, 0x03, 0x02, 0x01, 0x05, 0x00]);
        assert!(reader.element(0x30).is_ok());
        assert_eq!(reader.finish(), Err(Error::TrailingData(5)));
    }

    // series: from cms
    #[test]
    fn messages_are_read_whole_or_not_at_all() -> Result {
        for message in [RSA_MESSAGE, ECDSA_MESSAGE, CHAIN_MESSAGE] {
            let parsed = cms::parse(message, Default::default()).map_err(|_| EINVAL)?;
            let signed = parsed.signed_data().map_err(|_| EINVAL)?;
            assert!(signed.signer(0).is_some() && signed.signer(1).is_none());
            for at in 0..message.len() {
                let cut = message.get(..at).ok_or(EINVAL)?;
                assert!(cms::parse(cut, Default::default()).is_err());
            }
        }
        Ok(())
    }

    #[test]
    fn certificates_are_read() -> Result {
        for certificate in [RSA_CERTIFICATE, ECDSA_CERTIFICATE] {
            let encoded = Reader::new(certificate).any().map_err(|_| EINVAL)?;
            let found = x509::parse(&encoded, false).map_err(|_| EINVAL)?;
            assert!(found.subject == found.issuer);
        }
        Ok(())
    }

    #[test]
    fn certificates_are_found_in_the_message() -> Result {
        for (message, certificates) in [(RSA_MESSAGE, 0), (CHAIN_MESSAGE, 1)] {
            let parsed = cms::parse(message, Default::default()).map_err(|_| EINVAL)?;
            assert_eq!(parsed.certificates().encoded().count(), certificates);
        }
        Ok(())
    }
    // series: end
}
