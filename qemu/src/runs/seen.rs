// SPDX-License-Identifier: MIT OR Apache-2.0

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

/// The same for each kind of things that are looked at: they are not to be mistaken for each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tallies {
    /// Modules that were given to a kernel.
    pub insertions: Tally,
    /// Files that the kernel's code was asked of on the host.
    pub host: Tally,
    /// Files of sysfs that were read in the guest.
    pub reads: Tally,
}

impl Tallies {
    /// Counts.
    pub fn of<'o>(observations: impl IntoIterator<Item = &'o Observation>) -> Self {
        let mut tallies = Tallies::default();
        for one in observations {
            let tally = match &*one.call {
                HOST => &mut tallies.host,
                READ => &mut tallies.reads,
                _ => &mut tallies.insertions,
            };
            tally.total += 1;
            tally.good += usize::from(one.ok);
        }
        tallies
    }

    /// How many are not as expected, of all kinds.
    pub fn bad(&self) -> usize {
        let all = [self.insertions, self.host, self.reads];
        all.iter().map(|tally| tally.total - tally.good).sum()
    }
}

impl std::fmt::Display for Tallies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (name, tally)) in [
            ("insertions", self.insertions),
            ("host verdicts", self.host),
            ("sysfs reads", self.reads),
        ]
        .into_iter()
        .enumerate()
        {
            let before = if index > 0 { "; " } else { "" };
            write!(
                f,
                "{before}{name}: {}, {} as expected",
                tally.total, tally.good
            )?;
        }
        Ok(())
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_counted_by_itself() {
        let mut all = vec![
            Observation::new("a", HOST, "loads", "loads"),
            Observation::new("a", "finit", "loads", "EPERM"),
            Observation::new("a", "modprobe -f", "loads", "loads"),
            Observation::new("module.sig_enforce late", READ, "YY", "YY"),
        ];
        let tallies = Tallies::of(&all);
        assert_eq!(
            tallies.to_string(),
            "insertions: 2, 1 as expected; host verdicts: 1, 1 as expected; sysfs reads: 1, 1 as expected"
        );
        assert_eq!(tallies.bad(), 1);
        // Whatever it is that fails.
        all[0].ok = false;
        all[3].ok = false;
        assert_eq!(Tallies::of(&all).bad(), 3);
    }
}
