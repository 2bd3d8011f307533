// SPDX-License-Identifier: MIT OR Apache-2.0

//! Kernel images: which certificates are built in, which of them are revoked, which hashes are
//! refused; and the root over the hashes of the build's modules. A vmlinux can be given that root,
//! and a certificate ([`Area`]).
//!
//! [`read`] takes off what the image is packed in (`layers`), down to the kernel itself: an ELF
//! file or arm64's flat image, whose parts in memory are [`Segment`]s (`elf`). In these the lists
//! are found by their symbols, or by what the kernel's sources put around them (`lists`).

mod containers;
mod elf;
mod extra_certificate;
mod layers;
mod lists;
mod module_root;
mod patch;
pub(crate) mod pe;

use std::{fs::File, os::unix::fs::FileExt, path::Path};

use anyhow::{ensure, Context, Error, Result};
use memchr::memmem;
use modsig::verify::release::CONTEXT;
use object::elf as elf_machine;
use openssl::x509::X509;

pub use self::{
    extra_certificate::Area,
    module_root::{Hashes, Vmlinux},
};
use crate::{
    loader::{Loader, Machine},
    platform::Host,
};

/// The largest image, or part of one, that is read: no kernel has as much.
const LIMIT: u64 = 1 << 30;

impl Machine {
    /// What the assembler makes of `.align`: bytes for some, a power of two for others.
    fn align(self, value: usize) -> usize {
        match self.number {
            elf_machine::EM_386
            | elf_machine::EM_X86_64
            | elf_machine::EM_S390
            | elf_machine::EM_SPARC
            | elf_machine::EM_SPARC32PLUS
            | elf_machine::EM_SPARCV9
            | elf_machine::EM_68K
            | elf_machine::EM_PARISC
            | elf_machine::EM_OPENRISC
            | elf_machine::EM_XTENSA
            | elf_machine::EM_ARC_COMPACT
            | elf_machine::EM_ARC_COMPACT2 => value,
            _ => 1 << value,
        }
    }

    /// Bytes of a `long`.
    fn word(self) -> usize {
        match self.is_64 {
            true => 8,
            false => 4,
        }
    }

    /// The number that these bytes are, at most 8.
    fn number(self, octets: &[u8]) -> u64 {
        let append = |number, &octet| number << 8 | u64::from(octet);
        match self.is_big_endian {
            true => octets.iter().fold(0, append),
            false => octets.iter().rev().fold(0, append),
        }
    }

    /// The number of `size` bytes that is at this place, if that is there.
    fn number_at(self, octets: &[u8], at: usize, size: usize) -> Option<u64> {
        Some(self.number(octets.get(at..at.checked_add(size)?)?))
    }
}

/// The lists that certificates are built into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// `CONFIG_MODULE_SIG_KEY` and `CONFIG_SYSTEM_TRUSTED_KEYS`, for the builtin trusted keyring.
    Builtin,
    /// The same, but put into the finished kernel (`CONFIG_SYSTEM_EXTRA_CERTIFICATE`).
    Extra,
    /// `CONFIG_SYSTEM_REVOCATION_KEYS`, for the blacklist keyring.
    Revoked,
}

impl List {
    /// A word for it.
    pub fn name(self) -> &'static str {
        match self {
            List::Builtin => "builtin",
            List::Extra => "extra",
            List::Revoked => "revoked",
        }
    }
}

/// A certificate that is built in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Where it is.
    pub list: List,
    /// Itself, as it stands there.
    pub der: Vec<u8>,
}

impl Certificate {
    /// Takes it apart. A kernel, too, goes on without one that it cannot read.
    pub fn x509(&self) -> Result<X509> {
        X509::from_der(&self.der).context("built in, but not a certificate that can be read")
    }
}

/// A hash that is refused (`CONFIG_SYSTEM_BLACKLIST_HASH_LIST`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hash {
    /// Of a certificate's signed part.
    Certificate(Vec<u8>),
    /// Of a file.
    File(Vec<u8>),
}

/// How it is known that the lists are the lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// The image's symbol table says where they are.
    Symbols,
    /// They, and nothing else in the image, have around them what the kernel's sources put there.
    Structure,
    /// There is nothing that looks like one.
    Nothing,
}

/// What a kernel image has built in.
#[derive(Clone, Debug)]
pub struct Image {
    /// What it was packed in, from the outside to the inside: `["bzImage", "xz", "ELF"]`.
    pub layers: Vec<&'static str>,
    /// What it runs on.
    pub machine: Machine,
    /// What it says of itself, as in /proc/version: the last one, for it may have others that were put
    /// there before it was known how often it had been built.
    pub banners: Vec<String>,
    /// The kernel's release.
    pub release: Option<String>,
    /// What its own modules say that they are built for, if that was found.
    pub vermagic: Option<String>,
    /// How the certificates were found.
    pub evidence: Evidence,
    /// The certificates, in the order of the lists.
    pub certificates: Vec<Certificate>,
    /// Whether it has a list of revoked certificates, be it empty (`CONFIG_SYSTEM_REVOCATION_LIST`), if that can
    /// be told. A kernel without one passes over the certificates that the firmware refuses.
    pub has_revocation_list: Option<bool>,
    /// The refused hashes.
    pub blacklist: Vec<Hash>,
    /// Whether it looks for a module file among them, if that can be told. In C only Debian's patch does, in some
    /// series; modsig does what the tree's C code does, and its image does not tell.
    pub refuses_files: Option<bool>,
    /// How it knows modules by their hashes, if it does.
    pub hashes: Option<Hashes>,
    /// Whether it takes a signature for all modules of a release (`CONFIG_MODULE_SIG_RUST_RELEASE`), if that is
    /// known.
    pub takes_releases: Option<bool>,
}

impl Image {
    /// Whether it takes modules for a key's sake.
    pub fn accepts_keys(&self) -> bool {
        self.hashes.is_none_or(|hashes| hashes.keys)
    }

    /// What its module loader compares modules with.
    pub fn loader(&self) -> Loader {
        Loader {
            machine: Some(self.machine),
            release: self.release.clone(),
            vermagic: self.vermagic.clone(),
        }
    }

    /// Makes a host trust and refuse what a kernel of this image does. Returns what that kernel
    /// would have to do without, too: what is built in, but cannot be read.
    pub fn equip(&self, host: &mut Host) -> Vec<Error> {
        let mut failed = vec![];
        for certificate in &self.certificates {
            let filed = certificate.x509().and_then(|x509| match certificate.list {
                List::Builtin | List::Extra => host.trust(&x509),
                List::Revoked => host.revoke(&x509),
            });
            failed.extend(filed.err());
        }
        for hash in &self.blacklist {
            match hash {
                Hash::Certificate(digest) => host.blacklist_certificate(digest.clone()),
                // The kernel asks for files by this digest only.
                Hash::File(digest) => {
                    if let Ok(sha256) = digest[..].try_into() {
                        host.blacklist(sha256);
                    }
                }
            }
        }
        if let Some(hashes) = self.hashes {
            host.accept_hashes(hashes.root);
        }
        if !self.accepts_keys() {
            host.accept_no_keys();
        }
        if self.takes_releases == Some(true) {
            host.accept_releases();
        }
        if self.refuses_files == Some(false) {
            host.pass_over_files();
        }
        failed
    }
}

/// A part of the kernel as it is in memory.
struct Segment {
    address: u64,
    octets: Vec<u8>,
}

impl Segment {
    /// The bytes at an address, if they are all in this part.
    fn at(&self, address: u64, size: u64) -> Option<&[u8]> {
        let start = usize::try_from(address.checked_sub(self.address)?).ok()?;
        let end = start.checked_add(usize::try_from(size).ok()?)?;
        self.octets.get(start..end)
    }
}

/// The kernel itself, unpacked.
struct Kernel {
    machine: Machine,
    segments: Vec<Segment>,
    /// What the symbol table has of the lists; `None` if the image has no symbols.
    symbols: Option<lists::Symbols>,
}

/// What is read piece by piece: a vmlinux with debug information is much larger than the kernel.
pub(crate) trait Source {
    fn size(&self) -> Result<u64>;
    fn piece(&self, offset: u64, size: u64) -> Result<Vec<u8>>;

    /// All of it.
    fn whole(&self) -> Result<Vec<u8>> {
        self.piece(0, self.size()?)
    }
}

/// Refuses a piece that no kernel has, or that is not there.
fn check_piece(whole: u64, offset: u64, size: u64) -> Result<()> {
    ensure!(
        offset.checked_add(size).is_some_and(|end| end <= whole),
        "it is cut short: of {size} bytes from {offset} on not all are there; copy it again"
    );
    ensure!(
        size <= LIMIT,
        "a part of it has {size} bytes, which no kernel has"
    );
    Ok(())
}

impl Source for File {
    fn size(&self) -> Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn piece(&self, offset: u64, size: u64) -> Result<Vec<u8>> {
        check_piece(self.size()?, offset, size)?;
        let mut octets = vec![0; usize::try_from(size)?];
        self.read_exact_at(&mut octets, offset)?;
        Ok(octets)
    }
}

impl Source for Vec<u8> {
    fn size(&self) -> Result<u64> {
        (&self[..]).size()
    }

    fn piece(&self, offset: u64, size: u64) -> Result<Vec<u8>> {
        (&self[..]).piece(offset, size)
    }
}

impl Source for &[u8] {
    fn size(&self) -> Result<u64> {
        Ok(self.len() as u64)
    }

    fn piece(&self, offset: u64, size: u64) -> Result<Vec<u8>> {
        check_piece(self.size()?, offset, size)?;
        let (start, size) = (usize::try_from(offset)?, usize::try_from(size)?);
        Ok(self[start..start + size].to_vec())
    }
}

/// Reads an image: vmlinux, bzImage, arm64's Image, an EFI image that unpacks itself, each also
/// compressed as a whole.
///
/// # Errors
///
/// If it is none of these or damaged, or if what is in it cannot be told for sure. They name the
/// file.
pub fn read(path: &Path) -> Result<Image> {
    let open = || -> Result<Image> {
        let file = File::open(path).context("cannot open")?;
        ensure!(
            file.metadata()?.is_file(),
            "not a file; give a kernel image, as /boot/vmlinuz-... or vmlinux"
        );
        let mut names = vec![];
        let kernel = layers::unpack(&file, &mut names)?;
        let banners = banners(&kernel.segments);
        let own = banners.last();
        let own = own.context("not a kernel: nowhere does it say which Linux it is")?;
        let own = release(own).to_owned();
        let found = lists::find(&kernel)?;
        Ok(Image {
            layers: names,
            machine: kernel.machine,
            vermagic: vermagic(&kernel.segments, &own),
            release: Some(own),
            banners,
            evidence: found.evidence,
            certificates: found.certificates,
            has_revocation_list: found.has_revocation_list,
            blacklist: lists::blacklist(&kernel.segments),
            refuses_files: lists::says_of_files(&kernel),
            hashes: module_root::find(&kernel)?,
            takes_releases: Some(has_tree_heads(&kernel.segments)),
        })
    };
    open().with_context(|| path.display().to_string())
}

/// Whether somewhere in a file that is not packed stands this string, by itself.
pub fn has_string(path: &Path, string: &str) -> Result<bool> {
    /// Bytes that are looked through at a time.
    const PIECE: u64 = 1 << 20;
    let find = || -> Result<bool> {
        let wanted = [string.as_bytes(), b"\0"].concat();
        let finder = memmem::Finder::new(&wanted);
        let file = File::open(path).context("cannot open")?;
        let (mut at, size) = (0, file.size()?);
        while at < size {
            let piece = (PIECE + wanted.len() as u64).min(size - at);
            if finder.find(&file.piece(at, piece)?).is_some() {
                return Ok(true);
            }
            at += PIECE;
        }
        Ok(false)
    };
    find().with_context(|| path.display().to_string())
}

/// Whether a kernel makes tree heads, to check what is signed for a release: it has what they start with. One
/// without `CONFIG_MODULE_SIG_RUST_RELEASE`, or without modsig, has these bytes nowhere.
fn has_tree_heads(segments: &[Segment]) -> bool {
    let mut parts = segments.iter();
    parts.any(|part| memmem::find(&part.octets, &CONTEXT).is_some())
}

const BANNER: &str = "Linux version ";

/// What a kernel says of itself (init/version-timestamp.c): release, who built it with what, and when.
fn banners(segments: &[Segment]) -> Vec<String> {
    let all = segments.iter().flat_map(|segment| {
        memmem::find_iter(&segment.octets, BANNER).filter_map(|at| {
            let rest = &segment.octets[at..];
            let ends = |&byte: &u8| byte == b'\n' || byte == 0;
            let line = &rest[..rest[..rest.len().min(1024)].iter().position(ends)?];
            let line = std::str::from_utf8(line).ok()?;
            let word = release(line);
            // And not the format of one ("%s").
            let is_release = word.starts_with(|first: char| first.is_ascii_digit())
                && word.bytes().all(|byte| byte.is_ascii_graphic())
                && word.len() < line.len() - BANNER.len();
            is_release.then(|| line.to_owned())
        })
    });
    all.collect()
}

/// The release in a banner.
fn release(banner: &str) -> &str {
    let rest = banner.strip_prefix(BANNER).unwrap_or_default();
    rest.split(' ').next().unwrap_or_default()
}

/// What this kernel's modules say that they are built for (include/linux/vermagic.h): the release, a
/// space, and words that tell its configuration.
fn vermagic(segments: &[Segment], release: &str) -> Option<String> {
    const WORDS: [&str; 7] = [
        "SMP",
        "preempt",
        "preempt_rt",
        "mod_unload",
        "modversions",
        "aarch64",
        "riscv",
    ];
    let wanted = format!("{release} ");
    segments.iter().find_map(|segment| {
        memmem::find_iter(&segment.octets, &wanted).find_map(|at| {
            let rest = &segment.octets[at..];
            let text = &rest[..memchr::memchr(0, &rest[..rest.len().min(256)])?];
            let text = std::str::from_utf8(text).ok()?;
            let is_text = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
            // The banner, too, has the release in it.
            let is_alone = at == 0 || !is_text(segment.octets[at - 1]);
            let mut words = text[wanted.len()..].split(' ');
            let is_known = text == wanted || words.any(|word| WORDS.contains(&word));
            (is_alone && is_known && text.bytes().all(is_text)).then(|| text.to_owned())
        })
    })
}
