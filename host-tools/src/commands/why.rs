// SPDX-License-Identifier: MIT OR Apache-2.0

mod obstacles;
mod signature;

use std::{
    collections::{BTreeMap, HashSet},
    fmt::Display,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{bail, Context, Result};
use modsig::verify::{trailer, Checked, Error, Flags};
use modsig_tools::{
    certificate::shown,
    compression::Compression,
    files,
    machine::{module_name, Installed, Machine},
    module::Module,
    platform::{no_verdict, outcome, Mode},
    scene::Scene,
    signer::strip,
};
use serde::Serialize;

use self::{
    obstacles::{unpacked, Asked, Obstacle, Obstacles},
    signature::{bad_signature, perhaps_blacklisted, perhaps_revoked, trusted_by, unsigned},
};
use crate::cli::{
    output::{self, Named},
    report,
};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The module: a name as for modprobe, or a file, if it has a slash or ends in .ko, .ko.gz, .ko.xz or .ko.zst
    module: PathBuf,
    /// Ask about a kernel with what this image has built in, not about this machine
    #[arg(long, value_name = "IMAGE")]
    kernel: Option<PathBuf>,
    /// Ask about a kernel that trusts these certificates; may be repeated
    #[arg(long, value_name = "FILE")]
    cert: Vec<PathBuf>,
    /// Ask about a kernel that is installed, the newest one if none is named, as it would be after a reboot
    #[arg(long, value_name = "RELEASE", num_args = 0..=1, require_equals = true, conflicts_with_all = ["kernel", "cert"])]
    next: Option<Option<String>>,
    /// Where the machine's files are: /proc, /sys, /boot, /lib/modules
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// Print what is known of the machine as well: its keys, how strict it is, what it is tainted by
    #[arg(long, short)]
    verbose: bool,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// What JSON has of it.
#[derive(Serialize)]
struct Explained<'a> {
    #[serde(flatten)]
    path: Option<Named>,
    loads: Option<bool>,
    verdict: &'a str,
    error: Option<&'a str>,
    modes: BTreeMap<&'static str, &'static str>,
    reason: Option<&'a str>,
    signer: Option<&'a str>,
    findings: &'a [String],
    notes: &'a [String],
    remedies: &'a [String],
    machine: &'a [String],
    unknown: &'a [String],
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let machine = Machine::new(&arguments.root);
    let scene = if let Some(release) = &arguments.next {
        Scene::next(&machine, release.as_deref())?
    } else if arguments.kernel.is_none() && arguments.cert.is_empty() {
        Scene::here(&machine)?
    } else {
        Scene::elsewhere(arguments.kernel.as_deref(), &arguments.cert)?
    };
    let asked = arguments.module.display().to_string();
    let path = find(&arguments.module, &machine, &scene)?;
    let answer = match &path {
        Some(path) => answer(path, &arguments.module, &machine, &scene)?,
        None => built_in(&scene),
    };
    let text = if arguments.json {
        output::document(&Explained {
            path: path.as_deref().map(Named::new),
            loads: answer.loads,
            verdict: &answer.verdict,
            error: answer.error.as_deref(),
            modes: answer.modes_by_name(),
            reason: answer.reason.as_deref(),
            signer: answer.signer.as_deref(),
            findings: &answer.causes,
            notes: &answer.notes,
            remedies: &answer.remedies,
            machine: &scene.machine,
            unknown: &scene.unknown,
        })
    } else {
        answer.text(&asked, path.as_deref(), &scene, arguments.verbose)
    };
    report::print(&text)?;
    Ok(ExitCode::from(u8::from(answer.loads != Some(true))))
}

/// Whether this is a file, or a name as for modprobe.
fn is_file(module: &Path) -> bool {
    let name = module.to_string_lossy();
    let endings = Compression::ALL.map(|compression| format!(".ko.{}", compression.extension()));
    name.contains('/') || name.ends_with(".ko") || endings.iter().any(|end| name.ends_with(end))
}

/// The release whose modules are looked for by name.
fn release(machine: &Machine, scene: &Scene) -> Result<String> {
    match &scene.loader.release {
        Some(release) => Ok(release.clone()),
        None => machine.release(),
    }
}

/// The file of the module; none if it is a part of the kernel.
fn find(module: &Path, machine: &Machine, scene: &Scene) -> Result<Option<PathBuf>> {
    if is_file(module) {
        return Ok(Some(module.into()));
    }
    let name = module.to_str().context("not the name of a module")?;
    let found = machine.module(&release(machine, scene)?, name);
    match found {
        Ok(Installed::File(path)) => Ok(Some(path)),
        Ok(Installed::BuiltIn) => Ok(None),
        // Who means the file says so.
        Err(error) if module.exists() => Err(error.context(format!(
            "to ask about the file of that name: modsig why ./{name}"
        ))),
        Err(error) => Err(error),
    }
}

/// What becomes of a module, and of those that modprobe loads in front of it.
fn answer(path: &Path, asked: &Path, machine: &Machine, scene: &Scene) -> Result<Answer> {
    let is_by_name = !is_file(asked);
    let release = release(machine, scene).unwrap_or_default();
    let mut needed = match is_by_name {
        true => machine.needed_by(&release, path),
        false => vec![],
    };
    needed.retain(|path| !scene.has_loaded(&module_name(&path.to_string_lossy())));
    let mut answer = about(path, is_by_name, &needed, machine, scene)?;
    for one in &needed {
        answer.needs(one, &about(one, true, &needed, machine, scene)?, scene);
    }
    let name = module_name(&path.to_string_lossy());
    if is_by_name && scene.has_loaded(&name) {
        if answer.loads != Some(true) {
            let again = format!("taken out and loaded again, it {}", answer.verdict);
            answer.causes.insert(0, again);
        }
        answer.loads = Some(true);
        answer.error = None;
        answer.verdict = format!("is loaded already on {}", scene.about());
    }
    Ok(answer)
}

/// What is to be said of a part of the kernel.
fn built_in(scene: &Scene) -> Answer {
    Answer {
        loads: Some(true),
        verdict: format!("is built into {}: there is nothing to load", scene.about()),
        ..Answer::default()
    }
}

/// Reads a module, and says what becomes of it.
fn about(
    path: &Path,
    is_by_name: bool,
    needed: &[PathBuf],
    machine: &Machine,
    scene: &Scene,
) -> Result<Answer> {
    let file = files::read(path)?;
    let named = || path.display().to_string();
    let (opened, odd) = match unpacked(path, &file, Module::open(&file), scene) {
        Ok(opened) => opened,
        Err(error) => return Ok(broken(path, &error, scene)),
    };
    let asked = Asked {
        path,
        is_by_name,
        needed,
    };
    let obstacles = odd.find(&asked, &file, &opened, machine, scene);
    explain(path, &opened, obstacles, scene).with_context(named)
}

/// A packed file that nothing can unpack.
fn broken(path: &Path, error: &anyhow::Error, scene: &Scene) -> Answer {
    let mut answer = Answer {
        loads: Some(false),
        reason: Some(format!("{error:#}")),
        ..Answer::default()
    };
    answer.verdict = format!("WILL NOT LOAD on {}: {error:#}", scene.about());
    answer.say("the packed file is damaged or cut short, so nothing can unpack it");
    answer.advise(scene.reinstall(path));
    answer
}

/// What is to be said about a module.
#[derive(Default)]
struct Answer {
    /// Not known if that depends on what is not known.
    loads: Option<bool>,
    verdict: String,
    /// The name of the error number, if it is the same however the kernel may be set up.
    error: Option<String>,
    /// What becomes of it in each mode in which the kernel may be.
    modes: Vec<(Mode, &'static str)>,
    reason: Option<String>,
    signer: Option<String>,
    /// Why it does not load, the first one first.
    causes: Vec<String>,
    /// What else there is to say of it.
    notes: Vec<String>,
    /// What helps, the likeliest first.
    remedies: Vec<String>,
}

impl Answer {
    fn modes_by_name(&self) -> BTreeMap<&'static str, &'static str> {
        let modes = self.modes.iter();
        modes
            .map(|(mode, what)| (mode_name(*mode), *what))
            .collect()
    }

    fn say(&mut self, cause: impl Into<String>) {
        self.causes.push(cause.into());
    }

    fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    fn advise(&mut self, remedy: impl Into<String>) {
        self.remedies.push(remedy.into());
    }

    /// Takes in what becomes of a module that is loaded in front of it.
    fn needs(&mut self, path: &Path, other: &Answer, scene: &Scene) {
        if other.loads == Some(true) {
            return;
        }
        let name = module_name(&path.to_string_lossy());
        let reason = other.reason.as_deref().unwrap_or("see there");
        self.say(format!("it needs {name}, which {}", other.verdict));
        self.remedies.insert(
            0,
            format!("see to {name} first: modsig why {}", shell(&path.display())),
        );
        if self.loads == Some(true) {
            let mut said = format!("it needs {name}, and that does not load: {reason}");
            self.loads = other.loads;
            self.error.clone_from(&other.error);
            self.modes.clone_from(&other.modes);
            self.reason = Some(said.clone());
            if let Some(error) = &self.error {
                said += &format!(" ({error})");
            }
            self.verdict = sentence(other.loads, &scene.about(), &said, "");
        }
    }

    /// What is printed.
    fn text(&self, asked: &str, path: Option<&Path>, scene: &Scene, verbose: bool) -> String {
        let mut text = format!("{asked}: {}", self.verdict);
        let mut list = |title: &str, all: &[String]| {
            for (index, one) in all.iter().enumerate() {
                let title = if index == 0 {
                    format!("{title}:")
                } else {
                    String::new()
                };
                text += &format!("\n{title:7} {one}");
            }
        };
        let is_refused = self.loads != Some(true);
        if verbose {
            let file = path.filter(|path| path.display().to_string() != asked);
            list(
                "File",
                &file
                    .iter()
                    .map(|path| path.display().to_string())
                    .collect::<Vec<_>>(),
            );
        }
        if self.modes.len() > 1 && is_refused {
            let modes = self.modes.iter();
            let modes = modes.map(|(mode, what)| format!("{}: {what}", mode_name(*mode)));
            list("Modes", &[modes.collect::<Vec<_>>().join("; ")]);
        }
        if verbose || is_refused && self.reason.is_some() {
            list("Signer", self.signer.as_slice());
        }
        list("Cause", &self.causes);
        if verbose {
            list("Note", &self.notes);
        }
        let numbered = (1..)
            .zip(&self.remedies)
            .map(|(number, remedy)| format!("{number}. {remedy}"));
        list("Fix", &numbered.collect::<Vec<_>>());
        if verbose || is_refused {
            list("Unknown", &scene.unknown);
        }
        if verbose {
            list("Machine", &scene.machine);
        }
        text
    }
}

/// A command that signs; what stands for the key and the certificate is for the reader to put in.
fn sign_with_own(path: &Path) -> String {
    format!(
        "sign it with a key that the kernel trusts: modsig sign --key KEY --cert CERT {}",
        shell(&path.display())
    )
}

/// A word of a command, quoted if it has to be.
fn shell(word: &dyn Display) -> String {
    let word = word.to_string();
    let is_plain =
        |character: char| character.is_ascii_alphanumeric() || "/._-+:".contains(character);
    match word.chars().all(is_plain) {
        true => word,
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

fn explain(
    path: &Path,
    opened: &Module<'_>,
    obstacles: Obstacles,
    scene: &Scene,
) -> Result<Answer> {
    let file = &opened.file[..];
    let checked = scene.host.check(file, Flags::default());
    let lenient = scene.lenient.as_ref();
    let lenient = lenient.map(|host| host.check(file, Flags::default()));
    for checked in [&checked].into_iter().chain(&lenient) {
        if let Some(reason) = no_verdict(&checked.result) {
            bail!(reason);
        }
    }
    let (checked, lenient) = match lenient {
        // A kernel that knows releases refuses it as well: that is what helps to know.
        Some(lenient) if is_of_release(&checked) && lenient.result.is_err() => (lenient, None),
        lenient => (checked, lenient),
    };
    let lenient = lenient.filter(|lenient| lenient.result != checked.result);
    let mut answer = Answer {
        signer: lenient
            .as_ref()
            .unwrap_or(&checked)
            .signer
            .as_ref()
            .map(shown),
        ..Answer::default()
    };
    verdict(&checked, lenient.as_ref(), &obstacles, scene, &mut answer);
    let mut is_final = false;
    let Obstacles {
        before_signature,
        after_signature,
        asides,
    } = obstacles;
    let all = asides
        .into_iter()
        .chain(before_signature)
        .chain(after_signature);
    for obstacle in all {
        answer.say(obstacle.cause);
        answer.remedies.extend(obstacle.remedies);
        is_final |= obstacle.is_final;
    }
    if is_final {
        return Ok(answer);
    }
    if opened.misplaced > 0 {
        let packed = opened.compression.map_or("", Compression::name);
        answer.say(format!(
            "it was signed after it was packed with {packed}: the kernel looks for the signature inside, and some unpackers refuse the file for it"
        ));
        answer.advise(sign_with_own(path));
    }
    match checked.result {
        Ok(()) if checked.signer.is_none() => {
            answer.note("its proof is right: it is a module of this kernel's own build");
        }
        Ok(()) => {
            let signer = checked.signer;
            let by = signer.and_then(|signer| trusted_by(&signer.id, scene));
            let by = by.map(|by| format!(" by {by}")).unwrap_or_default();
            answer.note(format!("its signature is good, and its key is trusted{by}"));
        }
        Err(Error::Unsigned) => unsigned(path, opened, scene, &mut answer),
        Err(Error::Revoked) if lenient.is_some() => perhaps_revoked(path, scene, &mut answer),
        Err(Error::Blacklisted) if lenient.is_some() => perhaps_blacklisted(scene, &mut answer),
        Err(error) => bad_signature(path, file, &checked, error, scene, &mut answer),
    }
    let signatures = strip(file).1;
    if signatures > 1 {
        let twice = format!(
            "it was signed {signatures} times. Only the last signature counts, and for it the others are a part of the module"
        );
        match checked.result {
            Ok(()) => answer.note(twice),
            Err(_) => answer.say(twice),
        }
    }
    Ok(answer)
}

/// Whether a kernel refuses a signature because it is one for a release.
fn is_of_release(checked: &Checked<'_>) -> bool {
    checked.result == Err(Error::UnknownIdType(trailer::ID_RELEASE))
}

/// What a mode is called.
fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Permissive => "permissive",
        Mode::Enforcing => "sig_enforce",
        Mode::Lockdown => "lockdown",
    }
}

/// The first line.
fn sentence(loads: Option<bool>, about: &str, reason: &str, more: &str) -> String {
    match loads {
        Some(true) if reason.is_empty() => format!("loads on {about}"),
        Some(true) => format!("loads on {about}, and taints it: {reason}"),
        Some(false) => format!("WILL NOT LOAD on {about}{more}: {reason}"),
        None => format!("MAY NOT LOAD on {about}{more}: {reason}"),
    }
}

/// What the kernel makes of it. `lenient` is what it makes of the signature if it is as [`Scene::lenient`], where
/// that is something else.
fn verdict(
    checked: &Checked<'_>,
    lenient: Option<&Checked<'_>>,
    obstacles: &Obstacles,
    scene: &Scene,
    answer: &mut Answer,
) {
    let all = || {
        obstacles
            .before_signature
            .iter()
            .chain(&obstacles.after_signature)
    };
    let first = |some: &[Obstacle]| some.iter().find_map(|obstacle| obstacle.error);
    let outcome_in = |mode, checked: &Checked<'_>| {
        let signature = outcome(checked, mode);
        let refused = first(&obstacles.before_signature).or(match signature.starts_with("loads") {
            true => first(&obstacles.after_signature),
            false => None,
        });
        refused.unwrap_or(signature)
    };
    let modes = scene.modes.iter();
    let outcomes: Vec<(Mode, &'static str)> = modes
        .map(|&mode| (mode, outcome_in(mode, checked)))
        .collect();
    let is_refused = |(_, outcome): &&(Mode, &str)| !outcome.starts_with("loads");
    let refusing = outcomes.iter().filter(is_refused).count();
    let is_doubtful = all().any(|obstacle| obstacle.error.is_none());
    let or_else = |mode| lenient.map(|lenient| outcome_in(mode, lenient));
    let may_load = |mode| or_else(mode).is_some_and(|outcome| outcome.starts_with("loads"));
    let modes = outcomes.iter().map(|&(mode, outcome)| {
        let is_open = match outcome.starts_with("loads") {
            true => is_doubtful,
            false => may_load(mode),
        };
        (mode, if is_open { "may load" } else { outcome })
    });
    answer.modes = modes.collect();
    let is_for_its_key = lenient.unwrap_or(checked).result == Err(Error::NoKey)
        && all().all(|obstacle| obstacle.error.is_none());
    answer.loads = match refusing {
        0 if is_doubtful => None,
        0 => Some(true),
        _ if is_for_its_key && !scene.strangers.is_empty() => None,
        _ if scene.modes.iter().any(|&mode| may_load(mode)) => None,
        some if some == outcomes.len() => Some(false),
        _ => None,
    };
    let others = outcomes.iter().filter_map(|(mode, _)| or_else(*mode));
    let all_outcomes = outcomes.iter().map(|(_, outcome)| *outcome).chain(others);
    let is_same = all_outcomes.collect::<HashSet<_>>().len() == 1;
    let error = outcomes.first().filter(|one| is_same && is_refused(one));
    let error = error.filter(|_| answer.loads == Some(false));
    answer.error = error.map(|(_, error)| (*error).to_owned());

    let mut reasons: Vec<String> = all().map(|obstacle| obstacle.reason.clone()).collect();
    reasons.extend(checked.result.err().map(|error| error.to_string()));
    let mut said = reasons.join("; ");
    answer.reason = Some(said.clone()).filter(|said| !said.is_empty());
    if let Some(error) = &answer.error {
        said += &format!(" ({error})");
    }
    // Some load it, others do not: that counts which do not.
    let (loads, more) = match answer.loads {
        None if refusing > 0 && refusing < outcomes.len() => {
            let modes = outcomes
                .iter()
                .filter(is_refused)
                .map(|(mode, _)| mode_name(*mode));
            (
                Some(false),
                format!(" with {}", modes.collect::<Vec<_>>().join(" or ")),
            )
        }
        loads => (loads, String::new()),
    };
    answer.verdict = sentence(loads, &scene.about(), &said, &more);
}
