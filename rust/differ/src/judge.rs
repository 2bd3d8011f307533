// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What the two say of a module, and how this one's verdict stands to C's.

use std::path::PathBuf;

use modsig::verify::{
    self,
    policy::{self, Decision},
    Class, Flags,
};

use crate::{
    c::{Library, Session},
    documented::Documented,
    shrink,
    world::{hex, Case, SERIES},
};

/// Where in the command line a C verifier is: `NAME=FILE`.
pub fn library(argument: &str) -> Result<(usize, PathBuf), String> {
    let (name, path) = argument.split_once('=').ok_or("--library NAME=FILE")?;
    let series = SERIES.iter().position(|series| series.name == name);
    let series = series.ok_or(format!("{name}: not a series that is known"))?;
    Ok((series, path.into()))
}

/// What becomes of a module in a kernel that does not insist on signatures, from worst to best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It is not loaded.
    Refused,
    /// It is loaded and taints the kernel.
    Tainted,
    /// It is loaded.
    Loads,
}

/// What a verifier says of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What becomes of it.
    pub fate: Fate,
    /// The error number behind that.
    pub errno: i32,
    /// What is loaded, if it is.
    pub module_len: usize,
    /// This verifier's reason.
    pub reason: Option<String>,
}

/// How this verifier's verdict stands to C's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Relation {
    /// They come to the same.
    Same,
    /// This one refuses, or taints for, what C does not, for this documented reason.
    Stricter(String),
    /// The same for a reason that is not documented.
    Undocumented(String),
    /// The other way round.
    Weaker(String),
}

fn ask_rust(session: &Session<'_>, case: &Case) -> Verdict {
    let flags = Flags {
        ignore_modversions: case.world.flags & 1 != 0,
        ignore_vermagic: case.world.flags & 2 != 0,
    };
    let checked = verify::check(session, &case.file, flags);
    let class = checked.result.map_err(|error| error.class());
    let errno = match class {
        Ok(()) => 0,
        Err(Class::NoData) => -61,
        Err(Class::NoPackage) => -65,
        Err(Class::MessageSize) => -90,
        Err(Class::NoKey) => -126,
        Err(Class::BadMessage) => -74,
        Err(Class::Invalid) => -22,
        Err(Class::TooLarge) => -27,
        Err(Class::Rejected) => -129,
        Err(Class::Platform(errno)) => errno,
    };
    Verdict {
        fate: match policy::decide(class, false) {
            Decision::Accept => Fate::Loads,
            Decision::AskLockdown => Fate::Tainted,
            Decision::Refuse | Decision::Fail(_) => Fate::Refused,
        },
        errno,
        module_len: checked.module_len,
        reason: checked.result.err().map(|error| {
            let debug = format!("{error:?}");
            let end = debug.find(|c: char| !c.is_ascii_alphanumeric());
            debug[..end.unwrap_or(debug.len())].to_owned()
        }),
    }
}

fn ask_c(session: &Session<'_>, case: &Case) -> Verdict {
    let answer = session.check(&case.file);
    Verdict {
        fate: match (answer.result, answer.sig_ok) {
            (0, true) => Fate::Loads,
            (0, false) => Fate::Tainted,
            _ => Fate::Refused,
        },
        errno: answer.reason,
        module_len: answer.module_len,
        reason: None,
    }
}

/// Who asks them.
pub struct Judge {
    /// The C verifiers, in the order of [`SERIES`].
    libraries: Vec<Option<Library>>,
    documented: Documented,
}

impl Judge {
    /// One for these C verifiers, each an index into [`SERIES`] and a library, and these reasons.
    pub fn new(libraries: &[(usize, PathBuf)], documented: Documented) -> Result<Self, String> {
        let mut judge = Judge {
            libraries: SERIES.iter().map(|_| None).collect(),
            documented,
        };
        for (index, path) in libraries {
            judge.libraries[*index] = Some(Library::load(path)?);
        }
        Ok(judge)
    }

    /// What C says of a case, and what this verifier does.
    pub fn ask(&mut self, case: &Case) -> Result<(Verdict, Verdict), String> {
        let library = self.libraries[case.world.series].as_mut();
        let library = library.ok_or("no C verifier of this series")?;
        let session = Session::new(library, &case.world);
        Ok((ask_c(&session, case), ask_rust(&session, case)))
    }

    /// How the second stands to the first.
    pub fn relate(&self, c: &Verdict, rust: &Verdict) -> Relation {
        let reason = rust.reason.clone().unwrap_or("Accepted".to_owned());
        if rust.fate > c.fate {
            return Relation::Weaker(reason);
        }
        if rust.fate == c.fate {
            // What is loaded is cut off alike.
            return if rust.fate != Fate::Refused && rust.module_len != c.module_len {
                Relation::Weaker(format!("{reason}, another module"))
            } else {
                Relation::Same
            };
        }
        if self.documented.allows(&reason, c.fate == Fate::Loads) {
            Relation::Stricter(reason)
        } else {
            Relation::Undocumented(reason)
        }
    }

    /// How they stand to each other.
    pub fn relation(&mut self, case: &Case) -> Result<Relation, String> {
        let (c, rust) = self.ask(case)?;
        Ok(self.relate(&c, &rust))
    }

    /// A case as a person wants to see it.
    pub fn show(&mut self, case: &Case) -> Result<String, String> {
        let (c, rust) = self.ask(case)?;
        let mut text = format!("# C:    {:?}, error number {}\n", c.fate, c.errno);
        text += &format!(
            "# here: {:?}, error number {}, {}\n",
            rust.fate,
            rust.errno,
            rust.reason.as_deref().unwrap_or("good"),
        );
        text += &case.to_text();
        if let Some((content, message)) = shrink::split(&case.file) {
            text += &format!("# content {}\n# message {}\n", hex(content), hex(message));
        }
        Ok(text)
    }
}
