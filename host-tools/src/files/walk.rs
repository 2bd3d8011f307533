// SPDX-License-Identifier: MIT OR Apache-2.0

//! Which files are meant.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{anyhow, Context, Result};

use super::{replace::unwritten, Original, Place};

/// A file that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it is.
    pub path: PathBuf,
    /// Where it is below the directory that was given; of a file that was given, its name.
    pub name: PathBuf,
    /// Whether it was given itself, not a directory that it is in.
    pub given: bool,
    /// The directory below which no symbolic link is followed to write to it, if there is one.
    pub root: Option<PathBuf>,
}

impl Found {
    /// A file that was given.
    pub fn file(path: &Path) -> Self {
        Found {
            path: path.to_path_buf(),
            name: path.file_name().map(PathBuf::from).unwrap_or_default(),
            given: true,
            root: None,
        }
    }

    /// Reads it into `buffer`, to be replaced.
    pub fn read(&self, buffer: &mut Vec<u8>) -> Result<Original> {
        Original::read(self.place()?, buffer)
    }

    /// Where it is.
    pub fn place(&self) -> Result<Place> {
        let place = match &self.root {
            Some(root) => Place::below(root, &self.name),
            None => Place::named(&self.path),
        };
        place.with_context(|| format!("{}: cannot open", self.path.display()))
    }

    /// Where a file is written that belongs to it: with this behind its name, or, below a directory,
    /// with its name there.
    pub fn output(&self, directory: Option<&Path>, ending: &str) -> Result<Place> {
        let with_ending = |path: &Path| {
            let mut path = path.to_path_buf();
            path.as_mut_os_string().push(ending);
            path
        };
        let place = match (directory, &self.root) {
            (Some(directory), _) => Place::made_below(directory, &with_ending(&self.name)),
            (None, Some(root)) => Place::below(root, &with_ending(&self.name)),
            (None, None) => Place::output(&with_ending(&self.path)),
        };
        place.map_err(|error| {
            let path = match directory {
                Some(directory) => with_ending(&directory.join(&self.name)),
                None => with_ending(&self.path),
            };
            unwritten(&path, None, &error)
        })
    }
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

/// Symbolic links to modules below these directories that [`Links::Leave`] leaves, though what they point
/// to is nowhere below them, as those in `weak-updates`. Each with where it points to.
pub fn links_out(paths: &[PathBuf]) -> Vec<(PathBuf, PathBuf)> {
    let asked: Vec<PathBuf> = paths
        .iter()
        .filter_map(|path| fs::canonicalize(path).ok())
        .collect();
    let is_asked = |target: &PathBuf| asked.iter().any(|path| target.starts_with(path));
    let entries = paths
        .iter()
        .flat_map(|path| walkdir::WalkDir::new(path).min_depth(1).sort_by_file_name());
    let links = entries
        .flatten()
        .filter(|entry| entry.path_is_symlink() && is_module_name(entry.path()));
    links
        .filter_map(|link| {
            let target = fs::canonicalize(link.path()).ok()?;
            (target.is_file() && !is_asked(&target)).then(|| (link.into_path(), target))
        })
        .collect()
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
                        root: (!at_top).then(|| given.clone()),
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
