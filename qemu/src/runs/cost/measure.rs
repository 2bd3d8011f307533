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
    code_size, inputs, proofs, releases,
    report::{report, report_proofs, report_releases},
    Costs, Input, Sizes, Stop,
};
use crate::{
    corpus::recipe::Pantry,
    machine::{
        guest::Guest,
        kernels::{self, Kernel, C, HASHES, IMAGE, KEYLESS, PERMISSIVE},
        root::with_root,
    },
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
        let c = self.kernel(given[0], C)?;
        let rust = self.kernel(given[1], PERMISSIVE)?;
        let keys = kernels::keys()?;

        let module = module(&c)?;
        let files = inputs(&module, &keys)?;
        let costs = [
            measure(arch, &c.path(IMAGE), &files, "c")?,
            measure(arch, &rust.path(IMAGE), &files, "rust")?,
        ];
        let series = &c.series;
        let sizes = Sizes::read(&c.objects(arch, C)?, &rust.objects(arch, PERMISSIVE)?)?;

        println!("Linux {series}, {}", arch.name);
        let value = report(&costs, &sizes)?;
        let kernel = format!("{series} {}", arch.name);
        save_figures(self.json, &["guest", &kernel], &value)?;

        let keyless = self.kernel(given[3], KEYLESS)?;
        let both = self.kernel(given[2], HASHES)?;
        let by_hashes = [
            measure_proofs(arch, &keyless, &module, vec![], KEYLESS)?,
            measure_all(arch, &both, &module, files, keys)?,
        ];
        let objects = [&rust, &keyless, &both].map(|kernel| code_size(&kernel.path("modsig.o")));
        let value = report_proofs(&costs[1], &by_hashes, objects)?;
        save_figures(self.json, &["guest-hashes", &kernel], &value)?;
        let value = report_releases(&by_hashes[1], series)?;
        save_figures(self.json, &["guest-releases", &kernel], &value)
    }

    /// The same of releases alone. The kernels are the unmodified one, of which there is the module, and
    /// that which goes by hashes and keys.
    pub fn releases(&self, given: [&Option<PathBuf>; 2]) -> Result<()> {
        let c = self.kernel(given[0], C)?;
        let both = self.kernel(given[1], HASHES)?;
        let keys = kernels::keys()?;
        let module = module(&c)?;
        let files = inputs(&module, &keys)?;
        let costs = measure_all(self.arch, &both, &module, files, keys)?;
        println!("Linux {}, {}", c.series, self.arch.name);
        let kernel = format!("{} {}", c.series, self.arch.name);
        let value = report_releases(&costs, &c.series)?;
        save_figures(self.json, &["guest-releases", &kernel], &value)
    }

    fn kernel(&self, given: &Option<PathBuf>, flavour: &str) -> Result<Kernel> {
        match given {
            Some(directory) => Kernel::at(directory.clone()),
            None => Kernel::build(self.series, self.arch, flavour),
        }
    }
}

/// The module that all files are made of, for all kernels.
fn module(kernel: &Kernel) -> Result<Vec<u8>> {
    let path = kernel.path("modules/test_module.ko");
    fs::read(&path).with_context(|| path.display().to_string())
}

/// Measures all kinds in a kernel that takes all of them: of signatures, whole calls only.
fn measure_all(
    arch: Arch,
    kernel: &Kernel,
    module: &[u8],
    files: Vec<Input>,
    keys: PathBuf,
) -> Result<Costs> {
    let signed = |input: &Input| matches!(input.key.stop, Stop::Unsigned | Stop::Good);
    let mut signed: Vec<Input> = files.into_iter().filter(signed).collect();
    let pantry = Pantry {
        keys,
        kernel: kernel.directory.clone(),
    };
    signed.extend(releases::inputs(module, &pantry, &kernel.series)?);
    measure_proofs(arch, kernel, module, signed, HASHES)
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
        let how = if input.key.stop == Stop::First { 2 } else { 0 };
        for _ in 0..input.repeats() {
            list += &format!("{index:03} {how}\n");
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
