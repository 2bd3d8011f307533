// SPDX-License-Identifier: GPL-2.0

//! Points in time as certificates and signed attributes have them (RFC 5280 section 4.1.2.5).

use super::{
    der::{self, Element},
    error::Error,
};

/// Seconds since the start of 1970, UTC.
pub type Seconds = i64;

/// Reads a UTCTime or GeneralizedTime as `x509_decode_time()` of
/// `crypto/asymmetric_keys/x509_cert_parser.c` does: to the second, with `Z`, from 1970 on, a
/// year from 1950 to 2049 as UTCTime only. Leap seconds and 24:00:00 are taken.
pub fn decode(element: &Element<'_>) -> Result<Seconds, Error> {
    let bad = Error::BadTime(element.at);
    let (year, rest) = match (element.tag, element.content) {
        (der::UTC_TIME, [y0, y1, rest @ ..]) => {
            let year = digits([*y0, *y1]).ok_or(bad)?;
            (if year < 50 { 2000 } else { 1900 } + year, rest)
        }
        (der::GENERALIZED_TIME, [y0, y1, y2, y3, rest @ ..]) => {
            let century = digits([*y0, *y1]).ok_or(bad)?;
            let year = century * 100 + digits([*y2, *y3]).ok_or(bad)?;
            if (1950..=2049).contains(&year) {
                return Err(bad);
            }
            (year, rest)
        }
        _ => return Err(bad),
    };
    let &[m0, m1, d0, d1, h0, h1, i0, i1, s0, s1, b'Z'] = rest else {
        return Err(bad);
    };
    let month = digits([m0, m1]).ok_or(bad)?;
    let day = digits([d0, d1]).ok_or(bad)?;
    let hour = digits([h0, h1]).ok_or(bad)?;
    let minute = digits([i0, i1]).ok_or(bad)?;
    let second = digits([s0, s1]).ok_or(bad)?;

    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let month_length = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return Err(bad),
    };
    if year < 1970 || !(1..=month_length).contains(&day) || hour > 24 || minute > 59 || second > 60
    {
        return Err(bad);
    }
    // Days since 1970, of years that start in March so that the leap day is their last. All
    // numbers are small: the year has four digits.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    let days = 365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468;
    Ok(((days * 24 + hour) * 60 + minute) * 60 + second)
}

/// The number that two digits make.
fn digits([tens, ones]: [u8; 2]) -> Option<Seconds> {
    let digit = |octet: u8| char::from(octet).to_digit(10).map(Seconds::from);
    Some(digit(tens)? * 10 + digit(ones)?)
}
