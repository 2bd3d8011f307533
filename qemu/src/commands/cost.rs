// SPDX-License-Identifier: MIT OR Apache-2.0

//! `cost`: what checking a module costs with the Rust verifier, with the C one, and by hashes (`make
//! bench`).

use std::path::PathBuf;

use anyhow::Result;
use modsig_qemu::runs::cost::Measurement;
use modsig_testing::vm;

use super::target::Target;

/// Count the instructions that checking a module takes, in Rust and in C
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Unmodified kernel that was built before (else scripts/build/kernel does it)
    #[arg(long)]
    c_kernel: Option<PathBuf>,
    /// Kernel with modsig, likewise
    #[arg(long)]
    rust_kernel: Option<PathBuf>,
    /// Kernel that takes modules by their hashes and by keys, likewise
    #[arg(long)]
    hashes_kernel: Option<PathBuf>,
    /// Kernel that takes modules by their hashes only, likewise
    #[arg(long)]
    keyless_kernel: Option<PathBuf>,
    /// Measure only what modules of a release take
    #[arg(long)]
    releases: bool,
    /// Where the figures go, besides those that are there already
    #[arg(long, default_value = "build/bench.json")]
    json: PathBuf,
}

pub fn run(arguments: &Arguments) -> Result<bool> {
    let measurement = Measurement {
        arch: vm::arch(&arguments.target.arch)?,
        series: &arguments.target.kernel,
        json: &arguments.json,
    };
    if arguments.releases {
        measurement.releases([&arguments.c_kernel, &arguments.hashes_kernel])?;
        return Ok(true);
    }
    measurement.run([
        &arguments.c_kernel,
        &arguments.rust_kernel,
        &arguments.hashes_kernel,
        &arguments.keyless_kernel,
    ])?;
    Ok(true)
}
