// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the tables say that must come of a case.

use modsig_tools::platform::Mode;

use crate::{
    corpus::cases::{Case, Expect, Table},
    machine::{
        boot::Boot,
        kernels::{IMAGE_NO_ROOT, KEYLESS},
    },
};

/// What becomes of a module that nobody has vouched for.
fn soft(mode: Mode) -> &'static str {
    match mode {
        Mode::Permissive => "loads, taints",
        Mode::Enforcing => "EKEYREJECTED",
        Mode::Lockdown => "EPERM",
    }
}

impl Expect {
    /// The outcome of a call in one mode, named as [`modsig_tools::platform::outcome`] does, or the
    /// name of another error number.
    pub fn of(&self, call: &str, mode: Mode) -> &str {
        let at = match mode {
            Mode::Permissive => 0,
            Mode::Enforcing => 1,
            Mode::Lockdown => 2,
        };
        match self {
            Expect::Always(always) if always == "soft" => soft(mode),
            Expect::Always(always) => always,
            Expect::PerMode(modes) => &modes[at],
            Expect::PerCall { init, .. } if call == "init" => init.of(call, mode),
            Expect::PerCall { finit, .. } => finit.of(call, mode),
        }
    }
}

impl Boot {
    /// What this verifier must make of a case, tried with a call in a mode.
    pub fn expected<'c>(&self, case: &'c Case, call: &str, mode: Mode) -> &'c str {
        let older = self.table == Table::Releases && !self.knows_releases();
        let expect = match (&case.keyless, &case.older) {
            (Some(keyless), _) if self.flavour == KEYLESS => keyless,
            (_, Some(older_expect)) if older => older_expect,
            (_, None) if older => return soft(mode),
            _ => &case.expect,
        };
        match expect.of(call, mode) {
            // What others load for its proof.
            "loads" if self.image == IMAGE_NO_ROOT => "EKEYREJECTED",
            expected => expected,
        }
    }
}
