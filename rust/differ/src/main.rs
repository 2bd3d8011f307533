// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Asks the C verifier of a kernel tree and this one about the same modules, in the same world: the
//! same keys, digests and signatures.
//!
//! Ends with 1 if this one is weaker, or stricter for a reason that `Documentation/differences.md` does
//! not have, or if the run says nothing because one of the two gives one answer only.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
};

use modsig_differ::{
    documented::Documented,
    files, fuzz,
    generate::{self, Corpus},
    judge::{library, Fate, Judge, Relation},
    read, shrink,
    world::Case,
};

/// Which message is looked at, for those who want to know after the program was ended by C.
static NUMBER: AtomicU64 = AtomicU64::new(u64::MAX);

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
    /// Where to write messages that the fuzz target `against_c` starts from.
    seeds: Option<PathBuf>,
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
        seeds: None,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(option) = arguments.next() {
        let (option, value) = match option.split_once('=') {
            Some((option, value)) => (option.to_owned(), value.to_owned()),
            None => {
                let value = arguments.next().ok_or(format!("{option}: no value"))?;
                (option, value)
            }
        };
        let number = || {
            value
                .parse::<u64>()
                .map_err(|e| format!("{option} {value}: {e}"))
        };
        match option.as_str() {
            "--library" => {
                options.libraries.push(library(&value)?);
            }
            "--documented" => options.documented = value.into(),
            "--corpus" => options.corpus = value.into(),
            "--cases" => options.cases = value.into(),
            "--messages" => options.messages = number()?,
            "--seed" => options.seed = number()?,
            "--first" => options.first = number()? != 0,
            "--reasons" => options.reasons = number()? != 0,
            "--only" => options.only = Some(number()?),
            "--seeds" => options.seeds = Some(value.into()),
            "--case" => options.case = Some(value.into()),
            _ => return Err(format!("{option}: not an option")),
        }
    }
    Ok(options)
}

fn text(path: &Path) -> Result<String, String> {
    String::from_utf8(read(path)?).map_err(|e| format!("{}: {e}", path.display()))
}

fn run() -> Result<bool, String> {
    let options = options()?;
    let documented = Documented::parse(&text(&options.documented)?);
    let mut judge = Judge::new(&options.libraries, documented)?;
    let series: Vec<usize> = options.libraries.iter().map(|(index, _)| *index).collect();
    if let Some(path) = &options.case {
        let case = Case::parse(&text(path)?)?;
        print!("{}", judge.show(&case)?);
        let relation = judge.relation(&case)?;
        println!("# {relation:?}");
        return Ok(matches!(relation, Relation::Same | Relation::Stricter(_)));
    }
    let corpus = Corpus::read(&options.corpus)?;
    if let Some(number) = options.only {
        let case = generate::case(options.seed, number, &series, &corpus);
        print!("{}", case.to_text());
        let relation = judge.relation(&case)?;
        println!("# {relation:?}");
        return Ok(true);
    }

    if let Some(dir) = &options.seeds {
        for number in 0..options.messages {
            if let Some(input) = fuzz::input(options.seed, number, &series, &corpus) {
                let path = dir.join(number.to_string());
                fs::write(&path, input).map_err(|e| format!("{}: {e}", path.display()))?;
            }
        }
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
