// SPDX-License-Identifier: GPL-2.0

//! `instruments`: runs the verifier in a kernel that watches itself.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use modsig_qemu::{
    harness::{Harness, Kernel},
    instruments::{self, Check},
    target::Target,
};

/// Boots kernels with KASAN, UBSAN, lockdep, kmemleak and injected failures
#[derive(Parser)]
struct Arguments {
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

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("instruments: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<bool> {
    let parts: Vec<_> = PARTS
        .into_iter()
        .filter(|(name, _)| arguments.only.as_deref().is_none_or(|only| only == *name))
        .collect();
    parts
        .first()
        .context("no such part; there are table, loads, faults and race")?;
    let harness = Harness::new(&arguments.target.arch)?;
    let kernel = harness.kernel(&arguments.target.kernel, "debug")?;
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
            for line in check.details {
                println!("        {line}");
            }
        }
    }
    println!(
        "\ninstruments: {total} checks, {good} ok, {} not",
        total - good
    );
    Ok(good == total)
}
