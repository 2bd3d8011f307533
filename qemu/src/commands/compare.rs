// SPDX-License-Identifier: MIT OR Apache-2.0

//! `compare`: the verifier in C and the one in Rust, given the same files.

use std::path::{Path, PathBuf};

use anyhow::Result;
use modsig_qemu::runs::{compare::Comparison, outcome::Outcome};
use modsig_testing::vm;

use super::target::Target;

/// Hold the verifier in Rust against the one in C, in every mode
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Chooses the mutants
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A run of less than a minute: all classes, fewer of everything
    #[arg(long)]
    reduced: bool,
    /// With the holes of the C verifier mended (rust/patches/c-fixes): it has to refuse what goes through them
    #[arg(long, conflicts_with = "c_kernel")]
    fixed: bool,
    /// The unmodified kernel, as scripts/build/kernel makes it, in place of a call of that
    #[arg(long, requires = "rust_kernel", value_name = "DIR")]
    c_kernel: Option<PathBuf>,
    /// The kernel with the verifier in Rust
    #[arg(long, requires = "c_kernel", value_name = "DIR")]
    rust_kernel: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Result<bool> {
    let given = arguments
        .c_kernel
        .clone()
        .zip(arguments.rust_kernel.clone());
    let comparison = Comparison {
        arch: vm::arch(&arguments.target.arch)?,
        series: &arguments.target.kernel,
        seed: arguments.seed,
        reduced: arguments.reduced,
        fixed: arguments.fixed,
        kernels: given.map(Into::into),
    };
    let (name, title) = match (arguments.fixed, arguments.reduced) {
        (true, _) => (
            "fixed",
            "the verifier in C with its holes mended, and this one",
        ),
        (false, false) => ("", "the verifier in C and this one, given the same files"),
        (false, true) => ("reduced", "the same with a tenth of the files"),
    };
    let arch = comparison.arch.name;
    let mut outcome = Outcome::begin("compare", name, title, &arguments.target.kernel, arch);
    let result = comparison.run(&mut outcome);
    outcome.end(&result, Path::new("build"))?;
    result?;
    Ok(outcome.good)
}
