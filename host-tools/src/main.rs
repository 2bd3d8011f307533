// SPDX-License-Identifier: GPL-2.0

//! `modsig`: signs, verifies, inspects and strips kernel modules.

use std::process::ExitCode;

use clap::Parser;

mod commands;

#[derive(Parser)]
#[command(name = "modsig", version, about, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: commands::Command,
}

fn main() -> ExitCode {
    commands::run(Arguments::parse().command)
}
