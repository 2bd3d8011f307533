// SPDX-License-Identifier: GPL-2.0

//! What was seen of boots.

use serde::{Deserialize, Serialize};

/// In place of a call: the kernel's code was asked on the host.
pub const HOST: &str = "host";
/// In place of a call: a file of sysfs was read in the guest.
pub const READ: &str = "read";

/// What tables say of a module that taints the kernel; a guest says with which letters.
pub const TAINTS: &str = "loads, taints";

/// How many were looked at, and how many of them were as expected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All.
    pub total: usize,
    /// Those as expected.
    pub good: usize,
}

/// What came of one boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Booted {
    /// What it is called.
    pub name: String,
    /// The flavour of kernel.
    pub flavour: String,
    /// `permissive`, `enforcing` or `lockdown`.
    pub mode: String,
    /// The file of the case table.
    pub table: String,
    /// Where its console was kept.
    pub console: String,
    /// Everything that was looked at, in order.
    pub observations: Vec<Observation>,
}

/// Something that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// The name of the case.
    pub case: String,
    /// The system call or command, or [`HOST`], or [`READ`].
    pub call: String,
    /// What was to come of it.
    pub expected: String,
    /// What came of it.
    pub observed: String,
    /// Whether that is as expected.
    pub ok: bool,
    /// The verifier's log line, if it left one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub log: String,
    /// All else that the kernel and kmod said, if it is not as expected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more: Vec<String>,
}

impl Booted {
    /// How many of all that was looked at are as expected.
    pub fn tally(&self) -> Tally {
        Tally {
            total: self.observations.len(),
            good: self.observations.iter().filter(|one| one.ok).count(),
        }
    }
}

impl Observation {
    /// Something that is as expected if it is just that.
    pub fn new(case: &str, call: &str, expected: &str, observed: &str) -> Self {
        Observation {
            case: case.to_owned(),
            call: call.to_owned(),
            expected: expected.to_owned(),
            observed: observed.to_owned(),
            ok: expected == observed,
            log: String::new(),
            more: vec![],
        }
    }
}
