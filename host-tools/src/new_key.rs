// SPDX-License-Identifier: MIT OR Apache-2.0

//! Makes keys, and their certificates.

use anyhow::{anyhow, Context, Result};
use clap::ValueEnum;
use modsig::verify::KeyAlgorithm;
use openssl::{
    asn1::Asn1Time,
    bn::{BigNum, MsbOption},
    ec::{EcGroup, EcKey},
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    rsa::Rsa,
    x509::{
        extension::{
            AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage,
            SubjectKeyIdentifier,
        },
        X509Builder, X509Name, X509NameBuilder, X509,
    },
};

use crate::ml_dsa;

/// Kinds of keys that can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum Algorithm {
    #[value(name = "rsa-2048")]
    Rsa2048,
    #[value(name = "rsa-4096")]
    Rsa4096,
    #[value(name = "p256")]
    P256,
    #[value(name = "p384")]
    P384,
    #[value(name = "p521")]
    P521,
    #[value(name = "mldsa44")]
    MlDsa44,
    #[value(name = "mldsa65")]
    MlDsa65,
    #[value(name = "mldsa87")]
    MlDsa87,
}

impl Algorithm {
    /// Finds one by its name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::from_str(name, false).ok()
    }

    /// The name that it has on the command line.
    pub fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Makes a key.
    pub fn key(self) -> Result<PKey<Private>> {
        match self {
            Algorithm::Rsa2048 => Ok(PKey::from_rsa(Rsa::generate(2048)?)?),
            Algorithm::Rsa4096 => Ok(PKey::from_rsa(Rsa::generate(4096)?)?),
            Algorithm::P256 => ec_key(Nid::X9_62_PRIME256V1),
            Algorithm::P384 => ec_key(Nid::SECP384R1),
            Algorithm::P521 => ec_key(Nid::SECP521R1),
            Algorithm::MlDsa44 => ml_dsa::generate(KeyAlgorithm::MlDsa44),
            Algorithm::MlDsa65 => ml_dsa::generate(KeyAlgorithm::MlDsa65),
            Algorithm::MlDsa87 => ml_dsa::generate(KeyAlgorithm::MlDsa87),
        }
    }
}

fn ec_key(curve: Nid) -> Result<PKey<Private>> {
    let group = EcGroup::from_curve_name(curve)?;
    Ok(PKey::from_ec_key(EcKey::generate(&group)?)?)
}

/// A name that has a common name only.
pub fn name(common_name: &str) -> Result<X509Name> {
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_nid(Nid::COMMONNAME, common_name)
        .with_context(|| format!("{common_name:?} cannot be a common name"))?;
    Ok(name.build())
}

/// Makes what Kbuild makes of its x509.genkey: for signatures, not for other certificates.
pub fn certificate(
    algorithm: Algorithm,
    key: &PKey<Private>,
    common_name: &str,
    days: u32,
    code_signing: bool,
) -> Result<X509> {
    let name = name(common_name)?;
    let mut builder = X509Builder::new()?;
    builder.set_version(2)?;
    let mut serial = BigNum::new()?;
    serial.rand(159, MsbOption::MAYBE_ZERO, false)?;
    let serial = serial.to_asn1_integer()?;
    builder.set_serial_number(&serial)?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(&name)?;
    let start = Asn1Time::days_from_now(0)?;
    let end = Asn1Time::days_from_now(days).map_err(|_| {
        anyhow!("{days} days from now is later than any certificate can say (the year 9999); give fewer --days")
    })?;
    builder.set_not_before(&start)?;
    builder.set_not_after(&end)?;
    builder.set_pubkey(key)?;
    builder.append_extension(BasicConstraints::new().critical().build()?)?;
    builder.append_extension(KeyUsage::new().digital_signature().build()?)?;
    if code_signing {
        builder.append_extension(ExtendedKeyUsage::new().code_signing().build()?)?;
    }
    let subject = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None))?;
    builder.append_extension(subject)?;
    let authority = AuthorityKeyIdentifier::new()
        .keyid(true)
        .build(&builder.x509v3_context(None, None))?;
    builder.append_extension(authority)?;
    let digest = match algorithm {
        // They digest what they sign in their own way.
        Algorithm::MlDsa44 | Algorithm::MlDsa65 | Algorithm::MlDsa87 => MessageDigest::null(),
        _ => MessageDigest::sha512(),
    };
    builder.sign(key, digest)?;
    Ok(builder.build())
}
