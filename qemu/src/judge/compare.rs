// SPDX-License-Identifier: GPL-2.0

//! Which of two kernels was the stricter with a file, and whether it may be.

use std::collections::BTreeSet;

use modsig::verify::Error;

use crate::verdict::compare::Verdict;

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
