// SPDX-License-Identifier: MIT OR Apache-2.0

//! Gives modules new content: what the commands have in common that do so.

use anyhow::{anyhow, Result};
use modsig_tools::{
    files::{Original, Pages, Pending},
    module::Module,
};

use super::report::{Done, Jobs};

/// How the new content is written.
#[derive(clap::Args)]
pub(crate) struct Writing {
    /// Do not flush files to disk before replacing them: faster, for build trees
    #[arg(long)]
    no_sync: bool,
    /// Pack compressed modules at this level: gzip 0 to 9, xz 0 to 9, zstd 1 to 19 [default: Kbuild's, which are
    /// 6, 6 and 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=19))]
    pub(crate) level: Option<u32>,
}

/// Whether anything is written.
#[derive(clap::Args)]
pub(crate) struct DryRun {
    /// Write nothing, only say what would be written
    #[arg(long)]
    pub(crate) dry_run: bool,
}

impl Writing {
    /// Whether the disk is waited for.
    pub(crate) fn waits(&self) -> bool {
        !self.no_sync
    }

    /// Puts this end behind what is the module itself of a file that was read and opened: at once and
    /// in place, if the disk is not waited for and it can be done on so many pages, else in a file that is
    /// to replace it.
    pub(crate) fn put_end(
        &self,
        original: &Original,
        opened: &Module<'_>,
        content: &[u8],
        end: &[u8],
        pages: Pages,
    ) -> Result<Option<Pending>> {
        let in_place = !self.waits() && opened.compression.is_none();
        if in_place && original.replace_end(content.len() as u64, end, pages)? {
            return Ok(None);
        }
        let parts = opened.packed(&[content, end], self.level)?;
        original.replace(&parts).map(Some)
    }
}

/// A module that is dealt with, but for its new content (if any waits) taking its name.
pub(crate) struct Replaced {
    pub(crate) done: Done,
    pub(crate) file: Option<Pending>,
}

/// Modules whose new content waits to be on the disk. That is awaited for many at once, for it
/// takes about as long for one.
pub(crate) struct Batch {
    sync: bool,
    largest: usize,
    waiting: Vec<(usize, Replaced)>,
}

/// Modules that wait at most. Each has two descriptors: of its file and of the directory.
const LARGEST: usize = 128;

impl Batch {
    /// For modules on which so many jobs work at a time.
    pub(crate) fn new(writing: &Writing, jobs: Jobs) -> Self {
        Batch {
            sync: writing.waits(),
            largest: jobs.waiting.clamp(1, LARGEST),
            waiting: vec![],
        }
    }

    /// Takes one more, or does the rest. Gives those that are done.
    pub(crate) fn take(&mut self, next: Option<(usize, Replaced)>) -> Vec<(usize, Result<Done>)> {
        let over = next.is_none();
        self.waiting.extend(next);
        if over || !self.sync || self.waiting.len() >= self.largest {
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
            true => Pending::sync(files),
            false => Ok(()),
        };
        let commit = |Replaced { done, file }| {
            if let Err(error) = &synced {
                return Err(anyhow!("{error:#}"));
            }
            if let Some(pending) = file {
                pending.commit()?;
            }
            Ok(done)
        };
        let done = waiting.into_iter();
        done.map(|(at, module)| (at, commit(module))).collect()
    }
}
