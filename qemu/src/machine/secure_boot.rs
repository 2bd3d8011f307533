// SPDX-License-Identifier: MIT OR Apache-2.0

//! A machine whose firmware has Secure Boot switched on, with keys of its own: what is in its variables, and the
//! disk that it starts from.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use modsig_testing::{
    script::{run, script},
    vm::Arch,
};
use modsig_tools::new_key::{certificate, Algorithm};

use super::{
    firmware::{certificates, hash_of},
    unified,
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

/// Where [`Machine::install`] puts firmware and variables.
const CODE: &str = "build/firmware/secure-boot.fd";
const VARIABLES: &str = "build/firmware/secure-boot-variables.fd";

/// A section without which shim starts no program: its generation, by which a whole range of programs can be
/// withdrawn. Debian 12's stub for arm64 has none.
const SBAT: (&str, &[u8]) = (
    ".sbat",
    b"sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\n\
      modsig-test,1,modsig,modsig,1,https://uapi-group.org/specifications/\n",
);

/// What differs between architectures.
#[derive(Clone, Copy, Debug)]
struct Platform {
    /// Its name ([`Arch::name`]).
    name: &'static str,
    /// The firmware, of `get/firmware`.
    code: &'static str,
    /// Options for QEMU.
    qemu: &'static [&'static str],
    /// Where firmware looks for what it starts.
    first: &'static str,
    /// Where shim looks for what comes next.
    second: &'static str,
}

const PLATFORMS: [Platform; 2] = [
    Platform {
        name: "x86_64",
        code: "code-smm.fd",
        // In SMM the firmware writes to its variables. Nobody else may.
        qemu: &[
            "-machine",
            "smm=on",
            "-global",
            "driver=cfi.pflash01,property=secure,value=on",
            "-drive",
            "if=pflash,unit=0,format=raw,readonly=on,file=build/firmware/secure-boot.fd",
            "-drive",
            "if=pflash,unit=1,format=raw,file=build/firmware/secure-boot-variables.fd",
        ],
        first: "EFI/BOOT/BOOTX64.EFI",
        second: "EFI/BOOT/grubx64.efi",
    },
    Platform {
        name: "arm64",
        code: "code.fd",
        // There is no SMM. Whoever writes to the flash writes to the variables.
        qemu: &[
            "-drive",
            "if=pflash,unit=0,format=raw,readonly=on,file=build/firmware/secure-boot.fd",
            "-drive",
            "if=pflash,unit=1,format=raw,file=build/firmware/secure-boot-variables.fd",
        ],
        first: "EFI/BOOT/BOOTAA64.EFI",
        second: "EFI/BOOT/grubaa64.efi",
    },
];

/// A machine that nobody has set up.
#[derive(Clone, Debug)]
pub struct Machine {
    platform: Platform,
    /// Debian's packages ([`script`] `get/firmware`).
    files: PathBuf,
    /// The firmware.
    pub code: PathBuf,
    /// Its variables.
    pub variables: PathBuf,
}

impl Machine {
    /// One with Debian's firmware.
    pub fn new(arch: Arch) -> Result<Self> {
        let platform = PLATFORMS.into_iter().find(|one| one.name == arch.name);
        let platform = platform.with_context(|| {
            let name = arch.name;
            format!("no firmware for Secure Boot on {name}; there is for x86_64 and arm64")
        })?;
        let files = script("get/firmware", &[arch.name])?;
        Ok(Machine {
            platform,
            code: files.join(platform.code),
            variables: files.join("variables.fd"),
            files,
        })
    }

    /// Options for QEMU: a guest with the firmware that [`Machine::install`] has put there.
    pub fn qemu(&self) -> &'static [&'static str] {
        self.platform.qemu
    }

    /// Puts firmware and variables where QEMU finds them.
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
                &disk.join(self.platform.first),
            )?;
        }
        let place = match by_shim {
            true => self.platform.second,
            false => self.platform.first,
        };
        fs::copy(image, disk.join(place))?;
        Ok(())
    }

    /// Makes a unified kernel image: one program with the kernel, its command line and its initramfs.
    pub fn unify(
        &self,
        kernel: &Path,
        initramfs: &[u8],
        command_line: &str,
        image: &Path,
    ) -> Result<()> {
        let path = self.files.join("stub.efi");
        let stub = fs::read(&path)?;
        let kernel = fs::read(kernel).with_context(|| kernel.display().to_string())?;
        // The kernel last: what is behind it is room that it may use.
        let mut sections = vec![
            (".cmdline", command_line.as_bytes()),
            (".initrd", initramfs),
            (".linux", &kernel[..]),
        ];
        let mut add = || {
            if !unified::has(&stub, SBAT.0)? {
                sections.insert(0, SBAT);
            }
            unified::add(&stub, &sections)
        };
        Ok(fs::write(
            image,
            add().with_context(|| path.display().to_string())?,
        )?)
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

#[cfg(test)]
mod tests {
    use modsig_testing::vm;

    use super::*;

    #[test]
    fn each_architecture_has_firmware_and_programs_of_its_own() {
        // IMAGE_FILE_MACHINE_AMD64 and IMAGE_FILE_MACHINE_ARM64.
        for (name, number) in [("x86_64", [0x64, 0x86]), ("arm64", [0x64, 0xaa])] {
            let machine = Machine::new(vm::arch(name).unwrap()).unwrap();
            assert!(machine.code.exists() && machine.variables.exists());
            for program in ["shim.efi", "stub.efi"] {
                let program = fs::read(machine.files.join(program)).unwrap();
                let header = usize::from(program[0x3c]);
                assert_eq!(program[header + 4..header + 6], number, "{name}");
            }
        }
    }

    #[test]
    fn each_unified_image_has_what_shim_asks_for() {
        let work = tempfile::tempdir().unwrap();
        let (kernel, image) = (work.path().join("kernel"), work.path().join("image"));
        fs::write(&kernel, "a kernel").unwrap();
        for name in ["x86_64", "arm64"] {
            let machine = Machine::new(vm::arch(name).unwrap()).unwrap();
            machine.unify(&kernel, b"files", "quiet", &image).unwrap();
            let image = fs::read(&image).unwrap();
            for section in [".sbat", ".cmdline", ".initrd", ".linux"] {
                assert!(unified::has(&image, section).unwrap(), "{name}: {section}");
            }
        }
    }

    #[test]
    fn an_architecture_without_firmware_is_refused() {
        let mut arch = vm::arch("arm64").unwrap();
        arch.name = "riscv64";
        assert_eq!(
            Machine::new(arch).unwrap_err().to_string(),
            "no firmware for Secure Boot on riscv64; there is for x86_64 and arm64"
        );
    }
}
