// SPDX-License-Identifier: MIT OR Apache-2.0

//! What checking a module costs in the guest, in instructions, whole and by stage.
//!
//! Each measurement is a whole finit_module(2), read from a kernel that is not instrumented. The
//! stages are differences between files that a verifier gives up at one place or another. All
//! files of one size have exactly that size, so that reading them costs the same. The loader
//! refuses every one of them: those that the verifier lets through for their `vermagic`, before
//! anything is laid out. So there are two families, and only members of one are subtracted from
//! each other, since the other one ends differently:
//!
//! | file | ends with | what was done |
//! |---|---|---|
//! | [`Stop::Bare`], marker and header only | EBADMSG | the marker was found |
//! | [`Stop::Length`], no size of its own: too long a length in the trailer | EBADMSG | and the header was read |
//! | [`Stop::Length`] of a size | EBADMSG | the same |
//! | [`Stop::End`], one element too many at the end of the SignerInfo | EBADMSG | and the message was read to its last byte |
//! | [`Stop::Flipped`], altered after signing | EKEYREJECTED | and key looked up, content digested, signature checked |
//! | [`Stop::Unsigned`], marker altered | ENOEXEC | nothing |
//! | [`Stop::Unknown`], signer whom nobody trusts | ENOEXEC | trailer, message, key looked up in vain; by C also the digest |
//! | [`Stop::Good`] | ENOEXEC | all; Debian's 6.12 also asks whether the file is blacklisted |
//!
//! - trailer = the smallest `Length` - `Bare`
//! - parse = `End` - `Length`, with what freeing the half-built message costs
//! - digest = what a block of the digest costs, times the number of blocks with the padding; the
//!   former from how `Flipped` grows with size more than `Unsigned` does
//! - lookup = `Unknown` - `Unsigned` - trailer - parse - what `Unknown` spends on blocks; with
//!   preparing the digest and asking for revoked keys
//! - blacklist = growth of `Good` with size over that of `Flipped`
//! - signature = `Good` - `Unsigned` - all others; the fixed part of the blacklist is in it

pub(super) mod measure;
pub mod proofs;
pub mod releases;
mod report;

pub use measure::Measurement;

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{bail, ensure, Context, Result};
use modsig::verify::trailer::{self, MARKER};
use modsig_tools::{
    certificate::{CertificateIds, SignerIdForm},
    digest::digest_by_name,
    keys,
    message::{self, SignerParts},
    signer::{self, Signer},
};
use serde::Serialize;

/// Sizes of the files in bytes.
pub const SIZES: [usize; 3] = [SMALLEST, 256 << 10, LARGEST];
const SMALLEST: usize = 16 << 10;
const LARGEST: usize = 4 << 20;

/// Key, as `scripts/build/keys` names it, and digest. Both digests cost the same.
pub const SIGNERS: [(&str, &str); 3] = [
    ("rsa4096", "sha512"),
    ("p384", "sha384"),
    ("p256", "sha512"),
];

/// Blocks of SHA-384 and SHA-512 for so many bytes: each has 128, and there is padding of at least
/// one bit and a count of 16 bytes.
fn blocks_sha512(octets: usize) -> f64 {
    (octets + 17).div_ceil(128) as f64
}

/// The same for SHA-256.
fn blocks_sha256(octets: usize) -> f64 {
    (octets + 9).div_ceil(64) as f64
}

/// Where the verifier stops, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// Finds no signature.
    Unsigned,
    /// Finds a marker and nothing in front of the header.
    Bare,
    /// Finds a length in the header that is larger than the file.
    Length,
    /// Finds an element too many at the very end of the message.
    End,
    /// Does not find the key.
    Unknown,
    /// Finds that the digest is another one.
    Flipped,
    /// Is content, and has not seen the signature before, which others have, too ([`releases`]).
    First,
    /// Is content.
    Good,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Size of the file in bytes; 0 for the smallest that there can be.
    pub size: usize,
    /// Index in [`SIGNERS`], or [`proofs::PROOF`], or one of those of [`releases`].
    pub signer: usize,
    /// Where the verifier stops.
    pub stop: Stop,
    /// Whether the kernel may log a line of its verdict.
    pub logged: bool,
}

impl Key {
    /// Whether it is measured a second time with the kernel logging: if the module is let in
    /// without a good signature, on which Rust logs a line (at most 10 in 5 seconds unless
    /// `kernel.printk_ratelimit*` say otherwise) and C does not.
    pub fn is_logged_too(&self) -> bool {
        matches!(self.stop, Stop::Unsigned | Stop::Unknown)
    }

    /// The error number that finit_module(2) must answer with.
    fn errno(&self) -> u32 {
        match self.stop {
            Stop::Unsigned | Stop::Unknown | Stop::First | Stop::Good => 8, // ENOEXEC
            Stop::Bare | Stop::Length | Stop::End => 74,                    // EBADMSG
            Stop::Flipped => 129,                                           // EKEYREJECTED
        }
    }
}

/// A file that is measured.
pub struct Input {
    /// Without the log line; measured with it as well if [`Key::is_logged_too`].
    pub key: Key,
    /// The file.
    pub file: Vec<u8>,
    /// How many bytes of it are digested.
    content: usize,
}

impl Input {
    /// How often it is listed. The smallest files cost so little that a guest's state counts
    /// (where the allocator is in its cycle); they are tried in more of it.
    pub fn repeats(&self) -> usize {
        match self.key.size {
            0 => 8,
            _ => 1,
        }
    }
}

/// Makes all files from a module of the kernel's build.
pub fn inputs(module: &[u8], keys: &Path) -> Result<Vec<Input>> {
    let module = with_other_vermagic(module)?;
    let mut inputs = vec![];
    let mut add = |size, signer, stop, file: Vec<u8>| {
        let content = trailer::split(&file).map_or(0, |split| split.content.len());
        let logged = false;
        let key = Key {
            size,
            signer,
            stop,
            logged,
        };
        inputs.push(Input { key, file, content });
    };
    add(0, 0, Stop::Bare, message::trailer(0));
    let longer = signer::append(b"x", &[])?;
    add(0, 0, Stop::Length, with_length_too_large(longer));
    for size in SIZES {
        for (index, (name, digest)) in SIGNERS.into_iter().enumerate() {
            let signed = Signed::new(&module, size, keys, name, digest)?;
            let good = signed.file(&signed.parts, None)?;
            if index == 0 {
                let mut unsigned = good.clone();
                unsigned[size - 1] ^= 1;
                add(size, index, Stop::Unsigned, unsigned);
                let mut flipped = good.clone();
                // In the filling, which the loader does not look at.
                flipped[size / 2] ^= 1;
                add(size, index, Stop::Flipped, flipped);
            }
            add(
                size,
                index,
                Stop::Length,
                with_length_too_large(good.clone()),
            );
            let end = signed.file(&signed.parts, Some(&[5, 0]))?;
            add(size, index, Stop::End, end);
            add(size, index, Stop::Unknown, signed.unknown(keys)?);
            add(size, index, Stop::Good, good);
        }
    }
    Ok(inputs)
}

/// Alters `vermagic` in place.
fn with_other_vermagic(module: &[u8]) -> Result<Vec<u8>> {
    let mut module = module.to_vec();
    let name = b"\0vermagic=";
    let at = module
        .windows(name.len())
        .position(|window| window == name)
        .context("the module has no vermagic")?;
    module[at + name.len()] ^= 1;
    Ok(module)
}

/// Fills a module up to a size: in front of the section headers, which are its end.
fn fill(module: &[u8], size: usize) -> Result<Vec<u8>> {
    let field = |at: usize| Some(u64::from_le_bytes(module.get(at..at + 8)?.try_into().ok()?));
    let headers = field(40).context("the module is no ELF file")? as usize;
    let count = usize::from(u16::from_le_bytes([module[60], module[61]]));
    ensure!(
        headers + count * 64 == module.len(),
        "the module does not end with its section headers"
    );
    let more = size
        .checked_sub(module.len())
        .context("the module is larger than the file that is to be made of it")?;
    let mut filled = module[..headers].to_vec();
    filled.resize(headers + more, 0);
    filled.extend_from_slice(&module[headers..]);
    filled[40..48].copy_from_slice(&((headers + more) as u64).to_le_bytes());
    Ok(filled)
}

/// Sets the length in the trailer to the largest that there is.
fn with_length_too_large(mut file: Vec<u8>) -> Vec<u8> {
    let length = file.len() - MARKER.len() - 4;
    file[length..length + 4].fill(0xff);
    file
}

/// A module that fills a file of a certain size together with its signature.
struct Signed {
    module: Vec<u8>,
    size: usize,
    content: Vec<u8>,
    parts: SignerParts,
}

impl Signed {
    fn new(module: &[u8], size: usize, keys: &Path, name: &str, digest: &str) -> Result<Self> {
        let path = |kind| keys.join(format!("{name}.{kind}.pem"));
        let certificate = keys::certificate(&path("cert"))?;
        let key = keys::private_key(&path("key"), None)?;
        let form = SignerIdForm::IssuerAndSerial;
        let signer = Signer::new(key, &certificate, digest_by_name(digest)?, form)?;
        let appended = |parts: &SignerParts| {
            let message = message::signed_data(std::slice::from_ref(parts), &[]);
            message.len() + message::trailer(0).len()
        };
        // An ECDSA signature has one of a few lengths, by chance.
        let mut length = appended(&signer.parts(module)?);
        for _ in 0..100 {
            let content = fill(module, size - length)?;
            let parts = signer.parts(&content)?;
            if appended(&parts) == length {
                return Ok(Signed {
                    module: module.to_vec(),
                    size,
                    content,
                    parts,
                });
            }
            length = appended(&parts);
        }
        bail!("{name}: no two signatures of one length");
    }

    /// The file with these parts, and perhaps one element more in the SignerInfo. If the message
    /// is longer or shorter by that, the module is shorter or longer.
    fn file(&self, parts: &SignerParts, more: Option<&[u8]>) -> Result<Vec<u8>> {
        let message = match more {
            None => message::signed_data(std::slice::from_ref(parts), &[]),
            Some(more) => {
                // The signature is the last field: an element in it ends up behind it if the
                // length in front of it does not count that element.
                let mut longer = parts.clone();
                longer.signature.extend_from_slice(more);
                let mut message = message::signed_data(&[longer], &[]);
                let length = message.len() - parts.signature.len() - more.len() - 1;
                message[length] -= u8::try_from(more.len())?;
                message
            }
        };
        let content = self.size - message.len() - message::trailer(0).len();
        let content = if content == self.content.len() {
            self.content.clone()
        } else {
            fill(&self.module, content)?
        };
        signer::append(&content, &message)
    }

    /// The file, signed by someone whom nobody trusts.
    fn unknown(&self, keys: &Path) -> Result<Vec<u8>> {
        let certificate = keys::certificate(&keys.join("untrusted.cert.pem"))?;
        let mut parts = self.parts.clone();
        parts.sid = CertificateIds::new(&certificate)?
            .sid(SignerIdForm::IssuerAndSerial)?
            .1;
        self.file(&parts, None)
    }
}

/// What was measured.
pub struct Costs {
    /// Instructions of a whole finit_module(2).
    totals: BTreeMap<Key, u64>,
    /// Bytes that are digested.
    contents: BTreeMap<Key, usize>,
}

impl Costs {
    /// Reads what came out of the verdict port; `inputs` are those of the guest's list.
    pub fn parse(text: &str, inputs: &[Input]) -> Result<Self> {
        let mut totals = BTreeMap::new();
        let mut done = false;
        let mut last = None;
        // What the loader says of a file that the verifier let through.
        let mut vermagic = false;
        let check = |last: Option<Key>, vermagic: bool| {
            let wanted = last.is_none_or(|key: Key| (key.errno() == 8) == vermagic);
            ensure!(
                wanted,
                "{last:?}: not refused for the reason that was to be"
            );
            Ok(())
        };
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["cost", index, logged, result, count] => {
                    check(last, vermagic)?;
                    let input = inputs
                        .get(index.parse::<usize>()?)
                        .context("the guest made up a file")?;
                    let key = Key {
                        logged: logged == "1",
                        ..input.key
                    };
                    ensure!(
                        result.parse::<u32>()? == key.errno(),
                        "{key:?}: error number {result}, not {}",
                        key.errno()
                    );
                    let count: u64 = count.parse()?;
                    totals
                        .entry(key)
                        .and_modify(|least| *least = count.min(*least))
                        .or_insert(count);
                    (last, vermagic) = (Some(key), false);
                }
                ["log", ..] => vermagic |= line.contains("version magic"),
                ["done"] => done = true,
                _ => bail!("the guest said {line:?}"),
            }
        }
        check(last, vermagic)?;
        ensure!(done, "the guest did not come to its end");
        let contents = inputs.iter().map(|input| (input.key, input.content));
        Ok(Costs {
            totals,
            contents: contents.collect(),
        })
    }

    /// A whole finit_module(2).
    pub fn total(&self, key: &Key) -> Result<u64> {
        let found = self.totals.get(key).copied();
        found.with_context(|| format!("{key:?} was not measured"))
    }

    fn get(&self, size: usize, signer: usize, stop: Stop) -> Result<f64> {
        let key = Key {
            size,
            signer,
            stop,
            logged: false,
        };
        Ok(self.total(&key)? as f64)
    }

    /// Bytes of content of a file with a signature.
    fn content(&self, size: usize, signer: usize) -> Result<usize> {
        let key = Key {
            size,
            signer,
            stop: Stop::Good,
            logged: false,
        };
        let found = self.contents.get(&key).copied();
        found.with_context(|| format!("{key:?} was not made"))
    }

    /// How much more a file of the largest size costs than one of the smallest, over what `base`
    /// does.
    fn growth(&self, signer: usize, stop: Stop, base: Stop) -> Result<f64> {
        let over =
            |size| -> Result<f64> { Ok(self.get(size, signer, stop)? - self.get(size, 0, base)?) };
        Ok(over(LARGEST)? - over(SMALLEST)?)
    }

    /// The stages of checking a good signature on a module of a size.
    pub fn stages(&self, size: usize, signer: usize) -> Result<Stages> {
        let get = |stop| self.get(size, signer, stop);
        let unsigned = self.get(size, 0, Stop::Unsigned)?;
        let blocks =
            |size, signer| -> Result<f64> { Ok(blocks_sha512(self.content(size, signer)?)) };
        // What one block costs in the files of a signer, if anything.
        let block = |signer, stop| -> Result<f64> {
            let more = blocks(LARGEST, signer)? - blocks(SMALLEST, signer)?;
            Ok(self.growth(signer, stop, Stop::Unsigned)? / more)
        };

        let trailer = self.get(0, 0, Stop::Length)? - self.get(0, 0, Stop::Bare)?;
        let parse = get(Stop::End)? - get(Stop::Length)?;
        let digested = block(signer, Stop::Unknown)? * blocks(size, signer)?;
        let lookup = get(Stop::Unknown)? - unsigned - trailer - parse - digested;
        let digest = block(0, Stop::Flipped)? * blocks(size, signer)?;
        let blacklist = self.growth(0, Stop::Good, Stop::Flipped)?
            / (blocks_sha256(LARGEST) - blocks_sha256(SMALLEST))
            * blocks_sha256(size);
        let signature = get(Stop::Good)? - unsigned - trailer - parse - lookup - digest - blacklist;
        Ok(Stages {
            trailer,
            parse,
            lookup,
            digest,
            signature,
            blacklist,
        })
    }
}

/// Instructions of each stage.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Stages {
    /// Reading the header behind the message.
    pub trailer: f64,
    /// Reading the message.
    pub parse: f64,
    /// Looking for the signer's key, among the revoked ones as well.
    pub lookup: f64,
    /// Digesting the content.
    pub digest: f64,
    /// Checking the signature over the digest.
    pub signature: f64,
    /// Digesting the whole file for the blacklist, in trees that do.
    pub blacklist: f64,
}

/// Objects of the C verifier that serve modules alone.
const C_MODULE: &[&str] = &["kernel/module/signing.o"];
/// Those of the CMS reader, which serve other users as well (and stay in a kernel with Rust).
const C_CMS: &[&str] = &[
    "kernel/module_signature.o",
    "crypto/asymmetric_keys/pkcs7.asn1.o",
    "crypto/asymmetric_keys/pkcs7_parser.o",
    "crypto/asymmetric_keys/pkcs7_verify.o",
    "crypto/asymmetric_keys/pkcs7_trust.o",
    "lib/asn1_decoder.o",
    "lib/oid_registry.o",
];
/// Those of the certificate reader, which keyrings need in every kernel.
const C_X509: &[&str] = &[
    "crypto/asymmetric_keys/x509.asn1.o",
    "crypto/asymmetric_keys/x509_akid.asn1.o",
    "crypto/asymmetric_keys/x509_cert_parser.o",
];
/// Those of the Rust verifier; what is left of `signing.o` is `module.sig_enforce`.
const RUST: &[&str] = &["kernel/module/modsig/modsig.o", "kernel/module/signing.o"];

/// Bytes of text and read-only data.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Sizes {
    /// C: what is for modules alone.
    pub c_module: u64,
    /// C: the CMS reader that it calls, and others do.
    pub c_cms: u64,
    /// C: the certificate reader that this one calls, and the keyrings do.
    pub c_x509: u64,
    /// Rust, all of it.
    pub rust: u64,
}

impl Sizes {
    /// Reads them from the object directories of both kernels.
    pub fn read(c: &Path, rust: &Path) -> Result<Self> {
        let sum = |directory: &Path, names: &[&str]| -> Result<u64> {
            let sizes = names.iter().map(|name| code_size(&directory.join(name)));
            sizes.sum()
        };
        Ok(Sizes {
            c_module: sum(c, C_MODULE)?,
            c_cms: sum(c, C_CMS)?,
            c_x509: sum(c, C_X509)?,
            rust: sum(rust, RUST)?,
        })
    }
}

/// Size of an object's `.text*` and `.rodata*` (a 64-bit little-endian ELF file).
pub fn code_size(path: &Path) -> Result<u64> {
    let mut sum = 0;
    sections(path, |section| {
        if section.name.starts_with(b".text") || section.name.starts_with(b".rodata") {
            sum += section.octets;
        }
    })?;
    Ok(sum)
}

/// What `size` counts as text and as data of such a file: what is in memory and read-only, and what
/// is in memory, written to, and in the file.
pub fn text_and_data(path: &Path) -> Result<(u64, u64)> {
    const SHT_NOBITS: u64 = 8;
    const SHF_WRITE: u64 = 1;
    const SHF_ALLOC: u64 = 2;
    let (mut text, mut data) = (0, 0);
    sections(path, |section| {
        match section.flags & (SHF_ALLOC | SHF_WRITE) {
            SHF_ALLOC => text += section.octets,
            flags if flags & SHF_ALLOC != 0 && section.kind != SHT_NOBITS => data += section.octets,
            _ => {}
        }
    })?;
    Ok((text, data))
}

/// A section of an ELF file.
struct Section<'a> {
    /// The name, and whatever comes behind it.
    name: &'a [u8],
    kind: u64,
    flags: u64,
    octets: u64,
}

/// Shows all sections.
fn sections(path: &Path, mut show: impl FnMut(&Section<'_>)) -> Result<()> {
    let object = fs::read(path).with_context(|| {
        format!(
            "{}: cannot read; scripts/build/kernel leaves it in its tree",
            path.display()
        )
    })?;
    let mut read = || -> Option<()> {
        let word = |at: u64, octets: usize| -> Option<u64> {
            let at = usize::try_from(at).ok()?;
            let mut value = [0; 8];
            value[..octets].copy_from_slice(object.get(at..at.checked_add(octets)?)?);
            Some(u64::from_le_bytes(value))
        };
        let (headers, count, names) = (word(40, 8)?, word(60, 2)?, word(62, 2)?);
        let names = word(headers + names * 64 + 24, 8)?;
        for header in (0..count).map(|index| headers + index * 64) {
            let name = usize::try_from(names + word(header, 4)?).ok()?;
            show(&Section {
                name: object.get(name..)?,
                kind: word(header + 4, 4)?,
                flags: word(header + 8, 8)?,
                octets: word(header + 32, 8)?,
            });
        }
        Some(())
    };
    read().with_context(|| format!("{}: not the object file that was expected", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const APPENDED: usize = 700;

    /// A guest with a verifier of known costs, which digests before or after it looks for the key.
    fn guest(digests_first: bool) -> (Vec<Input>, String) {
        let (mut inputs, mut text) = (vec![], String::new());
        let mut add = |size: usize, signer, stop| {
            let content = size.saturating_sub(APPENDED);
            let digest = 3000 * blocks_sha512(content) as u64;
            let blacklist = 1000 * blocks_sha256(size) as u64;
            let (trailer, parse, lookup, signature) = (100, 7000, 16_000, 3_000_000);
            let found = trailer + parse + lookup;
            let done = match stop {
                Stop::Unsigned | Stop::Bare => 0,
                Stop::Length => trailer,
                Stop::End => trailer + parse,
                Stop::Unknown if digests_first => found + digest,
                Stop::Unknown => found,
                Stop::Flipped => found + digest + signature,
                Stop::First | Stop::Good => found + digest + signature + blacklist,
            };
            let key = Key {
                size,
                signer,
                stop,
                logged: false,
            };
            let (ending, line) = match key.errno() {
                8 => (20_000, "log module: version magic 'x' should be 'y'\n"),
                _ => (4000, ""),
            };
            let index = inputs.len();
            let count = size as u64 / 2 + done + ending;
            text += &format!("cost {index:03} 0 {} {count}\n{line}", key.errno());
            let file = vec![];
            inputs.push(Input { key, file, content });
        };
        add(0, 0, Stop::Bare);
        add(0, 0, Stop::Length);
        for size in SIZES {
            for stop in [
                Stop::Unsigned,
                Stop::Flipped,
                Stop::Length,
                Stop::End,
                Stop::Unknown,
                Stop::Good,
            ] {
                add(size, 0, stop);
            }
        }
        (inputs, text + "done\n")
    }

    #[test]
    fn stages_are_found_in_whatever_order_they_are() {
        for digests_first in [false, true] {
            let (inputs, text) = guest(digests_first);
            let costs = Costs::parse(&text, &inputs).unwrap();
            for size in SIZES {
                let stages = costs.stages(size, 0).unwrap();
                let digest = 3000.0 * blocks_sha512(size - APPENDED);
                let near = |found: f64, wanted: f64| (found - wanted).abs() < 1.0;
                assert!(near(stages.trailer, 100.0), "{stages:?}");
                assert!(near(stages.parse, 7000.0), "{stages:?}");
                assert!(near(stages.lookup, 16_000.0), "{stages:?}");
                assert!(near(stages.digest, digest), "{stages:?}");
                assert!(near(stages.signature, 3_000_000.0), "{stages:?}");
                let blacklist = 1000.0 * blocks_sha256(size);
                assert!(near(stages.blacklist, blacklist), "{stages:?}");
            }
        }
    }

    #[test]
    fn a_file_that_is_refused_for_another_reason_is_an_error() {
        let (inputs, text) = guest(false);
        for (from, to) in [
            ("version magic", "something else"),
            ("0 129 ", "0 74 "),
            ("done\n", ""),
        ] {
            assert!(Costs::parse(&text.replace(from, to), &inputs).is_err());
        }
    }

    #[test]
    fn a_filled_module_still_ends_with_its_section_headers() {
        let mut module = vec![0; 64];
        module[40] = 64;
        module[60] = 1;
        module.extend([7; 64]);
        let filled = fill(&module, 1000).unwrap();
        assert_eq!(filled.len(), 1000);
        assert_eq!(filled[40..48], 936u64.to_le_bytes());
        assert_eq!(filled[936..], [7; 64]);
        assert!(fill(&module, 100).is_err());
        module.push(0);
        assert!(fill(&module, 1000).is_err());
    }

    #[test]
    fn sizes_are_those_of_the_sections_that_are_in_memory() {
        // Name, type, flags, size; as in a vmlinux and in a module's object.
        const SECTIONS: [(&str, u64, u64, u64); 7] = [
            ("", 0, 0, 0),
            (".text.one", 1, 6, 1000),
            (".rodata", 1, 2, 200),
            (".notes", 7, 2, 30),
            (".data", 1, 3, 4000),
            (".bss", 8, 3, 50_000),
            (".debug_info", 1, 0, 600_000),
        ];
        let names = 64 + 64 * (SECTIONS.len() as u64 + 1);
        let mut object = vec![0; 64];
        object[40] = 64;
        object[60] = SECTIONS.len() as u8 + 1;
        object[62] = SECTIONS.len() as u8;
        let mut list = Vec::new();
        let mut header = |name: &str, kind: u64, flags: u64, at: u64, size: u64| {
            object.extend((list.len() as u32).to_le_bytes());
            object.extend((kind as u32).to_le_bytes());
            for word in [flags, 0, at, size, 0, 0, 0] {
                object.extend(word.to_le_bytes());
            }
            list.extend(name.as_bytes());
            list.push(0);
        };
        for (name, kind, flags, size) in SECTIONS {
            header(name, kind, flags, 0, size);
        }
        header(".shstrtab", 3, 0, names, 0);
        object.extend(list);
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), &object).unwrap();
        assert_eq!(text_and_data(file.path()).unwrap(), (1230, 4000));
        assert_eq!(code_size(file.path()).unwrap(), 1200);
        fs::write(file.path(), &object[..names as usize]).unwrap();
        assert!(text_and_data(file.path()).is_err());
    }
}
