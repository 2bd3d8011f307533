// SPDX-License-Identifier: MIT OR Apache-2.0

//! Whether `modsig why` has foreseen what a kernel did.

use std::collections::BTreeMap;

use anyhow::{ensure, Context, Result};
use serde::Deserialize;

use crate::verdict::errno::error_of;

/// What `modsig why --json` says, as far as it can be held against what a kernel does.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Answer {
    /// Whether the module loads; not known if that depends on what is not known.
    pub loads: Option<bool>,
    /// The name of the error number.
    pub error: Option<String>,
    /// What becomes of it in each mode in which the kernel may be.
    pub modes: BTreeMap<String, String>,
    /// Why, in words.
    pub verdict: String,
}

/// What a guest told of a situation.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// The exit status of `modsig why`.
    pub why_status: i32,
    /// What it printed.
    pub answer: String,
    /// The exit status of the command that loads the module.
    pub status: i32,
    /// What that printed.
    pub said: Vec<String>,
    /// The line of /proc/modules of the module that was loaded last.
    pub module: String,
}

impl Told {
    /// Reads what the guest printed (`runs/why.rs`).
    pub fn parse(text: &str) -> Result<Self> {
        let mut told = Told::default();
        let mut due = vec!["insert", "why"];
        for line in text.lines() {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            if due.last() == Some(&word) {
                due.pop();
            }
            match word {
                "why" => told.why_status = rest.parse()?,
                "answer" => told.answer += rest,
                "insert" => told.status = rest.parse()?,
                "said" | "error" => told.said.push(rest.to_owned()),
                "loaded" if told.module.is_empty() => rest.clone_into(&mut told.module),
                _ => {}
            }
        }
        ensure!(due.is_empty(), "the guest did not come to {due:?}");
        Ok(told)
    }

    /// What the kernel did: `loads`, `loads, taints`, or the name of the error number.
    pub fn did(&self) -> String {
        if self.status == 0 {
            // The letter of a module without a good signature (Documentation/admin-guide/tainted-kernels.rst).
            let letters = self
                .module
                .split_once('(')
                .map_or("", |(_, letters)| letters);
            return match letters.contains('E') {
                true => "loads, taints".to_owned(),
                false => "loads".to_owned(),
            };
        }
        let words = self.said.iter().filter_map(|line| line.rsplit(": ").next());
        let mut errors = words.filter_map(error_of);
        errors.next().unwrap_or("refused").to_owned()
    }
}

/// What a module that does not load is said to do, if no error number is named.
const REFUSED: &str = "refused";
/// It depends.
const DEPENDS: &str = "may not load";

impl Answer {
    /// Reads it.
    pub fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text).with_context(|| format!("modsig why said {text:?}"))
    }

    /// What the kernel is said to do.
    pub fn foresees(&self) -> String {
        match (self.loads, &self.error) {
            (None, _) => DEPENDS.to_owned(),
            (Some(true), _) => {
                let mut modes = self.modes.values();
                match modes.any(|outcome| outcome == "loads, taints") {
                    true => "loads, taints".to_owned(),
                    false => "loads".to_owned(),
                }
            }
            (Some(false), Some(error)) => error.clone(),
            (Some(false), None) => REFUSED.to_owned(),
        }
    }

    /// Whether that is what it did. What depends on something that nobody can find out has to be said to
    /// depend, and nothing else.
    pub fn agrees(&self, told: &Told, depends: bool) -> bool {
        let (foreseen, did) = (self.foresees(), told.did());
        let is_status_right = (told.why_status == 0) == (self.loads == Some(true));
        let is_foreseen = match depends {
            true => foreseen == DEPENDS,
            // Without a number, any will do.
            false => foreseen == did || foreseen == REFUSED && !did.starts_with("loads"),
        };
        is_foreseen && is_status_right
    }
}

/// How much is asked: in all boots, or in one that has most of the situations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All boots.
    All,
    /// The permissive one.
    Reduced,
}

/// How often each has to come of a run at least, in all boots and of the reduced one. One in which all
/// load, or none, shows nothing.
const ENOUGH: [(&str, usize, usize); 9] = [
    ("loads", 50, 20),
    ("loads, taints", 20, 15),
    ("EKEYREJECTED", 50, 8),
    ("EPERM", 15, 3),
    // Fewer where kmod leaves gzip to the kernel, from version 31 on.
    ("ENOEXEC", 20, 15),
    ("EBADMSG", 5, 5),
    ("EEXIST", 3, 2),
    ("ENOENT", 4, 2),
    ("EINVAL", 5, 3),
];

/// What came too seldom of a run, of what kernels did.
pub fn too_few(did: &BTreeMap<String, usize>, extent: Extent) -> Vec<String> {
    let few = ENOUGH.iter().filter_map(|(what, all, reduced)| {
        let least = match extent {
            Extent::All => all,
            Extent::Reduced => reduced,
        };
        let count = did.get(*what).copied().unwrap_or_default();
        (count < *least).then(|| format!("{what}: {count} times, not {least}"))
    });
    few.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(loads: &str, error: &str, mode: &str) -> Answer {
        let text = format!(
            r#"{{"loads":{loads},"error":{error},"modes":{{"permissive":"{mode}"}},"verdict":"","path":null}}"#
        );
        Answer::parse(&text).unwrap()
    }

    fn told(why_status: i32, status: i32, said: &str, module: &str) -> Told {
        let text = format!("why {why_status}\nanswer {{}}\ninsert {status}\nsaid {said}\nloaded {module}\nloaded older 1 0 - Live 0x0 (E)\n");
        Told::parse(&text).unwrap()
    }

    #[test]
    fn what_a_guest_told_is_read() {
        let clean = told(0, 0, "", "m 16384 0 - Live 0x0");
        assert_eq!((clean.did(), &clean.answer[..]), ("loads".into(), "{}"));
        assert_eq!(
            told(0, 0, "", "m 16384 0 - Live 0x0 (E)").did(),
            "loads, taints"
        );
        let rejected = "insmod: ERROR: could not insert module /m.ko: Key was rejected by service";
        assert_eq!(told(1, 1, rejected, "").did(), "EKEYREJECTED");
        assert_eq!(
            told(
                1,
                1,
                "modprobe: FATAL: Module x not found in directory /lib/modules/6",
                ""
            )
            .did(),
            "refused"
        );
    }

    #[test]
    fn a_guest_that_tried_nothing_is_an_error() {
        for text in [
            "",
            "why 0\n",
            "insert 0\n",
            "insert 0\nwhy 0\n",
            "/steps/001: 3: Syntax error\n",
        ] {
            assert!(Told::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn only_what_the_kernel_did_agrees() {
        let rejected = told(
            1,
            1,
            "insmod: ERROR: could not insert module m.ko: Key was rejected by service",
            "",
        );
        let clean = told(0, 0, "", "m 1 0 - Live 0x0");
        let tainted = told(0, 0, "", "m 1 0 - Live 0x0 (OE)");
        let loads = answer("true", "null", "loads");
        let taints = answer("true", "null", "loads, taints");
        let refused = answer("false", "\"EKEYREJECTED\"", "EKEYREJECTED");
        let other = answer("false", "\"EPERM\"", "EPERM");
        let some = answer("false", "null", "EPERM");
        let depends = answer("null", "null", "loads");
        for (answer, told, agrees) in [
            (&loads, &clean, true),
            (&loads, &tainted, false),
            (&loads, &rejected, false),
            (&taints, &tainted, true),
            (&taints, &clean, false),
            (&refused, &rejected, true),
            (&refused, &clean, false),
            (&other, &rejected, false),
            (&some, &rejected, true),
            (&some, &clean, false),
            (&depends, &clean, false),
            (&depends, &rejected, false),
        ] {
            let told = Told {
                why_status: i32::from(answer.loads != Some(true)),
                ..told.clone()
            };
            assert_eq!(answer.agrees(&told, false), agrees, "{answer:?} {told:?}");
            let is_unknown = answer.loads.is_none();
            assert_eq!(
                answer.agrees(&told, true),
                is_unknown,
                "{answer:?} {told:?}"
            );
            // The exit status has to be that of the answer.
            let odd = Told {
                why_status: 1 - told.why_status,
                ..told
            };
            assert!(!answer.agrees(&odd, false) && !answer.agrees(&odd, true));
        }
    }

    #[test]
    fn one_answer_for_all_is_not_enough() {
        for extent in [Extent::All, Extent::Reduced] {
            let least = ENOUGH.map(|(what, all, reduced)| match extent {
                Extent::All => (what.to_owned(), all),
                Extent::Reduced => (what.to_owned(), reduced),
            });
            let enough: BTreeMap<_, _> = least.clone().into();
            assert_eq!(too_few(&enough, extent), Vec::<String>::new());
            for (what, least) in least {
                let mut few = enough.clone();
                few.insert(what.clone(), least - 1);
                let said = format!("{what}: {} times, not {least}", least - 1);
                assert_eq!(too_few(&few, extent), [said]);
            }
            let all_load = BTreeMap::from([("loads".to_owned(), 1000)]);
            assert_eq!(too_few(&all_load, extent).len(), ENOUGH.len() - 1);
        }
    }
}
