// SPDX-License-Identifier: MIT OR Apache-2.0

//! The modules of a build, and its kernel: which they are, whether they belong together, and giving
//! the modules other ends.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        atomic::{AtomicUsize, Ordering},
        Mutex, PoisonError,
    },
};

use anyhow::{anyhow, ensure, Context, Error, Result};
use modsig_tools::{
    files::{is_module_name, replace_end, walk, Found, Links, Missing, Pages, Stamp},
    image,
    module::Module,
    parallel,
    signer::strip,
};

use super::{
    batch::{Batch, Replaced, Writing},
    output::Count,
    report::{self, Done, How},
};

/// The modules of a build, in the order of its tree.
///
/// # Errors
///
/// If one is missing or is there twice. Nothing is to be done then.
pub(crate) fn list(paths: &[PathBuf]) -> Result<Vec<Found>> {
    let mut found = vec![];
    for path in paths {
        if path.is_dir() || is_module_name(path) {
            found.extend(walk(std::slice::from_ref(path), Links::Leave));
            continue;
        }
        // Objects or modules, one in a line, below the directory that the list is in.
        let named = || path.display().to_string();
        let text = fs::read_to_string(path)
            .with_context(|| format!("{}: cannot read the list of modules", named()))?;
        let directory = path.parent().unwrap_or(Path::new(""));
        for line in text.lines().filter(|line| !line.is_empty()) {
            let name = match is_module_name(Path::new(line)) {
                true => PathBuf::from(line),
                false => Path::new(line).with_extension("ko"),
            };
            let path = directory.join(&name);
            found.push(match path.is_file() {
                true => Ok(Found {
                    path,
                    name,
                    given: false,
                    // Parts of a build may be elsewhere.
                    root: None,
                }),
                false => Err(Missing {
                    path,
                    error: anyhow!("is in {}, but not there; build it", named()),
                }),
            });
        }
    }
    let mut seen = HashSet::new();
    let mut modules = vec![];
    let mut wrong = 0;
    for found in found {
        let error = match found {
            Ok(found) if seen.insert(identity(&found.path)?) => {
                modules.push(found);
                continue;
            }
            Ok(found) => anyhow!("{}: is there twice; list it once", found.path.display()),
            Err(Missing { path, error }) => error.context(path.display().to_string()),
        };
        report::complain(&error);
        wrong += 1;
    }
    ensure!(wrong == 0, "the list of modules is wrong; nothing was done");
    Ok(modules)
}

/// What two paths have in common that name the same file.
fn identity(path: &Path) -> Result<(u64, u64)> {
    let metadata = fs::metadata(path);
    let metadata = metadata.with_context(|| format!("{}: cannot open", path.display()))?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Fails if the kernel is not the one of modules that say this of themselves (`Loadable::vermagic`).
///
/// The loader compares this string, so there is a kernel that has it.
pub(crate) fn is_kernel_of<'a>(
    vmlinux: &Path,
    modules: impl Iterator<Item = (&'a str, &'a Path)>,
) -> Result<()> {
    let mut examples = BTreeMap::new();
    for (version, path) in modules {
        examples.entry(version).or_insert(path);
    }
    for (version, path) in examples {
        ensure!(
            image::has_string(vmlinux, version)?,
            "{}: is not the kernel of {}, which is for {version:?}: another release or configuration; nothing was done",
            vmlinux.display(),
            path.display()
        );
    }
    Ok(())
}

/// What is to stand behind a module.
pub(crate) struct End<'a> {
    pub(crate) found: &'a Found,
    /// Of the file when it was looked at.
    pub(crate) stamp: Stamp,
    /// Bytes of the module itself.
    pub(crate) size: u64,
    pub(crate) packed: bool,
    pub(crate) end: &'a [u8],
}

/// Gives modules their ends, many at once. Returns the stamps of those that were written in place,
/// and how many could not be written.
pub(crate) fn put_all(
    writing: &Writing,
    how: &How,
    ends: &[End<'_>],
) -> (Vec<Option<Stamp>>, usize) {
    let batch = Mutex::new(Batch::new(writing, how.jobs()));
    let wrong = AtomicUsize::new(0);
    let complain = |error: &Error| {
        report::complain(error);
        wrong.fetch_add(1, Ordering::Relaxed);
    };
    let take = |next| {
        // Whatever panicked, the rest of the batch is as good as it was.
        let mut batch = batch.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, result) in batch.take(next) {
            if let Err(error) = result {
                complain(&error);
            }
        }
    };
    let numbered: Vec<(usize, &End<'_>)> = ends.iter().enumerate().collect();
    let put = |buffer: &mut Vec<u8>, number: usize, end: &End<'_>| {
        // In place, if nobody needs to see it half done.
        if !writing.waits() && !end.packed {
            let place = end.found.place()?;
            let stamp = replace_end(&place, &end.stamp, end.size, end.end, Pages::Two)?;
            if stamp.is_some() {
                return Ok(stamp);
            }
        }
        take(Some((number, put_anew(writing, buffer, end)?)));
        Ok(None)
    };
    let stamps = parallel::map(&numbered, how.jobs().at_once, |buffer, &(number, end)| {
        put(buffer, number, end).unwrap_or_else(|error| {
            complain(&error);
            None
        })
    });
    take(None);
    (stamps, wrong.into_inner())
}

/// Makes a module with another end, if it is still the one with this stamp.
fn put_anew(writing: &Writing, buffer: &mut Vec<u8>, end: &End<'_>) -> Result<Replaced> {
    let path = &end.found.path;
    let original = end.found.read(buffer)?;
    ensure!(
        original.stamp() == end.stamp,
        "{}: somebody changed it meanwhile; do it again",
        path.display()
    );
    let opened = Module::open(buffer).with_context(|| path.display().to_string())?;
    let parts = opened.packed(&[strip(&opened.file).0, end.end], writing.level)?;
    let pending = original.replace(&parts)?;
    let done = Done::good(Count::Attached, "attached", &());
    Ok(Replaced {
        done,
        file: Some(pending),
    })
}

/// The module as a command leaves it.
pub(crate) fn stripped(command: &str, content: &[u8]) -> Result<Vec<u8>> {
    let directory = tempfile::tempdir().context("cannot make a copy of it to strip")?;
    let copy = directory.path().join("module.ko");
    fs::write(&copy, content).context("cannot make a copy of it to strip")?;
    let output = Command::new("sh")
        .args(["-c", &format!("{command} \"$0\"")])
        .arg(&copy)
        .output()
        .context("cannot run sh")?;
    ensure!(
        output.status.success(),
        "cannot be stripped by {command:?}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    fs::read(&copy).with_context(|| format!("is gone, stripped by {command:?}"))
}
