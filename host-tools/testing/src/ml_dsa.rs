// SPDX-License-Identifier: MIT OR Apache-2.0

//! ML-DSA without OpenSSL, whose versions in use mostly do not have it: keys, certificates and
//! signatures for the test kernels, and the answer that the kernel's own implementation is to give.

use std::path::Path;

use anyhow::{bail, ensure, Context, Result};
use fips204::{
    ml_dsa_44, ml_dsa_65, ml_dsa_87,
    traits::{KeyGen, SerDes, Signer, Verifier},
};
use modsig::verify::{der::Reader, KeyAlgorithm};
use openssl::{base64, rand::rand_bytes, sha::sha1, x509::X509};

/// Does the same with each of the three.
macro_rules! with {
    ($algorithm:expr, $module:ident => $body:expr, $otherwise:expr) => {
        match $algorithm {
            KeyAlgorithm::MlDsa44 => {
                use ml_dsa_44 as $module;
                $body
            }
            KeyAlgorithm::MlDsa65 => {
                use ml_dsa_65 as $module;
                $body
            }
            KeyAlgorithm::MlDsa87 => {
                use ml_dsa_87 as $module;
                $body
            }
            _ => $otherwise,
        }
    };
}

/// One DER element of at most 65535 bytes.
fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let [.., high, low] = content.len().to_be_bytes();
    let header: &[u8] = match (high, low) {
        (0, 0..=0x7f) => &[tag, low],
        (0, _) => &[tag, 0x81, low],
        _ => &[tag, 0x82, high, low],
    };
    [header, content].concat()
}

/// A SEQUENCE of these parts.
fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

/// The AlgorithmIdentifier (RFC 9881 section 2).
fn identifier(algorithm: KeyAlgorithm) -> Option<Vec<u8>> {
    let arc = match algorithm {
        KeyAlgorithm::MlDsa44 => 17,
        KeyAlgorithm::MlDsa65 => 18,
        KeyAlgorithm::MlDsa87 => 19,
        _ => return None,
    };
    let oid = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, arc];
    Some(sequence(&[&tlv(0x06, &oid)]))
}

/// Bytes in a seed (FIPS 204 section 3.6.3).
const SEED: usize = 32;

/// A private key.
#[derive(Clone, Debug)]
pub struct Key {
    algorithm: KeyAlgorithm,
    seed: [u8; SEED],
    algorithm_identifier: Vec<u8>,
    public_key: Vec<u8>,
}

impl Key {
    /// Makes a new one.
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self> {
        let mut seed = [0; SEED];
        rand_bytes(&mut seed)?;
        Self::from_seed(algorithm, seed)
    }

    fn from_seed(algorithm: KeyAlgorithm, seed: [u8; SEED]) -> Result<Self> {
        let public_key = with!(
            algorithm,
            set => set::KG::keygen_from_seed(&seed).0.into_bytes().to_vec(),
            bail!("{} is not one of ML-DSA", algorithm.name())
        );
        let algorithm_identifier =
            identifier(algorithm).context("no identifier for this algorithm")?;
        Ok(Key {
            algorithm,
            seed,
            algorithm_identifier,
            public_key,
        })
    }

    /// Reads what [`Key::to_pem`] has written.
    pub fn read(path: &Path) -> Result<Self> {
        let name = path.display();
        let pem = std::fs::read_to_string(path)
            .with_context(|| format!("{name}: cannot read; run scripts/build/keys"))?;
        let text: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let der = base64::decode_block(&text).with_context(|| format!("{name}: not PEM"))?;
        let parse = || {
            let mut fields = Reader::new(&der).element(0x30)?.reader();
            fields.integer()?;
            let oid = fields.element(0x30)?.reader().oid()?;
            let seed = fields.element(0x04)?.reader().element(0x80)?.content;
            Ok((KeyAlgorithm::from_oid(oid), seed))
        };
        let (algorithm, seed) =
            parse().map_err(|error: modsig::verify::Error| anyhow::anyhow!("{name}: {error}"))?;
        let algorithm = algorithm.with_context(|| format!("{name}: an unknown algorithm"))?;
        Self::from_seed(algorithm, seed.try_into()?).with_context(|| name.to_string())
    }

    /// The key as its seed (RFC 9881 section 6), in PKCS #8.
    pub fn to_pem(&self) -> String {
        let seed = tlv(0x04, &tlv(0x80, &self.seed));
        let der = sequence(&[&tlv(0x02, &[0]), &self.algorithm_identifier, &seed]);
        let text = base64::encode_block(&der);
        // One line of base64 is 64 characters, and these are one byte each.
        let lines: Vec<_> = text
            .as_bytes()
            .chunks(64)
            .map(String::from_utf8_lossy)
            .collect();
        format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            lines.join("\n")
        )
    }

    /// Which one it is.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// Signs, the same way each time (FIPS 204's deterministic variant).
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let signature = with!(
            self.algorithm,
            set => set::KG::keygen_from_seed(&self.seed)
                .1
                .try_sign_with_seed(&[0; SEED], message, &[])
                .map(|signature| signature.to_vec()),
            bail!("not one of ML-DSA")
        );
        signature.map_err(|error| anyhow::anyhow!("ML-DSA: {error}"))
    }

    /// A certificate that the key has signed itself, like the other test keys' (RFC 5280, RFC
    /// 9881).
    pub fn certificate(&self, common_name: &str) -> Result<X509> {
        let common_name = [
            tlv(0x06, &[0x55, 0x04, 0x03]),
            tlv(0x0c, common_name.as_bytes()),
        ];
        let name = sequence(&[&tlv(0x31, &sequence(&[&common_name.concat()]))]);
        let mut serial = [0; 16];
        rand_bytes(&mut serial)?;
        // Positive, and as long as it looks.
        serial[0] = serial[0] & 0x3f | 0x40;
        let validity = sequence(&[&tlv(0x17, b"250101000000Z"), &tlv(0x18, b"21250101000000Z")]);
        let bits = tlv(0x03, &[&[0], &self.public_key[..]].concat());
        let info = sequence(&[&self.algorithm_identifier, &bits]);
        let key_id = sha1(&self.public_key);
        let extension = |arc, critical: &[u8], value: &[u8]| {
            sequence(&[&tlv(0x06, &[0x55, 0x1d, arc]), critical, &tlv(0x04, value)])
        };
        let extensions = sequence(&[
            // basicConstraints: no CA.
            &extension(19, &tlv(0x01, &[0xff]), &sequence(&[])),
            // keyUsage: digitalSignature.
            &extension(15, &[], &tlv(0x03, &[7, 0x80])),
            // subjectKeyIdentifier, authorityKeyIdentifier.
            &extension(14, &[], &tlv(0x04, &key_id)),
            &extension(35, &[], &sequence(&[&tlv(0x80, &key_id)])),
        ]);
        let certificate = sequence(&[
            &tlv(0xa0, &tlv(0x02, &[2])),
            &tlv(0x02, &serial),
            &self.algorithm_identifier,
            &name,
            &validity,
            &name,
            &info,
            &tlv(0xa3, &extensions),
        ]);
        let signature = [&[0], &self.sign(&certificate)?[..]].concat();
        let whole = sequence(&[
            &certificate,
            &self.algorithm_identifier,
            &tlv(0x03, &signature),
        ]);
        X509::from_der(&whole).context("OpenSSL does not read the certificate")
    }
}

/// Whether a key made a signature; `None` for other algorithms.
pub fn verify(
    algorithm: KeyAlgorithm,
    public_key_info: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Option<bool> {
    let mut info = Reader::new(public_key_info).element(0x30).ok()?.reader();
    info.element(0x30).ok()?;
    let octets = info.octets_of_bit_string().ok()?;
    with!(
        algorithm,
        set => {
            let key = octets.try_into().ok().and_then(|key| set::PublicKey::try_from_bytes(key).ok());
            // What has another length is no signature.
            let good = key
                .zip(signature.try_into().ok())
                .is_some_and(|(key, signature)| key.verify(message, &signature, &[]));
            Some(good)
        },
        None
    )
}

/// Makes a key and its certificate for the test kernels, in `DIRECTORY/NAME.{key,cert}.pem`.
pub fn write_pair(directory: &Path, name: &str, algorithm: KeyAlgorithm) -> Result<()> {
    let key = Key::generate(algorithm)?;
    let certificate = key.certificate(&format!("modsig test {name}"))?;
    let path = |kind: &str| directory.join(format!("{name}.{kind}.pem"));
    for (path, content) in [
        (path("key"), key.to_pem().into_bytes()),
        (path("cert"), certificate.to_pem()?),
    ] {
        ensure!(!path.exists(), "{}: it is there already", path.display());
        std::fs::write(&path, content).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use modsig::verify::x509;

    use super::*;

    #[test]
    fn keys_come_back_from_their_files_and_signatures_verify() {
        let work = tempfile::tempdir().unwrap();
        for algorithm in [
            KeyAlgorithm::MlDsa44,
            KeyAlgorithm::MlDsa65,
            KeyAlgorithm::MlDsa87,
        ] {
            let name = algorithm.name();
            write_pair(work.path(), name, algorithm).unwrap();
            let key = Key::read(&work.path().join(format!("{name}.key.pem"))).unwrap();
            let path = work.path().join(format!("{name}.cert.pem"));
            let certificate = X509::from_pem(&std::fs::read(path).unwrap()).unwrap();
            let certificate = certificate.to_der().unwrap();
            let whole = Reader::new(&certificate).any().unwrap();
            let info = x509::parse(&whole, true).unwrap().key.info;
            let mut signature = key.sign(b"message").unwrap();
            let ask = |message, signature: &[u8]| verify(algorithm, info, message, signature);
            assert_eq!(ask(b"message", &signature), Some(true));
            assert_eq!(ask(b"another", &signature), Some(false));
            assert_eq!(ask(b"message", &signature[1..]), Some(false));
            signature[7] ^= 1;
            assert_eq!(ask(b"message", &signature), Some(false));
        }
    }
}
