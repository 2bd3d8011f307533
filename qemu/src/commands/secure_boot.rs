// SPDX-License-Identifier: MIT OR Apache-2.0

//! `secure-boot`: machines whose firmware lets only signed programs run.

use std::path::{Path, PathBuf};

use anyhow::Result;
use modsig_qemu::runs::{
    boots::Harness,
    outcome::Outcome,
    secure_boot::{self, Given, Seen},
};

use super::target::Target;

/// Boot kernels with Secure Boot, and insert modules by the keys of everybody who may have one
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Print only what is not as expected
    #[arg(long)]
    quiet: bool,
    /// Firmware in place of Debian's; x86_64: for machines with SMM
    #[arg(long, value_name = "FILE")]
    firmware: Option<PathBuf>,
    /// Its variables in place of Debian's, without any keys
    #[arg(long, value_name = "FILE")]
    variables: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Result<bool> {
    let Target { arch, kernel } = &arguments.target;
    let mut outcome = Outcome::begin("secure-boot", "", "keys in firmware and shim", kernel, arch);
    let result = check(arguments, &mut outcome);
    outcome.end(&result, Path::new("build"))?;
    result?;
    Ok(outcome.good)
}

fn check(arguments: &Arguments, outcome: &mut Outcome) -> Result<()> {
    let Target { arch, kernel } = &arguments.target;
    let harness = Harness::new(arch)?;
    let given = Given {
        code: arguments.firmware.clone(),
        variables: arguments.variables.clone(),
    };
    let mut tally = Tally::default();
    let mut explained = vec![];
    secure_boot::run(&harness, kernel, &given, |seen| {
        tally.add(&seen);
        let details = details(&seen);
        let text = text(&seen);
        if !arguments.quiet || !details.is_empty() {
            print!("{text}");
        }
        match seen {
            Seen::Booted { .. } => explained.clear(),
            Seen::Module { verdict, .. } => explained.extend(verdict.explained),
            Seen::Refused { .. } => {}
        }
        outcome.details.extend(details);
    })?;
    if !arguments.quiet {
        println!("\nWhy, by the last boot:\n{}", explained.join("\n"));
    }
    outcome.good = outcome.details.is_empty();
    outcome.said = tally.to_string();
    println!("\nsecure-boot: {}", outcome.said);
    Ok(())
}

/// How much was tried.
#[derive(Default)]
struct Tally {
    refused: usize,
    boots: usize,
    modules: usize,
    loaded: usize,
    right: usize,
}

impl Tally {
    fn add(&mut self, seen: &Seen) {
        match seen {
            Seen::Refused { .. } => self.refused += 1,
            Seen::Booted { .. } => self.boots += 1,
            Seen::Module { verdict, .. } => {
                self.modules += 1;
                self.loaded += usize::from(verdict.did == "loads");
                self.right += usize::from(verdict.is_right);
            }
        }
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} boots; {} that are not to be; {} modules, {} loaded; {} as foreseen and expected, {} not",
            self.boots,
            self.refused,
            self.modules,
            self.loaded,
            self.right,
            self.modules - self.right
        )
    }
}

/// What is not as it should be.
fn details(seen: &Seen) -> Vec<String> {
    match seen {
        Seen::Refused { is_right: true, .. } => vec![],
        Seen::Refused { name, showed, .. } => vec![format!("{name}: {showed}")],
        Seen::Booted { name, odd, .. } => odd.iter().map(|odd| format!("{name}: {odd}")).collect(),
        Seen::Module { verdict, .. } if verdict.is_right => vec![],
        Seen::Module {
            boot,
            name,
            expected,
            verdict,
        } => vec![format!(
            "{boot}, {name}: {}, not {expected}; modsig why says {}, verify --running {}, --next {}",
            verdict.did,
            verdict.foreseen,
            good(verdict.running),
            good(verdict.next)
        )],
    }
}

fn mark(is_right: bool) -> &'static str {
    if is_right {
        "ok"
    } else {
        "FAIL"
    }
}

fn good(is_good: bool) -> &'static str {
    if is_good {
        "good"
    } else {
        "bad"
    }
}

/// What a person reads of it.
fn text(seen: &Seen) -> String {
    let mut lines = vec![];
    match seen {
        Seen::Refused {
            name,
            showed,
            is_right,
        } => lines.push(format!(
            "{:4}  not started: {name:52}  {showed}",
            mark(*is_right)
        )),
        Seen::Booted { name, facts, odd } => {
            lines.push(format!("\nstarted: {name}"));
            for (command, answer) in facts {
                lines.push(format!("# {command}"));
                lines.extend(answer.lines().map(str::to_owned));
            }
            lines.extend(odd.iter().map(|odd| format!("FAIL  {odd}")));
            lines.push(format!(
                "\n      {:42}  {:12}  {:9}  {:6}  insmod",
                "module", "why", "--running", "--next"
            ));
        }
        Seen::Module { name, verdict, .. } => {
            lines.push(format!(
                "{:4}  {name:42}  {:12}  {:9}  {:6}  {}",
                mark(verdict.is_right),
                verdict.foreseen,
                good(verdict.running),
                good(verdict.next),
                verdict.did
            ));
            let said = verdict.said.iter().filter(|_| !verdict.is_right);
            lines.extend(said.map(|line| format!("      {line}")));
        }
    }
    lines.join("\n") + "\n"
}
