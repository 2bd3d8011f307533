// SPDX-License-Identifier: MIT OR Apache-2.0

//! What `guest/compare.c` says of each file.

use std::collections::BTreeSet;

use anyhow::{bail, ensure, Context, Result};

use super::errno::errno_name;

/// What a kernel did with a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Loaded it.
    Loads,
    /// Loaded it, with these letters of taint.
    Taints(BTreeSet<char>),
    /// Refused it with this error number.
    Refused(u32),
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Verdict::Loads => f.write_str("loads"),
            Verdict::Taints(letters) => {
                write!(f, "taints {}", letters.iter().collect::<String>())
            }
            Verdict::Refused(errno) => f.write_str(&errno_name(*errno)),
        }
    }
}

/// Bits of /proc/sys/kernel/tainted that a kernel in order does not have: a machine check, a bad
/// page, a crash, a warning, a lockup.
const TROUBLE: u64 = 1 << 4 | 1 << 5 | 1 << 7 | 1 << 9 | 1 << 14;

/// Reads what the guest said: a verdict for each of `count` cases. What there was before the end
/// comes with an error, so that one sees at which case it was.
pub fn parse(text: &str, count: usize) -> (Vec<Verdict>, Result<()>) {
    let mut verdicts = vec![];
    let mut lines = text.lines();
    let mut ended = false;
    for line in &mut lines {
        if let Some(bits) = line.strip_prefix("tainted ") {
            ended = matches!(bits.parse(), Ok::<u64, _>(bits) if bits & TROUBLE == 0);
            if !ended {
                return (
                    verdicts,
                    Err(anyhow::anyhow!("the kernel is tainted: {bits}")),
                );
            }
            break;
        }
        match verdict(line, verdicts.len()) {
            Ok(verdict) => verdicts.push(verdict),
            Err(error) => return (verdicts, Err(error)),
        }
    }
    let outcome = if !ended || lines.next() != Some("done") {
        Err(anyhow::anyhow!("the guest did not come to its end"))
    } else if verdicts.len() != count {
        Err(anyhow::anyhow!("verdicts on {} cases", verdicts.len()))
    } else {
        Ok(())
    };
    (verdicts, outcome)
}

fn verdict(line: &str, expected: usize) -> Result<Verdict> {
    let what = || format!("the guest said {line:?}");
    let mut parts = line.splitn(3, ' ');
    let index: usize = parts
        .next()
        .with_context(what)?
        .parse()
        .with_context(what)?;
    ensure!(
        index == expected,
        "{}, where case {expected} was due",
        what()
    );
    let errno = parts
        .next()
        .with_context(what)?
        .parse()
        .with_context(what)?;
    let module = parts.next().unwrap_or("");
    Ok(match (errno, module) {
        (0, "") => bail!("success, yet nothing is loaded: {}", what()),
        (0, module) => match module.rsplit_once('(') {
            Some((_, letters)) => {
                Verdict::Taints(letters.chars().filter(char::is_ascii_uppercase).collect())
            }
            None => Verdict::Loads,
        },
        (errno, "") => Verdict::Refused(errno),
        _ => bail!("an error, yet something is loaded: {}", what()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taints(letters: &str) -> Verdict {
        Verdict::Taints(letters.chars().collect())
    }

    #[test]
    fn reads_what_the_guest_says() {
        let text =
            "0 0 m 16384 0 - Live 0x0 (E)\n1 129 \n2 0 m 16384 0 - Live 0x0\ntainted 8192\ndone\n";
        let (verdicts, outcome) = parse(text, 3);
        outcome.unwrap();
        assert_eq!(
            verdicts,
            [taints("E"), Verdict::Refused(129), Verdict::Loads]
        );
    }

    #[test]
    fn what_the_guest_does_not_say_is_an_error() {
        for (text, kept) in [
            ("0 129 \n", 1),
            ("0 129 \ntainted 512\ndone\n", 1),
            ("1 129 \ntainted 0\ndone\n", 0),
            ("0 0 \ntainted 0\ndone\n", 0),
            ("0 129 m 1\ntainted 0\ndone\n", 0),
            ("cannot be taken out\ntainted 0\ndone\n", 0),
            ("tainted 0\ndone\n", 0),
        ] {
            let (verdicts, outcome) = parse(text, 1);
            assert!(outcome.is_err(), "{text}");
            assert_eq!(verdicts.len(), kept, "{text}");
        }
    }
}
