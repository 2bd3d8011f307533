// SPDX-License-Identifier: MIT OR Apache-2.0

//! One signature for all modules that are given (`sign --release`): they are hashed, the head of the tree over
//! them is signed, and each gets its proof and that signature. Or the head is written to a file, to be signed
//! elsewhere (`--manifest`), and the leaves beside it, for `attach --release`.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{ensure, Context, Result};
use modsig::verify::{
    release,
    trailer::{self, Kind},
    DigestAlgorithm,
};
use modsig_tools::{
    detached::with_ending,
    files::{self, replace_end, Found, Links, Missing, Pages, Stamp},
    module::Module,
    parallel,
    release::{end, leaf, leaves_to_text, Hash, Request, Tree, LEAVES},
    signer::Signer,
};

use super::{
    copy, manifest::digested, names_differ, signed, signed_before as as_before, to_be_signed,
    Arguments, Keys,
};
use crate::cli::{
    batch::{Batch, Replaced},
    build_tree::stripped,
    report::{self, Modules},
};

/// A module that was hashed.
struct Looked {
    stamp: Stamp,
    /// Bytes of the module itself.
    size: u64,
    packed: bool,
    /// Signatures that it has.
    replaced: usize,
    leaf: Hash,
    /// As it is when it is stripped, if that is asked for.
    stripped: Option<Hash>,
    /// What stands behind the module, if that is one signature for a release.
    end: Option<Vec<u8>>,
}

/// Hashes all modules, many at once.
///
/// # Errors
///
/// If one of them cannot be taken. Nothing has been done then.
fn look_at_all(
    modules: &Modules,
    found: &[Result<Found, Missing>],
    stripped_by: Option<&str>,
) -> Result<Vec<Looked>> {
    let there: Vec<&Found> = found.iter().flatten().collect();
    let jobs = modules.jobs().at_once;
    let looked = parallel::map(&there, jobs, |buffer, found| {
        look(buffer, &found.path, stripped_by)
    });
    for missing in found.iter().filter_map(|one| one.as_ref().err()) {
        report::say(&format!("{}: {:#}", missing.path.display(), missing.error));
    }
    let mut all = vec![];
    for looked in looked {
        match looked {
            Ok(looked) => all.push(looked),
            Err(error) => report::complain(&error),
        }
    }
    let wrong = found.len() - all.len();
    ensure!(
        wrong == 0,
        "{wrong} modules cannot be taken; nothing was signed"
    );
    Ok(all)
}

fn look(buffer: &mut Vec<u8>, path: &Path, stripped_by: Option<&str>) -> Result<Looked> {
    let stamp = files::read_into(path, buffer)?;
    let look = || {
        let opened = Module::open(buffer)?;
        let (module, count) = opened.loadable()?;
        let is_release =
            || trailer::split(&opened.file).is_ok_and(|split| split.kind == Kind::Release);
        let has_one = opened.misplaced == 0 && count == 1 && is_release();
        let stripped = stripped_by.map(|command| anyhow::Ok(leaf(&stripped(command, module)?)));
        Ok::<_, anyhow::Error>(Looked {
            stamp,
            size: module.len() as u64,
            packed: opened.compression.is_some(),
            replaced: count + opened.misplaced,
            leaf: leaf(module),
            stripped: stripped.transpose()?,
            end: has_one.then(|| opened.file[module.len()..].to_vec()),
        })
    };
    look().with_context(|| path.display().to_string())
}

fn tree(looked: &[Looked]) -> Result<Tree> {
    let leaves = looked.iter();
    let leaves = leaves.flat_map(|module| [Some(module.leaf), module.stripped]);
    Tree::new(leaves.flatten().collect())
}

/// Writes what is to be signed for these modules to a file, and the leaves to one beside it. It takes no key.
pub(super) fn write(
    arguments: &Arguments,
    digest: DigestAlgorithm,
    file: &Path,
) -> Result<ExitCode> {
    let modules = &arguments.modules;
    let found = modules.find(Links::Leave)?;
    if found.is_empty() {
        modules.remark(&format!(
            "{}: not written, for a release has one module at least",
            file.display()
        ));
    } else {
        let looked = look_at_all(modules, &found, arguments.stripped_by.as_deref())?;
        let tree = tree(&looked)?;
        let request = Request {
            hash: digest,
            head: tree.head(),
        };
        // First what the other is of no use without.
        let leaves = leaves_to_text(&tree);
        files::create(&with_ending(file, LEAVES), 0o644, leaves.as_bytes())?;
        files::create(file, 0o644, request.to_text().as_bytes())?;
    }
    modules.each_alone(found, |_, _| Ok(digested()))
}

/// Signs all modules.
pub(super) fn sign(
    arguments: &Arguments,
    keys: Keys<'_>,
    digest: DigestAlgorithm,
) -> Result<ExitCode> {
    let named = keys.named.clone();
    let modules = arguments.modules.find(Links::Leave)?;
    // A key is tried by what it is to sign, for a person may have to touch the token each time.
    let signer = match arguments.dry_run.dry_run {
        true => keys.signer(digest, 1)?,
        false => keys.untried(digest)?,
    };
    if let Some(directory) = &arguments.dest_dir {
        names_differ(directory, modules.iter().flatten())?;
    }
    let looked = look_at_all(&arguments.modules, &modules, None)?;
    let release = match modules.is_empty() {
        true => None,
        false => {
            let tree = tree(&looked)?;
            let cms = match signed_before(arguments, &signer, &tree, &looked) {
                Some(cms) => cms,
                None if arguments.dry_run.dry_run => vec![],
                None => signer.vouched(&tree.head()).context(named)?,
            };
            let paths = modules.iter().flatten().map(|found| found.path.clone());
            Some(Release {
                arguments,
                tree,
                looked: paths.zip(looked).collect(),
                cms,
            })
        }
    };
    let mut batch = Batch::new(&arguments.writing, arguments.modules.jobs());
    arguments.modules.each(
        modules,
        |buffer, found| {
            let release = release.as_ref().context(GONE)?;
            release.put(buffer, found)
        },
        |signed| batch.take(signed),
    )
}

const GONE: &str = "was not there when the release was signed; sign it again";

/// The CMS message of this release that one of the modules has by now, if only those that lack it are to get
/// it. The same release again has the same signature then, and the key is not asked.
fn signed_before(
    arguments: &Arguments,
    signer: &Signer,
    tree: &Tree,
    looked: &[Looked],
) -> Option<Vec<u8>> {
    if !arguments.only_missing {
        return None;
    }
    let head = tree.head();
    let mut seen = HashSet::new();
    let ends = looked.iter().filter_map(|module| module.end.as_deref());
    let messages = ends.filter_map(|end| {
        let size = end
            .len()
            .checked_sub(trailer::SIZE + trailer::MARKER.len())?;
        Some(release::parse(&end[..size]).ok()?.message)
    });
    let mut messages = messages.filter(|cms| seen.insert(*cms));
    let found = messages.find(|cms| signer.has_made(&head, cms));
    found.map(<[u8]>::to_vec)
}

/// A release that is signed.
struct Release<'a> {
    arguments: &'a Arguments,
    tree: Tree,
    looked: HashMap<PathBuf, Looked>,
    cms: Vec<u8>,
}

impl Release<'_> {
    /// Gives a module its end, or a copy of it.
    fn put(&self, buffer: &mut Vec<u8>, found: &Found) -> Result<Replaced> {
        let Arguments {
            only_missing,
            dry_run,
            dest_dir,
            writing,
            ..
        } = self.arguments;
        let named = || found.path.display().to_string();
        let looked = self.looked.get(&found.path).context(GONE)?;
        let position = self.tree.position(&looked.leaf).context(GONE)?;
        let end = end(&self.tree.proof(position)?, &self.cms)?;
        if *only_missing && looked.end.as_ref() == Some(&end) {
            return Ok(as_before());
        }
        if dry_run.dry_run {
            return Ok(to_be_signed(looked.replaced));
        }
        let in_place = dest_dir.is_none() && !writing.waits() && !looked.packed;
        if in_place && Stamp::of(&found.path).is_ok_and(|stamp| stamp == looked.stamp) {
            let place = found.place()?;
            // A kill leaves the module whole in any case, and who goes on with the release mends its end.
            if replace_end(&place, &looked.stamp, looked.size, &end, Pages::Two)?.is_some() {
                return Ok(signed(looked.replaced, &found.path, None, None));
            }
        }
        let original = found.read(buffer)?;
        let opened = Module::open(buffer).with_context(named)?;
        let (module, _) = opened.loadable().with_context(named)?;
        ensure!(
            leaf(module) == looked.leaf,
            "{}: was changed while the release was signed; sign it again",
            named()
        );
        let Some(directory) = dest_dir else {
            let pending = writing.put_end(&original, &opened, module, &end, Pages::Two)?;
            return Ok(signed(looked.replaced, &found.path, None, pending));
        };
        let parts = opened.packed(&[module, &end], writing.level)?;
        let (pending, copy) = copy(found, Some(directory), "", original.mode(), &parts)?;
        Ok(signed(
            looked.replaced,
            &copy,
            Some(directory),
            Some(pending),
        ))
    }
}
