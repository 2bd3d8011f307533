// SPDX-License-Identifier: MIT OR Apache-2.0

//! ELF files (`include/uapi/linux/elf.h`): a kernel's parts in memory, its symbols, and where its
//! sections are.

use std::ops::Range;

use anyhow::{bail, ensure, Context, Result};

use super::{lists::Symbols, Kernel, Machine, Segment, Source, LIMIT};

pub(super) const MAGIC: &[u8] = b"\x7fELF";

const HEADER: u64 = 64;
const PROGRAM_HEADER: u16 = 56;
const SECTION_HEADER: u16 = 64;
const SYMBOL: usize = 24;

const ET_REL: u16 = 1;
const PT_LOAD: u32 = 1;
const SHT_SYMTAB: u32 = 2;
const SHT_NOBITS: u32 = 8;

const NO_IMAGE: &str = "this is a module or an object file, not a kernel image";

/// A number of `N` bytes, little-endian; a structure that is read has been read whole.
fn number<const N: usize>(octets: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number[..N].copy_from_slice(&octets[at..at + N]);
    u64::from_le_bytes(number)
}

/// The header of an ELF file, for a machine that is known.
struct Header<'a> {
    source: &'a dyn Source,
    octets: Vec<u8>,
    machine: Machine,
}

impl<'a> Header<'a> {
    fn read(source: &'a dyn Source) -> Result<Self> {
        let octets = source.piece(0, HEADER)?;
        let machine = match (&octets[4..6], number::<2>(&octets, 18)) {
            ([2, 1], 62) => Machine::X86,
            ([2, 1], 183) => Machine::Arm64,
            (_, machine) => bail!(
                "an ELF file for another machine (e_machine {machine}, class {}, data {}); only x86_64 and little-endian arm64 are understood",
                octets[4],
                octets[5]
            ),
        };
        Ok(Header {
            source,
            octets,
            machine,
        })
    }

    fn u16(&self, at: usize) -> u16 {
        number::<2>(&self.octets, at) as u16
    }

    /// A table of headers, of which this header has offset, size of an entry, and count.
    fn table(&self, offset: usize, size: usize, count: usize, entry: u16) -> Result<Vec<Vec<u8>>> {
        let count = self.u16(count);
        ensure!(
            count == 0 || self.u16(size) == entry,
            "its ELF headers are damaged; copy it again"
        );
        let size = u64::from(count) * u64::from(entry);
        let offset = number::<8>(&self.octets, offset);
        let octets = self.source.piece(offset, size)?;
        Ok(octets.chunks(entry.into()).map(<[u8]>::to_vec).collect())
    }

    fn sections(&self) -> Result<Vec<Vec<u8>>> {
        self.table(40, 58, 60, SECTION_HEADER)
            .context("section headers")
    }
}

/// Where the content of a section is in an ELF file, if there is one of this name.
pub(super) fn section(source: &dyn Source, name: &str) -> Result<Option<Range<u64>>> {
    let header = Header::read(source)?;
    let sections = header.sections()?;
    let place = |section: &[u8]| (number::<8>(section, 24), number::<8>(section, 32));
    let Some(names) = sections.get(usize::from(header.u16(62))) else {
        return Ok(None);
    };
    let (offset, size) = place(names);
    let names = source.piece(offset, size)?;
    let wanted = [name.as_bytes(), b"\0"].concat();
    let found = sections.iter().find(|section| {
        let at = number::<4>(section, 0) as usize;
        names.get(at..).is_some_and(|at| at.starts_with(&wanted))
    });
    Ok(found.map(|section| {
        let (offset, size) = place(section);
        offset..offset.saturating_add(size)
    }))
}

/// Takes the parts of a kernel out of an ELF file.
pub(super) fn read(source: &dyn Source) -> Result<Kernel> {
    let header = Header::read(source)?;
    ensure!(header.u16(16) != ET_REL, NO_IMAGE);

    let mut segments = vec![];
    let mut total = 0u64;
    let program_headers = header.table(32, 54, 56, PROGRAM_HEADER);
    for program_header in program_headers.context("program headers")? {
        if number::<4>(&program_header, 0) as u32 != PT_LOAD {
            continue;
        }
        let size = number::<8>(&program_header, 32);
        total = total.saturating_add(size);
        ensure!(total <= LIMIT, "it is larger than any kernel is");
        segments.push(Segment {
            address: number::<8>(&program_header, 16),
            octets: source.piece(number::<8>(&program_header, 8), size)?,
        });
    }
    ensure!(
        !segments.is_empty(),
        "an ELF file in which nothing is to be loaded (debug information only?); give the vmlinux itself"
    );

    let symbols = match Table::read(source, &header.sections()?)? {
        Some(table) => symbols(&table),
        None => None,
    };
    Ok(Kernel {
        machine: header.machine,
        segments,
        symbols,
    })
}

/// A symbol: what a name stands for.
#[derive(Clone, Copy)]
pub(super) struct Symbol {
    pub(super) address: u64,
    pub(super) size: u64,
    section: u16,
}

/// A symbol table, and the names in it.
struct Table {
    symbols: Vec<u8>,
    names: Vec<u8>,
}

impl Table {
    fn read(source: &dyn Source, sections: &[Vec<u8>]) -> Result<Option<Self>> {
        let mut all = sections.iter();
        let Some(section) = all.find(|section| number::<4>(section, 4) as u32 == SHT_SYMTAB) else {
            return Ok(None);
        };
        let link = number::<4>(section, 40) as usize;
        let names = sections
            .get(link)
            .context("its symbol table is damaged; copy it again")?;
        let content =
            |section: &[u8]| source.piece(number::<8>(section, 24), number::<8>(section, 32));
        Ok(Some(Table {
            symbols: content(section)?,
            names: content(names)?,
        }))
    }

    /// All of them; `None` for one whose name is not there.
    fn all(&self) -> impl Iterator<Item = Option<(&[u8], Symbol)>> {
        self.symbols.chunks_exact(SYMBOL).map(|symbol| {
            let name = self.names.get(number::<4>(symbol, 0) as usize..)?;
            let name = &name[..name.iter().position(|&octet| octet == 0)?];
            let symbol = Symbol {
                address: number::<8>(symbol, 8),
                size: number::<8>(symbol, 16),
                section: number::<2>(symbol, 6) as u16,
            };
            Some((name, symbol))
        })
    }
}

/// A kernel with its symbols, as the linker made it.
pub(super) struct Linked {
    sections: Vec<Vec<u8>>,
    table: Table,
}

impl Linked {
    /// Reads it; `None` if it has no symbols.
    pub(super) fn read(source: &dyn Source) -> Result<Option<Self>> {
        let header = Header::read(source)?;
        ensure!(header.u16(16) != ET_REL, NO_IMAGE);
        let sections = header.sections()?;
        let table = Table::read(source, &sections)?;
        Ok(table.map(|table| Linked { sections, table }))
    }

    /// What this name stands for.
    pub(super) fn symbol(&self, name: &str) -> Option<Symbol> {
        let mut all = self.table.all().flatten();
        all.find_map(|(found, symbol)| (found == name.as_bytes()).then_some(symbol))
    }

    /// Where in the file something is that is in the section of a symbol.
    pub(super) fn place(&self, symbol: Symbol, size: u64) -> Option<u64> {
        let section = self.sections.get(usize::from(symbol.section))?;
        if number::<4>(section, 4) as u32 == SHT_NOBITS {
            return None;
        }
        let at = symbol.address.checked_sub(number::<8>(section, 16))?;
        let is_in = at.checked_add(size)? <= number::<8>(section, 32);
        let offset = number::<8>(section, 24).checked_add(at)?;
        offset.checked_add(size).filter(|_| is_in)?;
        Some(offset)
    }
}

/// Takes out of a symbol table what it has of the lists; `None` if it is not a kernel's.
fn symbols(table: &Table) -> Option<Symbols> {
    let mut is_kernel = false;
    let mut found = Symbols::default();
    for symbol in table.all() {
        let (name, symbol) = symbol?;
        let place = match name {
            b"linux_banner" => {
                is_kernel = true;
                continue;
            }
            b"system_certificate_list" => &mut found.system_list,
            b"system_certificate_list_size" => &mut found.system_size,
            b"system_extra_cert" => &mut found.extra,
            b"revocation_certificate_list" => &mut found.revocation_list,
            b"revocation_certificate_list_size" => &mut found.revocation_size,
            _ => continue,
        };
        *place = Some(symbol.address);
    }
    is_kernel.then_some(found)
}
