// SPDX-License-Identifier: MIT OR Apache-2.0

//! A vmlinux and modules, as small as they can be: what a linker would make of the kernel's
//! `certs/system_certificates.S`, put together here so that no tool chain is needed.

use std::{fs, path::Path};

use modsig::verify::merkle::MARK;

/// What modules and their kernel say of each other.
pub const VERMAGIC: &str = "6.99.0-parts SMP preempt mod_unload ";

const BASE: u64 = 0xffff_8000_8000_0000;

/// What a vmlinux is put together from.
#[derive(Clone, Debug)]
pub struct Linked {
    /// `e_machine`: 62 is x86_64, 183 arm64.
    pub machine: u16,
    /// In front of the area.
    pub builtin: Vec<Vec<u8>>,
    /// `CONFIG_SYSTEM_EXTRA_CERTIFICATE_SIZE`, if there is an area.
    pub area: Option<usize>,
    /// What `CONFIG_CRYPTO_ECDSA=y` leaves in the symbol table.
    pub curves: Vec<&'static str>,
    /// Drivers of the digests that are built in.
    pub digests: Vec<&'static str>,
    /// `CONFIG_SYSTEM_REVOCATION_LIST`, with an empty list.
    pub revocation: bool,
    /// `CONFIG_PRINTK`.
    pub printk: bool,
    pub stripped: bool,
    /// Takes modules by their hashes only.
    pub hashes_only: bool,
    /// `CONFIG_MODULE_SIG_RUST_RELEASE`: it has what tree heads start with.
    pub releases: bool,
}

impl Default for Linked {
    fn default() -> Self {
        Linked {
            machine: 62,
            builtin: vec![],
            area: Some(4096),
            curves: vec!["p256", "p384", "p521"],
            digests: vec![
                "sha256-generic",
                "sha384-generic",
                "sha512-generic",
                "sha3-512-generic",
            ],
            revocation: false,
            printk: true,
            stripped: false,
            hashes_only: false,
            releases: false,
        }
    }
}

/// Where in the file things are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    pub list: usize,
    pub area: usize,
    pub used: usize,
    pub list_size: usize,
}

fn section(name: u32, kind: u32, address: u64, at: usize, size: usize, link: u32) -> Vec<u8> {
    let mut out = vec![];
    out.extend(name.to_le_bytes());
    out.extend(kind.to_le_bytes());
    out.extend(2u64.to_le_bytes());
    for number in [address, at as u64, size as u64] {
        out.extend(number.to_le_bytes());
    }
    out.extend(link.to_le_bytes());
    out.extend(0u32.to_le_bytes());
    out.extend(8u64.to_le_bytes());
    out.extend((if kind == 2 { 24u64 } else { 0 }).to_le_bytes());
    out
}

fn header(kind: u16, machine: u16, segments: u16, sections: u16, names: u16, at: u64) -> Vec<u8> {
    let mut out = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    out.extend(kind.to_le_bytes());
    out.extend(machine.to_le_bytes());
    out.extend(1u32.to_le_bytes());
    for number in [0, if segments > 0 { 64 } else { 0 }, at] {
        out.extend(u64::to_le_bytes(number));
    }
    out.extend(0u32.to_le_bytes());
    for number in [64, 56, segments, 64, sections, names] {
        out.extend(u16::to_le_bytes(number));
    }
    out
}

fn align(out: &mut Vec<u8>, alignment: usize) {
    out.resize(out.len().next_multiple_of(alignment), 0);
}

impl Linked {
    /// The file, and where in it things are.
    pub fn vmlinux(&self) -> (Vec<u8>, Places) {
        // Of the assembler, .align is a power of two for arm64.
        let aligned = |value: usize| {
            if self.machine == 183 {
                1 << value
            } else {
                value
            }
        };
        // Head, program header; then what is loaded, at once, at the address of its offset.
        let mut out = vec![0; 64 + 56];
        align(&mut out, 4096);
        let start = out.len();
        let banner = out.len();
        out.extend(b"Linux version 6.99.0-parts (nobody@nowhere) #1\0");
        out.extend([VERMAGIC.as_bytes(), b"\0"].concat());
        if self.printk {
            out.extend(b"Loading compiled-in X.509 certificates\0");
        }
        if self.printk && self.revocation {
            out.extend(b"Loading compiled-in revocation X.509 certificates\0");
        }
        if self.releases {
            out.extend(b"modsig: release\0");
        }
        for driver in &self.digests {
            out.extend([driver.as_bytes(), b"\0"].concat());
        }
        align(&mut out, 4096);
        let list = out.len();
        out.extend(self.builtin.concat());
        let before = out.len() - list;
        let area = out.len();
        out.resize(area + self.area.unwrap_or(0), 0);
        align(&mut out, aligned(4));
        let used = out.len();
        if self.area.is_some() {
            out.extend([0; 4]);
        }
        align(&mut out, aligned(8));
        let list_size = out.len();
        out.extend((before as u64).to_le_bytes());
        align(&mut out, aligned(8));
        let first = self.builtin.first().map_or(0, Vec::len);
        out.extend((first as u64).to_le_bytes());
        let mut revoked = 0;
        if self.revocation {
            align(&mut out, aligned(8));
            revoked = out.len();
            out.extend([0; 8]);
        }
        if self.hashes_only {
            out.extend([&[0; 40][..], &MARK].concat());
        }
        let end = out.len();

        let mut names = vec![0];
        let mut symbols = vec![0; 24];
        let mut symbol = |name: &str, at: usize, size: usize| {
            symbols.extend((names.len() as u32).to_le_bytes());
            symbols.extend([0x11, 0]);
            symbols.extend(1u16.to_le_bytes());
            symbols.extend((BASE + at as u64).to_le_bytes());
            symbols.extend((size as u64).to_le_bytes());
            names.extend([name.as_bytes(), b"\0"].concat());
        };
        symbol("linux_banner", banner, 47);
        for curve in &self.curves {
            symbol(&format!("ecdsa_nist_{curve}"), banner, 8);
        }
        symbol("system_certificate_list", list, 0);
        if let Some(size) = self.area {
            symbol("system_extra_cert", area, size);
            symbol("system_extra_cert_used", used, 0);
        }
        symbol("system_certificate_list_size", list_size, 0);
        if self.revocation {
            symbol("revocation_certificate_list", revoked, 0);
            symbol("revocation_certificate_list_size", revoked, 0);
        }

        let mut sections = vec![section(0, 0, 0, 0, 0, 0)];
        sections.push(section(0, 1, BASE + start as u64, start, end - start, 0));
        if !self.stripped {
            let at = out.len();
            out.extend(&symbols);
            sections.push(section(0, 2, 0, at, symbols.len(), 3));
            let at = out.len();
            out.extend(&names);
            sections.push(section(0, 3, 0, at, names.len(), 0));
        }
        align(&mut out, 8);
        let at = out.len();
        let count = sections.len() as u16;
        out.extend(sections.concat());
        out[..64].copy_from_slice(&header(2, self.machine, 1, count, 0, at as u64));
        let mut segment = vec![];
        segment.extend(1u32.to_le_bytes());
        segment.extend(4u32.to_le_bytes());
        let (address, size) = (BASE + start as u64, (end - start) as u64);
        for number in [start as u64, address, address, size, size, 4096] {
            segment.extend(number.to_le_bytes());
        }
        out[64..64 + 56].copy_from_slice(&segment);
        let places = Places {
            list,
            area,
            used,
            list_size,
        };
        (out, places)
    }

    /// Puts the file into a directory.
    pub fn write(&self, path: &Path) -> Places {
        let (octets, places) = self.vmlinux();
        fs::write(path, octets).unwrap();
        places
    }
}

/// A module that says this of itself, unlike others with another text.
pub fn module(vermagic: &str, text: &str) -> Vec<u8> {
    module_for(62, vermagic, text)
}

/// The same for another machine (`e_machine`).
pub fn module_for(machine: u16, vermagic: &str, text: &str) -> Vec<u8> {
    let mut out = vec![0; 64];
    let info = [b"license=GPL\0vermagic=", vermagic.as_bytes(), b"\0"].concat();
    out.extend(&info);
    let names_at = out.len();
    let names = b"\0.modinfo\0.gnu.linkonce.this_module\0";
    out.extend(names);
    // One symbol, which is none.
    align(&mut out, 8);
    let symbols = out.len();
    out.extend([0; 24]);
    out.extend(text.as_bytes());
    align(&mut out, 8);
    let at = out.len() as u64;
    out.extend(section(0, 0, 0, 0, 0, 0));
    out.extend(section(1, 1, 0, 64, info.len(), 0));
    out.extend(section(0, 3, 0, names_at, names.len(), 0));
    out.extend(section(10, 1, 0, symbols, 24, 0));
    out.extend(section(0, 2, 0, symbols, 24, 2));
    out[..64].copy_from_slice(&header(1, machine, 0, 5, 2, at));
    out
}
