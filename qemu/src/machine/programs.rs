// SPDX-License-Identifier: MIT OR Apache-2.0

//! The guests' programs, and modules where `modprobe` looks for them.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
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

/// Makes the program modsig as it is made for everybody, and smaller.
pub fn modsig(directory: &Path) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = path_of("../Cargo.toml");
    let target = directory.join("modsig");
    run(Command::new(&cargo)
        .args([
            "build",
            "--quiet",
            "--locked",
            "-p",
            "modsig-tools",
            "--bin",
            "modsig",
        ])
        .arg("--manifest-path")
        .arg(&manifest))?;
    let output = Command::new(&cargo)
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--manifest-path",
        ])
        .arg(&manifest)
        .output()?;
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let built = metadata["target_directory"]
        .as_str()
        .context("no target directory")?;
    run(Command::new("/usr/lib/llvm-19/bin/llvm-strip")
        .arg("-o")
        .arg(&target)
        .arg(Path::new(built).join("debug/modsig")))?;
    Ok(target)
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
