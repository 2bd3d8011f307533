// SPDX-License-Identifier: GPL-2.0

//! Module files: reading them, and replacing them so that at any moment either the old or the new
//! one is there, whole.

use std::{
    fs,
    io::Write,
    os::unix::fs::{chown, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::{bail, ensure, Context, Result};

/// Reads a file that may or may not be a module.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let name = path.display();
    let metadata = fs::metadata(path).with_context(|| format!("{name}: cannot open"))?;
    ensure!(
        metadata.is_file(),
        "{name}: not a file; give a module, or a directory that has some"
    );
    fs::read(path).with_context(|| format!("{name}: cannot read"))
}

/// Reads a module that is to be signed: what is not an ELF file would never load.
pub fn read_module(path: &Path) -> Result<Vec<u8>> {
    let name = path.display();
    let octets = read(path)?;
    ensure!(
        !octets.is_empty(),
        "{name}: the file is empty; build it again"
    );
    for (magic, packer) in [
        (&b"\xfd7zXZ\0"[..], "xz"),
        (b"\x1f\x8b", "gzip"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
    ] {
        ensure!(
            !octets.starts_with(magic),
            "{name}: compressed with {packer}; a signature belongs inside: unpack it, sign it, pack it again"
        );
    }
    ensure!(
        octets.starts_with(b"\x7fELF"),
        "{name}: not a kernel module (not an ELF file)"
    );
    Ok(octets)
}

/// Puts a new file in place of `destination`, or where nothing was: first into a temporary file
/// beside it, for its owner only, which `prepare` gives what it is to have but its content, and
/// which then takes the name.
///
/// A kill, a crash or a full disk at any moment leaves what was there. A symbolic link stays one,
/// its target is replaced. Of a file with several names (hard links) only this one is changed.
fn put(
    destination: &Path,
    content: &[u8],
    prepare: impl FnOnce(&Path, &fs::File) -> Result<()>,
) -> Result<()> {
    let target = fs::canonicalize(destination).unwrap_or_else(|_| destination.to_path_buf());
    let directory = match target.parent() {
        Some(parent) if parent != Path::new("") => parent.to_path_buf(),
        _ => PathBuf::from("."),
    };
    let write = || -> Result<()> {
        if fs::metadata(&target).is_ok_and(|old| old.permissions().readonly()) {
            bail!("it is write-protected; chmod u+w it first");
        }
        let mut file = tempfile::Builder::new()
            .prefix(".modsig-")
            .tempfile_in(&directory)?;
        file.write_all(content)?;
        prepare(file.path(), file.as_file())?;
        file.as_file().sync_all()?;
        file.persist(&target)?;
        Ok(())
    };
    write().with_context(|| {
        format!(
            "{}: cannot write, nothing was changed; see that {} is a writable directory and has room",
            destination.display(),
            directory.display()
        )
    })
}

/// Makes a file with this mode, or replaces one. At no moment has anybody more access to the
/// content than the mode gives.
pub fn create(path: &Path, mode: u32, content: &[u8]) -> Result<()> {
    put(path, content, |_, file| {
        Ok(file.set_permissions(fs::Permissions::from_mode(mode))?)
    })
}

/// Replaces what a file holds, or makes a new one, with the mode, owner and extended attributes of
/// `like`.
pub fn replace(destination: &Path, like: &Path, content: &[u8]) -> Result<()> {
    put(destination, content, |path, file| {
        let metadata = fs::metadata(like)?;
        // Only root may give files away; anybody else keeps what is his own.
        if let Err(error) = chown(path, Some(metadata.uid()), Some(metadata.gid())) {
            let own = file.metadata()?;
            if (own.uid(), own.gid()) != (metadata.uid(), metadata.gid()) {
                return Err(error).context("cannot keep its owner");
            }
        }
        file.set_permissions(metadata.permissions())?;
        for name in xattr::list(like)? {
            if let Some(value) = xattr::get(like, &name)? {
                xattr::set(path, &name, &value)
                    .with_context(|| format!("cannot keep its attribute {name:?}"))?;
            }
        }
        Ok(())
    })
}

/// A file that was asked for.
#[derive(Clone, Debug)]
pub struct Found {
    /// Where it is.
    pub path: PathBuf,
    /// Where it is below the directory that was given; of a file that was given, its name.
    pub name: PathBuf,
}

/// The files that these paths stand for: files themselves, and the modules below directories, in
/// order. Errors name the path.
pub fn walk(paths: &[PathBuf]) -> impl Iterator<Item = Result<Found>> + '_ {
    paths.iter().flat_map(|given| {
        walkdir::WalkDir::new(given)
            .sort_by_file_name()
            .into_iter()
            .filter_map(move |entry| match entry {
                Ok(entry) => {
                    let path = entry.into_path();
                    let is_given = path == *given;
                    let is_module = path.extension().is_some_and(|ext| ext == "ko");
                    let wanted = (is_given && !path.is_dir()) || (is_module && path.is_file());
                    let name = match path.strip_prefix(given) {
                        Ok(name) if !is_given => name.to_path_buf(),
                        _ => path.file_name().map(PathBuf::from).unwrap_or_default(),
                    };
                    wanted.then_some(Ok(Found { path, name }))
                }
                Err(error) => {
                    let path = error.path().unwrap_or(given).display().to_string();
                    let cause = match error.into_io_error() {
                        Some(error) => error.to_string(),
                        None => "symbolic links in a circle".to_owned(),
                    };
                    Some(Err(anyhow::anyhow!("{path}: cannot open: {cause}")))
                }
            })
    })
}
