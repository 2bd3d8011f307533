// SPDX-License-Identifier: MIT OR Apache-2.0

//! The root over the modules' hashes in vmlinux, and its proof on each module.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{anyhow, bail, ensure, Context, Error, Result};
use modsig::verify::{
    merkle::{self, Root},
    trailer::{self, Kind, Split},
    Error as NotTaken, Flags,
};
use modsig_tools::{
    files::{self, Found, Missing, Stamp},
    hashes::{leaf, position, Entry, Gone, State, Tree},
    hex,
    image::{self, Vmlinux},
    loader::Loadable,
    module::Module,
    parallel,
    platform::Host,
    signer::strip,
};
use serde::Serialize;

use crate::cli::{
    batch::{Batch, Replaced, Writing},
    build_tree::{is_kernel_of, list, put_all, stripped, End},
    output::{self, Count},
    report::{self, at_once, Done, How},
};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The modules of the build: its modules.order, or directories with modules; may be repeated
    #[arg(long, required = true, value_name = "PATH")]
    modules: Vec<PathBuf>,
    /// The kernel of that build, into which the root is written; with --check, any image of it
    #[arg(long, value_name = "FILE")]
    vmlinux: PathBuf,
    /// Change nothing; check whether this kernel accepts all of these modules by their hashes
    #[arg(long)]
    check: bool,
    /// Also accept modules as stripped by COMMAND (called with the path of a temporary copy)
    #[arg(long, value_name = "COMMAND", conflicts_with = "check")]
    stripped_by: Option<String>,
    /// Attach proofs to the modules installed below DIR, stripped or compressed ones too
    #[arg(long, value_name = "DIR", conflicts_with_all = ["check", "stripped_by"])]
    attach_to: Option<PathBuf>,
    #[command(flatten)]
    writing: Writing,
    #[command(flatten)]
    pub(super) how: How,
}

/// What is remembered from run to run, beside vmlinux.
const STATE: &str = "modules.hashes";

/// What JSON has of a module with --check.
#[derive(Serialize)]
struct Accepted {
    good: bool,
    /// Why not.
    reason: Option<String>,
}

/// What JSON has of an installed module.
#[derive(Serialize)]
struct Attached {
    attached: bool,
    /// In which place of the tree it is.
    position: u32,
}

/// What JSON has of it all.
#[derive(Serialize)]
struct Summary<'a> {
    modules: usize,
    /// Modules that were read again.
    hashed: usize,
    /// Proofs that were written.
    attached: usize,
    levels: u32,
    root: &'a str,
    /// Whether vmlinux was changed.
    written: bool,
}

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
            files::read_into(path, buffer)?;
            let opened = Module::open(buffer).with_context(|| path.display().to_string())?;
            let result = host.check(&opened.file, Flags::default()).result;
            let reason = result.err().map(|error| error.to_string());
            let facts = Accepted {
                good: reason.is_none(),
                reason: reason.clone(),
            };
            Ok(match reason {
                None => Done::good(Count::Good, "accepted by its hash", &facts),
                Some(reason) => Done::bad(format!("rejected: {reason}"), &facts),
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

        let stamp = files::read_into(path, buffer)?;
        let opened = Module::open(buffer)?;
        let (content, proof) = match trailer::split(&opened.file) {
            Ok(Split {
                kind: Kind::Merkle,
                content,
                message,
            }) => (content, Some(message)),
            // Seen below.
            Ok(Split {
                kind: Kind::Pkcs7 | Kind::Release,
                ..
            }) => (&opened.file[..], None),
            Err(unsplit) if unsplit.error == NotTaken::Unsigned => (&opened.file[..], None),
            Err(unsplit) => bail!("{}; build it again", unsplit.error),
        };
        ensure!(
            strip(content).1 == 0 && opened.misplaced == 0,
            "it is signed with a key; take the signature off (modsig strip), or leave it out"
        );
        let vermagic = Loadable::read(content)?
            .vermagic()
            .context("it does not say which kernel it is for (no vermagic); build it again")?;
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
                stamp: Some(stamp),
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

/// Gives all modules their proofs, and vmlinux the root.
fn update(
    arguments: &Arguments,
    modules: &[Found],
    vmlinux: &Vmlinux,
    state_path: &Path,
) -> Result<ExitCode> {
    let locked = vmlinux.lock()?;
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
    let put = ends.iter().map(|(number, end)| {
        let (found, entry) = (&modules[*number], &looked[*number].entry);
        Ok(End {
            found,
            stamp: entry.stamp.context("has not been looked at")?,
            size: entry.size,
            packed: !is_unpacked(&found.path),
            end,
        })
    });
    let put: Vec<End<'_>> = put.collect::<Result<_>>()?;
    Ok(report::begun((|| {
        let (stamps, wrong) = put_all(&arguments.writing, &arguments.how, &put);
        ensure!(
            wrong == 0,
            "{wrong} modules have no proof, and {} is as it was; do it again",
            arguments.vmlinux.display()
        );
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
            let locked = locked.as_ref().with_context(|| {
                let path = arguments.vmlinux.display();
                format!("{path}: may not be written to, and has another root than its modules")
            })?;
            locked.write(&root)?;
        }
        let count = modules.len();
        tell(arguments, count, hashed, ends.len(), &root, changed)?;
        Ok(ExitCode::SUCCESS)
    })()))
}

/// Says what has become of it.
fn tell(
    arguments: &Arguments,
    modules: usize,
    hashed: usize,
    attached: usize,
    root: &Root,
    changed: bool,
) -> Result<()> {
    let root_digits = hex::encode(&root.hash);
    report::print(&if arguments.how.is_json() {
        output::document(&Summary {
            modules,
            hashed,
            attached,
            levels: root.levels,
            root: &root_digits,
            written: changed,
        })
    } else {
        format!(
            "{}: {modules} modules, {hashed} hashed, {attached} proofs attached; root {root_digits}, {} levels, {}",
            arguments.vmlinux.display(),
            root.levels,
            if changed { "written" } else { "as before" },
        )
    })
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
        arguments.how.jobs().at_once,
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

    let versions = looked.iter().filter_map(|module| {
        let version = module.vermagic.as_deref()?;
        Some((version, Path::new(&module.entry.path)))
    });
    is_kernel_of(&arguments.vmlinux, versions)?;
    Ok(looked)
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
                        name: path.strip_prefix(directory)?.to_path_buf(),
                        path,
                        given: false,
                        root: Some(directory.to_path_buf()),
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
    let mut batch = Batch::new(&arguments.writing, arguments.how.jobs());
    arguments.how.each(
        found,
        |buffer, found| {
            let number = installed[&found.path];
            attach_one(
                arguments.writing.level,
                buffer,
                found,
                &state.modules[number],
                state.position(number)?,
                &tree,
            )
        },
        |done| batch.take(done),
    )
}

fn attach_one(
    level: Option<u32>,
    buffer: &mut Vec<u8>,
    found: &Found,
    entry: &Entry,
    position: u32,
    tree: &Tree,
) -> Result<Replaced> {
    let original = found.read(buffer)?;
    let named = || found.path.display().to_string();
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
    let facts = Attached {
        attached: true,
        position,
    };
    if opened.misplaced == 0 && opened.file[content.len()..] == end {
        let done = Done::good(
            Count::AttachedBefore,
            format!("{what}, has its proof"),
            &facts,
        );
        return Ok(Replaced { done, file: None });
    }
    let parts = opened.packed(&[content, &end], level)?;
    let pending = original.replace(&parts)?;
    Ok(Replaced {
        done: Done::good(Count::Attached, format!("{what}, proof attached"), &facts),
        file: Some(pending),
    })
}
