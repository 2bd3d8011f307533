// SPDX-License-Identifier: MIT OR Apache-2.0

//! Asks `modsig why` in booted guests, in all situations of `why.toml`, and holds what it says against what
//! the kernel then does.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use anyhow::{ensure, Context, Result};
use modsig_testing::vm::Arch;
use modsig_tools::image;

use super::{boots::Harness, page::guest};
use crate::{
    corpus::{
        recipe::Pantry,
        situations::{Boot, By, Situation, Situations},
    },
    judge::why::{Answer, Told},
    machine::{
        kernels::{Kernel, IMAGE},
        programs,
    },
};

/// What came of a situation.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The boot.
    pub boot: String,
    /// The situation.
    pub situation: String,
    /// What `modsig why` said that the kernel would do.
    pub foreseen: String,
    /// What it did.
    pub did: String,
    /// Whether that is one.
    pub agrees: bool,
    /// All that was said.
    pub more: Vec<String>,
}

/// Boots all of them. Gives what was seen to `each`.
///
/// # Errors
///
/// If a file cannot be made, or a boot does not come to its end. What does not agree is in what `each` gets.
pub fn run_all(
    harness: &Harness,
    series: &str,
    boots: &[String],
    mut each: impl FnMut(Seen),
) -> Result<()> {
    let Situations { boot, situation } = Situations::all()?;
    for name in boots {
        ensure!(
            boot.iter().any(|boot| boot.name == *name),
            "no boot {name:?}"
        );
    }
    let is_wanted = |boot: &&Boot| boots.is_empty() || boots.contains(&boot.name);
    for boot in boot.iter().filter(is_wanted) {
        let of_it: Vec<_> = situation
            .iter()
            .filter(|one| one.boots.contains(&boot.name))
            .collect();
        let texts = one_boot(harness, series, boot, &of_it).with_context(|| boot.name.clone())?;
        for (situation, text) in of_it.iter().zip(texts) {
            let seen = look(boot, situation, &text);
            each(seen.with_context(|| format!("{}, {}: {text}", boot.name, situation.name))?);
        }
    }
    Ok(())
}

/// Puts a file below a root.
fn put(root: &Path, path: &str, from: &Path) -> Result<()> {
    let path = root.join(path.trim_start_matches('/'));
    fs::create_dir_all(path.parent().context("no directory")?)?;
    fs::copy(from, &path).with_context(|| from.display().to_string())?;
    Ok(())
}

/// Puts the program below a root with all that it takes, and the kernel's image and configuration where it looks for
/// them.
pub(super) fn furnish(root: &Path, arch: Arch, kernel: &Kernel, release: &str) -> Result<()> {
    programs::modsig(arch.name, root)?;
    for (name, file) in [("vmlinuz", IMAGE), ("config", "config")] {
        put(root, &format!("boot/{name}-{release}"), &kernel.path(file))?;
    }
    Ok(())
}

/// What is in the guest's place for modules that are a part of the kernel.
const BUILT_IN: &str = "kernel/built-in.ko\n";

/// Does one boot; gives what was printed in each situation.
fn one_boot(
    harness: &Harness,
    series: &str,
    boot: &Boot,
    situations: &[&Situation],
) -> Result<Vec<String>> {
    let kernel = harness.kernel(series, &boot.kernel)?;
    let release = image::read(&kernel.path(IMAGE))?
        .release
        .context("no release")?;
    let root = tempfile::tempdir()?;
    furnish(root.path(), harness.arch, &kernel, &release)?;
    let mut pantries: BTreeMap<&str, Pantry> = BTreeMap::new();
    pantries.insert(&boot.kernel, harness.pantry(&kernel));
    for of in situations.iter().filter_map(|one| one.of.as_deref()) {
        pantries.insert(of, harness.pantry(&harness.kernel(series, of)?));
    }
    let leaf = pantries[&*boot.kernel].certificate("leaf")?.to_der()?;
    fs::write(root.path().join("leaf.der"), leaf)?;
    // Another build of the same release.
    if situations.iter().any(|one| one.before.contains("/another")) {
        let another = harness.kernel(series, "c")?;
        put(root.path(), "another", &another.path(IMAGE))?;
    }
    let mut texts = vec![];
    for (index, situation) in situations.iter().enumerate() {
        let pantry = &pantries[situation.of.as_deref().unwrap_or(&boot.kernel)];
        let directory = root.path().join(format!("m/{index:03}"));
        install(&directory, &release, situation, pantry).with_context(|| situation.name.clone())?;
        texts.push(script(index, &release, situation));
    }
    let mut commands =
        vec!["mount -t securityfs security /sys/kernel/security; busybox mkdir -p /none"];
    commands.extend(texts.iter().map(|text| &text[..]));
    let mut guest = harness.guest(&kernel, IMAGE, &format!("why-{}", boot.name));
    guest.append.clone_from(&boot.append);
    guest.options.limit = Duration::from_secs(900);
    guest.options.memory = 1024;
    let results = guest::run(guest, &harness.tools, root.path(), &commands)?;
    Ok(results.into_iter().skip(1).map(|(_, text)| text).collect())
}

/// Puts the files of a situation where its commands find them.
fn install(directory: &Path, release: &str, situation: &Situation, pantry: &Pantry) -> Result<()> {
    let modules = directory.join("lib/modules").join(release);
    fs::create_dir_all(&modules)?;
    if !situation.absent {
        fs::write(
            modules.join(&situation.file),
            pantry.make(&situation.recipe)?,
        )?;
    }
    for (name, recipe) in &situation.with {
        fs::write(modules.join(format!("{name}.ko")), pantry.make(recipe)?)?;
    }
    fs::write(modules.join("modules.builtin"), BUILT_IN)?;
    fs::write(modules.join("modules.order"), "")?;
    if situation.by == By::Modprobe || !situation.with.is_empty() {
        programs::depmod(directory, release)?;
    }
    Ok(())
}

/// What the guest does in a situation: it asks, then does it.
fn script(index: usize, release: &str, situation: &Situation) -> String {
    let file = format!("/m/{index:03}/lib/modules/{release}/{}", situation.file);
    let name = situation.file.split(".ko").next().unwrap_or_default();
    let (ask, command) = match situation.by {
        By::Insmod => (file.clone(), format!("insmod {file}")),
        By::Modprobe => (name.to_owned(), format!("modprobe {name}")),
    };
    let told = |text: &str| text.replace("FILE", &file).replace("RELEASE", release);
    let (before, after) = (told(&situation.before), told(&situation.after));
    // What the shell does itself needs no program, of which each takes some time in a guest.
    format!(
        "tell() {{ while IFS= read -r line; do echo \"$1 $line\"; done < $2; }}
busybox ln -sfn /m/{index:03}/lib/modules /lib/modules
{before}
modsig why --json {ask} > /answer 2> /errors
echo why $?
tell answer /answer
tell error /errors
{command} > /said 2>&1
echo insert $?
tell said /said
tell loaded /proc/modules
while read -r module rest; do rmmod $module; done < /proc/modules
{after}
"
    )
}

/// Holds the one against the other.
fn look(boot: &Boot, situation: &Situation, text: &str) -> Result<Seen> {
    let told = Told::parse(text)?;
    let answer = Answer::parse(&told.answer);
    let (foreseen, agrees) = match &answer {
        Ok(answer) => (answer.foresees(), answer.agrees(&told, situation.depends)),
        // There is nothing to be said of what is not there.
        Err(_) if situation.absent && told.why_status == 2 => {
            ("refused".to_owned(), !told.did().starts_with("loads"))
        }
        Err(error) => (format!("{error:#}"), false),
    };
    let mut more = told.said.clone();
    more.extend(answer.map(|answer| answer.verdict));
    Ok(Seen {
        boot: boot.name.clone(),
        situation: situation.name.clone(),
        foreseen,
        did: told.did(),
        agrees,
        more,
    })
}
