// SPDX-License-Identifier: GPL-2.0

//! Asks the C verifier of a kernel tree and this one about the same modules, in the same world: the
//! same keys, digests and signatures.
//!
//! Ends with 1 if this one is weaker, or stricter for a reason that `Documentation/differences.md` does
//! not have, or if the run says nothing because one of the two gives one answer only.

mod c;
mod der;
mod documented;
mod generate;
mod mutate;
mod rng;
mod shrink;
mod world;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
};

use modsig::verify::{
    self,
    policy::{self, Decision},
    Class, Flags,
};

use c::{Library, Session};
use documented::Documented;
use generate::Corpus;
use world::{hex, Case, SERIES};

/// What becomes of a module in a kernel that does not insist on signatures, from worst to best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Refused,
    Tainted,
    Loads,
}

/// What a verifier says of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Verdict {
    fate: Fate,
    errno: i32,
    /// What is loaded, if it is.
    module_len: usize,
    /// This verifier's reason.
    reason: Option<String>,
}

/// How this verifier's verdict stands to C's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Relation {
    Same,
    Stricter(String),
    Undocumented(String),
    Weaker(String),
}

/// Which message is looked at, for those who want to know after the program was ended by C.
static NUMBER: AtomicU64 = AtomicU64::new(u64::MAX);

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

struct Judge {
    libraries: Vec<Option<Library>>,
    documented: Documented,
}

impl Judge {
    fn ask(&mut self, case: &Case) -> Result<(Verdict, Verdict), String> {
        let library = self.libraries[case.world.series].as_mut();
        let library = library.ok_or("no C verifier of this series")?;
        let session = Session::new(library, &case.world);
        Ok((ask_c(&session, case), ask_rust(&session, case)))
    }

    fn relate(&self, c: &Verdict, rust: &Verdict) -> Relation {
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

    fn relation(&mut self, case: &Case) -> Result<Relation, String> {
        let (c, rust) = self.ask(case)?;
        Ok(self.relate(&c, &rust))
    }

    /// A case as a person wants to see it.
    fn show(&mut self, case: &Case) -> Result<String, String> {
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

/// How many of a hundred messages have to come out so, at least, for a run to say anything: both let
/// in clean, both let in with taint, both refuse. What there is today is more than one and a half times
/// that.
const FLOORS: [(Fate, u64); 3] = [(Fate::Loads, 8), (Fate::Tainted, 8), (Fate::Refused, 12)];
/// How many reasons a run of 300,000 messages has to come by.
const REASONS: usize = 54;

/// What has come out so far.
#[derive(Default)]
struct Tally {
    same: u64,
    weaker: u64,
    undocumented: u64,
    /// Of the same, those that C has another error number for.
    other_number: u64,
    stricter: BTreeMap<String, u64>,
    /// How often each reason was come by.
    reasons: BTreeMap<String, u64>,
    both: BTreeMap<Fate, u64>,
    /// The first case of each kind that may not be.
    found: BTreeMap<Relation, Case>,
}

impl Tally {
    fn count(&mut self, judge: &mut Judge, case: &Case) -> Result<(), String> {
        let (c, rust) = judge.ask(case)?;
        if let Some(reason) = &rust.reason {
            *self.reasons.entry(reason.clone()).or_default() += 1;
        }
        if c.fate == rust.fate {
            *self.both.entry(c.fate).or_default() += 1;
        }
        match judge.relate(&c, &rust) {
            Relation::Same => {
                self.same += 1;
                self.other_number += u64::from(c.errno != rust.errno);
            }
            Relation::Stricter(reason) => *self.stricter.entry(reason).or_default() += 1,
            relation => {
                match relation {
                    Relation::Weaker(_) => self.weaker += 1,
                    _ => self.undocumented += 1,
                }
                self.found.entry(relation).or_insert_with(|| case.clone());
            }
        }
        Ok(())
    }
}

struct Options {
    libraries: Vec<(usize, PathBuf)>,
    documented: PathBuf,
    corpus: PathBuf,
    cases: PathBuf,
    messages: u64,
    seed: u64,
    only: Option<u64>,
    /// Whether to stop at the first finding.
    first: bool,
    /// Whether to say how often each reason was come by.
    reasons: bool,
    case: Option<PathBuf>,
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        libraries: vec![],
        documented: PathBuf::new(),
        corpus: PathBuf::new(),
        cases: PathBuf::new(),
        messages: 300_000,
        seed: 1,
        only: None,
        first: false,
        reasons: false,
        case: None,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(option) = arguments.next() {
        let value = arguments.next().ok_or(format!("{option}: no value"))?;
        let number = || {
            value
                .parse::<u64>()
                .map_err(|e| format!("{option} {value}: {e}"))
        };
        match option.as_str() {
            "--library" => {
                let (name, path) = value.split_once('=').ok_or("--library NAME=FILE")?;
                let series = SERIES.iter().position(|series| series.name == name);
                let series = series.ok_or(format!("{name}: not a series that is known"))?;
                options.libraries.push((series, path.into()));
            }
            "--documented" => options.documented = value.into(),
            "--corpus" => options.corpus = value.into(),
            "--cases" => options.cases = value.into(),
            "--messages" => options.messages = number()?,
            "--seed" => options.seed = number()?,
            "--first" => options.first = number()? != 0,
            "--reasons" => options.reasons = number()? != 0,
            "--only" => options.only = Some(number()?),
            "--case" => options.case = Some(value.into()),
            _ => return Err(format!("{option}: not an option")),
        }
    }
    Ok(options)
}

fn files(dir: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|e| format!("{}: {e}", path.display()))
}

fn text(path: &Path) -> Result<String, String> {
    String::from_utf8(read(path)?).map_err(|e| format!("{}: {e}", path.display()))
}

fn corpus(dir: &Path) -> Result<Corpus, String> {
    let mut corpus = Corpus::default();
    // What stands in front of each: a dialect, or whether there is ML-DSA.
    for (name, is_certificate) in [("cms", false), ("x509", true)] {
        for file in files(&dir.join(name))? {
            corpus.add(&read(&file)?, 1, is_certificate);
        }
    }
    if corpus.messages.is_empty() || corpus.certificates.is_empty() {
        return Err(format!("{}: nothing to begin with", dir.display()));
    }
    Ok(corpus)
}

fn run() -> Result<bool, String> {
    let options = options()?;
    let mut judge = Judge {
        libraries: SERIES.iter().map(|_| None).collect(),
        documented: Documented::parse(&text(&options.documented)?),
    };
    let mut series = vec![];
    for (index, path) in &options.libraries {
        judge.libraries[*index] = Some(Library::load(path)?);
        series.push(*index);
    }
    if let Some(path) = &options.case {
        let case = Case::parse(&text(path)?)?;
        print!("{}", judge.show(&case)?);
        let relation = judge.relation(&case)?;
        println!("# {relation:?}");
        return Ok(matches!(relation, Relation::Same | Relation::Stricter(_)));
    }
    let corpus = corpus(&options.corpus)?;
    if let Some(number) = options.only {
        let case = generate::case(options.seed, number, &series, &corpus);
        print!("{}", case.to_text());
        let relation = judge.relation(&case)?;
        println!("# {relation:?}");
        return Ok(true);
    }

    let mut good = true;
    let mut tally = Tally::default();
    let mut total = 0;
    for path in files(&options.cases)? {
        let text = text(&path)?;
        let mut case = Case::parse(&text).map_err(|e| format!("{}: {e}", path.display()))?;
        let own = text.contains("\nseries ").then_some(case.world.series);
        for index in series
            .iter()
            .filter(|index| own.is_none_or(|own| own == **index))
        {
            case.world.series = *index;
            tally.count(&mut judge, &case)?;
            total += 1;
        }
    }
    for number in 0..options.messages {
        NUMBER.store(number, Ordering::Relaxed);
        let case = generate::case(options.seed, number, &series, &corpus);
        tally.count(&mut judge, &case)?;
        total += 1;
        if options.first && !tally.found.is_empty() {
            break;
        }
    }
    NUMBER.store(u64::MAX, Ordering::Relaxed);

    let Tally {
        found,
        stricter,
        reasons,
        both,
        same,
        weaker,
        undocumented,
        other_number,
    } = tally;
    for (relation, case) in found {
        good = false;
        let small = shrink::shrink(case, |case| judge.relation(case).as_ref() == Ok(&relation));
        println!("{relation:?}:\n{}", judge.show(&small)?);
    }
    for (reason, count) in &stricter {
        println!("stricter {count:>8}  {reason}");
    }
    if options.reasons {
        for (reason, count) in &reasons {
            println!("reason {count:>8}  {reason}");
        }
    }
    let counts = FLOORS.map(|(fate, _)| both.get(&fate).copied().unwrap_or(0));
    println!(
        "both let in clean {}, let in with taint {}, refuse {}; {other_number} of the same for another \
         error number; {} reasons",
        counts[0],
        counts[1],
        counts[2],
        reasons.len(),
    );
    for ((fate, floor), count) in FLOORS.into_iter().zip(counts) {
        if count * 100 < floor * total {
            good = false;
            println!(
                "differ: says nothing: both {fate:?} only {count} of {total}, less than {floor} %"
            );
        }
    }
    if total >= 300_000 && reasons.len() < REASONS {
        good = false;
        println!(
            "differ: says nothing: only {} reasons, not {REASONS}",
            reasons.len()
        );
    }
    println!(
        "differ: messages={total} same={same} stricter={} undocumented={undocumented} weaker={weaker}",
        stricter.values().sum::<u64>(),
    );
    Ok(good)
}

fn main() -> ExitCode {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        eprintln!("differ: at message {}:", NUMBER.load(Ordering::Relaxed));
        hook(panic);
    }));
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("differ: {error}");
            ExitCode::from(2)
        }
    }
}
