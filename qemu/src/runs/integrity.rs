// SPDX-License-Identifier: MIT OR Apache-2.0

//! What decides beside the verifier: keys that only the firmware has, and IMA. The kernel with modsig
//! (flavour `hashes-integrity`) is held against the unmodified one (`c-integrity`).

use std::{collections::BTreeSet, fs};

use anyhow::{ensure, Context, Result};
use modsig_testing::vm;

use super::{boots::Harness, page::guest, seen::Booted};
use crate::machine::{
    boot::WITH_INTEGRITY,
    firmware,
    kernels::{Kernel, C_INTEGRITY, IMAGE, INTEGRITY},
};

/// Writes the keys into the firmware, and does all boots. Gives each to `each` when it is done.
///
/// # Errors
///
/// If a boot does not come to its end. What is not as expected is in what `each` gets.
pub fn run(
    harness: &Harness,
    series: &str,
    quiet: bool,
    mut each: impl FnMut(Booted),
) -> Result<()> {
    let c = harness.kernel(series, C_INTEGRITY)?;
    let rust = harness.kernel(series, INTEGRITY)?;
    same_configuration(&c, &rust)?;
    enrol(harness, &c, &rust)?;
    for boot in &WITH_INTEGRITY {
        let kernel = if boot.flavour == C_INTEGRITY {
            &c
        } else {
            &rust
        };
        let booted = harness.table(kernel, boot, &vm::Options::default(), quiet);
        each(booted.context(boot.name)?);
    }
    Ok(())
}

/// Boots a guest that writes `db` and `dbx` through efivarfs, which the firmware takes from anybody as
/// long as it has no platform key.
fn enrol(harness: &Harness, kernel: &Kernel, files_of: &Kernel) -> Result<()> {
    firmware::install()?;
    let root = tempfile::tempdir()?;
    let mut commands = vec!["mount -t efivarfs efivarfs /sys/firmware/efi/efivars".to_owned()];
    for (name, content) in firmware::variables(&harness.pantry(files_of))? {
        fs::write(root.path().join(name), content)?;
        commands.push(format!("cat /{name} > {}", firmware::path(name)));
    }
    let mut guest = harness.guest(kernel, IMAGE, "enrol");
    guest.options.qemu = firmware::QEMU;
    let texts: Vec<_> = commands.iter().map(|command| &command[..]).collect();
    let results = guest::run(guest, &harness.tools, root.path(), &texts)?;
    for (command, (status, output)) in commands.iter().zip(results) {
        ensure!(
            status == 0,
            "{command}: exit status {status}: {}",
            output.trim_end()
        );
    }
    Ok(())
}

/// Sees that two kernels have the same options but for those about Rust.
fn same_configuration(one: &Kernel, other: &Kernel) -> Result<()> {
    let options = |kernel: &Kernel| -> Result<BTreeSet<String>> {
        let text = fs::read_to_string(kernel.path("config"))?;
        let options = text.lines().filter(|line| line.starts_with("CONFIG_"));
        let of_rust = |line: &&str| line.contains("RUST") || line.contains("BINDGEN");
        let options = options.filter(|line| !of_rust(line));
        Ok(options.map(str::to_owned).collect())
    };
    let (one, other) = (options(one)?, options(other)?);
    let odd: Vec<_> = one.symmetric_difference(&other).collect();
    ensure!(
        odd.is_empty(),
        "the kernels differ in more than the verifier: {odd:?}"
    );
    Ok(())
}
