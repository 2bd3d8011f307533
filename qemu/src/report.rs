// SPDX-License-Identifier: GPL-2.0

//! What the guest said, and what that means.

use anyhow::{bail, Context, Result};

/// One attempt to insert a module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempt {
    /// Index of the case.
    pub case: usize,
    /// `finit` or `init`.
    pub call: String,
    /// 0, or the error number.
    pub errno: u32,
    /// The module's line of /proc/modules, if it was loaded.
    pub module: String,
    /// What the kernel logged meanwhile.
    pub log: Vec<String>,
}

/// Everything from one boot.
#[derive(Clone, Debug, Default)]
pub struct Boot {
    /// `module.sig_enforce` at boot, and after 0 was written to it.
    pub enforce: String,
    /// The attempts, in order.
    pub attempts: Vec<Attempt>,
}

/// Reads what came out of the verdict port.
pub fn parse(text: &str) -> Result<Boot> {
    let mut boot = Boot::default();
    let mut done = false;
    for line in text.lines() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "enforce" => boot.enforce = rest.to_owned(),
            "try" => {
                let mut parts = rest.splitn(4, ' ');
                let mut next = || parts.next().with_context(|| format!("short line {line:?}"));
                boot.attempts.push(Attempt {
                    case: next()?.parse()?,
                    call: next()?.to_owned(),
                    errno: next()?.parse()?,
                    module: next()?.to_owned(),
                    log: vec![],
                });
            }
            "log" => {
                if let Some(last) = boot.attempts.last_mut() {
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
    Ok(boot)
}

impl Attempt {
    /// What came of it, in the words of `cases.toml`.
    pub fn outcome(&self) -> String {
        match (self.errno, self.module.is_empty()) {
            (0, false) if self.module.contains('(') => "loads, taints".to_owned(),
            (0, false) => "loads".to_owned(),
            (0, true) => "success, yet nothing is loaded".to_owned(),
            (errno, true) => errno_name(errno),
            (errno, false) => format!("{}, yet it is loaded", errno_name(errno)),
        }
    }

    /// The verifier's own log line, or the C loader's.
    pub fn verdict_line(&self) -> &str {
        let line = self.log.iter().find(|line| line.starts_with("modsig: "));
        line.or(self.log.iter().find(|line| line.starts_with("Loading of ")))
            .map_or("", |line| line.as_str())
    }
}

/// Names of the error numbers that loading a module gives (asm-generic/errno*.h).
fn errno_name(errno: u32) -> String {
    match errno {
        1 => "EPERM",
        2 => "ENOENT",
        8 => "ENOEXEC",
        12 => "ENOMEM",
        17 => "EEXIST",
        22 => "EINVAL",
        27 => "EFBIG",
        61 => "ENODATA",
        65 => "ENOPKG",
        74 => "EBADMSG",
        126 => "ENOKEY",
        129 => "EKEYREJECTED",
        other => return format!("error {other}"),
    }
    .to_owned()
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
    fn a_guest_that_stops_early_is_an_error() {
        assert!(parse("try 001 finit 0 \n").is_err());
        assert!(parse("nonsense\ndone\n").is_err());
    }
}
