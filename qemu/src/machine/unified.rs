// SPDX-License-Identifier: MIT OR Apache-2.0

//! Unified kernel images: a program for UEFI firmware (PE32+), the stub, whose further sections are a kernel and what
//! it is given. It is all the same what machine the program is for, which objcopy has to know.

use std::ops::Range;

use anyhow::{ensure, Context, Result};

/// In the DOS header: where the PE header is.
const PE_HEADER: usize = 0x3c;
/// In the PE header: how many sections there are, where the symbols are and how many, and how long the optional header
/// is, which is behind it.
const COUNT: usize = 6;
const SYMBOLS: usize = 12;
const OPTIONAL_LENGTH: usize = 20;
const OPTIONAL: usize = 24;
/// In the optional header.
const MAGIC: (usize, [u8; 2]) = (0, [0x0b, 0x02]);
const FILE_ALIGNMENT: usize = 36;
const IMAGE_SIZE: usize = 56;
const HEADERS_SIZE: usize = 60;
/// How long the header of a section is, and what is in it: the content's size and place in the file.
const SECTION: usize = 40;
const RAW_SIZE: usize = 16;
const RAW_PLACE: usize = 20;
/// A section that is data, and is read.
const CHARACTERISTICS: u32 = 0x4000_0040;
const PAGE: usize = 0x1000;

/// Where the headers of a program are.
struct Headers {
    /// The PE header.
    header: usize,
    /// The optional one.
    optional: usize,
    /// Those of its sections.
    sections: Range<usize>,
}

impl Headers {
    /// Finds them.
    fn of(program: &[u8]) -> Result<Self> {
        let header = number(program, PE_HEADER)?;
        let optional = header + OPTIONAL;
        let (at, magic) = MAGIC;
        ensure!(
            piece::<4>(program, header)? == *b"PE\0\0" && piece(program, optional + at)? == magic,
            "no program for UEFI firmware (PE32+)"
        );
        let count = u16::from_le_bytes(piece(program, header + COUNT)?);
        let length = u16::from_le_bytes(piece(program, header + OPTIONAL_LENGTH)?);
        let table = optional + usize::from(length);
        Ok(Headers {
            header,
            optional,
            sections: table..table + usize::from(count) * SECTION,
        })
    }
}

/// Whether a program has a section of this name.
///
/// # Errors
///
/// If it is no program.
pub fn has(program: &[u8], name: &str) -> Result<bool> {
    for at in Headers::of(program)?.sections.step_by(SECTION) {
        if piece::<8>(program, at)? == encoded(name) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A name, as headers have it.
fn encoded(name: &str) -> [u8; 8] {
    let mut encoded = [0; 8];
    encoded[..name.len()].copy_from_slice(name.as_bytes());
    encoded
}

/// Puts sections behind those of a program, each in pages of its own. Its symbols, which nobody needs, are left away.
///
/// # Errors
///
/// If it is no such program, or if its headers have no room for more sections.
pub fn add(program: &[u8], sections: &[(&str, &[u8])]) -> Result<Vec<u8>> {
    let Headers {
        header,
        optional,
        sections: table,
    } = Headers::of(program)?;
    let mut free = table.end;
    ensure!(
        free + sections.len() * SECTION <= number(program, optional + HEADERS_SIZE)?,
        "no room for the headers of {} more sections",
        sections.len()
    );
    let alignment = number(program, optional + FILE_ALIGNMENT)?;
    let mut end = 0;
    let count = table.len() / SECTION + sections.len();
    for at in table.step_by(SECTION) {
        let place = number(program, at + RAW_PLACE)? + number(program, at + RAW_SIZE)?;
        end = end.max(place);
    }
    let mut image = program
        .get(..end)
        .context("its sections were cut off")?
        .to_vec();
    let mut address = number(program, optional + IMAGE_SIZE)?.next_multiple_of(PAGE);
    for (name, content) in sections {
        image.resize(image.len().next_multiple_of(alignment), 0);
        let mut entry = encoded(name).to_vec();
        let raw = content.len().next_multiple_of(alignment);
        for number in [content.len(), address, raw, image.len()] {
            entry.extend(u32::try_from(number)?.to_le_bytes());
        }
        // Neither relocations nor line numbers.
        entry.extend([0; 12]);
        entry.extend(CHARACTERISTICS.to_le_bytes());
        image[free..free + SECTION].copy_from_slice(&entry);
        free += SECTION;
        image.extend(*content);
        address = (address + content.len()).next_multiple_of(PAGE);
    }
    image.resize(image.len().next_multiple_of(alignment), 0);
    let count = u16::try_from(count)?;
    put(&mut image, header + COUNT, &count.to_le_bytes());
    put(&mut image, header + SYMBOLS, &[0; 8]);
    let size = u32::try_from(address)?;
    put(&mut image, optional + IMAGE_SIZE, &size.to_le_bytes());
    Ok(image)
}

/// Some bytes of a program.
fn piece<const N: usize>(program: &[u8], at: usize) -> Result<[u8; N]> {
    let piece = program.get(at..).and_then(|rest| rest.get(..N));
    Ok(piece.context("it was cut off")?.try_into()?)
}

/// A number of four bytes.
fn number(program: &[u8], at: usize) -> Result<usize> {
    Ok(usize::try_from(u32::from_le_bytes(piece(program, at)?))?)
}

/// Writes into an image's headers.
fn put(image: &mut [u8], at: usize, content: &[u8]) {
    image[at..at + content.len()].copy_from_slice(content);
}

#[cfg(test)]
mod tests {
    use std::{fs, process::Command};

    use modsig_testing::script::script;

    use super::*;

    /// The stub of an architecture.
    fn stub(arch: &str) -> Vec<u8> {
        let firmware = script("get/firmware", &[arch]).unwrap();
        fs::read(firmware.join("stub.efi")).unwrap()
    }

    const SECTIONS: [(&str, &[u8]); 2] = [(".cmdline", b"quiet"), (".linux", &[7; 5000])];

    #[test]
    fn sections_are_added_to_the_stubs_of_both_architectures() {
        let readobj = "/usr/lib/llvm-19/bin/llvm-readobj";
        for arch in ["x86_64", "arm64"] {
            let work = tempfile::tempdir().unwrap();
            let path = work.path().join("image.efi");
            let stub = stub(arch);
            let image = add(&stub, &SECTIONS).unwrap();
            assert!(has(&image, ".linux").unwrap() && !has(&stub, ".linux").unwrap());
            fs::write(&path, &image).unwrap();
            let output = Command::new(readobj)
                .args(["--sections", "--file-headers"])
                .arg(&path)
                .output()
                .unwrap();
            let said = String::from_utf8(output.stdout).unwrap();
            assert!(output.status.success(), "{said}");
            let fields = |name: &str| -> Vec<usize> {
                let lines = said.lines().map(str::trim);
                let values = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                let number = |text: &str| match text.strip_prefix("0x") {
                    Some(digits) => usize::from_str_radix(digits, 16),
                    None => text.parse(),
                };
                values.map(|value| number(value).unwrap()).collect()
            };
            let sizes = fields("VirtualSize");
            assert_eq!(sizes[sizes.len() - 2..], [5, 5000], "{said}");
            let addresses = fields("VirtualAddress");
            let [first, second] = addresses[addresses.len() - 2..] else {
                panic!("{said}");
            };
            assert_eq!((first % PAGE, second), (0, first + PAGE));
            assert_eq!(fields("SizeOfImage"), [second + 2 * PAGE]);
            assert_eq!(fields("SymbolCount"), [0]);
            // All is in the file, without gaps, so that who signs it and who checks that see the same.
            let mut end = fields("SizeOfHeaders")[0];
            let raw = fields("RawDataSize");
            for (place, size) in fields("PointerToRawData").into_iter().zip(&raw) {
                assert_eq!(place, end, "{said}");
                end += size;
            }
            assert_eq!(end, image.len());
            let linux = end - raw[raw.len() - 1];
            assert_eq!(image[linux..linux + 5000], [7; 5000]);
            let first = fields("SizeOfHeaders")[0];
            assert_eq!(image[first..first + 1000], stub[first..first + 1000]);
        }
    }

    #[test]
    fn what_is_no_program_or_has_no_room_is_refused() {
        let refusal = |program: &[u8], sections: &[(&str, &[u8])]| {
            format!("{:#}", add(program, sections).unwrap_err())
        };
        let stub = stub("arm64");
        let many: Vec<(&str, &[u8])> = vec![(".linux", b"one"); 200];
        assert_eq!(
            refusal(&stub, &many),
            "no room for the headers of 200 more sections"
        );
        let mut other = stub.clone();
        let header = number(&stub, PE_HEADER).unwrap();
        for at in [header, header + OPTIONAL] {
            other[at] ^= 1;
            assert_eq!(
                refusal(&other, &SECTIONS),
                "no program for UEFI firmware (PE32+)"
            );
            other[at] ^= 1;
        }
        for length in [0, 0x3d, 0x41, 0x100] {
            assert_eq!(refusal(&stub[..length], &SECTIONS), "it was cut off");
        }
        assert_eq!(
            refusal(&stub[..0x2000], &SECTIONS),
            "its sections were cut off"
        );
    }
}
