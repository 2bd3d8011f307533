// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Makes modules, and worlds in which some of them are good.
//!
//! Everything that C reads is made here, in the forms that it may have and in some that it may not,
//! with lengths around those at which an encoding changes. Certificates are changed before they are
//! signed, so that what is wrong with them is not hidden behind a bad signature.

use std::path::Path;

use modsig::verify::{cms, x509, CertificateHash, PublicKeyAlgorithm};

use crate::{
    der::{self, Form, Node},
    files, mutate, read,
    rng::Rng,
    world::{self, Case, Key, Rule, World, KEYS, RINGS, SERIES},
};

/// Object identifiers, as content bytes.
pub mod oid {
    /// What C or this verifier knows, by its use, and some that neither does.
    pub const SIGNED_DATA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";
    pub(super) const DATA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
    pub(super) const INDIRECT: &[u8] = b"\x2b\x06\x01\x04\x01\x82\x37\x02\x01\x04";
    pub(super) const NAMES: [&[u8]; 4] = [
        b"\x55\x04\x03",
        b"\x55\x04\x0a",
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01",
        b"\x55\x04\x0b",
    ];
    pub(super) const EXTENSIONS: [&[u8]; 6] = [
        b"\x55\x1d\x0e",
        b"\x55\x1d\x0f",
        b"\x55\x1d\x13",
        b"\x55\x1d\x23",
        b"\x55\x1d\x25",
        b"\x2b\x06\x01\x05\x05\x07\x01\x01",
    ];
    pub(super) const ATTRIBUTES: [&[u8]; 7] = [
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03",
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04",
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x05",
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0f",
        b"\x2b\x06\x01\x04\x01\x82\x37\x02\x01\x0b",
        b"\x2b\x06\x01\x04\x01\x82\x37\x02\x01\x0c",
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x34",
    ];
    pub(super) const RSA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
    pub(super) const EC: &[u8] = b"\x2a\x86\x48\xce\x3d\x02\x01";
    pub(super) const CURVES: [&[u8]; 4] = [
        b"\x2a\x86\x48\xce\x3d\x03\x01\x01",
        b"\x2a\x86\x48\xce\x3d\x03\x01\x07",
        b"\x2b\x81\x04\x00\x22",
        b"\x2b\x81\x04\x00\x23",
    ];
    pub(super) const GOST: [&[u8]; 2] = [
        b"\x2a\x85\x03\x07\x01\x01\x01\x01",
        b"\x2a\x85\x03\x07\x01\x01\x01\x02",
    ];
    pub(super) const MLDSA: [&[u8]; 3] = [
        b"\x60\x86\x48\x01\x65\x03\x04\x03\x11",
        b"\x60\x86\x48\x01\x65\x03\x04\x03\x12",
        b"\x60\x86\x48\x01\x65\x03\x04\x03\x13",
    ];
    /// Of digests: name, identifier.
    pub(super) const DIGESTS: [(&str, &[u8]); 11] = [
        ("sha1", b"\x2b\x0e\x03\x02\x1a"),
        ("sha224", b"\x60\x86\x48\x01\x65\x03\x04\x02\x04"),
        ("sha256", b"\x60\x86\x48\x01\x65\x03\x04\x02\x01"),
        ("sha384", b"\x60\x86\x48\x01\x65\x03\x04\x02\x02"),
        ("sha512", b"\x60\x86\x48\x01\x65\x03\x04\x02\x03"),
        ("sha3-256", b"\x60\x86\x48\x01\x65\x03\x04\x02\x08"),
        ("sha3-384", b"\x60\x86\x48\x01\x65\x03\x04\x02\x09"),
        ("sha3-512", b"\x60\x86\x48\x01\x65\x03\x04\x02\x0a"),
        ("sm3", b"\x2a\x81\x1c\xcf\x55\x01\x83\x11"),
        ("streebog256", b"\x2a\x85\x03\x07\x01\x01\x02\x02"),
        ("streebog512", b"\x2a\x85\x03\x07\x01\x01\x02\x03"),
    ];
    /// Of signatures by RSA over a digest.
    pub(super) const RSA_WITH: [(&str, &[u8]); 8] = [
        ("sha1", b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05"),
        ("sha224", b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0e"),
        ("sha256", b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"),
        ("sha384", b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c"),
        ("sha512", b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d"),
        ("sha3-256", b"\x60\x86\x48\x01\x65\x03\x04\x03\x0e"),
        ("sha3-384", b"\x60\x86\x48\x01\x65\x03\x04\x03\x0f"),
        ("sha3-512", b"\x60\x86\x48\x01\x65\x03\x04\x03\x10"),
    ];
    /// Of signatures by ECDSA over a digest.
    pub(super) const EC_WITH: [(&str, &[u8]); 8] = [
        ("sha1", b"\x2a\x86\x48\xce\x3d\x04\x01"),
        ("sha224", b"\x2a\x86\x48\xce\x3d\x04\x03\x01"),
        ("sha256", b"\x2a\x86\x48\xce\x3d\x04\x03\x02"),
        ("sha384", b"\x2a\x86\x48\xce\x3d\x04\x03\x03"),
        ("sha512", b"\x2a\x86\x48\xce\x3d\x04\x03\x04"),
        ("sha3-256", b"\x60\x86\x48\x01\x65\x03\x04\x03\x0a"),
        ("sha3-384", b"\x60\x86\x48\x01\x65\x03\x04\x03\x0b"),
        ("sha3-512", b"\x60\x86\x48\x01\x65\x03\x04\x03\x0c"),
    ];
    /// Of signatures by EC-RDSA over a digest.
    pub(super) const GOST_WITH: [(&str, &[u8]); 2] = [
        ("streebog256", b"\x2a\x85\x03\x07\x01\x01\x03\x02"),
        ("streebog512", b"\x2a\x85\x03\x07\x01\x01\x03\x03"),
    ];
    /// Of nothing.
    pub(super) const UNKNOWN: [&[u8]; 3] = [
        b"\x2a\x03\x04",
        b"\x60\x86\x48\x01\x65\x03\x04\x02\x05",
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a",
    ];

    /// One of all of them.
    pub fn any(rng: &mut super::Rng) -> &'static [u8] {
        let list: &[&[u8]] = match rng.below(14) {
            0 => &[SIGNED_DATA],
            1 => &[DATA, INDIRECT, RSA, EC],
            2 => &NAMES,
            3 | 4 => &EXTENSIONS,
            5 | 6 => &ATTRIBUTES,
            7 => &CURVES,
            8 => &MLDSA,
            9 => return rng.pick(&DIGESTS).1,
            10 => return rng.pick(&RSA_WITH).1,
            11 => return rng.pick(&EC_WITH).1,
            12 => return rng.pick(&GOST_WITH).1,
            _ => &UNKNOWN,
        };
        list[rng.below(list.len())]
    }
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const NULL: u8 = 0x05;
const OID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;

/// Lengths at which something changes: in DER, in what C reads as single bytes, in our limits.
pub const LENGTHS: [usize; 30] = [
    0, 1, 2, 3, 4, 5, 8, 20, 64, 126, 127, 128, 129, 130, 131, 200, 254, 255, 256, 257, 300, 1023,
    1279, 2046, 2047, 2048, 2049, 4095, 4096, 4097,
];

/// Such a length, more often a small one.
pub fn length(rng: &mut Rng) -> usize {
    let most = if rng.percent(70) { 20 } else { LENGTHS.len() };
    LENGTHS[rng.below(most)]
}

fn sequence(nodes: Vec<Node>) -> Node {
    Node::of(SEQUENCE, nodes)
}

fn set(nodes: Vec<Node>) -> Node {
    Node::of(SET, nodes)
}

/// A key pair, and the certificate for it, if there is one.
struct Identity {
    algorithm: PublicKeyAlgorithm,
    /// Bytes of the key, public and private in one.
    octets: Vec<u8>,
    subject: Node,
    issuer_name: Node,
    serial: Vec<u8>,
    key_id: Vec<u8>,
    /// Who signs its certificate.
    issuer: usize,
}

impl Identity {
    fn id(&self) -> Vec<u8> {
        [self.serial.clone(), self.issuer_name.content()].concat()
    }

    /// The signature of a message: (name of the digest, identifier for a SignerInfo, value).
    fn sign(&self, hash: &str, message: &[u8], size: usize) -> Vec<u8> {
        let name = match self.algorithm {
            PublicKeyAlgorithm::Rsa => format!("rsa,{hash}"),
            other => other.c_name().to_string_lossy().into_owned(),
        };
        let made = if self.algorithm.is_ml_dsa() {
            world::value(&name, &self.octets, message)
        } else {
            world::value(&name, &self.octets, &world::digest(hash, message, size))
        };
        made.to_vec()
    }

    /// The signature over a digest of no bytes.
    fn sign_nothing(&self) -> Vec<u8> {
        let name = self.algorithm.c_name().to_string_lossy();
        world::value(&name, &self.octets, &[]).to_vec()
    }
}

/// Makes cases.
pub struct Generator<'a> {
    rng: Rng,
    world: World,
    corpus: &'a Corpus,
}

/// Elements to begin with: what a fuzzer has found.
#[derive(Default)]
pub struct Corpus {
    /// Messages.
    pub messages: Vec<Node>,
    /// Certificates.
    pub certificates: Vec<Node>,
}

impl Corpus {
    /// Reads that of the fuzz targets.
    pub fn read(dir: &Path) -> Result<Self, String> {
        let mut corpus = Corpus::default();
        // What stands in front of each: what the tree knows, or whether there is ML-DSA.
        for (name, is_certificate) in [("cms", false), ("x509", true)] {
            for file in files(&dir.join(name))? {
                corpus.add(&read(&file)?, 1, is_certificate);
            }
        }
        if corpus.messages.is_empty() || corpus.certificates.is_empty() {
            return Err(format!("{}: nothing to begin with", dir.display()));
        }
        Ok(corpus)
    }

    /// Takes what was found with `rust/fuzz`, which has `header` bytes in front.
    pub fn add(&mut self, input: &[u8], header: usize, is_certificate: bool) {
        let Some(nodes) = input.get(header..).and_then(der::parse) else {
            return;
        };
        let [node] = &nodes[..] else { return };
        if is_certificate {
            self.certificates.push(node.clone());
        } else {
            self.messages.push(node.clone());
        }
    }
}

/// The case that belongs to these numbers. `series` are those that there are.
pub fn case(seed: u64, number: u64, series: &[usize], corpus: &Corpus) -> Case {
    let mut rng = Rng::new(seed, number);
    rng.be_calm();
    let series = *rng.pick(series);
    let mut generator = Generator {
        rng,
        world: World::new(series),
        corpus,
    };
    let file = generator.file();
    Case {
        world: generator.world,
        file,
    }
}

/// The certificate that belongs to these numbers, in a world: generated, or one of the corpus, and changed or not.
pub fn certificate(seed: u64, number: u64, series: &[usize], corpus: &Corpus) -> (World, Vec<u8>) {
    let mut rng = Rng::new(seed, number);
    rng.be_calm();
    let series = *rng.pick(series);
    let mut generator = Generator {
        rng,
        world: World::new(series),
        corpus,
    };
    let certificate = generator.alone();
    (generator.world, certificate)
}

impl Generator<'_> {
    fn has_ml_dsa(&self) -> bool {
        self.world.series().tree.ml_dsa
    }

    fn algorithm(&mut self) -> PublicKeyAlgorithm {
        let rng = &mut self.rng;
        match rng.below(20) {
            0..8 => PublicKeyAlgorithm::Rsa,
            8..12 => KEYS[2],
            12 | 13 => KEYS[3],
            14..18 if SERIES[self.world.series].tree.ml_dsa => KEYS[7 + rng.below(3)],
            _ => *rng.pick(&KEYS),
        }
    }

    /// A digest that goes with a key, mostly.
    fn hash(&mut self, algorithm: PublicKeyAlgorithm) -> &'static str {
        let rng = &mut self.rng;
        if rng.odd(3) {
            return rng.pick(&oid::DIGESTS).0;
        }
        match algorithm {
            PublicKeyAlgorithm::Ecrdsa256 => "streebog256",
            PublicKeyAlgorithm::Ecrdsa512 => "streebog512",
            _ if algorithm.is_ml_dsa() && rng.percent(80) => "sha512",
            _ if rng.percent(60) => "sha256",
            _ => rng.pick(&oid::RSA_WITH).0,
        }
    }

    fn size(&self, hash: &str) -> usize {
        World::new(self.world.series).digest_size(hash).max(0) as usize
    }

    fn name(&mut self, number: usize) -> Node {
        let rng = &mut self.rng;
        let attribute = |kind: &[u8], value: Vec<u8>| {
            sequence(vec![Node::new(OID, kind), Node::new(0x0c, &value)])
        };
        let common = attribute(oid::NAMES[0], format!("name {number}").into_bytes());
        match number {
            0..5 => sequence(vec![set(vec![common])]),
            5 => sequence(vec![
                set(vec![attribute(oid::NAMES[1], b"organization".to_vec())]),
                set(vec![common, attribute(oid::NAMES[2], b"a@b".to_vec())]),
            ]),
            _ => {
                let size = length(rng);
                let value = rng.octets(size);
                sequence(vec![set(vec![attribute(oid::any(rng), value)])])
            }
        }
    }

    fn serial(&mut self) -> Vec<u8> {
        let rng = &mut self.rng;
        match rng.dice(20) {
            0 => vec![0],
            1 => vec![0xff],
            2 | 3 => {
                let size = length(rng).max(1);
                let mut serial = rng.octets(size);
                serial[0] = 0x11;
                serial
            }
            _ => vec![1 + rng.below(3) as u8],
        }
    }

    fn identities(&mut self, count: usize) -> Vec<Identity> {
        let mut all: Vec<Identity> = Vec::with_capacity(count);
        for number in 0..count {
            let algorithm = self.algorithm();
            let variety = if self.rng.odd(6) { 8 } else { number.min(4) };
            let subject = if number > 0 && self.rng.odd(5) {
                all[self.rng.below(number)].subject.clone()
            } else {
                self.name(variety)
            };
            let size = match self.rng.odd(10) {
                true => length(&mut self.rng),
                false => 4,
            };
            all.push(Identity {
                algorithm,
                octets: [vec![number as u8 + 1], self.rng.octets(3)].concat(),
                issuer_name: subject.clone(),
                subject,
                serial: self.serial(),
                key_id: self.rng.octets(size),
                issuer: self.rng.below(count),
            });
        }
        for number in 0..count {
            // Chains, mostly: each signed by the next one, the last by itself.
            match self.rng.below(10) {
                0..6 => all[number].issuer = (number + 1).min(count - 1),
                6 => all[number].issuer = number,
                _ => {}
            }
            let issuer = all[number].issuer;
            if !self.rng.odd(3) {
                all[number].issuer_name = all[issuer].subject.clone();
            }
            // A key identifier that is a serial number and an issuer: C does not tell them apart.
            if self.rng.odd(4) {
                let other = self.rng.below(count);
                all[number].key_id = all[other].id();
            }
            if self.rng.odd(2) {
                let other = self.rng.below(count);
                all[number].key_id = all[other].key_id.clone();
            }
        }
        all
    }

    fn parameters(&mut self, usual: bool) -> Vec<Node> {
        let rng = &mut self.rng;
        match rng.dice(60) {
            0 => vec![Node::new(NULL, b"\0")],
            1 => vec![Node::new(OID, oid::any(rng))],
            2 => vec![sequence(vec![Node::new(INTEGER, b"\x01")])],
            3..30 => vec![Node::new(NULL, b"")],
            _ if usual => vec![Node::new(NULL, b"")],
            _ => vec![],
        }
    }

    fn identifier(&mut self, oid: &[u8], with_null: bool) -> Node {
        let mut nodes = vec![Node::new(OID, oid)];
        nodes.extend(self.parameters(with_null));
        sequence(nodes)
    }

    /// The identifier of how a certificate is signed.
    fn certificate_algorithm(&mut self, by: PublicKeyAlgorithm, hash: &str) -> Node {
        let find = |list: &[(&str, &'static [u8])]| {
            let found = list.iter().find(|(name, _)| *name == hash);
            found.map_or(oid::UNKNOWN[0], |(_, oid)| *oid)
        };
        let (oid, null) = match by {
            PublicKeyAlgorithm::Rsa => (find(&oid::RSA_WITH), true),
            PublicKeyAlgorithm::Ecrdsa256 | PublicKeyAlgorithm::Ecrdsa512 => {
                (find(&oid::GOST_WITH), false)
            }
            PublicKeyAlgorithm::MlDsa44 => (oid::MLDSA[0], false),
            PublicKeyAlgorithm::MlDsa65 => (oid::MLDSA[1], false),
            PublicKeyAlgorithm::MlDsa87 => (oid::MLDSA[2], false),
            _ => (find(&oid::EC_WITH), false),
        };
        let oid = match self.rng.dice(80) {
            0 => oid::any(&mut self.rng),
            _ => oid,
        };
        self.identifier(oid, null)
    }

    /// SubjectPublicKeyInfo.
    fn public_key(&mut self, of: &Identity) -> Node {
        let curve = |index: usize| (oid::EC, vec![Node::new(OID, oid::CURVES[index])]);
        let (oid, mut parameters) = match of.algorithm {
            PublicKeyAlgorithm::Rsa => (oid::RSA, self.parameters(true)),
            PublicKeyAlgorithm::EcdsaP192 => curve(0),
            PublicKeyAlgorithm::EcdsaP256 => curve(1),
            PublicKeyAlgorithm::EcdsaP384 => curve(2),
            PublicKeyAlgorithm::EcdsaP521 => curve(3),
            PublicKeyAlgorithm::Ecrdsa256 => (oid::GOST[0], vec![]),
            PublicKeyAlgorithm::Ecrdsa512 => (oid::GOST[1], vec![]),
            PublicKeyAlgorithm::MlDsa44 => (oid::MLDSA[0], self.parameters(false)),
            PublicKeyAlgorithm::MlDsa65 => (oid::MLDSA[1], self.parameters(false)),
            PublicKeyAlgorithm::MlDsa87 => (oid::MLDSA[2], self.parameters(false)),
        };
        match self.rng.dice(40) {
            0 => parameters = self.parameters(false),
            1 => {
                // As long as C reads it with one byte, and longer.
                let size = length(&mut self.rng);
                let octets = self
                    .rng
                    .octets(size)
                    .iter()
                    .map(|octet| octet & 0x7f)
                    .collect::<Vec<_>>();
                parameters = vec![Node::new(OID, &octets)];
            }
            _ => {}
        }
        let mut nodes = vec![Node::new(OID, oid)];
        nodes.extend(parameters);
        let bits = match self.rng.dice(60) {
            0 => vec![],
            1 => [&[1], &of.octets[..]].concat(),
            _ => [&[0], &of.octets[..]].concat(),
        };
        sequence(vec![sequence(nodes), Node::new(BIT_STRING, &bits)])
    }

    fn time(&mut self, end: bool) -> Node {
        let rng = &mut self.rng;
        match rng.dice(50) {
            0 => Node::new(0x18, b"20500101000000Z"),
            1 => Node::new(0x18, b"20300101000000Z"),
            2 => Node::new(0x17, b"691231235959Z"),
            3 => Node::new(0x18, b"21000229000000Z"),
            4 => {
                let mut text = *b"240229235960Z";
                let at = rng.below(text.len());
                text[at] = *rng.pick(b"0123456789Z/:");
                Node::new(0x17, &text)
            }
            5 => {
                let mut text = *b"20600229240000Z";
                let at = rng.below(text.len());
                text[at] = *rng.pick(b"0123456789Z/:");
                Node::new(0x18, &text)
            }
            6 => Node::new(0x17, b"2401010000Z"),
            _ if end => Node::new(0x17, b"490101000000Z"),
            _ => Node::new(0x17, b"200101000000Z"),
        }
    }

    /// The value of a string, which C may read byte by byte: short or long, whole or not.
    fn sized(&mut self, tag: u8, start: &[u8], usual: usize) -> Node {
        let rng = &mut self.rng;
        let size = if rng.odd(40) { length(rng) } else { usual };
        let mut octets = rng.octets(size);
        let known = start.len().min(size);
        octets[..known].copy_from_slice(&start[..known]);
        Node::new(tag, &octets)
    }

    fn key_usage(&mut self) -> Vec<Node> {
        let below = if self.rng.odd(15) { 256 } else { 8 };
        let unused = self.rng.below(below) as u8;
        let usual = 2 + self.rng.below(2);
        vec![self.sized(BIT_STRING, &[unused], usual)]
    }

    fn basic_constraints(&mut self) -> Vec<Node> {
        let value = if self.rng.odd(20) {
            self.rng.below(2) as u8
        } else {
            0xff
        };
        let mut nodes = vec![];
        if !self.rng.odd(15) {
            nodes.push(Node::new(0x01, &[value]));
        }
        match self.rng.dice(6) {
            0 => nodes.push(Node::new(INTEGER, &[0])),
            1 => nodes.push(self.sized(INTEGER, &[0x11], 1)),
            2 => {
                let tag = *self.rng.pick(&[0x01, INTEGER, NULL, 0x80]);
                nodes.push(self.sized(tag, &[0], 1));
            }
            _ => {}
        }
        vec![sequence(nodes)]
    }

    fn general_name(&mut self, issuer: &Identity) -> Node {
        let name = match self.rng.below(4) {
            0 => self.name(5),
            _ => issuer.issuer_name.clone(),
        };
        match self.rng.dice(14) {
            0 => Node::of(
                0xa0,
                vec![
                    Node::new(OID, oid::any(&mut self.rng)),
                    Node::of(0xa0, vec![name]),
                ],
            ),
            1 => self.sized(0x81, b"a@b", 3),
            2 => self.sized(0x82, b"example.org", 11),
            3 => Node::of(0xa3, vec![name]),
            4 => Node::of(
                0xa5,
                vec![
                    Node::of(0xa0, vec![name.clone()]),
                    Node::of(0xa1, vec![name]),
                ],
            ),
            5 => Node::of(0xa5, vec![Node::of(0xa1, vec![name])]),
            6 => self.sized(0x86, b"http://example.org/", 19),
            7 => self.sized(0x87, b"\x7f\0\0\x01", 4),
            8 => self.sized(0x88, b"\x2a\x03", 2),
            9 => Node::new(
                *self.rng.pick(&[0x80, 0x83, 0x84, 0x85, 0x89, 0xa6]),
                b"\x05\0",
            ),
            _ => Node::of(0xa4, vec![name]),
        }
    }

    fn authority(&mut self, issuer: &Identity) -> Vec<Node> {
        let mut nodes = vec![];
        let form = self.rng.below(10);
        if form < 7 {
            nodes.push(match self.rng.dice(20) {
                0 => self.sized(0x80, &issuer.key_id, issuer.key_id.len()),
                1 => Node::new(0x80, &[1, 2, 3]),
                _ => Node::new(0x80, &issuer.key_id),
            });
        }
        if !(3..=5).contains(&form) {
            let count = match self.rng.dice(8) {
                0 => self.rng.below(4),
                _ => 1,
            };
            let names = match count {
                1 if !self.rng.odd(30) => vec![Node::of(0xa4, vec![issuer.issuer_name.clone()])],
                _ => (0..count).map(|_| self.general_name(issuer)).collect(),
            };
            nodes.push(Node::of(0xa1, names));
        }
        if !(3..=4).contains(&form) {
            nodes.push(match self.rng.dice(20) {
                0 => self.sized(0x82, &[0x11], 2),
                _ => Node::new(0x82, &issuer.serial),
            });
        }
        vec![sequence(nodes)]
    }

    fn extension(&mut self, kind: &[u8], value: Vec<Node>) -> Node {
        let mut nodes = vec![Node::new(OID, kind)];
        match self.rng.below(24) {
            0..8 => nodes.push(Node::new(0x01, &[0xff])),
            8 if self.rng.odd(100) => nodes.push(Node::new(0x01, &[0])),
            9 if self.rng.odd(100) => nodes.push(Node::new(0x01, &[1])),
            _ => {}
        }
        let mut value = Node::of(OCTET_STRING, value);
        match self.rng.dice(40) {
            0 => value.nodes.push(Node::new(NULL, b"")),
            1 => value.nodes.clear(),
            2 => {
                let size = length(&mut self.rng);
                value.nodes = vec![];
                value.octets = self.rng.octets(size);
                // The head of what would be right.
                for (to, from) in value
                    .octets
                    .iter_mut()
                    .zip([*self.rng.pick(&[3, 4, 0x30]), 2])
                {
                    *to = from;
                }
            }
            3 => {
                // A length in the inner element that is not its own.
                if let Some(node) = value.nodes.first_mut() {
                    node.form = *self.rng.pick(&[
                        Form::Wrong(1),
                        Form::Wrong(-1),
                        Form::Long(1),
                        Form::Long(2),
                        Form::Long(3),
                        Form::Indefinite,
                    ]);
                }
            }
            _ => {}
        }
        nodes.push(value);
        sequence(nodes)
    }

    fn extensions(&mut self, of: &Identity, issuer: &Identity) -> Vec<Node> {
        let mut list = vec![];
        if self.rng.percent(75) {
            let id = match self.rng.dice(25) {
                0 => self.sized(OCTET_STRING, &of.key_id, of.key_id.len()),
                _ => Node::new(OCTET_STRING, &of.key_id),
            };
            list.push(self.extension(oid::EXTENSIONS[0], vec![id]));
        }
        if self.rng.percent(60) {
            let value = self.authority(issuer);
            list.push(self.extension(oid::EXTENSIONS[3], value));
        }
        if self.rng.percent(30) {
            let value = self.key_usage();
            list.push(self.extension(oid::EXTENSIONS[1], value));
        }
        if self.rng.percent(30) {
            let value = self.basic_constraints();
            list.push(self.extension(oid::EXTENSIONS[2], value));
        }
        if self.rng.percent(10) {
            let kind = *self.rng.pick(&oid::EXTENSIONS[4..]);
            let value = vec![self.sized(OCTET_STRING, &[], 3)];
            list.push(self.extension(kind, value));
        }
        if list.len() > 1 && self.rng.odd(5) {
            list.push(self.rng.pick(&list).clone());
        }
        if list.len() > 1 && self.rng.percent(30) {
            list.reverse();
        }
        list
    }

    /// A certificate, signed, and its digest if it were blacklisted.
    fn certificate(&mut self, all: &[Identity], number: usize) -> (Node, Vec<u8>) {
        let of = &all[number];
        let issuer = &all[of.issuer];
        let by = match self.rng.dice(25) {
            0 => self.rng.pick(all),
            _ => issuer,
        };
        let hash = self.hash(by.algorithm);
        let algorithm = self.certificate_algorithm(by.algorithm, hash);
        let mut tbs = vec![];
        match self.rng.dice(30) {
            0 => {}
            1 => {
                let version = self.sized(INTEGER, &[2], 1);
                tbs.push(Node::of(0xa0, vec![version]));
            }
            _ => tbs.push(Node::of(0xa0, vec![Node::new(INTEGER, &[2])])),
        }
        tbs.push(Node::new(INTEGER, &of.serial));
        tbs.push(algorithm.clone());
        tbs.push(of.issuer_name.clone());
        tbs.push(sequence(vec![self.time(false), self.time(true)]));
        tbs.push(of.subject.clone());
        tbs.push(self.public_key(of));
        for tag in [0x81, 0x82] {
            if self.rng.odd(3) {
                tbs.push(self.sized(tag, &[0], 4));
            }
        }
        if self.rng.percent(85) {
            let list = self.extensions(of, issuer);
            if !list.is_empty() || self.rng.percent(10) {
                tbs.push(Node::of(0xa3, vec![sequence(list)]));
            }
        }
        let mut tbs = sequence(tbs);
        if self.rng.odd(15) {
            mutate::tree(&mut self.rng, &mut tbs, &self.corpus.certificates);
        }

        let octets = tbs.encode();
        let size = self.size(hash);
        let mut value = match self.rng.dice(40) {
            0 => by.sign_nothing(),
            1 => self.rng.octets(9),
            2 => vec![*self.rng.pick(&[0xe0, 0xe1, 0xe2, 0])],
            _ => by.sign(hash, &octets, size),
        };
        // One that is over a digest which is not there is over nothing.
        if self.world.missing.iter().any(|missing| missing == hash) && self.rng.percent(50) {
            value = by.sign_nothing();
        }
        if self.rng.odd(4) {
            let more = length(&mut self.rng);
            value.extend(self.rng.octets(more));
        }
        value.insert(0, if self.rng.odd(1) { 1 } else { 0 });
        let outer = match self.rng.dice(40) {
            0 => self.certificate_algorithm(by.algorithm, "sha256"),
            _ => algorithm,
        };
        let blacklisted = match self.world.series().tree.certificate_hash {
            CertificateHash::Sha256 => world::digest("sha256", &octets, 32),
            _ => world::digest(hash, &octets, size),
        };
        (
            sequence(vec![tbs, outer, Node::new(BIT_STRING, &value)]),
            blacklisted,
        )
    }

    /// A certificate that is not in a message.
    fn alone(&mut self) -> Vec<u8> {
        if self.rng.percent(10) {
            let missing = *self
                .rng
                .pick(&["sha1", "sha384", "sha3-256", "rsa", "p256", "mldsa"]);
            self.world.missing.push(missing.to_owned());
        }
        let mut node = if self.rng.percent(25) {
            self.world.rule = Rule::Most(self.rng.draw());
            self.rng.pick(&self.corpus.certificates).clone()
        } else {
            let count = 1 + self.rng.below(3);
            let mut all = self.identities(count);
            let number = self.rng.below(count);
            if self.rng.percent(40) {
                let is_own = all[number].issuer == number;
                all[number].subject = self.shown();
                all[number].issuer_name = match is_own {
                    true => all[number].subject.clone(),
                    false => self.shown(),
                };
            }
            let (node, digest) = self.certificate(&all, number);
            if self.rng.percent(5) {
                self.world.certificates.push(digest);
            }
            node
        };
        if self.rng.odd(30) {
            for _ in 0..=self.rng.below(2) {
                mutate::tree(&mut self.rng, &mut node, &self.corpus.certificates);
            }
        }
        let mut octets = node.encode();
        match self.rng.dice(60) {
            0..4 => mutate::octets(&mut self.rng, &mut octets),
            4 | 5 => {
                let more = 1 + self.rng.below(3);
                octets.extend(self.rng.octets(more));
            }
            6 => octets.resize(65535 + self.rng.below(3), 0),
            _ => {}
        }
        octets
    }

    /// A name of several parts, by which a kernel calls a key.
    fn shown(&mut self) -> Node {
        let count = 1 + self.rng.below(4);
        let mut rdns = vec![];
        for _ in 0..count {
            let kind = match self.rng.dice(12) {
                0 => oid::any(&mut self.rng),
                _ => oid::NAMES[self.rng.below(4)],
            };
            let mut value = match self.rng.below(3) {
                0 => b"Organization and".to_vec(),
                1 => b"Organi".to_vec(),
                _ => b"mail@organization".to_vec(),
            };
            value.truncate(self.rng.below(20));
            if self.rng.percent(15) {
                let size = length(&mut self.rng);
                value.resize(size, b'x');
            }
            let attribute = sequence(vec![Node::new(OID, kind), Node::new(0x0c, &value)]);
            rdns.push(set(vec![attribute]));
        }
        sequence(rdns)
    }

    fn attribute(&mut self, kind: &[u8], value: Node) -> Node {
        let mut values = vec![value];
        match self.rng.dice(30) {
            0 => values.push(Node::new(NULL, b"")),
            1 => values.clear(),
            _ => {}
        }
        sequence(vec![Node::new(OID, kind), set(values)])
    }

    fn signed_attributes(&mut self, hash: &str, content: &[u8], content_type: &[u8]) -> Node {
        let size = self.size(hash);
        let digest = world::digest(hash, content, size);
        let mut list = vec![];
        let content_type = match self.rng.dice(30) {
            0 => Node::new(OID, oid::any(&mut self.rng)),
            1 => Node::new(OCTET_STRING, content_type),
            _ => Node::new(OID, content_type),
        };
        if !self.rng.odd(4) {
            list.push(self.attribute(oid::ATTRIBUTES[0], content_type));
        }
        let digest = match self.rng.dice(20) {
            0 => self.sized(OCTET_STRING, &digest, digest.len()),
            2 | 3 => Node::new(OCTET_STRING, &self.rng.octets(digest.len())),
            1 => Node::new(0x0c, &digest),
            _ => Node::new(OCTET_STRING, &digest),
        };
        if !self.rng.odd(4) {
            list.push(self.attribute(oid::ATTRIBUTES[1], digest));
        }
        if self.rng.percent(50) {
            let time = match self.rng.below(6) {
                0 => self.time(true),
                1 => Node::new(0x17, b"190101000000Z"),
                2 => Node::new(0x18, b"20500101000000Z"),
                _ => Node::new(0x17, b"240101000000Z"),
            };
            list.push(self.attribute(oid::ATTRIBUTES[2], time));
        }
        for (kind, percent) in oid::ATTRIBUTES[3..].iter().zip([3, 4, 6, 6]) {
            if self.rng.percent(percent) {
                let value = self.sized(OCTET_STRING, &[], 3);
                list.push(self.attribute(kind, value));
            }
        }
        if self.rng.odd(3) && !list.is_empty() {
            list.push(self.rng.pick(&list).clone());
        }
        let mut set = Node::of(0xa0, list);
        match self.rng.dice(40) {
            0 => set = Node::of(0xa2, vec![Node::of(SEQUENCE, set.nodes)]),
            1 => set.tag = 0xa2,
            2 => mutate::tree(&mut self.rng, &mut set, &[]),
            _ => {}
        }
        set
    }

    fn signer(
        &mut self,
        by: &Identity,
        content: &[u8],
        version: u8,
        attributes: bool,
        content_type: &[u8],
    ) -> Node {
        let hash = self.hash(by.algorithm);
        let size = self.size(hash);
        let version = match self.rng.dice(60) {
            0 => Node::new(INTEGER, &[version ^ 2]),
            1 => self.sized(INTEGER, &[version], 1),
            2 => Node::new(INTEGER, &[2]),
            _ => Node::new(INTEGER, &[version]),
        };
        let by_key_id = version.octets.first() == Some(&3);
        let by_key_id = by_key_id != self.rng.odd(2);
        let sid = if by_key_id {
            Node::new(0x80, &by.key_id)
        } else {
            sequence(vec![by.issuer_name.clone(), Node::new(INTEGER, &by.serial)])
        };
        let digest_oid = match self.rng.dice(50) {
            0 => oid::any(&mut self.rng),
            _ => oid::DIGESTS
                .iter()
                .find(|(name, _)| *name == hash)
                .map_or(oid::UNKNOWN[0], |(_, oid)| *oid),
        };
        let mut nodes = vec![version, sid, self.identifier(digest_oid, false)];
        let mut signed = content.to_vec();
        if attributes {
            let set = self.signed_attributes(hash, content, content_type);
            signed = set.encode();
            signed[0] = SET;
            nodes.push(set);
        }
        let (key_oid, null) = match by.algorithm {
            PublicKeyAlgorithm::Rsa => (oid::RSA, true),
            PublicKeyAlgorithm::Ecrdsa256 => (oid::GOST[0], false),
            PublicKeyAlgorithm::Ecrdsa512 => (oid::GOST[1], false),
            PublicKeyAlgorithm::MlDsa44 => (oid::MLDSA[0], false),
            PublicKeyAlgorithm::MlDsa65 => (oid::MLDSA[1], false),
            PublicKeyAlgorithm::MlDsa87 => (oid::MLDSA[2], false),
            _ => (self.rng.pick(&oid::EC_WITH).1, false),
        };
        let key_oid = match self.rng.dice(50) {
            0 => oid::any(&mut self.rng),
            _ => key_oid,
        };
        nodes.push(self.identifier(key_oid, null));
        let mut value = match self.rng.dice(25) {
            0 => self.rng.octets(9),
            1 => vec![*self.rng.pick(&[0xe0, 0xe1, 0xe2, 0])],
            2 => by.sign_nothing(),
            _ => by.sign(hash, &signed, size),
        };
        if self.rng.odd(3) {
            let more = length(&mut self.rng);
            value.extend(self.rng.octets(more));
        }
        if self.rng.odd(1) {
            value.clear();
        }
        nodes.push(Node::new(OCTET_STRING, &value));
        if self.rng.odd(5) {
            // At times more than C's decoder takes.
            let usual = if self.rng.odd(3) { 65_600 } else { 3 };
            let value = self.sized(OCTET_STRING, &[], usual);
            let list = vec![self.attribute(oid::ATTRIBUTES[6], value)];
            nodes.push(Node::of(0xa1, list));
        }
        sequence(nodes)
    }

    fn message(&mut self, content: &[u8]) -> Node {
        let certificates = *self.rng.pick(&[0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 6]);
        let certificates = match self.rng.below(300) {
            0 => 16,
            1 => 17,
            _ => certificates,
        };
        let count = certificates + 1 + self.rng.below(3);
        let all = self.identities(count);

        let mut encoded = vec![];
        for number in 0..certificates {
            let (certificate, digest) = self.certificate(&all, number);
            encoded.push(certificate);
            if self.rng.odd(3) {
                self.world.certificates.push(digest);
            }
        }
        if self.rng.odd(6) && !self.corpus.certificates.is_empty() {
            encoded.push(self.rng.pick(&self.corpus.certificates).clone());
        }
        if encoded.len() > 1 && self.rng.percent(20) {
            let (one, other) = (self.rng.below(encoded.len()), self.rng.below(encoded.len()));
            encoded.swap(one, other);
        }

        let version = if self.rng.percent(75) { 1 } else { 3 };
        let content_type = match self.rng.dice(50) {
            0 => oid::INDIRECT,
            1 => oid::any(&mut self.rng),
            _ => oid::DATA,
        };
        let attributes = match self.world.series().tree.ml_dsa_attributes {
            true => self.rng.percent(40),
            false => self.rng.odd(4),
        };
        let signers = match self.rng.below(100) {
            0..70 => 1,
            70..88 => 2,
            88..96 => 3,
            96 => 8,
            97 => 9,
            _ => 4,
        };
        // Where signed attributes can be good, all signers use ML-DSA; there, mostly.
        let ml_dsa: Vec<usize> = (0..count)
            .filter(|&number| all[number].algorithm.is_ml_dsa())
            .collect();
        let mut infos = vec![];
        for _ in 0..signers {
            let by = match self.rng.below(10) {
                _ if attributes && !ml_dsa.is_empty() && self.rng.percent(85) => {
                    *self.rng.pick(&ml_dsa)
                }
                0..7 if certificates > 0 => self.rng.below(certificates.min(2)),
                _ => self.rng.below(count),
            };
            let attributes = attributes != self.rng.odd(2);
            infos.push(self.signer(&all[by], content, version, attributes, content_type));
        }

        let mut digests = vec![];
        for _ in 0..=self.rng.below(2) {
            let (_, oid) = *self.rng.pick(&oid::DIGESTS);
            digests.push(self.identifier(oid, false));
        }
        let mut info = vec![Node::new(OID, content_type)];
        if self.rng.odd(2) {
            let data = self.sized(OCTET_STRING, content, content.len());
            info.push(Node::of(0xa0, vec![data]));
        }
        let version = match self.rng.dice(60) {
            0 => Node::new(INTEGER, &[version ^ 2]),
            1 => self.sized(INTEGER, &[version], 1),
            2 => Node::new(INTEGER, &[2]),
            _ => Node::new(INTEGER, &[version]),
        };
        let mut fields = vec![version, set(digests), sequence(info)];
        if !encoded.is_empty() {
            let tag = if self.rng.odd(2) { 0xa2 } else { 0xa0 };
            fields.push(Node::of(tag, encoded));
        }
        if self.rng.odd(1) {
            let list = self
                .rng
                .pick(&[Node::new(NULL, b""), sequence(vec![])])
                .clone();
            fields.push(Node::of(*self.rng.pick(&[0xa1, 0xa3]), vec![list]));
        }
        fields.push(set(infos));
        if self.rng.odd(2) {
            let index = *self.rng.pick(&[1, fields.len() - 1]);
            fields[index].tag = SEQUENCE;
        }
        self.keys(&all, certificates);
        sequence(vec![
            Node::new(OID, oid::SIGNED_DATA),
            Node::of(0xa0, vec![sequence(fields)]),
        ])
    }

    /// Puts keys into keyrings.
    fn keys(&mut self, all: &[Identity], certificates: usize) {
        for (number, identity) in all.iter().enumerate() {
            // Those that are in the message are seldom in a keyring, which is no reason for trust.
            let percent = if number < certificates { 30 } else { 60 };
            while self.rng.percent(percent) {
                let ring = match self.rng.below(16) {
                    0..6 => 0,
                    6..12 => 1,
                    12..15 => 2,
                    _ => 3,
                };
                let octets = match self.rng.dice(20) {
                    0 => vec![0x55],
                    1 => self.rng.pick(all).octets.clone(),
                    _ => identity.octets.clone(),
                };
                let key_id = match self.rng.dice(16) {
                    0 => None,
                    1 => Some(vec![9, 9]),
                    _ => Some(identity.key_id.clone()),
                };
                let id = match self.rng.dice(30) {
                    0 => identity.key_id.clone(),
                    1 => self.rng.octets(3),
                    _ => identity.id(),
                };
                let algorithm = match self.rng.dice(40) {
                    0 => *self.rng.pick(&KEYS),
                    _ => identity.algorithm,
                };
                if algorithm.is_ml_dsa() && !self.has_ml_dsa() {
                    continue;
                }
                self.world.keys.push(Key {
                    ring: RINGS[ring].0,
                    id,
                    key_id,
                    algorithm,
                    octets,
                });
                if self.rng.percent(80) {
                    break;
                }
            }
        }
    }

    /// A message that a fuzzer has found, and keys for it.
    fn found(&mut self) -> Node {
        self.world.rule = Rule::Most(self.rng.draw());
        let mut message = self.rng.pick(&self.corpus.messages).clone();
        if self.rng.percent(70) {
            let donors = if self.rng.percent(50) {
                &self.corpus.messages
            } else {
                &self.corpus.certificates
            };
            mutate::tree(&mut self.rng, &mut message, donors);
        }
        // Whom it names, as far as it can be read.
        let octets = message.encode();
        let tree = self.world.series().tree;
        let mut ids: Vec<(Vec<u8>, Option<Vec<u8>>)> = vec![];
        if let Ok(parsed) = cms::parse(&octets, tree) {
            let join = |id: cms::KeyId<'_>| [id.0, id.1].concat();
            if let Ok(data) = parsed.signed_data() {
                ids.extend(
                    data.signers()
                        .map(|signer| (join(signer.id.key_id()), None)),
                );
            }
            for encoded in parsed.certificates().encoded() {
                if let Ok(found) = x509::parse(&encoded, tree.ml_dsa) {
                    ids.push((join(found.id), found.subject_key_id.map(join)));
                    let authority = found.authority.or(found.authority_key_id).map(join);
                    ids.extend(authority.map(|id| (id, found.authority_key_id.map(join))));
                }
            }
        }
        for (id, key_id) in ids {
            if self.rng.percent(50) {
                let ring = *self.rng.pick(&[0, 0, 0, 1, 1, 1, 2, 3]);
                self.world.keys.push(Key {
                    ring: RINGS[ring].0,
                    id,
                    key_id,
                    algorithm: *self.rng.pick(&KEYS[..if tree.ml_dsa { 10 } else { 7 }]),
                    octets: self.rng.octets(3),
                });
            }
        }
        message
    }

    fn file(&mut self) -> Vec<u8> {
        if self.rng.percent(15) {
            for _ in 0..=self.rng.below(2) {
                let missing = *self.rng.pick(&[
                    "sha1",
                    "sha1",
                    "sha224",
                    "sha384",
                    "sha512",
                    "sha3-256",
                    "sm3",
                    "streebog256",
                    "rsa",
                    "p256",
                    "p384",
                    "ecrdsa",
                    "mldsa44",
                    "mldsa",
                ]);
                self.world.missing.push(missing.to_owned());
            }
            // The configuration of a tree with that list has it for certain.
            if !self.has_ml_dsa() && self.rng.percent(10) {
                self.world.missing.push("sha256".to_owned());
            }
        }
        let size = if self.rng.percent(97) {
            1 + self.rng.below(40)
        } else {
            4000
        };
        let mut content = self.rng.octets(size);
        let found = self.rng.percent(12) && !self.corpus.messages.is_empty();
        let mut message = if found {
            self.found()
        } else {
            self.message(&content)
        };
        if self.rng.odd(30) {
            for _ in 0..=self.rng.below(2) {
                mutate::tree(&mut self.rng, &mut message, &self.corpus.certificates);
            }
        }
        let mut message = message.encode();
        match self.rng.dice(100) {
            0..4 => mutate::octets(&mut self.rng, &mut message),
            4 => {
                let more = 1 + self.rng.below(3);
                message.extend(vec![0; more]);
            }
            5 => content.push(0),
            _ => {}
        }
        let mut trailer = vec![0; 12];
        trailer[2] = 2;
        trailer[8..].copy_from_slice(&(message.len() as u32).to_be_bytes());
        match self.rng.dice(200) {
            0 => trailer[2] = *self.rng.pick(&[0, 1, 3, 4, 0xff]),
            1 => trailer[self.rng.below(8)] ^= 1,
            2 => trailer[8 + self.rng.below(4)] ^= 1 << self.rng.below(8),
            3 => {
                let all = (content.len() + message.len()) as u32;
                let off = self.rng.below(3) as u32;
                trailer[8..].copy_from_slice(&(all + off).wrapping_sub(1).to_be_bytes());
            }
            4 => drop(trailer.drain(..self.rng.below(12))),
            _ => {}
        }
        let mut marker = b"~Module signature appended~\n".to_vec();
        match self.rng.dice(200) {
            0 => drop(marker.pop()),
            1 => marker[self.rng.below(28)] ^= 1,
            2 => {
                content.clear();
                message.clear();
            }
            3 => {
                content.clear();
                message.clear();
                trailer.clear();
            }
            _ => {}
        }
        let file = [content, message, trailer, marker].concat();
        if self.rng.percent(5) {
            self.world.files.push(world::digest("sha256", &file, 32));
        }
        if self.rng.percent(1) {
            self.world.flags = 1 + self.rng.below(3) as u8;
        }
        file
    }
}
