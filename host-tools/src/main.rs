// SPDX-License-Identifier: MIT OR Apache-2.0

//! `modsig`: signs, verifies, inspects and strips kernel modules.

use std::{env, process::ExitCode};

use modsig_tools::{
    commands::{self, Arguments},
    one_time,
};

fn main() -> ExitCode {
    // What `modsig seal` starts is nothing for people.
    one_time::serve(env::args_os()).unwrap_or_else(|| commands::run(Arguments::read()))
}
