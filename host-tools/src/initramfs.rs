// SPDX-License-Identifier: MIT OR Apache-2.0

//! The modules in an initramfs (Documentation/driver-api/early-userspace/buffer-format.rst): archives of cpio, one
//! behind the other, each as it is or packed; in a file of its own, or in a unified kernel image.
//!
//! It is read twice, since it cannot be read from just anywhere: first all of it, for what is in it, and then each
//! module in its turn. No more than one module for each job is in memory.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead, BufReader, ErrorKind, Read},
    ops::Range,
    os::unix::{ffi::OsStrExt, fs::FileExt},
    path::{Path, PathBuf},
    sync::{Condvar, Mutex, PoisonError},
};

use anyhow::{anyhow, bail, ensure, Context, Error, Result};
use flate2::bufread::GzDecoder;
use liblzma::{bufread::XzDecoder, stream::Stream};
use rustix::fs::{Mode, OFlags};

use crate::{
    files::is_module_name,
    image::pe::Program,
    lz4::{self, Lz4},
    memory,
};

/// Bytes that are read and unpacked, at most: no machine has as much in its memory as it boots.
const LARGEST: u64 = 4 << 30;
/// Bytes of the largest module.
const MODULE: u64 = 1 << 30;
/// Modules, at most: ten times as many as any kernel has.
const MODULES: usize = 1 << 17;
/// Bytes of a name, with the zero at its end (`PATH_MAX`).
const NAME: u64 = 4096;
/// Bytes that are read at a time, at most.
const BUFFER: usize = 1 << 16;
static ZEROS: [u8; BUFFER] = [0; BUFFER];
/// Bytes that unpacking may need beside that: a kernel takes no more of zstd, and xz -9 needs half of it.
const MEMORY: u64 = 128 << 20;

/// An initramfs.
#[derive(Debug)]
pub struct Initramfs {
    path: PathBuf,
    file: File,
    parts: Vec<Range<u64>>,
    /// Names of the modules, in their order.
    pub modules: Vec<PathBuf>,
    /// Why it could not be read to its end, if so.
    pub broken: Option<Error>,
}

impl Initramfs {
    /// Reads what is in it.
    ///
    /// # Errors
    ///
    /// If it is none, or cannot be read at all. They name the file.
    pub fn open(path: &Path) -> Result<Self> {
        Self::read(path).with_context(|| path.display().to_string())
    }

    /// The same; errors do not name the file.
    pub fn read(path: &Path) -> Result<Self> {
        // Without waiting: a pipe would wait for a writer.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags, Mode::empty()).map_err(std::io::Error::from);
        let file = File::from(file.context("cannot open")?);
        let metadata = file.metadata()?;
        ensure!(
            metadata.is_file(),
            "not a file; give an initramfs, as /boot/initrd.img-..., or a unified kernel image"
        );
        ensure!(metadata.len() != 0, "the file is empty; make it again");
        let mut magic = [0; 2];
        let is_program = file.read_exact_at(&mut magic, 0).is_ok() && &magic == b"MZ";
        let parts = match is_program {
            true => {
                let program = Program::read(&file);
                let found = program
                    .iter()
                    .flat_map(|program| program.sections(".initrd"));
                let found: Vec<Range<u64>> = found.collect();
                ensure!(
                    !found.is_empty(),
                    "an EFI program that has no initramfs in it (section .initrd); give the file of the initramfs"
                );
                found
            }
            false => std::iter::once(0..metadata.len()).collect(),
        };
        let mut walk = Walk::new(file.try_clone()?, &parts);
        let mut modules = vec![];
        let broken = loop {
            match walk.next() {
                Ok(Some(entry)) => modules.push(entry.name),
                Ok(None) => break None,
                // What does not even begin as one.
                Err(error) if walk.entries == 0 => return Err(error),
                Err(error) => break Some(error),
            }
            if modules.len() > MODULES {
                bail!("it has more than {MODULES} modules, which no kernel has");
            }
        };
        Ok(Initramfs {
            path: path.to_path_buf(),
            file,
            parts,
            modules,
            broken,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What a module is called in what is printed: `initrd.img:usr/lib/modules/...`, each once.
    pub fn names(&self) -> Vec<PathBuf> {
        let mut seen: HashMap<&Path, usize> = HashMap::new();
        let named = self.modules.iter().map(|module| {
            let count = seen.entry(module).or_default();
            *count += 1;
            let mut name = self.path.clone().into_os_string();
            name.push(":");
            name.push(module);
            if *count > 1 {
                name.push(format!(" (number {count} of that name)"));
            }
            PathBuf::from(name)
        });
        named.collect()
    }

    /// Begins to read the modules.
    pub fn contents(&self) -> Result<Contents<'_>> {
        Ok(Contents {
            initramfs: self,
            state: Mutex::new((Walk::new(self.file.try_clone()?, &self.parts), 0)),
            turn: Condvar::new(),
        })
    }
}

/// The modules of an initramfs, to be read one after the other.
#[derive(Debug)]
pub struct Contents<'a> {
    initramfs: &'a Initramfs,
    /// And which module is next.
    state: Mutex<(Walk, usize)>,
    turn: Condvar,
}

impl Contents<'_> {
    /// Reads a module into `buffer`, as soon as those in front of it have been read: each must be asked for.
    pub fn read(&self, number: usize, buffer: &mut Vec<u8>) -> Result<()> {
        let held = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held = self
            .turn
            .wait_while(held, |(_, next)| *next < number)
            .unwrap_or_else(PoisonError::into_inner);
        let (walk, next) = &mut *held;
        let mut read = || {
            let entry = walk.next()?.context(CHANGED)?;
            ensure!(entry.name == self.initramfs.modules[number], CHANGED);
            walk.content(&entry, buffer)
        };
        let result = read();
        *next = (*next).max(number + 1);
        self.turn.notify_all();
        result
    }
}

const CHANGED: &str = "it changed while it was read; do it again";
const CUT: &str = "it is cut short; make it again";

/// Bytes of a file, from one place to another.
#[derive(Debug)]
struct Piece {
    file: File,
    at: u64,
    end: u64,
}

impl Read for Piece {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let size = buffer.len().min(left);
        let count = self.file.read_at(&mut buffer[..size], self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

type Raw = BufReader<Piece>;

/// An archive, or several, that are packed as one.
enum Packed {
    Gzip(GzDecoder<Raw>),
    Xz(XzDecoder<Raw>),
    Zstd(zstd::Decoder<'static, Raw>),
    Lz4(Lz4<Raw>),
}

impl Packed {
    fn new(mut raw: Raw) -> Result<Self> {
        let head = raw.fill_buf()?;
        let has = |magic: &[u8]| head.starts_with(magic);
        let other = [
            (&b"BZh"[..], "bzip2"),
            (b"\x89LZO", "lzo"),
            (
                b"\x04\x22\x4d\x18",
                "lz4 in the form for files (kernels take that of lz4 -l)",
            ),
        ];
        let other = other.into_iter().find(|(magic, _)| has(magic));
        Ok(if has(b"\x1f\x8b") {
            Packed::Gzip(GzDecoder::new(raw))
        } else if has(b"\xfd7zXZ\0") {
            Packed::Xz(XzDecoder::new_stream(
                raw,
                Stream::new_stream_decoder(MEMORY, 0)?,
            ))
        } else if has(b"\x5d\0\0") {
            Packed::Xz(XzDecoder::new_stream(
                raw,
                Stream::new_lzma_decoder(MEMORY)?,
            ))
        } else if has(b"\x28\xb5\x2f\xfd") {
            Packed::Zstd(zstd::Decoder::with_buffer(raw)?.single_frame())
        } else if has(&lz4::MAGIC) {
            Packed::Lz4(Lz4::new(raw))
        } else if let Some((_, name)) = other {
            bail!("packed with {name}, which is not understood; unpack it (unmkinitramfs), and give the modules")
        } else if has(b"070707") || has(b"\xc7\x71") {
            bail!("an archive of cpio as no kernel takes it; make it with cpio -H newc")
        } else {
            bail!("neither an archive of cpio (initrd.img) nor packed in a way that is known")
        })
    }

    fn into_raw(self) -> Raw {
        match self {
            Packed::Gzip(decoder) => decoder.into_inner(),
            Packed::Xz(decoder) => decoder.into_inner(),
            Packed::Zstd(decoder) => decoder.finish(),
            Packed::Lz4(decoder) => decoder.into_inner(),
        }
    }
}

impl Read for Packed {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Packed::Gzip(decoder) => decoder.read(buffer),
            Packed::Xz(decoder) => decoder.read(buffer),
            Packed::Zstd(decoder) => decoder.read(buffer),
            Packed::Lz4(decoder) => decoder.read(buffer),
        }
    }
}

/// What is being read.
enum Layer {
    Raw(Raw),
    Packed(BufReader<Packed>),
}

/// A module's place in the archive that is being read.
struct Entry {
    name: PathBuf,
    size: u64,
}

/// Goes through an initramfs as the kernel does (init/initramfs.c).
struct Walk {
    file: File,
    /// What is left of them, the next one last.
    parts: Vec<Range<u64>>,
    layer: Option<Layer>,
    /// Bytes of the last file that have not been read, and those that align what is behind.
    left: (u64, u64),
    /// What the bytes of that file are to add up to, if that is said.
    sum: Option<u32>,
    /// Whether an archive was begun and has not ended.
    is_open: bool,
    /// Bytes read and unpacked.
    total: u64,
    /// Files of any kind that were found.
    entries: u64,
    /// Modules whose content stands with another name, the last one of that file (hard links), by what tells files
    /// apart.
    links: HashMap<[u32; 3], PathBuf>,
}

impl std::fmt::Debug for Walk {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Walk").finish_non_exhaustive()
    }
}

/// The numbers in front of each file of an archive.
struct Header {
    mode: u32,
    links: u32,
    /// Inode and device, which tell files apart.
    id: [u32; 3],
    size: u32,
    name: u32,
    /// What the content's bytes add up to, if that is said.
    sum: Option<u32>,
}

impl Header {
    /// Bytes of the header of the form that the kernel takes (newc).
    const SIZE: u64 = 110;

    fn read(octets: &[u8]) -> Option<Self> {
        let has_sum = match octets.get(..6)? {
            b"070701" => false,
            b"070702" => true,
            _ => return None,
        };
        let mut fields = [0; 13];
        let digits = octets[6..].chunks_exact(8);
        for (field, digits) in fields.iter_mut().zip(digits) {
            let is_number = digits.iter().all(u8::is_ascii_hexdigit);
            let digits = std::str::from_utf8(digits).ok().filter(|_| is_number)?;
            *field = u32::from_str_radix(digits, 16).ok()?;
        }
        let [inode, mode, _, _, links, _, size, major, minor, _, _, name, sum] = fields;
        Some(Header {
            mode,
            links,
            id: [inode, major, minor],
            size,
            name,
            sum: has_sum.then_some(sum),
        })
    }

    fn is_file(&self) -> bool {
        self.mode & 0o170_000 == 0o100_000
    }
}

/// Bytes that align what is behind so many.
fn padding(size: u64) -> u64 {
    size.next_multiple_of(4) - size
}

impl Walk {
    fn new(file: File, parts: &[Range<u64>]) -> Self {
        Walk {
            file,
            parts: parts.iter().rev().cloned().collect(),
            layer: None,
            left: (0, 0),
            sum: None,
            is_open: false,
            total: 0,
            entries: 0,
            links: HashMap::new(),
        }
    }

    /// The next module.
    fn next(&mut self) -> Result<Option<Entry>> {
        loop {
            self.skip()?;
            let Some(first) = self.first()? else {
                match self.layer.take() {
                    Some(Layer::Packed(packed)) => {
                        ensure!(!self.is_open, CUT);
                        self.layer = Some(Layer::Raw(packed.into_inner().into_raw()));
                        continue;
                    }
                    _ => ensure!(!self.is_open, CUT),
                }
                let Some(part) = self.parts.pop() else {
                    return Ok(None);
                };
                let piece = Piece {
                    file: self.file.try_clone()?,
                    at: part.start,
                    end: part.end,
                };
                self.layer = Some(Layer::Raw(BufReader::with_capacity(BUFFER, piece)));
                continue;
            };
            match (first, &self.layer) {
                (0, _) if !self.is_open => self.zeros()?,
                (b'0', _) => {
                    if let Some(entry) = self.entry()? {
                        return Ok(Some(entry));
                    }
                }
                (_, Some(Layer::Raw(_))) if !self.is_open => self.unpack()?,
                _ => bail!(
                    "it is damaged: behind a file in it is something that is none; make it again"
                ),
            }
        }
    }

    /// Begins to read what is packed.
    fn unpack(&mut self) -> Result<()> {
        if let Some(Layer::Raw(raw)) = self.layer.take() {
            let packed = Packed::new(raw)?;
            self.layer = Some(Layer::Packed(BufReader::with_capacity(BUFFER, packed)));
        }
        Ok(())
    }

    fn reader(&mut self) -> Option<&mut dyn BufRead> {
        match self.layer.as_mut()? {
            Layer::Raw(raw) => Some(raw),
            Layer::Packed(packed) => Some(packed),
        }
    }

    /// The next bytes, as many as are there at once; none at the end.
    fn peek(&mut self) -> Result<&[u8]> {
        match self.reader() {
            Some(reader) => reader.fill_buf().map_err(unpacked),
            None => Ok(&[]),
        }
    }

    fn first(&mut self) -> Result<Option<u8>> {
        Ok(self.peek()?.first().copied())
    }

    fn consume(&mut self, count: usize) -> Result<()> {
        if let Some(reader) = self.reader() {
            reader.consume(count);
        }
        self.total += count as u64;
        ensure!(
            self.total <= LARGEST,
            "unpacked it has more than {} GiB, which no initramfs has",
            LARGEST >> 30
        );
        Ok(())
    }

    /// Goes past zeros.
    fn zeros(&mut self) -> Result<()> {
        loop {
            let octets = self.peek()?;
            let (count, is_over) = match octets {
                [] => (0, true),
                // At once, since there may be much of it.
                _ if octets == &ZEROS[..octets.len()] => (octets.len(), false),
                _ => (octets.iter().take_while(|&&octet| octet == 0).count(), true),
            };
            self.consume(count)?;
            if is_over {
                return Ok(());
            }
        }
    }

    /// Hands so many bytes to `take`, piece by piece.
    fn each(&mut self, size: u64, mut take: impl FnMut(&[u8])) -> Result<()> {
        let mut left = size;
        while left != 0 {
            let octets = self.peek()?;
            ensure!(!octets.is_empty(), CUT);
            let count = octets
                .len()
                .min(usize::try_from(left).unwrap_or(usize::MAX));
            take(&octets[..count]);
            self.consume(count)?;
            left -= count as u64;
        }
        Ok(())
    }

    /// Reads all that is left of the last file, adds it up and checks the sum.
    fn rest(&mut self, mut take: impl FnMut(&[u8])) -> Result<()> {
        let ((size, padding), sum) = (std::mem::take(&mut self.left), self.sum.take());
        let mut added = 0u32;
        self.each(size, |octets| {
            if sum.is_some() {
                let add = |sum: u32, &octet: &u8| sum.wrapping_add(octet.into());
                added = octets.iter().fold(added, add);
            }
            take(octets);
        })?;
        ensure!(
            sum.is_none_or(|sum| sum == added),
            "it is damaged: the checksum of a file in it does not match; make it again"
        );
        // At the very end it may be missing.
        for _ in 0..padding {
            match self.first()? {
                Some(_) => self.consume(1)?,
                None => break,
            }
        }
        Ok(())
    }

    fn skip(&mut self) -> Result<()> {
        self.rest(|_| {})
    }

    /// Reads what is in front of a file; gives it if it is a module.
    fn entry(&mut self) -> Result<Option<Entry>> {
        let mut head = vec![];
        // A form that no kernel takes has a shorter one.
        let is_old = self.peek()?.starts_with(b"070707");
        ensure!(
            !is_old,
            "an archive of cpio as no kernel takes it; make it with cpio -H newc"
        );
        self.each(Header::SIZE, |octets| head.extend(octets))?;
        let header = Header::read(&head).with_context(|| match self.entries {
            0 => "neither an archive of cpio (initrd.img) nor packed in a way that is known",
            _ => "it is damaged: behind a file in it is something that is none; make it again",
        })?;
        self.entries += 1;
        self.is_open = true;
        let size = u64::from(header.name);
        ensure!(
            (1..=NAME).contains(&size),
            "it is damaged: a file in it has a name of {size} bytes, and no kernel takes more than {NAME}"
        );
        let mut name = vec![];
        self.each(size, |octets| name.extend(octets))?;
        ensure!(
            name.pop() == Some(0),
            "it is damaged: the name of a file in it does not end; make it again"
        );
        self.left = (0, padding(Header::SIZE + size));
        self.skip()?;
        self.left = (header.size.into(), padding(header.size.into()));
        // Those of links and others are not added up.
        self.sum = header.sum.filter(|_| header.is_file());
        if name == b"TRAILER!!!" {
            self.is_open = false;
            self.links.clear();
            return Ok(None);
        }
        self.module(&name, &header)
    }

    /// The file as a module, if it is one.
    fn module(&mut self, name: &[u8], header: &Header) -> Result<Option<Entry>> {
        if !header.is_file() {
            return Ok(None);
        }
        let name = Path::new(std::ffi::OsStr::from_bytes(name));
        let name = name.strip_prefix(".").unwrap_or(name);
        let mut found = is_module_name(name).then(|| name.to_path_buf());
        if header.links >= 2 {
            match (header.size, found) {
                (0, Some(name)) => {
                    self.links.entry(header.id).or_insert(name);
                    ensure!(self.links.len() <= MODULES, "it has too many hard links");
                    return Ok(None);
                }
                (0, None) => return Ok(None),
                (_, own) => {
                    let other = self.links.remove(&header.id);
                    found = own.or(other);
                }
            }
        }
        let size = header.size.into();
        Ok(found.map(|name| Entry { name, size }))
    }

    /// Reads the module that was found last into `buffer`.
    fn content(&mut self, entry: &Entry, buffer: &mut Vec<u8>) -> Result<()> {
        ensure!(
            entry.size <= MODULE,
            "larger than {} GiB, which no module is",
            MODULE >> 30
        );
        memory::reserve(usize::try_from(entry.size)?);
        buffer.clear();
        self.rest(|octets| buffer.extend_from_slice(octets))
    }
}

/// What reading what is packed fails with.
fn unpacked(error: std::io::Error) -> Error {
    match error.kind() {
        ErrorKind::UnexpectedEof => anyhow!(CUT),
        _ => anyhow!(error).context("it is damaged, or cannot be read; make it again"),
    }
}
