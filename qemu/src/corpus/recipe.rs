// SPDX-License-Identifier: MIT OR Apache-2.0

//! Makes the file of a case: starts with a module that nobody has signed and follows the recipe's
//! steps.

use std::{fs, io::Write, path::PathBuf, process::Command};

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
    release::{self, Tree},
    signer::{self, Signer},
};
use openssl::{
    asn1::{Asn1Object, Asn1OctetString, Asn1Time},
    bn::BigNum,
    cms::{CMSOptions, CmsContentInfo},
    hash::MessageDigest,
    x509::{
        extension::{AuthorityKeyIdentifier, SubjectKeyIdentifier},
        X509Extension, X509,
    },
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
    /// What is signed is not the content, but this.
    release: Option<InRelease>,
    file: Option<Vec<u8>>,
    /// IMA's signature, which is no part of the file.
    label: Option<Vec<u8>>,
}

/// The release that a module is in.
struct InRelease {
    /// The tree, if it is not too large to be made.
    tree: Option<Tree>,
    /// Its head.
    head: Vec<u8>,
    /// What stands in front of the CMS message.
    proof: Vec<u8>,
}

impl Dish {
    fn message(&mut self) -> &mut Vec<u8> {
        if self.message.is_none() {
            self.put_message(message::signed_data(&self.signers, &self.certificates));
        }
        self.message.get_or_insert_default()
    }

    /// Puts a CMS message where it belongs: behind the proof, if there is one.
    fn put_message(&mut self, cms: Vec<u8>) {
        let proof = self.release.as_ref().map(|release| &release.proof[..]);
        self.message = Some([proof.unwrap_or_default(), &cms].concat());
    }

    /// What signers sign.
    fn signed(&self) -> &[u8] {
        match &self.release {
            Some(release) => &release.head,
            None => &self.content,
        }
    }

    fn release(&mut self) -> Result<&mut InRelease> {
        self.release.as_mut().context("no release yet")
    }

    fn file(&mut self) -> Result<&mut Vec<u8>> {
        if self.file.is_none() {
            let unsigned = self.signers.is_empty() && self.message.is_none();
            let file = if unsigned {
                self.content.clone()
            } else {
                self.message();
                let message = self.message.as_deref().unwrap_or_default();
                let kind = match self.release {
                    _ if self.is_proof => Kind::Merkle,
                    Some(_) => Kind::Release,
                    None => Kind::Pkcs7,
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

    /// A message over `content` by a key, detached.
    pub fn signature(&self, content: &[u8], key: &str) -> Result<Vec<u8>> {
        let signer = self.signer(key, "sha256", SignerIdForm::IssuerAndSerial)?;
        signer.message(content)
    }

    /// A signer's part of a message over `content`.
    pub fn parts(
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
            // Another file in the place of the module, before it is signed.
            ["head", count] => dish.content.truncate(count.parse()?),
            ["zeroes"] => dish.content.fill(0),
            ["byte", at, value] => {
                let place = dish.content.get_mut(at.parse::<usize>()?);
                *place.context("the file is shorter")? = value.parse()?;
            }
            ["replace", from, to] => {
                let content = dish.file.as_mut().unwrap_or(&mut dish.content);
                replace(content, from.as_bytes(), to.as_bytes())?;
            }
            ["without", "symbols"] => without_symbols(&mut dish.content)?,
            ["export", symbol] => dish.content = link(&dish.content, &exporting(symbol))?,
            ["import", symbol, module] => {
                let depends = format!("depends={module}");
                replace(&mut dish.content, AUTHOR, depends.as_bytes())?;
                dish.content = link(&dish.content, &importing(symbol))?;
            }
            ["content", ..] => dish.content = step.as_bytes()["content ".len()..].to_vec(),
            ["built", name] => dish.file = Some(self.built(name)?),
            ["file", name] => dish.file = Some(fs::read(self.keys.join(name))?),

            ["sign", key, hash] => {
                let form = SignerIdForm::IssuerAndSerial;
                let parts = self.parts(dish.signed(), key, hash, form)?;
                dish.signers.push(parts);
            }
            ["sign", key, hash, "keyid"] => {
                let parts = self.parts(dish.signed(), key, hash, SignerIdForm::SubjectKeyId)?;
                dish.signers.push(parts);
            }
            // Signed attributes, with ML-DSA.
            ["sign", key, hash, "attributes"] => {
                let algorithm = digest_by_name(hash)?;
                let digest = message_digest(algorithm).context("not in OpenSSL")?;
                let attributes =
                    message::signed_attributes(&openssl::hash::hash(digest, dish.signed())?);
                let form = SignerIdForm::IssuerAndSerial;
                let parts = self.ml_dsa(dish.signed(), key, hash, form, attributes)?;
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
                let mut parts = self.parts(dish.signed(), key, hash, form)?;
                let certificate = self.certificate(name)?;
                parts.sid = CertificateIds::new(&certificate)?
                    .sid(SignerIdForm::IssuerAndSerial)?
                    .1;
                dish.signers.push(parts);
            }
            // By a certificate that is made for this: of that key, by that issuer, who need not be a CA's.
            // An expired one is in the message.
            ["sign-issued", issuer, key, when, hash] => {
                let certificate = self.issue(issuer, key, key, when == "expired")?;
                let key = keys::private_key(&self.path(key, "key"), None)?;
                let form = SignerIdForm::IssuerAndSerial;
                let signer = Signer::new(key, &certificate, digest_by_name(hash)?, form)?;
                dish.signers.push(signer.parts(dish.signed())?);
                if when == "expired" {
                    dish.certificates.extend(certificate.to_der()?);
                }
            }
            ["sign-file", key, hash] => {
                dish.file = Some(self.sign_file(&dish.content, key, hash)?)
            }
            ["certificate", key] => {
                let certificate = self.certificate(key)?;
                dish.certificates.extend(certificate.to_der()?);
            }
            // So many of this size in bytes, which have nothing to do with the signers.
            ["certificates", count, size] => {
                for number in 0..count.parse()? {
                    let certificate = self.large("ca", number, size.parse()?)?;
                    dish.certificates.extend(certificate);
                }
            }
            // A certificate is the file: that one, or one of that key by that issuer.
            ["certificate", key, "as", "file"] => {
                dish.file = Some(self.certificate(key)?.to_der()?);
            }
            ["issued", issuer, key] => {
                dish.file = Some(self.issue(issuer, key, key, false)?.to_der()?);
            }
            // The same, but of another key: issuer, serial number and name stay.
            ["issued", issuer, key, other] => {
                dish.file = Some(self.issue(issuer, key, other, false)?.to_der()?);
            }
            // The last byte of the last certificate's signature.
            ["flip", "certificates"] => {
                *dish.certificates.last_mut().context("no certificate")? ^= 1;
            }
            ["unknown", "digest"] => {
                dish.last_signer()?.digest = message::algorithm(&[0x2a, 0x03, 0x04], &[]);
            }
            ["call", "it", hash] => {
                let digest = message::digest_algorithm(digest_by_name(hash)?);
                dish.last_signer()?.digest = digest.context("no such digest")?;
            }
            // Known, and built into no test kernel: SM3.
            ["absent", "digest"] => {
                let sm3 = [0x2a, 0x81, 0x1c, 0xcf, 0x55, 0x01, 0x83, 0x11];
                dish.last_signer()?.digest = message::algorithm(&sm3, &[]);
            }
            ["unknown", "key"] => {
                dish.last_signer()?.key = message::algorithm(&[0x2a, 0x03, 0x04], &[]);
            }
            ["openssl", what] => {
                let cms = self.openssl(dish.signed(), what)?;
                dish.put_message(cms);
            }
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

            // The module becomes one of a release of so many, at this position: from here on, the head of
            // its tree is signed.
            ["release", size, position] => {
                dish.release = Some(in_release(&dish.content, size.parse()?, position.parse()?)?);
            }
            // The proof of another module of the release.
            ["other", "place", position] => {
                let release = dish.release()?;
                let tree = release.tree.as_ref().context("too large a tree")?;
                release.proof = tree.proof(position.parse()?)?;
            }
            ["in", "head", at, value] => {
                let place = dish.release()?.head.get_mut(at.parse::<usize>()?);
                *place.context("a head is shorter")? = value.parse()?;
            }
            ["in", "proof", at, value] => {
                let place = dish.release()?.proof.get_mut(at.parse::<usize>()?);
                *place.context("the proof is shorter")? = value.parse()?;
            }
            ["shorter", "proof"] => {
                let proof = &mut dish.release()?.proof;
                let shorter = proof.len().checked_sub(HASH_SIZE).context("it has none")?;
                proof.truncate(shorter);
            }
            ["longer", "proof"] => dish.release()?.proof.extend([0; HASH_SIZE]),
            // Its CMS message, as if the module were signed by itself.
            ["no", "release"] => dish.release = None,
            ["head", "as", "module"] => {
                dish.content = dish.release()?.head.clone();
                dish.release = None;
            }
            // The tree of the kernel's own build, as if it were that of a release: the same hashes.
            ["build", "as", "release"] => {
                let proof = dish.message.take().context("no proof yet")?;
                let (position, siblings) = merkle::parse(&proof).context("no proof")?;
                let size = 1 << (siblings.len() / HASH_SIZE);
                let mut root = leaf(position, &dish.content);
                for (level, sibling) in siblings.chunks(HASH_SIZE).enumerate() {
                    let (left, right) = match position >> level & 1 {
                        0 => (&root[..], sibling),
                        _ => (sibling, &root[..]),
                    };
                    root = openssl::sha::sha256(&[merkle::NODE, left, right].concat());
                }
                dish.is_proof = false;
                dish.release = Some(InRelease {
                    tree: None,
                    head: modsig::verify::release::head(size, &root).to_vec(),
                    proof: [&proof_start(size, position)[..], siblings].concat(),
                });
            }
            // And the reverse.
            ["place", "as", "proof"] => {
                let release = dish.release.take().context("no release yet")?;
                dish.prove(release.proof[5..].to_vec());
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
            ["behind", text] => dish.file()?.extend_from_slice(text.as_bytes()),
            ["gzip", "in", "parts"] => {
                let file = dish.file()?;
                let (first, second) = file.split_at(file.len() / 2);
                let [first, second] =
                    [first, second].map(|part| Compression::Gzip.pack(part, None));
                *file = [first?, second?].concat();
            }
            // By the program, with its options.
            ["pack", program, option] => {
                let packed = pack(program, option, dish.file()?)?;
                dish.file = Some(packed);
            }
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

    /// A certificate in the name of `name` for a key, signed with the issuer's.
    fn issue(&self, issuer: &str, name: &str, key: &str, is_expired: bool) -> Result<X509> {
        let by = self.certificate(issuer)?;
        let by_key = keys::private_key(&self.path(issuer, "key"), None)?;
        let mut new = X509::builder()?;
        new.set_version(2)?;
        let serial =
            BigNum::from_slice(&openssl::sha::sha1(format!("{issuer} {name}").as_bytes()))?;
        new.set_serial_number(&*serial.to_asn1_integer()?)?;
        new.set_issuer_name(by.subject_name())?;
        new.set_subject_name(self.certificate(name)?.subject_name())?;
        let (from, to) = match is_expired {
            true => (1_000_000_000, 1_100_000_000),
            false => (1_700_000_000, 4_000_000_000),
        };
        new.set_not_before(&*Asn1Time::from_unix(from)?)?;
        new.set_not_after(&*Asn1Time::from_unix(to)?)?;
        new.set_pubkey(&*self.certificate(key)?.public_key()?)?;
        let id = SubjectKeyIdentifier::new().build(&new.x509v3_context(Some(&by), None))?;
        new.append_extension(id)?;
        // Without it no kernel looks for who has issued it.
        let by_id = AuthorityKeyIdentifier::new()
            .keyid(true)
            .build(&new.x509v3_context(Some(&by), None));
        new.append_extension(by_id?)?;
        new.sign(&by_key, MessageDigest::sha256())?;
        Ok(new.build())
    }

    /// A certificate of this size, encoded, which no other number has.
    fn large(&self, issuer: &str, number: u32, size: usize) -> Result<Vec<u8>> {
        let by = self.certificate(issuer)?;
        let by_key = keys::private_key(&self.path(issuer, "key"), None)?;
        let mut filling = 0;
        for _ in 0..5 {
            let mut new = X509::builder()?;
            new.set_version(2)?;
            let serial = BigNum::from_u32(0x4d00_0000 | number)?;
            new.set_serial_number(&*serial.to_asn1_integer()?)?;
            new.set_issuer_name(by.subject_name())?;
            new.set_subject_name(by.subject_name())?;
            new.set_not_before(&*Asn1Time::from_unix(1_700_000_000)?)?;
            new.set_not_after(&*Asn1Time::from_unix(4_000_000_000)?)?;
            new.set_pubkey(&*by.public_key()?)?;
            let filler = Asn1OctetString::new_from_bytes(&vec![0; filling])?;
            let kind = Asn1Object::from_str("1.2.3.4")?;
            new.append_extension(X509Extension::new_from_der(&kind, false, &filler)?)?;
            new.sign(&by_key, MessageDigest::sha256())?;
            let new = new.build().to_der()?;
            match size.checked_sub(new.len()) {
                Some(0) => return Ok(new),
                Some(more) => filling += more,
                None => filling -= (new.len() - size).min(filling),
            }
        }
        bail!("there is no certificate of {size} bytes")
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

/// What every proof of a release starts with.
fn proof_start(size: u32, position: u32) -> [u8; 9] {
    let ([s0, s1, s2, s3], [p0, p1, p2, p3]) = (size.to_be_bytes(), position.to_be_bytes());
    [1, s0, s1, s2, s3, p0, p1, p2, p3]
}

/// A module in a release, of which nobody has seen the others. Of a large one, just the way from the module to
/// the root is made.
fn in_release(module: &[u8], size: u32, position: u32) -> Result<InRelease> {
    /// The largest tree that is made as a whole.
    const WHOLE: u32 = 5000;
    ensure!(position < size, "there is no such position");
    if size <= WHOLE {
        // A tree has its leaves in the order of their hashes: so these are next to the module's, below and above.
        let own = release::leaf(module);
        let (start, end) = own.split_at(own.len() - 8);
        let end = u64::from_be_bytes(end.try_into()?);
        let first = end
            .checked_sub(position.into())
            .context("too small a hash")?;
        let leaves = (0..size).map(|at| {
            let end = first.wrapping_add(at.into());
            let mut leaf = [0; HASH_SIZE];
            leaf.copy_from_slice(&[start, &end.to_be_bytes()].concat());
            leaf
        });
        let tree = Tree::new(leaves.collect())?;
        return Ok(InRelease {
            head: tree.head().to_vec(),
            proof: tree.proof(position)?,
            tree: Some(tree),
        });
    }
    // RFC 9162 section 2.1: siblings stand on both sides of the way, and the last node of a level that has
    // none is a node of the next level as well.
    let mut proof = proof_start(size, position).to_vec();
    let mut root = release::leaf(module);
    let (mut own, mut last) = (position, size - 1);
    while last > 0 {
        let sibling = openssl::sha::sha256(&last.to_be_bytes());
        let node = match own % 2 {
            1 => Some([sibling, root]),
            _ if own < last => Some([root, sibling]),
            _ => None,
        };
        if let Some([left, right]) = node {
            proof.extend(sibling);
            root = openssl::sha::sha256(&[&[4], &left[..], &right].concat());
        }
        (own, last) = (own / 2, last / 2);
    }
    Ok(InRelease {
        tree: None,
        head: modsig::verify::release::head(size, &root).to_vec(),
        proof,
    })
}

/// What test modules say first of themselves, and nothing asks for.
const AUTHOR: &[u8] = b"author=";

/// Puts other bytes in place of these, wherever they stand, and zeroes in place of what they are longer by;
/// of the author's name, as many bytes as they take.
fn replace(content: &mut [u8], from: &[u8], to: &[u8]) -> Result<()> {
    let mut new = to.to_vec();
    match from == AUTHOR {
        true => new.push(0),
        false => new.resize(from.len().max(to.len()), 0),
    }
    ensure!(
        from == AUTHOR || to.len() <= from.len(),
        "longer than what it replaces"
    );
    let mut at = 0;
    let mut count = 0;
    while let Some(found) = content[at..]
        .windows(from.len())
        .position(|part| part == from)
    {
        let start = at + found;
        let place = content.get_mut(start..start + new.len());
        place.context("no room")?.copy_from_slice(&new);
        at = start + new.len();
        count += 1;
    }
    ensure!(count > 0, "not in the module");
    Ok(())
}

/// Makes another section of the table of symbols: one of a type that nobody knows.
fn without_symbols(content: &mut [u8]) -> Result<()> {
    const SHT_SYMTAB: u32 = 2;
    let number = |at: usize, size: usize| -> Option<u64> {
        let bytes = content.get(at..at + size)?;
        Some(
            bytes
                .iter()
                .rev()
                .fold(0, |number, byte| number << 8 | u64::from(*byte)),
        )
    };
    let header = number(40, 8).zip(number(60, 2)).context("no ELF file")?;
    let (table, count) = (usize::try_from(header.0)?, usize::try_from(header.1)?);
    let places = (0..count).map(|index| table + 64 * index + 4);
    let mut symbols = places.filter(|at| number(*at, 4) == Some(SHT_SYMTAB.into()));
    let at = symbols.next().context("no symbols")?;
    content[at] = 1;
    Ok(())
}

/// A symbol that other modules may use (include/linux/export-internal.h), as assembly.
fn exporting(symbol: &str) -> String {
    format!(
        ".text\n.globl {symbol}\n.type {symbol}, @function\n{symbol}:\n\tret\n.size {symbol}, .-{symbol}\n\
         .section __ksymtab_strings, \"aMS\", @progbits, 1\n\
         .Lname: .asciz \"{symbol}\"\n.Lspace: .asciz \"\"\n\
         .section __ksymtab, \"a\"\n.balign 4\n\
         __ksymtab_{symbol}:\n.long {symbol} - .\n.long .Lname - .\n.long .Lspace - .\n"
    )
}

/// The use of such a symbol, by nothing that runs.
fn importing(symbol: &str) -> String {
    format!(".data\n.balign 8\n.quad {symbol}\n")
}

/// A module with more in it.
fn link(module: &[u8], assembly: &str) -> Result<Vec<u8>> {
    const MACHINE: std::ops::Range<usize> = 18..20;
    let target = match module.get(MACHINE) {
        Some(b"\xb7\0") => "aarch64-linux-gnu",
        _ => "x86_64-linux-gnu",
    };
    let work = tempfile::tempdir()?;
    let [old, more, object, new] =
        ["old.o", "more.s", "more.o", "new.ko"].map(|name| work.path().join(name));
    fs::write(&old, module)?;
    fs::write(&more, assembly)?;
    run(Command::new("clang-19")
        .arg(format!("--target={target}"))
        .arg("-c")
        .arg("-o")
        .args([&object, &more]))?;
    run(Command::new("ld.lld-19")
        .args(["-r", "-o"])
        .args([&new, &old, &object]))?;
    Ok(fs::read(&new)?)
}

/// What a program makes of a file.
fn pack(program: &str, option: &str, file: &[u8]) -> Result<Vec<u8>> {
    let mut input = tempfile::NamedTempFile::new()?;
    input.write_all(file)?;
    let output = Command::new(program)
        .args([option, "-c"])
        .stdin(fs::File::open(input.path())?)
        .output()
        .with_context(|| program.to_owned())?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program}: {said}");
    Ok(output.stdout)
}
