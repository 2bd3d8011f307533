// SPDX-License-Identifier: MIT OR Apache-2.0

//! The commands. Each says whether all was as it should be.

mod boots;
mod compare;
mod cost;
mod distro;
mod insert;
mod instruments;
mod integrity;
mod page;
mod parsers;
mod report;
mod secure_boot;
mod target;
mod why;

use anyhow::Result;

/// What is to be done.
#[derive(clap::Subcommand)]
pub enum Command {
    Boots(boots::Arguments),
    Insert(insert::Arguments),
    Compare(compare::Arguments),
    Cost(cost::Arguments),
    Distro(distro::Arguments),
    Instruments(instruments::Arguments),
    Integrity(integrity::Arguments),
    Page(page::Arguments),
    Parsers(parsers::Arguments),
    Report(report::Arguments),
    SecureBoot(secure_boot::Arguments),
    Why(why::Arguments),
}

impl Command {
    /// Does it.
    pub fn run(&self) -> Result<bool> {
        match self {
            Command::Boots(arguments) => boots::run(arguments),
            Command::Insert(arguments) => insert::run(arguments),
            Command::Compare(arguments) => compare::run(arguments),
            Command::Cost(arguments) => cost::run(arguments),
            Command::Distro(arguments) => distro::run(arguments),
            Command::Instruments(arguments) => instruments::run(arguments),
            Command::Integrity(arguments) => integrity::run(arguments),
            Command::Page(arguments) => page::run(arguments),
            Command::Parsers(arguments) => parsers::run(arguments),
            Command::Report(arguments) => report::run(arguments),
            Command::SecureBoot(arguments) => secure_boot::run(arguments),
            Command::Why(arguments) => why::run(arguments),
        }
    }
}
