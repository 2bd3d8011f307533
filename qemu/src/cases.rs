// SPDX-License-Identifier: GPL-2.0

//! The case table (`cases.toml`).

use anyhow::{ensure, Context, Result};
use modsig_tools::platform::Mode;
use serde::Deserialize;

/// One case.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What a person calls it.
    pub name: String,
    /// How its file is made.
    pub recipe: Vec<String>,
    /// What must come of it.
    pub expect: Expect,
    /// What the C verifier makes of it, where that differs.
    pub c: Option<Expect>,
    /// The only kernel series that it is for.
    pub only: Option<String>,
    /// Flags for finit_module(2).
    #[serde(default)]
    pub flags: u8,
    /// init_module(2) does not come as far as the signature: the file is shorter than an ELF
    /// header.
    #[serde(default)]
    pub short: bool,
}

impl Case {
    /// Whether to try init_module(2), too. It has no flags.
    pub fn with_init(&self) -> bool {
        self.flags == 0 && !self.short
    }
}

/// What must come of a case.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Expect {
    /// In every mode; `soft` stands for what is done with modules nobody has vouched for.
    Always(String),
    /// Permissive, enforcing, locked down.
    PerMode([String; 3]),
}

impl Expect {
    /// The outcome in one mode, named as [`modsig_tools::platform::outcome`] does, or the name of
    /// another error number.
    pub fn in_mode(&self, mode: Mode) -> &str {
        let at = match mode {
            Mode::Permissive => 0,
            Mode::Enforcing => 1,
            Mode::Lockdown => 2,
        };
        match self {
            Expect::Always(soft) if soft == "soft" => {
                ["loads, taints", "EKEYREJECTED", "EPERM"][at]
            }
            Expect::Always(always) => always,
            Expect::PerMode(modes) => &modes[at],
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    case: Vec<Case>,
}

/// The cases for a kernel series, in order.
pub fn table(series: &str) -> Result<Vec<Case>> {
    let table: Table = toml::from_str(include_str!("../cases.toml")).context("cases.toml")?;
    let mut names: Vec<_> = table.case.iter().map(|case| &case.name).collect();
    names.sort_unstable();
    names.dedup();
    ensure!(
        names.len() == table.case.len(),
        "cases.toml: two cases have one name"
    );
    let wanted = |case: &Case| case.only.as_ref().is_none_or(|only| only == series);
    Ok(table.case.into_iter().filter(wanted).collect())
}
