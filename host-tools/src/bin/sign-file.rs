// SPDX-License-Identifier: MIT OR Apache-2.0

//! `sign-file`: signs a module as the kernel's program of that name.

use std::process::ExitCode;

use clap::Parser;
use modsig_tools::commands::sign_file::{self, Arguments};

fn main() -> ExitCode {
    sign_file::run(&Arguments::parse())
}
