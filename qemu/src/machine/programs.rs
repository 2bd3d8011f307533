// SPDX-License-Identifier: MIT OR Apache-2.0

//! The guests' programs, and modules where `modprobe` looks for them.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;
use modsig_testing::script::{path_of, run};

/// Makes `modprobe`'s directory of a release below `root`, with these modules in it.
pub fn module_directory(root: &Path, release: &str, modules: &[(String, Vec<u8>)]) -> Result<()> {
    let directory = root.join("lib/modules").join(release);
    std::fs::create_dir_all(&directory)?;
    // Some kmods look below /usr/lib.
    std::os::unix::fs::symlink(".", root.join("usr"))?;
    for (name, content) in modules {
        std::fs::write(directory.join(format!("{name}.ko")), content)?;
    }
    depmod(root, release)
}

/// Makes the lists by which `modprobe` finds the modules below `root`.
pub fn depmod(root: &Path, release: &str) -> Result<()> {
    run(Command::new("/sbin/depmod")
        .arg("-b")
        .arg(root)
        .arg(release))
}

/// What this machine is, as the kernel's Makefile names it.
pub const HOST: &str = if cfg!(target_arch = "aarch64") {
    "arm64"
} else {
    "x86_64"
};

/// Makes the program modsig for an architecture, and puts it below `root` with the libraries that it needs. Gives its
/// place.
pub fn modsig(arch: &str, root: &Path) -> Result<PathBuf> {
    run(Command::new(path_of("build/guest-modsig"))
        .arg(arch)
        .arg(root))?;
    Ok(root.join("bin/modsig"))
}

/// Compiles a program of `guest/` for an architecture, as clang names it.
pub fn program(name: &str, clang_target: &str) -> Result<Vec<u8>> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("guest/{name}.c"));
    let work = tempfile::tempdir()?;
    let path = work.path().join("init");
    run(Command::new("clang-19")
        .arg(format!("--target={clang_target}"))
        .args([
            "-Wall",
            "-Werror",
            "-Os",
            "-ffreestanding",
            "-fno-stack-protector",
            "-fno-builtin",
        ])
        .args(["-nostdlib", "-static", "-fuse-ld=lld-19", "-o"])
        .arg(&path)
        .arg(source))?;
    Ok(std::fs::read(&path)?)
}
