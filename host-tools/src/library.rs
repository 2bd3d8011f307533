// SPDX-License-Identifier: MIT OR Apache-2.0

//! Which library makes signatures with keys in files: OpenSSL can with all of them, AWS-LC is faster with
//! some. Digests are OpenSSL's in any case, and what was signed is verified by nothing else.

use std::fs;

use anyhow::{bail, Result};
use clap::ValueEnum;
use modsig::verify::DigestAlgorithm;
use openssl::{
    nid::Nid,
    pkey::{Id, PKeyRef, Private},
    version,
};

use crate::aws_lc;

/// Which library is to sign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Library {
    /// AWS-LC where it is known to be faster, for so many signatures that it pays; else OpenSSL
    #[default]
    Auto,
    /// OpenSSL
    #[value(name = "openssl")]
    OpenSsl,
    /// AWS-LC
    #[value(name = "aws-lc")]
    AwsLc,
}

/// So many signatures with P-384 take as much longer by OpenSSL 3.0 as AWS-LC takes to start its random
/// number generator: 0.5 ms each, 22 ms.
const ENOUGH: usize = 50;

impl Library {
    /// Finds one by its name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::from_str(name, false).ok()
    }

    /// The name that it has on the command line.
    pub fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// The key as AWS-LC has it, if that is to make so many signatures over digests of this kind.
    ///
    /// # Errors
    ///
    /// If it was asked for and cannot.
    pub(crate) fn key(
        self,
        key: &PKeyRef<Private>,
        digest: DigestAlgorithm,
        count: usize,
    ) -> Result<Option<aws_lc::Key>> {
        match self {
            Library::OpenSsl => Ok(None),
            Library::Auto if count < ENOUGH || in_fips_mode() || !is_faster(key) => Ok(None),
            Library::Auto => Ok(aws_lc::Key::new(key, digest)),
            Library::AwsLc => match aws_lc::Key::new(key, digest) {
                None => bail!(
                    "AWS-LC does not sign with such a key and {} here; leave --library out",
                    digest.name()
                ),
                taken => Ok(taken),
            },
        }
    }
}

/// Whether only what is in OpenSSL's FIPS provider may sign here.
fn in_fips_mode() -> bool {
    fs::read_to_string("/proc/sys/crypto/fips_enabled").is_ok_and(|text| text.trim() != "0")
}

/// Whether AWS-LC is known to be faster with such a key on such a processor.
fn is_faster(key: &PKeyRef<Private>) -> bool {
    match key.id() {
        Id::EC => {
            let curve = key.ec_key().ok().and_then(|key| key.group().curve_name());
            // With P-256 both take as long.
            matches!(curve, Some(Nid::SECP384R1 | Nid::SECP521R1))
        }
        // OpenSSL 3.0 has such code for 2048 bits only.
        Id::RSA => key.bits() > 2048 && has_wide_multiplication(),
        _ => false,
    }
}

/// Whether the processor has what AWS-LC exponentiates with (`rsaz_avx512ifma_eligible()`).
fn has_wide_multiplication() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512ifma");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// What signs, for people.
pub(crate) fn describe(by_aws_lc: bool) -> String {
    let openssl = version::version();
    match by_aws_lc {
        true => format!("AWS-LC signs, {openssl} digests"),
        false => format!("{openssl} signs"),
    }
}
