// SPDX-License-Identifier: MIT OR Apache-2.0

//! `why`: whether `modsig why` foresees what kernels do.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use anyhow::Result;
use modsig_qemu::{
    judge::why::{too_few, Extent},
    runs::{boots::Harness, outcome::Outcome, why},
};

/// Ask modsig why in booted guests, and see that the kernel does what it says
#[derive(clap::Args)]
pub struct Arguments {
    /// Print only what is not as the kernel has it
    #[arg(long)]
    quiet: bool,
    /// Boot one kernel only, in which most of the situations are tried
    #[arg(long, conflicts_with = "boots")]
    reduced: bool,
    /// Boot these only, of qemu/why.toml; how much comes of them is not counted then
    #[arg(long, value_name = "BOOT,...", value_delimiter = ',')]
    boots: Vec<String>,
}

/// What the situations are made for.
const SERIES: &str = "6.12";
const ARCH: &str = "x86_64";
/// The boot in which most of them are tried.
const REDUCED: &str = "permissive";

pub fn run(arguments: &Arguments) -> Result<bool> {
    let name = if arguments.reduced { "reduced" } else { "" };
    let mut outcome = Outcome::begin("why", name, "what modsig why foresees", SERIES, ARCH);
    let result = check(arguments, &mut outcome);
    outcome.end(&result, Path::new("build"))?;
    result?;
    Ok(outcome.good)
}

fn check(arguments: &Arguments, outcome: &mut Outcome) -> Result<()> {
    let harness = Harness::new(ARCH)?;
    let mut situations = BTreeSet::new();
    let mut did: BTreeMap<String, usize> = BTreeMap::new();
    let (mut asked, mut agreed) = (0, 0);
    let boots = match arguments.reduced {
        true => vec![REDUCED.to_owned()],
        false => arguments.boots.clone(),
    };
    why::run_all(&harness, SERIES, &boots, |seen| {
        asked += 1;
        agreed += usize::from(seen.agrees);
        *did.entry(seen.did.clone()).or_default() += 1;
        if !arguments.quiet || !seen.agrees {
            println!(
                "{:4}  {:18}  {:50}  {:14}  {}",
                if seen.agrees { "ok" } else { "FAIL" },
                seen.boot,
                seen.situation,
                seen.foreseen,
                seen.did,
            );
        }
        if !seen.agrees {
            for line in &seen.more {
                println!("      {line}");
            }
            outcome.details.push(format!(
                "{}, {}: modsig why says {}, the kernel {}",
                seen.boot, seen.situation, seen.foreseen, seen.did
            ));
        }
        situations.insert(seen.situation);
    })?;
    let few = match (arguments.reduced, arguments.boots.is_empty()) {
        (true, _) => too_few(&did, Extent::Reduced),
        (false, true) => too_few(&did, Extent::All),
        (false, false) => vec![],
    };
    for line in &few {
        println!("FAIL  too few: {line}");
    }
    outcome.good = agreed == asked && few.is_empty();
    outcome.details.extend(few);
    let all = situations.len();
    let kinds: Vec<_> = did
        .iter()
        .map(|(what, count)| format!("{what} {count}"))
        .collect();
    println!("\nkernels: {}", kinds.join("; "));
    outcome.said = format!(
        "{all} situations, asked {asked} times, {agreed} as insmod has it, {} not",
        asked - agreed
    );
    println!("why: {}", outcome.said);
    Ok(())
}
