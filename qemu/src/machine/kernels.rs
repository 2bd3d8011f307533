// SPDX-License-Identifier: MIT OR Apache-2.0

//! The test kernels and their keys, as scripts make them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use modsig_testing::{script::script, vm::Arch};

/// The image of a kernel.
pub const IMAGE: &str = "kernel";
/// The same before the root of module hashes was written, in flavours that have one.
pub const IMAGE_NO_ROOT: &str = "kernel-no-root";

/// The flavour that takes modules by a key, and those without one with taint.
pub const PERMISSIVE: &str = "permissive";
/// The same, built to take signed modules only.
pub const FORCE: &str = "force";
/// The flavour that takes modules by their hashes or by a key.
pub const HASHES: &str = "hashes";
/// The flavour that takes modules by their hashes, and has no keys.
pub const KEYLESS: &str = "hashes-only";
/// The same as [`HASHES`] with a platform keyring, IMA and UEFI variables.
pub const INTEGRITY: &str = "hashes-integrity";
/// The unmodified kernel, with its C verifier.
pub const C: &str = "c";
/// The unmodified kernel, configured as [`INTEGRITY`].
pub const C_INTEGRITY: &str = "c-integrity";
/// The same with the faults mended that are known of it (`rust/patches/c-fixes`).
pub const C_FIXED: &str = "c-fixed";
/// As [`PERMISSIVE`], with the X.509 parser in Rust, and kexec of signed images.
pub const PARSERS: &str = "parsers";
/// The same with the X.509 parser in C.
pub const PARSERS_C: &str = "parsers-c";
/// The flavour that watches itself.
pub const DEBUG: &str = "debug";

/// A kernel series, such as 6.12.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series(String);

impl Series {
    /// By its name, which is not `newest`.
    pub fn new(name: &str) -> Self {
        Series(name.to_owned())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// Its major version, by which the options and the keys of test kernels go.
    pub fn major(&self) -> &str {
        self.0.split('.').next().unwrap_or(&self.0)
    }

    /// Whether it is as 6.12 is. Later ones know more: ML-DSA, SHA-1 as it is configured here,
    /// other hashes for the blacklist.
    pub fn is_6(&self) -> bool {
        self.major() == "6"
    }
}

impl std::fmt::Display for Series {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A kernel that was built.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// Where it and its modules are.
    pub directory: PathBuf,
    /// Its series.
    pub series: Series,
}

impl Kernel {
    /// Builds or finds a kernel of a series.
    pub fn build(series: &str, arch: Arch, flavour: &str) -> Result<Self> {
        Self::at(script("build/kernel", &[series, arch.name, flavour])?)
    }

    /// One that was built before. The name of its directory starts with its series.
    pub fn at(directory: PathBuf) -> Result<Self> {
        let name = directory.file_name().and_then(|name| name.to_str());
        let series = name.and_then(|name| name.split('-').next());
        let series = series.with_context(|| format!("{}: an odd name", directory.display()))?;
        Ok(Kernel {
            series: Series::new(series),
            directory,
        })
    }

    /// Where its objects are, which it was linked from: in the tree that it was built in.
    pub fn objects(&self, arch: Arch, flavour: &str) -> Result<PathBuf> {
        script(
            "build/kernel",
            &["--tree", self.series.name(), arch.name, flavour],
        )?;
        let cache = self.directory.ancestors().nth(2).unwrap_or(Path::new(""));
        let tree = format!("tree/{}-{}/{flavour}", self.series, arch.name);
        Ok(cache.join(tree).join("linux/build"))
    }

    /// One of its files.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.join(name)
    }
}

/// Makes or finds the test keys.
pub fn keys() -> Result<PathBuf> {
    script("build/keys", &[])
}
