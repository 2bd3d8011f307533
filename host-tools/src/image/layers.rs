// SPDX-License-Identifier: MIT OR Apache-2.0

//! What kernel images are packed in.

use std::io::Read;

use anyhow::{bail, ensure, Context, Result};
use liblzma::stream::Stream;

use memchr::memmem;
use object::elf::{EM_AARCH64, EM_ARM, EM_LOONGARCH, EM_RISCV, EM_S390};

use super::{
    banners, containers, elf,
    pe::{Program, IMAGE_FILE_MACHINE_LOONGARCH64},
    Kernel, Segment, Source, LIMIT,
};
use crate::{
    loader::Machine,
    lz4::{self, Lz4},
};

/// More layers than an image has: unified kernel image, EFI image, compression, Image.
const DEPTH: usize = 6;
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
        let kernel = elf::read(source)?;
        if banners(&kernel.segments).is_empty() {
            // A program that unpacks a kernel, as those of PowerPC and MIPS are.
            for segment in &kernel.segments {
                if let Some(payload) = payload(&segment.octets, names)? {
                    return elf_or_flat(&payload, kernel.machine, names);
                }
            }
        }
        Ok(kernel)
    } else if has(0x1fe, b"\x55\xaa") && has(0x202, b"HdrS") {
        names.push("bzImage");
        let payload = bz_image(source, &head, names).context("x86 bzImage")?;
        unpack(&payload, names)
    } else if has(0x38, b"ARM\x64") {
        names.push("Image");
        arm64(source, &head)
    } else if has(0x30, b"RISCV\0\0\0") || has(0x38, b"RSC\x05") {
        names.push("Image");
        // Where it is loaded tells how wide its addresses are (arch/riscv/kernel/head.S).
        let is_64 = u32_at(&head, 8) != Some(0x40_0000);
        flat(source, little_endian(EM_RISCV, is_64))
    } else if has(0x24, &ZIMAGE.to_le_bytes()) || has(0x24, &ZIMAGE.to_be_bytes()) {
        names.push("zImage");
        let machine = Machine {
            is_big_endian: has(0x24, &ZIMAGE.to_be_bytes()),
            ..little_endian(EM_ARM, false)
        };
        let payload = payload(&source.whole()?, names).context("32-bit ARM zImage")?;
        let payload = payload.context(format!("32-bit ARM zImage: {UNKNOWN_PAYLOAD}"))?;
        elf_or_flat(&payload, machine, names)
    } else if source
        .piece(S390_MARK.0, S390_MARK.1.len() as u64)
        .is_ok_and(|mark| mark == S390_MARK.1)
    {
        names.push("bzImage");
        s390(source.whole()?, names).context("s390x bzImage")
    } else if has(0, b"MZ") && has(4, b"zimg") {
        names.push("EFI zboot");
        let payload = zboot(source, &head, names).context("EFI zboot image")?;
        unpack(&payload, names)
    } else if let Some(format) = Format::of(&head) {
        names.push(format.name());
        let content = format.unpack(&source.whole()?)?;
        unpack(&content, names)
    } else if let Some(what) = containers::told(&head) {
        bail!(what)
    } else if has(0, b"MZ") {
        efi(source, &head, names)
    } else {
        bail!(
            "not a kernel image that is understood: vmlinux, bzImage, zImage, Image, Image.gz, EFI zboot (vmlinuz.efi), unified kernel image"
        )
    }
}

/// At 0x24 of 32-bit ARM's zImage (arch/arm/boot/compressed/head.S).
const ZIMAGE: u32 = 0x016f_2818;
/// In s390x's (arch/s390/boot/head.S), and where.
const S390_MARK: (u64, &[u8]) = (0x10008, b"S390EP");
const UNKNOWN_PAYLOAD: &str = "the kernel in it is packed in a way that is not known; unpack it with the kernel's source, and give the vmlinux";

fn little_endian(number: u16, is_64: bool) -> Machine {
    Machine {
        number,
        is_64,
        is_big_endian: false,
    }
}

/// A flat image: one part from the first byte on.
fn flat(source: &dyn Source, machine: Machine) -> Result<Kernel> {
    Ok(Kernel {
        machine,
        segments: vec![Segment {
            address: 0,
            octets: source.whole()?,
        }],
        symbols: None,
    })
}

/// An EFI program that is not known by its first bytes alone.
fn efi(source: &dyn Source, head: &[u8], names: &mut Vec<&'static str>) -> Result<Kernel> {
    let program = Program::read(source).context(
        "a program for DOS or EFI whose headers are damaged, or not there; give a kernel image",
    )?;
    let kernel = program.sections(".linux").next();
    if let Some(place) = kernel {
        names.push("UKI");
        let kernel = source.piece(place.start, place.end - place.start);
        let kernel = kernel.context("unified kernel image: the section .linux")?;
        return unpack(&kernel, names);
    }
    // What an EFI zboot image has in it: the head says that it is Linux (include/linux/pe.h).
    let is_linux = u32_at(head, 0x38) == Some(0x8182_23cd);
    ensure!(
        is_linux && program.machine == IMAGE_FILE_MACHINE_LOONGARCH64,
        "an EFI program for {}, but not a kernel, nor does it have one in it (section .linux)",
        program.machine_name()
    );
    names.push("Image");
    flat(source, little_endian(EM_LOONGARCH, true))
}

/// s390x's image: what unpacks the kernel, and the kernel, which may be as it is.
fn s390(image: Vec<u8>, names: &mut Vec<&'static str>) -> Result<Kernel> {
    let machine = Machine {
        number: EM_S390,
        is_64: true,
        is_big_endian: true,
    };
    let kernel = payload(&image, names)?.unwrap_or(image);
    elf_or_flat(&kernel, machine, names)
}

/// A kernel that was unpacked by what is for this machine.
fn elf_or_flat(
    kernel: &Vec<u8>,
    machine: Machine,
    names: &mut Vec<&'static str>,
) -> Result<Kernel> {
    match kernel.starts_with(elf::MAGIC) {
        true => unpack(kernel, names),
        false => flat(kernel, machine),
    }
}

/// What looks like packed data and is not, at most.
const GUESSES: usize = 64;
/// Bytes of it that are looked at: more than a block of lz4 has, which cannot be unpacked in part.
const GUESS: usize = 9 << 20;

/// Unpacks the kernel in an image that does not say where it is; `None` if it is nowhere.
fn payload(image: &[u8], names: &mut Vec<&'static str>) -> Result<Option<Vec<u8>>> {
    // Longer than what a file of theirs is told by, since here it may be anywhere: as Kbuild calls them.
    let magics: [(Format, &[u8]); 7] = [
        (Format::Gzip, b"\x1f\x8b\x08\0"),
        (Format::Xz, b"\xfd7zXZ\0"),
        (Format::Zstd, b"\x28\xb5\x2f\xfd"),
        (Format::Lz4, &lz4::MAGIC),
        (Format::Lzma, b"\xff\xff\xff\xff\xff\xff\xff\xff\0"),
        (Format::Bzip2, b"BZh91AY&SY"),
        (Format::Lzo, b"\x89LZO\0\r\n\x1a\n"),
    ];
    let mut guesses: Vec<(usize, Format)> = vec![];
    for (format, magic) in magics {
        let found = memmem::find_iter(image, magic).filter_map(|at| match format {
            // Nothing but an unknown size can be told from other bytes: 5 in front of it are the head.
            Format::Lzma => at
                .checked_sub(5)
                .filter(|&at| image[at..].starts_with(b"\x5d\0\0")),
            _ => Some(at),
        });
        guesses.extend(found.take(GUESSES).map(|at| (at, format)));
    }
    guesses.sort_by_key(|(at, _)| *at);
    for (at, format) in guesses.into_iter().take(GUESSES) {
        // Of what is no such data not even the first bytes can be unpacked.
        let mut first = [0; 4096];
        let start = &image[at..image.len().min(at + GUESS)];
        let mut decoder = format.decoder(start)?;
        if decoder.read_exact(&mut first).is_ok() {
            drop(decoder);
            names.push(format.name());
            return format.unpack(&image[at..]).map(Some);
        }
    }
    Ok(None)
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

/// arm64's flat image (Documentation/arch/arm64/booting.rst).
fn arm64(source: &dyn Source, head: &[u8]) -> Result<Kernel> {
    let flags = u32_at(head, 24).context("it is cut short; copy it again")?;
    let machine = Machine {
        is_big_endian: flags & 1 != 0,
        ..little_endian(EM_AARCH64, true)
    };
    flat(source, machine)
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
            (Format::Lz4, &lz4::MAGIC),
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

    fn decoder(self, packed: &[u8]) -> Result<Box<dyn Read + '_>> {
        let limits = || Stream::new_lzma_decoder(DICTIONARY);
        Ok(match self {
            Format::Gzip => Box::new(flate2::bufread::GzDecoder::new(packed)),
            Format::Xz => Box::new(liblzma::bufread::XzDecoder::new_stream(
                packed,
                Stream::new_stream_decoder(DICTIONARY, 0)?,
            )),
            Format::Lzma => Box::new(liblzma::bufread::XzDecoder::new_stream(packed, limits()?)),
            Format::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(packed)?.single_frame()),
            Format::Lz4 => Box::new(Lz4::new(packed)),
            Format::Bzip2 | Format::Lzo => bail!(
                "compressed with {}, which is not understood; give the vmlinux, or for x86 what scripts/extract-vmlinux of the kernel's source gives",
                self.name()
            ),
        })
    }

    /// Unpacks. Behind the end of the data may be something else: Kbuild appends the size.
    fn unpack(self, packed: &[u8]) -> Result<Vec<u8>> {
        let mut content = vec![];
        self.decoder(packed)?
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
