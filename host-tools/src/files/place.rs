// SPDX-License-Identifier: MIT OR Apache-2.0

//! Where files are: directories that are held by a descriptor, and names in them. Whoever may rename
//! what is on the way can lead nobody elsewhere then.

use std::{
    ffi::{OsStr, OsString},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use anyhow::{bail, ensure, Context, Result};
use rustix::{
    fs::{fstat, mkdirat, openat, readlinkat, statat, AtFlags, FileType, Mode, OFlags, Stat, CWD},
    io::Errno,
};

/// A name in a directory.
#[derive(Clone, Debug)]
pub struct Place {
    directory: Arc<OwnedFd>,
    name: OsString,
    /// As people know it.
    path: PathBuf,
}

/// Symbolic links that are followed one after the other, as by Linux.
const LINKS: usize = 40;

impl Place {
    /// Of a file that somebody named: a symbolic link is followed to what it points to, if Linux
    /// would follow it here with `fs.protected_symlinks`.
    pub fn named(path: &Path) -> Result<Self> {
        let mut place = Self::output(path)?;
        for _ in 0..LINKS {
            let stat = match place.stat() {
                Ok(Some(stat)) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => {
                    stat
                }
                _ => return Ok(place),
            };
            let parent = fstat(&place.directory)?;
            ensure!(
                may_follow(&parent, &stat),
                "a symbolic link that another user has put into a directory of everybody's; name what it points to"
            );
            let target = readlinkat(&place.directory, &place.name, vec![])?;
            let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
            let (parent, name) = split(&target)?;
            place.directory = open(&place.directory, parent, OFlags::empty())?.into();
            place.name = name.to_owned();
        }
        bail!("symbolic links in a circle")
    }

    /// Of a file that is to be written. No link is followed at its end.
    pub fn output(path: &Path) -> Result<Self> {
        let (parent, name) = split(path)?;
        Ok(Place {
            directory: open(CWD, parent, OFlags::empty())?.into(),
            name: name.to_owned(),
            path: path.to_path_buf(),
        })
    }

    /// Of a file below a directory, by its relative name. No link below that directory is followed.
    pub fn below(root: &Path, name: &Path) -> Result<Self> {
        Self::descend(root, name, false)
    }

    /// The same, after making the directories that are missing.
    pub fn made_below(root: &Path, name: &Path) -> Result<Self> {
        std::fs::create_dir_all(root)?;
        Self::descend(root, name, true)
    }

    fn descend(root: &Path, relative: &Path, make: bool) -> Result<Self> {
        let mut directory = open(CWD, root, OFlags::empty())?;
        let (parent, name) = split(relative)?;
        for component in parent.components() {
            let part = match component {
                Component::CurDir => continue,
                Component::Normal(part) => part,
                _ => bail!("{}: not a name below a directory", relative.display()),
            };
            if make {
                match mkdirat(&directory, part, Mode::from_raw_mode(0o777)) {
                    Ok(()) | Err(Errno::EXIST) => (),
                    Err(error) => return Err(error.into()),
                }
            }
            directory = match open(&directory, Path::new(part), OFlags::NOFOLLOW) {
                Err(Errno::LOOP | Errno::NOTDIR) => bail!(
                    "{} is no directory below {}, but a symbolic link or a file; remove it, or name the directory that it points to",
                    Path::new(part).display(),
                    root.display()
                ),
                opened => opened?,
            };
        }
        Ok(Place {
            directory: directory.into(),
            name: name.to_owned(),
            path: root.join(relative),
        })
    }

    /// Of another name in the same directory.
    pub(super) fn beside(&self, name: OsString) -> Self {
        Place {
            directory: self.directory.clone(),
            path: self.path.with_file_name(&name),
            name,
        }
    }

    /// As people know it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory.
    pub(super) fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// The name in it.
    pub(super) fn name(&self) -> &OsStr {
        &self.name
    }

    /// What is there now, if anything; of a symbolic link, itself.
    pub(super) fn stat(&self) -> Result<Option<Stat>, Errno> {
        match statat(&self.directory, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(None),
            stat => stat.map(Some),
        }
    }

    /// Opens what is there, if it is no symbolic link. Does not wait, as a pipe would for a writer.
    pub(crate) fn open(&self, flags: OFlags) -> Result<std::fs::File, Errno> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        openat(&self.directory, &self.name, flags, Mode::empty()).map(Into::into)
    }
}

fn open(at: impl AsFd, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(at, path, flags, Mode::empty())
}

/// The directory that a path names something in, and the name.
fn split(path: &Path) -> Result<(&Path, &OsStr)> {
    // A path with a slash or a dot at its end is one of a directory; file_name() leaves them out.
    let text = path.as_os_str().as_bytes();
    let name = path
        .file_name()
        .filter(|name| text.ends_with(name.as_bytes()));
    let name = name.context("not a file")?;
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    Ok((parent, name))
}

/// As `may_follow_link()` of fs/namei.c, whatever `fs.protected_symlinks` is: in a directory that
/// everybody may write to and delete only his own from, a link counts only if it is one's own, or the
/// directory's owner's.
fn may_follow(directory: &Stat, link: &Stat) -> bool {
    const STICKY_FOR_ALL: u32 = 0o1002;
    directory.st_mode & STICKY_FOR_ALL != STICKY_FOR_ALL
        || link.st_uid == directory.st_uid
        || link.st_uid == rustix::process::geteuid().as_raw()
}
