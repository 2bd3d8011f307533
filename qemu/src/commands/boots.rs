// SPDX-License-Identifier: MIT OR Apache-2.0

//! `boots`: all cases of the tables, in every boot.

use std::{collections::HashMap, path::Path};

use anyhow::{ensure, Context, Result};
use modsig_qemu::{
    corpus::cases::Table,
    machine::{
        boot::{Boot, RUST, UNMODIFIED_C},
        kernels::Kernel,
    },
    record::Record,
    runs::{boots::Harness, seen::Tally},
};
use modsig_testing::vm;

use super::target::Target;

/// Boot kernels and try all cases of the tables
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Print only what is not as expected
    #[arg(long)]
    quiet: bool,
    /// Boot the unmodified kernel with its C verifier instead
    #[arg(long)]
    c: bool,
    /// Boot kernels of these flavours only: permissive, force, hashes, hashes-only
    #[arg(long, value_name = "FLAVOUR,...", value_delimiter = ',')]
    flavours: Vec<String>,
    /// Give each kernel the table of releases in one mode only
    #[arg(long)]
    short: bool,
}

pub fn run(arguments: &Arguments) -> Result<bool> {
    let boots = boots(arguments.c, &arguments.flavours, arguments.short)?;
    let harness = Harness::new(&arguments.target.arch)?;
    let names = boots.iter().map(|boot| boot.name.to_owned());
    let mut record = Record::new(
        &arguments.target.kernel,
        harness.arch.name,
        arguments.c,
        names.collect(),
    );
    let outcome = boot(arguments, &harness, &boots, &mut record);
    record.error = outcome.as_ref().err().map(|error| format!("{error:#}"));
    // Without a kernel there is nothing to say of one.
    let worth_it = !record.sizes.is_empty();
    let saved = worth_it.then(|| record.save(Path::new("build")));
    outcome?;
    saved.transpose()?;
    let tallies = record.tallies();
    println!("\nboots: {}; {tallies}", record.boots.len());
    let Tally { total, good } = tallies.insertions;
    println!(
        "demo: {total} cases, {good} as expected, {} not",
        total - good
    );
    Ok(tallies.bad() == 0)
}

/// The boots of these flavours, or all. Short, each flavour has one with the table of releases.
fn boots(c: bool, flavours: &[String], short: bool) -> Result<Vec<Boot>> {
    let all: &[Boot] = if c { &UNMODIFIED_C } else { &RUST };
    for flavour in flavours {
        let mut known = vec![];
        for boot in all {
            if !known.contains(&boot.flavour) {
                known.push(boot.flavour);
            }
        }
        ensure!(
            known.contains(&&**flavour),
            "no boot of a kernel {flavour:?}; there are {}",
            known.join(", ")
        );
    }
    let mut with_releases = vec![];
    let mut wanted = |boot: &&Boot| {
        let flavour = boot.flavour;
        if boot.table == Table::Releases {
            if short && with_releases.contains(&flavour) {
                return false;
            }
            with_releases.push(flavour);
        }
        flavours.is_empty() || flavours.iter().any(|wanted| wanted == flavour)
    };
    Ok(all.iter().filter(|boot| wanted(boot)).copied().collect())
}

/// Does them, one after the other.
fn boot(
    arguments: &Arguments,
    harness: &Harness,
    boots: &[Boot],
    record: &mut Record,
) -> Result<()> {
    let mut kernels: HashMap<&str, Kernel> = HashMap::new();
    for boot in boots {
        let flavour = boot.flavour;
        let kernel = match kernels.get(flavour) {
            Some(kernel) => kernel.clone(),
            None => {
                let kernel = harness.kernel(&arguments.target.kernel, flavour)?;
                record.add_kernel(&kernel, flavour);
                kernel
            }
        };
        kernels.insert(flavour, kernel.clone());
        let booted = harness.table(&kernel, boot, &vm::Options::default(), arguments.quiet);
        record.boots.push(booted.context(boot.name)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boots_are_chosen_by_their_kernels() {
        let names = |c, flavours: &[&str], short| -> Vec<_> {
            let flavours: Vec<_> = flavours.iter().map(|name| (*name).to_owned()).collect();
            let chosen = boots(c, &flavours, short).unwrap();
            chosen.iter().map(|boot| boot.name).collect()
        };
        assert_eq!(names(false, &[], false).len(), 19);
        assert_eq!(names(true, &[], false).len(), 6);
        assert_eq!(names(false, &[], true).len(), 15);
        assert_eq!(names(true, &[], true).len(), 4);
        let releases = |name: &&str| name.contains("releases") || name.contains("older");
        assert_eq!(
            names(false, &["permissive", "force", "hashes"], true)
                .into_iter()
                .filter(releases)
                .collect::<Vec<_>>(),
            ["releases-permissive", "releases-force", "older-permissive"]
        );
        let some = names(false, &["permissive", "hashes-only"], false);
        assert_eq!(some.len(), 10);
        assert_eq!(some[..3], ["permissive", "sig_enforce", "lockdown"]);
        let error = boots(false, &["c".to_owned()], false).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no boot of a kernel \"c\"; there are permissive, force, hashes, hashes-only"
        );
    }
}
