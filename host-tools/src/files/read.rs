// SPDX-License-Identifier: MIT OR Apache-2.0

//! Reading whole files.

use std::{ffi::CString, fs, io, path::Path};

use anyhow::{bail, ensure, Context, Result};
use rustix::{
    buffer::spare_capacity,
    fs::{fgetxattr, flistxattr, fstat, FileType, Mode, OFlags, Stat},
    io::Errno,
};

use super::{Place, Stamp, CHANGED};
use crate::memory;

/// Bytes of the largest file that a kernel takes as a module (fs/kernel_read_file.c).
const LARGEST: i64 = i32::MAX as i64;

/// Bytes of the largest list of attributes, and of the largest attribute (include/uapi/linux/limits.h).
pub(super) const LARGEST_ATTRIBUTE: usize = 65536;

/// Reads a file whole into `buffer`. Says what the file was then.
///
/// # Errors
///
/// If it cannot be read, is no file, is larger than any kernel takes, or changes meanwhile.
pub fn read_into(path: &Path, buffer: &mut Vec<u8>) -> Result<Stamp> {
    let mut read = || {
        // Without waiting: a pipe would wait for a writer.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags, Mode::empty()).map_err(cannot_open)?;
        let stat = read_open(&file.into(), buffer)?;
        anyhow::Ok(Stamp::from(&stat))
    };
    read().with_context(|| path.display().to_string())
}

/// Reads a file that may or may not be a module.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let mut content = vec![];
    read_into(path, &mut content)?;
    Ok(content)
}

fn cannot_open(error: Errno) -> anyhow::Error {
    anyhow::Error::new(io::Error::from(error)).context(match error {
        Errno::MFILE | Errno::NFILE => "cannot open; lower --jobs, or raise ulimit -n",
        _ => "cannot open",
    })
}

fn read_open(file: &fs::File, buffer: &mut Vec<u8>) -> Result<Stat> {
    let stat = fstat(file).context("cannot open")?;
    ensure!(
        FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile,
        "not a file; give a module, or a directory that has some"
    );
    ensure!(
        stat.st_size <= LARGEST,
        "larger than 2 GiB, which no kernel takes as a module"
    );
    let size = stat.st_size as usize;
    memory::reserve(size);
    buffer.clear();
    buffer.reserve(size);
    while buffer.len() < size {
        match rustix::io::read(file, spare_capacity(buffer)) {
            Ok(0) => bail!(CHANGED),
            Ok(_) | Err(Errno::INTR) => (),
            Err(error) => return Err(io::Error::from(error)).context("cannot read"),
        }
    }
    // If it grew later, that shows before it is replaced.
    ensure!(buffer.len() == size, CHANGED);
    Ok(stat)
}

/// A file that was read and is to be replaced: its content is in the buffer that was given, this is
/// the rest. It is not open any more.
#[derive(Debug)]
pub struct Original {
    pub(super) place: Place,
    pub(super) stamp: Stamp,
    pub(super) attributes: Attributes,
}

/// What a file has beside its content.
#[derive(Debug)]
pub(super) struct Attributes {
    /// User and group; `None`: whoever makes it.
    pub(super) owner: Option<(u32, u32)>,
    pub(super) mode: u32,
    /// Extended attributes, access control lists among them.
    pub(super) extended: Vec<(CString, Vec<u8>)>,
}

impl Original {
    /// Reads a file whole into `buffer`.
    ///
    /// # Errors
    ///
    /// As [`read_into`].
    pub fn read(place: Place, buffer: &mut Vec<u8>) -> Result<Self> {
        let mut read = || {
            let file = place.open(OFlags::RDONLY).map_err(|error| match error {
                Errno::LOOP => anyhow::anyhow!(CHANGED),
                error => cannot_open(error),
            })?;
            let stat = read_open(&file, buffer)?;
            anyhow::Ok((
                Stamp::from(&stat),
                Attributes {
                    owner: Some((stat.st_uid, stat.st_gid)),
                    mode: stat.st_mode & 0o7777,
                    extended: extended(&file).context("cannot read its attributes")?,
                },
            ))
        };
        let (stamp, attributes) = read().with_context(|| place.path().display().to_string())?;
        Ok(Original {
            place,
            stamp,
            attributes,
        })
    }

    /// What the file was when it was read.
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// How anybody may access it.
    pub fn mode(&self) -> u32 {
        self.attributes.mode
    }
}

/// The extended attributes of a file, but for those over its content: integrity measurement would
/// refuse another content for them.
fn extended(file: &fs::File) -> Result<Vec<(CString, Vec<u8>)>, Errno> {
    let mut names = Vec::with_capacity(LARGEST_ATTRIBUTE);
    match flistxattr(file, spare_capacity(&mut names)) {
        Err(Errno::NOTSUP) => return Ok(vec![]),
        listed => listed?,
    };
    let mut all = vec![];
    for name in names.split(|&byte| byte == 0) {
        if matches!(name, b"" | b"security.ima" | b"security.evm") {
            continue;
        }
        // There is no zero in it.
        let name = CString::new(name).map_err(|_| Errno::INVAL)?;
        let mut value = Vec::with_capacity(LARGEST_ATTRIBUTE);
        match fgetxattr(file, &*name, spare_capacity(&mut value)) {
            // Taken off meanwhile, or not for this user's eyes.
            Err(Errno::NODATA | Errno::ACCESS) => continue,
            read => read?,
        };
        value.shrink_to_fit();
        all.push((name, value));
    }
    Ok(all)
}
