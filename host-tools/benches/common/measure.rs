// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a program takes.

use std::{
    fs, mem,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::Instant,
};

use anyhow::{bail, ensure, Context, Result};

/// What a run took.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cost {
    /// Seconds by the clock.
    pub(crate) wall: f64,
    /// Seconds of processors, in user space and in the kernel, by it and all its children.
    pub(crate) cpu: f64,
    /// KiB that were resident at most, in that of its processes which had most. It is nothing if it
    /// cannot be told from what this process has, with which a child starts.
    pub(crate) memory: Option<u64>,
}

/// Runs a program, whose output goes to `log`, and which must succeed.
pub(crate) fn measure(command: &mut Command, log: &Path) -> Result<Cost> {
    let output = fs::File::create(log)?;
    command
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output);
    // Of a make that runs this, and of whoever builds kernels.
    for variable in ["MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MODSIG"] {
        command.env_remove(variable);
    }
    let started = Instant::now();
    let child = command.spawn().with_context(|| format!("{command:?}"))?;
    let (status, usage) = wait(&child)?;
    let wall = started.elapsed().as_secs_f64();
    if !status.success() {
        let said = fs::read_to_string(log)?;
        let lines: Vec<&str> = said.lines().rev().take(10).collect();
        let lines = lines.into_iter().rev().collect::<Vec<_>>().join("\n");
        bail!("{command:?}: {status}\n{lines}");
    }
    let own = own_peak()?;
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    Ok(Cost {
        wall,
        cpu: seconds(usage.ru_utime) + seconds(usage.ru_stime),
        memory: Some(usage.ru_maxrss as u64).filter(|&most| most > own),
    })
}

/// KiB of this process that were resident at most.
pub(crate) fn own_peak() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number
        .and_then(|number| number.parse().ok())
        .context("no VmHWM in /proc/self/status")
}

/// As [`Child::wait`], with what it took.
fn wait(child: &Child) -> Result<(ExitStatus, libc::rusage)> {
    let id = child.id() as libc::pid_t;
    let mut status = 0;
    // SAFETY: it is plain numbers, for which 0 is a value.
    let mut usage: libc::rusage = unsafe { mem::zeroed() };
    // SAFETY: both are written to while they are borrowed; nobody else waits for this child.
    let waited = unsafe { libc::wait4(id, &mut status, 0, &mut usage) };
    ensure!(waited == id, "cannot wait for a child");
    Ok((ExitStatus::from_raw(status), usage))
}
