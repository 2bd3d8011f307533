// SPDX-License-Identifier: MIT OR Apache-2.0

//! Which of two kernels was the stricter with a file, and whether it may be.

use std::collections::{BTreeMap, BTreeSet};

use modsig::verify::Error;

use crate::verdict::{compare::Verdict, errno::errno_name};

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

    /// Whether it names this reason at all.
    pub fn names(&self, reason: &str) -> bool {
        self.always.contains(reason) || self.behind_unknown.contains(reason)
    }

    /// Whether Rust may be stricter than these verdicts of C's for this reason.
    pub fn allows(&self, reason: &str, c: &[Verdict]) -> bool {
        self.always.contains(reason)
            || (self.behind_unknown.contains(reason) && !c.contains(&Verdict::Loads))
    }
}

/// How much of a corpus has to come out as it does for a run to say anything, in percent of all cases:
/// in every mode each kernel lets in, and each refuses. What there is today is more than twice that.
const FLOORS: Floors = Floors {
    both_load: 5,
    both_refuse: 30,
};

struct Floors {
    both_load: usize,
    both_refuse: usize,
}

/// What is wrong with a run as such: a kernel that lets in nothing, or everything, is nowhere weaker than
/// another. The verdicts are by mode, and in each by case.
pub fn says_nothing(modes: &[&str], c: &[Vec<Verdict>], rust: &[Vec<Verdict>]) -> Vec<String> {
    let mut wrong = vec![];
    for (mode, (c, rust)) in modes.iter().zip(c.iter().zip(rust)) {
        let count = |wanted: fn(&Verdict) -> bool| {
            let both = c.iter().zip(rust);
            both.filter(|(c, rust)| wanted(c) && wanted(rust)).count()
        };
        for (what, floor, found) in [
            (
                "let in clean",
                FLOORS.both_load,
                count(|verdict| *verdict == Verdict::Loads),
            ),
            (
                "refused",
                FLOORS.both_refuse,
                count(|verdict| matches!(verdict, Verdict::Refused(_))),
            ),
        ] {
            if found * 100 < floor * c.len() {
                wrong.push(format!(
                    "{mode}: of {} cases only {found} are {what} by both kernels, less than {floor} %",
                    c.len()
                ));
            }
        }
    }
    wrong
}

/// What is known of a C verifier's holes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holes {
    /// It is that of 6.12.
    Of6_12,
    /// That of a later series.
    OfLater,
    /// They are mended (`rust/patches/c-fixes`).
    Mended,
}

/// A hole of the C verifier, as `Documentation/differences.md` names them: how many of its cases C loads
/// clean, in every mode; how many it loads with taint, and how many, which are like them, it refuses, both
/// where it does not insist on signatures. For 6.12, and for later series.
struct Hole {
    letter: char,
    loads: [usize; 2],
    taints: [usize; 2],
    refuses: [usize; 2],
}

/// All of them. Hole A is there where a digest is missing, which is SHA-1 in 6.12's test kernels; E is of
/// ML-DSA, which 6.12 does not have.
const HOLES: [Hole; 7] = [
    Hole {
        letter: 'A',
        loads: [6, 0],
        taints: [0, 0],
        refuses: [42, 48],
    },
    Hole {
        letter: 'B',
        loads: [5, 5],
        taints: [0, 0],
        refuses: [2, 2],
    },
    Hole {
        letter: 'C',
        loads: [3, 3],
        taints: [1, 1],
        refuses: [2, 2],
    },
    Hole {
        letter: 'D',
        loads: [3, 3],
        taints: [0, 0],
        refuses: [1, 1],
    },
    Hole {
        letter: 'E',
        loads: [0, 1],
        taints: [0, 0],
        refuses: [0, 1],
    },
    Hole {
        letter: 'F',
        loads: [7, 7],
        taints: [0, 0],
        refuses: [23, 23],
    },
    Hole {
        letter: 'G',
        loads: [1, 1],
        taints: [0, 0],
        refuses: [2, 2],
    },
];

/// The letter of the hole that a case is of, by its name.
pub fn hole(name: &str) -> Option<char> {
    name.split_once("hole ")?.1.chars().next()
}

/// What is wrong with the cases that C lets in and should not, and those like them that it refuses: these
/// have to be as many as ever, in every mode, and ours has to refuse what C lets in. If the holes are mended,
/// C loads none of them clean. `names` are those of the cases; the verdicts are by mode, the permissive one
/// first, and in each by case.
pub fn holes(
    holes: Holes,
    names: &[&str],
    c: &[Vec<Verdict>],
    rust: &[Vec<Verdict>],
) -> Vec<String> {
    let series = usize::from(holes != Holes::Of6_12);
    let mut wrong = vec![];
    for (mode, (c, rust)) in c.iter().zip(rust).enumerate() {
        // C loads, taints, refuses.
        let mut counts: BTreeMap<char, [usize; 3]> = BTreeMap::new();
        for (name, (c, rust)) in names.iter().zip(c.iter().zip(rust)) {
            let Some(letter) = hole(name) else { continue };
            let count = counts.entry(letter).or_default();
            match (c, rust) {
                (Verdict::Loads, Verdict::Refused(_)) => count[0] += 1,
                (Verdict::Taints(_), Verdict::Refused(_)) => count[1] += 1,
                (Verdict::Refused(_), Verdict::Refused(_)) => count[2] += 1,
                // What is no hole here: of an algorithm that the kernel does not have.
                (Verdict::Taints(one), Verdict::Taints(other)) if one == other => {}
                _ => wrong.push(format!("{name}: C {c}, Rust {rust}")),
            }
        }
        for known in HOLES {
            let expected = [known.loads, known.taints, known.refuses].map(|count| count[series]);
            let found = counts.remove(&known.letter).unwrap_or_default();
            if holes == Holes::Mended {
                if found[0] != 0 {
                    let letter = known.letter;
                    wrong.push(format!("hole {letter}, mode {mode}: C loads, taints and refuses {found:?} cases, though it is mended"));
                }
                continue;
            }
            // A kernel that insists on signatures refuses more.
            if found != expected && (mode == 0 || found[0] != expected[0]) {
                let letter = known.letter;
                wrong.push(format!(
                    "hole {letter}, mode {mode}: C loads, taints and refuses {found:?} cases, where it was {expected:?}: \
                     the tree has changed, or the cases no longer come to it"
                ));
            }
        }
        wrong.extend(
            counts
                .keys()
                .map(|letter| format!("hole {letter}: of which nothing is known")),
        );
    }
    wrong
}

/// Whether both may refuse, with these two numbers: an input with two faults may be refused for the other
/// one, which then is one that C does not see (`Documentation/differences.md`, "Order").
pub fn numbers_may_differ(c: u32, rust: u32, reason: &str, documented: &Documented) -> bool {
    c == rust || documented.names(reason)
}

/// The flags of finit_module(2) (include/uapi/linux/module.h), and that of a file which is unpacked first.
const FLAGS: u8 = 7;
const COMPRESSED: u8 = 4;

/// Whether a kernel has done what its code on the host foresaw: `outcome` is what that said, `error` why.
///
/// Three things it cannot see: in what way a signature is wrong of which OpenSSL says that it is, what the
/// loader finds wrong with a module that it was let have, and with `flags` or data that it does not unpack.
/// And where this kernel does as C's, OpenSSL may know better or worse what a key has signed: it takes points
/// that are compressed, and no ECDSA values in BER; in a certificate of the message, too.
pub fn is_foreseen(
    outcome: &str,
    error: Option<&Error>,
    [c, rust]: [&Verdict; 2],
    flags: u8,
) -> bool {
    let is_of_signature = matches!(
        error,
        None | Some(
            Error::BadSignature | Error::CertificateSignature(_) | Error::EmbeddedSignature(_)
        )
    );
    if c == rust && is_of_signature {
        return true;
    }
    let number = match rust {
        Verdict::Loads => return outcome == "loads",
        Verdict::Taints(_) => return outcome == "loads, taints",
        Verdict::Refused(number) => errno_name(*number),
    };
    let wrong_in_some_way = matches!(
        error,
        Some(Error::CertificateSignature(_) | Error::EmbeddedSignature(_))
    ) && ["EBADMSG", "EINVAL"].contains(&&*number);
    let not_a_module = outcome.starts_with("loads") && number == "ENOEXEC";
    let by_flags = flags & COMPRESSED != 0 || flags & !FLAGS != 0 && number == "EINVAL";
    number == outcome || wrong_in_some_way || not_a_module || by_flags
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

    #[test]
    fn kernels_that_refuse_or_let_in_everything_say_nothing() {
        let (loads, refused) = (Verdict::Loads, Verdict::Refused(74));
        let half: Vec<_> = (0..100)
            .map(|n| [&loads, &refused][n % 2].clone())
            .collect();
        let [all, none] = [&loads, &refused].map(|verdict| vec![verdict.clone(); 100]);
        let tainted = vec![taints("E"); 100];
        let good = [half.clone(), half.clone()];
        assert_eq!(
            says_nothing(&["one", "two"], &good, &good),
            Vec::<String>::new()
        );
        for bad in [all, none, tainted] {
            for (c, rust) in [(&half, &bad), (&bad, &half), (&bad, &bad)] {
                let wrong = says_nothing(
                    &["one", "two"],
                    &[half.clone(), c.clone()],
                    &[half.clone(), rust.clone()],
                );
                assert!(!wrong.is_empty());
                assert!(
                    wrong.iter().all(|line| line.starts_with("two: ")),
                    "{wrong:?}"
                );
            }
        }
    }

    #[test]
    fn holes_are_let_in_by_c_as_often_as_ever_and_never_by_ours() {
        let (loads, refused) = (Verdict::Loads, Verdict::Refused(129));
        let mut cases: Vec<(String, Verdict)> = vec![];
        for known in &HOLES {
            for (count, c) in [
                (known.loads, &loads),
                (known.taints, &taints("E")),
                (known.refuses, &refused),
            ] {
                let name = |n| format!("class 14: hole {}: {c} {n}", known.letter);
                cases.extend((0..count[0]).map(|n| (name(n), c.clone())));
            }
        }
        let names: Vec<&str> = cases.iter().map(|(name, _)| name.as_str()).collect();
        let permissive: Vec<Verdict> = cases.iter().map(|(_, c)| c.clone()).collect();
        let insists = |c: &Verdict| match c {
            Verdict::Taints(_) => refused.clone(),
            other => other.clone(),
        };
        let c = vec![permissive.clone(), permissive.iter().map(insists).collect()];
        let rust = vec![vec![refused.clone(); names.len()]; 2];
        assert_eq!(
            holes(Holes::Of6_12, &names, &c, &rust),
            Vec::<String>::new()
        );

        // In either mode: C refuses one that it let in; ours lets one in.
        let at = names.iter().position(|name| name.contains("B: ")).unwrap();
        for mode in 0..2 {
            let mut changed = c.clone();
            changed[mode][at] = refused.clone();
            let wrong = holes(Holes::Of6_12, &names, &changed, &rust);
            let start = format!("hole B, mode {mode}: C loads, taints and refuses [4, 0, 3]");
            assert!(wrong[0].starts_with(&start), "{wrong:?}");
            let mut changed = rust.clone();
            changed[mode][at] = loads.clone();
            let wrong = holes(Holes::Of6_12, &names, &c, &changed);
            assert!(wrong[0].ends_with("C loads, Rust loads"), "{wrong:?}");
        }
        // If they are mended, C may load none.
        let wrong = holes(Holes::Mended, &names, &c, &rust);
        assert!(wrong[0].starts_with("hole A, mode 0: C loads, taints and refuses [6, 0, 42]"));
        assert_eq!(
            holes(Holes::Mended, &names, &rust, &rust),
            Vec::<String>::new()
        );
        // One is gone; one is of a hole that nobody knows.
        let mut changed = names.clone();
        changed[at] = "class 14: none";
        let wrong = holes(Holes::Of6_12, &changed, &c, &rust);
        assert!(wrong[0].starts_with("hole B, mode 0: C loads, taints and refuses [4, 0, 2]"));
        changed = names.clone();
        changed[at] = "hole Z: new";
        assert!(holes(Holes::Of6_12, &changed, &c, &rust)
            .iter()
            .any(|line| line.starts_with("hole Z")));
    }

    #[test]
    fn a_kernel_that_does_something_else_than_its_code_on_the_host_is_found() {
        let (rejected, message) = (Verdict::Refused(129), Verdict::Refused(74));
        let certificate = Error::CertificateSignature(-129);
        for (outcome, error, rust, is_foreseen_so) in [
            ("loads", None, &Verdict::Loads, true),
            ("loads", None, &taints("E"), false),
            ("loads", None, &Verdict::Refused(8), true),
            ("loads", None, &rejected, false),
            ("loads, taints", Some(&Error::Unsigned), &taints("E"), true),
            (
                "loads, taints",
                Some(&Error::Unsigned),
                &Verdict::Loads,
                false,
            ),
            ("EKEYREJECTED", Some(&Error::BadSignature), &rejected, true),
            ("EKEYREJECTED", Some(&Error::BadSignature), &message, false),
            (
                "EKEYREJECTED",
                Some(&Error::BadSignature),
                &Verdict::Loads,
                false,
            ),
            ("EKEYREJECTED", Some(&certificate), &message, true),
            (
                "EBADMSG",
                Some(&Error::BadSignature),
                &Verdict::Refused(8),
                false,
            ),
        ] {
            // C does something else.
            let found = is_foreseen(outcome, error, [&Verdict::Refused(1), rust], 3);
            assert_eq!(found, is_foreseen_so, "{outcome}, {error:?}: {rust}");
        }
        let invalid = Verdict::Refused(22);
        let other = [&Verdict::Refused(1), &invalid];
        // It does not unpack, nor know other flags.
        assert!(is_foreseen("loads", None, other, 4));
        assert!(is_foreseen("loads", None, other, 8));
        assert!(!is_foreseen("loads", None, other, 0));
        let loads = [&Verdict::Refused(1), &Verdict::Loads];
        assert!(!is_foreseen("EKEYREJECTED", None, loads, 4));
        assert!(!is_foreseen("EKEYREJECTED", None, loads, 8));
        // C does the same.
        let both = [&Verdict::Loads, &Verdict::Loads];
        let bad = Error::BadSignature;
        let embedded = Error::EmbeddedSignature(0);
        assert!(is_foreseen("EKEYREJECTED", Some(&bad), both, 0));
        assert!(is_foreseen("EKEYREJECTED", Some(&embedded), both, 0));
        assert!(!is_foreseen("EKEYREJECTED", Some(&embedded), loads, 0));
        assert!(is_foreseen("loads", None, [&invalid, &invalid], 0));
        assert!(!is_foreseen("EBADMSG", Some(&Error::Truncated(0)), both, 0));
        assert!(is_foreseen(
            "EMSGSIZE",
            Some(&Error::LongMessage),
            [loads[0], &Verdict::Refused(90)],
            0
        ));
    }

    #[test]
    fn numbers_differ_for_reasons_that_are_documented_only() {
        let documented = Documented::parse("## Stricter\n\n| reason |\n|---|\n| `Known` |\n");
        assert!(numbers_may_differ(129, 129, "Other", &documented));
        assert!(numbers_may_differ(129, 74, "Known", &documented));
        assert!(!numbers_may_differ(129, 74, "Other", &documented));
        assert!(!numbers_may_differ(74, 22, "Other", &documented));
    }
}
