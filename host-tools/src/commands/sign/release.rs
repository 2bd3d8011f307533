// SPDX-License-Identifier: MIT OR Apache-2.0

//! One signature for all modules that are given (`sign --release`): they are hashed, the head of the tree over
//! them is signed, and each gets its proof and that signature.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use anyhow::{ensure, Context, Result};
use modsig::verify::{
    release,
    trailer::{self, Kind},
};
use modsig_tools::{
    files::{self, Found, Missing},
    module::Module,
    parallel,
    release::{end, leaf, Hash, Tree},
    signer::Signer,
};

use super::Arguments;
use crate::cli::report;

/// A release that is signed.
pub(super) struct Release {
    tree: Tree,
    positions: HashMap<PathBuf, u32>,
    cms: Vec<u8>,
}

/// A module that was looked at.
struct Looked {
    leaf: Hash,
    /// The CMS message of the release that it is of by now.
    cms: Option<Vec<u8>>,
}

impl Release {
    /// Hashes all modules, and signs.
    ///
    /// # Errors
    ///
    /// If one of the modules cannot be taken, or the key does not sign. No module was changed then.
    pub(super) fn new(
        arguments: &Arguments,
        signer: &Signer,
        modules: &[Result<Found, Missing>],
    ) -> Result<Self> {
        let found: Vec<&Found> = modules.iter().flatten().collect();
        let jobs = arguments.modules.jobs().at_once;
        let looked = parallel::map(&found, jobs, |buffer, found| look(buffer, &found.path));
        let mut wrong = modules.len() - found.len();
        for missing in modules.iter().filter_map(|one| one.as_ref().err()) {
            report::say(&format!("{:#}", missing.error));
        }
        let mut leaves = vec![];
        let mut before = vec![];
        for looked in looked {
            match looked {
                Ok(Looked { leaf, cms }) => {
                    leaves.push(leaf);
                    before.extend(cms);
                }
                Err(error) => {
                    report::complain(&error);
                    wrong += 1;
                }
            }
        }
        ensure!(
            wrong == 0,
            "{wrong} modules cannot be taken; nothing was signed"
        );
        let tree = Tree::new(leaves)?;
        let head = tree.head();
        // The same release again has the same signature, if that is wanted.
        before.retain(|cms| arguments.only_missing && signer.has_made(&head, cms));
        let cms = match before.pop() {
            Some(cms) => cms,
            None if arguments.dry_run.dry_run => vec![],
            None => signer.message(&head).context("the release")?,
        };
        let paths = found.iter().map(|found| found.path.clone());
        Ok(Release {
            tree,
            positions: paths.zip(0..).collect(),
            cms,
        })
    }

    /// What stands behind one of the modules.
    ///
    /// # Errors
    ///
    /// If it is another module by now than was hashed.
    pub(super) fn end(&self, path: &Path, module: &[u8]) -> Result<Vec<u8>> {
        let position = self.positions.get(path).copied();
        let position = position.context("was not there when the release was signed")?;
        ensure!(
            self.tree.leaf(position) == Some(&leaf(module)),
            "was changed while the release was signed; sign it again"
        );
        end(&self.tree.proof(position)?, &self.cms)
    }
}

fn look(buffer: &mut Vec<u8>, path: &Path) -> Result<Looked> {
    files::read_into(path, buffer)?;
    let look = || {
        let opened = Module::open(buffer)?;
        let (module, _) = opened.loadable()?;
        let cms = match trailer::split(&opened.file) {
            Ok(split) if split.kind == Kind::Release => release::parse(split.message).ok(),
            _ => None,
        };
        Ok::<_, anyhow::Error>(Looked {
            leaf: leaf(module),
            cms: cms.map(|release| release.message.to_vec()),
        })
    };
    look().with_context(|| path.display().to_string())
}
