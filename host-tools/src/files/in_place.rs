// SPDX-License-Identifier: MIT OR Apache-2.0

//! Other ends of modules, written in place.

use std::{io, os::unix::fs::FileExt as _};

use anyhow::{bail, ensure, Context, Result};
use modsig::verify::trailer;
use rustix::{
    fs::{fstat, OFlags},
    io::Errno,
};

use super::{Place, Stamp, CHANGED};

/// Bytes of the smallest pages in which files are kept in memory.
const PAGE: u64 = 4096;

/// Bytes behind a signature.
const TRAILER: usize = trailer::SIZE + trailer::MARKER.len();

/// Writes another end of a module in place: all that stands behind `start`, which is where the module
/// itself ends. Gives the new stamp, or nothing if the file is to be replaced instead.
///
/// No kill interrupts a write to one page. If the end is on two, the second one goes first, with a
/// whole trailer: whoever sees it half done finds the module whole, and behind it what is no proof
/// of anything. The file must not get shorter, nor have another name, under which it was meant to
/// stay as it is. After a loss of power, it is not known what is there.
pub fn replace_end(place: &Place, stamp: &Stamp, start: u64, end: &[u8]) -> Result<Option<Stamp>> {
    let size = start + end.len() as u64;
    let last_page = size.saturating_sub(1) / PAGE * PAGE;
    let (first, second) = match last_page.checked_sub(start) {
        Some(before) => end.split_at(before as usize),
        None => (&[][..], end),
    };
    if stamp.size() > size || first.len() as u64 > PAGE || second.len() < TRAILER {
        return Ok(None);
    }
    let write = || {
        let file = match place.open(OFlags::WRONLY) {
            // Says more when it is to be replaced.
            Err(Errno::ACCESS | Errno::PERM) => return Ok(None),
            Err(error) => return Err(io::Error::from(error)).context("cannot open for writing"),
            Ok(file) => file,
        };
        let opened = fstat(&file).context("cannot open")?;
        ensure!(Stamp::from(&opened) == *stamp, CHANGED);
        if opened.st_nlink != 1 || opened.st_mode & 0o222 == 0 {
            return Ok(None);
        }
        for (part, at) in [(second, size - second.len() as u64), (first, start)] {
            match file.write_at(part, at).context("cannot write")? {
                written if written == part.len() => (),
                _ => bail!("cannot write all of it; see that there is room, and build it again"),
            }
        }
        Ok(Some(Stamp::of_open(&file)?))
    };
    write().with_context(|| place.path().display().to_string())
}
