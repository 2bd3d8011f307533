// SPDX-License-Identifier: GPL-2.0

//! `modsig-qemu`: the demo, the boot tests and the comparison with an unmodified kernel.

use std::{collections::HashMap, process::ExitCode};

use anyhow::Result;
use clap::Parser;
use modsig_qemu::{
    harness::{Harness, Kernel, Scenario, Tally},
    vm,
};
use modsig_tools::platform::Mode;

/// Boots kernels and inserts good and bad modules
#[derive(Parser)]
struct Arguments {
    /// x86_64 or arm64
    #[arg(long, default_value = "x86_64")]
    arch: String,
    /// Kernel series: 6.12, 7.3 or newest
    #[arg(long, default_value = "6.12")]
    kernel: String,
    /// Print only what is not as expected
    #[arg(long)]
    quiet: bool,
    /// Boot the unmodified kernel with its C verifier instead
    #[arg(long)]
    c: bool,
}

const fn scenario(
    name: &'static str,
    flavour: &'static str,
    append: &'static str,
    mode: Mode,
) -> Scenario {
    Scenario {
        name,
        flavour,
        append,
        mode,
    }
}

const RUST: [Scenario; 4] = [
    scenario("permissive", "permissive", "", Mode::Permissive),
    scenario(
        "sig_enforce",
        "permissive",
        "module.sig_enforce=1",
        Mode::Enforcing,
    ),
    scenario(
        "lockdown",
        "permissive",
        "lockdown=integrity",
        Mode::Lockdown,
    ),
    scenario("force", "force", "", Mode::Enforcing),
];
const C: [Scenario; 3] = [
    scenario("c-permissive", "c", "", Mode::Permissive),
    scenario(
        "c-sig_enforce",
        "c",
        "module.sig_enforce=1",
        Mode::Enforcing,
    ),
    scenario("c-lockdown", "c", "lockdown=integrity", Mode::Lockdown),
];

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("modsig-qemu: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<bool> {
    let scenarios: &[Scenario] = if arguments.c { &C } else { &RUST };
    let harness = Harness::new(&arguments.arch)?;
    let mut kernels: HashMap<&str, Kernel> = HashMap::new();
    let mut sum = Tally::default();
    for scenario in scenarios {
        let flavour = scenario.flavour;
        let kernel = match kernels.get(flavour) {
            Some(kernel) => kernel.clone(),
            None => harness.kernel(&arguments.kernel, flavour)?,
        };
        kernels.insert(flavour, kernel.clone());
        let tally = harness.table(&kernel, scenario, &vm::Options::default(), arguments.quiet)?;
        sum.total += tally.total;
        sum.good += tally.good;
    }
    println!(
        "\ndemo: {} cases, {} as expected, {} not",
        sum.total,
        sum.good,
        sum.total - sum.good
    );
    Ok(sum.good == sum.total)
}
