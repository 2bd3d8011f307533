// SPDX-License-Identifier: MIT OR Apache-2.0

//! Runs a kernel under QEMU.

use std::{
    ffi::OsString,
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{ensure, Context, Result};

/// What differs between architectures.
#[derive(Clone, Copy, Debug)]
pub struct Arch {
    /// As the kernel's Makefile and `scripts/build/kernel` name it.
    pub name: &'static str,
    /// As clang names it.
    pub clang_target: &'static str,
    qemu: &'static str,
    machine: &'static str,
    console: &'static str,
    /// What the kernel's command line must have.
    append: &'static str,
}

const ARCHS: [Arch; 2] = [
    Arch {
        name: "x86_64",
        clang_target: "x86_64-linux-gnu",
        qemu: "qemu-system-x86_64",
        machine: "q35",
        console: "ttyS0",
        // The kernel gives up if an emulated timer is late, as it is on a busy host.
        append: "no_timer_check",
    },
    Arch {
        name: "arm64",
        clang_target: "aarch64-linux-gnu",
        qemu: "qemu-system-aarch64",
        machine: "virt",
        console: "ttyAMA0",
        append: "",
    },
];

/// Finds an architecture by its name.
pub fn arch(name: &str) -> Result<Arch> {
    let found = ARCHS.into_iter().find(|arch| arch.name == name);
    found.with_context(|| format!("unknown architecture {name}; known are x86_64 and arm64"))
}

/// What a guest is given.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many CPUs.
    pub cpus: u32,
    /// How much memory, in MiB.
    pub memory: u32,
    /// How long it may take.
    pub limit: Duration,
    /// What its kernel's command line has, whatever it is booted for.
    pub append: &'static str,
    /// More options for QEMU; of those given twice, QEMU takes the last.
    pub qemu: &'static [&'static str],
}

/// Enough for a guest that needs a few seconds.
impl Default for Options {
    fn default() -> Self {
        Options {
            cpus: 1,
            memory: 512,
            limit: Duration::from_secs(180),
            append: "",
            qemu: &[],
        }
    }
}

/// The first line of a console that shows that the kernel itself went wrong.
pub fn trouble(console: &[u8]) -> Option<String> {
    troubles(console).into_iter().next()
}

/// All lines of a console that show that the kernel itself went wrong.
pub fn troubles(console: &[u8]) -> Vec<String> {
    const SIGNS: [&str; 6] = [
        "Kernel panic",
        "Oops",
        "WARNING:",
        "BUG:",
        "UBSAN",
        "rust_kernel: panicked",
    ];
    let log = String::from_utf8_lossy(console);
    let wrong = |line: &&str| SIGNS.iter().any(|sign| line.contains(sign));
    let lines = log.lines().filter(wrong);
    lines.map(|line| line.trim().to_owned()).collect()
}

impl Arch {
    /// The command line of a guest's kernel.
    pub fn command_line(&self, options: &Options, append: &str) -> String {
        format!(
            "console={} panic=-1 {} {} {append}",
            self.console, self.append, options.append
        )
    }
}

/// Boots a kernel with an initramfs, waits until it powers off, and returns what it wrote to its
/// verdict port. The console goes into a file of its own; whether there is [`trouble`] in it is for
/// the caller to see.
///
/// # Errors
///
/// If it takes too long, or if QEMU itself says that something is wrong.
pub fn run(
    arch: Arch,
    kernel: &Path,
    initramfs: &[u8],
    append: &str,
    console: &Path,
    options: &Options,
) -> Result<String> {
    let work = tempfile::tempdir()?;
    let initrd = work.path().join("initramfs");
    fs::write(&initrd, initramfs)?;
    let start: [OsString; 6] = [
        "-kernel".into(),
        kernel.into(),
        "-initrd".into(),
        initrd.into(),
        "-append".into(),
        arch.command_line(options, append).into(),
    ];
    let verdict = work.path().join("verdict");
    qemu(arch, &start, &verdict, console, options, &[])?;
    said(&verdict)
}

/// How a guest came to its end that firmware was to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It powered off, and had written this to its verdict port.
    PoweredOff(String),
    /// Its console showed this, of what was waited for.
    Showed(&'static str),
}

/// Has firmware (it is among the options) start what is in a directory, which the guest has as a disk. Ends it as soon
/// as the console shows one of the signs. Else it is as [`run`].
///
/// # Errors
///
/// If it takes too long, or if QEMU itself says that something is wrong.
pub fn run_disk(
    arch: Arch,
    disk: &Path,
    console: &Path,
    options: &Options,
    signs: &[&'static str],
) -> Result<End> {
    let work = tempfile::tempdir()?;
    let start: [OsString; 4] = [
        "-drive".into(),
        format!(
            "if=none,id=disk,format=raw,readonly=on,file=fat:{}",
            disk.display()
        )
        .into(),
        "-device".into(),
        "virtio-blk-pci,drive=disk".into(),
    ];
    let verdict = work.path().join("verdict");
    // What an earlier guest has shown says nothing of this one.
    if console.exists() {
        fs::remove_file(console)?;
    }
    match qemu(arch, &start, &verdict, console, options, signs)? {
        Some(sign) => Ok(End::Showed(sign)),
        None => Ok(End::PoweredOff(said(&verdict)?)),
    }
}

/// What a guest wrote to its verdict port.
fn said(verdict: &Path) -> Result<String> {
    let verdict = fs::read(verdict).context("the guest has said nothing")?;
    Ok(String::from_utf8_lossy(&verdict).into_owned())
}

/// Runs QEMU until the guest powers off, or until its console shows one of the signs, which it then returns.
fn qemu(
    arch: Arch,
    start: &[OsString],
    verdict: &Path,
    console: &Path,
    options: &Options,
    signs: &[&'static str],
) -> Result<Option<&'static str>> {
    if let Some(directory) = console.parent() {
        fs::create_dir_all(directory)?;
    }
    // TCG: boots take seconds, and a KVM that exists need not work.
    let mut child = Command::new(arch.qemu)
        .args(["-machine", arch.machine, "-accel", "tcg", "-cpu", "max"])
        // Each in a socket of its own: without ACPI a kernel on x86_64 sees no others.
        .args(["-smp", &format!("{0},sockets={0}", options.cpus)])
        .args(["-m", &options.memory.to_string()])
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
        .args(start)
        .args(options.qemu)
        .stdin(Stdio::null())
        .spawn()
        .with_context(|| format!("{}: cannot start; run scripts/setup", arch.qemu))?;
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        let sign = shown(console, signs)?;
        if sign.is_some() || start.elapsed() > options.limit {
            child.kill()?;
            child.wait()?;
            ensure!(
                sign.is_some(),
                "the guest did not end in {:?}; see {}",
                options.limit,
                console.display()
            );
            return Ok(sign);
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    // A guest that panics ends well, too: see `trouble`.
    ensure!(
        status.success(),
        "{}: {status}; see {}",
        arch.qemu,
        console.display()
    );
    Ok(None)
}

/// The sign that a console shows.
fn shown(console: &Path, signs: &[&'static str]) -> Result<Option<&'static str>> {
    if signs.is_empty() || !console.exists() {
        return Ok(None);
    }
    let console = fs::read(console)?;
    let console = String::from_utf8_lossy(&console);
    Ok(signs.iter().copied().find(|sign| console.contains(sign)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_qemu_that_fails_is_an_error() {
        let work = tempfile::tempdir().unwrap();
        let with = |qemu| {
            let arch = Arch { qemu, ..ARCHS[0] };
            let console = work.path().join("console");
            run(
                arch,
                Path::new("kernel"),
                &[],
                "",
                &console,
                &Options::default(),
            )
            .unwrap_err()
            .to_string()
        };
        assert!(with("false").starts_with("false: exit status: 1; see "));
        assert_eq!(with("true"), "the guest has said nothing");
    }
}
