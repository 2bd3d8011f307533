// SPDX-License-Identifier: MIT OR Apache-2.0

//! What kernel images are packed in.

use std::io::Read;

use anyhow::{bail, ensure, Context, Result};
use liblzma::stream::Stream;

use super::{elf, Kernel, Machine, Segment, Source, LIMIT};

/// More layers than an image has: EFI image, compression, Image.
const DEPTH: usize = 5;
/// What the head of an image is told by.
const HEAD: u64 = 0x1000;
/// Memory that a decompressor may take for what it looks back at.
const DICTIONARY: u64 = 512 << 20;

fn u32_at(octets: &[u8], at: usize) -> Option<u64> {
    let field = octets.get(at..at.checked_add(4)?)?.try_into().ok()?;
    Some(u32::from_le_bytes(field).into())
}

/// Unpacks an image down to the kernel; leaves in `names` what it was packed in.
pub(super) fn unpack(source: &dyn Source, names: &mut Vec<&'static str>) -> Result<Kernel> {
    ensure!(
        names.len() < DEPTH,
        "it is packed {DEPTH} times over, which no kernel is"
    );
    let size = source.size()?;
    ensure!(size != 0, "the file is empty; copy it again");
    let head = source.piece(0, size.min(HEAD))?;
    let has = |at: usize, magic: &[u8]| head.get(at..).is_some_and(|rest| rest.starts_with(magic));
    if has(0, elf::MAGIC) {
        names.push("ELF");
        elf::read(source)
    } else if has(0x1fe, b"\x55\xaa") && has(0x202, b"HdrS") {
        names.push("bzImage");
        let payload = bz_image(source, &head, names).context("x86 bzImage")?;
        unpack(&payload, names)
    } else if has(0x38, b"ARM\x64") {
        names.push("Image");
        arm64(source, &head)
    } else if has(0, b"MZ") && has(4, b"zimg") {
        names.push("EFI zboot");
        let payload = zboot(source, &head, names).context("EFI zboot image")?;
        unpack(&payload, names)
    } else if let Some(format) = Format::of(&head) {
        names.push(format.name());
        let content = format.unpack(&source.whole()?)?;
        unpack(&content, names)
    } else if has(0x30, b"RISCV\0\0\0") {
        bail!("an image for RISC-V; only x86_64 and arm64 are understood")
    } else if has(0, b"MZ") {
        bail!(
            "an EFI program, but not a kernel image for x86_64 or arm64; of a unified kernel image give the kernel in it: objcopy -O binary --only-section=.linux FILE vmlinuz"
        )
    } else {
        bail!(
            "not a kernel image that is understood: vmlinux, bzImage, arm64 Image, Image.gz, EFI zboot (vmlinuz.efi)"
        )
    }
}

/// The payload of a bzImage (Documentation/arch/x86/boot.rst), unpacked.
fn bz_image(source: &dyn Source, head: &[u8], names: &mut Vec<&'static str>) -> Result<Vec<u8>> {
    let field = |at| u32_at(head, at).context("it is cut short; copy it again");
    let version = field(0x206)? & 0xffff;
    ensure!(
        version >= 0x208,
        "its boot protocol {}.{:02} does not say where the kernel is (Linux before 2.6.26)",
        version >> 8,
        version & 0xff
    );
    let setup_sectors = match head[0x1f1] {
        0 => 4,
        sectors => u64::from(sectors),
    };
    let start = (setup_sectors + 1) * 512 + field(0x248)?;
    let payload = source.piece(start, field(0x24c)?)?;
    let format = Format::of(&payload).context("the kernel in it is packed in a way that is not known; use scripts/extract-vmlinux of the kernel's source and give its output")?;
    names.push(format.name());
    format.unpack(&payload)
}

/// The payload of an EFI image that unpacks itself (drivers/firmware/efi/libstub/zboot-header.S).
fn zboot(source: &dyn Source, head: &[u8], names: &mut Vec<&'static str>) -> Result<Vec<u8>> {
    let field = |at| u32_at(head, at).context("it is cut short; copy it again");
    let payload = source.piece(field(8)?, field(12)?)?;
    let name = head.get(24..56).unwrap_or_default();
    let name = name.split(|&octet| octet == 0).next().unwrap_or_default();
    let format = Format::of(&payload).filter(|format| format.name().as_bytes() == name);
    let format = format.with_context(|| {
        format!(
            "it says that its content is packed with {:?}, which it is not, or that is not known",
            String::from_utf8_lossy(name)
        )
    })?;
    names.push(format.name());
    format.unpack(&payload)
}

/// arm64's flat image (Documentation/arch/arm64/booting.rst): one part from the first byte on.
fn arm64(source: &dyn Source, head: &[u8]) -> Result<Kernel> {
    let flags = u32_at(head, 24).context("it is cut short; copy it again")?;
    ensure!(
        flags & 1 == 0,
        "a big-endian arm64 image; only little-endian ones are understood"
    );
    Ok(Kernel {
        machine: Machine::Arm64,
        segments: vec![Segment {
            address: 0,
            octets: source.whole()?,
        }],
        symbols: None,
    })
}

/// What images are compressed with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Gzip,
    Xz,
    Zstd,
    Lz4,
    Lzma,
    Bzip2,
    Lzo,
}

impl Format {
    /// Tells it by the first bytes.
    fn of(octets: &[u8]) -> Option<Self> {
        [
            (Format::Gzip, &b"\x1f\x8b\x08"[..]),
            (Format::Xz, b"\xfd7zXZ\0"),
            (Format::Zstd, b"\x28\xb5\x2f\xfd"),
            (Format::Lz4, b"\x02\x21\x4c\x18"),
            (Format::Lzma, b"\x5d\0\0"),
            (Format::Bzip2, b"BZh"),
            (Format::Lzo, b"\x89LZO\0\r\n\x1a\n"),
        ]
        .into_iter()
        .find_map(|(format, magic)| octets.starts_with(magic).then_some(format))
    }

    fn name(self) -> &'static str {
        match self {
            Format::Gzip => "gzip",
            Format::Xz => "xz",
            Format::Zstd => "zstd",
            Format::Lz4 => "lz4",
            Format::Lzma => "lzma",
            Format::Bzip2 => "bzip2",
            Format::Lzo => "lzo",
        }
    }

    /// Unpacks. Behind the end of the data may be something else: Kbuild appends the size.
    fn unpack(self, packed: &[u8]) -> Result<Vec<u8>> {
        let limits = || Stream::new_lzma_decoder(DICTIONARY);
        let decoder: Box<dyn Read + '_> = match self {
            Format::Gzip => Box::new(flate2::bufread::GzDecoder::new(packed)),
            Format::Xz => Box::new(liblzma::bufread::XzDecoder::new_stream(
                packed,
                Stream::new_stream_decoder(DICTIONARY, 0)?,
            )),
            Format::Lzma => Box::new(liblzma::bufread::XzDecoder::new_stream(packed, limits()?)),
            Format::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(packed)?.single_frame()),
            Format::Lz4 => Box::new(Lz4::new(packed)),
            Format::Bzip2 | Format::Lzo => bail!(
                "compressed with {}, which is not understood; use scripts/extract-vmlinux of the kernel's source and give its output",
                self.name()
            ),
        };
        let mut content = vec![];
        decoder
            .take(LIMIT + 1)
            .read_to_end(&mut content)
            .with_context(|| {
                format!(
                    "its {} data is damaged or cut short; copy it again",
                    self.name()
                )
            })?;
        ensure!(
            content.len() as u64 <= LIMIT,
            "unpacked it has more than {LIMIT} bytes, which no kernel has"
        );
        Ok(content)
    }
}

/// Unpacks the kernel's lz4: a magic number, then blocks with their sizes in front. Nothing marks
/// the end.
struct Lz4<'a> {
    packed: &'a [u8],
    block: Vec<u8>,
    given: usize,
}

impl<'a> Lz4<'a> {
    /// What a block has unpacked, at most.
    const BLOCK: usize = 8 << 20;

    fn new(packed: &'a [u8]) -> Self {
        Lz4 {
            packed: packed.get(4..).unwrap_or_default(),
            block: vec![],
            given: 0,
        }
    }
}

impl Read for Lz4<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        use std::io::{Error, ErrorKind::InvalidData};
        while self.given == self.block.len() {
            // What is left are no more than the bytes of the size that Kbuild appends.
            if self.packed.len() <= 4 {
                return Ok(0);
            }
            let (size, rest) = self.packed.split_at(4);
            let size = u32_at(size, 0).and_then(|size| usize::try_from(size).ok());
            let block = size.and_then(|size| rest.get(..size));
            let block = block.ok_or_else(|| Error::from(std::io::ErrorKind::UnexpectedEof))?;
            self.packed = &rest[block.len()..];
            self.block = lz4_flex::block::decompress(block, Self::BLOCK)
                .map_err(|error| Error::new(InvalidData, error))?;
            self.given = 0;
        }
        let count = buffer.len().min(self.block.len() - self.given);
        buffer[..count].copy_from_slice(&self.block[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}
