// SPDX-License-Identifier: GPL-2.0

//! `modsig-qemu`: the demo, the boot tests and the comparison with an unmodified kernel.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::Parser;
use modsig_qemu::{
    cases::Table,
    harness::{Harness, Kernel, Scenario, HASHES, IMAGE, IMAGE_NO_ROOT, KEYLESS},
    record::Record,
    target::Target,
    vm,
};
use modsig_tools::platform::Mode;

/// Boots kernels and inserts good and bad modules
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Print only what is not as expected
    #[arg(long)]
    quiet: bool,
    /// Boot the unmodified kernel with its C verifier instead
    #[arg(long)]
    c: bool,
    /// Insert this module instead, and print what comes of it; may be repeated. Exits with 1 if one
    /// is not loaded
    #[arg(long, value_name = "FILE")]
    insert: Vec<PathBuf>,
    /// The boot to insert it in: permissive, sig_enforce, lockdown or force; by hashes too:
    /// hashes-permissive ...; by hashes only: hashes-only-permissive ..., hashes-only-no-root; with
    /// --c: c-permissive ...
    #[arg(
        long,
        value_name = "NAME",
        default_value_if("c", "true", "c-sig_enforce"),
        default_value = "sig_enforce"
    )]
    boot: String,
}

/// What is booted, unless `--c` is given.
const RUST: [Scenario; 12] = [
    PERMISSIVE,
    enforcing("sig_enforce", PERMISSIVE),
    locked_down("lockdown", PERMISSIVE),
    Scenario {
        name: "force",
        flavour: "force",
        mode: Mode::Enforcing,
        ..PERMISSIVE
    },
    HASHES_PERMISSIVE,
    enforcing("hashes-sig_enforce", HASHES_PERMISSIVE),
    locked_down("hashes-lockdown", HASHES_PERMISSIVE),
    // For signatures nothing has changed.
    Scenario {
        name: "hashes-signatures",
        table: Table::Signatures,
        ..HASHES_PERMISSIVE
    },
    KEYLESS_PERMISSIVE,
    enforcing("hashes-only-sig_enforce", KEYLESS_PERMISSIVE),
    locked_down("hashes-only-lockdown", KEYLESS_PERMISSIVE),
    Scenario {
        name: "hashes-only-no-root",
        image: IMAGE_NO_ROOT,
        ..KEYLESS_PERMISSIVE
    },
];
const C: [Scenario; 3] = [
    C_PERMISSIVE,
    enforcing("c-sig_enforce", C_PERMISSIVE),
    locked_down("c-lockdown", C_PERMISSIVE),
];

const PERMISSIVE: Scenario = Scenario {
    name: "permissive",
    flavour: "permissive",
    image: IMAGE,
    table: Table::Signatures,
    append: "",
    mode: Mode::Permissive,
};
const HASHES_PERMISSIVE: Scenario = Scenario {
    name: "hashes-permissive",
    flavour: HASHES,
    table: Table::Hashes,
    ..PERMISSIVE
};
const KEYLESS_PERMISSIVE: Scenario = Scenario {
    name: "hashes-only-permissive",
    flavour: KEYLESS,
    ..HASHES_PERMISSIVE
};
const C_PERMISSIVE: Scenario = Scenario {
    name: "c-permissive",
    flavour: "c",
    ..PERMISSIVE
};

/// The same kernel, told to take signed modules only.
const fn enforcing(name: &'static str, scenario: Scenario) -> Scenario {
    Scenario {
        name,
        append: "module.sig_enforce=1",
        mode: Mode::Enforcing,
        ..scenario
    }
}

/// The same kernel, locked down.
const fn locked_down(name: &'static str, scenario: Scenario) -> Scenario {
    Scenario {
        name,
        append: "lockdown=integrity",
        mode: Mode::Lockdown,
        ..scenario
    }
}

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
    let harness = Harness::new(&arguments.target.arch)?;
    if !arguments.insert.is_empty() {
        return insert(arguments, &harness, scenarios);
    }
    let names = scenarios.iter().map(|scenario| scenario.name.to_owned());
    let planned = names.collect();
    let mut record = Record::new(
        &arguments.target.kernel,
        harness.arch.name,
        arguments.c,
        planned,
    );
    let outcome = boot(arguments, &harness, scenarios, &mut record);
    record.error = outcome.as_ref().err().map(|error| format!("{error:#}"));
    // Without a kernel there is nothing to say of one.
    let worth_it = !record.sizes.is_empty();
    let saved = worth_it.then(|| record.save(Path::new("build")));
    outcome?;
    saved.transpose()?;
    let sum = record.tally();
    println!(
        "\ndemo: {} cases, {} as expected, {} not",
        sum.total,
        sum.good,
        sum.total - sum.good
    );
    Ok(sum.good == sum.total)
}

/// Boots for every scenario.
fn boot(
    arguments: &Arguments,
    harness: &Harness,
    scenarios: &[Scenario],
    record: &mut Record,
) -> Result<()> {
    let mut kernels: HashMap<&str, Kernel> = HashMap::new();
    for scenario in scenarios {
        let flavour = scenario.flavour;
        let kernel = match kernels.get(flavour) {
            Some(kernel) => kernel.clone(),
            None => {
                let kernel = harness.kernel(&arguments.target.kernel, flavour)?;
                record.add_kernel(&kernel, flavour);
                kernel
            }
        };
        kernels.insert(flavour, kernel.clone());
        let options = vm::Options::default();
        let boot = harness.table(&kernel, scenario, &options, arguments.quiet);
        record.boots.push(boot.context(scenario.name)?);
    }
    Ok(())
}

/// Boots once and prints a line for each file: what came of it, and the kernel's own log line.
fn insert(arguments: &Arguments, harness: &Harness, scenarios: &[Scenario]) -> Result<bool> {
    let named = |scenario: &&Scenario| scenario.name == arguments.boot;
    let scenario = scenarios.iter().find(named).with_context(|| {
        let names: Vec<_> = scenarios.iter().map(|scenario| scenario.name).collect();
        format!(
            "no boot {:?}; there are {}",
            arguments.boot,
            names.join(", ")
        )
    })?;
    let kernel = harness.kernel(&arguments.target.kernel, scenario.flavour)?;
    let attempts = harness.insert(&kernel, scenario, &arguments.insert)?;
    let mut all = attempts.len() == arguments.insert.len();
    for (path, attempt) in arguments.insert.iter().zip(&attempts) {
        all &= attempt.outcome().starts_with("loads");
        let line = format!(
            "{}: {}  {}",
            path.display(),
            attempt.outcome(),
            attempt.verdict_line()
        );
        println!("{}", line.trim_end());
    }
    Ok(all)
}
