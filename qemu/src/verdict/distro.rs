// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the guest of a distribution's kernel says (`runs/distro.rs`) of each module that it was to load.

use std::collections::BTreeMap;

use anyhow::{ensure, Context, Result};

/// What came of each module, by its name: `loads`, or why not, in modprobe's words.
pub type Loads = BTreeMap<String, String>;

/// What a module's load came to that was let in.
pub const LOADS: &str = "loads";
/// What modprobe says if the kernel takes the signature for none that it trusts.
pub const REJECTED: &str = "Key was rejected by service";

/// Reads what was printed: for each module what modprobe said, then `= STATUS NAME`.
///
/// # Errors
///
/// If a module was tried twice, or failed without a word.
pub fn loads(text: &str) -> Result<Loads> {
    let mut loads = Loads::new();
    let mut said = vec![];
    for line in text.lines() {
        let Some(end) = line.strip_prefix("= ") else {
            said.push(line);
            continue;
        };
        let (status, name) = end.split_once(' ').with_context(|| line.to_owned())?;
        let outcome = if status == "0" {
            LOADS.to_owned()
        } else {
            let last = said.last().and_then(|line| line.rsplit(": ").next());
            last.with_context(|| format!("{name}: modprobe failed without a word"))?
                .to_owned()
        };
        said.clear();
        let earlier = loads.insert(name.to_owned(), outcome);
        ensure!(earlier.is_none(), "{name}: tried twice");
    }
    Ok(loads)
}

/// The modules that are loaded, by the lines of /proc/modules, each with its taint, if it has one.
pub fn modules(text: &str) -> BTreeMap<String, String> {
    let line = |line: &str| {
        let (name, _) = line.split_once(' ')?;
        let taint = line.rsplit_once('(').map_or("", |(_, taint)| taint);
        Some((name.to_owned(), taint.trim_end_matches(')').to_owned()))
    };
    text.lines().filter_map(line).collect()
}

/// How many modules were timed, and the seconds of each of so many rounds, by lines of `BEGIN END`.
///
/// # Errors
///
/// If a module did not load, or rounds are missing.
pub fn timed(text: &str, rounds: usize) -> Result<(usize, Vec<f64>)> {
    let mut lines = text.lines();
    let count = lines.next().unwrap_or_default();
    let count = count.trim().parse().with_context(|| count.to_owned())?;
    let seconds = |line: &str| {
        let (begin, end) = line.split_once(' ')?;
        Some(end.parse::<f64>().ok()? - begin.parse::<f64>().ok()?)
    };
    let all: Result<Vec<_>> = lines
        .map(|line| seconds(line).with_context(|| line.to_owned()))
        .collect();
    let all = all?;
    ensure!(all.len() == rounds, "{} rounds", all.len());
    Ok((count, all))
}

/// A module that can be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// As modprobe calls it.
    pub name: String,
    /// Its file, below the directory of the release.
    pub path: String,
    /// Whether it needs no other module.
    pub alone: bool,
}

/// The modules that there are, by depmod's list (modules.dep), in the order of their files.
///
/// # Errors
///
/// If a line is none of such a list.
pub fn listed(text: &str) -> Result<Vec<Listed>> {
    let line = |line: &str| {
        let (path, needs) = line.split_once(':')?;
        let file = path.rsplit('/').next()?;
        let (name, _) = file.split_once(".ko")?;
        Some(Listed {
            name: name.to_owned(),
            path: path.to_owned(),
            alone: needs.trim().is_empty(),
        })
    };
    let lines = text.lines();
    let all = lines.map(|text| line(text).with_context(|| format!("modules.dep: {text}")));
    let mut all: Vec<_> = all.collect::<Result<_>>()?;
    all.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(all)
}

/// How many instructions each file took, by what `guest/cost.c` tells. At the last attempt each has to be
/// there already.
///
/// # Errors
///
/// If it is not, or if there are fewer or more files than `due`.
pub fn counts(text: &str, due: usize) -> Result<Vec<u64>> {
    const EEXIST: &str = "17";
    let mut counts = vec![];
    let mut done = false;
    for line in text.lines() {
        let words: Vec<_> = line.split(' ').collect();
        match words[..] {
            ["cost", index, _, result, count] => {
                ensure!(result == EEXIST, "file {index}: error {result}, not EEXIST");
                counts.push(count.parse()?);
            }
            ["done"] => done = true,
            _ => {}
        }
    }
    ensure!(
        done && counts.len() == due,
        "{} of {due} files were counted",
        counts.len()
    );
    Ok(counts)
}

/// What one kernel did and another did not, a line for each name.
pub fn differences(
    one: &BTreeMap<String, String>,
    other: &BTreeMap<String, String>,
) -> Vec<(String, [Option<String>; 2])> {
    let names = one
        .keys()
        .chain(other.keys().filter(|name| !one.contains_key(*name)));
    names
        .filter(|name| one.get(*name) != other.get(*name))
        .map(|name| (name.clone(), [one, other].map(|of| of.get(name).cloned())))
        .collect()
}

/// What a kernel has complained of, as another boot says it too: without the time, the offset in a function,
/// the processor and the process.
pub fn complaints(lines: &[String]) -> String {
    let plain = lines.iter().map(|line| {
        let said = line.split_once("] ").map_or(&line[..], |(_, said)| said);
        let said = said.split(", CPU").next().unwrap_or(said);
        said.split("+0x").next().unwrap_or(said)
    });
    plain.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    // As Debian's 7.3.4 for amd64 says it of one of its own modules.
    #[test]
    fn one_complaint_in_two_boots_is_the_same() {
        let said = |time, process, code| {
            format!(
                "[  {time}] WARNING: kernel/trace/trace_events.c:420 at \
                 test_double_dereference.cold+{code}, CPU#{process}"
            )
        };
        let one = [said("156.832652", "0: modprobe/1848", "0x3c/0x4b")];
        let other = [said("182.744054", "1: modprobe/1849", "0x3d/0x4c")];
        assert_eq!(
            complaints(&one),
            "WARNING: kernel/trace/trace_events.c:420 at test_double_dereference.cold"
        );
        assert_eq!(complaints(&one), complaints(&other));
        assert_ne!(complaints(&one), complaints(&[one.clone(), other].concat()));
        let panic = "[ 2.5] Kernel panic - not syncing: Attempted to kill init!".to_owned();
        assert_eq!(
            complaints(&[panic]),
            "Kernel panic - not syncing: Attempted to kill init!"
        );
    }

    #[test]
    fn reads_what_came_of_each() {
        let text = "= 0 dummy\n\
                    modprobe: ERROR: could not insert 'x': No such device\n= 1 x\n\
                    modprobe: WARNING: odd\n= 0 y\n";
        let loads = loads(text).unwrap();
        let all: Vec<_> = loads
            .iter()
            .map(|(name, what)| (&**name, &**what))
            .collect();
        assert_eq!(
            all,
            [("dummy", LOADS), ("x", "No such device"), ("y", LOADS)]
        );
        for wrong in ["= 1 x\n", "= 0 x\n= 0 x\n", "= 0\n"] {
            assert!(super::loads(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn reads_what_was_timed() {
        let (count, seconds) = timed("2\n10.50 12.00\n20.00 21.25\n", 2).unwrap();
        assert_eq!((count, seconds), (2, vec![1.5, 1.25]));
        for wrong in ["", "x\n1 2\n1 2\n", "2\n1 2\n", "2\nbad dummy\n1 2\n"] {
            assert!(timed(wrong, 2).is_err(), "{wrong}");
        }
    }

    #[test]
    fn reads_proc_modules() {
        let text = "dummy 12288 0 - Live 0x0000000000000000\nvideo 8192 1 drm, Live 0x0 (CE)\n";
        let modules = modules(text);
        assert_eq!(modules["dummy"], "");
        assert_eq!(modules["video"], "CE");
    }

    #[test]
    fn reads_modules_dep() {
        let text = "kernel/net/b.ko.xz: kernel/net/a.ko.xz\nkernel/net/a.ko.xz:\n";
        let all = listed(text).unwrap();
        let all: Vec<_> = all
            .iter()
            .map(|one| (&*one.name, &*one.path, one.alone))
            .collect();
        assert_eq!(
            all,
            [
                ("a", "kernel/net/a.ko.xz", true),
                ("b", "kernel/net/b.ko.xz", false)
            ]
        );
        assert!(listed("nothing\n").is_err());
    }

    #[test]
    fn what_is_counted_was_there() {
        let text = "cost 000 0 17 5000\nlog x\ncost 001 0 17 6000\ndone\n";
        assert_eq!(counts(text, 2).unwrap(), [5000, 6000]);
        for (text, due) in [
            (text, 3),
            (&text[..text.len() - 5], 2),
            ("cost 000 0 129 5\ndone\n", 1),
        ] {
            assert!(counts(text, due).is_err(), "{text}");
        }
    }

    #[test]
    fn what_differs_is_told() {
        let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            let own = |&(name, what): &(&str, &str)| (name.to_owned(), what.to_owned());
            pairs.iter().map(own).collect()
        };
        let one = map(&[("a", "1"), ("b", "1"), ("c", "1")]);
        let other = map(&[("b", "2"), ("c", "1"), ("d", "1")]);
        assert_eq!(differences(&one, &one), []);
        let names: Vec<_> = differences(&one, &other)
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, ["a", "b", "d"]);
    }
}
