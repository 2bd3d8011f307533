// SPDX-License-Identifier: MIT OR Apache-2.0

//! The verifier in a kernel that watches itself (flavour `debug`): what `guest/instruments.c` is
//! told to do, and what its answers and the kernel's own reports mean.

use std::{fs, time::Duration};

use anyhow::{bail, ensure, Context, Result};
use modsig_testing::vm;

use super::boots::Harness;
use crate::{
    machine::kernels::{Kernel, IMAGE},
    verdict::instruments::{parse, shown, Step},
};

mod crowd;
mod faults;
mod table;

pub use self::{
    crowd::{loads, race},
    faults::faults,
    table::table,
};

/// What a kernel with instruments needs: memory for KASAN, CPUs for races, and time.
pub const OPTIONS: vm::Options = vm::Options {
    cpus: 4,
    memory: 1024,
    limit: Duration::from_secs(3600),
    // While Linux 7.3 reads the features of its first CPU on x86_64, KASAN does not know that page
    // tables have five levels, and reports what an interrupt reads meanwhile.
    append: "no5lvl",
    qemu: &[],
};

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

/// A boot of the guest with a plan.
struct Run<'a> {
    harness: &'a Harness,
    kernel: &'a Kernel,
    name: &'a str,
    files: Vec<Vec<u8>>,
    list: String,
    plan: String,
    append: &'a str,
    options: vm::Options,
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
            options: OPTIONS,
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

    /// Has kmemleak look, and say what it has found. Once is not enough: it spares what is younger
    /// than five seconds, what has changed since it last looked, and what an old pointer that was
    /// left lying about still points to.
    fn scan(&mut self) {
        self.step("sleep 7");
        for _ in 0..6 {
            self.step(&format!("put {KMEMLEAK} scan"));
            self.step("sleep 1");
        }
        self.step(&format!("show {KMEMLEAK}"));
    }

    /// Boots; checks what holds for each boot.
    fn boot(mut self, checks: &mut Vec<Check>) -> Result<Vec<Step>> {
        self.step("show /proc/lockdep_stats");
        self.step("show /proc/modules");
        self.step("show /sys/devices/system/cpu/online");
        let mut guest = self.harness.guest(self.kernel, IMAGE, self.name);
        guest.append = self.append.to_owned();
        guest.options = self.options;
        guest.program("instruments")?;
        guest.cases(&self.files, &self.list);
        guest.files.file("plan", self.plan.as_bytes());
        let output = guest.run()?;
        let console = &guest.console;
        let trouble = vm::trouble(&fs::read(console)?).or(vm::trouble(output.as_bytes()));
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
        let cpus = shown(&steps, "/sys/devices/system/cpu/online")?.join(" ");
        let expected = match self.options.cpus {
            1 => "0".to_owned(),
            more => format!("0-{}", more - 1),
        };
        ensure!(
            cpus == expected,
            "{}: the kernel uses these CPUs: {cpus}, not {expected}",
            self.name
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
