// SPDX-License-Identifier: GPL-2.0

//! The guest of a scenario: a shell, kmod, keyctl, and what is in the directory that is its root.

use std::path::Path;

use anyhow::{bail, ensure, Context, Result};

use super::page::Command;
use crate::{initramfs::Archive, vm};

/// The first program. Each command is a file of its own, and what comes of it is told through a
/// port where no kernel message can get in between:
///
/// ```text
/// step STATUS
///   OUTPUT
/// done
/// ```
const INIT: &str = "\
#!/bin/sh
export PATH=/sbin:/bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
mount -t sysfs sys /sys
exec 3> /dev/vport0p1
for step in /steps/*; do
\tsh \"$step\" > /output 2>&1 < /dev/null
\techo \"step $?\" >&3
\tsed 's/^/  /' /output >&3
done
echo done >&3
reboot -f
";

/// What a kernel is booted with.
#[derive(Debug, PartialEq, Eq)]
pub struct Boot<'a> {
    /// The kernel.
    pub image: &'a Path,
    /// What the guest finds at `/`, beside its programs.
    pub root: &'a Path,
    /// More of the kernel's command line.
    pub append: String,
}

/// Boots, runs the commands, and gives the exit status and the output of each.
pub fn run(
    arch: vm::Arch,
    tools: &Path,
    boot: &Boot<'_>,
    commands: &[Command],
    console: &Path,
) -> Result<Vec<(i32, String)>> {
    let mut archive = Archive::default();
    for directory in ["dev", "proc", "sys", "steps"] {
        archive.directory(directory);
    }
    archive.tree(tools, "")?;
    // Some kmods look below /usr/lib.
    archive.directory("usr");
    archive.symlink("usr/lib", "../lib");
    archive.file("init", INIT.as_bytes());
    for (index, command) in commands.iter().enumerate() {
        archive.file(&format!("steps/{index:03}"), command.text.as_bytes());
    }
    archive.tree(boot.root, "")?;
    let archive = archive.finish();
    let options = vm::Options::default();
    let said = vm::boot(arch, boot.image, &archive, &boot.append, console, &options)?;
    let results = parse(&said).with_context(|| console.display().to_string())?;
    ensure!(
        results.len() == commands.len(),
        "{}: {} commands were run, not {}",
        console.display(),
        results.len(),
        commands.len()
    );
    Ok(results)
}

/// Reads what came out of the port.
fn parse(text: &str) -> Result<Vec<(i32, String)>> {
    let mut results: Vec<(i32, String)> = vec![];
    let mut done = false;
    for line in text.lines() {
        if let Some(status) = line.strip_prefix("step ") {
            results.push((status.parse()?, String::new()));
        } else if let Some((output, (_, last))) = line.strip_prefix("  ").zip(results.last_mut()) {
            last.push_str(output);
            last.push('\n');
        } else if line == "done" {
            done = true;
        } else {
            bail!("the guest said {line:?}");
        }
    }
    ensure!(done, "the guest did not come to its end");
    Ok(results)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_guest_says() {
        let results = parse("step 0\nstep 1\n  insmod: no\n  \ndone\n").unwrap();
        assert_eq!(results, [(0, "".into()), (1, "insmod: no\n\n".into())]);
        for wrong in ["step 0\n", "step x\ndone\n", "  a\ndone\n", "what\ndone\n"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
