// SPDX-License-Identifier: GPL-2.0

//! Runs a kernel under QEMU.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{bail, Context, Result};

/// What differs between architectures.
#[derive(Clone, Copy, Debug)]
pub struct Arch {
    /// As the kernel's Makefile and `scripts/kernel-build` name it.
    pub name: &'static str,
    /// As clang names it.
    pub clang_target: &'static str,
    qemu: &'static str,
    machine: &'static str,
    console: &'static str,
}

const ARCHS: [Arch; 2] = [
    Arch {
        name: "x86_64",
        clang_target: "x86_64-linux-gnu",
        qemu: "qemu-system-x86_64",
        machine: "q35",
        console: "ttyS0",
    },
    Arch {
        name: "arm64",
        clang_target: "aarch64-linux-gnu",
        qemu: "qemu-system-aarch64",
        machine: "virt",
        console: "ttyAMA0",
    },
];

/// Finds an architecture by its name.
pub fn arch(name: &str) -> Result<Arch> {
    let found = ARCHS.into_iter().find(|arch| arch.name == name);
    found.with_context(|| format!("unknown architecture {name}; known are x86_64 and arm64"))
}

/// How long a guest may take. It needs a few seconds.
const LIMIT: Duration = Duration::from_secs(180);

/// What is left of a guest that has ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// What it wrote to its verdict port.
    pub verdict: String,
    /// What its console says of the kernel itself having gone wrong.
    pub trouble: Option<&'static str>,
}

/// Boots a kernel with an initramfs, waits until it powers off, and returns what it wrote to its
/// verdict port. The console goes into a file of its own.
///
/// # Errors
///
/// If it takes too long, or if the console shows that the kernel itself went wrong.
pub fn boot(
    arch: Arch,
    kernel: &Path,
    initramfs: &[u8],
    append: &str,
    console: &Path,
) -> Result<String> {
    boot_with(arch, kernel, initramfs, append, &[], console)
}

/// As [`boot`], with more options for QEMU; of those given twice, QEMU takes the last.
///
/// # Errors
///
/// As [`boot`].
pub fn boot_with(
    arch: Arch,
    kernel: &Path,
    initramfs: &[u8],
    append: &str,
    options: &[&str],
    console: &Path,
) -> Result<String> {
    let ended = run(arch, kernel, initramfs, append, options, console, LIMIT)?;
    if let Some(trouble) = ended.trouble {
        bail!("{trouble} in {}", console.display());
    }
    Ok(ended.verdict)
}

/// The same for a guest that may take longer, and of which one wants to know how far it came.
///
/// # Errors
///
/// If it takes longer than that.
pub fn run(
    arch: Arch,
    kernel: &Path,
    initramfs: &[u8],
    append: &str,
    options: &[&str],
    console: &Path,
    limit: Duration,
) -> Result<Ended> {
    let work = tempfile::tempdir()?;
    let initrd = work.path().join("initramfs");
    let verdict = work.path().join("verdict");
    fs::write(&initrd, initramfs)?;
    if let Some(directory) = console.parent() {
        fs::create_dir_all(directory)?;
    }
    // TCG: boots take seconds, and a KVM that exists need not work.
    let mut child = Command::new(arch.qemu)
        .args([
            "-machine",
            arch.machine,
            "-accel",
            "tcg",
            "-cpu",
            "max",
            "-m",
            "512",
        ])
        .args([
            "-display",
            "none",
            "-monitor",
            "none",
            "-nodefaults",
            "-no-reboot",
        ])
        .arg("-serial")
        .arg(format!("file:{}", console.display()))
        .args([
            "-device",
            "virtio-serial-pci",
            "-device",
            "virtserialport,chardev=verdict",
        ])
        .arg("-chardev")
        .arg(format!("file,id=verdict,path={}", verdict.display()))
        .arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(&initrd)
        .arg("-append")
        .arg(format!("console={} panic=-1 {append}", arch.console))
        .args(options)
        .stdin(Stdio::null())
        .spawn()
        .with_context(|| format!("{}: cannot start; run scripts/setup", arch.qemu))?;
    let start = Instant::now();
    while child.try_wait()?.is_none() {
        if start.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            bail!(
                "the guest did not end in {limit:?}; see {}",
                console.display()
            );
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let log = String::from_utf8_lossy(&fs::read(console)?).into_owned();
    let trouble = [
        "Kernel panic",
        "Oops",
        "WARNING:",
        "BUG:",
        "UBSAN",
        "rust_kernel: panicked",
    ]
    .into_iter()
    .find(|trouble| log.contains(trouble));
    let verdict = fs::read(&verdict).context("the guest has said nothing")?;
    Ok(Ended {
        verdict: String::from_utf8_lossy(&verdict).into_owned(),
        trouble,
    })
}
