// SPDX-License-Identifier: MIT OR Apache-2.0

//! Thousands of attempts, one after the other and at once: nothing of them may be left.

use std::collections::BTreeMap;

use anyhow::{bail, ensure, Context, Result};
use modsig_tools::platform::Mode;

use super::{Check, Run, KMEMLEAK};
use crate::{
    corpus::cases,
    machine::kernels::Kernel,
    runs::boots::Harness,
    verdict::instruments::{all_shown, outcome, Step},
};

/// Attempts after which the kernel's memory is measured for the first and for the second time.
const LOADS: [u64; 2] = [1_000, 10_000];
/// How much the slab caches may grow from one to the other, in KiB: a lost byte with each load
/// costs more, for the smallest object and what the instruments keep of it take half a KiB.
const SLAB_GROWTH: u64 = (LOADS[1] - LOADS[0]) / 2;
/// Processes that insert modules at the same time, and how many attempts each makes.
const RACE: (u64, u64) = (8, 500);
/// The same while a key is revoked.
const REVOKING: (u64, u64) = (8, 150);
const EBUSY: u32 = 16;
const EEXIST: u32 = 17;
const EKEYREVOKED: u32 = 128;

/// Rows of `releases.toml` that leave in the kernel's memory what it has room for: so once all were tried, no key
/// gets more references, or fewer.
const FEW_RELEASES: [&str; 14] = [
    "the second of three",
    "RSA-4096/SHA-512",
    "P-384/SHA-384",
    "ML-DSA-44",
    "ML-DSA-65 with attributes",
    "chain of two certificates",
    "content flipped",
    "content flipped, P-384",
    "signature flipped",
    "proof of another module",
    "size 0",
    "known message, another head",
    "key that nobody trusts",
    "revoked key",
];
/// Rows that push one another out, all of them by one key.
const MANY_RELEASES: [&str; 14] = [
    "1 of ten in turn, time 1",
    "2 of ten in turn, time 1",
    "3 of ten in turn, time 1",
    "4 of ten in turn, time 1",
    "5 of ten in turn, time 1",
    "6 of ten in turn, time 1",
    "7 of ten in turn, time 1",
    "8 of ten in turn, time 1",
    "9 of ten in turn, time 1",
    "10 of ten in turn, time 1",
    "content flipped",
    "signature flipped",
    "known message, another head",
    "key that nobody trusts",
];

/// Rows of one key that nobody trusts yet: of its release, and of a module that it has signed.
const LATER: [&str; 2] = [
    "key that was taken out",
    "module signed by itself with the key that was taken out",
];
/// The certificate of that key, which a trusted one has signed.
const LATER_KEY: &str = "issued ca p256";

/// Puts the files of the tables into a run, in which each is expected as in its table: those of these releases, then
/// signatures. Lockdep turns itself off when a module is force-loaded, so those are left to the tables' own boots.
fn table_files(run: &mut Run<'_>, releases: &[&str]) -> Result<Vec<cases::Case>> {
    let series = run.kernel.series.name();
    let mut table = cases::Table::Releases.cases(series)?;
    table.retain(|case| releases.contains(&&*case.name));
    ensure!(!table.is_empty(), "none of the releases is in the table");
    table.extend(cases::Table::Signatures.cases(series)?);
    table.retain(|case| case.kmod.is_none() && case.flags == 0);
    for case in &table {
        let index = run.file(&case.recipe).with_context(|| case.name.clone())?;
        run.list(index, case.flags);
    }
    Ok(table)
}

/// How many attempts a step has counted, and those that were not as expected.
fn judge(
    step: &Step,
    table: &[cases::Case],
    also: impl Fn(&str, u32) -> bool,
) -> Result<(u64, Vec<String>)> {
    let (mut number, mut odd) = (0, vec![]);
    for count in &step.counts {
        let case = table.get(count.case).context("the guest made up a case")?;
        let expected = case.expect.of("finit", Mode::Permissive);
        let observed = outcome(count.result, &count.kind);
        number += count.number;
        if observed != expected && !also(expected, count.result) {
            odd.push(format!(
                "{}, flags {}: {observed}, not {expected}, {} times",
                case.name, count.flags, count.number
            ));
        }
    }
    Ok((number, odd))
}

/// A number of /proc/meminfo, in KiB.
fn meminfo(lines: &[String], name: &str) -> Result<u64> {
    let line = lines
        .iter()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number
        .with_context(|| format!("no {name} in /proc/meminfo"))?
        .parse()?)
}

/// How many references there are to each asymmetric key and keyring.
fn references(lines: &[String]) -> BTreeMap<&str, &str> {
    lines
        .iter()
        .filter(|line| line.contains("asymmetri") || line.contains(" keyring "))
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let serial = words.next()?;
            Some((serial, words.nth(1)?))
        })
        .collect()
}

fn check_references(name: &str, steps: &[Step]) -> Result<Check> {
    let shown = all_shown(steps, "/proc/keys");
    let [before, .., after] = shown[..] else {
        bail!("/proc/keys was not shown twice");
    };
    let (before, after) = (references(before), references(after));
    ensure!(!before.is_empty(), "/proc/keys shows no asymmetric keys");
    let changed = before.iter().filter(|(key, n)| after.get(*key) != Some(n));
    let mut check = Check::new(
        format!("{name}: references to keys"),
        format!("{} keys and keyrings", before.len()),
        before == after,
    );
    check.details = changed
        .map(|(key, n)| format!("{key}: {n}, then {:?}", after.get(key)))
        .collect();
    check.seen += &format!(", {} changed", check.details.len());
    Ok(check)
}

/// Thousands of loads, of which nothing may be left.
pub fn loads(harness: &Harness, kernel: &Kernel, checks: &mut Vec<Check>) -> Result<()> {
    let mut run = Run::new(harness, kernel, "loads");
    // One after the other: with more CPUs it takes twice as long, for they wait for each other.
    run.options.cpus = 1;
    let table = table_files(&mut run, &FEW_RELEASES)?;
    let leaking = run.file(&["module kmemleak-test".into(), "sign rsa2048 sha256".into()])?;
    run.scan();
    run.step(&format!("put {KMEMLEAK} clear"));
    // What is made once, and then kept, is made now.
    run.step("insert 100");
    run.step("show /proc/keys");
    run.step(&format!("insert {}", LOADS[0] - 100));
    run.step("sleep 5");
    run.step("show /proc/meminfo");
    run.step(&format!("insert {}", LOADS[1] - LOADS[0]));
    run.step("sleep 5");
    run.step("show /proc/meminfo");
    run.step("show /proc/keys");
    run.scan();
    run.step(&format!("repeat 1 {leaking:03} 0"));
    run.scan();
    let steps = run.boot(checks)?;

    let (mut number, mut odd) = (0, vec![]);
    for step in &steps {
        let (more, odder) = judge(step, &table, |_, _| false)?;
        number += more;
        odd.extend(odder);
    }
    let mut check = Check::new(
        "loads: attempts",
        format!("{number}, of {} files", table.len()),
        number == LOADS[1] && odd.is_empty(),
    );
    check.details = odd;
    checks.push(check);
    checks.push(check_references("loads", &steps)?);

    let [first, second] = all_shown(&steps, "/proc/meminfo")[..] else {
        bail!("/proc/meminfo was not shown twice");
    };
    let (first, second) = (meminfo(first, "Slab")?, meminfo(second, "Slab")?);
    checks.push(Check::new(
        "loads: slab caches",
        format!(
            "{first} KiB after {}, {second} KiB after {}",
            LOADS[0], LOADS[1]
        ),
        second.saturating_sub(first) < SLAB_GROWTH,
    ));
    let [_, leaks, on_purpose] = all_shown(&steps, KMEMLEAK)[..] else {
        bail!("{KMEMLEAK} was not shown three times");
    };
    let objects = |lines: &[String]| {
        let objects = lines.iter().filter(|line| line.starts_with("unreferenced"));
        objects.count()
    };
    let mut check = Check::new(
        "loads: leaks",
        format!("{}", objects(leaks)),
        leaks.is_empty(),
    );
    check.details = leaks.to_vec();
    checks.push(check);
    checks.push(Check::new(
        "loads: leaks of a module that leaks",
        format!("{} found", objects(on_purpose)),
        objects(on_purpose) > objects(leaks),
    ));
    Ok(())
}

/// Several CPUs at once: first with keys that stay as they are, then with one that is trusted and revoked meanwhile.
pub fn race(harness: &Harness, kernel: &Kernel, checks: &mut Vec<Check>) -> Result<()> {
    let mut run = Run::new(harness, kernel, "race");
    let table = table_files(&mut run, &[&MANY_RELEASES[..], &LATER].concat())?;
    // Modules of one name get in each other's way more often than the table has them.
    for _ in 0..table.len() / 4 {
        for (index, case) in table.iter().enumerate() {
            if ["RSA-2048/SHA-256", "P-384/SHA-384", "another real module"]
                .contains(&case.name.as_str())
            {
                run.list(index, 0);
            }
        }
    }
    // Of all rows, those by the key that changes are a third.
    let listed = run.list.lines().count();
    let later: Vec<_> = (0..table.len())
        .filter(|&index| LATER.contains(&&*table[index].name))
        .collect();
    ensure!(later.len() == LATER.len(), "{later:?} of {LATER:?}");
    for _ in 0..listed / 4 {
        later.iter().for_each(|&index| run.list(index, 0));
    }
    let listed = run.list.lines().count();
    let certificate = run.file(&[LATER_KEY.to_owned()])?;
    let insert_all = format!("insert {listed}");
    let revoking = format!("race {} {} {certificate:03}", REVOKING.0, REVOKING.1);
    run.step("insert 100");
    run.step("show /proc/keys");
    run.step(&format!("race {} {}", RACE.0, RACE.1));
    run.step("sleep 5");
    run.step("show /proc/keys");
    run.step(&revoking);
    run.step(&insert_all);
    let steps = run.boot(checks)?;

    let find = |plan: &str| {
        let mut found = steps.iter().filter(|step| step.plan.starts_with(plan));
        found.next().with_context(|| format!("there was no {plan}"))
    };
    let step = find("race")?;
    let busy = |expected: &str, result| {
        expected.starts_with("loads") && [0, EBUSY, EEXIST].contains(&result)
    };
    let (number, mut odd) = judge(step, &table, busy)?;
    odd.sort();
    let [good, exist, others] = counted(step, |_| true);
    let mut check = Check::new(
        "race: attempts",
        format!(
            "{number} by {} processes on 4 CPUs: {good} let in, {exist} EEXIST or EBUSY, {others} others",
            RACE.0,
        ),
        number == RACE.0 * RACE.1 && odd.is_empty() && exist > 0,
    );
    check.details = odd;
    checks.push(check);
    checks.push(check_references("race", &steps)?);

    let step = find(&revoking)?;
    // So ends the search for any key that is not there while a revoked one is: the kernel looks at the state of each
    // before it compares it (keyring_search_iterator() of security/keys/keyring.c).
    let (number, mut odd) = judge(step, &table, |expected, result| {
        busy(expected, result) || result == EKEYREVOKED
    })?;
    odd.sort();
    let [good, exist, refused] = counted(step, |index| later.contains(&index));
    let mut check = Check::new(
        "race: a key is revoked meanwhile",
        format!(
            "{number} attempts, {}; of those by that key: {} let in, {refused} refused",
            step.lines.join(", "),
            good + exist
        ),
        number == REVOKING.0 * REVOKING.1 && odd.is_empty() && good + exist > 0 && refused > 0,
    );
    check.details = odd;
    checks.push(check);
    // Nothing of what was let in before may be remembered now.
    let step = find(&insert_all)?;
    let (number, mut odd) = judge(step, &table, |_, result| result == EKEYREVOKED)?;
    odd.sort();
    let [good, exist, refused] = counted(step, |index| later.contains(&index));
    let [others, ..] = counted(step, |index| !later.contains(&index));
    let mut check = Check::new(
        "race: after the key was revoked",
        format!(
            "{number} attempts; of those by that key: {good} let in, {refused} refused; of others: {others} let in"
        ),
        odd.is_empty() && good + exist == 0 && refused > 0 && others > 0,
    );
    check.details = odd;
    checks.push(check);
    Ok(())
}

/// How many attempts a step has counted with some of the files: that were let in, that came upon a module of the same
/// name, and others.
fn counted(step: &Step, which: impl Fn(usize) -> bool) -> [u64; 3] {
    let mut all = [0; 3];
    for count in step.counts.iter().filter(|count| which(count.case)) {
        all[match count.result {
            0 => 0,
            EEXIST | EBUSY => 1,
            _ => 2,
        }] += count.number;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_proc_files() {
        let keys = |usage| {
            vec![format!(
                "0b8ac80e I------ {usage} perm 1f030000     0     0 asymmetri modsig test ca: X"
            )]
        };
        assert_eq!(references(&keys("2")).get("0b8ac80e"), Some(&"2"));
        let lines = vec!["MemFree: 1 kB".into(), "Slab:    2345 kB".into()];
        assert_eq!(meminfo(&lines, "Slab").unwrap(), 2345);
    }
}
