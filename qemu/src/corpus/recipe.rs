// SPDX-License-Identifier: MIT OR Apache-2.0

//! Makes the file of a case: starts with a module that nobody has signed and follows the recipe's
//! steps.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{bail, ensure, Context, Result};
use modsig::verify::{
    merkle::{self, HASH_SIZE},
    trailer::{self, Kind},
};
use modsig_testing::{ml_dsa, script::run};
use modsig_tools::{
    certificate::{CertificateIds, SignerIdForm},
    compression::Compression,
    digest::{digest_by_name, message_digest},
    hashes::leaf,
    keys,
    message::{self, SignerParts},
    signer::{self, Signer},
};
use openssl::{
    cms::{CMSOptions, CmsContentInfo},
    hash::MessageDigest,
    x509::X509,
};

use super::proofs;

/// Bytes behind a signature: `struct module_signature` and the marker.
const TRAILER: usize = trailer::SIZE + trailer::MARKER.len();

/// Where a recipe takes its ingredients from.
#[derive(Clone, Debug)]
pub struct Pantry {
    /// Test keys (`scripts/build/keys`).
    pub keys: PathBuf,
    /// A kernel that was built (`scripts/build/kernel`).
    pub kernel: PathBuf,
}

/// A file in the making. Steps that need the message or the file make what is missing.
#[derive(Default)]
struct Dish {
    content: Vec<u8>,
    signers: Vec<SignerParts>,
    certificates: Vec<u8>,
    message: Option<Vec<u8>>,
    /// The message is not CMS, but a proof.
    is_proof: bool,
    file: Option<Vec<u8>>,
    /// IMA's signature, which is no part of the file.
    label: Option<Vec<u8>>,
}

impl Dish {
    fn message(&mut self) -> &mut Vec<u8> {
        let (signers, certificates) = (&self.signers, &self.certificates);
        self.message
            .get_or_insert_with(|| message::signed_data(signers, certificates))
    }

    fn file(&mut self) -> Result<&mut Vec<u8>> {
        if self.file.is_none() {
            let unsigned = self.signers.is_empty() && self.message.is_none();
            let file = if unsigned {
                self.content.clone()
            } else {
                self.message();
                let message = self.message.as_deref().unwrap_or_default();
                let kind = if self.is_proof {
                    Kind::Merkle
                } else {
                    Kind::Pkcs7
                };
                let trailer = message::trailer_of(kind, u32::try_from(message.len())?);
                [&self.content, message, &trailer].concat()
            };
            self.file = Some(file);
        }
        self.file.as_mut().context("no file")
    }

    fn prove(&mut self, proof: Vec<u8>) {
        self.message = Some(proof);
        self.is_proof = true;
    }

    fn last_signer(&mut self) -> Result<&mut SignerParts> {
        self.signers.last_mut().context("no signer yet")
    }
}

impl Pantry {
    /// Makes the file.
    pub fn make(&self, recipe: &[String]) -> Result<Vec<u8>> {
        Ok(self.labelled(recipe)?.0)
    }

    /// Makes the file, and IMA's signature of it, if the recipe has one: what is to be its extended
    /// attribute `security.ima`.
    pub fn labelled(&self, recipe: &[String]) -> Result<(Vec<u8>, Option<Vec<u8>>)> {
        let mut dish = Dish {
            content: self.module("test_module")?,
            ..Dish::default()
        };
        for step in recipe {
            self.step(&mut dish, step)
                .with_context(|| format!("step {step:?}"))?;
        }
        Ok((dish.file()?.clone(), dish.label))
    }

    /// A module of the kernel, without the proof that its build may have put on it.
    fn module(&self, name: &str) -> Result<Vec<u8>> {
        Ok(signer::strip(&self.built(name)?).0.to_vec())
    }

    fn built(&self, name: &str) -> Result<Vec<u8>> {
        let path = self.kernel.join("modules").join(format!("{name}.ko"));
        fs::read(&path).with_context(|| path.display().to_string())
    }

    fn path(&self, name: &str, kind: &str) -> PathBuf {
        self.keys.join(format!("{name}.{kind}.pem"))
    }

    /// A certificate of the test keys.
    pub fn certificate(&self, name: &str) -> Result<X509> {
        keys::certificate(&self.path(name, "cert"))
    }

    fn signer(&self, key: &str, hash: &str, form: SignerIdForm) -> Result<Signer> {
        let certificate = self.certificate(key)?;
        let key = keys::private_key(&self.path(key, "key"), None)?;
        Signer::new(key, &certificate, digest_by_name(hash)?, form)
    }

    /// A signer's part of a message over `content`.
    fn parts(
        &self,
        content: &[u8],
        key: &str,
        hash: &str,
        form: SignerIdForm,
    ) -> Result<SignerParts> {
        if key.starts_with("mldsa") {
            self.ml_dsa(content, key, hash, form, vec![])
        } else {
            self.signer(key, hash, form)?.parts(content)
        }
    }

    /// A signer's part of a message, by ML-DSA: over `content`, or over attributes if there are some.
    fn ml_dsa(
        &self,
        content: &[u8],
        key: &str,
        hash: &str,
        form: SignerIdForm,
        attributes: Vec<u8>,
    ) -> Result<SignerParts> {
        let certificate = self.certificate(key)?;
        let (version, sid) = CertificateIds::new(&certificate)?.sid(form)?;
        let key = ml_dsa::Key::read(&self.path(key, "key"))?;
        let signature = match &attributes[..] {
            [] => key.sign(content)?,
            some => key.sign(&message::tlv(0x31, some))?,
        };
        Ok(SignerParts {
            version,
            sid,
            digest: message::digest_algorithm(digest_by_name(hash)?).context("no such digest")?,
            attributes,
            key: message::ml_dsa_algorithm(key.algorithm()).context("not ML-DSA")?,
            signature,
        })
    }

    fn step(&self, dish: &mut Dish, step: &str) -> Result<()> {
        let words: Vec<&str> = step.split(' ').collect();
        match words[..] {
            ["module", name] => dish.content = self.module(name)?,
            ["content", ..] => dish.content = step.as_bytes()["content ".len()..].to_vec(),
            ["built", name] => dish.file = Some(self.built(name)?),
            ["file", name] => dish.file = Some(fs::read(self.keys.join(name))?),

            ["sign", key, hash] => {
                let form = SignerIdForm::IssuerAndSerial;
                let parts = self.parts(&dish.content, key, hash, form)?;
                dish.signers.push(parts);
            }
            ["sign", key, hash, "keyid"] => {
                let parts = self.parts(&dish.content, key, hash, SignerIdForm::SubjectKeyId)?;
                dish.signers.push(parts);
            }
            // Signed attributes, with ML-DSA.
            ["sign", key, hash, "attributes"] => {
                let algorithm = digest_by_name(hash)?;
                let digest = message_digest(algorithm).context("not in OpenSSL")?;
                let attributes =
                    message::signed_attributes(&openssl::hash::hash(digest, &dish.content)?);
                let form = SignerIdForm::IssuerAndSerial;
                let parts = self.ml_dsa(&dish.content, key, hash, form, attributes)?;
                dish.signers.push(parts);
            }
            // The last byte of the digest among the attributes.
            ["flip", "attributes"] => {
                let attributes = &mut dish.last_signer()?.attributes;
                *attributes.last_mut().context("no attributes")? ^= 1;
            }
            // One more than was signed, of a kind that nobody knows.
            ["add", "attribute"] => {
                let kind = message::tlv(0x06, &[0x2a, 0x03, 0x04]);
                let values = message::tlv(0x31, &message::tlv(0x05, &[]));
                let attribute = message::sequence(&[&kind, &values]);
                dish.last_signer()?.attributes.extend(attribute);
            }
            // Says that it is from one, and is from another.
            ["sign-as", name, key, hash] => {
                let form = SignerIdForm::IssuerAndSerial;
                let mut parts = self.parts(&dish.content, key, hash, form)?;
                let certificate = self.certificate(name)?;
                parts.sid = CertificateIds::new(&certificate)?
                    .sid(SignerIdForm::IssuerAndSerial)?
                    .1;
                dish.signers.push(parts);
            }
            ["sign-file", key, hash] => {
                dish.file = Some(self.sign_file(&dish.content, key, hash)?)
            }
            ["certificate", key] => {
                let certificate = self.certificate(key)?;
                dish.certificates.extend(certificate.to_der()?);
            }
            // The last byte of the last certificate's signature.
            ["flip", "certificates"] => {
                *dish.certificates.last_mut().context("no certificate")? ^= 1;
            }
            ["unknown", "digest"] => {
                dish.last_signer()?.digest = message::algorithm(&[0x2a, 0x03, 0x04], &[]);
            }
            // Known, and built into no test kernel: SM3.
            ["absent", "digest"] => {
                let sm3 = [0x2a, 0x81, 0x1c, 0xcf, 0x55, 0x01, 0x83, 0x11];
                dish.last_signer()?.digest = message::algorithm(&sm3, &[]);
            }
            ["unknown", "key"] => {
                dish.last_signer()?.key = message::algorithm(&[0x2a, 0x03, 0x04], &[]);
            }
            ["openssl", what] => dish.message = Some(self.openssl(&dish.content, what)?),
            ["message", length] => dish.message = Some(vec![0x30; length.parse()?]),

            ["proof", name] => dish.prove(proofs::proof(&self.kernel, name, false)?),
            ["proof", name, "stripped"] => dish.prove(proofs::proof(&self.kernel, name, true)?),
            ["flip", "position", bit] => {
                let bit: usize = bit.parse()?;
                dish.message()[3 - bit / 8] ^= 1 << (bit % 8);
            }
            // Passes off the node above the module, which is the digest of its two children.
            ["inner", "node"] => {
                let proof = dish.message.take().context("no proof yet")?;
                let (position, siblings) = merkle::parse(&proof).context("no proof")?;
                let (sibling, above) = siblings.split_at(HASH_SIZE);
                let own = leaf(position, &dish.content);
                dish.content = match position & 1 {
                    0 => [&own, sibling].concat(),
                    _ => [sibling, &own].concat(),
                };
                dish.message = Some([&(position >> 1).to_be_bytes(), above].concat());
            }

            ["append", count] => {
                let count: usize = count.parse()?;
                dish.message().extend(std::iter::repeat_n(0, count));
            }
            ["cut", count] => {
                let count: usize = count.parse()?;
                let message = dish.message();
                message.truncate(message.len() - count);
            }
            ["indefinite"] => {
                let message = dish.message();
                // The outermost header has a tag, 0x82 and two bytes of length.
                ensure!(message[..2] == [0x30, 0x82], "other header than expected");
                message.splice(1..4, [0x80]);
                message.extend([0, 0]);
            }

            ["flip", "content"] => {
                let middle = dish.content.len() / 2;
                dish.file()?[middle] ^= 1;
            }
            ["flip", "signature"] => {
                let file = dish.file()?;
                let last = file.len() - 41;
                file[last] ^= 1;
            }
            ["truncate", count] => {
                let count: usize = count.parse()?;
                let file = dish.file()?;
                file.truncate(file.len() - count);
            }
            ["keep", count] => {
                let count: usize = count.parse()?;
                let file = dish.file()?;
                file.drain(..file.len() - count);
            }
            ["trailer", offset, value] => {
                let (offset, value): (usize, u8) = (offset.parse()?, value.parse()?);
                let file = dish.file()?;
                let start = file.len() - TRAILER;
                file[start + offset] = value;
            }
            ["length", length] => {
                let file = dish.file()?;
                let all = u32::try_from(file.len() - TRAILER)?;
                let length = match length {
                    "all" => all,
                    "max" => u32::MAX,
                    number => number.parse()?,
                };
                let start = file.len() - 32;
                file[start..start + 4].copy_from_slice(&length.to_be_bytes());
            }
            ["marker"] => dish.file()?.extend_from_slice(trailer::MARKER),
            ["again", key, hash] => {
                let signer = self.signer(key, hash, SignerIdForm::IssuerAndSerial)?;
                let file = dish.file()?;
                *file = signer::append(file, &signer.message(file)?)?;
            }
            ["strip"] => dish.file = Some(proofs::strip(dish.file()?)?),
            ["unsign"] => dish.file = Some(signer::strip(dish.file()?).0.to_vec()),
            ["appraise", key] => dish.label = Some(self.label(dish.file()?, key)?),
            ["gzip"] => dish.file = Some(Compression::Gzip.pack(dish.file()?, None)?),
            // What there is becomes the content of another file.
            ["wrap"] => {
                *dish = Dish {
                    content: dish.file()?.clone(),
                    ..Dish::default()
                }
            }
            _ => bail!("no such step"),
        }
        Ok(())
    }

    /// A signature for IMA (`struct signature_v2_hdr` of security/integrity/integrity.h).
    fn label(&self, file: &[u8], key: &str) -> Result<Vec<u8>> {
        /// `EVM_IMA_XATTR_DIGSIG`, version 2, `HASH_ALGO_SHA256`.
        const KIND: [u8; 3] = [3, 2, 4];
        let certificate = self.certificate(key)?;
        let key_id = certificate.subject_key_id().context("no key identifier")?;
        let key_id = key_id.as_slice().last_chunk::<4>();
        let key = keys::private_key(&self.path(key, "key"), None)?;
        let mut signer = openssl::sign::Signer::new(MessageDigest::sha256(), &key)?;
        let signature = signer.sign_oneshot_to_vec(file)?;
        let size = u16::try_from(signature.len())?.to_be_bytes();
        let key_id = key_id.context("a short key identifier")?;
        Ok([&KIND, &key_id[..], &size, &signature].concat())
    }

    /// Signs with the kernel tree's own tool.
    fn sign_file(&self, content: &[u8], key: &str, hash: &str) -> Result<Vec<u8>> {
        let work = tempfile::tempdir()?;
        let path = work.path().join("module.ko");
        fs::write(&path, content)?;
        run(Command::new(self.kernel.join("sign-file"))
            .arg(hash)
            .arg(self.path(key, "key"))
            .arg(self.path(key, "cert"))
            .arg(&path))?;
        Ok(fs::read(&path)?)
    }

    /// A message that only OpenSSL's own CMS makes: with what a module's signature may not have.
    fn openssl(&self, content: &[u8], what: &str) -> Result<Vec<u8>> {
        let more = match what {
            "embedded" => CMSOptions::NOATTR,
            "attributes" => CMSOptions::DETACHED,
            _ => bail!("no such message"),
        };
        let certificate = self.certificate("rsa2048")?;
        let key = keys::private_key(&self.path("rsa2048", "key"), None)?;
        let cms = CmsContentInfo::sign(
            Some(&certificate),
            Some(&key),
            None,
            Some(content),
            CMSOptions::BINARY | CMSOptions::CMS_NOCERTS | more,
        )?;
        Ok(cms.to_der()?)
    }
}
