// SPDX-License-Identifier: MIT OR Apache-2.0

//! `parsers`: the X.509 parser in C and the one in Rust, given the same certificates.

use std::path::{Path, PathBuf};

use anyhow::Result;
use modsig_qemu::{
    machine::kernels::{Kernel, PARSERS, PARSERS_C},
    runs::{outcome::Outcome, parsers::Comparison},
};
use modsig_testing::vm;

use super::target::Target;

/// Hold the kernel's X.509 parser in Rust against the one in C, by add_key(2) and kexec_file_load(2)
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Chooses the mutants
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Certificates that are in use, in PEM
    #[arg(
        long,
        default_value = "/etc/ssl/certs/ca-certificates.crt",
        value_name = "FILE"
    )]
    real: PathBuf,
    /// An image for kexec_file_load(2); may be given several times
    #[arg(long, value_name = "FILE")]
    image: Vec<PathBuf>,
    /// A kernel with the parser in C, as scripts/build/kernel makes it, in place of a call of that
    #[arg(long, requires = "rust_kernel", value_name = "DIR")]
    c_kernel: Option<PathBuf>,
    /// The kernel with the parser in Rust
    #[arg(long, requires = "c_kernel", value_name = "DIR")]
    rust_kernel: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Result<bool> {
    let arch = vm::arch(&arguments.target.arch)?;
    let kernel = |given: &Option<PathBuf>, flavour| match given {
        Some(directory) => Kernel::at(directory.clone()),
        None => Kernel::build(&arguments.target.kernel, arch, flavour),
    };
    let comparison = Comparison {
        arch,
        c: kernel(&arguments.c_kernel, PARSERS_C)?,
        rust: kernel(&arguments.rust_kernel, PARSERS)?,
        seed: arguments.seed,
        real: &arguments.real,
        images: &arguments.image,
    };
    let title = "the X.509 parser in C and the one in Rust";
    let mut outcome = Outcome::begin("parsers", "", title, &arguments.target.kernel, arch.name);
    let result = comparison.run(&mut outcome);
    outcome.end(&result, Path::new("build"))?;
    result?;
    Ok(outcome.good)
}
