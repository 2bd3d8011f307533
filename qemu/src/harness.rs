// SPDX-License-Identifier: GPL-2.0

//! From the scripts' keys and kernels to a verdict on each case of the table.

use std::{fs, path::PathBuf};

use anyhow::{ensure, Context, Result};
use modsig::verify::{check, Error, Flags};
use modsig_tools::{
    compression::Compression,
    image::{self, Hashes},
    platform::{outcome, Host, Mode},
};

use crate::{
    cases::{self, Case, Table},
    host::host,
    initramfs::{self, Archive},
    recipe::Pantry,
    record,
    report::{self, Attempt},
    script::script,
    vm,
};

/// Tells finit_module(2) that the file is compressed (linux/module.h).
const MODULE_INIT_COMPRESSED_FILE: u8 = 4;

/// One boot.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// What it is called.
    pub name: &'static str,
    /// The flavour of kernel.
    pub flavour: &'static str,
    /// Which of its images: [`IMAGE`] or [`IMAGE_NO_ROOT`].
    pub image: &'static str,
    /// The cases that are tried.
    pub table: Table,
    /// What is added to the kernel's command line.
    pub append: &'static str,
    /// What that makes of modules nobody has vouched for.
    pub mode: Mode,
}

/// The image of a kernel.
pub const IMAGE: &str = "kernel";
/// The same before the root of module hashes was written, in flavours that have one.
pub const IMAGE_NO_ROOT: &str = "kernel-no-root";

/// The flavour that takes modules by their hashes or by a key.
pub const HASHES: &str = "hashes";
/// The flavour that takes modules by their hashes, and has no keys.
pub const KEYLESS: &str = "hashes-only";

impl Scenario {
    /// What this verifier must make of a case in a mode.
    fn expected<'c>(&self, case: &'c Case, mode: Mode) -> &'c str {
        let expect = match &case.keyless {
            Some(keyless) if self.flavour == KEYLESS => keyless,
            _ => &case.expect,
        };
        match expect.in_mode(mode) {
            // What others load for its proof.
            "loads" if self.image == IMAGE_NO_ROOT => "EKEYREJECTED",
            expected => expected,
        }
    }

    /// How the image that is booted knows modules by their hashes.
    fn hashes(&self, kernel: &Kernel) -> Result<Option<Hashes>> {
        let path = kernel.directory.join(self.image);
        let hashes = image::read(&path)?.hashes;
        let keys = match self.flavour {
            HASHES => Some(true),
            KEYLESS => Some(false),
            _ => None,
        };
        ensure!(
            hashes.map(|hashes| hashes.keys) == keys,
            "{}: built with other options than {} has",
            path.display(),
            self.flavour
        );
        Ok(hashes)
    }
}

/// A kernel that was built.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// Where it and its modules are.
    pub directory: PathBuf,
    /// Its series.
    pub series: String,
}

/// How many were looked at, and how many of them were as expected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All.
    pub total: usize,
    /// Those as expected.
    pub good: usize,
}

/// Everything that boots on one architecture share.
pub struct Harness {
    /// The architecture.
    pub arch: vm::Arch,
    /// Where the test keys are.
    pub keys: PathBuf,
    tools: PathBuf,
    init: Vec<u8>,
}

impl Harness {
    /// Makes or finds the keys and the guest's programs.
    pub fn new(arch: &str) -> Result<Self> {
        let arch = vm::arch(arch)?;
        let keys = script("build/keys", &[])?;
        Ok(Harness {
            arch,
            keys,
            tools: script("get/guest-tools", &[arch.name])?,
            init: initramfs::program("init", arch.clang_target)?,
        })
    }

    /// Builds or finds a kernel of a series.
    pub fn kernel(&self, series: &str, flavour: &str) -> Result<Kernel> {
        let directory = script("build/kernel", &[series, self.arch.name, flavour])?;
        let series = directory
            .file_name()
            .and_then(|name| name.to_str()?.split('-').next())
            .context("kernel-build printed something odd")?
            .to_owned();
        Ok(Kernel { directory, series })
    }

    /// Makes files for a kernel.
    pub fn pantry(&self, kernel: &Kernel) -> Pantry {
        Pantry {
            keys: self.keys.clone(),
            kernel: kernel.directory.clone(),
        }
    }

    /// Where the console of a boot is kept.
    pub fn console(&self, kernel: &Kernel, name: &str) -> PathBuf {
        PathBuf::from(format!(
            "build/console/{}-{}-{name}.log",
            kernel.series, self.arch.name
        ))
    }

    /// What the kernel's code on the host makes of a file that this kernel is given.
    pub fn verdict(&self, kernel: &Kernel, file: &[u8], mode: Mode) -> Result<&'static str> {
        let host = host(&self.keys, &kernel.series, None)?;
        Ok(outcome(&check(&host, file, Flags::default()), mode))
    }

    /// Boots a kernel, tries every case of the table, prints what came of it (if `quiet`, only what
    /// is not as expected) and returns all of it.
    pub fn table(
        &self,
        kernel: &Kernel,
        scenario: &Scenario,
        options: &vm::Options,
        quiet: bool,
    ) -> Result<record::Boot> {
        let Scenario { name, mode, .. } = *scenario;
        let table = scenario.table.cases(&kernel.series)?;
        let mut seen = vec![];
        let archive = self.archive(kernel, scenario, &table, &mut seen)?;
        let console = self.console(kernel, name);
        let output = vm::boot(
            self.arch,
            &kernel.directory.join(scenario.image),
            &archive,
            scenario.append,
            &console,
            options,
        )?;
        let boot = report::parse(&output).with_context(|| console.display().to_string())?;

        // Once on, it stays on; off, it stays off when told so.
        let enforce = if mode == Mode::Enforcing { "YY" } else { "NN" };
        for (when, observed, expected) in [
            ("at boot", &boot.enforce, enforce),
            ("late", &boot.late, "YY"),
        ] {
            if observed != expected {
                println!("FAIL  {name}: module.sig_enforce {when}: {observed}, not {expected}");
            }
            let case = format!("module.sig_enforce {when}");
            seen.push(record::Attempt::new(&case, "read", expected, observed));
        }
        // The first case once more, now that it is on.
        let attempts: usize = table.iter().map(Case::attempts).sum();
        ensure!(
            boot.attempts.len() == attempts + 1,
            "{name}: {} attempts, not {attempts} and one more",
            boot.attempts.len()
        );

        println!("\nLinux {}, {}, {name}", kernel.series, self.arch.name);
        for (index, attempt) in boot.attempts.iter().enumerate() {
            let mode = if index == attempts {
                Mode::Enforcing
            } else {
                mode
            };
            let case = table
                .get(attempt.case)
                .context("the guest made up a case")?;
            let expected = match &case.c {
                Some(c) if scenario.flavour == "c" => c.in_mode(mode),
                _ => scenario.expected(case, mode),
            };
            let late = if index == attempts {
                ", sig_enforce late"
            } else {
                ""
            };
            let mut observed = attempt.outcome();
            // A module that is said to be loaded has run.
            let mut log = attempt.log.iter();
            let runs =
                |line: &String| line.contains("Hello, world") || line.contains("tests passed");
            if observed.starts_with("loads") && !log.any(runs) {
                observed += ", yet has not run";
            }
            let name = case.name.clone() + late;
            let call = case.kmod.as_deref().unwrap_or(&attempt.call);
            let mut one = record::Attempt::new(&name, call, expected, &observed);
            attempt.verdict_line().clone_into(&mut one.log);
            if !one.ok || !quiet {
                println!(
                    "{:4}  {name:45} {call:11}  {expected:13}  {observed:13}  {}",
                    if one.ok { "ok" } else { "FAIL" },
                    one.log
                );
            }
            if !one.ok {
                one.more = [&attempt.said[..], &attempt.log].concat();
            }
            seen.push(one);
        }
        Ok(record::Boot {
            name: name.to_owned(),
            flavour: scenario.flavour.to_owned(),
            mode: match mode {
                Mode::Permissive => "permissive".to_owned(),
                Mode::Enforcing => "enforcing".to_owned(),
                Mode::Lockdown => "lockdown".to_owned(),
            },
            table: scenario.table.file().to_owned(),
            console: console.display().to_string(),
            attempts: seen,
        })
    }

    /// Boots a kernel and gives it these files, compressed ones by finit_module(2)'s flag for them;
    /// an attempt for each.
    pub fn insert(
        &self,
        kernel: &Kernel,
        scenario: &Scenario,
        files: &[PathBuf],
    ) -> Result<Vec<Attempt>> {
        ensure!(files.len() <= 1000, "more than 1000 files in one boot");
        let mut archive = Archive::default();
        for directory in ["dev", "proc", "sys", "cases"] {
            archive.directory(directory);
        }
        archive.file("init", &self.init);
        let mut list = String::new();
        for (index, path) in files.iter().enumerate() {
            let file = fs::read(path).with_context(|| path.display().to_string())?;
            let compressed = !file.starts_with(b"\x7fELF");
            let flags = u8::from(compressed) * MODULE_INIT_COMPRESSED_FILE;
            list += &format!("{index:03} {flags}f\n");
            archive.file(&format!("cases/{index:03}"), &file);
        }
        archive.file("cases/list", list.as_bytes());
        let console = self.console(kernel, &format!("insert-{}", scenario.name));
        let output = vm::boot(
            self.arch,
            &kernel.directory.join(scenario.image),
            &archive.finish(),
            scenario.append,
            &console,
            &vm::Options::default(),
        )?;
        let boot = report::parse(&output).with_context(|| console.display().to_string())?;
        let mut attempts = boot.attempts;
        // The guest tries the first file once more, with module.sig_enforce switched on.
        attempts.truncate(files.len());
        Ok(attempts)
    }

    /// Packs the guest's files, and sees that the kernel's code on the host comes to the verdicts
    /// of the table.
    fn archive(
        &self,
        kernel: &Kernel,
        scenario: &Scenario,
        table: &[Case],
        seen: &mut Vec<record::Attempt>,
    ) -> Result<Vec<u8>> {
        let pantry = self.pantry(kernel);
        let host = host(&self.keys, &kernel.series, scenario.hashes(kernel)?)?;
        let mode = scenario.mode;
        let mut archive = Archive::default();
        for directory in ["dev", "proc", "sys", "cases"] {
            archive.directory(directory);
        }
        archive.file("init", &self.init);
        archive.tree(&self.tools, "")?;
        let mut list = String::new();
        let mut for_modprobe = vec![];
        for (index, case) in table.iter().enumerate() {
            let file = pantry
                .make(&case.recipe)
                .with_context(|| case.name.clone())?;
            archive.file(&format!("cases/{index:03}"), &file);
            let expected = scenario.expected(case, mode);
            let (observed, as_expected) = verdict(&host, &file, case.flags, mode, expected)?;
            if !as_expected {
                println!(
                    "FAIL  {}: on the host {observed}, not {expected}",
                    case.name
                );
            }
            let one = record::Attempt::new(&case.name, record::HOST, expected, observed);
            let ok = as_expected;
            seen.push(record::Attempt { ok, ..one });
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
        Ok(archive.finish())
    }
}

/// What the kernel's code on the host makes of a file, and whether that is what is expected of a
/// kernel.
fn verdict(
    host: &Host,
    file: &[u8],
    flags: u8,
    mode: Mode,
    expected: &str,
) -> Result<(&'static str, bool)> {
    let unpacked;
    let file = if flags & MODULE_INIT_COMPRESSED_FILE == 0 {
        file
    } else {
        let compression = Compression::of(file).context("not compressed")?;
        unpacked = compression.unpack(file)?;
        &unpacked
    };
    let flags = Flags {
        ignore_modversions: flags & 1 != 0,
        ignore_vermagic: flags & 2 != 0,
    };
    let checked = check(host, file, flags);
    let observed = outcome(&checked, mode);
    // OpenSSL says only that a signature is wrong, the kernel also in what way.
    let wrong_in_some_way = matches!(
        checked.result,
        Err(Error::CertificateSignature(_) | Error::EmbeddedSignature(_))
    ) && ["EBADMSG", "EINVAL"].contains(&expected);
    // The loader finds something else wrong with a module that it was let have.
    let not_a_module = expected == "ENOEXEC" && observed.starts_with("loads");
    let as_expected = observed == expected || wrong_in_some_way || not_a_module;
    Ok((observed, as_expected))
}

#[cfg(test)]
mod tests {
    use modsig::verify::merkle::Root;

    use super::*;
    use crate::hashes::tests::build;

    #[test]
    fn the_host_says_what_the_table_of_hashes_says() {
        let keys = script("build/keys", &[]).unwrap();
        let work = tempfile::tempdir().unwrap();
        let root = build(work.path(), &["test_module", "test_hexdump"]);
        let pantry = Pantry {
            keys: keys.clone(),
            kernel: work.path().into(),
        };
        let files: Vec<_> = Table::Hashes
            .cases("6.12")
            .unwrap()
            .into_iter()
            .map(|case| (pantry.make(&case.recipe).unwrap(), case))
            .collect();
        let mut odd = vec![];
        for (flavour, image, root) in [
            (HASHES, IMAGE, root),
            (KEYLESS, IMAGE, root),
            (KEYLESS, IMAGE_NO_ROOT, Root::default()),
        ] {
            let hashes = Hashes {
                root,
                keys: flavour == HASHES,
            };
            let host = host(&keys, "6.12", Some(hashes)).unwrap();
            for mode in [Mode::Permissive, Mode::Enforcing, Mode::Lockdown] {
                let scenario = Scenario {
                    name: "",
                    flavour,
                    image,
                    table: Table::Hashes,
                    append: "",
                    mode,
                };
                for (file, case) in &files {
                    let expected = scenario.expected(case, mode);
                    let (observed, as_expected) =
                        verdict(&host, file, case.flags, mode, expected).unwrap();
                    if !as_expected {
                        let name = &case.name;
                        odd.push(format!("{name}: {flavour}, {image}, {mode:?}: {observed}"));
                    }
                }
            }
        }
        assert_eq!(odd, Vec::<String>::new());
    }
}
