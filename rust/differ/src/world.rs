// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What is around a verifier: keys, lists, algorithms. Both are asked in the same one.

use std::fmt::Write;

use modsig::verify::{CertificateHash, PublicKeyAlgorithm, Tree};

use crate::rng::mix;

/// A C verifier that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Series {
    /// What it is called, here and on the command line.
    pub name: &'static str,
    /// How it goes about things.
    pub tree: Tree,
    /// What it puts around the name of an algorithm of RSA, of ECDSA: before, behind.
    pub names: [(&'static str, &'static str); 2],
}

const MLDSA: Tree = Tree {
    ml_dsa: true,
    ml_dsa_attributes: false,
    certificate_hash: CertificateHash::Sha256,
    file_hashes: false,
};

/// Those that are known.
pub const SERIES: [Series; 3] = [
    Series {
        name: "6.12",
        tree: Tree {
            ml_dsa: false,
            ml_dsa_attributes: false,
            certificate_hash: CertificateHash::OfSignature,
            file_hashes: true,
        },
        names: [("pkcs1pad(", ")"), ("", "")],
    },
    Series {
        name: "7.3",
        tree: MLDSA,
        names: [("pkcs1(", ")"), ("x962(", ")")],
    },
    Series {
        name: "7.3-attributes",
        tree: Tree {
            ml_dsa: true,
            ml_dsa_attributes: true,
            ..MLDSA
        },
        names: [("pkcs1(", ")"), ("x962(", ")")],
    },
];

/// Where a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Ring {
    Builtin,
    Secondary,
    Platform,
    Revoked,
}

/// All of them, in the order in which C has them.
pub const RINGS: [(Ring, &str); 4] = [
    (Ring::Builtin, "builtin"),
    (Ring::Secondary, "secondary"),
    (Ring::Platform, "platform"),
    (Ring::Revoked, "revoked"),
];

/// The algorithms of keys.
pub const KEYS: [PublicKeyAlgorithm; 10] = [
    PublicKeyAlgorithm::Rsa,
    PublicKeyAlgorithm::EcdsaP192,
    PublicKeyAlgorithm::EcdsaP256,
    PublicKeyAlgorithm::EcdsaP384,
    PublicKeyAlgorithm::EcdsaP521,
    PublicKeyAlgorithm::Ecrdsa256,
    PublicKeyAlgorithm::Ecrdsa512,
    PublicKeyAlgorithm::MlDsa44,
    PublicKeyAlgorithm::MlDsa65,
    PublicKeyAlgorithm::MlDsa87,
];

/// A key in a keyring.
#[derive(Clone, Debug)]
pub struct Key {
    /// Where it is.
    pub ring: Ring,
    /// Its identifier by serial number and issuer.
    pub id: Vec<u8>,
    /// Its SubjectKeyIdentifier.
    pub key_id: Option<Vec<u8>>,
    /// Of what kind it is.
    pub algorithm: PublicKeyAlgorithm,
    /// Its bytes.
    pub octets: Vec<u8>,
}

/// Which signatures are good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Those that [`value`] makes.
    Made,
    /// Those, and most of the others, depending on key, digest, signature and this.
    Most(u64),
    /// All.
    Every,
}

/// All of it.
#[derive(Clone, Debug)]
pub struct World {
    /// The tree: an index into [`SERIES`].
    pub series: usize,
    /// The keys, in the order in which they came into their keyrings.
    pub keys: Vec<Key>,
    /// Digests of certificates that are blacklisted.
    pub certificates: Vec<Vec<u8>>,
    /// Digests of files that are blacklisted.
    pub files: Vec<Vec<u8>>,
    /// Names of digests, and parts of names of signature algorithms, that are not built in.
    pub missing: Vec<String>,
    /// Which signatures are good.
    pub rule: Rule,
    /// The flags of finit_module(2).
    pub flags: u8,
}

const ENOENT: i32 = -2;
const EINVAL: i32 = -22;
const ENOPKG: i32 = -65;
const EBADMSG: i32 = -74;
const EKEYREJECTED: i32 = -129;

/// No key has longer signatures, in bytes; the kernel part of modsig asks no key about one.
pub const MAX_SIGNATURE: usize = 8192;

impl World {
    /// One without anything.
    pub fn new(series: usize) -> Self {
        World {
            series,
            keys: vec![],
            certificates: vec![],
            files: vec![],
            missing: vec![],
            rule: Rule::Made,
            flags: 0,
        }
    }

    /// The tree.
    pub fn series(&self) -> &'static Series {
        &SERIES[self.series]
    }

    /// Bytes of a digest; an error number if there is none of this name.
    pub fn digest_size(&self, name: &str) -> i32 {
        if self.missing.iter().any(|missing| missing == name) {
            return ENOENT;
        }
        match name {
            "sha1" => 20,
            "sha224" => 28,
            "sha256" | "sm3" | "streebog256" | "sha3-256" => 32,
            "sha384" | "sha3-384" => 48,
            "sha512" | "streebog512" | "sha3-512" => 64,
            _ => ENOENT,
        }
    }

    /// Whether there is a signature algorithm, as an error number.
    pub fn signature(&self, name: &str) -> i32 {
        let is_missing = |missing: &String| name.contains(missing.as_str());
        if self.missing.iter().any(is_missing) {
            ENOENT
        } else {
            0
        }
    }

    /// Whether a key can be one, as an error number.
    pub fn key(&self, octets: &[u8]) -> i32 {
        match octets {
            [] => EINVAL,
            [0xba, ..] => EBADMSG,
            _ => 0,
        }
    }

    /// Whether a key has made a signature, as an error number.
    pub fn verify(&self, name: &str, key: &[u8], found: &[u8], digest: &[u8]) -> i32 {
        let [rsa, ecdsa] = self.series().names;
        let plain = [rsa, ecdsa].iter().find_map(|(before, behind)| {
            let rest = name.strip_prefix(before)?.strip_suffix(behind)?;
            (!before.is_empty()).then_some(rest)
        });
        let made = value(plain.unwrap_or(name), key, digest);
        let good = match self.rule {
            _ if found.len() > MAX_SIGNATURE => false,
            Rule::Every => true,
            Rule::Made => found.starts_with(&made),
            Rule::Most(salt) => {
                found.starts_with(&made)
                    || hash(salt, &[name.as_bytes(), key, digest, found]) % 4 != 0
            }
        };
        match found {
            _ if good => 0,
            [0xe0, ..] => EBADMSG,
            [0xe1, ..] => EINVAL,
            [0xe2, ..] => ENOPKG,
            _ => EKEYREJECTED,
        }
    }
}

/// The signature that a key makes; a signature may be longer. The name is `rsa,sha256`,
/// `ecdsa-nist-p256` and so on.
pub fn value(name: &str, key: &[u8], digest: &[u8]) -> [u8; 8] {
    let mut value = hash(1, &[name.as_bytes(), key, digest]).to_be_bytes();
    // Not one of those that have an error number of their own.
    value[0] &= 0x7f;
    value
}

/// A digest.
pub fn digest(name: &str, data: &[u8], size: usize) -> Vec<u8> {
    let start = hash(2, &[name.as_bytes(), data]);
    let octets = (0..).flat_map(|n| mix(start.wrapping_add(n)).to_be_bytes());
    octets.take(size).collect()
}

fn hash(seed: u64, parts: &[&[u8]]) -> u64 {
    let mut hash = mix(seed);
    for part in parts {
        let mut chunks = part.chunks_exact(8);
        for chunk in &mut chunks {
            let chunk = u64::from_le_bytes(chunk.try_into().expect("has eight bytes"));
            hash = (hash ^ chunk).wrapping_mul(0x9fb2_1c65_1e98_df25);
            hash ^= hash >> 29;
        }
        let mut rest = [0; 8];
        rest[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
        hash = mix(hash ^ u64::from_le_bytes(rest)).wrapping_add(part.len() as u64);
    }
    mix(hash)
}

/// Bytes in hexadecimal, `-` for none.
pub fn hex(octets: &[u8]) -> String {
    if octets.is_empty() {
        return "-".to_owned();
    }
    octets.iter().fold(String::new(), |mut text, octet| {
        write!(text, "{octet:02x}").expect("a string takes all");
        text
    })
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if text == "-" {
        return Some(vec![]);
    }
    let digits: Vec<u8> = text
        .chars()
        .map(|c| c.to_digit(16).map(|digit| digit as u8))
        .collect::<Option<_>>()?;
    let pairs = digits.chunks(2);
    pairs
        .map(|pair| Some(pair.first()? << 4 | pair.get(1)?))
        .collect()
}

/// A module in a world.
#[derive(Clone, Debug)]
pub struct Case {
    /// The world.
    pub world: World,
    /// All of the file.
    pub file: Vec<u8>,
}

impl Case {
    /// The case as text.
    pub fn to_text(&self) -> String {
        let World {
            series: _,
            keys,
            certificates,
            files,
            missing,
            rule,
            flags,
        } = &self.world;
        let mut text = format!("series {}\n", self.world.series().name);
        text += &match rule {
            Rule::Made => "rule made\n".to_owned(),
            Rule::Every => "rule every\n".to_owned(),
            Rule::Most(salt) => format!("rule most {salt}\n"),
        };
        if *flags != 0 {
            text += &format!("flags {flags}\n");
        }
        for key in keys {
            let ring = RINGS.iter().find(|(ring, _)| *ring == key.ring);
            text += &format!(
                "key {} {:?} {} {} {}\n",
                ring.map_or("", |(_, name)| name),
                key.algorithm,
                hex(&key.octets),
                hex(&key.id),
                key.key_id.as_ref().map_or("none".to_owned(), |id| hex(id)),
            );
        }
        for digest in certificates {
            text += &format!("certificate {}\n", hex(digest));
        }
        for digest in files {
            text += &format!("file-hash {}\n", hex(digest));
        }
        for name in missing {
            text += &format!("missing {name}\n");
        }
        text + &format!("file {}\n", hex(&self.file))
    }

    /// Reads that text; lines that begin with `#` say nothing.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut case = Case {
            world: World::new(0),
            file: vec![],
        };
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        for line in lines.filter(|line| !line.trim().is_empty()) {
            case.line(line)
                .ok_or_else(|| format!("cannot read: {line}"))?;
        }
        Ok(case)
    }

    fn line(&mut self, line: &str) -> Option<()> {
        let words: Vec<_> = line.split_whitespace().collect();
        let world = &mut self.world;
        match words[..] {
            ["series", name] => {
                world.series = SERIES.iter().position(|series| series.name == name)?;
            }
            ["rule", "made"] => world.rule = Rule::Made,
            ["rule", "every"] => world.rule = Rule::Every,
            ["rule", "most", salt] => world.rule = Rule::Most(salt.parse().ok()?),
            ["flags", flags] => world.flags = flags.parse().ok()?,
            ["key", ring, algorithm, octets, id, key_id] => world.keys.push(Key {
                ring: RINGS.iter().find(|(_, name)| *name == ring)?.0,
                algorithm: *KEYS
                    .iter()
                    .find(|known| format!("{known:?}") == algorithm)?,
                octets: from_hex(octets)?,
                id: from_hex(id)?,
                key_id: match key_id {
                    "none" => None,
                    id => Some(from_hex(id)?),
                },
            }),
            ["certificate", digest] => world.certificates.push(from_hex(digest)?),
            ["file-hash", digest] => world.files.push(from_hex(digest)?),
            ["missing", name] => world.missing.push(name.to_owned()),
            ["file", file] => self.file = from_hex(file)?,
            _ => return None,
        }
        Some(())
    }
}
