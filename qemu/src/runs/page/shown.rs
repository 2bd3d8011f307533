// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a page shows of a command's output, held against what the command has printed.
//!
//! All must be the same but for values that differ from machine to machine, from build to build and
//! from day to day. Each of them stands for another of its kind, and for the same one wherever the
//! page shows it again.

use std::{collections::HashMap, sync::LazyLock};

use anyhow::{bail, Result};
use regex::Regex;

/// Stands for any lines.
pub const ANY: &str = "...";

/// The kinds of values, each by the name of a group. Other numbers count: they are how many there
/// are, or the size of a key, or which algorithm.
static VALUES: LazyLock<Regex> = LazyLock::new(|| {
    let kinds = [
        r"(?<date>[A-Z][a-z]{2} [ 0-9]\d \d\d:\d\d:\d\d \d{4} GMT)",
        r"\b(?<digest>[0-9a-f]{64})\b",
        // A serial number or the name of a key: 20 bytes, of which the first ones may be 0.
        r"\b(?<id>[0-9a-f]{30,40})\b",
        r"\b(?<address>0x[0-9a-f]{16})\b",
        r"\b(?<version>\d+\.\d+\.\d+)\b",
        r"\bof (?<size>\d+) bytes\b",
        // A line of /proc/modules.
        r" (?<memory>\d+) \d+ - Live ",
        r"(?<arch>x86_64|aarch64|arm64|x86)",
        r"(?<image>bzImage|Image\.gz)",
    ];
    Regex::new(&kinds.join("|")).expect("kinds of values")
});

/// Those of which no two are the same by chance.
const UNIQUE: [&str; 2] = ["digest", "id"];

/// A line, with the names of kinds in place of values, and the values.
#[derive(Debug, PartialEq, Eq)]
struct Line<'l> {
    text: String,
    values: Vec<(&'static str, &'l str)>,
}

impl<'l> Line<'l> {
    fn new(line: &'l str) -> Self {
        let line = line.trim_end();
        let mut text = String::new();
        let mut values = vec![];
        let mut at = 0;
        for found in VALUES.captures_iter(line) {
            let mut names = VALUES.capture_names().flatten();
            let kind = names.find_map(|name| Some((name, found.name(name)?)));
            let (name, value) = kind.expect("each alternative has a group");
            // No address: the kernel has none, or does not tell.
            if value.as_str() == "0x0000000000000000" {
                continue;
            }
            text += &line[at..value.start()];
            text += &format!("<{name}>");
            at = value.end();
            values.push((name, value.as_str()));
        }
        text += &line[at..];
        Line { text, values }
    }
}

/// The values of this run for those that the page shows.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// For a kind and what is shown, what was printed.
    printed: HashMap<(&'static str, String), String>,
    /// The same the other way round, for those that are [`UNIQUE`].
    shown: HashMap<(&'static str, String), String>,
}

impl Known {
    /// Holds all that was printed against what is shown.
    ///
    /// # Errors
    ///
    /// They tell both.
    pub fn compare(&mut self, shown: &[String], output: &str) -> Result<()> {
        let expected: Vec<_> = shown.iter().map(|line| Line::new(line)).collect();
        let observed: Vec<_> = output.lines().map(Line::new).collect();
        if let Some(known) = matches(&expected, &observed, self, &Known::agree) {
            *self = known;
            return Ok(());
        }
        let shown = match &shown.join("\n")[..] {
            "" => "nothing".to_owned(),
            text => format!("\n{text}"),
        };
        let any_values = |_: &mut Known, _: &Line, _: &Line| true;
        let values = match matches(&expected, &observed, self, &any_values) {
            Some(_) => "\nvalues are not those that the page shows elsewhere",
            None => "",
        };
        bail!("expected: {shown}\nobserved:\n{output}{values}");
    }

    /// Takes the values of a line; whether they are those of other lines.
    fn agree(&mut self, shown: &Line, printed: &Line) -> bool {
        let mut both = shown.values.iter().zip(&printed.values);
        both.all(|(&(kind, shown), &(_, printed))| {
            let once = |map: &mut HashMap<_, String>, key: &str, value: &str| {
                *map.entry((kind, key.to_owned()))
                    .or_insert_with(|| value.to_owned())
                    == value
            };
            once(&mut self.printed, shown, printed)
                && (!UNIQUE.contains(&kind) || once(&mut self.shown, printed, shown))
        })
    }
}

/// What is known if lines are as shown.
fn matches(
    shown: &[Line],
    printed: &[Line],
    known: &Known,
    agree: &impl Fn(&mut Known, &Line, &Line) -> bool,
) -> Option<Known> {
    match shown.split_first() {
        None => printed.is_empty().then(|| known.clone()),
        Some((any, rest)) if any.text == ANY => {
            (0..=printed.len()).find_map(|skipped| matches(rest, &printed[skipped..], known, agree))
        }
        Some((first, rest)) => {
            let (line, others) = printed.split_first()?;
            let mut known = known.clone();
            let same = line.text == first.text && agree(&mut known, first, line);
            same.then(|| matches(rest, others, &known, agree)).flatten()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "05913308d94fd16a3ce87a8739a4f41366d6f816";
    const OTHER: &str = "1797edf1b14aacdea9a017a7a07083a50f96999a";

    fn compare(known: &mut Known, shown: &str, printed: &str) -> bool {
        let shown: Vec<_> = shown.lines().map(str::to_owned).collect();
        known.compare(&shown, printed).is_ok()
    }

    /// Whether something is as shown, by itself.
    fn same(shown: &str, printed: &str) -> bool {
        compare(&mut Known::default(), shown, printed)
    }

    #[test]
    fn values_stand_for_others_of_their_kind() {
        for (one, other) in [
            ("Nov  1 00:00:00 2126 GMT", "Dec 24 18:00:00 2026 GMT"),
            ("Linux 6.12.117 for x86_64", "Linux 7.3.4 for arm64"),
            ("arch/x86/boot/bzImage", "arch/arm64/boot/Image.gz"),
            ("module of 5224 bytes", "module of 33 bytes"),
            (
                "m 12288 0 - Live 0xffffffffa0000000 (E)",
                "m 8192 0 - Live 0xffff800080a3b000 (E)",
            ),
            (ID, OTHER),
            (ID, &OTHER[4..]),
            (&ID.repeat(2)[..64], &OTHER.repeat(2)[..64]),
        ] {
            assert!(same(one, other), "{one}: {other}");
            assert!(same(other, one), "{other}: {one}");
        }
        for (one, other) in [
            ("2 good", "4 good"),
            ("4096 bits", "2048 bits"),
            ("rsa/sha512", "rsa/sha256"),
            ("P-384", "P-521"),
            ("8192", "4096"),
            ("EPERM", "EINVAL"),
            ("a  b", "a b"),
            (" a", "a"),
            ("levels: 12", "levels: 13"),
            ("deadbeef", "deadbee0"),
            (
                "m 8192 0 - Live 0xffffffffa0000000 (E)",
                "m 8192 1 - Live 0xffffffffa0000000 (E)",
            ),
            (
                "m 8192 0 - Live 0xffffffffa0000000 (E)",
                "m 8192 0 - Live 0xffffffffa0000000 (OE)",
            ),
            ("Live 0xffffffffa0000000", "Live 0x0000000000000000"),
            // Each only for its own kind.
            (ID, &ID.repeat(2)[..64]),
            (ID, "6.12.117"),
            ("of 20 bytes", "of x86 bytes"),
        ] {
            assert!(!same(one, other), "{one}: {other}");
            assert!(!same(other, one), "{other}: {one}");
        }
    }

    #[test]
    fn what_is_shown_twice_must_be_printed_twice() {
        let mut known = Known::default();
        assert!(compare(
            &mut known,
            &format!("serial: {ID}"),
            &format!("serial: {OTHER}\n")
        ));
        assert!(compare(
            &mut known,
            &format!("by {ID}"),
            &format!("by {OTHER}\n")
        ));
        assert!(!compare(
            &mut known,
            &format!("by {ID}"),
            &format!("by {ID}\n")
        ));
        // Nor is another one the same.
        assert!(!compare(
            &mut known,
            &format!("by {OTHER}"),
            &format!("by {OTHER}\n")
        ));
        // What does not match tells nothing.
        assert!(!compare(&mut known, "of 3 bytes\nx", "of 4 bytes\ny"));
        assert!(compare(&mut known, "of 3 bytes", "of 5 bytes"));
        assert!(!compare(&mut known, "of 3 bytes", "of 4 bytes"));
        // Sizes may be the same by chance.
        assert!(compare(&mut known, "of 7 bytes", "of 5 bytes"));
        let error = known.compare(&["of 7 bytes".into()], "of 8 bytes\n");
        let error = error.unwrap_err().to_string();
        assert!(
            error.ends_with("of 8 bytes\n\nvalues are not those that the page shows elsewhere"),
            "{error}"
        );
    }

    #[test]
    fn any_lines_are_told_apart_by_their_values() {
        let mut known = Known::default();
        assert!(compare(
            &mut known,
            &format!("1 {ID}"),
            &format!("1 {OTHER}")
        ));
        let shown = format!("...\nx {ID}\n...");
        assert!(compare(&mut known, &shown, &format!("x {ID}\nx {OTHER}\n")));
        assert!(!compare(&mut known, &shown, &format!("x {ID}\nx {ID}\n")));
    }

    #[test]
    fn nothing_is_nothing() {
        assert!(same("", ""));
        assert!(!same("", "\n"));
        assert!(!same("", "warning: something\n"));
        assert!(!same("x", ""));
        for anything in ["", "x\n", "x\ny\n"] {
            assert!(same("...", anything));
        }
        assert!(same("a\n...\nz", "a\nz\n"));
        assert!(same("a\n...\nz", "a\nb\nc\nz\n"));
        for other in ["a\n", "z\n", "b\na\nz\n", "a\nz\nb\n"] {
            assert!(!same("a\n...\nz", other), "{other}");
        }
    }
}
