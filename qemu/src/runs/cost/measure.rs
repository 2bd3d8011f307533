// SPDX-License-Identifier: MIT OR Apache-2.0

//! Boots kernels that count instructions, and keeps what came of it.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{bail, Context, Result};
use modsig_testing::{results::save_figures, vm::Arch};
use tempfile::NamedTempFile;

use super::{
    code_size, inputs, proofs,
    report::{report, report_proofs},
    Costs, Input, Sizes, Stop,
};
use crate::machine::{
    guest::Guest,
    kernels::{self, Kernel, C, HASHES, IMAGE, KEYLESS, PERMISSIVE},
    root::with_root,
};

/// What is measured.
pub struct Measurement<'a> {
    /// The architecture.
    pub arch: Arch,
    /// The kernel's series, as asked for.
    pub series: &'a str,
    /// Where the figures go, besides those that are there already.
    pub json: &'a Path,
}

impl Measurement<'_> {
    /// Measures, prints, and keeps the figures. Kernels that were built before take the place of
    /// those that scripts build: unmodified, with modsig, by hashes and keys, by hashes only.
    pub fn run(&self, given: [&Option<PathBuf>; 4]) -> Result<()> {
        let arch = self.arch;
        let kernel_of = |given: &Option<PathBuf>, flavour| match given {
            Some(directory) => Kernel::at(directory.clone()),
            None => Kernel::build(self.series, arch, flavour),
        };
        let c = kernel_of(given[0], C)?;
        let rust = kernel_of(given[1], PERMISSIVE)?;
        let keys = kernels::keys()?;

        // One module for both.
        let module = c.path("modules/test_module.ko");
        let module = fs::read(&module).with_context(|| module.display().to_string())?;
        let inputs = inputs(&module, &keys)?;
        let costs = [
            measure(arch, &c.path(IMAGE), &inputs, "c")?,
            measure(arch, &rust.path(IMAGE), &inputs, "rust")?,
        ];
        let series = &c.series;
        let sizes = Sizes::read(&c.objects(arch, C)?, &rust.objects(arch, PERMISSIVE)?)?;

        println!("Linux {series}, {}", arch.name);
        let value = report(&costs, &sizes)?;
        let kernel = format!("{series} {}", arch.name);
        save_figures(self.json, &["guest", &kernel], &value)?;

        let keyless = kernel_of(given[3], KEYLESS)?;
        let both = kernel_of(given[2], HASHES)?;
        // Of signatures, whole calls only.
        let signed = |input: &Input| matches!(input.key.stop, Stop::Unsigned | Stop::Good);
        let signed: Vec<Input> = inputs.into_iter().filter(signed).collect();
        let by_hashes = [
            measure_proofs(arch, &keyless, &module, vec![], KEYLESS)?,
            measure_proofs(arch, &both, &module, signed, HASHES)?,
        ];
        let objects = [&rust, &keyless, &both].map(|kernel| code_size(&kernel.path("modsig.o")));
        let value = report_proofs(&costs[1], &by_hashes, objects)?;
        save_figures(self.json, &["guest-hashes", &kernel], &value)
    }
}

/// Measures proofs, and what else there is, in a kernel that takes the former.
fn measure_proofs(
    arch: Arch,
    kernel: &Kernel,
    module: &[u8],
    signed: Vec<Input>,
    name: &str,
) -> Result<Costs> {
    let original = fs::read(kernel.path(IMAGE))?;
    for other in 0..=u8::MAX {
        let (mut inputs, root) = proofs::inputs(module, other)?;
        let Some(image) = with_root(&original, &root)? else {
            continue;
        };
        let mut file = NamedTempFile::new()?;
        file.write_all(&image)?;
        inputs.extend(signed);
        return measure(arch, file.path(), &inputs, name);
    }
    bail!(
        "{}: there is no root that fits into it",
        kernel.directory.display()
    )
}

/// Boots a kernel that measures.
fn measure(arch: Arch, image: &Path, inputs: &[Input], name: &str) -> Result<Costs> {
    let mut guest = Guest::new(arch, image, &format!("cost-{}-{name}", arch.name));
    guest.program("cost")?;
    let mut list = String::new();
    for (index, input) in inputs.iter().enumerate() {
        for _ in 0..input.repeats() {
            list += &format!("{index:03} 0\n");
        }
        if input.key.is_logged_too() {
            list += &format!("{index:03} 1\n");
        }
    }
    guest.cases(inputs.iter().map(|input| &input.file), &list);
    count_instructions(&mut guest);
    Costs::parse(&guest.boot()?, inputs).with_context(|| guest.console.display().to_string())
}

/// Has a guest's clock count instructions.
pub(in crate::runs) fn count_instructions(guest: &mut Guest) {
    // The counter that the guest reads has its full resolution (on x86_64 it has anyway). A line on
    // the console costs what the console does, not the verifier: none but the gravest.
    guest.append += " loglevel=2";
    guest.options.qemu = match guest.arch.name {
        "arm64" => &[
            "-icount",
            "shift=0,sleep=off",
            "-cpu",
            "max,cntfrq=1000000000",
        ],
        _ => &["-icount", "shift=0,sleep=off"],
    };
}
