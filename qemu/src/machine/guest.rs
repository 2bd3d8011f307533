// SPDX-License-Identifier: MIT OR Apache-2.0

//! A guest: a kernel, what it is told, and the files that it finds.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{bail, Result};
use modsig_testing::{
    archive::Archive,
    vm::{self, Arch, End, Options},
};

use super::programs;

/// Where the consoles of guests are kept.
pub const CONSOLES: &str = "build/console";

/// A guest that is to be booted.
#[derive(Clone)]
pub struct Guest {
    /// What it runs on.
    pub arch: Arch,
    /// Its kernel.
    pub image: PathBuf,
    /// What is added to the kernel's command line.
    pub append: String,
    /// Its files.
    pub files: Archive,
    /// Where its console is kept.
    pub console: PathBuf,
    /// What else it has.
    pub options: Options,
}

impl Guest {
    /// A guest that has nothing but the directories in which things are mounted. The console is a
    /// file of this name in [`CONSOLES`].
    pub fn new(arch: Arch, image: &Path, console: &str) -> Self {
        let mut files = Archive::default();
        for directory in ["dev", "proc", "sys"] {
            files.directory(directory);
        }
        Guest {
            arch,
            image: image.into(),
            append: String::new(),
            files,
            console: Path::new(CONSOLES).join(format!("{console}.log")),
            options: Options::default(),
        }
    }

    /// Its first program is this one of `guest/`.
    pub fn program(&mut self, name: &str) -> Result<()> {
        let program = programs::program(name, self.arch.clang_target)?;
        self.files.file("init", &program);
        Ok(())
    }

    /// Gives it files to be tried, `/cases/000` and so on, and the list that says how.
    pub fn cases<'f>(&mut self, files: impl IntoIterator<Item = &'f Vec<u8>>, list: &str) {
        self.files.directory("cases");
        for (index, file) in files.into_iter().enumerate() {
            self.files.file(&format!("cases/{index:03}"), file);
        }
        self.files.file("cases/list", list.as_bytes());
    }

    /// Boots it, waits for its end, and returns what it said.
    ///
    /// # Errors
    ///
    /// If it takes too long, or if the console shows that the kernel itself went wrong.
    pub fn boot(&self) -> Result<String> {
        let said = self.run()?;
        self.sees_no_trouble()?;
        Ok(said)
    }

    /// Has the machine's firmware start what is on a disk, until the console shows one of the signs. Kernel, files and
    /// command line are those of the disk.
    ///
    /// # Errors
    ///
    /// As [`Guest::boot`].
    pub fn boot_disk(&self, disk: &Path, signs: &[&'static str]) -> Result<End> {
        let end = vm::run_disk(self.arch, disk, &self.console, &self.options, signs)?;
        self.sees_no_trouble()?;
        Ok(end)
    }

    /// Sees that the kernel itself did not go wrong.
    fn sees_no_trouble(&self) -> Result<()> {
        if let Some(line) = vm::trouble(&fs::read(&self.console)?) {
            bail!("{line:?} in {}", self.console.display());
        }
        Ok(())
    }

    /// Like [`Guest::boot`], but leaves it to the caller to look for [`vm::trouble`].
    ///
    /// # Errors
    ///
    /// If it takes too long.
    pub fn run(&self) -> Result<String> {
        vm::run(
            self.arch,
            &self.image,
            &self.files.clone().finish(),
            &self.append,
            &self.console,
            &self.options,
        )
    }
}
