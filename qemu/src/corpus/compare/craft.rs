// SPDX-License-Identifier: MIT OR Apache-2.0

//! Makes messages and certificates in which every field can be what one likes, and signs them.

use std::path::Path;

use anyhow::{Context, Result};
use modsig::verify::DigestAlgorithm;
use modsig_tools::{
    certificate::{CertificateIds, SignerIdForm},
    digest::message_digest,
    keys,
    message::{self, algorithm, sequence, tlv, SignerParts},
};
use openssl::{
    bn::{BigNum, BigNumContext},
    ec::{EcGroup, EcKey, EcPoint},
    ecdsa::EcdsaSig,
    nid::Nid,
    pkey::{HasPublic, Id, PKey, Private},
    sign::Signer,
};

/// Content bytes of object identifiers.
pub mod oid {
    /// data
    pub const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
    /// signedData
    pub const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
    /// Authenticode's content
    pub const MS_INDIRECT_DATA: &[u8] =
        &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x01, 0x04];
    /// commonName
    pub const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
    /// subjectKeyIdentifier
    pub const SUBJECT_KEY_ID: &[u8] = &[0x55, 0x1d, 0x0e];
    /// keyUsage
    pub const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
    /// basicConstraints
    pub const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
    /// authorityKeyIdentifier
    pub const AUTHORITY_KEY_ID: &[u8] = &[0x55, 0x1d, 0x23];
    /// contentType
    pub const CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x03];
    /// messageDigest
    pub const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04];
    /// signingTime
    pub const SIGNING_TIME: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x05];
    /// Nobody's
    pub const UNKNOWN: &[u8] = &[0x2a, 0x03, 0x04];
}

/// A Name with one common name.
pub fn name(common_name: &str) -> Vec<u8> {
    let value = tlv(0x0c, common_name.as_bytes());
    sequence(&[&tlv(
        0x31,
        &sequence(&[&tlv(0x06, oid::COMMON_NAME), &value]),
    )])
}

/// An Extension.
pub fn extension(oid: &[u8], value: &[u8]) -> Vec<u8> {
    sequence(&[&tlv(0x06, oid), &tlv(0x04, value)])
}

/// An AuthorityKeyIdentifier with these parts: a key identifier; the content of an issuer's Name
/// with a serial number.
pub fn authority(key_id: Option<&[u8]>, issuer_serial: Option<(&[u8], &[u8])>) -> Vec<u8> {
    let key_id = key_id.map_or(vec![], |id| tlv(0x80, id));
    let issuer_serial = issuer_serial.map_or(vec![], |(issuer, serial)| {
        let name = tlv(0x30, issuer);
        [tlv(0xa1, &tlv(0xa4, &name)), tlv(0x82, serial)].concat()
    });
    extension(oid::AUTHORITY_KEY_ID, &sequence(&[&key_id, &issuer_serial]))
}

/// The AlgorithmIdentifier that signs a certificate with this key.
pub fn certificate_algorithm<T: HasPublic>(key: &PKey<T>, digest: DigestAlgorithm) -> Vec<u8> {
    let rsa = |arc| {
        let oid = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, arc];
        algorithm(&oid, &[5, 0])
    };
    let rsa_sha3 = |arc| {
        let oid = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, arc];
        algorithm(&oid, &[5, 0])
    };
    use DigestAlgorithm::*;
    match (key.id(), digest) {
        (Id::EC, _) => message::ecdsa_algorithm(digest).unwrap_or_default(),
        (_, Sha1) => rsa(5),
        (_, Sha224) => rsa(14),
        (_, Sha384) => rsa(12),
        (_, Sha512) => rsa(13),
        (_, Sha3_256) => rsa_sha3(14),
        (_, Sha3_384) => rsa_sha3(15),
        (_, Sha3_512) => rsa_sha3(16),
        _ => rsa(11),
    }
}

/// Signs bytes.
pub fn sign(key: &PKey<Private>, digest: DigestAlgorithm, octets: &[u8]) -> Result<Vec<u8>> {
    let digest =
        message_digest(digest).with_context(|| format!("this OpenSSL has no {}", digest.name()))?;
    Ok(Signer::new(digest, key)?.sign_oneshot_to_vec(octets)?)
}

/// A new P-256 key, of which no kernel has heard.
pub fn new_key() -> Result<PKey<Private>> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    Ok(PKey::from_ec_key(EcKey::generate(&group)?)?)
}

/// An ECDSA signature that is good for the digest value 0, by a key of which one has the public
/// half only: with R = kQ, r = R.x and s = r/k, the verifier computes 0/s G + r/s Q = kQ.
pub fn forge_for_zero<T: HasPublic>(key: &PKey<T>) -> Result<Vec<u8>> {
    let key = key.ec_key()?;
    let (group, mut context) = (key.group(), BigNumContext::new()?);
    let (mut order, mut x, mut y) = (BigNum::new()?, BigNum::new()?, BigNum::new()?);
    group.order(&mut order, &mut context)?;
    let k = BigNum::from_u32(0x0001_2345)?;
    let mut point = EcPoint::new(group)?;
    point.mul2(group, key.public_key(), &k, &mut context)?;
    point.affine_coordinates(group, &mut x, &mut y, &mut context)?;
    let (mut r, mut inverse, mut s) = (BigNum::new()?, BigNum::new()?, BigNum::new()?);
    r.nnmod(&x, &order, &mut context)?;
    inverse.mod_inverse(&k, &order, &mut context)?;
    s.mod_mul(&r, &inverse, &order, &mut context)?;
    Ok(EcdsaSig::from_private_components(r, s)?.to_der()?)
}

/// Somebody who signs: a key, and the certificate that says whose it is.
#[derive(Clone)]
pub struct Identity {
    /// The key.
    pub key: PKey<Private>,
    /// Content bytes of the certificate's serial number.
    pub serial: Vec<u8>,
    /// Content bytes of the Name of whoever has issued the certificate.
    pub issuer: Vec<u8>,
    /// Content bytes of the SubjectKeyIdentifier.
    pub key_id: Vec<u8>,
    /// The certificate.
    pub certificate: Vec<u8>,
}

impl Identity {
    /// One of the test keys.
    pub fn load(keys: &Path, name: &str) -> Result<Self> {
        let path = |kind| keys.join(format!("{name}.{kind}.pem"));
        let certificate = keys::certificate(&path("cert"))?;
        let ids = CertificateIds::new(&certificate)?;
        Ok(Identity {
            key: keys::private_key(&path("key"), None)?,
            serial: ids.serial,
            issuer: ids.issuer,
            key_id: ids.subject_key_id.context("no SubjectKeyIdentifier")?,
            certificate: certificate.to_der()?,
        })
    }

    /// Its SignerIdentifier, and the version that goes with it.
    pub fn sid(&self, form: SignerIdForm) -> (u8, Vec<u8>) {
        match form {
            SignerIdForm::IssuerAndSerial => {
                let parts = [tlv(0x30, &self.issuer), tlv(0x02, &self.serial)];
                (1, sequence(&[&parts.concat()]))
            }
            SignerIdForm::SubjectKeyId => (3, tlv(0x80, &self.key_id)),
        }
    }

    /// Its part of a message over `content`, with the signature already made.
    pub fn parts_with(
        &self,
        form: SignerIdForm,
        digest: DigestAlgorithm,
        signature: Vec<u8>,
    ) -> Result<SignerParts> {
        let (version, sid) = self.sid(form);
        let key = match self.key.id() {
            Id::RSA => Some(message::rsa_algorithm()),
            _ => message::ecdsa_algorithm(digest),
        };
        Ok(SignerParts {
            version,
            sid,
            digest: message::digest_algorithm(digest).context("no such digest")?,
            attributes: vec![],
            key: key.context("no such algorithm")?,
            signature,
        })
    }

    /// Its part of a message over `content`.
    pub fn parts(
        &self,
        form: SignerIdForm,
        digest: DigestAlgorithm,
        content: &[u8],
    ) -> Result<SignerParts> {
        self.parts_with(form, digest, sign(&self.key, digest, content)?)
    }

    /// Its part of a message over `content`, with SHA-256 and named as `sign-file` does.
    pub fn signs(&self, content: &[u8]) -> Result<SignerParts> {
        self.parts(
            SignerIdForm::IssuerAndSerial,
            DigestAlgorithm::Sha256,
            content,
        )
    }
}

/// A certificate in the making. All fields but the signature are encoded.
#[derive(Clone)]
pub struct Template {
    /// The key that it is for.
    pub key: PKey<Private>,
    /// Content bytes of the SubjectKeyIdentifier in its extensions.
    pub key_id: Vec<u8>,
    /// Version, or nothing.
    pub version: Vec<u8>,
    /// Content bytes of the serial number.
    pub serial: Vec<u8>,
    /// AlgorithmIdentifier inside; `None`: that of the key which signs.
    pub inner: Option<Vec<u8>>,
    /// AlgorithmIdentifier in front of the signature; `None`: the same.
    pub outer: Option<Vec<u8>>,
    /// Name of the issuer.
    pub issuer: Vec<u8>,
    /// From when on it is good.
    pub not_before: Vec<u8>,
    /// Until when.
    pub not_after: Vec<u8>,
    /// Name of the subject.
    pub subject: Vec<u8>,
    /// SubjectPublicKeyInfo.
    pub public_key: Vec<u8>,
    /// What stands between the key and the extensions.
    pub unique_ids: Vec<u8>,
    /// Extensions; an empty list is left out.
    pub extensions: Vec<Vec<u8>>,
    /// How many bits of the signature's BIT STRING are said to be unused.
    pub unused_bits: u8,
}

impl Template {
    /// A certificate like those of the test keys, for a new key, from an issuer of whom nobody has
    /// heard and who is not its own.
    pub fn new(subject: &str) -> Result<Self> {
        Self::for_key(subject, new_key()?)
    }

    /// The same for a key that is there.
    pub fn for_key(subject: &str, key: PKey<Private>) -> Result<Self> {
        let hash = openssl::sha::sha1(subject.as_bytes());
        Ok(Template {
            key_id: hash.to_vec(),
            version: tlv(0xa0, &tlv(2, &[2])),
            serial: [&[0x42][..], &hash[..7]].concat(),
            inner: None,
            outer: None,
            issuer: name("modsig test nobody"),
            not_before: tlv(0x17, b"240101000000Z"),
            not_after: tlv(0x17, b"490101000000Z"),
            subject: name(&format!("modsig test {subject}")),
            public_key: key.public_key_to_der()?,
            unique_ids: vec![],
            extensions: vec![
                extension(oid::BASIC_CONSTRAINTS, &sequence(&[])),
                extension(oid::KEY_USAGE, &[3, 2, 7, 0x80]),
                extension(oid::SUBJECT_KEY_ID, &tlv(4, &hash)),
            ],
            unused_bits: 0,
            key,
        })
    }

    /// With this extension as well.
    pub fn extended(mut self, extension: Vec<u8>) -> Self {
        self.extensions.push(extension);
        self
    }

    /// With the key identifier of this authority.
    pub fn below(self, authority_identity: &Identity) -> Self {
        self.extended(authority(Some(&authority_identity.key_id), None))
    }

    /// Signs it.
    pub fn issued_by(&self, key: &PKey<Private>) -> Result<Identity> {
        self.issued_with(key, DigestAlgorithm::Sha256)
    }

    /// Signs it with this digest.
    pub fn issued_with(&self, key: &PKey<Private>, digest: DigestAlgorithm) -> Result<Identity> {
        let mut template = self.clone();
        template
            .inner
            .get_or_insert_with(|| certificate_algorithm(key, digest));
        let signature = sign(key, digest, &template.to_be_signed())?;
        Ok(template.with_signature(&signature))
    }

    fn to_be_signed(&self) -> Vec<u8> {
        let extensions = match &self.extensions[..] {
            [] => vec![],
            some => tlv(0xa3, &tlv(0x30, &some.concat())),
        };
        sequence(&[
            &self.version,
            &tlv(2, &self.serial),
            self.inner.as_deref().unwrap_or_default(),
            &self.issuer,
            &sequence(&[&self.not_before, &self.not_after]),
            &self.subject,
            &self.public_key,
            &self.unique_ids,
            &extensions,
        ])
    }

    /// Puts this signature on it, for which the algorithm inside has to be set.
    pub fn with_signature(&self, signature: &[u8]) -> Identity {
        let outer = self.outer.as_ref().or(self.inner.as_ref());
        let bits = [&[self.unused_bits][..], signature].concat();
        self.with_bits(outer.map_or(&[], |outer| outer), &tlv(0x03, &bits))
    }

    /// Ends it with this algorithm and this BIT STRING.
    pub fn with_bits(&self, outer: &[u8], bits: &[u8]) -> Identity {
        Identity {
            key: self.key.clone(),
            serial: self.serial.clone(),
            // A Name's header here has two bytes.
            issuer: self.issuer.get(2..).unwrap_or_default().to_vec(),
            key_id: self.key_id.clone(),
            certificate: sequence(&[&self.to_be_signed(), outer, bits]),
        }
    }
}

/// A SignerInfo with attributes: signed ones behind the digest algorithm, others at the end.
pub fn signer_info(parts: &SignerParts, signed: &[u8], unsigned: &[u8]) -> Vec<u8> {
    sequence(&[
        &tlv(2, &[parts.version]),
        &parts.sid,
        &parts.digest,
        signed,
        &parts.key,
        &tlv(4, &parts.signature),
        unsigned,
    ])
}

/// A message in the making, with everything in the order given.
#[derive(Clone)]
pub struct Message {
    /// Version, encoded.
    pub version: Vec<u8>,
    /// Digest algorithms, encoded.
    pub digests: Vec<u8>,
    /// EncapsulatedContentInfo.
    pub content_info: Vec<u8>,
    /// Certificates, encoded, one after the other; nothing: no field for them.
    pub certificates: Vec<u8>,
    /// Fields between the certificates and the signers.
    pub more: Vec<u8>,
    /// SignerInfos, encoded, one after the other.
    pub signers: Vec<u8>,
}

impl Message {
    /// A message by these signers, in this order.
    pub fn new(signers: &[SignerParts]) -> Self {
        let infos: Vec<_> = signers.iter().map(|s| signer_info(s, &[], &[])).collect();
        let mut digests: Vec<_> = signers.iter().map(|s| s.digest.clone()).collect();
        digests.dedup();
        Message {
            version: tlv(2, &[signers.first().map_or(1, |signer| signer.version)]),
            digests: tlv(0x31, &digests.concat()),
            content_info: sequence(&[&tlv(0x06, oid::DATA)]),
            certificates: vec![],
            more: vec![],
            signers: infos.concat(),
        }
    }

    /// With the certificates of these, in this order.
    pub fn with(mut self, identities: &[&Identity]) -> Self {
        for identity in identities {
            self.certificates.extend(&identity.certificate);
        }
        self
    }

    /// Writes it.
    pub fn encode(&self) -> Vec<u8> {
        let certificates = match &self.certificates[..] {
            [] => vec![],
            some => tlv(0xa0, some),
        };
        let signed_data = sequence(&[
            &self.version,
            &self.digests,
            &self.content_info,
            &certificates,
            &self.more,
            &tlv(0x31, &self.signers),
        ]);
        sequence(&[&tlv(0x06, oid::SIGNED_DATA), &tlv(0xa0, &signed_data)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openssl::x509::X509;

    #[test]
    fn crafted_certificates_are_certificates() {
        let (template, key) = (Template::new("x").unwrap(), new_key().unwrap());
        let identity = template.issued_by(&key).unwrap();
        let certificate = X509::from_der(&identity.certificate).unwrap();
        assert!(certificate.verify(&key).unwrap());
        let ids = CertificateIds::new(&certificate).unwrap();
        assert_eq!(
            (ids.serial, ids.issuer),
            (identity.serial.clone(), identity.issuer.clone())
        );
        assert_eq!(ids.subject_key_id, Some(identity.key_id));
    }

    #[test]
    fn the_forged_signature_is_good_for_a_digest_of_zero() {
        let key = new_key().unwrap();
        let signature = EcdsaSig::from_der(&forge_for_zero(&key).unwrap()).unwrap();
        let key = key.ec_key().unwrap();
        assert!(signature.verify(&[0; 32], &key).unwrap());
        assert!(!signature.verify(&[1; 32], &key).unwrap());
    }

    #[test]
    fn messages_are_those_of_the_host_tool() {
        let identity = Template::new("x").unwrap().issued_by(&new_key().unwrap());
        let parts = identity.unwrap().signs(b"content").unwrap();
        let theirs = message::signed_data(std::slice::from_ref(&parts), &[0x30, 0]);
        let mut ours = Message::new(&[parts]);
        ours.certificates = vec![0x30, 0];
        assert_eq!(ours.encode(), theirs);
    }
}
