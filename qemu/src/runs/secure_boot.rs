// SPDX-License-Identifier: MIT OR Apache-2.0

//! Machines with Secure Boot: what the firmware does not start, and what becomes of modules on a kernel that it does.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{bail, Context, Result};
use modsig_testing::vm::{self, End};
use modsig_tools::image;
use tempfile::TempDir;

use super::{boots::Harness, page::guest, why};
use crate::{
    corpus::{
        recipe::Pantry,
        secure_boot::{Boot, Module, Refused, SecureBoot},
    },
    judge::secure_boot::{odd_facts, Verdict, FACTS},
    machine::{
        guest::Guest,
        kernels::{Kernel, IMAGE, INTEGRITY},
        secure_boot::{make_keys, Machine, Owner},
    },
};

/// What was seen, in order.
#[derive(Clone, Debug)]
pub enum Seen {
    /// A kernel that was not to be started.
    Refused {
        /// What was tried.
        name: String,
        /// What the console said.
        showed: String,
        /// Whether it was that, and nothing was started.
        is_right: bool,
    },
    /// A kernel that was started.
    Booted {
        /// The boot.
        name: String,
        /// What it was asked of itself, and answered.
        facts: Vec<(&'static str, String)>,
        /// What is not as it should be.
        odd: Vec<String>,
    },
    /// A module that was given to it.
    Module {
        /// The boot.
        boot: String,
        /// The module.
        name: String,
        /// What is to become of it.
        expected: String,
        /// What was said of it, and what came of it.
        verdict: Verdict,
    },
}

/// Firmware in place of Debian's.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// Its code.
    pub code: Option<PathBuf>,
    /// Its variables.
    pub variables: Option<PathBuf>,
}

/// How long it may take firmware to come to a verdict, and a guest to try all modules.
const LIMIT: Duration = Duration::from_secs(300);
const LONG: Duration = Duration::from_secs(900);
/// What a console shows of a kernel that was started.
const STARTED: &str = "Linux version";

/// Exit status and output of each command.
type Answers = Vec<(i32, String)>;

/// What all boots share.
struct Bench<'h> {
    harness: &'h Harness,
    machine: Machine,
    kernel: Kernel,
    release: String,
    pantry: Pantry,
    work: TempDir,
}

/// Tries all of it. Gives what was seen to `each`.
///
/// # Errors
///
/// If the firmware is not fit for it, or a boot does not come to its end. What is not as expected is in what `each`
/// gets.
pub fn run(
    harness: &Harness,
    series: &str,
    given: &Given,
    mut each: impl FnMut(Seen),
) -> Result<()> {
    let mut machine = Machine::new(harness.arch)?;
    machine.code = given.code.clone().unwrap_or(machine.code);
    machine.variables = given.variables.clone().unwrap_or(machine.variables);
    let work = tempfile::tempdir()?;
    let keys = work.path().join("keys");
    fs::create_dir(&keys)?;
    make_keys(&harness.keys, &keys)?;
    let kernel = harness.kernel(series, INTEGRITY)?;
    let release = image::read(&kernel.path(IMAGE))?.release;
    let bench = Bench {
        harness,
        machine,
        release: release.context("no release")?,
        pantry: Pantry {
            keys,
            kernel: kernel.directory.clone(),
        },
        kernel,
        work,
    };
    let all = SecureBoot::of(bench.kernel.series.major())?;
    for boot in &all.boot {
        let done = bench.boot(boot, &all.module, &mut each);
        done.with_context(|| boot.name.clone())?;
    }
    for (index, refused) in all.refused.iter().enumerate() {
        each(bench.refused(index, refused)?);
    }
    Ok(())
}

impl Bench<'_> {
    /// A guest of this machine.
    fn guest(&self, name: &str) -> Guest {
        let name = format!("secure-boot-{name}");
        let mut guest = self.harness.guest(&self.kernel, IMAGE, &name);
        guest.options.qemu = self.machine.qemu();
        guest.options.memory = 1024;
        guest.options.limit = LIMIT;
        guest
    }

    /// Makes a disk on which this guest is a program that this key has signed.
    fn disk(&self, guest: &Guest, key: Option<&str>, by_shim: bool) -> Result<TempDir> {
        let disk = tempfile::tempdir_in(self.work.path())?;
        let image = self.work.path().join("image.efi");
        let command_line = guest.arch.command_line(&guest.options, &guest.append);
        self.machine.unify(
            &guest.image,
            &guest.files.clone().finish(),
            &command_line,
            &image,
        )?;
        if let Some(key) = key {
            let signed = self.work.path().join("signed.efi");
            self.machine.sign(&self.pantry, key, &image, &signed)?;
            fs::rename(&signed, &image)?;
        }
        self.machine
            .disk(&self.pantry, &image, by_shim, disk.path())?;
        Ok(disk)
    }

    /// Does a boot, and tries all modules in it.
    fn boot(&self, boot: &Boot, modules: &[Module], each: &mut impl FnMut(Seen)) -> Result<()> {
        let root = tempfile::tempdir_in(self.work.path())?;
        why::furnish(root.path(), self.harness.arch, &self.kernel, &self.release)?;
        let scripts = self.modules(root.path(), modules)?;
        let guest = self.guest(&boot.name);
        let (facts, texts) = self.start(guest, boot, root.path(), &scripts)?;
        let odd = odd_facts(boot, &facts)?;
        let answers = facts.into_iter().map(|(_, text)| text);
        each(Seen::Booted {
            name: boot.name.clone(),
            facts: FACTS.into_iter().zip(answers).collect(),
            odd,
        });
        for (module, text) in modules.iter().zip(texts) {
            let expected = module.expected(boot, self.kernel.series.major());
            let verdict = Verdict::read(&text, expected);
            each(Seen::Module {
                boot: boot.name.clone(),
                name: module.name.clone(),
                expected: expected.to_owned(),
                verdict: verdict.with_context(|| format!("{}: {text}", module.name))?,
            });
        }
        Ok(())
    }

    /// Has the machine start the kernel, with these files. Gives what the guest answers to [`FACTS`], and what its
    /// scripts print.
    fn start(
        &self,
        mut guest: Guest,
        boot: &Boot,
        root: &Path,
        scripts: &[String],
    ) -> Result<(Answers, Vec<String>)> {
        let owner = match boot.untrusted {
            true => Owner::Untrusted,
            false => Owner::Trusted,
        };
        self.machine.install(&self.pantry, owner)?;
        let mut commands = vec![MOUNT];
        commands.extend(FACTS);
        commands.extend(scripts.iter().map(|text| &text[..]));
        guest.options.limit = LONG;
        guest::pack(&mut guest, &self.harness.tools, root, &commands)?;
        let disk = self.disk(&guest, Some(&boot.signed), boot.shim)?;
        let said = match guest.boot_disk(disk.path(), &REFUSALS)? {
            End::PoweredOff(said) => said,
            End::Showed(sign) => bail!(
                "the kernel was not started: {sign:?} in {}",
                guest.console.display()
            ),
        };
        let mut answers = guest::read(&guest, &said, commands.len())?;
        let texts = answers.split_off(1 + FACTS.len());
        let facts = answers.split_off(1);
        Ok((facts, texts.into_iter().map(|(_, text)| text).collect()))
    }

    /// Puts the modules where their scripts find them.
    fn modules(&self, root: &Path, modules: &[Module]) -> Result<Vec<String>> {
        let mut scripts = vec![];
        for module in modules {
            let directory = format!("lib/modules/{}/{}", self.release, module.directory());
            let file = format!("{directory}/test_module.ko");
            let content = self.pantry.make(&module.recipe);
            fs::create_dir_all(root.join(directory))?;
            fs::write(
                root.join(&file),
                content.with_context(|| module.name.clone())?,
            )?;
            scripts.push(script(&file, module.explain));
        }
        Ok(scripts)
    }

    /// Sees that a kernel is not started.
    fn refused(&self, index: usize, refused: &Refused) -> Result<Seen> {
        self.machine.install(&self.pantry, Owner::Trusted)?;
        let guest = self.guest(&format!("refused-{index}"));
        let disk = self.disk(&guest, refused.signed.as_deref(), refused.shim)?;
        let mut signs = REFUSALS.to_vec();
        signs.push(STARTED);
        let end = vm::run_disk(
            guest.arch,
            disk.path(),
            &guest.console,
            &guest.options,
            &signs,
        );
        let showed = match end.with_context(|| refused.name.clone())? {
            End::Showed(STARTED) => "it was started",
            End::Showed(sign) => sign,
            End::PoweredOff(_) => "it powered off",
        };
        Ok(Seen::Refused {
            name: refused.name.clone(),
            showed: showed.to_owned(),
            is_right: showed == refused.shows,
        })
    }
}

/// What is mounted first.
const MOUNT: &str = "mount -t efivarfs efivarfs /sys/firmware/efi/efivars; \
                     mount -t securityfs security /sys/kernel/security";

/// What consoles show of programs that are not started: the firmware's word, and shim's. Without the number it would be
/// what the firmware says of its own shell, which it tries next.
const REFUSALS: [&str; 2] = ["Access Denied", "(0x1A) Security Violation"];

/// What the guest does with a module: it asks in three ways, then does it.
fn script(file: &str, explain: bool) -> String {
    let explain = match explain {
        true => format!("modsig why /{file} > /said 2>&1; tell explained /said"),
        false => String::new(),
    };
    format!(
        "tell() {{ while IFS= read -r line; do echo \"$1 $line\"; done < $2; }}
modsig why --json /{file} > /answer 2> /errors
echo why $?
tell answer /answer
tell error /errors
modsig verify --running /{file} > /said 2>&1
echo running $?
tell verify /said
modsig verify --next /{file} > /said 2>&1
echo next $?
tell verify /said
{explain}
insmod /{file} > /said 2>&1
echo insert $?
tell said /said
tell loaded /proc/modules
while read -r module rest; do rmmod $module; done < /proc/modules
"
    )
}
