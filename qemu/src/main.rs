// SPDX-License-Identifier: MIT OR Apache-2.0

//! `modsig-qemu`: the demo, the boot tests, and everything else that runs in a guest.

#![forbid(unsafe_code)]

mod commands;

use std::process::ExitCode;

use clap::Parser;
use commands::Command;

/// Boots kernels and inserts good and bad modules
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    match Arguments::parse().command.run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("modsig-qemu: {error:#}");
            ExitCode::FAILURE
        }
    }
}
