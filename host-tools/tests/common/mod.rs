// SPDX-License-Identifier: GPL-2.0

//! Running the programs as a person does, each in a directory of its own.

#![allow(dead_code)]

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

/// Enough of a module for the signer; nothing loads it.
pub const MODULE: &[u8] = b"\x7fELF\x02\x01\x01 something that looks like a module";

pub const SIGN: [&str; 6] = ["sign", "--key", "k.pem", "--cert", "c.pem", "m.ko"];
pub const VERIFY: [&str; 4] = ["verify", "--cert", "c.pem", "m.ko"];
pub const SIGN_FILE: &str = env!("CARGO_BIN_EXE_sign-file");
pub const MODSIG: &str = env!("CARGO_BIN_EXE_modsig");

pub fn modsig(work: &TempDir, arguments: &[&str]) -> Output {
    run(work, MODSIG, arguments)
}

pub fn run(work: &TempDir, program: &str, arguments: &[&str]) -> Output {
    Command::new(program)
        .args(arguments)
        .current_dir(work.path())
        .env_remove("KBUILD_SIGN_PIN")
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"))
}

pub fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

pub fn good(output: &Output) {
    assert!(output.status.success(), "{output:?}");
}

/// It has done all, and says this.
pub fn says(output: &Output, text: &str) {
    good(output);
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(out.contains(text), "no {text:?} in {out:?}");
}

pub fn fails(output: &Output, code: i32, message: &str) {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains(message), "no {message:?} in {text:?}");
}

/// A directory with a key of this kind and a module.
pub fn set_up(algorithm: &str) -> TempDir {
    let work = tempfile::tempdir().unwrap();
    let arguments = [
        "keygen",
        "--algorithm",
        algorithm,
        "--key",
        "k.pem",
        "--cert",
        "c.pem",
    ];
    good(&modsig(&work, &arguments));
    fs::write(work.path().join("m.ko"), MODULE).unwrap();
    work
}

pub fn read(work: &TempDir, name: &str) -> Vec<u8> {
    fs::read(work.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub fn module(work: &TempDir) -> Vec<u8> {
    read(work, "m.ko")
}

pub fn no_left_overs(directory: &Path) {
    for entry in fs::read_dir(directory).unwrap() {
        let name = entry.unwrap().file_name();
        assert!(!name.to_string_lossy().starts_with(".modsig-"), "{name:?}");
    }
}

/// Everything in the directory: what can be seen of each file, and its content.
pub fn all_of(work: &TempDir) -> BTreeMap<String, (u64, i64, i64, u32, Vec<u8>)> {
    let mut all = BTreeMap::new();
    for entry in walkdir::WalkDir::new(work.path()) {
        let entry = entry.unwrap();
        if entry.file_type().is_file() {
            let metadata = entry.metadata().unwrap();
            let seen = (
                metadata.ino(),
                metadata.mtime(),
                metadata.mtime_nsec(),
                metadata.mode(),
                fs::read(entry.path()).unwrap(),
            );
            all.insert(entry.path().display().to_string(), seen);
        }
    }
    all
}

/// Runs a script of the project, which prints where something is.
pub fn script(name: &str, arguments: &[&str]) -> PathBuf {
    modsig_testing::script::script(name, arguments).unwrap_or_else(|error| panic!("{error:#}"))
}

/// Where a test kernel is (`make kernels`).
pub fn kernel(series: &str, arch: &str, flavour: &str) -> PathBuf {
    modsig_testing::script::kernel(series, arch, flavour)
        .unwrap_or_else(|error| panic!("{error:#}"))
}

/// Puts into a directory what a build with module hashes has: vmlinux, modules.order, and below lib/
/// this many modules, all different, without proofs.
pub fn build(directory: &Path, count: usize) {
    let kernel = kernel("6.12", "x86_64", "hashes");
    fs::copy(kernel.join("vmlinux"), directory.join("vmlinux")).unwrap();
    let module = fs::read(kernel.join("modules/test_module.ko")).unwrap();
    let (module, _) = modsig_tools::signer::strip(&module);
    fs::create_dir(directory.join("lib")).unwrap();
    let mut order = String::new();
    for number in 0..count {
        let content = [module, format!("{number}").as_bytes()].concat();
        fs::write(directory.join(format!("lib/m{number}.ko")), content).unwrap();
        order += &format!("lib/m{number}.o\n");
    }
    fs::write(directory.join("modules.order"), order).unwrap();
}

/// The source of a kernel series (`scripts/get/kernel-source`).
pub fn kernel_source(series: &str) -> PathBuf {
    script("get/kernel-source", &[series])
}
