// SPDX-License-Identifier: MIT OR Apache-2.0

//! A module file, taken apart and put together: compression outside, signature inside.

use std::borrow::Cow;

use anyhow::{ensure, Context, Result};

use crate::{compression::Compression, loader::Loadable, message, signer::strip};

/// A module as it is given to the kernel, out of whatever it is packed in.
#[derive(Debug)]
pub struct Module<'a> {
    /// How the file is packed.
    pub compression: Option<Compression>,
    /// Signatures behind the packed data. Nobody looks for them there, and some unpackers refuse
    /// the file for them: it was signed after it was packed.
    pub misplaced: usize,
    /// What the kernel sees: the module and its signature, if there is one.
    pub file: Cow<'a, [u8]>,
}

impl<'a> Module<'a> {
    /// Unpacks a file.
    pub fn open(file: &'a [u8]) -> Result<Self> {
        let Some(compression) = Compression::of(file) else {
            return Ok(Module {
                compression: None,
                misplaced: 0,
                file: Cow::Borrowed(file),
            });
        };
        let (packed, misplaced) = strip(file);
        let unpacked = compression
            .unpack(packed)
            .context("cannot be unpacked; install or build it again")?;
        Ok(Module {
            compression: Some(compression),
            misplaced,
            file: Cow::Owned(unpacked),
        })
    }

    /// The module without its signatures, and how many there were.
    ///
    /// # Errors
    ///
    /// If it is no module: what is not an ELF file would never load.
    pub fn unsigned(&self) -> Result<(&[u8], usize)> {
        ensure!(!self.file.is_empty(), "the file is empty; build it again");
        ensure!(
            self.file.starts_with(b"\x7fELF"),
            "not a kernel module (not an ELF file)"
        );
        Ok(strip(&self.file))
    }

    /// The same, of a module that a loader would go on with.
    pub fn loadable(&self) -> Result<(&[u8], usize)> {
        let (content, count) = self.unsigned()?;
        Loadable::read(content)?;
        Ok((content, count))
    }

    /// What is written for a file of these parts: packed as this one was, at this level or at Kbuild's.
    pub fn packed<'p>(&self, parts: &[&'p [u8]], level: Option<u32>) -> Result<Vec<Cow<'p, [u8]>>> {
        Ok(match self.compression {
            Some(compression) => vec![Cow::Owned(compression.pack(&parts.concat(), level)?)],
            None => parts.iter().map(|&part| Cow::Borrowed(part)).collect(),
        })
    }
}

/// What stands behind a module that has this signature message.
pub fn trailer(message: &[u8]) -> Result<Vec<u8>> {
    let length = u32::try_from(message.len()).context("the signature is larger than 4 GiB")?;
    Ok(message::trailer(length))
}
