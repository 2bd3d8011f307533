// SPDX-License-Identifier: GPL-2.0

//! Gives modules new content: what the commands have in common that do so.

use anyhow::{anyhow, Result};
use modsig_tools::files::{Original, Pending};

use super::report::Done;

/// How sure the new content is to be.
#[derive(clap::Args)]
pub(crate) struct Sync {
    /// Do not wait for the disk: for modules that can be made again after a loss of power
    #[arg(long)]
    no_sync: bool,
}

impl Sync {
    /// Whether the disk is waited for.
    pub(crate) fn waits(&self) -> bool {
        !self.no_sync
    }
}

/// A module that is dealt with, but for its new content (if it has any) taking its name, in place
/// of the original (if there is one).
pub(crate) struct Replaced {
    pub(crate) done: Done,
    pub(crate) file: Option<(Pending, Option<Original>)>,
}

/// Modules whose new content waits to be on the disk. That is awaited for many at once, for it
/// takes about as long for one.
pub(crate) struct Batch {
    sync: bool,
    waiting: Vec<(usize, Replaced)>,
}

/// Modules that wait at most: their files are open.
const LARGEST: usize = 128;

impl Batch {
    pub(crate) fn new(sync: &Sync) -> Self {
        Batch {
            sync: sync.waits(),
            waiting: vec![],
        }
    }

    /// Takes one more, or does the rest. Gives those that are done.
    pub(crate) fn take(&mut self, next: Option<(usize, Replaced)>) -> Vec<(usize, Result<Done>)> {
        let over = next.is_none();
        self.waiting.extend(next);
        if over || !self.sync || self.waiting.len() == LARGEST {
            self.commit()
        } else {
            vec![]
        }
    }

    fn commit(&mut self) -> Vec<(usize, Result<Done>)> {
        let waiting = std::mem::take(&mut self.waiting);
        let files = waiting
            .iter()
            .filter_map(|(_, module)| module.file.as_ref());
        let synced = match self.sync {
            true => Pending::sync(files.map(|(pending, _)| pending)),
            false => Ok(()),
        };
        let commit = |Replaced { done, file }| {
            if let Err(error) = &synced {
                return Err(anyhow!("{error:#}"));
            }
            match file {
                Some((pending, Some(original))) => pending.commit_over(&original)?,
                Some((pending, None)) => pending.commit()?,
                None => (),
            }
            Ok(done)
        };
        let done = waiting.into_iter();
        done.map(|(at, module)| (at, commit(module))).collect()
    }
}
