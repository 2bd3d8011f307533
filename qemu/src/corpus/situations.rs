// SPDX-License-Identifier: MIT OR Apache-2.0

//! The situations in which `modsig why` is asked (`why.toml`).

use std::collections::BTreeMap;

use anyhow::{ensure, Context, Result};
use serde::Deserialize;

/// A boot.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Boot {
    /// What it is called.
    pub name: String,
    /// The flavour of kernel.
    pub kernel: String,
    /// What is added to its command line.
    #[serde(default)]
    pub append: String,
}

/// How a module is loaded.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// The file.
    #[default]
    Insmod,
    /// By its name, after what it needs.
    Modprobe,
}

/// A situation.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Situation {
    /// What a person calls it.
    pub name: String,
    /// The boots in which it is tried.
    pub boots: Vec<String>,
    /// How its file is made.
    pub recipe: Vec<String>,
    /// The flavour of which its modules are, if it is not the one that is booted.
    pub of: Option<String>,
    /// The name of its file.
    #[serde(default = "test_module")]
    pub file: String,
    /// Other modules that are installed, and how they are made.
    #[serde(default)]
    pub with: BTreeMap<String, Vec<String>>,
    /// How it is loaded.
    #[serde(default)]
    pub by: By,
    /// It is not installed at all.
    #[serde(default)]
    pub absent: bool,
    /// What is done in front of it, by a shell.
    #[serde(default)]
    pub before: String,
    /// What undoes that.
    #[serde(default)]
    pub after: String,
    /// What comes of it depends on what nobody can find out.
    #[serde(default)]
    pub depends: bool,
}

fn test_module() -> String {
    "test_module.ko".to_owned()
}

/// All of them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Situations {
    /// The boots, in order.
    pub boot: Vec<Boot>,
    /// The situations, in order.
    pub situation: Vec<Situation>,
}

impl Situations {
    /// Reads a table.
    ///
    /// # Errors
    ///
    /// If a name is there twice, or is that of no boot.
    pub fn parse(text: &str) -> Result<Self> {
        let all: Situations = toml::from_str(text)?;
        let mut names: Vec<_> = all.situation.iter().map(|one| &one.name).collect();
        names.sort_unstable();
        for two in names.windows(2) {
            ensure!(
                two[0] != two[1],
                "two situations have the name {:?}",
                two[0]
            );
        }
        for one in &all.situation {
            let is_known = |name: &String| all.boot.iter().any(|boot| boot.name == *name);
            let odd = one.boots.iter().find(|name| !is_known(name));
            ensure!(
                odd.is_none() && !one.boots.is_empty(),
                "{}: boots {odd:?}",
                one.name
            );
        }
        Ok(all)
    }

    /// Those of `why.toml`.
    pub fn all() -> Result<Self> {
        Self::parse(include_str!("../../why.toml")).context("why.toml")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_large_enough_and_each_boot_is_of_use() {
        let all = Situations::all().unwrap();
        assert!(all.situation.len() >= 60);
        for boot in &all.boot {
            let of_it = |one: &&Situation| one.boots.contains(&boot.name);
            assert!(
                all.situation.iter().filter(of_it).count() >= 3,
                "{}",
                boot.name
            );
        }
    }

    #[test]
    fn names_are_unique_and_boots_are_known() {
        let boot = "[[boot]]\nname = \"a\"\nkernel = \"c\"\n";
        let one = "[[situation]]\nname = \"x\"\nboots = [\"a\"]\nrecipe = []\n";
        assert!(Situations::parse(&format!("{boot}{one}")).is_ok());
        for wrong in [
            format!("{boot}{one}{one}"),
            format!("{boot}{}", one.replace("[\"a\"]", "[\"b\"]")),
            format!("{boot}{}", one.replace("[\"a\"]", "[]")),
            format!("{boot}{one}by = \"rmmod\"\n"),
        ] {
            assert!(Situations::parse(&wrong).is_err(), "{wrong}");
        }
    }
}
