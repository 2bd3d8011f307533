// SPDX-License-Identifier: MIT OR Apache-2.0

//! Other ends of modules, written in place.

use std::{
    ffi::OsStr,
    fs, io,
    os::{
        fd::AsRawFd,
        unix::{ffi::OsStrExt, fs::FileExt},
    },
    path::{Path, PathBuf},
    sync::LazyLock,
};

use anyhow::{anyhow, bail, ensure, Result};
use modsig::verify::trailer;
use rustix::{
    buffer::spare_capacity,
    fs::{flistxattr, flock, fstat, readlink, FlockOperation, OFlags},
    io::Errno,
};

use super::{
    read::LARGEST_ATTRIBUTE,
    replace::{tells_errors_late, unwritten},
    Original, Place, Stamp, CHANGED,
};

/// Bytes of the smallest pages in which files are kept in memory.
const PAGE: u64 = 4096;

/// Bytes behind a signature.
const TRAILER: usize = trailer::SIZE + trailer::MARKER.len();

/// Where kernels load modules from.
static INSTALLED: LazyLock<Vec<PathBuf>> = LazyLock::new(|| {
    let known = ["/lib/modules", "/usr/lib/modules"];
    let known = known.iter().map(fs::canonicalize);
    known.flatten().collect()
});

/// Attributes that a write takes off, or that are over the content.
const OF_CONTENT: [&[u8]; 3] = [b"security.ima", b"security.evm", b"security.capability"];

/// Set-user-id, set-group-id: a write takes them off.
const SET_ID: u32 = 0o6000;

/// On how many pages an end that is written in place may lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pages {
    /// A kill leaves the file as it was, or with the whole end.
    One,
    /// A kill may leave a file that has neither end, but the module itself: for a build that is to be
    /// done again then.
    Two,
}

impl Original {
    /// Puts another end behind the first `start` bytes, in place; an empty one cuts the file there. What a
    /// kill leaves is for `pages` to say. Says whether that was possible; else nothing
    /// was done, and the file is to be replaced ([`Original::replace`]).
    ///
    /// # Errors
    ///
    /// If the file is not the one that was read any more, or if there is no room. It is as it was then.
    pub fn replace_end(&self, start: u64, end: &[u8], pages: Pages) -> Result<bool> {
        let put = replace_end(&self.place, &self.stamp, start, end, pages)?;
        Ok(put.is_some())
    }
}

/// Writes another end of a module in place: all that stands behind `start`, which is where the module
/// itself ends. Gives the new stamp, or nothing if the file is to be replaced instead.
///
/// No kill interrupts a write to one page. If the end is on two, the second one goes first, with a
/// whole trailer: whoever sees it half done finds the module whole, and behind it what is no proof
/// of anything. After a loss of power, it is not known what is there.
///
/// A file that gets shorter than it was, but not as short as `start`, would need two steps. One with
/// another name was meant to stay as it is under that.
///
/// # Errors
///
/// If the file is not the one with this stamp, or if there is no room: then it is as it was.
pub fn replace_end(
    place: &Place,
    stamp: &Stamp,
    start: u64,
    end: &[u8],
    pages: Pages,
) -> Result<Option<Stamp>> {
    let size = start + end.len() as u64;
    let last_page = size.saturating_sub(1) / PAGE * PAGE;
    let (first, second) = match last_page.checked_sub(start) {
        Some(before) if !end.is_empty() => end.split_at(before as usize),
        _ => (&[][..], end),
    };
    let fits = match (end, pages) {
        ([], _) => start <= stamp.size(),
        (_, Pages::One) => stamp.size() <= size && first.is_empty(),
        (_, Pages::Two) => {
            stamp.size() <= size && first.len() as u64 <= PAGE && second.len() >= TRAILER
        }
    };
    if !fits {
        return Ok(None);
    }
    let write = || {
        let Some(file) = open(place, stamp)? else {
            return Ok(None);
        };
        if end.is_empty() {
            file.set_len(start)?;
            return Ok(Some(Stamp::of_open(&file)?));
        }
        let mut old = vec![0; (stamp.size().saturating_sub(start)) as usize];
        file.read_exact_at(&mut old, start)?;
        for (part, at) in [(second, size - second.len() as u64), (first, start)] {
            if let Err(error) = write_at(&file, part, at) {
                return Err(match restore(&file, stamp, start, &old) {
                    Ok(()) => error.into(),
                    Err(worse) => anyhow!("{error}, and what was written cannot be taken back ({worse}); the module itself is whole, sign it again"),
                });
            }
        }
        let written = Stamp::of_open(&file)?;
        ensure!(
            written.size() == size,
            "somebody else wrote to it at the same moment; look at what it is now, and sign it again"
        );
        Ok(Some(written))
    };
    write().map_err(|error| unwritten(place.path(), Some(place), &error))
}

/// Opens a file of which the end may be written in place; nothing if it is to be replaced.
fn open(place: &Place, stamp: &Stamp) -> Result<Option<fs::File>> {
    let file = match place.open(OFlags::RDWR) {
        // Says more when it is to be replaced; or it is being loaded now.
        Err(Errno::ACCESS | Errno::PERM | Errno::TXTBSY) => return Ok(None),
        Err(Errno::LOOP | Errno::NOENT) => bail!(CHANGED),
        Err(error) => return Err(error.into()),
        Ok(file) => file,
    };
    // So that no two of this program write at the same time. Whoever else has it does not hinder.
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        return Ok(None);
    }
    let opened = fstat(&file)?;
    ensure!(Stamp::from(&opened) == *stamp, CHANGED);
    let alone = opened.st_nlink == 1;
    let writable = opened.st_mode & 0o222 != 0 && opened.st_mode & SET_ID == 0;
    let wanted = alone && writable && !tells_errors_late(&file) && !is_installed(&file);
    Ok((wanted && !has_attributes_of_content(&file)).then_some(file))
}

/// Whether a file is one that a kernel may want to load at this moment, or not known not to be: it
/// refuses what is open for writing (ETXTBSY).
fn is_installed(file: &fs::File) -> bool {
    match readlink(format!("/proc/self/fd/{}", file.as_raw_fd()), vec![]) {
        Ok(path) => {
            let path = Path::new(OsStr::from_bytes(path.as_bytes()));
            INSTALLED.iter().any(|above| path.starts_with(above))
        }
        Err(_) => true,
    }
}

fn has_attributes_of_content(file: &fs::File) -> bool {
    let mut names = Vec::with_capacity(LARGEST_ATTRIBUTE);
    match flistxattr(file, spare_capacity(&mut names)) {
        Ok(_) => names
            .split(|&byte| byte == 0)
            .any(|name| OF_CONTENT.contains(&name)),
        Err(error) => error != Errno::NOTSUP,
    }
}

/// Writes all of this at once; a write to one page is not interrupted.
fn write_at(file: &fs::File, part: &[u8], at: u64) -> io::Result<()> {
    match file.write_at(part, at)? {
        written if written == part.len() => Ok(()),
        // The error that comes next says why.
        written => file.write_all_at(&part[written..], at + written as u64),
    }
}

/// Takes back what was written of another end.
fn restore(file: &fs::File, stamp: &Stamp, start: u64, old: &[u8]) -> io::Result<()> {
    file.set_len(stamp.size())?;
    file.write_all_at(old, start)
}
