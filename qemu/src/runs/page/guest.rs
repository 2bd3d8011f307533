// SPDX-License-Identifier: MIT OR Apache-2.0

//! The guest of a page: a shell, kmod, keyctl, and what is in the directory that is its root.

use std::path::Path;

use anyhow::{ensure, Context, Result};

use crate::{machine::guest::Guest, verdict::page::parse};

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

/// Boots a guest that has what is in this directory beside its programs, runs the commands, and
/// gives the exit status and the output of each.
///
/// # Errors
///
/// If it takes too long, or if the console shows that the kernel itself went wrong.
pub fn run(
    mut guest: Guest,
    tools: &Path,
    root: &Path,
    commands: &[&str],
) -> Result<Vec<(i32, String)>> {
    pack(&mut guest, tools, root, commands)?;
    read(&guest, &guest.boot()?, commands.len())
}

/// Like [`run`], but leaves it to the caller to look at the console.
///
/// # Errors
///
/// If it takes too long.
pub fn run_whatever(
    mut guest: Guest,
    tools: &Path,
    root: &Path,
    commands: &[&str],
) -> Result<Vec<(i32, String)>> {
    pack(&mut guest, tools, root, commands)?;
    read(&guest, &guest.run()?, commands.len())
}

/// Gives a guest its programs, what is in this directory, and the commands.
pub fn pack(guest: &mut Guest, tools: &Path, root: &Path, commands: &[&str]) -> Result<()> {
    let files = &mut guest.files;
    files.tree(tools, "")?;
    // Some kmods look below /usr/lib.
    files.directory("usr");
    files.symlink("usr/lib", "../lib");
    files.file("init", INIT.as_bytes());
    files.directory("steps");
    for (index, command) in commands.iter().enumerate() {
        files.file(&format!("steps/{index:03}"), command.as_bytes());
    }
    files.tree(root, "")
}

/// Reads what such a guest has said of this many commands.
pub fn read(guest: &Guest, said: &str, count: usize) -> Result<Vec<(i32, String)>> {
    let console = guest.console.display();
    let results = parse(said).with_context(|| console.to_string())?;
    ensure!(
        results.len() == count,
        "{console}: {} commands were run, not {count}",
        results.len()
    );
    Ok(results)
}
