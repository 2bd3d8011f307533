// SPDX-License-Identifier: MIT OR Apache-2.0

//! A machine whose firmware has Secure Boot switched on, with keys of its own: what is in its variables, and the
//! disk that it starts from.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{ensure, Context, Result};
use modsig_testing::script::{run, script};
use modsig_tools::new_key::{certificate, Algorithm};

use super::{
    firmware::{certificates, hash_of},
    variables::{self, Variable, AUTHENTICATED, BOOT_ONLY, DATABASE, GLOBAL, SHIM},
};
use crate::corpus::recipe::Pantry;

/// The key of whoever set the machine up (`PK`, `KEK`).
const PLATFORM: [&str; 1] = ["platform"];
/// Those in `db`.
const DB: [&str; 2] = ["db", "withdrawn"];
/// Those in `dbx`: one that is also in `db`, and one that is built into the kernel.
const DBX: [&str; 2] = ["withdrawn", "rsa4096"];
/// How the file is made whose hash is in `dbx`.
const DBX_FILE: [&str; 1] = ["sign db sha512"];
/// The keys of the machine's owner (`MokList`), and those that the owner refuses (`MokListX`).
const OWNER: [&str; 2] = ["mok", "mok-withdrawn"];
const OWNER_REFUSES: [&str; 1] = ["mok-withdrawn"];
/// Keys that are in no list.
const NOBODY: [&str; 1] = ["nobody"];

/// Whether the owner lets the kernel trust the owner's keys as its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Yes, as long as nobody says otherwise.
    Trusted,
    /// No (`mokutil --untrust-mok`).
    Untrusted,
}

/// Options for QEMU: what [`Machine::install`] has put there, and SMM, in which the firmware is when it writes to its
/// variables. Nobody else may.
pub const QEMU: &[&str] = &[
    "-machine",
    "smm=on",
    "-global",
    "driver=cfi.pflash01,property=secure,value=on",
    "-drive",
    "if=pflash,unit=0,format=raw,readonly=on,file=build/firmware/secure-boot.fd",
    "-drive",
    "if=pflash,unit=1,format=raw,file=build/firmware/secure-boot-variables.fd",
];
const CODE: &str = "build/firmware/secure-boot.fd";
const VARIABLES: &str = "build/firmware/secure-boot-variables.fd";

/// Where Debian's package systemd-boot-efi has the program that a unified kernel image begins with.
const STUB: &str = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";
/// Where firmware looks for what it starts, and where shim looks for what comes next.
const FIRST: &str = "EFI/BOOT/BOOTX64.EFI";
const SECOND: &str = "EFI/BOOT/grubx64.efi";

/// A machine that nobody has set up.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Debian's packages ([`script`] `get/firmware`).
    files: PathBuf,
    /// The firmware.
    pub code: PathBuf,
    /// Its variables.
    pub variables: PathBuf,
}

impl Machine {
    /// One with Debian's firmware.
    pub fn new() -> Result<Self> {
        let files = script("get/firmware", &["x86_64"])?;
        Ok(Machine {
            code: files.join("code-smm.fd"),
            variables: files.join("variables.fd"),
            files,
        })
    }

    /// Puts firmware and variables where [`QEMU`] finds them.
    ///
    /// # Errors
    ///
    /// If the file is none of variables, or has no room for the keys.
    pub fn install(&self, pantry: &Pantry, owner: Owner) -> Result<()> {
        let mut file = fs::read(&self.variables)
            .with_context(|| format!("{}: cannot read", self.variables.display()))?;
        variables::add(&mut file, &keys(pantry, owner)?)
            .with_context(|| self.variables.display().to_string())?;
        fs::create_dir_all("build/firmware")?;
        fs::copy(&self.code, CODE)
            .with_context(|| format!("{}: cannot read", self.code.display()))?;
        Ok(fs::write(VARIABLES, file)?)
    }

    /// Makes a disk whose firmware starts this image, itself or by way of shim, which the key `db` has signed.
    pub fn disk(&self, pantry: &Pantry, image: &Path, by_shim: bool, disk: &Path) -> Result<()> {
        fs::create_dir_all(disk.join("EFI/BOOT"))?;
        if by_shim {
            self.sign(
                pantry,
                "db",
                &self.files.join("shim.efi"),
                &disk.join(FIRST),
            )?;
        }
        let place = if by_shim { SECOND } else { FIRST };
        fs::copy(image, disk.join(place))?;
        Ok(())
    }

    /// Signs a program for firmware.
    pub fn sign(&self, pantry: &Pantry, key: &str, program: &Path, signed: &Path) -> Result<()> {
        run(Command::new(self.files.join("sbsign"))
            .arg("--key")
            .arg(pantry.keys.join(format!("{key}.key.pem")))
            .arg("--cert")
            .arg(pantry.keys.join(format!("{key}.cert.pem")))
            .arg("--output")
            .args([signed, program]))
    }
}

/// The test keys, and beside them those of such a machine, which are made anew.
pub fn make_keys(test_keys: &Path, directory: &Path) -> Result<()> {
    for entry in fs::read_dir(test_keys)? {
        let entry = entry?;
        std::os::unix::fs::symlink(entry.path(), directory.join(entry.file_name()))?;
    }
    for name in [&PLATFORM[..], &DB, &OWNER, &NOBODY].concat() {
        // Firmware takes no others.
        let algorithm = Algorithm::Rsa2048;
        let key = algorithm.key()?;
        let certificate =
            certificate(algorithm, &key, &format!("modsig test {name}"), 3650, false)?;
        let path = |kind| directory.join(format!("{name}.{kind}.pem"));
        fs::write(path("key"), key.private_key_to_pem_pkcs8()?)?;
        fs::write(path("cert"), certificate.to_pem()?)?;
    }
    Ok(())
}

/// What is in the variables.
fn keys(pantry: &Pantry, owner: Owner) -> Result<Vec<Variable>> {
    let variable = |name, vendor, attributes, content| Variable {
        name,
        vendor,
        attributes,
        content,
    };
    let platform = certificates(pantry, &PLATFORM)?;
    let dbx = [certificates(pantry, &DBX)?, hash_of(pantry, &DBX_FILE)?].concat();
    let of_owner = certificates(pantry, &OWNER)?;
    let refused = certificates(pantry, &OWNER_REFUSES)?;
    let mut all = vec![
        variable("PK", GLOBAL, AUTHENTICATED, platform.clone()),
        variable("KEK", GLOBAL, AUTHENTICATED, platform),
        variable("db", DATABASE, AUTHENTICATED, certificates(pantry, &DB)?),
        variable("dbx", DATABASE, AUTHENTICATED, dbx),
        variable("MokList", SHIM, BOOT_ONLY, of_owner),
        variable("MokListX", SHIM, BOOT_ONLY, refused),
    ];
    if owner == Owner::Untrusted {
        all.push(variable("MokListTrusted", SHIM, BOOT_ONLY, vec![1]));
    }
    Ok(all)
}

/// Makes a unified kernel image: one program with the kernel, its command line and its initramfs.
pub fn unify(kernel: &Path, initramfs: &[u8], command_line: &str, image: &Path) -> Result<()> {
    let work = tempfile::tempdir()?;
    let stub = fs::read(STUB).with_context(|| format!("{STUB}: run scripts/setup"))?;
    let kernel = fs::read(kernel).with_context(|| kernel.display().to_string())?;
    let mut at = end_of(&stub).with_context(|| STUB.to_owned())?;
    let mut objcopy = Command::new("objcopy");
    // The kernel last: what is behind it is room that it may use.
    for (section, content) in [
        ("cmdline", command_line.as_bytes()),
        ("initrd", initramfs),
        ("linux", &kernel),
    ] {
        let path = work.path().join(section);
        fs::write(&path, content)?;
        objcopy
            .arg("--add-section")
            .arg(format!(".{section}={}", path.display()))
            .arg("--change-section-vma")
            .arg(format!(".{section}={at:#x}"));
        at = (at + content.len() as u64).next_multiple_of(PAGE);
    }
    run(objcopy.arg(STUB).arg(image))
}

const PAGE: u64 = 0x1000;

/// The address behind a program for firmware (PE32+).
fn end_of(program: &[u8]) -> Result<u64> {
    let field = |at: usize| -> Result<u32> {
        let field = program.get(at..at + 4).context("it was cut off")?;
        Ok(u32::from_le_bytes(field.try_into()?))
    };
    let header = field(0x3c)? as usize;
    ensure!(
        field(header)?.to_le_bytes() == *b"PE\0\0",
        "no program for firmware"
    );
    let base = u64::from(field(header + 48)?) | u64::from(field(header + 52)?) << 32;
    Ok(base + u64::from(field(header + 80)?).next_multiple_of(PAGE))
}
