// SPDX-License-Identifier: GPL-2.0

//! Follows pages of `Documentation/scenarios`.

use std::process::ExitCode;

use anyhow::{ensure, Result};
use clap::Parser;
use modsig_qemu::{
    scenario::{Runner, Scenario},
    target::Target,
};

/// Follows pages of Documentation/scenarios
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Print only what is not as the pages say
    #[arg(long)]
    quiet: bool,
    /// Put into the pages what was printed, in place of what they show
    #[arg(long)]
    record: bool,
    /// Scenarios, or "all"; without one, say which there are
    names: Vec<String>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("scenario: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<bool> {
    let all = Scenario::all()?;
    if arguments.names.is_empty() {
        println!(
            "\nScenarios, each from a configuration to a boot: make demo SCENARIO=NAME, or all"
        );
        for scenario in all {
            println!("    {:15} {}", scenario.name, scenario.title);
        }
        return Ok(true);
    }
    for name in &arguments.names {
        let known = name == "all" || all.iter().any(|scenario| scenario.name == *name);
        let names: Vec<_> = all.iter().map(|scenario| &scenario.name[..]).collect();
        ensure!(
            known,
            "no scenario {name:?}; there are {}",
            names.join(", ")
        );
    }
    let mut runner = Runner::new(&arguments.target.arch, &arguments.target.kernel)?;
    runner.quiet = arguments.quiet;
    runner.record = arguments.record;
    let (mut total, mut good) = (0, 0);
    for scenario in &all {
        if arguments
            .names
            .iter()
            .any(|name| name == "all" || *name == scenario.name)
        {
            total += 1;
            good += usize::from(runner.follow(scenario)?);
        }
    }
    println!(
        "\nscenarios: {total} followed, {good} as their pages say, {} not",
        total - good
    );
    Ok(good == total)
}
