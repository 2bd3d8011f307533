// SPDX-License-Identifier: MIT OR Apache-2.0

//! EFI programs (PE): the kernels that are some, and unified kernel images, which have a kernel, its
//! initramfs and more in their sections.

use std::{mem::size_of, ops::Range};

use object::{
    pe::{
        ImageDosHeader, ImageFileHeader, ImageSectionHeader, IMAGE_FILE_MACHINE_AMD64,
        IMAGE_FILE_MACHINE_ARM, IMAGE_FILE_MACHINE_ARM64, IMAGE_FILE_MACHINE_ARMNT,
        IMAGE_FILE_MACHINE_I386, IMAGE_FILE_MACHINE_IA64, IMAGE_FILE_MACHINE_RISCV32,
        IMAGE_FILE_MACHINE_RISCV64, IMAGE_FILE_MACHINE_THUMB, IMAGE_NT_SIGNATURE,
    },
    LittleEndian as LE,
};

use super::Source;

/// Not in every list of numbers yet (include/linux/pe.h).
const IMAGE_FILE_MACHINE_LOONGARCH32: u16 = 0x6232;
pub(super) const IMAGE_FILE_MACHINE_LOONGARCH64: u16 = 0x6264;

/// Headers of an EFI program.
pub(crate) struct Program {
    /// What it runs on, in PE's numbers.
    pub(super) machine: u16,
    /// Names, as they are there, and where in the file the content is.
    sections: Vec<([u8; 8], Range<u64>)>,
}

impl Program {
    /// Reads them; `None` if it is no such program, or damaged.
    pub(crate) fn read(source: &dyn Source) -> Option<Self> {
        let piece = |at: u64, size: usize| source.piece(at, size as u64).ok();
        let dos = piece(0, size_of::<ImageDosHeader>())?;
        let dos = ImageDosHeader::parse(&dos[..]).ok()?;
        let at = u64::from(dos.nt_headers_offset());
        let signature = piece(at, 4)?;
        if signature != IMAGE_NT_SIGNATURE.to_le_bytes() {
            return None;
        }
        let header = piece(at + 4, size_of::<ImageFileHeader>())?;
        let (header, _) = object::from_bytes::<ImageFileHeader>(&header).ok()?;
        let at = at
            + 4
            + size_of::<ImageFileHeader>() as u64
            + u64::from(header.size_of_optional_header.get(LE));
        let count = usize::from(header.number_of_sections.get(LE));
        let table = piece(at, count * size_of::<ImageSectionHeader>())?;
        let (all, _) = object::slice_from_bytes::<ImageSectionHeader>(&table, count).ok()?;
        let sections = all.iter().map(|section| {
            let (offset, size) = section.pe_file_range();
            let offset = u64::from(offset);
            (section.name, offset..offset + u64::from(size))
        });
        Some(Program {
            machine: header.machine.get(LE),
            sections: sections.collect(),
        })
    }

    /// Where the contents of all sections of this name are, of at most 8 bytes.
    pub(crate) fn sections(&self, name: &str) -> impl Iterator<Item = Range<u64>> + '_ {
        let mut wanted = [0; 8];
        wanted[..name.len()].copy_from_slice(name.as_bytes());
        let named = self.sections.iter();
        let named = named.filter(move |(name, _)| *name == wanted);
        named.map(|(_, place)| place.clone())
    }

    /// What it runs on, in a word.
    pub(super) fn machine_name(&self) -> String {
        let name = match self.machine {
            IMAGE_FILE_MACHINE_AMD64 => "x86_64",
            IMAGE_FILE_MACHINE_ARM64 => "arm64",
            IMAGE_FILE_MACHINE_I386 => "32-bit x86",
            IMAGE_FILE_MACHINE_ARM | IMAGE_FILE_MACHINE_THUMB | IMAGE_FILE_MACHINE_ARMNT => {
                "32-bit ARM"
            }
            IMAGE_FILE_MACHINE_RISCV32 => "riscv32",
            IMAGE_FILE_MACHINE_RISCV64 => "riscv64",
            IMAGE_FILE_MACHINE_LOONGARCH32 => "loongarch32",
            IMAGE_FILE_MACHINE_LOONGARCH64 => "loongarch64",
            IMAGE_FILE_MACHINE_IA64 => "Itanium",
            other => return format!("machine {other:#06x} (PE)"),
        };
        name.to_owned()
    }
}
