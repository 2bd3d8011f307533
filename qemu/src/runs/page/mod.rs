// SPDX-License-Identifier: MIT OR Apache-2.0

//! Follows the pages of `Documentation/scenarios`, each from its configuration to a boot in which
//! the right modules load and the wrong ones do not.

pub(super) mod guest;
mod plan;
mod shown;

use std::{
    ffi::OsString,
    fs::{self, File},
    io::Write,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
    process::{self, Stdio},
};

use anyhow::{ensure, Context, Result};
use modsig_testing::{
    script::{path_of, script},
    vm::{self, Arch},
};
use rustix::fs::FlockOperation;

use self::{
    plan::{Command, Plan, Step},
    shown::Known,
};
use crate::{machine::guest::Guest, runs::outcome::Outcome};

/// Where the pages are.
fn pages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../Documentation/scenarios")
}

/// A page that can be followed.
#[derive(Debug)]
pub struct Page {
    /// The name of its file.
    pub name: String,
    /// Its heading.
    pub title: String,
    path: PathBuf,
}

impl Page {
    /// All there are, by name.
    pub fn all() -> Result<Vec<Self>> {
        let mut all = vec![];
        for entry in fs::read_dir(pages())? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let name = name.and_then(|name| name.strip_suffix(".md"));
            // The table of contents, and editors' files.
            let Some(name) = name.filter(|name| *name != "README" && !name.starts_with('.')) else {
                continue;
            };
            let text = fs::read_to_string(&path)?;
            // One that starts from another's configuration is followed elsewhere.
            if !text.contains("\n```kconfig\n") {
                continue;
            }
            all.push(Page {
                name: name.to_owned(),
                title: Plan::parse(&text)
                    .with_context(|| path.display().to_string())?
                    .title,
                path,
            });
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }
}

/// How pages are followed.
pub struct Runner {
    arch: Arch,
    /// The kernel's series, as asked for.
    kernel: String,
    tools: PathBuf,
    /// Print only what is not as the pages say.
    pub quiet: bool,
    /// Put into the pages what was printed, in place of what they show.
    pub record: bool,
}

/// Where a page is followed.
struct Place {
    directory: PathBuf,
    series: String,
    /// What the page has exported.
    exports: String,
    /// Where OpenSSL finds its provider for PKCS#11, if the page wants one.
    provider: Option<PathBuf>,
}

impl Runner {
    /// Finds the guest's programs.
    pub fn new(arch: &str, kernel: &str) -> Result<Self> {
        let arch = vm::arch(arch)?;
        Ok(Runner {
            arch,
            kernel: kernel.to_owned(),
            tools: script("get/guest-tools", &[arch.name])?,
            quiet: false,
            record: false,
        })
    }

    /// Follows one, and says whether all was as its page says.
    pub fn follow(&self, page: &Page) -> Result<bool> {
        let Page { name, title, .. } = page;
        let mut outcome = Outcome::begin("scenario", name, title, &self.kernel, self.arch.name);
        let mut seen = Seen::default();
        let result = self.try_follow(page, &mut seen, &mut outcome.series);
        if let Err(error) = &result {
            println!("FAIL  {name}: {error:#}");
        }
        outcome.good = result.is_ok();
        outcome.said = format!("{} steps", seen.steps);
        outcome.end(&result, Path::new("build"))?;
        println!(
            "{:4}  {name}: {}, {:.0} s",
            if outcome.good { "ok" } else { "FAIL" },
            outcome.said,
            outcome.seconds
        );
        Ok(outcome.good)
    }

    fn try_follow(&self, page: &Page, seen: &mut Seen, known: &mut String) -> Result<()> {
        let text = fs::read_to_string(&page.path)?;
        let plan = Plan::parse(&text)?;
        let source = script("get/kernel-source", &[&self.kernel])?;
        let name = source.file_name().and_then(|name| name.to_str());
        let series = name.and_then(|name| name.strip_prefix("linux-"));
        let series = series.context("get/kernel-source printed something odd")?;
        series.clone_into(known);
        let _lock = self.lock(series, &page.name)?;
        let directory = script("build/page-tree", &[series, self.arch.name, &page.name])?;
        let mut place = Place {
            series: series.to_owned(),
            directory,
            exports: String::new(),
            provider: match text.contains("pkcs11:") {
                true => Some(script("get/pkcs11-provider", &[])?),
                false => None,
            },
        };
        println!(
            "\n{}: {} (Linux {}, {})",
            page.name, page.title, place.series, self.arch.name
        );
        let result = self.steps(page, &plan, &mut place, seen);
        // What it has built is of use to nobody, unless it is not as the page says.
        if result.is_ok() {
            fs::remove_dir_all(&place.directory)?;
        }
        if self.record {
            fs::write(&page.path, plan::record(&text, &seen.printed))?;
        }
        result.with_context(|| place.directory.display().to_string())
    }

    /// A page has a tree of its own, which is made anew: one at a time.
    fn lock(&self, series: &str, page: &str) -> Result<File> {
        let cache = match std::env::var_os("XDG_CACHE_HOME") {
            Some(cache) if !cache.is_empty() => PathBuf::from(cache),
            _ => PathBuf::from(std::env::var_os("HOME").context("HOME is not set")?).join(".cache"),
        };
        let locks = cache.join("modsig/lock");
        fs::create_dir_all(&locks)?;
        let name = format!("page-{series}-{}-{page}", self.arch.name);
        let lock = File::create(locks.join(name))?;
        rustix::fs::flock(&lock, FlockOperation::LockExclusive)?;
        Ok(lock)
    }

    fn steps(&self, page: &Page, plan: &Plan, place: &mut Place, seen: &mut Seen) -> Result<()> {
        for (index, step) in plan.steps.iter().enumerate() {
            match step {
                Step::Configure { directory, options } => {
                    self.configure(place, directory, options)?;
                }
                // Each command has a shell of its own, but for this.
                Step::Run(command) if command.is_export() => {
                    self.say(&command.text, "$", "");
                    place.exports += &format!("{}\n", command.text);
                }
                Step::Run(command) => {
                    let (status, output) = self.shell(place, &command.text)?;
                    self.tell(seen, command, "$", status, output)?;
                }
                Step::Boot { boot, commands } => {
                    self.say(&boot.text, "$", "");
                    let words = self.words(place, boot)?;
                    let build = place.directory.join("build");
                    let [_, image, root, append @ ..] = &words[..] else {
                        anyhow::bail!("{}: boot wants an image and a directory", boot.text);
                    };
                    let console =
                        format!("{}-{}-{}-{index}", place.series, self.arch.name, page.name);
                    let mut guest = Guest::new(self.arch, &build.join(image), &console);
                    guest.append = append.join(" ");
                    let texts: Vec<_> = commands.iter().map(|one| &one.text[..]).collect();
                    let results = guest::run(guest, &self.tools, &build.join(root), &texts)?;
                    seen.steps += 1;
                    for (command, (status, output)) in commands.iter().zip(results) {
                        self.tell(seen, command, "#", status, output)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn configure(&self, place: &Place, directory: &str, options: &str) -> Result<()> {
        let directory = place.directory.join(directory);
        let mut child = process::Command::new(path_of("build/page-configure"))
            .arg(self.arch.name)
            .arg(directory)
            .stdin(Stdio::piped())
            .spawn()?;
        let mut stdin = child.stdin.take().context("no pipe")?;
        stdin.write_all(options.as_bytes())?;
        drop(stdin);
        ensure!(
            child.wait()?.success(),
            "scripts/build/page-configure failed"
        );
        Ok(())
    }

    /// A shell in the directory that is built in, as somebody has it who follows the page.
    fn bash(&self, place: &Place, text: &str) -> Result<process::Output> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let bin = place.directory.join("bin");
        let path = std::env::join_paths(
            [bin, "/usr/lib/llvm-19/bin".into()]
                .into_iter()
                .chain(std::env::split_paths(&path)),
        )?;
        let text = format!("{}exec 2>&1\n{text}", place.exports);
        let output = process::Command::new("bash")
            .args(["-e", "-u", "-o", "pipefail", "-c", &text])
            .current_dir(place.directory.join("build"))
            .env("PATH", path)
            .env("ARCH", self.arch.name)
            .env("SCENARIO", &place.directory)
            .env("LC_ALL", "C.UTF-8")
            // Whatever a user may have set.
            .env_remove("KBUILD_SIGN_PIN")
            .envs(place.provider.iter().map(|path| ("OPENSSL_MODULES", path)))
            .stdin(Stdio::null())
            .output()?;
        Ok(output)
    }

    /// Runs a command; gives its exit status, and what it wrote to both outputs.
    fn shell(&self, place: &Place, text: &str) -> Result<(i32, String)> {
        let output = self.bash(place, text)?;
        let status = output.status.code().context("killed by a signal")?;
        Ok((status, String::from_utf8_lossy(&output.stdout).into_owned()))
    }

    /// The words of a command, as the shell makes them.
    fn words(&self, place: &Place, command: &Command) -> Result<Vec<String>> {
        let output = self.bash(
            place,
            &format!("words=({}); printf '%s\\0' \"${{words[@]}}\"", command.text),
        )?;
        ensure!(
            output.status.success(),
            "{}: {}",
            command.text,
            String::from_utf8_lossy(&output.stdout)
        );
        let words = output.stdout.split(|&octet| octet == 0);
        let words = words.map(|word| OsString::from_vec(word.to_vec()).into_string());
        let mut words: Vec<_> = words.collect::<Result<_, _>>().ok().context("not UTF-8")?;
        words.pop();
        Ok(words)
    }

    /// Says what came of a command.
    fn tell(
        &self,
        seen: &mut Seen,
        command: &Command,
        prompt: &str,
        status: i32,
        output: String,
    ) -> Result<()> {
        seen.steps += 1;
        self.say(&command.text, prompt, &output);
        if self.record && status == command.status {
            if command.shows_all() {
                seen.printed.push((command.lines.clone(), output));
                return Ok(());
            }
            // What the page shows elsewhere is that of an earlier run.
            seen.known = Known::default();
        }
        command.check(status, &output, &mut seen.known)
    }

    fn say(&self, text: &str, prompt: &str, output: &str) {
        if !self.quiet {
            println!("{prompt} {text}");
            print!("{output}");
        }
    }
}

/// What was seen on the way.
#[derive(Default)]
struct Seen {
    steps: usize,
    /// For values that the page shows, those of this run.
    known: Known,
    /// For each command whose output a page shows: where, and what it was this time.
    printed: Vec<(std::ops::Range<usize>, String)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_can_be_followed() {
        let all = Page::all().unwrap();
        assert!(!all.is_empty());
        for page in all {
            let plan = Plan::parse(&fs::read_to_string(&page.path).unwrap()).unwrap();
            let boots =
                |step: &Step| matches!(step, Step::Boot { commands, .. } if !commands.is_empty());
            assert!(plan.steps.iter().any(boots), "{}: boots nothing", page.name);
        }
    }
}
