// SPDX-License-Identifier: GPL-2.0

//! `modsig`: signs, verifies, inspects and strips kernel modules.

use std::process::ExitCode;

use clap::Parser;
use modsig_tools::commands::{self, Arguments};

fn main() -> ExitCode {
    commands::run(Arguments::parse())
}
