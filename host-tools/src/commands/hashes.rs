// SPDX-License-Identifier: GPL-2.0

//! The root over the modules' hashes in vmlinux, and its proof on each module.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    sync::{
        atomic::{AtomicUsize, Ordering},
        Mutex, PoisonError,
    },
};

use anyhow::{anyhow, bail, ensure, Context, Error, Result};
use modsig::verify::{
    check, merkle,
    trailer::{self, Kind, Split},
    Error as NotTaken, Flags,
};
use modsig_tools::{
    files::{is_module_name, replace_end, walk, Found, Links, Missing, Original, Pending, Stamp},
    hashes::{leaf, position, Entry, Gone, State, Tree},
    image::{self, Vmlinux},
    module::Module,
    parallel,
    platform::Host,
    signer::strip,
};
use serde_json::json;

use super::{
    replace::{Batch, Replaced, Sync},
    report::{self, at_once, Done, How},
};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The modules of a build: its modules.order, or directories with modules; may be repeated
    #[arg(long, required = true, value_name = "PATH")]
    modules: Vec<PathBuf>,
    /// The kernel of that build, which gets the root; with --check, any image of it
    #[arg(long, value_name = "FILE")]
    vmlinux: PathBuf,
    /// Change nothing; say whether this kernel lets all of these modules in by their hashes
    #[arg(long)]
    check: bool,
    /// Let modules in also as this command makes them, which gets the name of a copy
    #[arg(long, value_name = "COMMAND", conflicts_with = "check")]
    stripped_by: Option<String>,
    /// Give the modules their proofs that were installed here, stripped or not, packed or not
    #[arg(long, value_name = "DIR", conflicts_with_all = ["check", "stripped_by"])]
    attach_to: Option<PathBuf>,
    #[command(flatten)]
    sync: Sync,
    #[command(flatten)]
    how: How,
}

/// What is remembered from run to run, beside vmlinux.
const STATE: &str = "modules.hashes";

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let modules = list(&arguments.modules)?;
    if arguments.check {
        return check_all(arguments, modules);
    }
    let vmlinux = Vmlinux::open(&arguments.vmlinux)?;
    let state = arguments.vmlinux.with_file_name(STATE);
    match &arguments.attach_to {
        Some(directory) => attach(
            arguments,
            &modules,
            &vmlinux,
            &State::read(&state)?,
            directory,
        ),
        None => update(arguments, &modules, &vmlinux, &state),
    }
}

/// The modules of a build, in the order of its tree.
///
/// # Errors
///
/// If one is missing or is there twice. Nothing is to be done then.
fn list(paths: &[PathBuf]) -> Result<Vec<Found>> {
    let mut found = vec![];
    for path in paths {
        if path.is_dir() || is_module_name(path) {
            found.extend(walk(std::slice::from_ref(path), Links::Leave));
            continue;
        }
        // Objects or modules, one in a line, below the directory that the list is in.
        let named = || path.display().to_string();
        let text = fs::read_to_string(path)
            .with_context(|| format!("{}: cannot read the list of modules", named()))?;
        let directory = path.parent().unwrap_or(Path::new(""));
        for line in text.lines().filter(|line| !line.is_empty()) {
            let name = match is_module_name(Path::new(line)) {
                true => PathBuf::from(line),
                false => Path::new(line).with_extension("ko"),
            };
            let path = directory.join(&name);
            found.push(match path.is_file() {
                true => Ok(Found {
                    path,
                    name,
                    given: false,
                }),
                false => Err(Missing {
                    path,
                    error: anyhow!("is in {}, but not there; build it", named()),
                }),
            });
        }
    }
    let mut seen = HashSet::new();
    let mut modules = vec![];
    let mut wrong = 0;
    for found in found {
        let error = match found {
            Ok(found) if seen.insert(identity(&found.path)?) => {
                modules.push(found);
                continue;
            }
            Ok(found) => anyhow!("{}: is there twice; list it once", found.path.display()),
            Err(Missing { path, error }) => error.context(path.display().to_string()),
        };
        report::complain(&error);
        wrong += 1;
    }
    ensure!(wrong == 0, "the list of modules is wrong; nothing was done");
    Ok(modules)
}

/// What two paths have in common that name the same file.
fn identity(path: &Path) -> Result<(u64, u64)> {
    let metadata = fs::metadata(path);
    let metadata = metadata.with_context(|| format!("{}: cannot open", path.display()))?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Says of each module whether the kernel lets it in by its hash.
fn check_all(arguments: &Arguments, modules: Vec<Found>) -> Result<ExitCode> {
    let path = &arguments.vmlinux;
    let image = image::read(path)?;
    ensure!(
        image.hashes.is_some(),
        "{}: a kernel that does not know modules by their hashes (CONFIG_MODULE_SIG_RUST_HASHES)",
        path.display()
    );
    let mut host = Host::default();
    // What cannot be read of its certificates does not matter here.
    image.equip(&mut host);
    host.accept_no_keys();
    let modules = modules.into_iter().map(Ok).collect();
    arguments.how.each(
        modules,
        |buffer, Found { path, .. }| {
            Original::read(path, buffer)?;
            let opened = Module::open(buffer).with_context(|| path.display().to_string())?;
            let result = check(&host, &opened.file, Flags::default()).result;
            let reason = result.err().map(|error| error.to_string());
            let json = json!({ "good": reason.is_none(), "reason": reason });
            Ok(match reason {
                None => Done::good("good", "is of this kernel", json),
                Some(reason) => Done::bad(format!("not let in by its hash: {reason}"), json),
            })
        },
        at_once,
    )
}

/// A module's path as it is remembered.
fn name(path: &Path) -> Result<&str> {
    path.to_str()
        .with_context(|| format!("{}: a name that is not UTF-8", path.display()))
}

/// A module that was looked at.
struct Looked {
    entry: Entry,
    /// What stands behind it; `None` if it was not read, and has the proof that it had.
    end: Option<Vec<u8>>,
    vermagic: Option<String>,
}

/// What is known when modules are looked at.
struct Build<'a> {
    stripped_by: Option<&'a str>,
    old: &'a State,
    /// Numbers in `old`.
    numbers: HashMap<&'a str, usize>,
    vmlinux: &'a Vmlinux,
}

impl Build<'_> {
    /// The entry of this module from the last run, and the position it had.
    fn old(&self, path: &str) -> Option<(&Entry, u32)> {
        let number = *self.numbers.get(path)?;
        Some((&self.old.modules[number], self.old.position(number).ok()?))
    }

    /// Whether the module has had this content since it got its proof in an earlier run.
    fn is_as_it_was(&self, path: &str, content: &[u8]) -> bool {
        let last = self.old(path).map(|(entry, at)| (entry.leaf, at));
        let gone = || {
            let mut gone = self.old.gone.iter();
            let found = gone.find(|gone| gone.path == path);
            found.map(|gone| (gone.leaf, gone.position))
        };
        let known = last.or_else(gone);
        known.is_some_and(|(hash, at)| leaf(at, content) == hash)
    }

    /// What is left of the last run, and is not among these modules.
    fn gone(&self, modules: &[Looked]) -> Result<Vec<Gone>> {
        let now: HashSet<&str> = modules.iter().map(|module| &*module.entry.path).collect();
        let mut gone = self.old.gone.clone();
        for (number, entry) in self.old.modules.iter().enumerate() {
            gone.push(Gone {
                path: entry.path.clone(),
                position: self.old.position(number)?,
                leaf: entry.leaf,
            });
        }
        gone.retain(|gone| !now.contains(&*gone.path) && Path::new(&gone.path).exists());
        Ok(gone)
    }

    /// Looks at a module: reads it, unless it is the one of last time.
    fn look(&self, buffer: &mut Vec<u8>, number: usize, found: &Found) -> Result<Looked> {
        let path = &found.path;
        let name = name(path)?;
        let position = position(number, self.stripped_by.is_some())?;
        let old = self.old(name);
        if let Some((entry, _)) = old.filter(|&(entry, at)| {
            at == position
                && entry.stamp.is_some()
                && entry.stamp == Stamp::of(path).ok()
                && self.old.stripped_by.as_deref() == self.stripped_by
        }) {
            return Ok(Looked {
                entry: entry.clone(),
                end: None,
                vermagic: None,
            });
        }

        let original = Original::read(path, buffer)?;
        let opened = Module::open(buffer)?;
        let (content, proof) = match trailer::split(&opened.file) {
            Ok(Split {
                kind: Kind::Merkle,
                content,
                message,
            }) => (content, Some(message)),
            // Seen below.
            Ok(Split {
                kind: Kind::Pkcs7, ..
            }) => (&opened.file[..], None),
            Err(unsplit) if unsplit.error == NotTaken::Unsigned => (&opened.file[..], None),
            Err(unsplit) => bail!("{}; build it again", unsplit.error),
        };
        ensure!(
            strip(content).1 == 0 && opened.misplaced == 0,
            "it is signed with a key; take the signature off (modsig strip), or leave it out"
        );
        let vermagic = image::vermagic(content)
            .context("not a kernel module (it has no vermagic); build it again")?;
        let hash = leaf(position, content);
        if let Some(proof) = proof {
            ensure!(
                self.is_as_it_was(name, content) || self.vouches(content, proof),
                "it has a proof of another build; take it off (modsig strip), or build it again"
            );
        }
        let stripped = match self.stripped_by {
            Some(command) => Some(leaf(position + 1, &stripped(command, content)?)),
            None => None,
        };
        Ok(Looked {
            entry: Entry {
                path: name.to_owned(),
                stamp: Some(original.stamp()),
                size: content.len() as u64,
                leaf: hash,
                stripped,
            },
            end: Some(opened.file[content.len()..].to_vec()),
            vermagic: Some(vermagic.to_owned()),
        })
    }

    /// Whether the kernel that is there lets this module in.
    fn vouches(&self, content: &[u8], proof: &[u8]) -> bool {
        merkle::check(&Host::default(), self.vmlinux.root(), content, proof).is_ok()
    }
}

/// The module as a command leaves it.
fn stripped(command: &str, content: &[u8]) -> Result<Vec<u8>> {
    let directory = tempfile::tempdir().context("cannot make a copy of it to strip")?;
    let copy = directory.path().join("module.ko");
    fs::write(&copy, content).context("cannot make a copy of it to strip")?;
    let output = Command::new("sh")
        .args(["-c", &format!("{command} \"$0\"")])
        .arg(&copy)
        .output()
        .context("cannot run sh")?;
    ensure!(
        output.status.success(),
        "cannot be stripped by {command:?}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    fs::read(&copy).with_context(|| format!("is gone, stripped by {command:?}"))
}

/// Gives all modules their proofs, and vmlinux the root.
fn update(
    arguments: &Arguments,
    modules: &[Found],
    vmlinux: &Vmlinux,
    state_path: &Path,
) -> Result<ExitCode> {
    let old = match State::read(state_path) {
        Ok(state) => state,
        Err(error) => {
            if state_path.exists() {
                report::complain(&error.context("all modules are hashed again"));
            }
            State::default()
        }
    };
    let numbered = old.modules.iter().enumerate();
    let build = Build {
        stripped_by: arguments.stripped_by.as_deref(),
        numbers: numbered.map(|(at, entry)| (&*entry.path, at)).collect(),
        old: &old,
        vmlinux,
    };
    let looked = look_at_all(arguments, modules, &build)?;
    let hashed = looked.iter().filter(|module| module.end.is_some()).count();

    // What is written now says what is meant; that a module has its proof is known when it has.
    let old_tree = old.tree()?;
    let entries = looked.iter().map(|module| module.entry.clone());
    let gone = build.gone(&looked)?;
    let mut state = State::new(arguments.stripped_by.clone(), entries.collect(), gone);
    let tree = state.tree()?;
    let mut ends = vec![];
    for (number, module) in looked.iter().enumerate() {
        let wanted = tree.end(state.position(number)?)?;
        let is_there = match &module.end {
            Some(there) => *there == wanted,
            None => old_tree.end(old.position(number)?)? == wanted,
        };
        if !is_there {
            state.modules[number].stamp = None;
            ends.push((number, wanted));
        }
    }
    if state != old {
        state.write(state_path)?;
    }
    let stamps = put_all(arguments, modules, &looked, &ends)?;
    for ((number, _), stamp) in ends.iter().zip(stamps) {
        state.modules[*number].stamp = Some(match stamp {
            Some(stamp) => stamp,
            None => Stamp::of(&modules[*number].path)?,
        });
    }
    if !ends.is_empty() {
        state.write(state_path)?;
    }
    let root = tree.root();
    let changed = root != *vmlinux.root();
    if changed {
        vmlinux.write(&root)?;
    }
    let root_digits: String = root
        .hash
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect();
    report::print(&if arguments.how.json {
        json!({
            "modules": modules.len(), "hashed": hashed, "attached": ends.len(),
            "levels": root.levels, "root": root_digits, "written": changed,
        })
        .to_string()
    } else {
        format!(
            "{}: {} modules, {hashed} hashed, {} proofs attached; root {root_digits}, {} levels, {}",
            arguments.vmlinux.display(),
            modules.len(),
            ends.len(),
            root.levels,
            if changed { "written" } else { "as before" },
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Looks at all modules, many at once.
///
/// # Errors
///
/// If one of them cannot be taken. Nothing has been written then.
fn look_at_all(arguments: &Arguments, modules: &[Found], build: &Build<'_>) -> Result<Vec<Looked>> {
    let numbered: Vec<(usize, &Found)> = modules.iter().enumerate().collect();
    let results = parallel::map(
        &numbered,
        arguments.how.jobs(),
        |buffer, &(number, found)| {
            let looked = build.look(buffer, number, found);
            looked.with_context(|| found.path.display().to_string())
        },
    );
    let mut wrong = 0;
    let looked: Vec<Looked> = (results.into_iter())
        .filter_map(|result| {
            let complain = |error| {
                report::complain(&error);
                wrong += 1;
            };
            result.map_err(complain).ok()
        })
        .collect();
    ensure!(
        wrong == 0,
        "{wrong} modules cannot be taken; nothing was done"
    );

    // The loader compares this string, so there is a kernel that has it.
    let versions: BTreeSet<&str> = looked
        .iter()
        .filter_map(|module| module.vermagic.as_deref())
        .collect();
    for version in versions {
        if build.vmlinux.has_string(version)? {
            continue;
        }
        let is_of_it = |module: &&Looked| module.vermagic.as_deref() == Some(version);
        let example = looked
            .iter()
            .find(is_of_it)
            .map(|module| &*module.entry.path);
        bail!(
            "{}: is not the kernel of {}, which is for {version:?}: another release or configuration; nothing was done",
            arguments.vmlinux.display(),
            example.unwrap_or_default()
        );
    }
    Ok(looked)
}

/// Gives modules their ends, many at once: their numbers, and what is to stand behind them. Returns
/// the stamps of those that were written in place.
fn put_all(
    arguments: &Arguments,
    modules: &[Found],
    looked: &[Looked],
    ends: &[(usize, Vec<u8>)],
) -> Result<Vec<Option<Stamp>>> {
    let batch = Mutex::new(Batch::new(&arguments.sync));
    let wrong = AtomicUsize::new(0);
    let complain = |error: &Error| {
        report::complain(error);
        wrong.fetch_add(1, Ordering::Relaxed);
    };
    let take = |next| {
        // Whatever panicked, the rest of the batch is as good as it was.
        let mut batch = batch.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, result) in batch.take(next) {
            if let Err(error) = result {
                complain(&error);
            }
        }
    };
    let put = |buffer: &mut Vec<u8>, number: usize, end: &[u8]| {
        let path = &modules[number].path;
        let entry = &looked[number].entry;
        let stamp = entry.stamp.context("has not been looked at")?;
        // In place, if nobody needs to see it half done.
        if !arguments.sync.waits() && is_unpacked(path) {
            if let Some(stamp) = replace_end(path, &stamp, entry.size, end)? {
                return Ok(Some(stamp));
            }
        }
        take(Some((number, put_anew(buffer, path, &stamp, end)?)));
        Ok(None)
    };
    let stamps = parallel::map(ends, arguments.how.jobs(), |buffer, (number, end)| {
        put(buffer, *number, end).unwrap_or_else(|error| {
            complain(&error);
            None
        })
    });
    take(None);
    let wrong = wrong.into_inner();
    ensure!(
        wrong == 0,
        "{wrong} modules have no proof, and {} is as it was; do it again",
        arguments.vmlinux.display()
    );
    Ok(stamps)
}

/// Makes a module with another end, if it is still the one with this stamp.
fn put_anew(buffer: &mut Vec<u8>, path: &Path, stamp: &Stamp, end: &[u8]) -> Result<Replaced> {
    let original = Original::read(path, buffer)?;
    ensure!(
        original.stamp() == *stamp,
        "{}: somebody changed it meanwhile; do it again",
        path.display()
    );
    let opened = Module::open(buffer).with_context(|| path.display().to_string())?;
    let parts = opened.packed(&[strip(&opened.file).0, end])?;
    let pending = Pending::replace(path, &original, &parts)?;
    let done = Done::good("attached", "proof attached", json!({ "attached": true }));
    Ok(Replaced {
        done,
        file: Some((pending, Some(original))),
    })
}

/// Whether a file's name is one of a module that is not packed.
fn is_unpacked(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "ko")
}

/// Gives installed modules the proofs of what they are: the module of the build, or its stripped
/// form.
fn attach(
    arguments: &Arguments,
    modules: &[Found],
    vmlinux: &Vmlinux,
    state: &State,
    directory: &Path,
) -> Result<ExitCode> {
    let tree = state.tree()?;
    ensure!(
        tree.root() == *vmlinux.root(),
        "{STATE} and {} do not belong together; run modsig hashes without --attach-to (in a kernel tree: make)",
        arguments.vmlinux.display()
    );
    let entries = state.modules.iter().enumerate();
    let numbers: HashMap<&str, usize> = entries.map(|(at, entry)| (&*entry.path, at)).collect();
    let mut installed = HashMap::new();
    let mut found = vec![];
    for module in modules {
        let file = directory.join(&module.name);
        let packed = ["", ".gz", ".xz", ".zst"].map(|ending| {
            let mut name = file.clone().into_os_string();
            name.push(ending);
            PathBuf::from(name)
        });
        let number = numbers.get(name(&module.path)?);
        found.push(
            match (packed.into_iter().find(|path| path.is_file()), number) {
                (Some(path), Some(&number)) => {
                    installed.insert(path.clone(), number);
                    Ok(Found {
                        path,
                        name: module.name.clone(),
                        given: false,
                    })
                }
                (None, _) => Err(Missing {
                    path: file,
                    error: anyhow!("not installed; install it again"),
                }),
                (Some(path), None) => Err(Missing {
                    path,
                    error: anyhow!("not in {STATE}; run modsig hashes without --attach-to first"),
                }),
            },
        );
    }
    let mut batch = Batch::new(&arguments.sync);
    arguments.how.each(
        found,
        |buffer, Found { path, .. }| {
            let number = installed[path];
            attach_one(
                buffer,
                path,
                &state.modules[number],
                state.position(number)?,
                &tree,
            )
        },
        |done| batch.take(done),
    )
}

fn attach_one(
    buffer: &mut Vec<u8>,
    path: &Path,
    entry: &Entry,
    position: u32,
    tree: &Tree,
) -> Result<Replaced> {
    let original = Original::read(path, buffer)?;
    let named = || path.display().to_string();
    let opened = Module::open(buffer).with_context(named)?;
    let (content, _) = opened.unsigned().with_context(named)?;
    let (position, what) = if leaf(position, content) == entry.leaf {
        (position, "as it was built")
    } else if Some(leaf(position + 1, content)) == entry.stripped {
        (position + 1, "stripped")
    } else {
        return Err(Error::msg(
            "is neither the module of the build nor its stripped form, so the kernel does not know it; install it again, or sign it with a key",
        )
        .context(named()));
    };
    let end = tree.end(position)?;
    let json = json!({ "attached": true, "position": position });
    if opened.misplaced == 0 && opened.file[content.len()..] == end {
        let done = Done::good("attached before", format!("{what}, has its proof"), json);
        return Ok(Replaced { done, file: None });
    }
    let parts = opened.packed(&[content, &end])?;
    let pending = Pending::replace(path, &original, &parts)?;
    Ok(Replaced {
        done: Done::good("attached", format!("{what}, proof attached"), json),
        file: Some((pending, Some(original))),
    })
}
