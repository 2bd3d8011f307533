// SPDX-License-Identifier: GPL-2.0

//! `modsig-qemu`: the demo, the boot tests and the comparison with an unmodified kernel.

use std::{collections::HashMap, path::PathBuf, process::ExitCode};

use anyhow::{ensure, Context, Result};
use clap::Parser;
use modsig::verify::{check, Error, Flags};
use modsig_qemu::{cases, host::host, initramfs, recipe::Pantry, report, script::script, vm};
use modsig_tools::platform::{outcome, Mode};

/// Boots kernels and inserts good and bad modules
#[derive(Parser)]
struct Arguments {
    /// x86_64 or arm64
    #[arg(long, default_value = "x86_64")]
    arch: String,
    /// Kernel series: 6.12, 7.3 or newest
    #[arg(long, default_value = "6.12")]
    kernel: String,
    /// Print only what is not as expected
    #[arg(long)]
    quiet: bool,
    /// Boot the unmodified kernel with its C verifier instead
    #[arg(long)]
    c: bool,
}

/// One boot: a name, the flavour of kernel, what is added to its command line, and the mode.
type Scenario = (&'static str, &'static str, &'static str, Mode);

const RUST: [Scenario; 4] = [
    ("permissive", "permissive", "", Mode::Permissive),
    (
        "sig_enforce",
        "permissive",
        "module.sig_enforce=1",
        Mode::Enforcing,
    ),
    (
        "lockdown",
        "permissive",
        "lockdown=integrity",
        Mode::Lockdown,
    ),
    ("force", "force", "", Mode::Enforcing),
];
const C: [Scenario; 3] = [
    ("c-permissive", "c", "", Mode::Permissive),
    (
        "c-sig_enforce",
        "c",
        "module.sig_enforce=1",
        Mode::Enforcing,
    ),
    ("c-lockdown", "c", "lockdown=integrity", Mode::Lockdown),
];

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("modsig-qemu: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<bool> {
    let arch = vm::arch(&arguments.arch)?;
    let scenarios: &[Scenario] = if arguments.c { &C } else { &RUST };
    let keys = script("test-keys", &[])?;
    let tools = script("guest-tools", &[arch.name])?;
    let init = initramfs::program("init", arch.clang_target)?;
    let mut kernels: HashMap<&str, PathBuf> = HashMap::new();
    let (mut total, mut good) = (0, 0);

    for &(name, flavour, append, mode) in scenarios {
        let kernel = match kernels.get(flavour) {
            Some(kernel) => kernel.clone(),
            None => script("kernel-build", &[&arguments.kernel, arch.name, flavour])?,
        };
        kernels.insert(flavour, kernel.clone());
        let series = kernel
            .file_name()
            .and_then(|name| name.to_str()?.split('-').next())
            .context("kernel-build printed something odd")?
            .to_owned();

        let host = host(&keys, &series)?;
        let table = cases::table(&series)?;
        let pantry = Pantry {
            keys: keys.clone(),
            kernel: kernel.clone(),
        };
        let mut archive = initramfs::Archive::default();
        for directory in ["dev", "proc", "sys", "cases"] {
            archive.directory(directory);
        }
        archive.file("init", &init);
        archive.tree(&tools, "")?;
        let mut list = String::new();
        let mut for_modprobe = vec![];
        for (index, case) in table.iter().enumerate() {
            let file = pantry
                .make(&case.recipe)
                .with_context(|| case.name.clone())?;
            archive.file(&format!("cases/{index:03}"), &file);
            // The kernel's code on the host comes to the same verdict, but for what the loader
            // finds wrong with a module that it was let have.
            let flags = Flags {
                ignore_modversions: case.flags & 1 != 0,
                ignore_vermagic: case.flags & 2 != 0,
            };
            let checked = check(&host, &file, flags);
            let observed = outcome(&checked, mode);
            let expected = case.expect.in_mode(mode);
            // OpenSSL says only that a signature is wrong, the kernel also in what way.
            let wrong_in_some_way = matches!(
                checked.result,
                Err(Error::CertificateSignature(_) | Error::EmbeddedSignature(_))
            ) && ["EBADMSG", "EINVAL"].contains(&expected);
            total += 1;
            if observed == expected
                || wrong_in_some_way
                || (expected == "ENOEXEC" && observed.starts_with("loads"))
            {
                good += 1;
            } else {
                println!(
                    "FAIL  {}: on the host {observed}, not {expected}",
                    case.name
                );
            }
            if case.kmod.is_some() {
                for_modprobe.push((format!("case{index:03}"), file));
            }
            list += &case.list_line(index);
        }
        archive.file("cases/list", list.as_bytes());
        let work = tempfile::tempdir()?;
        initramfs::module_directory(work.path(), cases::RELEASE, &for_modprobe)?;
        archive.tree(&work.path().join("lib"), "lib")?;
        archive.symlink("usr", ".");

        let console = PathBuf::from(format!("build/console/{series}-{}-{name}.log", arch.name));
        let output = vm::boot(
            arch,
            &kernel.join("kernel"),
            &archive.finish(),
            append,
            &console,
        )?;
        let boot = report::parse(&output).with_context(|| console.display().to_string())?;

        // Once on, it stays on; off, it stays off when told so.
        let enforce = if mode == Mode::Enforcing { "YY" } else { "NN" };
        for (when, observed, expected) in [
            ("at boot", &boot.enforce, enforce),
            ("late", &boot.late, "YY"),
        ] {
            total += 1;
            if observed == expected {
                good += 1;
            } else {
                println!("FAIL  {name}: module.sig_enforce {when}: {observed}, not {expected}");
            }
        }
        // The first case once more, now that it is on.
        let attempts: usize = table.iter().map(cases::Case::attempts).sum();
        ensure!(
            boot.attempts.len() == attempts + 1,
            "{name}: {} attempts, not {attempts} and one more",
            boot.attempts.len()
        );

        println!("\nLinux {series}, {}, {name}", arch.name);
        for (index, attempt) in boot.attempts.iter().enumerate() {
            let mode = if index == attempts {
                Mode::Enforcing
            } else {
                mode
            };
            let case = table
                .get(attempt.case)
                .context("the guest made up a case")?;
            let expect = match &case.c {
                Some(c) if arguments.c => c,
                _ => &case.expect,
            };
            let late = if index == attempts {
                ", sig_enforce late"
            } else {
                ""
            };
            let (expected, observed) = (expect.in_mode(mode), attempt.outcome());
            // A module that is said to be loaded has run.
            let ran = !observed.starts_with("loads")
                || attempt
                    .log
                    .iter()
                    .any(|line| line.contains("Hello, world") || line.contains("tests passed"));
            let as_expected = observed == expected && ran;
            total += 1;
            good += usize::from(as_expected);
            if !as_expected || !arguments.quiet {
                println!(
                    "{:4}  {:45} {:11}  {expected:13}  {observed:13}  {}",
                    if as_expected { "ok" } else { "FAIL" },
                    case.name.clone() + late,
                    case.kmod.as_deref().unwrap_or(&attempt.call),
                    attempt.verdict_line()
                );
            }
        }
    }
    println!(
        "\ndemo: {total} cases, {good} as expected, {} not",
        total - good
    );
    Ok(good == total)
}
