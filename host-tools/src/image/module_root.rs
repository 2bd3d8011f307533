// SPDX-License-Identifier: MIT OR Apache-2.0

//! The root over the hashes of a build's modules (`rust/modsig/sys/root.rs`): finding it in any
//! image, writing it into a vmlinux.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use anyhow::{bail, ensure, Context, Result};
use memchr::memmem;
use modsig::verify::merkle::{Root, HASH_SIZE, MARK};

use super::{
    elf,
    patch::{is_elf, is_for, Patch},
    Kernel, Source,
};
use crate::{files::Stamp, loader::Machine};

/// The section that it is in.
const SECTION: &str = ".module_hashes";
/// Bytes of the root: levels, then the hash.
const ROOT: usize = 4 + HASH_SIZE;
/// Bytes of the section: behind the root, whether keys count too, and the mark.
const SIZE: usize = ROOT + 4 + MARK.len();

/// How a kernel knows modules by their hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hashes {
    /// Over the hashes of its modules.
    pub root: Root,
    /// Whether it also takes modules for a key's sake.
    pub keys: bool,
}

/// Reads the section. Numbers are in the byte order of the machine.
fn parse(machine: Machine, section: &[u8]) -> Option<Hashes> {
    let section: &[u8; SIZE] = section.try_into().ok()?;
    let (levels, rest) = section.split_first_chunk::<4>()?;
    let (hash, rest) = rest.split_first_chunk::<HASH_SIZE>()?;
    let (keys, mark) = rest.split_first_chunk::<4>()?;
    let root = Root {
        levels: machine.number(levels).try_into().ok()?,
        hash: *hash,
    };
    let keys = match machine.number(keys) {
        0 => false,
        1 => true,
        _ => return None,
    };
    (mark == MARK).then_some(Hashes { root, keys })
}

/// Finds it in a kernel, by its mark: not every image has sections.
pub(super) fn find(kernel: &Kernel) -> Result<Option<Hashes>> {
    let all = kernel.segments.iter().flat_map(|segment| {
        memmem::find_iter(&segment.octets, &MARK).filter_map(|at| {
            let start = (at + MARK.len()).checked_sub(SIZE)?;
            parse(kernel.machine, &segment.octets[start..start + SIZE])
        })
    });
    let all: Vec<Hashes> = all.collect();
    ensure!(
        all.len() <= 1,
        "there are several roots of module hashes in it; give the vmlinux itself"
    );
    Ok(all.first().copied())
}

/// A vmlinux that the root can be written into.
#[derive(Debug)]
pub struct Vmlinux {
    path: PathBuf,
    stamp: Stamp,
    /// Where the root is in the file.
    at: u64,
    hashes: Hashes,
}

impl Vmlinux {
    /// Opens it.
    ///
    /// # Errors
    ///
    /// If it is not a vmlinux that has a place for the root. They name the file.
    pub fn open(path: &Path) -> Result<Self> {
        let open = || {
            let file = File::open(path).context("cannot open")?;
            is_elf(&file, WHAT)?;
            let (machine, place) = elf::section(&file, SECTION)?;
            is_for(machine)?;
            let Some(place) = place else {
                bail!(
                    "has no section {SECTION}: a kernel without CONFIG_MODULE_SIG_RUST_HASHES knows no hashes"
                );
            };
            let section = file.piece(place.start, place.end - place.start)?;
            let hashes = parse(machine, &section).with_context(|| {
                format!("its section {SECTION} is not one that this modsig knows; use the modsig of its sources")
            })?;
            Ok(Vmlinux {
                path: path.to_path_buf(),
                stamp: Stamp::of_open(&file)?,
                at: place.start,
                hashes,
            })
        };
        open().with_context(|| path.display().to_string())
    }

    /// The root that it has.
    pub fn root(&self) -> &Root {
        &self.hashes.root
    }

    /// Has nobody else write into it for as long as what this gives is there; nothing if it may not be
    /// written to.
    pub fn lock(&self) -> Result<Option<Locked>> {
        let patch = Patch::open(&self.path, WHAT);
        match patch.with_context(|| self.path.display().to_string()) {
            Ok(patch) => {
                ensure!(
                    patch.stamp == self.stamp,
                    "{}: somebody changed it meanwhile; do it again",
                    self.path.display()
                );
                Ok(Some(Locked { patch, at: self.at }))
            }
            Err(error) if is_forbidden(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

const WHAT: &str = "root";

fn is_forbidden(error: &anyhow::Error) -> bool {
    use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    let mut causes = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    causes.any(|error| matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem))
}

/// A vmlinux that nobody else writes into.
#[derive(Debug)]
pub struct Locked {
    patch: Patch,
    at: u64,
}

impl Locked {
    /// Writes the root into it, in place.
    pub fn write(&self, root: &Root) -> Result<()> {
        let mut octets = [0; ROOT];
        octets[..4].copy_from_slice(&root.levels.to_le_bytes());
        octets[4..].copy_from_slice(&root.hash);
        let written = self.patch.write(&[(&octets, self.at)], false);
        let path = self.patch.path.display();
        written.with_context(|| format!("{path}: cannot write the root into it; do it again"))
    }
}
