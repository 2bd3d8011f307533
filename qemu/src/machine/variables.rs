// SPDX-License-Identifier: MIT OR Apache-2.0

//! The file in which QEMU keeps the variables of UEFI firmware: a firmware volume with a variable store, as EDK II
//! has it (`MdeModulePkg/Include/Guid/VariableFormat.h`). Variables can be put into it that no system may write.

use anyhow::{bail, ensure, Context, Result};

/// `EFI_GLOBAL_VARIABLE`: `PK` and `KEK`.
pub const GLOBAL: [u8; 16] = *b"\x61\xdf\xe4\x8b\xca\x93\xd2\x11\xaa\x0d\x00\xe0\x98\x03\x2b\x8c";
/// `EFI_IMAGE_SECURITY_DATABASE_GUID`: `db` and `dbx`.
pub const DATABASE: [u8; 16] = *b"\xcb\xb2\x19\xd7\x3a\x3d\x96\x45\xa3\xbc\xda\xd0\x0e\x67\x65\x6f";
/// Shim's: `MokList` and what belongs to it.
pub const SHIM: [u8; 16] = *b"\x50\xab\x5d\x60\x46\xe0\x00\x43\xab\xb6\x3d\xd8\x10\xdd\x8b\x23";

/// A variable that stays, for the boot and for run time, authenticated by time: the firmware's keys.
pub const AUTHENTICATED: u32 = 0x1 | 0x2 | 0x4 | 0x20;
/// A variable that stays, and that only programs see which run before the kernel: the owner's keys.
pub const BOOT_ONLY: u32 = 0x1 | 0x2;

/// Something to be put into the store.
#[derive(Clone, Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// Whose it is.
    pub vendor: [u8; 16],
    /// Who may do what with it.
    pub attributes: u32,
    /// What it says.
    pub content: Vec<u8>,
}

/// `_FVH`, in the header of a firmware volume, and where that says how long it is.
const VOLUME_MARK: (usize, &[u8]) = (40, b"_FVH");
const VOLUME_HEADER_LENGTH: usize = 48;
/// `EFI_AUTHENTICATED_VARIABLE_GUID`: a store whose variables have the long header.
const STORE: &[u8] = b"\x78\x2c\xf3\xaa\x7b\x94\x9a\x43\xa1\x80\x2e\x14\x4e\xc3\x77\x92";
/// `VARIABLE_STORE_HEADER`
const STORE_HEADER: usize = 28;
/// Formatted, and healthy.
const STORE_STATE: &[u8] = b"\x5a\xfe";
/// What a variable begins with, and the state of one that counts.
const START: u16 = 0x55aa;
const ADDED: u8 = 0x3f;
/// `AUTHENTICATED_VARIABLE_HEADER`
const HEADER: usize = 60;
/// Each variable begins at a multiple of this.
const ALIGNMENT: usize = 4;

/// Puts variables into a store that has none.
///
/// # Errors
///
/// If that is no such store, if it has variables already, or if there is no room for these.
pub fn add(file: &mut [u8], variables: &[Variable]) -> Result<()> {
    let (start, end) = store(file)?;
    let mut at = start;
    ensure!(
        field::<2>(file, at)? != START.to_le_bytes(),
        "there are variables in it; take those of a machine that nobody has set up (OVMF_VARS_4M.fd, AAVMF_VARS.fd)"
    );
    for variable in variables {
        let encoded = variable.encode()?;
        let free = end.saturating_sub(at);
        let Some(place) = file[..end].get_mut(at..at + encoded.len()) else {
            bail!(
                "no room for {}: it takes {} bytes, and {free} are free",
                variable.name,
                encoded.len()
            );
        };
        place.copy_from_slice(&encoded);
        at = (at + encoded.len()).next_multiple_of(ALIGNMENT);
    }
    Ok(())
}

/// Where the variables of a store begin, and where the store ends.
fn store(file: &[u8]) -> Result<(usize, usize)> {
    let (at, mark) = VOLUME_MARK;
    let find = || -> Result<(usize, usize)> {
        ensure!(
            file.is_empty() || file.iter().any(|byte| *byte != 0),
            "there are only zeros in it, as in Debian 12's AAVMF_VARS.fd; without --variables one with headers is taken"
        );
        ensure!(field::<4>(file, at)? == mark, "no firmware volume");
        let header = usize::from(u16::from_le_bytes(field(file, VOLUME_HEADER_LENGTH)?));
        ensure!(
            field::<16>(file, header)? == STORE && field::<2>(file, header + 20)? == STORE_STATE,
            "no store of authenticated variables"
        );
        let length = u32::from_le_bytes(field(file, header + 16)?);
        let end = header + usize::try_from(length)?;
        ensure!(end <= file.len(), "it was cut off");
        Ok((header + STORE_HEADER, end))
    };
    find().context("not a file of a UEFI firmware's variables (OVMF_VARS_4M.fd, AAVMF_VARS.fd)")
}

/// Some bytes of the file.
fn field<const N: usize>(file: &[u8], at: usize) -> Result<[u8; N]> {
    let field = file.get(at..at + N).context("it was cut off")?;
    Ok(field.try_into()?)
}

impl Variable {
    /// As the store has it.
    fn encode(&self) -> Result<Vec<u8>> {
        let name: Vec<u8> = self
            .name
            .encode_utf16()
            .chain([0])
            .flat_map(u16::to_le_bytes)
            .collect();
        let sizes = [name.len(), self.content.len()].map(u32::try_from);
        let [name_size, size] = sizes;
        let mut encoded = START.to_le_bytes().to_vec();
        encoded.extend([ADDED, 0]);
        encoded.extend(self.attributes.to_le_bytes());
        // No count, no time and no key: nothing has been signed yet.
        encoded.extend([0; 8 + 16 + 4]);
        encoded.extend(name_size?.to_le_bytes());
        encoded.extend(size?.to_le_bytes());
        encoded.extend(self.vendor);
        debug_assert_eq!(encoded.len(), HEADER);
        encoded.extend(name);
        encoded.extend(&self.content);
        Ok(encoded)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use modsig_testing::script::script;

    use super::*;

    /// The file of a new machine.
    fn new() -> Vec<u8> {
        of("x86_64")
    }

    /// That of an architecture.
    fn of(arch: &str) -> Vec<u8> {
        let firmware = script("get/firmware", &[arch]).unwrap();
        fs::read(firmware.join("variables.fd")).unwrap()
    }

    fn variable(name: &'static str, size: usize) -> Variable {
        Variable {
            name,
            vendor: GLOBAL,
            attributes: AUTHENTICATED,
            content: vec![7; size],
        }
    }

    fn refusal(file: &mut [u8], variables: &[Variable]) -> String {
        format!("{:#}", add(file, variables).unwrap_err())
    }

    #[test]
    fn variables_are_put_where_the_firmware_looks_for_them() {
        for arch in ["x86_64", "arm64"] {
            are_put_there(of(arch));
        }
    }

    fn are_put_there(mut file: Vec<u8>) {
        let empty = file.clone();
        add(&mut file, &[variable("PK", 5), variable("KEK", 4)]).unwrap();
        // Behind the headers of volume and store: 72 + 28 bytes.
        assert_eq!(file[..100], empty[..100]);
        assert_eq!(file[100..104], [0xaa, 0x55, 0x3f, 0]);
        assert_eq!(file[104..108], [0x27, 0, 0, 0]);
        assert_eq!(file[136..144], [6, 0, 0, 0, 5, 0, 0, 0]);
        assert_eq!(file[160..171], *b"P\0K\0\0\0\x07\x07\x07\x07\x07");
        // The next one begins at a multiple of four.
        assert_eq!(file[171..174], [0xff, 0xaa, 0x55]);
        let end = 172 + HEADER + 8 + 4;
        assert_eq!(file[end..], empty[end..]);
    }

    #[test]
    fn a_store_without_room_says_for_what() {
        let mut file = new();
        let free = 0x4_0000 - 72 - 28;
        let fits = variable("db", free - HEADER - 6);
        add(&mut file, std::slice::from_ref(&fits)).unwrap();
        let mut file = new();
        let said = refusal(&mut file, &[fits, variable("dbx", 10)]);
        assert_eq!(said, "no room for dbx: it takes 78 bytes, and 0 are free");
        let mut file = new();
        let said = refusal(
            &mut file,
            &[variable("PK", 100), variable("db", free - 100)],
        );
        let wanted = free - 100 + HEADER + 6;
        let left = free - (HEADER + 6 + 100).next_multiple_of(ALIGNMENT);
        assert_eq!(
            said,
            format!("no room for db: it takes {wanted} bytes, and {left} are free")
        );
    }

    #[test]
    fn what_is_no_empty_store_is_refused() {
        let mut file = new();
        add(&mut file, &[variable("PK", 5)]).unwrap();
        let said = refusal(&mut file, &[variable("PK", 5)]);
        assert!(said.starts_with("there are variables in it"), "{said}");
        for (at, why) in [
            (40, "no firmware volume"),
            (72, "no store"),
            (93, "no store"),
        ] {
            let mut file = new();
            file[at] ^= 1;
            let said = refusal(&mut file, &[]);
            assert!(said.starts_with("not a file of"), "{said}");
            assert!(said.contains(why), "{said}");
        }
        let said = refusal(&mut [0; 1000], &[]);
        assert!(said.contains("only zeros"), "{said}");
        for length in [0, 43, 80, 99, 1000] {
            let said = refusal(&mut new()[..length], &[]);
            assert!(said.ends_with("cut off"), "{length}: {said}");
        }
    }
}
