// SPDX-License-Identifier: MIT OR Apache-2.0

//! A distribution's kernel with modsig in it (`scripts/build/distro-kernel`), given all modules that the
//! distribution has built and signed, and some that were altered. Its unmodified kernel is given the same.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{ensure, Context, Result};
use modsig_testing::{
    script::{run, script},
    vm::{self, Arch},
};

use super::{cost::measure::count_instructions, page::guest, seen::Observation};
use crate::{
    judge::why::Answer,
    machine::{guest::Guest, kernels, programs},
    verdict::{
        distro::{
            complaints, counts, differences, listed, loads, modules, timed, Listed, Loads, LOADS,
            REJECTED,
        },
        errno::error_of,
    },
};

/// Both kernels are to take signed modules only, and to be locked down.
const STRICT: &str = "module.sig_enforce=1 lockdown=integrity";
/// What `modsig why` calls that. The kernel looks at this one first.
const MODE: &str = "sig_enforce";
/// The module that is altered. It needs no hardware and no other module.
const MODULE: &str = "kernel/drivers/net/dummy.ko.xz";
/// Modules that are not loaded, because it would not come to an end: speakup's drivers wait for a synthesizer at a
/// serial port, and hold a lock that the next one waits for.
const ENDLESS: &str = "kernel/drivers/accessibility/speakup/";
/// A kernel that loads fewer of the modules shows nothing.
const ENOUGH: usize = 50;
/// How many modules' costs are counted, at most.
const MEASURED: usize = 200;
/// How often their loading is timed in each boot, and how many boots of each kernel there are, in turn.
const ROUNDS: usize = 5;
const BOOTS: usize = 2;

/// The two kernels, and what the distribution has built for them.
pub struct Kernels {
    arch: Arch,
    /// The release of both.
    pub release: String,
    /// Where the one with modsig is.
    directory: PathBuf,
    /// Where the distribution's own is.
    distribution: PathBuf,
    tools: PathBuf,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Seen {
    /// What came of the distribution's modules, and of how many of them. Many need hardware that is not there.
    pub outcomes: BTreeMap<String, usize>,
    /// Those that load and need no other module.
    alone: Vec<Listed>,
    /// Everything that was looked at.
    pub observations: Vec<Observation>,
}

/// A file that is neither as the distribution has signed it, nor signed by it.
struct Altered {
    name: &'static str,
    path: PathBuf,
    /// What becomes of it, as insmod has it.
    expected: &'static str,
}

impl Kernels {
    /// Builds the one, and gets the other.
    pub fn build(flavour: &str) -> Result<Self> {
        let directory = script("build/distro-kernel", &[flavour])?;
        let arch = vm::arch(match flavour {
            "arm64" => "arm64",
            _ => "x86_64",
        })?;
        let release = fs::read_to_string(directory.join("release"))?;
        Ok(Kernels {
            arch,
            release: release.trim_end().to_owned(),
            distribution: fs::canonicalize(directory.join("distribution"))?,
            directory,
            tools: script("get/guest-tools", &[arch.name])?,
        })
    }

    /// What they are built for.
    pub fn arch(&self) -> &'static str {
        self.arch.name
    }

    /// Does all of it.
    ///
    /// # Errors
    ///
    /// If a file cannot be made, or a boot does not come to its end. What is not as expected is told.
    pub fn run(&self) -> Result<Seen> {
        let work = tempfile::tempdir()?;
        let modsig = programs::modsig(programs::HOST, work.path())?;
        let mut seen = Seen::default();
        let root = work.path().join("root");
        let altered = self.altered(&modsig, &root.join("altered"))?;
        let list = self.distribution.join("lib/modules").join(&self.release);
        let mut all = listed(&fs::read_to_string(list.join("modules.dep"))?)?;
        self.foresee(&modsig, all.len(), &mut seen)?;
        all.retain(|one| !one.path.starts_with(ENDLESS));
        let names: Vec<_> = all.iter().map(|one| one.name.clone() + "\n").collect();
        fs::write(root.join("names"), names.concat())?;
        let own = self.boot(&self.distribution.join("vmlinuz"), "c", &root, &altered)?;
        let with = self.boot(&self.directory.join("kernel"), "modsig", &root, &altered)?;

        for (index, file) in altered.iter().enumerate() {
            let answer = Command::new(&modsig)
                .args(["why", "--json", "--kernel"])
                .arg(self.directory.join("kernel"))
                .arg(&file.path)
                .output()?;
            let answer = Answer::parse(&String::from_utf8_lossy(&answer.stdout))?;
            let foreseen = answer.modes.get(MODE).map_or("nothing", |mode| mode);
            let mut tell = |call: &str, observed: &str, log: &str| {
                let mut one = Observation::new(file.name, call, file.expected, observed);
                log.clone_into(&mut one.log);
                seen.observations.push(one);
            };
            tell("why", foreseen, "");
            for (call, booted) in [("Debian's own", &own), ("with modsig", &with)] {
                tell(call, &booted.altered[index].0, &booted.altered[index].1);
            }
            // Whose verdict it was.
            if file.expected != LOADS {
                let said = |booted: &Booted| match booted.altered[index].1.contains("modsig: ") {
                    true => "modsig",
                    false => "C",
                };
                seen.observations.extend([
                    Observation::new(file.name, "verdict of Debian's own", "C", said(&own)),
                    Observation::new(file.name, "verdict of the other", "modsig", said(&with)),
                ]);
            }
        }
        for (what, one, other) in [
            ("modprobe", &own.loads, &with.loads),
            ("/proc/modules", &own.modules, &with.modules),
        ] {
            for (name, [one, other]) in differences(one, other) {
                let word = |what: Option<String>| what.unwrap_or_else(|| "is not there".to_owned());
                seen.observations
                    .push(Observation::new(&name, what, &word(one), &word(other)));
            }
        }
        for (name, outcome) in &with.loads {
            let rejected = outcome.contains(REJECTED);
            let observed = if rejected { REJECTED } else { "signed well" };
            seen.observations
                .push(Observation::new(name, "signature", "signed well", observed));
        }
        for (what, one, other) in [
            ("the mode", &own.mode, &with.mode),
            ("tainted", &own.tainted, &with.tainted),
            ("what went wrong", &own.trouble, &with.trouble),
        ] {
            seen.observations
                .push(Observation::new(what, "read", one, other));
        }
        let loads = |one: &Listed| with.loads.get(&one.name).is_some_and(|what| what == LOADS);
        seen.alone = all;
        seen.alone.retain(|one| one.alone && loads(one));
        for outcome in with.loads.values() {
            *seen.outcomes.entry(outcome.clone()).or_default() += 1;
        }
        let load = seen.outcomes.get(LOADS).copied().unwrap_or_default();
        let enough = if load < ENOUGH { "fewer" } else { "enough" };
        seen.observations.push(Observation::new(
            "modules that load",
            "count",
            "enough",
            enough,
        ));
        Ok(seen)
    }

    /// What finit_module(2) costs of each module that needs no other one and no hardware, in instructions: by
    /// name, in the distribution's own kernel and in the one with modsig. Each is loaded, then given to the
    /// kernel again, which checks its signature before it sees that the module is there: that is counted.
    ///
    /// # Errors
    ///
    /// If a module is not there after all.
    pub fn cost(&self, seen: &Seen) -> Result<Vec<(String, [u64; 2])>> {
        let directory = self.distribution.join("lib/modules").join(&self.release);
        let files: Result<Vec<_>> = seen
            .alone
            .iter()
            .take(MEASURED)
            .map(|one| Ok((one.name.clone(), unpacked(&directory.join(&one.path))?)))
            .collect();
        let files = files?;
        let own = self.count(&self.distribution.join("vmlinuz"), "c", &files)?;
        let with = self.count(&self.directory.join("kernel"), "modsig", &files)?;
        let names = files.into_iter().map(|(name, _)| name);
        let both = own.into_iter().zip(with).map(|(own, with)| [own, with]);
        Ok(names.zip(both).collect())
    }

    /// How long modprobe takes for the same modules, one after the other: the seconds of each round in the
    /// distribution's own kernel, and in the one with modsig; and of how many modules. The two are booted in turn,
    /// and what cannot be taken out again is left out.
    ///
    /// # Errors
    ///
    /// If a module does not load after all.
    pub fn time(&self, seen: &Seen) -> Result<([Vec<f64>; 2], usize)> {
        let work = tempfile::tempdir()?;
        let names = seen.alone.iter().take(MEASURED);
        let names: Vec<_> = names.map(|one| one.name.clone() + "\n").collect();
        fs::write(work.path().join("names"), names.concat())?;
        let (mut seconds, mut count) = ([vec![], vec![]], None);
        for boot in 0..BOOTS {
            for (at, (image, name)) in [
                (self.distribution.join("vmlinuz"), "c"),
                (self.directory.join("kernel"), "modsig"),
            ]
            .into_iter()
            .enumerate()
            {
                let console = format!("distro-{}-time-{name}-{boot}", self.release);
                let mut guest = self.with_modules(&image, &console)?;
                guest.append += " loglevel=2";
                let said = guest::run_whatever(guest, &self.tools, work.path(), &[TIMED])?;
                let (some, rounds) = timed(&said[0].1, ROUNDS)?;
                ensure!(
                    *count.get_or_insert(some) == some,
                    "{some} modules in one boot, and {count:?} in another"
                );
                seconds[at].extend(rounds);
            }
        }
        Ok((seconds, count.unwrap_or_default()))
    }

    fn count(&self, image: &Path, name: &str, files: &[(String, Vec<u8>)]) -> Result<Vec<u64>> {
        let console = format!("distro-{}-cost-{name}", self.release);
        let mut guest = Guest::new(self.arch, image, &console);
        guest.program("cost")?;
        guest.append = STRICT.to_owned();
        count_instructions(&mut guest);
        guest.options.memory = 2048;
        guest.options.limit = Duration::from_secs(1200);
        let list: String = (0..files.len())
            .map(|index| format!("{index:03} 0\n"))
            .collect();
        guest.cases(files.iter().map(|(_, file)| file), &list);
        counts(&guest.run()?, files.len()).with_context(|| guest.console.display().to_string())
    }

    /// Whether `modsig verify` takes all of the distribution's modules for good, given the image.
    fn foresee(&self, modsig: &Path, modules: usize, seen: &mut Seen) -> Result<()> {
        let directory = self.distribution.join("lib/modules").join(&self.release);
        let output = Command::new(modsig)
            .args(["verify", "--mode", "lockdown", "--kernel"])
            .arg(self.directory.join("kernel"))
            .arg(&directory)
            .output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        let last = said.lines().last().unwrap_or_default();
        let expected = format!("{modules} good");
        seen.observations
            .push(Observation::new("all modules", "verify", &expected, last));
        Ok(())
    }

    /// Makes the files that are not as the distribution made them, and one that is, into a directory.
    fn altered(&self, modsig: &Path, directory: &Path) -> Result<Vec<Altered>> {
        fs::create_dir_all(directory)?;
        let packed = self.distribution.join("lib/modules").join(&self.release);
        let signed = unpacked(&packed.join(MODULE))?;
        let mut altered = vec![];
        let mut put = |name: &'static str, content: &[u8], expected| -> Result<PathBuf> {
            let path = directory.join(format!("{}.ko", name.replace(' ', "-")));
            fs::write(&path, content)?;
            let file = path.clone();
            altered.push(Altered {
                name,
                path,
                expected,
            });
            Ok(file)
        };
        put("as it was", &signed, LOADS)?;
        let mut other = signed.clone();
        other[signed.len() / 2] ^= 1;
        put("one bit changed", &other, "EKEYREJECTED")?;
        put(
            "one byte missing",
            &[&signed[..99], &signed[100..]].concat(),
            "EKEYREJECTED",
        )?;
        put(
            "cut at its end",
            &signed[..signed.len() - 1],
            "EKEYREJECTED",
        )?;
        let unsigned = put("not signed", &signed, "EKEYREJECTED")?;
        run(Command::new(modsig).arg("strip").arg(&unsigned))?;
        let foreign = put("signed by another", &fs::read(&unsigned)?, "EKEYREJECTED")?;
        let keys = kernels::keys()?;
        run(Command::new(modsig)
            .arg("sign")
            .arg("--key")
            .arg(keys.join("untrusted.key.pem"))
            .arg("--cert")
            .arg(keys.join("untrusted.cert.pem"))
            .arg(&foreign))?;
        Ok(altered)
    }

    /// A guest with the distribution's modules, which takes signed ones only.
    fn with_modules(&self, image: &Path, console: &str) -> Result<Guest> {
        let mut guest = Guest::new(self.arch, image, console);
        guest.append = STRICT.to_owned();
        guest.options.memory = 4096;
        guest.options.limit = Duration::from_secs(7200);
        guest.files.directory("lib");
        guest.files.tree(&self.distribution.join("lib"), "lib")?;
        Ok(guest)
    }

    /// Boots a kernel, inserts the altered files, then loads all modules there are by modprobe.
    fn boot(&self, image: &Path, name: &str, root: &Path, altered: &[Altered]) -> Result<Booted> {
        let guest = self.with_modules(image, &format!("distro-{}-{name}", self.release))?;
        let console = guest.console.clone();
        let mut commands = vec![
            "mount -t securityfs security /sys/kernel/security; busybox uname -r; \
             cat /sys/module/module/parameters/sig_enforce /sys/kernel/security/lockdown"
                .to_owned(),
        ];
        for file in altered {
            let name = file.path.file_name().context("a path without a name")?;
            let path = format!("/altered/{}", name.to_string_lossy());
            commands.push(format!(
                "dmesg -c > /dev/null; insmod {path} && rmmod dummy"
            ));
            commands.push("dmesg".to_owned());
        }
        let load = "while read -r name; do modprobe $name; echo \"= $? $name\"; done < /names";
        commands.push(load.to_owned());
        commands.push("cat /proc/sys/kernel/tainted /proc/modules".to_owned());
        let texts: Vec<_> = commands.iter().map(|command| &command[..]).collect();
        let said = guest::run_whatever(guest, &self.tools, root, &texts)?;
        let [(_, mode), middle @ .., (_, all), (_, after)] = &said[..] else {
            unreachable!("as many results as commands")
        };
        let told = |pair: &[(i32, String)]| {
            let words = pair[0].1.trim();
            let observed = match pair[0].0 {
                0 => LOADS.to_owned(),
                _ => words
                    .rsplit(": ")
                    .next()
                    .and_then(error_of)
                    .unwrap_or(words)
                    .to_owned(),
            };
            (observed, pair[1].1.clone())
        };
        let (tainted, list) = after.split_once('\n').context("nothing about taint")?;
        Ok(Booted {
            mode: mode.split_whitespace().collect::<Vec<_>>().join(" "),
            altered: middle.chunks(2).map(told).collect(),
            loads: loads(all)?,
            tainted: tainted.to_owned(),
            modules: modules(list),
            // Drivers without hardware may complain: what matters is that both do.
            trouble: complaints(&vm::troubles(&fs::read(console)?)),
        })
    }
}

/// Loads all modules of a list and takes them out again, then times that with those that are out: prints how many
/// those are, and of each round when it began and ended, by the guest's clock.
const TIMED: &str = r#"
load() { while read -r name; do modprobe "$name" || echo "bad $name"; done < /names; }
unload() { while read -r name; do modprobe -r "$name" 2> /dev/null; done < /names; }
load
unload
while read -r name; do
    busybox grep -q "^$(echo "$name" | busybox tr - _) " /proc/modules || echo "$name"
done < /names > /out
busybox mv /out /names
busybox wc -l < /names
for round in 1 2 3 4 5; do
    read -r begin rest < /proc/uptime
    load
    read -r end rest < /proc/uptime
    echo "$begin $end"
    unload
done"#;

/// What is in a module file that xz has packed.
fn unpacked(path: &Path) -> Result<Vec<u8>> {
    let output = Command::new("xz").arg("-dc").arg(path).output()?;
    ensure!(output.status.success(), "xz: {}", path.display());
    Ok(output.stdout)
}

/// What a kernel did.
struct Booted {
    /// Its release, and how strict it is.
    mode: String,
    /// What came of each altered file, and what the kernel logged of it.
    altered: Vec<(String, String)>,
    /// What came of each module.
    loads: Loads,
    /// Its taint, as a number.
    tainted: String,
    /// What is loaded.
    modules: BTreeMap<String, String>,
    /// The first line that shows that the kernel itself went wrong.
    trouble: String,
}
