// SPDX-License-Identifier: MIT OR Apache-2.0

//! What is remembered of the modules of a build from one run to the next, in a file beside vmlinux:
//! which proof each has, and which need not be read again.
//!
//! It is no matter of trust: whatever it says, a kernel goes by its root, and `modsig hashes --check`
//! does not look here.

use std::{fs, iter, path::Path};

use anyhow::{ensure, Context, Result};
use serde::{Deserialize, Deserializer, Serialize};

use super::{Hash, Tree};
use crate::files::{self, Stamp};

/// The version of the file's format. In the one before, stamps were others; all else is the same.
const VERSION: u32 = 2;

/// One module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// As it stands in the list of modules.
    pub path: String,
    /// What tells that the file is still the one that was hashed; `None` if it was to be replaced
    /// when this was written.
    #[serde(deserialize_with = "stamp_if_known")]
    pub stamp: Option<Stamp>,
    /// Bytes of the module without its proof.
    pub size: u64,
    /// The leaf of the module.
    pub leaf: Hash,
    /// The leaf of the module as stripped, at the next position.
    pub stripped: Option<Hash>,
}

/// Of an earlier version they are of no use: the module is read again then.
fn stamp_if_known<'de, D: Deserializer<'de>>(
    from: D,
) -> std::result::Result<Option<Stamp>, D::Error> {
    let value = serde_json::Value::deserialize(from)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

/// A module that was in the tree, and is no longer: its proof is still on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// As it stood in the list of modules.
    pub path: String,
    /// Where it was.
    pub position: u32,
    /// Its leaf there.
    pub leaf: Hash,
}

/// All modules, in the order of the tree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    version: u32,
    /// The command that strips modules, if there are leaves for stripped ones.
    pub stripped_by: Option<String>,
    /// The modules.
    pub modules: Vec<Entry>,
    /// Those that were in the tree before, and are still there: they may come back.
    #[serde(default)]
    pub gone: Vec<Gone>,
}

impl State {
    /// For modules that are also known as this command strips them.
    pub fn new(stripped_by: Option<String>, modules: Vec<Entry>, gone: Vec<Gone>) -> Self {
        State {
            version: VERSION,
            stripped_by,
            modules,
            gone,
        }
    }

    /// Reads the file.
    ///
    /// # Errors
    ///
    /// If there is none, or it is none of ours.
    pub fn read(path: &Path) -> Result<Self> {
        let read = || {
            let text = fs::read(path).context("cannot read")?;
            let state: State = serde_json::from_slice(&text).context("damaged")?;
            ensure!(
                (1..=VERSION).contains(&state.version),
                "of a newer version of modsig"
            );
            let with_stripped = state.stripped_by.is_some();
            let is_whole = |module: &Entry| module.stripped.is_some() == with_stripped;
            ensure!(state.modules.iter().all(is_whole), "damaged");
            anyhow::Ok(state)
        };
        read().with_context(|| path.display().to_string())
    }

    /// Writes the file.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_vec(self)?;
        files::Pending::create(path, 0o644, &[text])?.commit()
    }

    /// The position of a module, by its number.
    ///
    /// # Errors
    ///
    /// If there are more modules than positions can count.
    pub fn position(&self, number: usize) -> Result<u32> {
        position(number, self.stripped_by.is_some())
    }

    /// The tree over all leaves.
    pub fn tree(&self) -> Result<Tree> {
        let leaves = self.modules.iter();
        let leaves = leaves.flat_map(|module| iter::once(module.leaf).chain(module.stripped));
        Tree::new(leaves.collect())
    }
}

/// The position of a module by its number: each also has one for its stripped form, if there are such.
pub fn position(number: usize, with_stripped: bool) -> Result<u32> {
    let positions = 1 + usize::from(with_stripped);
    let position = number.checked_mul(positions);
    position
        .and_then(|position| u32::try_from(position).ok())
        .context("more modules than a proof can count")
}
