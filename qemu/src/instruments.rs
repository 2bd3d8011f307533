// SPDX-License-Identifier: GPL-2.0

//! The verifier in a kernel that watches itself (flavour `debug`): what `guest/instruments.c` is
//! told to do, and what its answers and the kernel's own reports mean.

use std::{collections::BTreeMap, fs, time::Duration};

use anyhow::{bail, ensure, Context, Result};
use modsig_tools::platform::Mode;

use crate::{
    cases,
    harness::{Harness, Kernel, Scenario},
    initramfs::{self, Archive},
    report::Attempt,
    vm,
};

/// What a kernel with instruments needs: memory for KASAN, CPUs for races, and time.
pub const OPTIONS: vm::Options = vm::Options {
    cpus: 4,
    memory: 1024,
    limit: Duration::from_secs(3600),
    // While Linux 7.3 reads the features of its first CPU on x86_64, KASAN does not know that page
    // tables have five levels, and reports what an interrupt reads meanwhile.
    append: "no5lvl",
};

/// Attempts after which the kernel's memory is measured for the first and for the second time.
const LOADS: [u64; 2] = [1_000, 10_000];
/// How much the slab caches may grow from one to the other, in KiB: a lost octet with each load
/// costs more, for the smallest object and what the instruments keep of it take half a KiB.
const SLAB_GROWTH: u64 = (LOADS[1] - LOADS[0]) / 2;
/// Processes that insert modules at the same time, and how many attempts each makes.
const RACE: (u64, u64) = (8, 500);

const KMEMLEAK: &str = "/sys/kernel/debug/kmemleak";

/// What was looked at, what was seen, and whether it is as it should be.
#[derive(Clone, Debug)]
pub struct Check {
    /// What was looked at.
    pub name: String,
    /// What was seen.
    pub seen: String,
    /// Whether that is as it should be.
    pub good: bool,
    /// More on it, for who wants to know.
    pub details: Vec<String>,
}

impl Check {
    fn new(name: impl Into<String>, seen: impl Into<String>, good: bool) -> Self {
        Check {
            name: name.into(),
            seen: seen.into(),
            good,
            details: vec![],
        }
    }

    /// A part that did not come to its end.
    pub fn failed(part: &str, error: &anyhow::Error) -> Self {
        Check::new(format!("{part}: to its end"), format!("{error:#}"), false)
    }
}

/// A step of the plan, and what the guest said to it.
#[derive(Clone, Debug, Default)]
struct Step {
    plan: String,
    lines: Vec<String>,
    counts: Vec<Count>,
    tries: Vec<Try>,
}

/// How often an attempt came to the same end.
#[derive(Clone, Debug)]
struct Count {
    case: usize,
    flags: u8,
    result: u32,
    kind: String,
    number: u64,
}

/// One attempt.
#[derive(Clone, Debug)]
struct Try {
    failed: bool,
    result: u32,
    kind: String,
    log: Vec<String>,
}

/// Reads what the guest said.
fn parse(text: &str) -> Result<Vec<Step>> {
    let mut steps: Vec<Step> = vec![];
    for line in text.lines() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        if word == "step" {
            steps.push(Step {
                plan: rest.to_owned(),
                ..Step::default()
            });
            continue;
        }
        if word == "done" {
            return Ok(steps);
        }
        let step = steps
            .last_mut()
            .with_context(|| format!("the guest said {line:?} before its first step"))?;
        let words: Vec<&str> = rest.split(' ').collect();
        match (word, &words[..]) {
            ("line", _) => step.lines.push(rest.to_owned()),
            ("count", [case, flags, result, kind, number]) => step.counts.push(Count {
                case: case.parse()?,
                flags: flags.parse()?,
                result: result.parse()?,
                kind: (*kind).to_owned(),
                number: number.parse()?,
            }),
            ("try", [_, failed, result, kind]) => step.tries.push(Try {
                failed: *failed == "1",
                result: result.parse()?,
                kind: (*kind).to_owned(),
                log: vec![],
            }),
            ("log", _) => {
                if let Some(last) = step.tries.last_mut() {
                    last.log.push(rest.to_owned());
                }
            }
            _ => bail!("the guest said {line:?}"),
        }
    }
    bail!(
        "the guest did not come to its end; its last step was {:?}",
        steps.last().map_or("none", |step| &step.plan)
    )
}

/// The outcome, in the words of `cases.toml`.
fn outcome(result: u32, kind: &str) -> String {
    Attempt {
        result,
        module: match kind {
            "m" => "m".to_owned(),
            "t" => "m (E)".to_owned(),
            _ => String::new(),
        },
        ..Attempt::default()
    }
    .outcome()
}

impl Try {
    fn outcome(&self) -> String {
        outcome(self.result, &self.kind)
    }

    /// Where the failure was injected: the functions on the stack, innermost first, without those
    /// that belong to the injection itself. Empty if the kernel did not say: allocations that are
    /// not to warn do not.
    fn stack(&self) -> Vec<&str> {
        self.log
            .iter()
            .skip_while(|line| !line.contains("FAULT_INJECTION"))
            .filter_map(|line| line.trim().split_once("+0x").map(|(name, _)| name))
            .filter(|name| !name.contains(' '))
            .skip_while(|name| name.starts_with("dump_stack") || name.contains("should_fail"))
            .collect()
    }

    /// One line for a person.
    fn describe(&self) -> String {
        let stack = self.stack();
        let (all, until) = (stack.len(), |name| stack.iter().position(|at| *at == name));
        let end = until("module_sig_check")
            .or(until("load_module"))
            .map_or(all, |at| at + 1);
        format!("{}: {}", self.outcome(), stack[..end].join(" < "))
    }
}

/// A boot of the guest with a plan.
struct Run<'a> {
    harness: &'a Harness,
    kernel: &'a Kernel,
    name: &'a str,
    files: Vec<Vec<u8>>,
    list: String,
    plan: String,
    append: &'a str,
}

impl<'a> Run<'a> {
    fn new(harness: &'a Harness, kernel: &'a Kernel, name: &'a str) -> Self {
        Run {
            harness,
            kernel,
            name,
            files: vec![],
            list: String::new(),
            plan: String::new(),
            append: "",
        }
    }

    /// Adds the file of a recipe; returns its index.
    fn file(&mut self, recipe: &[String]) -> Result<usize> {
        let file = self.harness.pantry(self.kernel).make(recipe)?;
        self.files.push(file);
        Ok(self.files.len() - 1)
    }

    /// Has `insert` and `race` take a file.
    fn list(&mut self, index: usize, flags: u8) {
        self.list += &format!("{index:03} {flags}\n");
    }

    /// Adds a step.
    fn step(&mut self, step: &str) {
        self.plan += step;
        self.plan.push('\n');
    }

    /// Has kmemleak look twice, and say what it has found: what is new is not yet looked at, and
    /// what was moved meanwhile is overlooked at first.
    fn scan(&mut self) {
        for _ in 0..2 {
            self.step("sleep 7");
            self.step(&format!("put {KMEMLEAK} scan"));
        }
        self.step(&format!("show {KMEMLEAK}"));
    }

    /// Boots; checks what holds for each boot.
    fn boot(mut self, checks: &mut Vec<Check>) -> Result<Vec<Step>> {
        self.step("show /proc/lockdep_stats");
        self.step("show /proc/modules");
        self.step("show /sys/devices/system/cpu/online");
        let mut archive = Archive::default();
        for directory in ["dev", "proc", "sys", "cases"] {
            archive.directory(directory);
        }
        let arch = self.harness.arch;
        archive.file(
            "init",
            &initramfs::program("instruments.c", arch.clang_target)?,
        );
        for (index, file) in self.files.iter().enumerate() {
            archive.file(&format!("cases/{index:03}"), file);
        }
        archive.file("cases/list", self.list.as_bytes());
        archive.file("plan", self.plan.as_bytes());
        let console = self.harness.console(self.kernel, self.name);
        let output = vm::run(
            arch,
            &self.kernel.directory.join("kernel"),
            &archive.finish(),
            self.append,
            &console,
            &OPTIONS,
        )?;
        let trouble = vm::trouble(&fs::read(&console)?).or(vm::trouble(output.as_bytes()));
        checks.push(Check::new(
            format!("{}: kernel's reports", self.name),
            trouble.clone().unwrap_or("none".into()),
            trouble.is_none(),
        ));
        fs::write(console.with_extension("said"), &output)?;
        let steps = parse(&output).with_context(|| console.display().to_string())?;

        for step in &steps {
            let odd = ["no such", "cannot be"];
            if let Some(line) = step
                .lines
                .iter()
                .find(|line| odd.iter().any(|odd| line.starts_with(odd)))
            {
                bail!("{}: {line}", step.plan);
            }
        }
        // Lockdep turns itself off at its first report, or when it has run out of memory.
        let watching = shown(&steps, "/proc/lockdep_stats")?
            .iter()
            .any(|line| line.contains("debug_locks:") && line.trim().ends_with(" 1"));
        checks.push(Check::new(
            format!("{}: lockdep at the end", self.name),
            if watching { "watching" } else { "off" },
            watching,
        ));
        let cpus = shown(&steps, "/sys/devices/system/cpu/online")?;
        ensure!(
            cpus == [format!("0-{}", OPTIONS.cpus - 1)],
            "{}: the kernel uses these CPUs: {}",
            self.name,
            cpus.join(" ")
        );
        let modules = shown(&steps, "/proc/modules")?;
        checks.push(Check::new(
            format!("{}: modules at the end", self.name),
            modules.len().to_string(),
            modules.is_empty(),
        ));
        Ok(steps)
    }
}

/// What the last `show` of a file gave.
fn shown<'s>(steps: &'s [Step], path: &str) -> Result<&'s [String]> {
    all_shown(steps, path)
        .last()
        .copied()
        .with_context(|| format!("the guest did not show {path}"))
}

/// What each `show` of a file gave.
fn all_shown<'s>(steps: &'s [Step], path: &str) -> Vec<&'s [String]> {
    let plan = format!("show {path}");
    steps
        .iter()
        .filter(|step| step.plan == plan)
        .map(|step| &step.lines[..])
        .collect()
}

/// The case table as in the boot tests, in all modes.
pub fn table(harness: &Harness, kernel: &Kernel, checks: &mut Vec<Check>) -> Result<()> {
    for (name, append, mode) in [
        ("debug-permissive", "", Mode::Permissive),
        ("debug-sig_enforce", "module.sig_enforce=1", Mode::Enforcing),
        ("debug-lockdown", "lockdown=integrity", Mode::Lockdown),
    ] {
        let scenario = Scenario {
            name,
            flavour: "debug",
            append,
            mode,
        };
        let outcome = harness.table(kernel, &scenario, &OPTIONS, true);
        checks.push(match outcome {
            Ok(tally) => Check::new(
                format!("{name}: case table, no report"),
                format!("{} cases, {} as expected", tally.total, tally.good),
                tally.total == tally.good,
            ),
            Err(error) => Check::new(
                format!("{name}: case table, no report"),
                format!("{error:#}"),
                false,
            ),
        });
    }
    let console = harness.console(kernel, "debug-permissive");
    checks.push(kunit(&String::from_utf8_lossy(&fs::read(console)?)));
    Ok(())
}

/// The results of tests that ran inside the kernel while it booted.
fn kunit(console: &str) -> Check {
    let results = console.lines().filter_map(|line| {
        let text = line.rsplit("] ").next().unwrap_or(line).trim_start();
        let number = text
            .strip_prefix("ok ")
            .map(|rest| (true, rest))
            .or(text.strip_prefix("not ok ").map(|rest| (false, rest)))?;
        number
            .1
            .starts_with(|c: char| c.is_ascii_digit())
            .then_some((number.0, text))
    });
    let (good, bad): (Vec<_>, Vec<_>) = results.partition(|(good, _)| *good);
    let mut check = Check::new(
        "tests in the kernel",
        match good.len() + bad.len() {
            0 => "this kernel has none".to_owned(),
            _ => format!("{} ok, {} not", good.len(), bad.len()),
        },
        bad.is_empty(),
    );
    check.details = bad.iter().map(|(_, line)| (*line).to_owned()).collect();
    check
}

/// Puts the files of the table into a run, in which each is expected as in the table.
fn table_files(run: &mut Run<'_>) -> Result<Vec<cases::Case>> {
    let mut table = cases::table(&run.kernel.series)?;
    table.retain(|case| case.kmod.is_none());
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
        let expected = case.expect.in_mode(Mode::Permissive);
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
    let table = table_files(&mut run)?;
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

/// A file whose insertion is made to fail.
struct Victim {
    name: &'static str,
    recipe: &'static [&'static str],
    /// Its outcome, where it is not that of the kernel's code on the host.
    expect: Option<&'static str>,
    /// System calls in which failures are injected outside of the verifier, too.
    calls: &'static [&'static str],
}

const fn victim(
    name: &'static str,
    recipe: &'static [&'static str],
    expect: Option<&'static str>,
    calls: &'static [&'static str],
) -> Victim {
    Victim {
        name,
        recipe,
        expect,
        calls,
    }
}

const VICTIMS: [Victim; 9] = [
    victim(
        "RSA/SHA-256",
        &["sign rsa2048 sha256"],
        None,
        &["finit", "init"],
    ),
    // The crypto API puts this algorithm together when it is first asked for it.
    victim("RSA/SHA-384", &["sign rsa4096 sha384"], None, &[]),
    victim("P-384/SHA-384", &["sign p384 sha384"], None, &[]),
    victim(
        "chain of certificates",
        &[
            "sign leaf2 sha256",
            "certificate leaf2",
            "certificate inter",
        ],
        None,
        &["finit"],
    ),
    victim(
        "unknown signer",
        &["sign untrusted sha256"],
        None,
        &["finit"],
    ),
    victim("revoked signer", &["sign revoked sha256"], None, &[]),
    victim(
        "altered content",
        &["sign rsa2048 sha256", "flip content"],
        None,
        &[],
    ),
    victim(
        "two signers",
        &["sign rsa2048 sha256", "sign untrusted sha512"],
        None,
        &[],
    ),
    victim(
        "digest not built in",
        &["sign rsa2048 sha256", "absent digest"],
        Some("loads, taints"),
        &[],
    ),
];

/// Functions of C that answer a failed allocation with another error, which the verifier cannot
/// tell from the one it stands for: the crypto API's look-up of an algorithm, and its check of the
/// size of an RSA signature. A module is then refused, or judged as if nothing had failed.
const HIDING: [&str; 3] = ["__request_module", "cryptomgr_notify", "rsa_check_payload"];

/// What fails while the crypto API puts an algorithm together, partly in threads of its own: the
/// file, and the function that is at it. Each file has an algorithm that was not asked for before.
const BUILDERS: [(&str, &[&str], &str); 3] = [
    (
        "RSA/SHA-1, request to the crypto manager",
        &["sign rsa2048 sha1"],
        "cryptomgr_notify",
    ),
    (
        "RSA/SHA-512, crypto manager",
        &["sign rsa2048 sha512"],
        "cryptomgr_probe",
    ),
    (
        "RSA/SHA-224, its thread",
        &["sign rsa2048 sha224"],
        "kthreadd",
    ),
];

/// Every failure that can be injected.
pub fn faults(harness: &Harness, kernel: &Kernel, checks: &mut Vec<Check>) -> Result<()> {
    const FAILSLAB: &str = "/sys/kernel/debug/failslab";
    const FAIL_PAGES: &str = "/sys/kernel/debug/fail_page_alloc";
    let mut run = Run::new(harness, kernel, "faults");
    // Kmemleak's own allocations would fail most often, and it does without. The guest tells the
    // stack of each failure, which takes long on a console.
    run.append = "kmemleak=off loglevel=4";
    // By default only what cannot wait may fail.
    run.step(&format!("put {FAILSLAB}/ignore-gfp-wait N"));
    run.step(&format!("put {FAIL_PAGES}/ignore-gfp-wait N"));
    run.step(&format!("put {FAIL_PAGES}/ignore-gfp-highmem N"));
    run.step(&format!("put {FAIL_PAGES}/min-order 0"));
    let mut judges: Vec<(String, String, String)> = vec![];

    run.step("only module_sig_check");
    let mut whole = vec![];
    for victim in &VICTIMS {
        let recipe: Vec<String> = victim.recipe.iter().map(|step| (*step).into()).collect();
        let index = run.file(&recipe).context(victim.name)?;
        let plain = match victim.expect {
            Some(expect) => expect,
            None => harness.verdict(&run.files[index], 0, Mode::Permissive),
        };
        let step = format!("fail finit {index:03} 0");
        run.step(&step);
        judges.push((format!("{}, verifier", victim.name), step, plain.to_owned()));
        for how in victim.calls {
            whole.push((victim.name, how, index, plain));
        }
    }
    for (_, recipe, function) in BUILDERS {
        let recipe: Vec<String> = recipe.iter().map(|step| (*step).into()).collect();
        let index = run.file(&recipe)?;
        run.step(&format!("only {function}"));
        run.step(&format!("put {FAILSLAB}/task-filter N"));
        run.step(&format!("put {FAILSLAB}/times -1"));
        // How many of a hundred fail: all, then some, until it comes through, and none.
        for (probability, times) in [(100, 3), (60, 10), (20, 10), (5, 10), (0, 1)] {
            run.step(&format!("put {FAILSLAB}/probability {probability}"));
            run.step(&format!("repeat {times} {index:03} 0"));
        }
    }
    run.step("only -");
    for (name, how, index, plain) in whole {
        // Another way to write the same flags, so that it is another step.
        let step = format!("fail {how} {index:03} 00");
        run.step(&step);
        judges.push((
            format!("{name}, whole {how}_module"),
            step,
            plain.to_owned(),
        ));
    }
    let steps = run.boot(checks)?;

    let find = |plan: &str| {
        let mut steps = steps.iter();
        steps
            .find(|step| step.plan == plan)
            .with_context(|| format!("the guest has left out {plan:?}"))
    };
    for (name, plan, plain) in judges {
        checks.push(judge_failures(&name, &find(&plan)?.tries, &plain));
    }
    for (at, (name, ..)) in BUILDERS.iter().enumerate() {
        let file = format!(" {:03} 0", VICTIMS.len() + at);
        let tries: Vec<Try> = steps
            .iter()
            .filter(|step| step.plan.starts_with("repeat") && step.plan.ends_with(&file))
            .flat_map(|step| step.tries.clone())
            .collect();
        checks.push(judge_builders(name, &tries));
    }
    Ok(())
}

/// Counts how often each outcome was seen.
fn histogram<'a>(tries: impl Iterator<Item = &'a Try>) -> String {
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    for attempt in tries {
        *seen.entry(attempt.outcome()).or_default() += 1;
    }
    let words: Vec<_> = seen
        .iter()
        .map(|(outcome, number)| format!("{number} {outcome}"))
        .collect();
    words.join(", ")
}

/// What a failure has led to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// ENOMEM.
    NoMemory,
    /// Another error, and nothing is loaded.
    OtherError,
    /// What would have been without it.
    None,
    /// Anything else.
    Wrong,
}

impl Try {
    fn effect(&self, plain: &str) -> Effect {
        match self.outcome() {
            outcome if outcome == "ENOMEM" => Effect::NoMemory,
            outcome if outcome == plain => Effect::None,
            _ if self.result != 0 && self.kind == "-" => Effect::OtherError,
            _ => Effect::Wrong,
        }
    }

    /// Whether that is as it should be: a failure in the verifier gives ENOMEM, but for those that
    /// C hides. What fails quietly has another way out, as the allocations of the instruments
    /// themselves. The loader has other errors, too, and some failures do not matter to it.
    fn is_fine(&self, in_verifier: bool, plain: &str) -> bool {
        let stack = self.stack();
        let hidden = HIDING.iter().any(|function| stack.contains(function));
        match self.effect(plain) {
            Effect::NoMemory => true,
            Effect::Wrong => false,
            Effect::None if stack.is_empty() => true,
            Effect::None | Effect::OtherError => {
                hidden || !(in_verifier || stack.contains(&"module_sig_check"))
            }
        }
    }
}

/// The last attempt is the one in which nothing was left to fail.
fn judge_failures(name: &str, tries: &[Try], plain: &str) -> Check {
    let in_verifier = name.ends_with(", verifier");
    let (failed, rest): (Vec<&Try>, Vec<&Try>) = tries.iter().partition(|attempt| attempt.failed);
    let bad = failed
        .iter()
        .filter(|attempt| !attempt.is_fine(in_verifier, plain));
    let number = |effect| {
        let same = failed
            .iter()
            .filter(|attempt| attempt.effect(plain) == effect);
        same.count()
    };
    let at_last: Vec<_> = rest.iter().map(|attempt| attempt.outcome()).collect();
    let mut check = Check::new(
        format!("faults: {name}"),
        format!(
            "{} failures: {} ENOMEM, {} another error, {} without effect, {} wrong; then {}",
            failed.len(),
            number(Effect::NoMemory),
            number(Effect::OtherError),
            number(Effect::None),
            number(Effect::Wrong),
            at_last.join(", ")
        ),
        bad.clone().next().is_none() && number(Effect::NoMemory) > 0 && at_last == [plain],
    );
    check.details = bad.map(|attempt| attempt.describe()).collect();
    check
}

/// What fails there reaches the verifier as one error or another. Whichever it is, the module is
/// refused, or nothing was left to fail and it loads: a good signature may not turn into one that
/// nobody has vouched for.
fn judge_builders(name: &str, tries: &[Try]) -> Check {
    let last = tries.last().map(Try::outcome).unwrap_or_default();
    let (good, bad): (Vec<&Try>, Vec<&Try>) = tries.iter().partition(|attempt| {
        let outcome = attempt.outcome();
        outcome == "loads" || (attempt.result != 0 && attempt.kind == "-")
    });
    let refused = good.iter().filter(|attempt| attempt.result != 0).count();
    let mut check = Check::new(
        format!("faults: {name}"),
        format!("{} attempts: {}", tries.len(), histogram(tries.iter())),
        bad.is_empty() && refused != 0 && last == "loads",
    );
    check.details = bad.iter().map(|attempt| attempt.describe()).collect();
    check
}

/// Several CPUs at once.
pub fn race(harness: &Harness, kernel: &Kernel, checks: &mut Vec<Check>) -> Result<()> {
    let mut run = Run::new(harness, kernel, "race");
    let table = table_files(&mut run)?;
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
    run.step("insert 100");
    run.step("show /proc/keys");
    run.step(&format!("race {} {}", RACE.0, RACE.1));
    run.step("sleep 5");
    run.step("show /proc/keys");
    let steps = run.boot(checks)?;

    let step = steps
        .iter()
        .find(|step| step.plan.starts_with("race"))
        .context("there was no race")?;
    const BUSY: u32 = 16;
    const EXISTS: u32 = 17;
    let (number, mut odd) = judge(step, &table, |expected, result| {
        expected.starts_with("loads") && [0, BUSY, EXISTS].contains(&result)
    })?;
    let with = |result: u32| -> u64 {
        let counts = step.counts.iter().filter(|count| count.result == result);
        counts.map(|count| count.number).sum()
    };
    odd.sort();
    let mut check = Check::new(
        "race: attempts",
        format!(
            "{number} by {} processes on 4 CPUs: {} let in, {} EEXIST, {} EBUSY, {} others",
            RACE.0,
            with(0),
            with(EXISTS),
            with(BUSY),
            number - with(0) - with(EXISTS) - with(BUSY)
        ),
        number == RACE.0 * RACE.1 && odd.is_empty() && with(EXISTS) + with(BUSY) > 0,
    );
    check.details = odd;
    checks.push(check);
    checks.push(check_references("race", &steps)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two attempts: one with a failure in `function`, one without.
    fn faulty(result: &str, function: &str, plain: &str) -> Vec<Try> {
        let text = format!(
            "step fail finit 000 0\n\
            try 1 1 {result}\n\
            log FAULT_INJECTION: forcing a failure.\\x0aname failslab, interval 1\n\
            log Call Trace:\n\
            log  dump_stack_lvl+0x5e/0x80\n\
            log  should_fail_ex+0x1/0x2\n\
            log  ? odd+0x1/0x2\n\
            log  kmalloc+0x1/0x2\n\
            log  {function}+0x1/0x2\n\
            log  load_module+0x1/0x2\n\
            log  finit_module+0x1/0x2\n\
            try 2 0 {plain}\n\
            done\n"
        );
        parse(&text).unwrap().remove(0).tries
    }

    #[test]
    fn failures_are_told_apart_by_their_stack() {
        let good = |name, result, function| {
            judge_failures(name, &faulty(result, function, "0 m"), "loads").good
        };
        let tries = faulty("12 -", "module_sig_check", "0 m");
        assert_eq!(tries[0].describe(), "ENOMEM: kmalloc < module_sig_check");
        assert!(!judge_failures("x", &tries, "ENOPKG").good);
        for name in ["x", "x, verifier"] {
            assert!(good(name, "12 -", "module_sig_check"));
            for wrong in ["0 t", "0 -", "12 m", "129 -", "0 m"] {
                assert!(!good(name, wrong, "module_sig_check"), "{name} {wrong}");
            }
        }
        // Neither of these has ENOMEM, which must come at least once.
        let fine = |result, function, in_verifier| {
            faulty(result, function, "0 m")[0].is_fine(in_verifier, "loads")
        };
        assert!(fine("129 -", "cryptomgr_notify", true));
        assert!(!fine("0 t", "cryptomgr_notify", true));
        assert!(fine("14 -", "copy_from_user", false));
        assert!(!fine("14 -", "copy_from_user", true));
        assert!(fine("0 m", "kobject_uevent", false));
        assert!(!fine("0 t", "kobject_uevent", false));
    }

    #[test]
    fn a_good_signature_stays_one_whatever_fails() {
        let good = |text: &str| judge_builders("x", &parse(text).unwrap().remove(0).tries).good;
        assert!(good("step x\ntry 1 0 129 -\ntry 2 0 0 m\ndone\n"));
        assert!(!good(
            "step x\ntry 1 0 0 t\ntry 2 0 129 -\ntry 3 0 0 m\ndone\n"
        ));
        assert!(!good("step x\ntry 1 0 0 m\ndone\n"));
    }

    #[test]
    fn a_guest_that_stops_early_is_an_error() {
        assert!(parse("step x\n").is_err());
        assert!(parse("try 1 1 12 -\ndone\n").is_err());
    }

    #[test]
    fn reads_ktap() {
        let console =
            "[    1.0]     ok 1 good_vectors\n[    1.1]     not ok 2 bad\n[ 1.2] ok then\n";
        let check = kunit(console);
        assert_eq!(check.seen, "1 ok, 1 not");
        assert!(!check.good);
        assert!(kunit("nothing\n").good);
    }

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
