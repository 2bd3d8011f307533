// SPDX-License-Identifier: MIT OR Apache-2.0

//! What `guest/instruments.c` says of each step.

use anyhow::{bail, Context, Result};

use super::init::Attempt;

/// A step of the plan, and what the guest said to it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Step {
    pub(crate) plan: String,
    pub(crate) lines: Vec<String>,
    pub(crate) counts: Vec<Count>,
    pub(crate) tries: Vec<Try>,
}

/// How often an attempt came to the same end.
#[derive(Clone, Debug)]
pub(crate) struct Count {
    pub(crate) case: usize,
    pub(crate) flags: u8,
    pub(crate) result: u32,
    pub(crate) kind: String,
    pub(crate) number: u64,
}

/// One attempt.
#[derive(Clone, Debug)]
pub(crate) struct Try {
    pub(crate) failed: bool,
    pub(crate) result: u32,
    pub(crate) kind: String,
    pub(crate) log: Vec<String>,
}

/// Reads what the guest said.
pub(crate) fn parse(text: &str) -> Result<Vec<Step>> {
    let mut steps: Vec<Step> = vec![];
    for line in text.lines() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        if word == "step" {
            steps.push(Step {
                plan: rest.to_owned(),
                ..Step::default()
            });
            continue;
        }
        if word == "done" {
            return Ok(steps);
        }
        let step = steps
            .last_mut()
            .with_context(|| format!("the guest said {line:?} before its first step"))?;
        let words: Vec<&str> = rest.split(' ').collect();
        match (word, &words[..]) {
            ("line", _) => step.lines.push(rest.to_owned()),
            ("count", [case, flags, result, kind, number]) => step.counts.push(Count {
                case: case.parse()?,
                flags: flags.parse()?,
                result: result.parse()?,
                kind: (*kind).to_owned(),
                number: number.parse()?,
            }),
            ("try", [_, failed, result, kind]) => step.tries.push(Try {
                failed: *failed == "1",
                result: result.parse()?,
                kind: (*kind).to_owned(),
                log: vec![],
            }),
            ("log", _) => {
                if let Some(last) = step.tries.last_mut() {
                    last.log.push(rest.to_owned());
                }
            }
            _ => bail!("the guest said {line:?}"),
        }
    }
    bail!(
        "the guest did not come to its end; its last step was {:?}",
        steps.last().map_or("none", |step| &step.plan)
    )
}

/// The outcome, in the words of `cases.toml`.
pub(crate) fn outcome(result: u32, kind: &str) -> String {
    // This guest does not tell the letters.
    if (result, kind) == (0, "t") {
        return "loads, taints".to_owned();
    }
    // Where others load modules too, it is not known what is loaded: a refusal is one.
    let is_loaded = kind != "-" && (kind, result == 0) != ("?", false);
    Attempt {
        result,
        module: if is_loaded { "m" } else { "" }.to_owned(),
        ..Attempt::default()
    }
    .outcome()
}

impl Try {
    pub(crate) fn outcome(&self) -> String {
        outcome(self.result, &self.kind)
    }

    /// Where the failure was injected: the functions on the stack, innermost first, without those
    /// that belong to the injection itself. Empty if the kernel did not say: allocations that are
    /// not to warn do not.
    pub(crate) fn stack(&self) -> Vec<&str> {
        self.log
            .iter()
            .skip_while(|line| !line.contains("FAULT_INJECTION"))
            .filter_map(|line| line.trim().split_once("+0x").map(|(name, _)| name))
            .filter(|name| !name.contains(' '))
            .skip_while(|name| name.starts_with("dump_stack") || name.contains("should_fail"))
            .collect()
    }

    /// One line for a person.
    pub(crate) fn describe(&self) -> String {
        let stack = self.stack();
        let (all, until) = (stack.len(), |name| stack.iter().position(|at| *at == name));
        let end = until("module_sig_check")
            .or(until("load_module"))
            .map_or(all, |at| at + 1);
        format!("{}: {}", self.outcome(), stack[..end].join(" < "))
    }
}

/// What the last `show` of a file gave.
pub(crate) fn shown<'s>(steps: &'s [Step], path: &str) -> Result<&'s [String]> {
    all_shown(steps, path)
        .last()
        .copied()
        .with_context(|| format!("the guest did not show {path}"))
}

/// What each `show` of a file gave.
pub(crate) fn all_shown<'s>(steps: &'s [Step], path: &str) -> Vec<&'s [String]> {
    let plan = format!("show {path}");
    steps
        .iter()
        .filter(|step| step.plan == plan)
        .map(|step| &step.lines[..])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_have_loaded_does_not_count() {
        assert_eq!(outcome(74, "-"), "EBADMSG");
        assert_eq!(outcome(74, "?"), "EBADMSG");
        assert_eq!(outcome(74, "m"), "EBADMSG, yet it is loaded");
        assert_eq!(outcome(0, "?"), "loads");
    }

    #[test]
    fn a_guest_that_stops_early_is_an_error() {
        assert!(parse("step x\n").is_err());
        assert!(parse("try 1 1 12 -\ndone\n").is_err());
    }
}
