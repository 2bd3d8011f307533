// SPDX-License-Identifier: GPL-2.0

//! What `guest/init.c` says of each attempt.

use anyhow::{bail, Context, Result};

use super::errno::ERRORS;

/// One attempt to insert a module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempt {
    /// Index of the case.
    pub case: usize,
    /// `finit`, `init` or `kmod`.
    pub call: String,
    /// 0, or the error number; kmod's wait status.
    pub result: u32,
    /// What kmod wrote.
    pub said: Vec<String>,
    /// The module's line of /proc/modules, if it was loaded.
    pub module: String,
    /// What the kernel logged meanwhile.
    pub log: Vec<String>,
}

/// Everything from one boot.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// `module.sig_enforce` at boot, and after 0 was written to it.
    pub enforce: String,
    /// The same after 1 was written to it, when all cases were through.
    pub late: String,
    /// The attempts, in order.
    pub attempts: Vec<Attempt>,
}

/// Reads what came out of the verdict port.
pub fn parse(text: &str) -> Result<Said> {
    let mut said = Said::default();
    let mut done = false;
    for line in text.lines() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "enforce" => said.enforce = rest.to_owned(),
            "late" => said.late = rest.to_owned(),
            "try" => {
                let mut parts = rest.splitn(4, ' ');
                let mut next = || parts.next().with_context(|| format!("short line {line:?}"));
                said.attempts.push(Attempt {
                    case: next()?.parse()?,
                    call: next()?.to_owned(),
                    result: next()?.parse()?,
                    module: next()?.to_owned(),
                    ..Attempt::default()
                });
            }
            "said" => {
                if let Some(last) = said.attempts.last_mut() {
                    last.said.push(rest.to_owned());
                }
            }
            "log" => {
                if let Some(last) = said.attempts.last_mut() {
                    last.log.push(rest.to_owned());
                }
            }
            "done" => done = true,
            _ => bail!("the guest said {line:?}"),
        }
    }
    if !done {
        bail!("the guest did not come to its end");
    }
    Ok(said)
}

impl Attempt {
    /// What came of it, in the words of `cases.toml`.
    pub fn outcome(&self) -> String {
        match (self.result, self.module.is_empty()) {
            (0, false) if self.module.contains('(') => "loads, taints".to_owned(),
            (0, false) => "loads".to_owned(),
            (0, true) => "success, yet nothing is loaded".to_owned(),
            (_, true) => self.error(),
            (_, false) => format!("{}, yet it is loaded", self.error()),
        }
    }

    /// The name of the error number. kmod has words for it only, at the end of a line.
    fn error(&self) -> String {
        let found = ERRORS.iter().find(|(errno, _, words)| {
            if self.call == "kmod" {
                let mut lines = self.said.iter();
                lines.any(|line| line.rsplit(": ").next() == Some(words))
            } else {
                *errno == self.result
            }
        });
        match found {
            Some((_, name, _)) => (*name).to_owned(),
            None => format!("error {} {}", self.result, self.said.join(" ")),
        }
    }

    /// The verifier's own log line, or the C loader's.
    pub fn verdict_line(&self) -> &str {
        let line = self.log.iter().find(|line| line.starts_with("modsig: "));
        line.or(self.log.iter().find(|line| line.starts_with("Loading of ")))
            .map_or("", |line| line.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_guest_says() {
        let boot = parse("enforce NN\ntry 003 finit 0 m 1 0 - Live 0x0 (E)\nlog modsig: x\ntry 003 init 129 \ndone\n").unwrap();
        assert_eq!(boot.attempts[0].outcome(), "loads, taints");
        assert_eq!(boot.attempts[0].verdict_line(), "modsig: x");
        assert_eq!(boot.attempts[1].outcome(), "EKEYREJECTED");
    }

    #[test]
    fn reads_what_kmod_says() {
        let text = "try 000 kmod 256 \nsaid modprobe: ERROR: could not insert 'x': Key was rejected by service\ntry 001 kmod 0 m 1 0 - Live 0x0\ntry 002 kmod 256 \nsaid what?\ndone\n";
        let outcomes: Vec<_> = parse(text)
            .unwrap()
            .attempts
            .iter()
            .map(Attempt::outcome)
            .collect();
        assert_eq!(outcomes, ["EKEYREJECTED", "loads", "error 256 what?"]);
    }

    #[test]
    fn a_guest_that_stops_early_is_an_error() {
        assert!(parse("try 001 finit 0 \n").is_err());
        assert!(parse("nonsense\ndone\n").is_err());
    }
}
