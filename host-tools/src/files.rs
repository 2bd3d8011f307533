// SPDX-License-Identifier: GPL-2.0

//! Module files: finding and reading them, and replacing them so that at any moment either the old
//! or the new one is there, whole.

use std::{
    collections::HashSet,
    fs,
    io::{self, ErrorKind, IoSlice, Write},
    os::fd::AsRawFd,
    os::unix::fs::{fchown, FileExt as _, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::LazyLock,
};

use anyhow::{anyhow, bail, ensure, Context, Result};
use modsig::verify::trailer;
use rustix::{
    buffer::spare_capacity,
    fs::{linkat, syncfs, AtFlags, OFlags, CWD},
    io::Errno,
};
use serde::{Deserialize, Serialize};
use tempfile::TempPath;
use xattr::FileExt;

/// Bytes of the largest file that a kernel takes as a module (fs/kernel_read_file.c).
const LARGEST: u64 = i32::MAX as u64;

/// What tells that a file is still the one it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp([i64; 2], [u64; 3]);

impl Stamp {
    /// Of the file that a path names now.
    pub fn of(path: &Path) -> Result<Self> {
        let metadata = fs::metadata(path);
        let metadata = metadata.with_context(|| format!("{}: cannot open", path.display()))?;
        Ok(Stamp::from(&metadata))
    }

    /// Bytes of the file.
    fn size(&self) -> u64 {
        self.1[2]
    }
}

impl From<&fs::Metadata> for Stamp {
    fn from(metadata: &fs::Metadata) -> Self {
        Stamp(
            [metadata.mtime(), metadata.mtime_nsec()],
            [metadata.dev(), metadata.ino(), metadata.size()],
        )
    }
}

/// A file that was read: its content is in the buffer that was given, this is the rest.
#[derive(Debug)]
pub struct Original {
    path: PathBuf,
    file: fs::File,
    metadata: fs::Metadata,
}

impl Original {
    /// Reads a file whole into `buffer`.
    ///
    /// # Errors
    ///
    /// If it cannot be read, is no file, is larger than any kernel takes, or changes meanwhile.
    pub fn read(path: &Path, buffer: &mut Vec<u8>) -> Result<Self> {
        Self::try_read(path, buffer).with_context(|| path.display().to_string())
    }

    fn try_read(path: &Path, buffer: &mut Vec<u8>) -> Result<Self> {
        // Without waiting: a pipe would wait for a writer.
        let file = fs::OpenOptions::new()
            .read(true)
            .custom_flags(OFlags::NONBLOCK.bits() as i32)
            .open(path)
            .context("cannot open")?;
        let metadata = file.metadata().context("cannot open")?;
        ensure!(
            metadata.is_file(),
            "not a file; give a module, or a directory that has some"
        );
        ensure!(
            metadata.len() <= LARGEST,
            "larger than 2 GiB, which no kernel takes as a module"
        );
        let size = metadata.len() as usize;
        buffer.clear();
        buffer.reserve(size);
        while buffer.len() < size {
            match rustix::io::read(&file, spare_capacity(buffer)) {
                Ok(0) => bail!(CHANGED),
                Ok(_) | Err(Errno::INTR) => (),
                Err(error) => return Err(error).context("cannot read"),
            }
        }
        // If it grew later, that shows before it is replaced.
        ensure!(buffer.len() == size, CHANGED);
        Ok(Original {
            path: path.to_path_buf(),
            file,
            metadata,
        })
    }

    /// What the file was when it was read.
    pub fn stamp(&self) -> Stamp {
        Stamp::from(&self.metadata)
    }

    /// Fails if the path does not name the file any more that was read, as it was.
    fn unchanged(&self) -> Result<()> {
        let now = fs::metadata(&self.path).context("cannot open")?;
        ensure!(Stamp::from(&now) == Stamp::from(&self.metadata), CHANGED);
        Ok(())
    }
}

const CHANGED: &str = "somebody else changed it meanwhile; nothing was done, try again";

/// Reads a file that may or may not be a module.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let mut octets = vec![];
    Original::read(path, &mut octets)?;
    Ok(octets)
}

/// A file that is written but has not taken its name yet.
#[derive(Debug)]
pub struct Pending {
    file: fs::File,
    /// The name that it has until then, if it needs one.
    temporary: Option<TempPath>,
    /// Where it goes: what a symbolic link there points to.
    target: PathBuf,
    /// As it was asked for.
    destination: PathBuf,
}

impl Pending {
    /// Writes a file, whose content is these parts, beside `target`: for its owner only, and without
    /// a name where the file system can, so that a kill leaves nothing.
    fn write(destination: &Path, target: PathBuf, parts: &[impl AsRef<[u8]>]) -> Result<Self> {
        let (file, temporary) = match nameless(directory(&target)) {
            Some(file) => (file, None),
            None => {
                let named = temporary_name().tempfile_in(directory(&target))?;
                let (file, path) = named.into_parts();
                (file, Some(path))
            }
        };
        write_all(&file, parts)?;
        Ok(Pending {
            file,
            temporary,
            target,
            destination: destination.to_path_buf(),
        })
    }

    /// Writes a file that is to have this mode. At no moment has anybody more access to the content
    /// than the mode gives.
    pub fn create(destination: &Path, mode: u32, parts: &[impl AsRef<[u8]>]) -> Result<Self> {
        let target = target(destination)?;
        Self::explained(destination, || {
            let pending = Self::write(destination, target, parts)?;
            let mode = fs::Permissions::from_mode(mode);
            pending.file.set_permissions(mode)?;
            Ok(pending)
        })
    }

    /// Writes a file that is to have the mode, owner and extended attributes of `like`.
    pub fn replace(
        destination: &Path,
        like: &Original,
        parts: &[impl AsRef<[u8]>],
    ) -> Result<Self> {
        let target = target(destination)?;
        Self::explained(destination, || {
            let pending = Self::write(destination, target, parts)?;
            pending.resemble(like)?;
            Ok(pending)
        })
    }

    fn resemble(&self, like: &Original) -> Result<()> {
        let (own, wanted) = (self.file.metadata()?, &like.metadata);
        if (own.uid(), own.gid()) != (wanted.uid(), wanted.gid()) {
            // Only root may give files away.
            fchown(&self.file, Some(wanted.uid()), Some(wanted.gid()))
                .context("cannot keep its owner")?;
        }
        self.file.set_permissions(wanted.permissions())?;
        let names = match like.file.list_xattr() {
            Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(()),
            names => names?,
        };
        for name in names {
            // Over the old content: integrity measurement would refuse the new one for it.
            if name == "security.ima" || name == "security.evm" {
                continue;
            }
            if let Some(value) = like.file.get_xattr(&name)? {
                self.file
                    .set_xattr(&name, &value)
                    .with_context(|| format!("cannot keep its attribute {name:?}"))?;
            }
        }
        Ok(())
    }

    /// Waits until these files are on their disks.
    pub fn sync<'a>(files: impl IntoIterator<Item = &'a Self>) -> Result<()> {
        let mut synced = HashSet::new();
        for pending in files {
            if synced.insert(pending.file.metadata()?.dev()) {
                syncfs(&pending.file).with_context(|| {
                    format!("{}: cannot be synced", pending.destination.display())
                })?;
            }
        }
        Ok(())
    }

    /// Takes the name, from whatever has it now.
    pub fn commit(self) -> Result<()> {
        let destination = self.destination.clone();
        Self::explained(&destination, || {
            let temporary = match self.temporary {
                Some(path) => path,
                None => {
                    let descriptor = format!("/proc/self/fd/{}", self.file.as_raw_fd());
                    let link = |path: &Path| {
                        Ok(linkat(
                            CWD,
                            &descriptor,
                            CWD,
                            path,
                            AtFlags::SYMLINK_FOLLOW,
                        )?)
                    };
                    let named = temporary_name().make_in(directory(&self.target), link)?;
                    named.into_temp_path()
                }
            };
            temporary.persist(&self.target)?;
            Ok(())
        })
    }

    /// Takes the name, unless `original` was changed since it was read.
    pub fn commit_over(self, original: &Original) -> Result<()> {
        let destination = &self.destination;
        original
            .unchanged()
            .with_context(|| destination.display().to_string())?;
        self.commit()
    }

    fn explained<T>(destination: &Path, work: impl FnOnce() -> Result<T>) -> Result<T> {
        work().with_context(|| {
            format!(
                "{}: cannot write, nothing was changed; see that {} is a writable directory and has room",
                destination.display(),
                directory(destination).display()
            )
        })
    }
}

/// What a symbolic link points to, or the path itself if it is none; it may name nothing yet.
fn target(destination: &Path) -> Result<PathBuf> {
    let name = destination.display();
    let (target, old) = match fs::symlink_metadata(destination) {
        Ok(old) if old.is_symlink() => {
            let target = fs::canonicalize(destination).with_context(|| {
                format!("{name}: a symbolic link to nothing; make its target or remove it")
            })?;
            let old = fs::metadata(&target).ok();
            (target, old)
        }
        old => (destination.to_path_buf(), old.ok()),
    };
    ensure!(
        !old.is_some_and(|old| old.permissions().readonly()),
        "{name}: write-protected, nothing was changed; chmod u+w it first"
    );
    Ok(target)
}

/// Writes all parts, in one call if the system does so.
fn write_all(mut file: &fs::File, parts: &[impl AsRef<[u8]>]) -> io::Result<()> {
    let slices = parts.iter().map(|part| IoSlice::new(part.as_ref()));
    let mut slices: Vec<IoSlice<'_>> = slices.collect();
    let mut rest = &mut slices[..];
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        match file.write_vectored(rest) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut rest, written),
            Err(error) if error.kind() == ErrorKind::Interrupted => (),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The directory that a path names something in.
fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// A file without a name (`O_TMPFILE`), where there is such a thing and a way to name it later.
fn nameless(directory: &Path) -> Option<fs::File> {
    static CAN_BE_NAMED: LazyLock<bool> = LazyLock::new(|| Path::new("/proc/self/fd").exists());
    if !*CAN_BE_NAMED {
        return None;
    }
    fs::OpenOptions::new()
        .write(true)
        .mode(0o600)
        .custom_flags(OFlags::TMPFILE.bits() as i32)
        .open(directory)
        .ok()
}

fn temporary_name() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".modsig-");
    builder
}

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
pub fn replace_end(path: &Path, stamp: &Stamp, start: u64, end: &[u8]) -> Result<Option<Stamp>> {
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
        let file = match fs::OpenOptions::new().write(true).open(path) {
            // Says more when it is to be replaced.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => return Ok(None),
            file => file.context("cannot open for writing")?,
        };
        let opened = file.metadata().context("cannot open")?;
        ensure!(Stamp::from(&opened) == *stamp, CHANGED);
        if opened.nlink() != 1 || opened.permissions().readonly() {
            return Ok(None);
        }
        for (part, at) in [(second, size - second.len() as u64), (first, start)] {
            match file.write_at(part, at).context("cannot write")? {
                written if written == part.len() => (),
                _ => bail!("cannot write all of it; see that there is room, and build it again"),
            }
        }
        Ok(Some(Stamp::from(&file.metadata()?)))
    };
    write().with_context(|| path.display().to_string())
}

/// Makes a file with this mode, or replaces one.
pub fn create(path: &Path, mode: u32, content: &[u8]) -> Result<()> {
    let pending = Pending::create(path, mode, &[content])?;
    Pending::sync([&pending])?;
    pending.commit()
}

/// A file that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it is.
    pub path: PathBuf,
    /// Where it is below the directory that was given; of a file that was given, its name.
    pub name: PathBuf,
    /// Whether it was given itself, not a directory that it is in.
    pub given: bool,
}

/// Something that was asked for and is not there.
#[derive(Debug)]
pub struct Missing {
    /// What was looked for.
    pub path: PathBuf,
    /// Why it was not found.
    pub error: anyhow::Error,
}

/// What becomes of symbolic links to modules below a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// They are modules: one that cannot be read is an error.
    Follow,
    /// They are left: what they point to is dealt with where it stands, if that was asked for.
    Leave,
}

/// Whether a name is one of a module, packed or not.
pub fn is_module_name(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    let endings: [&[u8]; 4] = [b".ko", b".ko.gz", b".ko.xz", b".ko.zst"];
    endings.iter().any(|ending| name.ends_with(ending))
}

/// The files that these paths stand for: files themselves, and the modules below directories, in
/// order, each once.
pub fn walk(paths: &[PathBuf], links: Links) -> Vec<Result<Found, Missing>> {
    let mut seen = HashSet::new();
    let mut all = vec![];
    for given in paths {
        // One file may be asked for under several names, and must not be dealt with twice at once.
        let root = match paths {
            [_] => given.clone(),
            _ => fs::canonicalize(given).unwrap_or_else(|_| given.clone()),
        };
        for entry in walkdir::WalkDir::new(given).sort_by_file_name() {
            let found = match entry {
                Ok(entry) => {
                    let at_top = entry.depth() == 0;
                    let kind = entry.file_type();
                    let wanted = if at_top {
                        !entry.path().is_dir()
                    } else if kind.is_symlink() {
                        links == Links::Follow
                            && is_module_name(entry.path())
                            && !entry.path().is_dir()
                    } else {
                        kind.is_file() && is_module_name(entry.path())
                    };
                    if !wanted {
                        continue;
                    }
                    let path = entry.into_path();
                    let name = match path.strip_prefix(given) {
                        Ok(name) if !at_top => name.to_path_buf(),
                        _ => path.file_name().map(PathBuf::from).unwrap_or_default(),
                    };
                    Ok(Found {
                        path,
                        name,
                        given: at_top,
                    })
                }
                Err(error) => {
                    let path = error.path().unwrap_or(given).to_path_buf();
                    let error = match error.into_io_error() {
                        Some(error) => anyhow!("cannot open: {error}"),
                        None => anyhow!("cannot open: symbolic links in a circle"),
                    };
                    Err(Missing { path, error })
                }
            };
            let path = match &found {
                Ok(found) => &found.path,
                Err(missing) => &missing.path,
            };
            let below = path.strip_prefix(given).unwrap_or(Path::new(""));
            if seen.insert(root.join(below)) {
                all.push(found);
            }
        }
    }
    all
}
