// SPDX-License-Identifier: MIT OR Apache-2.0

//! UEFI firmware, and what its variables say of keys: `db` whom to trust, `dbx` whom and what not.

use std::{fs, path::Path};

use anyhow::Result;
use modsig_testing::script::script;

use crate::corpus::recipe::Pantry;

/// The test keys whose certificates are in `db`. No kernel has them built in. All are RSA: OVMF takes no
/// other certificates.
pub const DB: [&str; 3] = ["untrusted", "root", "inter"];
/// Those whose certificates are in `dbx`: one that is also in `db`, and one that is built in.
pub const DBX: [&str; 2] = ["inter", "rsa4096"];
/// How the file is made whose hash is in `dbx`.
pub const DBX_FILE: [&str; 1] = ["sign untrusted sha512"];

/// Options for QEMU: a guest with the firmware that [`install`] has put there.
pub const QEMU: &[&str] = &[
    "-drive",
    "if=pflash,unit=0,format=raw,readonly=on,file=build/firmware/code.fd",
    "-drive",
    "if=pflash,unit=1,format=raw,file=build/firmware/variables.fd",
];

/// Where efivarfs has a variable of the signature database.
pub fn path(variable: &str) -> String {
    format!("/sys/firmware/efi/efivars/{variable}-d719b2cb-3d3a-4596-a3bc-dad00e67656f")
}

/// Puts the firmware where [`QEMU`] finds it, with the variables of a new machine.
pub fn install() -> Result<()> {
    let firmware = script("get/firmware", &["x86_64"])?;
    let place = Path::new("build/firmware");
    fs::create_dir_all(place)?;
    for name in ["code.fd", "variables.fd"] {
        fs::copy(firmware.join(name), place.join(name))?;
    }
    Ok(())
}

/// What is written to `db` and to `dbx`, as efivarfs takes it.
pub fn variables(pantry: &Pantry) -> Result<[(&'static str, Vec<u8>); 2]> {
    let file = hash_of(pantry, &DBX_FILE)?;
    let dbx = [certificates(pantry, &DBX)?, file].concat();
    Ok([
        ("db", variable(&certificates(pantry, &DB)?)),
        ("dbx", variable(&dbx)),
    ])
}

/// Lists with these certificates.
pub fn certificates(pantry: &Pantry, names: &[&str]) -> Result<Vec<u8>> {
    let mut lists = vec![];
    for name in names {
        lists.extend(list(&X509, &pantry.certificate(name)?.to_der()?)?);
    }
    Ok(lists)
}

/// A list with the hash of a file that is made in this way.
pub fn hash_of(pantry: &Pantry, recipe: &[&str]) -> Result<Vec<u8>> {
    let recipe: Vec<_> = recipe.iter().map(|step| (*step).to_owned()).collect();
    list(&SHA256, &openssl::sha::sha256(&pantry.make(&recipe)?))
}

/// `EFI_CERT_X509_GUID`: a certificate.
const X509: [u8; 16] = *b"\xa1\x59\xc0\xa5\xe4\x94\xa7\x4a\x87\xb5\xab\x15\x5c\x2b\xf0\x72";
/// `EFI_CERT_SHA256_GUID`: the SHA-256 of a file.
const SHA256: [u8; 16] = *b"\x26\x16\xc4\xc1\x4c\x50\x92\x40\xac\xa9\x41\xf9\x36\x93\x43\x28";
/// `EFI_CERT_TYPE_PKCS7_GUID`
const PKCS7: [u8; 16] = *b"\x9d\xd2\xaf\x4a\xdf\x68\xee\x49\x8a\xa9\x34\x7d\x37\x56\x65\xa7";

/// An `EFI_SIGNATURE_LIST` of one entry, whose owner is nobody.
fn list(kind: &[u8; 16], data: &[u8]) -> Result<Vec<u8>> {
    let entry = u32::try_from(16 + data.len())?;
    let sizes = [28 + entry, 0, entry].map(u32::to_le_bytes).concat();
    Ok([kind, &sizes[..], &[0; 16], data].concat())
}

/// A variable's attributes, and an `EFI_VARIABLE_AUTHENTICATION_2` without a signature in front of its
/// lists: firmware without a platform key asks for none.
fn variable(lists: &[u8]) -> Vec<u8> {
    // Not volatile, for the boot and for run time, authenticated by time.
    let attributes = (0x1 | 0x2 | 0x4 | 0x20_u32).to_le_bytes();
    let mut time = [0; 16];
    time[..7].copy_from_slice(&[0xea, 0x07, 1, 1, 0, 0, 0]);
    // WIN_CERTIFICATE_UEFI_GUID: length, revision 2.0, WIN_CERT_TYPE_EFI_GUID.
    let certificate = [24, 0, 0, 0, 0x00, 0x02, 0xf1, 0x0e];
    [&attributes[..], &time, &certificate, &PKCS7, lists].concat()
}
