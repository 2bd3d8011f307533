// SPDX-License-Identifier: MIT OR Apache-2.0

//! `integrity`: boots in which the firmware's keys and IMA decide as well.

use std::path::Path;

use anyhow::Result;
use modsig_qemu::runs::{boots::Harness, integrity, outcome::Outcome, seen::Tallies};

/// Boot kernels with keys in the firmware, and with an IMA policy
#[derive(clap::Args)]
pub struct Arguments {
    /// Print only what is not as expected
    #[arg(long)]
    quiet: bool,
}

/// What the flavours are built for.
const SERIES: &str = "6.12";
const ARCH: &str = "x86_64";

pub fn run(arguments: &Arguments) -> Result<bool> {
    let title = "keys in the firmware, and IMA";
    let mut outcome = Outcome::begin("integrity", "", title, SERIES, ARCH);
    let result = check(arguments, &mut outcome);
    outcome.end(&result, Path::new("build"))?;
    result?;
    Ok(outcome.good)
}

fn check(arguments: &Arguments, outcome: &mut Outcome) -> Result<()> {
    let harness = Harness::new(ARCH)?;
    let mut all = vec![];
    let mut boots = 0;
    integrity::run(&harness, SERIES, arguments.quiet, |booted| {
        boots += 1;
        for one in booted.observations {
            if !one.ok {
                outcome.details.push(format!(
                    "{}: {}, {}: {}, not {}",
                    booted.name, one.case, one.call, one.observed, one.expected
                ));
            }
            all.push(one);
        }
    })?;
    let tallies = Tallies::of(&all);
    outcome.good = tallies.bad() == 0;
    outcome.said = format!("{boots} boots; {tallies}");
    println!("\nintegrity: {}", outcome.said);
    Ok(())
}
