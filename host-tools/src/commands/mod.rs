// SPDX-License-Identifier: GPL-2.0

//! The subcommands, one file each.

use std::process::ExitCode;

mod attach;
mod certs;
mod inspect;
mod keygen;
mod manifest;
mod replace;
mod report;
mod sign;
mod strip;
mod verify;
mod why;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Sign modules
    Sign(sign::Arguments),
    /// Say what a kernel with these certificates would do with modules
    Verify(verify::Arguments),
    /// Show what is appended to modules
    Inspect(inspect::Arguments),
    /// Take signatures off modules
    Strip(strip::Arguments),
    /// Append signatures that were made elsewhere, after checking them
    Attach(attach::Arguments),
    /// List the certificates that a kernel image has built in
    Certs(certs::Arguments),
    /// Explain why a module would not load here, or with a kernel image, and what to do
    Why(why::Arguments),
    /// Make a key and its certificate
    Keygen(keygen::Arguments),
}

/// Exit status of a command that did nothing, as clap's of wrong arguments. Some bad modules are 1.
const COULD_NOT_RUN: u8 = 2;

pub(crate) fn run(command: Command) -> ExitCode {
    let result = match command {
        Command::Sign(arguments) => sign::run(&arguments),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Strip(arguments) => strip::run(&arguments),
        Command::Attach(arguments) => attach::run(&arguments),
        Command::Certs(arguments) => certs::run(&arguments),
        Command::Why(arguments) => why::run(&arguments),
        Command::Keygen(arguments) => keygen::run(&arguments),
    };
    result.unwrap_or_else(|error| {
        report::complain(&error);
        ExitCode::from(COULD_NOT_RUN)
    })
}
