// SPDX-License-Identifier: GPL-2.0

//! What the guest said.

use anyhow::{bail, Context, Result};

use crate::report::Attempt;

/// A step of the plan, and what the guest said to it.
#[derive(Clone, Debug, Default)]
pub(super) struct Step {
    pub(super) plan: String,
    pub(super) lines: Vec<String>,
    pub(super) counts: Vec<Count>,
    pub(super) tries: Vec<Try>,
}

/// How often an attempt came to the same end.
#[derive(Clone, Debug)]
pub(super) struct Count {
    pub(super) case: usize,
    pub(super) flags: u8,
    pub(super) result: u32,
    pub(super) kind: String,
    pub(super) number: u64,
}

/// One attempt.
#[derive(Clone, Debug)]
pub(super) struct Try {
    pub(super) failed: bool,
    pub(super) result: u32,
    pub(super) kind: String,
    pub(super) log: Vec<String>,
}

/// Reads what the guest said.
pub(super) fn parse(text: &str) -> Result<Vec<Step>> {
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
pub(super) fn outcome(result: u32, kind: &str) -> String {
    Attempt {
        result,
        module: match kind {
            "m" => "m".to_owned(),
            "t" => "m (E)".to_owned(),
            _ => String::new(),
        },
        ..Attempt::default()
    }
    .outcome()
}

impl Try {
    pub(super) fn outcome(&self) -> String {
        outcome(self.result, &self.kind)
    }

    /// Where the failure was injected: the functions on the stack, innermost first, without those
    /// that belong to the injection itself. Empty if the kernel did not say: allocations that are
    /// not to warn do not.
    pub(super) fn stack(&self) -> Vec<&str> {
        self.log
            .iter()
            .skip_while(|line| !line.contains("FAULT_INJECTION"))
            .filter_map(|line| line.trim().split_once("+0x").map(|(name, _)| name))
            .filter(|name| !name.contains(' '))
            .skip_while(|name| name.starts_with("dump_stack") || name.contains("should_fail"))
            .collect()
    }

    /// One line for a person.
    pub(super) fn describe(&self) -> String {
        let stack = self.stack();
        let (all, until) = (stack.len(), |name| stack.iter().position(|at| *at == name));
        let end = until("module_sig_check")
            .or(until("load_module"))
            .map_or(all, |at| at + 1);
        format!("{}: {}", self.outcome(), stack[..end].join(" < "))
    }
}

/// What the last `show` of a file gave.
pub(super) fn shown<'s>(steps: &'s [Step], path: &str) -> Result<&'s [String]> {
    all_shown(steps, path)
        .last()
        .copied()
        .with_context(|| format!("the guest did not show {path}"))
}

/// What each `show` of a file gave.
pub(super) fn all_shown<'s>(steps: &'s [Step], path: &str) -> Vec<&'s [String]> {
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
    fn a_guest_that_stops_early_is_an_error() {
        assert!(parse("step x\n").is_err());
        assert!(parse("try 1 1 12 -\ndone\n").is_err());
    }
}
