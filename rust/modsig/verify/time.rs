// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Points in time as certificates and signed attributes have them (RFC 5280 section 4.1.2.5).

use core::num::Wrapping;

use super::{
    der::{self, Element},
    error::Error,
};

/// Seconds since the start of 1970, UTC.
pub type Seconds = i64;

/// Numbers that are not checked for an overflow: all are small, since a year has four digits, and a
/// check that the compiler does not see to be needless would link a panic.
type Number = Wrapping<Seconds>;

/// Reads a UTCTime or GeneralizedTime as `x509_decode_time()` of
/// `crypto/asymmetric_keys/x509_cert_parser.c` does: to the second, with `Z`, from 1970 on, a
/// year from 1950 to 2049 as UTCTime only. Leap seconds and 24:00:00 are taken.
pub fn decode(element: &Element<'_>) -> Result<Seconds, Error> {
    let bad = Error::BadTime(element.at);
    let (year, rest) = match (element.tag, element.content) {
        (der::UTC_TIME, [y0, y1, rest @ ..]) => {
            let year = digits([*y0, *y1]).ok_or(bad)?;
            let century = if year.0 < 50 { 2000 } else { 1900 };
            (year + Wrapping(century), rest)
        }
        (der::GENERALIZED_TIME, [y0, y1, y2, y3, rest @ ..]) => {
            let century = digits([*y0, *y1]).ok_or(bad)?;
            let year = century * Wrapping(100) + digits([*y2, *y3]).ok_or(bad)?;
            if (1950..=2049).contains(&year.0) {
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

    let leap = year.0 % 4 == 0 && (year.0 % 100 != 0 || year.0 % 400 == 0);
    let month_length = match month.0 {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return Err(bad),
    };
    if year.0 < 1970
        || !(1..=month_length).contains(&day.0)
        || hour.0 > 24
        || minute.0 > 59
        || second.0 > 60
    {
        return Err(bad);
    }
    // Days since 1970, of years that start in March so that the leap day is their last.
    let (year, month) = if month.0 > 2 {
        (year, month - Wrapping(3))
    } else {
        (year - Wrapping(1), month + Wrapping(9))
    };
    let leap_days = Wrapping(year.0 / 4) - Wrapping(year.0 / 100) + Wrapping(year.0 / 400);
    let months = Wrapping((Wrapping(153) * month + Wrapping(2)).0 / 5);
    let days = Wrapping(365) * year + leap_days + months + day - Wrapping(1 + 719_468);
    let seconds = ((days * Wrapping(24) + hour) * Wrapping(60) + minute) * Wrapping(60) + second;
    Ok(seconds.0)
}

/// The number that two digits make.
fn digits([tens, ones]: [u8; 2]) -> Option<Number> {
    let digit = |octet: u8| Some(Wrapping(Seconds::from(char::from(octet).to_digit(10)?)));
    Some(digit(tens)? * Wrapping(10) + digit(ones)?)
}
