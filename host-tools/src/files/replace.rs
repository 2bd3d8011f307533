// SPDX-License-Identifier: MIT OR Apache-2.0

//! New files, whole before they take their names.

use std::{
    collections::HashSet,
    env,
    ffi::{CStr, OsString},
    fs,
    io::{self, ErrorKind, IoSlice, Seek, Write},
    os::{
        fd::AsRawFd,
        unix::fs::{fchown, MetadataExt, PermissionsExt},
    },
    path::Path,
    process,
    sync::{
        atomic::{AtomicU32, Ordering},
        LazyLock,
    },
};

use anyhow::{anyhow, bail, ensure, Context, Result};
use rustix::{
    buffer::spare_capacity,
    fs::{
        fdatasync, fgetxattr, fremovexattr, fsetxattr, fstat, fstatfs, ioctl_getflags, linkat,
        openat, renameat, renameat_with, syncfs, unlinkat, AtFlags, FileType, IFlags, Mode, OFlags,
        RenameFlags, Stat, XattrFlags, CWD,
    },
    io::Errno,
};

use super::{read::Attributes, Original, Place, Stamp, CHANGED};

/// A file that is written but has not taken its name yet.
#[derive(Debug)]
pub struct Pending {
    file: fs::File,
    /// The name that it has until then, if it needs one.
    temporary: Option<Temporary>,
    place: Place,
    over: Over,
    attributes: Attributes,
}

/// What a new file may take the place of.
#[derive(Debug, Clone, Copy)]
enum Over {
    /// Nothing.
    Nothing,
    /// Any file.
    AnyFile,
    /// This one only.
    This(Stamp),
}

impl Original {
    /// Writes a file that is to replace this one, with its mode, owner and extended attributes.
    ///
    /// # Errors
    ///
    /// If nobody may write to this file, or the new one cannot be written.
    pub fn replace(&self, parts: &[impl AsRef<[u8]>]) -> Result<Pending> {
        ensure!(
            self.mode() & 0o222 != 0,
            "{}: cannot write, nothing was changed: write-protected; chmod u+w it first",
            self.place.path().display()
        );
        self.replace_protected(parts)
    }

    /// The same, also if nobody may write to this file.
    pub fn replace_protected(&self, parts: &[impl AsRef<[u8]>]) -> Result<Pending> {
        let attributes = Attributes {
            extended: self.attributes.extended.clone(),
            ..self.attributes
        };
        Pending::write(
            self.place.clone(),
            attributes,
            Over::This(self.stamp),
            parts,
        )
    }
}

impl Pending {
    /// Writes a file with this mode, for whoever runs this, in place of any file that is there. At no
    /// moment has anybody more access to the content than the mode gives.
    pub fn create(path: &Path, mode: u32, parts: &[impl AsRef<[u8]>]) -> Result<Self> {
        let place = Place::output(path).map_err(|error| unwritten(path, None, &error))?;
        Self::create_at(place, mode, parts)
    }

    /// The same at a place that is known.
    pub fn create_at(place: Place, mode: u32, parts: &[impl AsRef<[u8]>]) -> Result<Self> {
        Self::write(place, plain(mode), Over::AnyFile, parts)
    }

    /// As [`Self::create`], if nothing is there.
    pub fn create_new(path: &Path, mode: u32, parts: &[impl AsRef<[u8]>]) -> Result<Self> {
        let place = Place::output(path).map_err(|error| unwritten(path, None, &error))?;
        Self::write(place, plain(mode), Over::Nothing, parts)
    }

    /// Writes a file for its owner only, without a name where the file system can, so that a kill
    /// leaves nothing; and then opens it to those who are to have it.
    fn write(
        place: Place,
        attributes: Attributes,
        over: Over,
        parts: &[impl AsRef<[u8]>],
    ) -> Result<Self> {
        let write = || {
            let (file, temporary) = match nameless(&place) {
                Some(file) => (file, None),
                None => {
                    let (file, temporary) = Temporary::create(&place)?;
                    (file, Some(temporary))
                }
            };
            let mut pending = Pending {
                file,
                temporary,
                place: place.clone(),
                over,
                attributes,
            };
            pending.may_take_its_place()?;
            write_all(&pending.file, parts)?;
            if tells_errors_late(&pending.file) {
                fdatasync(&pending.file)?;
            }
            pending.attributes.give_to(&mut pending.file)?;
            Ok(pending)
        };
        write().map_err(|error| unwritten(place.path(), Some(&place), &error))
    }

    /// Fails if it must not replace what is there now.
    fn may_take_its_place(&self) -> Result<()> {
        let there = self.place.stat()?;
        match (self.over, there) {
            (Over::Nothing | Over::AnyFile, None) => Ok(()),
            (Over::Nothing, Some(_)) => bail!("it is there already; give another name"),
            (Over::This(stamp), Some(there)) if Stamp::from(&there) == stamp => Ok(()),
            (Over::This(_), _) => bail!(CHANGED),
            (Over::AnyFile, Some(there)) => match FileType::from_raw_mode(there.st_mode) {
                FileType::RegularFile => Ok(()),
                FileType::Symlink => bail!(
                    "a symbolic link is there, and is not followed; remove it, or name what it points to"
                ),
                _ => bail!("what is there is not a file; give another name"),
            },
        }
    }

    /// Waits until these files are on their disks.
    pub fn sync<'a>(files: impl IntoIterator<Item = &'a Self>) -> Result<()> {
        let mut synced = HashSet::new();
        for pending in files {
            if synced.insert(pending.file.metadata()?.dev()) {
                syncfs(&pending.file).with_context(|| {
                    format!("{}: cannot be synced", pending.place.path().display())
                })?;
            }
        }
        Ok(())
    }

    /// Takes the name.
    ///
    /// # Errors
    ///
    /// If something else is there than what it may replace. That stays as it is then, whenever it came.
    pub fn commit(self) -> Result<()> {
        let place = self.place.clone();
        let commit = || {
            self.may_take_its_place()?;
            let over = self.over;
            let temporary = self.take_temporary_name()?;
            match over {
                Over::Nothing => temporary.rename_to_nothing(),
                Over::AnyFile => temporary.rename(),
                Over::This(original) => temporary.exchange(&original),
            }
        };
        commit().map_err(|error| unwritten(place.path(), Some(&place), &error))
    }

    /// Takes a name in its directory. The file is closed then: a kernel refuses to load what is open
    /// for writing.
    fn take_temporary_name(mut self) -> Result<Temporary> {
        if let Some(temporary) = self.temporary.take() {
            return Ok(temporary);
        }
        let descriptor = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        let linked = Temporary::make(&self.place, |name| {
            let directory = self.place.directory();
            linkat(CWD, &descriptor, directory, name, AtFlags::SYMLINK_FOLLOW)
        });
        if let Ok(((), temporary)) = linked {
            return Ok(temporary);
        }
        // Some security modules and file systems take a nameless file, but give it no name.
        let (mut copy, temporary) = Temporary::create(&self.place)?;
        self.file.rewind()?;
        io::copy(&mut self.file, &mut copy)?;
        self.attributes.give_to(&mut copy)?;
        copy.sync_all()?;
        Ok(temporary)
    }
}

fn plain(mode: u32) -> Attributes {
    Attributes {
        owner: None,
        mode,
        extended: vec![],
    }
}

const ACCESS_LIST: &CStr = c"system.posix_acl_access";

impl Attributes {
    /// Gives them to a file that nobody but its owner has access to.
    fn give_to(&self, file: &mut fs::File) -> Result<()> {
        let own = fstat(&*file)?;
        if let Some((user, group)) = self
            .owner
            .filter(|&owner| owner != (own.st_uid, own.st_gid))
        {
            // Not rustix', which are system calls of its own: libraries as fakeroot's do not see them.
            match fchown(&*file, Some(user), Some(group)) {
                Ok(()) => (),
                // Nobody whom this user namespace knows: it is the maker's then, as any new file.
                Err(error) if error.kind() == ErrorKind::InvalidInput => (),
                Err(error) => {
                    bail!(
                        "cannot write, nothing was changed: cannot set its owner to {user}:{group} ({error}); run this as root, or write copies with --dest-dir"
                    )
                }
            }
        }
        // A directory may give its files a list of people whom the mode would let in.
        let is_wanted = self.extended.iter().any(|(name, _)| **name == *ACCESS_LIST);
        if !is_wanted {
            match fremovexattr(&*file, ACCESS_LIST) {
                Ok(()) | Err(Errno::NODATA | Errno::NOTSUP) => (),
                Err(error) => return Err(error).context("cannot take its access control list off"),
            }
        }
        file.set_permissions(fs::Permissions::from_mode(self.mode))?;
        for (name, value) in &self.extended {
            let mut there = Vec::with_capacity(value.len() + 1);
            let read = fgetxattr(&*file, &**name, spare_capacity(&mut there));
            // To set the label that it has already may be forbidden.
            if read.is_err() || there != *value {
                fsetxattr(&*file, &**name, value, XattrFlags::empty())
                    .with_context(|| format!("cannot keep its attribute {name:?}"))?;
            }
        }
        Ok(())
    }
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

/// Whether a file's system may say only when it is synced that there was no room: those whose disks
/// are elsewhere (include/uapi/linux/magic.h).
pub(super) fn tells_errors_late(file: &fs::File) -> bool {
    const NFS: u32 = 0x6969;
    const SMB: u32 = 0x517b;
    const CIFS: u32 = 0xff53_4d42;
    const SMB2: u32 = 0xfe53_4d42;
    const FUSE: u32 = 0x6573_5546;
    const CEPH: u32 = 0x00c3_6400;
    const AFS: u32 = 0x5346_414f;
    const V9FS: u32 = 0x0102_1997;
    // Its type is another one on each machine.
    let kind = fstatfs(file).map_or(0, |system| system.f_type as u32);
    [NFS, SMB, CIFS, SMB2, FUSE, CEPH, AFS, V9FS].contains(&kind)
}

/// Whether a library takes system calls for itself, as those of fakeroot and pseudo do: they go by the
/// names of files, and know nothing of files without one, or that swap their names.
fn is_watched() -> bool {
    env::var_os("LD_PRELOAD").is_some_and(|libraries| !libraries.is_empty())
}

/// A file without a name (`O_TMPFILE`), where there is such a thing and a way to name it later.
fn nameless(place: &Place) -> Option<fs::File> {
    static CAN_BE_NAMED: LazyLock<bool> =
        LazyLock::new(|| Path::new("/proc/self/fd").exists() && !is_watched());
    if !*CAN_BE_NAMED {
        return None;
    }
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = openat(place.directory(), ".", flags, Mode::RUSR | Mode::WUSR);
    file.ok().map(Into::into)
}

/// The name that a file has until it takes its own.
#[derive(Debug)]
struct Temporary {
    place: Place,
    name: OsString,
    /// Whether what has this name is removed in the end.
    is_ours: bool,
}

impl Temporary {
    /// Gives such a name to something, unless `give` says that it is there.
    fn make<T>(
        place: &Place,
        give: impl Fn(&OsString) -> Result<T, Errno>,
    ) -> Result<(T, Self), Errno> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = OsString::from(format!(".modsig-{}-{number}", process::id()));
            match give(&name) {
                Err(Errno::EXIST) => (),
                Err(error) => return Err(error),
                Ok(given) => {
                    let temporary = Temporary {
                        place: place.clone(),
                        name,
                        is_ours: true,
                    };
                    return Ok((given, temporary));
                }
            }
        }
    }

    /// Makes a file with such a name.
    fn create(place: &Place) -> Result<(fs::File, Self), Errno> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let (file, temporary) =
            Self::make(place, |name| openat(place.directory(), name, flags, mode))?;
        Ok((file.into(), temporary))
    }

    /// Takes the name, from whatever has it now.
    fn rename(mut self) -> Result<()> {
        let directory = self.place.directory();
        renameat(directory, &self.name, directory, self.place.name())?;
        self.is_ours = false;
        Ok(())
    }

    /// Takes the name, if nothing has it.
    fn rename_to_nothing(mut self) -> Result<()> {
        let (directory, name) = (self.place.directory(), self.place.name());
        let renamed = match self.rename_with(RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS) => {
                linkat(directory, &self.name, directory, name, AtFlags::empty())
            }
            renamed => {
                self.is_ours = renamed.is_err();
                renamed
            }
        };
        match renamed {
            Err(Errno::EXIST) => bail!("it is there already; give another name"),
            renamed => Ok(renamed?),
        }
    }

    /// Takes the name from this file, and from no other that may have got it a moment ago.
    fn exchange(mut self, original: &Stamp) -> Result<()> {
        if is_watched() {
            return self.rename();
        }
        let ours = self.stat()?.context(CHANGED)?.st_ino;
        match self.rename_with(RenameFlags::EXCHANGE) {
            Ok(()) => (),
            // Not with this file system.
            Err(Errno::INVAL | Errno::NOSYS) => return self.rename(),
            Err(Errno::NOENT) => bail!(CHANGED),
            Err(error) => return Err(error.into()),
        }
        // What came out has the temporary name.
        if self.stat()?.is_some_and(|out| original.is_renamed(&out)) {
            return Ok(());
        }
        // It is somebody else's and goes back, for which again something else may come out.
        self.is_ours = false;
        for _ in 0..100 {
            match self.rename_with(RenameFlags::EXCHANGE) {
                Ok(()) if self.stat()?.is_some_and(|out| out.st_ino == ours) => {
                    self.is_ours = true;
                    bail!(CHANGED)
                }
                Ok(()) => (),
                Err(Errno::NOENT) if self.rename_with(RenameFlags::NOREPLACE).is_ok() => {
                    bail!(CHANGED)
                }
                Err(_) => break,
            }
        }
        bail!(
            "changed by another process again and again; what was there last is now {}",
            self.place.path().with_file_name(&self.name).display()
        )
    }

    fn rename_with(&self, flags: RenameFlags) -> Result<(), Errno> {
        let directory = self.place.directory();
        renameat_with(directory, &self.name, directory, self.place.name(), flags)
    }

    /// What has the temporary name now.
    fn stat(&self) -> Result<Option<Stat>, Errno> {
        self.place.beside(self.name.clone()).stat()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.is_ours {
            let _ = unlinkat(self.place.directory(), &self.name, AtFlags::empty());
        }
    }
}

/// An error of writing a file, with what was the cause and what can be done.
pub(super) fn unwritten(
    path: &Path,
    place: Option<&Place>,
    error: &anyhow::Error,
) -> anyhow::Error {
    let number = |cause: &(dyn std::error::Error + 'static)| {
        let of_std = cause.downcast_ref::<io::Error>();
        let of_rustix = || cause.downcast_ref::<Errno>().copied();
        of_std.and_then(Errno::from_io_error).or_else(of_rustix)
    };
    let of_system = error.chain().find_map(number);
    let words = error.chain().map(|cause| match number(cause) {
        Some(number) => remedy(number, path, place),
        None => cause.to_string(),
    });
    let words = words.collect::<Vec<_>>().join(": ");
    let (path, what) = (
        path.display(),
        match of_system {
            Some(_) => "cannot write, nothing was changed: ",
            None => "",
        },
    );
    anyhow!("{path}: {what}{words}")
}

fn remedy(error: Errno, path: &Path, place: Option<&Place>) -> String {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let directory = directory.display();
    match error {
        Errno::MFILE | Errno::NFILE => {
            "too many open files; lower --jobs, or raise ulimit -n".to_owned()
        }
        Errno::ROFS => "its file system is read-only".to_owned(),
        Errno::NOSPC | Errno::DQUOT => "there is no room left".to_owned(),
        Errno::FBIG => "it would be larger than files may be (ulimit -f)".to_owned(),
        Errno::BUSY => {
            "something is mounted on the file itself; give the file that was mounted there"
                .to_owned()
        }
        Errno::NOENT => format!("there is no directory {directory}; make it"),
        Errno::ACCESS => {
            format!("{directory} is not a directory that you may write to; run this as its owner")
        }
        Errno::PERM if place.is_some_and(is_immutable) => {
            "it or its directory may not be changed (lsattr shows i or a); chattr -i -a it first"
                .to_owned()
        }
        error => io::Error::from(error).to_string(),
    }
}

/// Whether a file or its directory has the flag that it may not be changed, or only be appended to.
fn is_immutable(place: &Place) -> bool {
    let directory = openat(
        place.directory(),
        ".",
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    );
    let files = [
        place.open(OFlags::RDONLY).ok(),
        directory.ok().map(Into::into),
    ];
    files.into_iter().flatten().any(|file: fs::File| {
        ioctl_getflags(&file)
            .is_ok_and(|flags| flags.intersects(IFlags::IMMUTABLE | IFlags::APPEND))
    })
}
