// SPDX-License-Identifier: MIT OR Apache-2.0

//! Module files: finding and reading them, and replacing them so that at any moment either the old
//! or the new one is there, whole.
//!
//! The tree may belong to somebody else, who changes it meanwhile. Below a directory that was named no
//! symbolic link is followed to a file that is written; what is written goes to a directory that is
//! held by its descriptor ([`Place`]).

mod in_place;
mod place;
mod read;
mod replace;
mod walk;

use std::{fs, path::Path};

use anyhow::{Context, Result};
use rustix::fs::Stat;
use serde::{Deserialize, Serialize};

pub use self::{
    in_place::{replace_end, Pages},
    place::Place,
    read::{read, read_into, Original},
    replace::Pending,
    walk::{is_module_name, links_out, walk, Found, Links, Missing},
};

const CHANGED: &str = "changed by another process meanwhile; left as it is, run modsig again";

/// What tells that a file is still the one it was: when its content and when anything of it was
/// changed, and device, number and size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp([i64; 2], [i64; 2], [u64; 3]);

impl Stamp {
    /// Of the file that a path names now.
    pub fn of(path: &Path) -> Result<Self> {
        let stat = rustix::fs::stat(path);
        let stat = stat.with_context(|| format!("{}: cannot open", path.display()))?;
        Ok(Stamp::from(&stat))
    }

    /// Of an open file.
    pub fn of_open(file: &fs::File) -> Result<Self> {
        Ok(Stamp::from(&rustix::fs::fstat(file)?))
    }

    /// Bytes of the file.
    fn size(&self) -> u64 {
        self.2[2]
    }

    /// Whether it is the same file with the same content, which may have got another name.
    fn is_renamed(&self, now: &Stat) -> bool {
        let now = Stamp::from(now);
        (self.0, self.2) == (now.0, now.2)
    }
}

impl From<&Stat> for Stamp {
    fn from(stat: &Stat) -> Self {
        Stamp(
            [stat.st_mtime, stat.st_mtime_nsec],
            [stat.st_ctime, stat.st_ctime_nsec],
            [stat.st_dev, stat.st_ino, stat.st_size as u64],
        )
    }
}

/// Makes a file with this mode, or replaces one.
pub fn create(path: &Path, mode: u32, content: &[u8]) -> Result<()> {
    let pending = Pending::create(path, mode, &[content])?;
    Pending::sync([&pending])?;
    pending.commit()
}
