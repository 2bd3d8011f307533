// SPDX-License-Identifier: GPL-2.0

//! What two kernels made of a file, and which of them was the stricter.

use std::collections::BTreeSet;

use anyhow::{bail, ensure, Context, Result};
use modsig::verify::Error;

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
            Verdict::Refused(errno) => f.write_str(&crate::report::errno_name(*errno)),
        }
    }
}

/// What the verifier in Rust is to the one in C.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Relation {
    /// They let in the same, with the same taint.
    Same,
    /// Rust did not let in, or did taint for, what C did (not).
    Stricter,
    /// The other way round.
    Weaker,
}

/// Holds a verdict of Rust's against that of C. Error numbers do not count.
pub fn relate(c: &Verdict, rust: &Verdict) -> Relation {
    use Verdict::*;
    match (c, rust) {
        (Refused(_), Refused(_)) | (Loads, Loads) => Relation::Same,
        (Taints(c), Taints(rust)) if c == rust => Relation::Same,
        (Taints(c), Taints(rust)) if c.is_subset(rust) => Relation::Stricter,
        (Loads, _) | (Taints(_), Refused(_)) => Relation::Stricter,
        (Refused(_), _) | (Taints(_), _) => Relation::Weaker,
    }
}

/// Over all modes: weaker if weaker in any, else stricter if stricter in any.
pub fn relate_all(c: &[Verdict], rust: &[Verdict]) -> Relation {
    let each = c.iter().zip(rust).map(|(c, rust)| relate(c, rust));
    each.max().unwrap_or(Relation::Same)
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

/// The name of the reason, without what goes with it.
pub fn reason(error: &Error) -> String {
    let debug = format!("{error:?}");
    let end = debug.find(|c: char| !c.is_ascii_alphanumeric());
    debug[..end.unwrap_or(debug.len())].to_owned()
}

/// The reasons for which Rust may be stricter, as `Documentation/differences.md` has them under
/// "Stricter".
#[derive(Clone, Debug, Default)]
pub struct Documented {
    /// Those of the tables: what stands in backticks in the column "reason".
    always: BTreeSet<String>,
    /// Those of the paragraph on what stands behind an unknown algorithm, which C does not come to:
    /// good only where C lets a module in with taint.
    behind_unknown: BTreeSet<String>,
}

impl Documented {
    /// Reads that file.
    pub fn parse(text: &str) -> Self {
        let mut documented = Documented::default();
        let lines = text.lines().skip_while(|line| *line != "## Stricter");
        let section = lines.skip(1).take_while(|line| !line.starts_with("## "));
        let quoted = |text: &str| -> Vec<String> {
            text.split('`')
                .skip(1)
                .step_by(2)
                .map(str::to_owned)
                .collect()
        };
        // Where the reasons are in the table that a line is in; whether it is in that paragraph.
        let (mut column, mut behind_unknown) = (None, false);
        for line in section {
            behind_unknown = !line.is_empty()
                && (behind_unknown || line.starts_with("**Behind an unknown algorithm.**"));
            if behind_unknown {
                documented.behind_unknown.extend(quoted(line));
            }
            if !line.starts_with('|') {
                column = None;
                continue;
            }
            let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
            match column {
                // The head of the table.
                None => column = Some(cells.iter().position(|cell| *cell == "reason")),
                Some(column) => {
                    let cell = column.and_then(|column: usize| cells.get(column));
                    documented.always.extend(quoted(cell.unwrap_or(&"")));
                }
            }
        }
        documented
    }

    /// Whether Rust may be stricter than these verdicts of C's for this reason.
    pub fn allows(&self, reason: &str, c: &[Verdict]) -> bool {
        self.always.contains(reason)
            || (self.behind_unknown.contains(reason) && !c.contains(&Verdict::Loads))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taints(letters: &str) -> Verdict {
        Verdict::Taints(letters.chars().collect())
    }

    #[test]
    fn a_weaker_verdict_is_found() {
        use Relation::*;
        let (loads, refused) = (Verdict::Loads, Verdict::Refused(129));
        for (c, rust, expected) in [
            (&loads, &loads, Same),
            (&refused, &Verdict::Refused(74), Same),
            (&taints("E"), &taints("E"), Same),
            (&taints("E"), &taints("EF"), Stricter),
            (&loads, &taints("E"), Stricter),
            (&loads, &refused, Stricter),
            (&taints("E"), &refused, Stricter),
            (&taints("EF"), &taints("E"), Weaker),
            (&taints("E"), &loads, Weaker),
            (&refused, &taints("E"), Weaker),
            (&refused, &loads, Weaker),
        ] {
            assert_eq!(relate(c, rust), expected, "C {c}, Rust {rust}");
        }
        // One mode is enough, whatever the others say.
        let c = [loads.clone(), refused.clone(), refused.clone()];
        let rust = [refused.clone(), refused, loads];
        assert_eq!(relate_all(&c, &rust), Weaker);
        assert_eq!(relate_all(&c[..2], &rust[..2]), Stricter);
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

    #[test]
    fn reasons_have_short_names() {
        assert_eq!(reason(&Error::IndefiniteLength(3)), "IndefiniteLength");
        let length = Error::SignatureLength {
            claimed: 1,
            available: 2,
        };
        assert_eq!(reason(&length), "SignatureLength");
        assert_eq!(reason(&Error::NoKey), "NoKey");
    }

    #[test]
    fn documented_reasons_are_those_of_the_tables_and_one_paragraph() {
        let text = "\
`A`
## Stricter

| reason | `B` |
|---|---|
| `C` `D` | `E` |

**Behind an unknown algorithm.** More:
`F`.

`G`
## Order
| `H` |
";
        let documented = Documented::parse(text);
        let (loads, tainted) = ([Verdict::Loads], [taints("E")]);
        for reason in ["A", "B", "E", "G", "H"] {
            assert!(!documented.allows(reason, &tainted), "{reason}");
        }
        for reason in ["C", "D"] {
            assert!(documented.allows(reason, &loads), "{reason}");
        }
        assert!(documented.allows("F", &tainted));
        assert!(!documented.allows("F", &loads));
    }
}
