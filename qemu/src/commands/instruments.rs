// SPDX-License-Identifier: MIT OR Apache-2.0

//! `instruments`: runs the verifier in a kernel that watches itself.

use std::path::Path;

use anyhow::{Context, Result};
use modsig_qemu::{
    machine::kernels::{Kernel, DEBUG},
    runs::{
        boots::Harness,
        instruments::{self, Check},
        outcome::Outcome,
    },
};

use super::target::Target;

/// Boot kernels with KASAN, UBSAN, lockdep, kmemleak and injected failures
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Do this only: table, loads, faults or race
    #[arg(long)]
    only: Option<String>,
}

type Part = fn(&Harness, &Kernel, &mut Vec<Check>) -> Result<()>;

const PARTS: [(&str, Part); 4] = [
    ("table", instruments::table),
    ("loads", instruments::loads),
    ("faults", instruments::faults),
    ("race", instruments::race),
];

pub fn run(arguments: &Arguments) -> Result<bool> {
    let only = arguments.only.as_deref();
    let parts: Vec<_> = PARTS
        .into_iter()
        .filter(|(name, _)| only.is_none_or(|only| only == *name))
        .collect();
    parts
        .first()
        .context("no such part; there are table, loads, faults and race")?;
    let Target { arch, kernel } = &arguments.target;
    let title = "the verifier in a kernel that watches itself";
    let mut outcome = Outcome::begin("instruments", only.unwrap_or(""), title, kernel, arch);
    let result = check(arguments, &parts, &mut outcome);
    outcome.end(&result, Path::new("build"))?;
    result?;
    Ok(outcome.good)
}

fn check(arguments: &Arguments, parts: &[(&str, Part)], outcome: &mut Outcome) -> Result<()> {
    let harness = Harness::new(&arguments.target.arch)?;
    let kernel = harness.kernel(&arguments.target.kernel, DEBUG)?;
    kernel.series.name().clone_into(&mut outcome.series);
    println!("Linux {}, {}, debug", kernel.series, harness.arch.name);
    let (mut total, mut good) = (0, 0);
    for (name, part) in parts {
        let mut checks = vec![];
        if let Err(error) = part(&harness, &kernel, &mut checks) {
            checks.push(Check::failed(name, &error));
        }
        for check in checks {
            total += 1;
            good += usize::from(check.good);
            println!(
                "{:4}  {:42}  {}",
                if check.good { "ok" } else { "FAIL" },
                check.name,
                check.seen
            );
            for line in &check.details {
                println!("        {line}");
            }
            if !check.good {
                outcome
                    .details
                    .push(format!("{}: {}", check.name, check.seen));
                outcome.details.extend(check.details);
            }
        }
    }
    outcome.said = format!("{total} checks, {good} ok, {} not", total - good);
    outcome.good = good == total;
    println!("\ninstruments: {}", outcome.said);
    Ok(())
}
