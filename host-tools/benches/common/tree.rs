// SPDX-License-Identifier: MIT OR Apache-2.0

//! Copies of the modules that everything is measured with.

use std::{ffi::OsStr, fs, path::PathBuf, process::Command};

use anyhow::{ensure, Context, Result};
use modsig_testing::script::script;
use modsig_tools::{
    files::{walk, Links},
    parallel,
};
use tempfile::TempDir;

use super::{
    measure::{measure, Cost},
    Arguments,
};

/// The program that is measured.
pub(crate) const MODSIG: &str = env!("CARGO_BIN_EXE_modsig");

/// Where everything is.
pub(crate) struct Trees {
    /// In the cache, where a kernel's source can be copied by hard links.
    cache: TempDir,
    /// Where modules are: `plain` has them as they were, unsigned.
    work: TempDir,
    /// Names of the modules below `plain`.
    pub(crate) modules: Vec<PathBuf>,
    /// Bytes of them all.
    pub(crate) octets: u64,
}

impl Trees {
    /// The modules of a distribution, unsigned; for a quick run some of all sizes.
    pub(crate) fn prepare(arguments: &Arguments) -> Result<Self> {
        let distribution = script("get/distro-kernel", &["bookworm", "x86_64"])?;
        let cache = distribution.ancestors().nth(2).context("an odd cache")?;
        let directory = |place| tempfile::Builder::new().prefix("bench.").tempdir_in(place);
        let work = arguments.work.as_deref().unwrap_or(cache);
        let mut trees = Trees {
            cache: directory(cache)?,
            work: directory(&fs::canonicalize(work)?)?,
            modules: vec![],
            octets: 0,
        };
        let all = walk(&[distribution.join("lib/modules")], Links::Leave);
        let all: Vec<_> = all.into_iter().flatten().collect();
        ensure!(all.len() >= 4000, "only {} modules", all.len());
        let step = if arguments.quick { all.len() / 200 } else { 1 };
        let plain = trees.path("plain");
        for found in all.iter().step_by(step) {
            // Less RELEASE/kernel.
            let name: PathBuf = found.name.components().skip(2).collect();
            let path = plain.join(&name);
            fs::create_dir_all(path.parent().unwrap_or(&plain))?;
            fs::copy(&found.path, path)?;
            trees.modules.push(name);
        }
        trees.quietly(Command::new(MODSIG).args(["strip", "--no-sync"]).arg(plain))?;
        for name in &trees.modules {
            trees.octets += fs::metadata(trees.path("plain").join(name))?.len();
        }
        Ok(trees)
    }

    /// A path in the cache.
    pub(crate) fn cached(&self, name: &str) -> PathBuf {
        self.cache.path().join(name)
    }

    /// A path where modules are.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.work.path().join(name)
    }

    /// Runs a program.
    pub(crate) fn measure(&self, command: &mut Command) -> Result<Cost> {
        measure(command, &self.cached("log"))
    }

    /// Runs a program of which not the time matters.
    pub(crate) fn quietly(&self, command: &mut Command) -> Result<()> {
        self.measure(command).map(drop)
    }

    /// Makes a key and its certificate, which are `KIND.key` and `KIND.cert` in the cache.
    pub(crate) fn keygen(&self, kind: &str) -> Result<()> {
        let mut keygen = Command::new(MODSIG);
        keygen.args(["keygen", "--algorithm", kind]);
        keygen.arg("--key").arg(self.cached(&format!("{kind}.key")));
        keygen
            .arg("--cert")
            .arg(self.cached(&format!("{kind}.cert")));
        self.quietly(&mut keygen)
    }

    /// A copy of the unsigned modules, on the disk and in the page cache.
    pub(crate) fn fresh(&self, name: &str) -> Result<()> {
        if self.path(name).exists() {
            fs::remove_dir_all(self.path(name))?;
        }
        self.copy(name)?;
        self.settle()
    }

    /// A copy of the unsigned modules.
    pub(crate) fn copy(&self, name: &str) -> Result<Cost> {
        let mut copy = Command::new("cp");
        copy.args(["-r", "--reflink=never"]);
        self.measure(copy.arg(self.path("plain")).arg(self.path(name)))
    }

    /// Waits for the disk, so that nothing is written for what was before.
    pub(crate) fn settle(&self) -> Result<()> {
        rustix::fs::syncfs(fs::File::open(self.work.path())?)?;
        Ok(())
    }

    /// A program with its first arguments, run on each module of a copy by as many processes as there
    /// are processors.
    pub(crate) fn on_each(
        &self,
        name: &str,
        program: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Result<Command> {
        let list = self.cached("list");
        let mut paths = vec![];
        for module in &self.modules {
            paths.extend(self.path(name).join(module).as_os_str().as_encoded_bytes());
            paths.push(0);
        }
        fs::write(&list, paths)?;
        let mut xargs = Command::new("xargs");
        xargs.arg("-0a").arg(list);
        xargs.args(["-n1", "-P", &parallel::processors().to_string()]);
        xargs.args(program);
        Ok(xargs)
    }
}
