// SPDX-License-Identifier: MIT OR Apache-2.0

//! Boots kernels and gives them modules: all cases of a table, or files of one's own.

use std::{fs, path::PathBuf};

use anyhow::{ensure, Context, Result};
use modsig::verify::Flags;
use modsig_testing::{
    script::script,
    vm::{self, Arch},
};
use modsig_tools::platform::{outcome, Mode};

use super::seen::{Booted, Observation, HOST, READ, TAINTS};
use crate::{
    corpus::{
        cases::{self, Case, Change, Table, MODULE_INIT_COMPRESSED_FILE},
        recipe::Pantry,
    },
    judge::host::{add_firmware, host, on_host, Changing},
    machine::{
        boot::{mode_name, Boot},
        firmware,
        guest::Guest,
        kernels::{self, Kernel, C, C_INTEGRITY, INTEGRITY},
        programs,
    },
    verdict::init::{self, Attempt, DONE},
};

/// What IMA is told: all modules have to be signed with its key, beside the file or at its end.
const IMA_POLICY: &str = "appraise func=MODULE_CHECK appraise_type=imasig|modsig\n";
/// Its key.
const IMA_KEY: &str = "leaf";
/// What the verifier is not asked for, or does not say of itself: what IMA refuses, and that the search for a
/// key ended at one that was revoked where it is.
const NOT_ON_HOST: [&str; 2] = ["EACCES", "EKEYREVOKED"];
/// Who vouches for what is put on the blacklist.
const BLACKLIST_KEY: &str = "rsa2048";

/// Everything that boots on one architecture share.
pub struct Harness {
    /// The architecture.
    pub arch: Arch,
    /// Where the test keys are.
    pub keys: PathBuf,
    pub(super) tools: PathBuf,
}

impl Harness {
    /// Makes or finds the keys and the guest's programs.
    pub fn new(arch: &str) -> Result<Self> {
        let arch = vm::arch(arch)?;
        Ok(Harness {
            arch,
            keys: kernels::keys()?,
            tools: script("get/guest-tools", &[arch.name])?,
        })
    }

    /// Builds or finds a kernel of a series.
    pub fn kernel(&self, series: &str, flavour: &str) -> Result<Kernel> {
        Kernel::build(series, self.arch, flavour)
    }

    /// Makes files for a kernel.
    pub fn pantry(&self, kernel: &Kernel) -> Pantry {
        Pantry {
            keys: self.keys.clone(),
            kernel: kernel.directory.clone(),
        }
    }

    /// A guest of a kernel, whose console has this name.
    pub fn guest(&self, kernel: &Kernel, image: &str, name: &str) -> Guest {
        let console = format!("{}-{}-{name}", kernel.series, self.arch.name);
        Guest::new(self.arch, &kernel.path(image), &console)
    }

    /// What the kernel's code on the host makes of a file that this kernel is given.
    pub fn verdict(&self, kernel: &Kernel, file: &[u8], mode: Mode) -> Result<&'static str> {
        let mut host = host(&self.keys, &kernel.series, None)?;
        host.accept_releases();
        Ok(outcome(&host.check(file, Flags::default()), mode))
    }

    /// Boots a kernel, tries every case of the table, prints what came of it (if `quiet`, only what
    /// is not as expected) and returns all of it.
    pub fn table(
        &self,
        kernel: &Kernel,
        boot: &Boot,
        options: &vm::Options,
        quiet: bool,
    ) -> Result<Booted> {
        let Boot { name, mode, .. } = *boot;
        let table = boot.table.cases(kernel.series.name())?;
        let mut seen = vec![];
        let mut guest = self.guest(kernel, boot.image, name);
        guest.append = boot.append().to_owned();
        guest.options = *options;
        self.pack(&mut guest, kernel, boot, &table, &mut seen)?;
        let console = guest.console.display().to_string();
        let said = init::parse(&guest.boot()?).with_context(|| console.clone())?;

        // Once on, it stays on; off, it stays off when told so.
        let enforce = if mode == Mode::Enforcing { "YY" } else { "NN" };
        for (when, observed, expected) in [
            ("at boot", &said.enforce, enforce),
            ("late", &said.late, "YY"),
        ] {
            if observed != expected {
                println!("FAIL  {name}: module.sig_enforce {when}: {observed}, not {expected}");
            }
            let case = format!("module.sig_enforce {when}");
            seen.push(Observation::new(&case, READ, expected, observed));
        }
        let due = table.iter().enumerate();
        let due =
            due.flat_map(|(index, case)| case.attempts().iter().map(move |call| (index, *call)));
        let attempts = due.clone().count();
        // The first case once more, now that it is on.
        said.in_order(due.chain([(0, "finit")]))?;

        println!("\nLinux {}, {}, {name}", kernel.series, self.arch.name);
        for (index, attempt) in said.attempts.iter().enumerate() {
            let late = index == attempts;
            let case = table
                .get(attempt.case)
                .context("the guest made up a case")?;
            let mode = if late { Mode::Enforcing } else { mode };
            let expected = match &case.c {
                Some(c) if [C, C_INTEGRITY].contains(&boot.flavour) => c.of(&attempt.call, mode),
                _ => boot.expected(case, &attempt.call, mode),
            };
            let letters = match expected {
                TAINTS => format!("{TAINTS} {}", case.taint()),
                other => other.to_owned(),
            };
            let expected = &letters[..];
            let mut observed = attempt.outcome();
            // A module that is said to be loaded has run.
            let mut log = attempt.log.iter();
            let runs =
                |line: &String| line.contains("Hello, world") || line.contains("tests passed");
            if observed.starts_with("loads") && !log.any(runs) {
                observed += ", yet has not run";
            }
            let name = case.name.clone() + if late { ", sig_enforce late" } else { "" };
            let call = case.kmod.as_deref().unwrap_or(&attempt.call);
            let mut one = Observation::new(&name, call, expected, &observed);
            attempt.verdict_line().clone_into(&mut one.log);
            if !one.ok || !quiet {
                println!(
                    "{:4}  {name:45} {call:11}  {expected:16}  {observed:16}  {}",
                    if one.ok { "ok" } else { "FAIL" },
                    one.log
                );
            }
            if !one.ok {
                one.more = [&attempt.said[..], &attempt.log].concat();
            }
            seen.push(one);
        }
        Ok(Booted {
            name: name.to_owned(),
            flavour: boot.flavour.to_owned(),
            mode: mode_name(mode).to_owned(),
            table: boot.table.file().to_owned(),
            console,
            observations: seen,
        })
    }

    /// Gives a guest these files, as that boot does, compressed ones by finit_module(2)'s flag for
    /// them; an attempt for each.
    pub fn insert(&self, mut guest: Guest, boot: &Boot, paths: &[PathBuf]) -> Result<Vec<Attempt>> {
        ensure!(paths.len() <= 1000, "more than 1000 files in one boot");
        guest.append = boot.append().to_owned();
        guest.program("init")?;
        let mut list = String::new();
        let mut files = vec![];
        for (index, path) in paths.iter().enumerate() {
            let file = fs::read(path).with_context(|| path.display().to_string())?;
            let compressed = !file.starts_with(b"\x7fELF");
            let flags = u8::from(compressed) * MODULE_INIT_COMPRESSED_FILE;
            list += &format!("{index:03} {flags}f\n");
            files.push(file);
        }
        guest.cases(&files, &list);
        let said = init::parse(&guest.boot()?);
        let mut said = said.with_context(|| guest.console.display().to_string())?;
        // The guest tries the first file once more, with module.sig_enforce switched on.
        let due = (0..files.len()).chain([0]).map(|index| (index, "finit"));
        said.in_order(due)?;
        said.attempts.pop();
        Ok(said.attempts)
    }

    /// Packs the guest's files, and sees that the kernel's code on the host comes to the verdicts
    /// of the table.
    fn pack(
        &self,
        guest: &mut Guest,
        kernel: &Kernel,
        boot: &Boot,
        table: &[Case],
        seen: &mut Vec<Observation>,
    ) -> Result<()> {
        let pantry = match boot.flavour {
            // The same files for both.
            C_INTEGRITY => self.pantry(&self.kernel(kernel.series.name(), INTEGRITY)?),
            _ => self.pantry(kernel),
        };
        let mut host = host(&self.keys, &kernel.series, boot.hashes(kernel)?)?;
        if boot.table == Table::Platform {
            add_firmware(&mut host, &pantry)?;
        }
        if boot.knows_releases() {
            host.accept_releases();
        }
        let mut host = Changing::new(host);
        guest.program("init")?;
        guest.files.tree(&self.tools, "")?;
        match boot.table {
            Table::Platform => guest.options.qemu = firmware::QEMU,
            Table::Ima => {
                guest.files.directory("ima");
                guest.files.file("ima/policy", IMA_POLICY.as_bytes());
                // CONFIG_IMA_X509_PATH
                let key = pantry.certificate(IMA_KEY)?.to_der()?;
                guest.files.file("ima.der", &key);
            }
            Table::Signatures | Table::Hashes | Table::Releases => {}
        }
        let mut list = String::new();
        let mut files = vec![];
        let mut for_modprobe = vec![];
        for (index, case) in table.iter().enumerate() {
            let (mut file, label) = pantry
                .labelled(&case.recipe)
                .with_context(|| case.name.clone())?;
            list += &case.list_line(index, &file)?;
            let calls = case.attempts().iter();
            let expected = calls
                .map(|call| boot.expected(case, call, boot.mode))
                .find(|expected| !NOT_ON_HOST.contains(expected));
            if let Some(change) = case.keys {
                if expected == Some(DONE) {
                    host.change(change, &file)?;
                }
                if [Change::BlacklistFile, Change::BlacklistCertificate].contains(&change) {
                    let description = change.description(&file)?;
                    file = pantry.signature(description.as_bytes(), BLACKLIST_KEY)?;
                }
                files.push(file);
                continue;
            }
            // It is this verifier on the host, not the C one.
            if let Some(expected) = expected.filter(|_| boot.flavour != C_INTEGRITY) {
                let host = &host.now;
                let (observed, ok) = on_host(host, &file, case.flags, boot.mode, expected)?;
                if !ok {
                    println!(
                        "FAIL  {}: on the host {observed}, not {expected}",
                        case.name
                    );
                }
                let one = Observation::new(&case.name, HOST, expected, observed);
                seen.push(Observation { ok, ..one });
            }
            if let Some(label) = label {
                guest.files.file(&format!("ima/{index:03}"), &label);
            }
            if case.kmod.is_some() {
                for_modprobe.push((format!("case{index:03}"), file.clone()));
            }
            files.push(file);
        }
        guest.cases(&files, &list);
        let work = tempfile::tempdir()?;
        programs::module_directory(work.path(), cases::RELEASE, &for_modprobe)?;
        guest.files.tree(&work.path().join("lib"), "lib")?;
        guest.files.symlink("usr", ".");
        Ok(())
    }
}
