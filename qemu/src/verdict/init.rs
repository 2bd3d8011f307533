// SPDX-License-Identifier: MIT OR Apache-2.0

//! What `guest/init.c` says of each attempt.

use anyhow::{bail, ensure, Context, Result};

use super::errno::{errno_name, ERRORS};

/// What came of a change to the keyrings that was made.
pub const DONE: &str = "done";

/// One attempt to insert a module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempt {
    /// Index of the case.
    pub case: usize,
    /// `finit`, `init`, `kmod` or `keys`.
    pub call: String,
    /// 0, or the error number; kmod's wait status.
    pub result: u32,
    /// What kmod wrote.
    pub said: Vec<String>,
    /// The module's line of /proc/modules, if it was loaded.
    pub module: String,
    /// What the kernel logged meanwhile.
    pub log: Vec<String>,
    /// The error number with which the module could not be taken out again.
    pub stays: Option<u32>,
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
            "stays" => {
                let last = said.attempts.last_mut();
                last.context("the guest has tried nothing")?.stays = Some(rest.parse()?);
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

impl Said {
    /// Sees that what was tried is what was due, in that order: indices of cases, and calls.
    ///
    /// # Errors
    ///
    /// They name the first that was not due.
    pub fn in_order<'c>(&self, due: impl IntoIterator<Item = (usize, &'c str)>) -> Result<()> {
        let mut tried = self.attempts.iter();
        for (case, call) in due {
            let attempt = tried.next().map(|one| (one.case, &one.call[..]));
            ensure!(
                attempt == Some((case, call)),
                "the guest has tried {attempt:?}, where ({case}, {call:?}) was due"
            );
        }
        let more = tried.len();
        ensure!(
            more == 0,
            "the guest has made {more} attempts more than were due"
        );
        Ok(())
    }
}

impl Attempt {
    /// What came of it, in the words of `cases.toml`; of a module that taints, with its letters, in
    /// the kernel's order.
    pub fn outcome(&self) -> String {
        let outcome = match (self.result, self.module.is_empty()) {
            (0, true) if self.call == "keys" => DONE.to_owned(),
            (0, false) => match self.module.split_once('(') {
                Some((_, letters)) => format!("loads, taints {}", letters.trim_end_matches(')')),
                None => "loads".to_owned(),
            },
            (0, true) => "success, yet nothing is loaded".to_owned(),
            (_, true) => self.error(),
            (_, false) => format!("{}, yet it is loaded", self.error()),
        };
        match self.stays {
            Some(error) => format!("{outcome}, cannot be taken out: {}", errno_name(error)),
            None => outcome,
        }
    }

    /// Whether it was loaded, and nothing of it is left.
    pub fn is_good(&self) -> bool {
        self.result == 0 && !self.module.is_empty() && self.stays.is_none()
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
        assert_eq!(boot.attempts[0].outcome(), "loads, taints E");
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
    fn letters_and_what_stays_are_told() {
        let text = "try 000 finit 0 m 1 0 - Live 0x0 (FE)\ntry 001 finit 0 m 1 0 - Live 0x0 (OE+)\ntry 002 init 0 m 1 0 - Live 0x0\nstays 16\ntry 003 init 129 \ndone\n";
        let said = parse(text).unwrap();
        let outcomes: Vec<_> = said.attempts.iter().map(Attempt::outcome).collect();
        assert_eq!(
            outcomes,
            [
                "loads, taints FE",
                "loads, taints OE+",
                "loads, cannot be taken out: EBUSY",
                "EKEYREJECTED"
            ]
        );
        let good: Vec<_> = said.attempts.iter().map(Attempt::is_good).collect();
        assert_eq!(good, [true, true, false, false]);
        assert!(parse("stays 16\ndone\n").is_err());
    }

    #[test]
    fn attempts_are_due_in_an_order() {
        let said = parse("try 000 finit 0 \ntry 000 init 0 \ntry 001 kmod 0 \ndone\n").unwrap();
        let due = [(0, "finit"), (0, "init"), (1, "kmod")];
        said.in_order(due).unwrap();
        for (wrong, error) in [
            (
                &due[..2],
                "the guest has made 1 attempts more than were due",
            ),
            (
                &[due[0], due[1], (2, "kmod")],
                "the guest has tried Some((1, \"kmod\")), where (2, \"kmod\") was due",
            ),
            (
                &[due[0], due[0], due[2]],
                "the guest has tried Some((0, \"init\")), where (0, \"finit\") was due",
            ),
            (
                &[due[0], due[1], due[2], (0, "finit")],
                "the guest has tried None, where (0, \"finit\") was due",
            ),
        ] {
            let wrong = said.in_order(wrong.iter().copied()).unwrap_err();
            assert_eq!(wrong.to_string(), error);
        }
    }

    #[test]
    fn a_guest_that_stops_early_is_an_error() {
        assert!(parse("try 001 finit 0 \n").is_err());
        assert!(parse("nonsense\ndone\n").is_err());
    }
}
