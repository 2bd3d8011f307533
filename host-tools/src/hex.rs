// SPDX-License-Identifier: MIT OR Apache-2.0

//! Bytes as hexadecimal digits.

use std::fmt::Write;

/// Two digits for each byte, in lower case.
pub fn encode(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes that digits in either case stand for. `None` if one is no digit, or one is missing.
pub fn decode(digits: &[u8]) -> Option<Vec<u8>> {
    let value = |&digit: &u8| char::from(digit).to_digit(16);
    digits
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => u8::try_from(value(high)? << 4 | value(low)?).ok(),
            _ => None,
        })
        .collect()
}
