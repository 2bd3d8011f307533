// SPDX-License-Identifier: MIT OR Apache-2.0

//! ELF files (`include/uapi/linux/elf.h`) of any machine: a kernel's parts in memory, its symbols, and
//! where its sections are.

use std::{mem::size_of, ops::Range};

use anyhow::{anyhow, bail, ensure, Context, Result};
use object::{
    elf::{self, FileHeader32, FileHeader64, Sym32, Sym64},
    read::elf::{FileHeader, ProgramHeader, SectionHeader, Sym},
    Endianness, Pod,
};

use super::{lists::Symbols, Kernel, Segment, Source, LIMIT};
use crate::loader::Machine;

pub(super) const MAGIC: &[u8] = &elf::ELFMAG;

/// Bytes of the larger of the two headers that a file may begin with.
const HEADER: u64 = size_of::<FileHeader64<Endianness>>() as u64;

const NO_IMAGE: &str = "this is a module or an object file, not a kernel image";
const DAMAGED: &str = "its ELF headers are damaged; copy it again";

/// A part that is to be loaded.
struct Load {
    address: u64,
    offset: u64,
    size: u64,
}

struct Section {
    /// Where its name is, in the section of names.
    name: u32,
    kind: u32,
    address: u64,
    offset: u64,
    size: u64,
    link: u32,
}

/// What the headers of an ELF file say. All numbers are wider than in the file, so that it does not matter any
/// more which machine it is for.
struct Headers {
    machine: Machine,
    kind: u16,
    loads: Vec<Load>,
    sections: Vec<Section>,
    /// Which of the sections has their names.
    names: usize,
}

impl Headers {
    fn read(source: &dyn Source) -> Result<Self> {
        let head = source.piece(0, source.size()?.min(HEADER))?;
        match head.get(4) {
            Some(&elf::ELFCLASS32) => Self::of::<FileHeader32<Endianness>>(source, &head),
            Some(&elf::ELFCLASS64) => Self::of::<FileHeader64<Endianness>>(source, &head),
            _ => bail!(DAMAGED),
        }
    }

    fn of<H: FileHeader<Endian = Endianness>>(source: &dyn Source, head: &[u8]) -> Result<Self> {
        ensure!(
            head.len() >= size_of::<H>(),
            "it is cut short; copy it again"
        );
        let header = H::parse(head).map_err(|_| anyhow!(DAMAGED))?;
        let endian = header.endian().map_err(|_| anyhow!(DAMAGED))?;
        let loads = table(
            source,
            header.e_phoff(endian).into(),
            header.e_phnum(endian),
            header.e_phentsize(endian),
            |entry: &H::ProgramHeader| {
                (entry.p_type(endian) == elf::PT_LOAD).then(|| Load {
                    address: entry.p_vaddr(endian).into(),
                    offset: entry.p_offset(endian).into(),
                    size: entry.p_filesz(endian).into(),
                })
            },
        );
        let sections = table(
            source,
            header.e_shoff(endian).into(),
            header.e_shnum(endian),
            header.e_shentsize(endian),
            |entry: &H::SectionHeader| {
                Some(Section {
                    name: entry.sh_name(endian),
                    kind: entry.sh_type(endian),
                    address: entry.sh_addr(endian).into(),
                    offset: entry.sh_offset(endian).into(),
                    size: entry.sh_size(endian).into(),
                    link: entry.sh_link(endian),
                })
            },
        );
        Ok(Headers {
            machine: Machine {
                number: header.e_machine(endian),
                is_64: header.is_class_64(),
                is_big_endian: header.is_big_endian(),
            },
            kind: header.e_type(endian),
            loads: loads.context("program headers")?,
            sections: sections.context("section headers")?,
            names: header.e_shstrndx(endian).into(),
        })
    }
}

/// Reads a table of headers.
fn table<T: Pod, U>(
    source: &dyn Source,
    offset: u64,
    count: u16,
    size: u16,
    take: impl Fn(&T) -> Option<U>,
) -> Result<Vec<U>> {
    let entry = size_of::<T>();
    ensure!(count == 0 || usize::from(size) == entry, DAMAGED);
    let octets = source.piece(offset, u64::from(count) * entry as u64)?;
    let (all, _) =
        object::slice_from_bytes::<T>(&octets, count.into()).map_err(|()| anyhow!(DAMAGED))?;
    Ok(all.iter().filter_map(take).collect())
}

/// Bytes of a name that are looked at. None that is asked for is nearly as long, and a file may have as many
/// names as it has bytes, each up to its end.
const NAME: usize = 4096;

/// The name that begins at this place of a table of names.
fn name(names: &[u8], at: u32) -> Option<&[u8]> {
    let rest = names.get(usize::try_from(at).ok()?..)?;
    let name = &rest[..rest.len().min(NAME)];
    match memchr::memchr(0, name) {
        Some(end) => Some(&name[..end]),
        None => (name.len() == NAME).then_some(name),
    }
}

/// Where the content of a section is in an ELF file, if there is one of this name; and what the file is for.
pub(super) fn section(source: &dyn Source, wanted: &str) -> Result<(Machine, Option<Range<u64>>)> {
    let headers = Headers::read(source)?;
    let Some(names) = headers.sections.get(headers.names) else {
        return Ok((headers.machine, None));
    };
    let names = source.piece(names.offset, names.size)?;
    let mut all = headers.sections.iter();
    let found = all.find(|section| name(&names, section.name) == Some(wanted.as_bytes()));
    let place = found.map(|section| section.offset..section.offset.saturating_add(section.size));
    Ok((headers.machine, place))
}

/// Takes the parts of a kernel out of an ELF file.
pub(super) fn read(source: &dyn Source) -> Result<Kernel> {
    let headers = Headers::read(source)?;
    ensure!(headers.kind != elf::ET_REL, NO_IMAGE);
    let mut segments = vec![];
    let mut total = 0u64;
    for load in &headers.loads {
        total = total.saturating_add(load.size);
        ensure!(total <= LIMIT, "it is larger than any kernel is");
        segments.push(Segment {
            address: load.address,
            octets: source.piece(load.offset, load.size)?,
        });
    }
    ensure!(
        !segments.is_empty(),
        "an ELF file in which nothing is to be loaded (debug information only?); give the vmlinux itself"
    );
    let symbols = match Table::read(source, &headers)? {
        Some(table) => symbols(&table),
        None => None,
    };
    Ok(Kernel {
        machine: headers.machine,
        segments,
        symbols,
    })
}

/// A symbol: what a name stands for.
#[derive(Clone, Copy)]
pub(super) struct Symbol {
    name: u32,
    pub(super) address: u64,
    pub(super) size: u64,
    section: u16,
}

impl Symbol {
    fn read<S: Sym<Endian = Endianness>>(entry: &[u8], endian: Endianness) -> Option<Self> {
        let (entry, _) = object::from_bytes::<S>(entry).ok()?;
        Some(Symbol {
            name: entry.st_name(endian),
            address: entry.st_value(endian).into(),
            size: entry.st_size(endian).into(),
            section: entry.st_shndx(endian),
        })
    }
}

/// A symbol table, and the names in it.
struct Table {
    machine: Machine,
    symbols: Vec<u8>,
    names: Vec<u8>,
}

impl Table {
    fn read(source: &dyn Source, headers: &Headers) -> Result<Option<Self>> {
        let mut all = headers.sections.iter();
        let Some(section) = all.find(|section| section.kind == elf::SHT_SYMTAB) else {
            return Ok(None);
        };
        let names = usize::try_from(section.link)
            .ok()
            .and_then(|link| headers.sections.get(link))
            .context("its symbol table is damaged; copy it again")?;
        Ok(Some(Table {
            machine: headers.machine,
            symbols: source.piece(section.offset, section.size)?,
            names: source.piece(names.offset, names.size)?,
        }))
    }

    /// All of them; `None` for one whose name is not there.
    fn all(&self) -> impl Iterator<Item = Option<(&[u8], Symbol)>> {
        let Machine {
            is_64,
            is_big_endian,
            ..
        } = self.machine;
        let endian = match is_big_endian {
            true => Endianness::Big,
            false => Endianness::Little,
        };
        let size = match is_64 {
            true => size_of::<Sym64<Endianness>>(),
            false => size_of::<Sym32<Endianness>>(),
        };
        self.symbols.chunks_exact(size).map(move |entry| {
            let symbol = match is_64 {
                true => Symbol::read::<Sym64<Endianness>>(entry, endian)?,
                false => Symbol::read::<Sym32<Endianness>>(entry, endian)?,
            };
            Some((name(&self.names, symbol.name)?, symbol))
        })
    }
}

/// A kernel with its symbols, as the linker made it.
pub(super) struct Linked {
    headers: Headers,
    table: Table,
}

impl Linked {
    /// Reads it; `None` if it has no symbols.
    pub(super) fn read(source: &dyn Source) -> Result<Option<Self>> {
        let headers = Headers::read(source)?;
        ensure!(headers.kind != elf::ET_REL, NO_IMAGE);
        let table = Table::read(source, &headers)?;
        Ok(table.map(|table| Linked { headers, table }))
    }

    /// What it runs on.
    pub(super) fn machine(&self) -> Machine {
        self.headers.machine
    }

    /// What this name stands for.
    pub(super) fn symbol(&self, name: &str) -> Option<Symbol> {
        let mut all = self.table.all().flatten();
        all.find_map(|(found, symbol)| (found == name.as_bytes()).then_some(symbol))
    }

    /// Where in the file something is that is in the section of a symbol.
    pub(super) fn place(&self, symbol: Symbol, size: u64) -> Option<u64> {
        let section = self.headers.sections.get(usize::from(symbol.section))?;
        if section.kind == elf::SHT_NOBITS {
            return None;
        }
        let at = symbol.address.checked_sub(section.address)?;
        let is_in = at.checked_add(size)? <= section.size;
        let offset = section.offset.checked_add(at)?;
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
