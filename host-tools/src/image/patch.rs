// SPDX-License-Identifier: MIT OR Apache-2.0

//! Writing into a vmlinux, in place: it is large, and boot images are made of it right afterwards.

use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use anyhow::{ensure, Context, Result};
use object::elf::{EM_AARCH64, EM_X86_64};
use rustix::{
    fs::{flock, FlockOperation, OFlags},
    io::Errno,
};

use super::{elf, Source};
use crate::{
    files::{Place, Stamp},
    loader::Machine,
};

/// Fails if it is no ELF file; `what` was to be written into it.
pub(super) fn is_elf(file: &File, what: &str) -> Result<()> {
    let magic = file.piece(0, elf::MAGIC.len() as u64).unwrap_or_default();
    ensure!(
        magic == elf::MAGIC,
        "not an ELF file: the {what} is written into vmlinux, of which boot images are made afterwards"
    );
    Ok(())
}

/// Fails if it is for a machine whose kernels nothing is written into.
pub(super) fn is_for(machine: Machine) -> Result<()> {
    ensure!(
        matches!(machine.number, EM_X86_64 | EM_AARCH64) && !machine.is_big_endian && machine.is_64,
        "it is for {}, and modsig hashes and modsig seal are for x86_64 and arm64; sign the modules with a key instead (modsig sign)",
        machine.name()
    );
    Ok(())
}

/// A vmlinux that is open for writing, and that nobody else writes into in this way meanwhile.
#[derive(Debug)]
pub(super) struct Patch {
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) stamp: Stamp,
}

impl Patch {
    /// Opens it; `what` is to be written into it.
    pub(super) fn open(path: &Path, what: &str) -> Result<Self> {
        let place = Place::named(path).context("cannot open for writing")?;
        let file = place.open(OFlags::RDWR).map_err(std::io::Error::from);
        let file = file.context("cannot open for writing")?;
        is_elf(&file, what)?;
        // Waits until another modsig is done. Not every file system has locks.
        match flock(&file, FlockOperation::LockExclusive) {
            Ok(()) | Err(Errno::NOTSUP | Errno::NOSYS | Errno::NOLCK) => (),
            Err(error) => return Err(std::io::Error::from(error)).context("cannot lock it"),
        }
        Ok(Patch {
            path: path.to_path_buf(),
            stamp: Stamp::of_open(&file)?,
            file,
        })
    }

    /// Writes these parts, one after the other; `sync`: each is on the disk before the next one.
    ///
    /// # Errors
    ///
    /// If it is another file by now, or if it has another name: that would change as well.
    pub(super) fn write(&self, parts: &[(&[u8], u64)], sync: bool) -> Result<()> {
        ensure!(
            Stamp::of(&self.path)? == self.stamp,
            "somebody changed it meanwhile"
        );
        let names = rustix::fs::fstat(&self.file)?.st_nlink;
        ensure!(
            names == 1,
            "it has {names} names (hard links), all of which would change; make it a file of its own: cp {0} {0}.new && mv {0}.new {0}",
            self.path.display()
        );
        for (bytes, at) in parts {
            self.file.write_all_at(bytes, *at)?;
            if sync {
                self.file.sync_data()?;
            }
        }
        Ok(())
    }
}
