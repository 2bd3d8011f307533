// SPDX-License-Identifier: MIT OR Apache-2.0

//! What is tried on machines with Secure Boot (`secure-boot.toml`).

use anyhow::{Context, Result};
use serde::Deserialize;

/// What firmware does not start.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    /// What a person calls it.
    pub name: String,
    /// Shim comes first.
    #[serde(default)]
    pub shim: bool,
    /// The key by which the kernel is signed.
    pub signed: Option<String>,
    /// What the console then says.
    pub shows: String,
}

/// A boot.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Boot {
    /// What it is called.
    pub name: String,
    /// The major version of the kernel; without one it is for all.
    pub series: Option<String>,
    /// Shim comes first.
    #[serde(default)]
    pub shim: bool,
    /// The key by which the kernel is signed.
    pub signed: String,
    /// The owner does not let the kernel trust the owner's keys as its own.
    #[serde(default)]
    pub untrusted: bool,
    /// The keys in the keyring `.platform`.
    pub platform: Vec<String>,
    /// Those in `.machine`.
    pub machine: Vec<String>,
}

/// A module.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Module {
    /// What a person calls it.
    pub name: String,
    /// How its file is made.
    pub recipe: Vec<String>,
    /// `modsig why` is to explain it.
    #[serde(default)]
    pub explain: bool,
    /// What the kernel does with it.
    expect: String,
    without_shim: Option<String>,
    series_7: Option<String>,
}

/// All of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecureBoot {
    /// What is not started.
    pub refused: Vec<Refused>,
    /// The boots.
    pub boot: Vec<Boot>,
    /// What is tried in each.
    pub module: Vec<Module>,
}

impl SecureBoot {
    /// What there is for kernels of a major version.
    pub fn of(major: &str) -> Result<Self> {
        let all = toml::from_str(include_str!("../../secure-boot.toml"));
        let mut all: SecureBoot = all.context("secure-boot.toml")?;
        all.boot
            .retain(|boot| boot.series.as_deref().is_none_or(|series| series == major));
        Ok(all)
    }
}

impl Module {
    /// The name of its directory.
    pub fn directory(&self) -> String {
        let words = self.name.split(|c: char| !c.is_ascii_alphanumeric());
        let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
        words.join("-")
    }

    /// What a kernel of a major version does with it in a boot.
    pub fn expected(&self, boot: &Boot, major: &str) -> &str {
        let without_shim = self.without_shim.as_ref().filter(|_| !boot.shim);
        let series_7 = self.series_7.as_ref().filter(|_| major == "7");
        without_shim.or(series_7).unwrap_or(&self.expect)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_boot_lets_some_modules_in_and_refuses_some() {
        for major in ["6", "7"] {
            let all = SecureBoot::of(major).unwrap();
            let names: Vec<_> = all.boot.iter().map(|boot| &boot.name[..]).collect();
            assert_eq!(names, ["firmware", "shim", "shim-untrusted"]);
            for boot in &all.boot {
                let expected = all.module.iter().map(|one| one.expected(boot, major));
                let expected: BTreeSet<_> = expected.collect();
                assert_eq!(expected, BTreeSet::from(["EKEYREJECTED", "loads"]));
            }
        }
    }

    #[test]
    fn each_module_has_a_directory_of_its_own() {
        let all = SecureBoot::of("6").unwrap();
        let mut names: Vec<_> = all.module.iter().map(Module::directory).collect();
        assert_eq!(names[1], "of-this-build-by-its-hash");
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all.module.len());
    }

    #[test]
    fn what_is_expected_depends_on_boot_and_series() {
        let all = SecureBoot::of("7").unwrap();
        let expected = |name: &str, boot: usize, major| {
            let mut modules = all.module.iter();
            let module = modules.find(|one| one.name == name).unwrap();
            module.expected(&all.boot[boot], major)
        };
        assert_eq!(expected("key of the owner (MOK)", 0, "6"), "EKEYREJECTED");
        assert_eq!(expected("key of the owner (MOK)", 1, "6"), "loads");
        let hash = "key in db, hash of the file in dbx";
        assert_eq!(expected(hash, 0, "6"), "EKEYREJECTED");
        assert_eq!(expected(hash, 0, "7"), "loads");
    }
}
