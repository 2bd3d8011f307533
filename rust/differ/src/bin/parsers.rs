// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Has certificates and PKCS#7 messages read by the parsers of a kernel tree and by those in Rust that take their
//! place with `CONFIG_X509_RUST` and `CONFIG_PKCS7_RUST`: both through `x509_cert_parse()` and
//! `pkcs7_parse_message()`, all that C then knows of them compared.
//!
//! Ends with 1 if Rust takes one that C refuses, or makes something else of one, or refuses one for a
//! reason that `Documentation/parsers.md` does not have; or if a run says nothing.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
};

use modsig::verify::{cms, x509, Error};
use modsig_differ::{
    c::{Library, Reads, Session, What},
    documented::Documented,
    files,
    generate::{self, Corpus},
    judge::library,
    read,
    rng::Rng,
    shrink,
    world::{hex, Rule, World, SERIES},
};

/// How many of a hundred that are generated both have to take, and to refuse, for a run to say anything.
const FLOOR: u64 = 15;

struct Options {
    libraries: Vec<(usize, PathBuf)>,
    documented: PathBuf,
    corpus: PathBuf,
    /// Directories of certificates and of messages that are in use, to be read as they are, and changed.
    certificates: Option<PathBuf>,
    messages: Option<PathBuf>,
    /// How many of each are generated.
    count: u64,
    seed: u64,
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        libraries: vec![],
        documented: PathBuf::new(),
        corpus: PathBuf::new(),
        certificates: None,
        messages: None,
        count: 300_000,
        seed: 1,
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
            let number = value.parse::<u64>();
            number.map_err(|e| format!("{option} {value}: {e}"))
        };
        match option.as_str() {
            "--library" => options.libraries.push(library(&value)?),
            "--documented" => options.documented = value.into(),
            "--corpus" => options.corpus = value.into(),
            "--certificates" => options.certificates = Some(value.into()),
            "--pkcs7" => options.messages = Some(value.into()),
            "--messages" => options.count = number()?,
            "--seed" => options.seed = number()?,
            _ => return Err(format!("{option}: not an option")),
        }
    }
    Ok(options)
}

/// What has come out so far.
#[derive(Default)]
struct Tally {
    total: u64,
    taken: u64,
    refused: u64,
    /// Refused by both with other error numbers, C's first.
    numbers: BTreeMap<(i32, i32), u64>,
    /// Taken by C only, by reason.
    stricter: BTreeMap<String, u64>,
    /// What may not be: the first of each kind, and how many.
    found: BTreeMap<String, (u64, String)>,
}

impl Tally {
    /// Has both read one, and says what Rust has against it that C has not.
    fn count(
        &mut self,
        session: &Session<'_>,
        what: What,
        world: &World,
        input: &[u8],
        documented: &Documented,
    ) -> Option<String> {
        let c = session.read(what, Reads::C, input);
        let rust = session.read(what, Reads::Rust, input);
        self.total += 1;
        let mut against = None;
        let fault = match (&c, &rust) {
            (Ok(c), Ok(rust)) if c == rust => {
                self.taken += 1;
                return None;
            }
            (Err(c), Err(rust)) => {
                self.refused += 1;
                if c != rust {
                    *self.numbers.entry((*c, *rust)).or_default() += 1;
                }
                return None;
            }
            (Ok(_), Err(error)) => {
                let reason = reason(what, world, input).unwrap_or(format!("error {error}"));
                *self.stricter.entry(reason.clone()).or_default() += 1;
                against = Some(reason.clone());
                if documented.allows(&reason, true) {
                    return against;
                }
                format!("undocumented: {reason}")
            }
            (Err(error), Ok(_)) => format!("weaker: C says {error}"),
            (Ok(_), Ok(_)) => "it is something else".to_owned(),
        };
        let text = |said: &Result<Vec<u8>, i32>| match said {
            Ok(text) => String::from_utf8_lossy(text).into_owned(),
            Err(error) => format!("error {error}\n"),
        };
        let (c, rust) = (text(&c), text(&rust));
        let shown = || {
            let mut shown = format!("{}\n", hex(input));
            for (c, rust) in c.lines().zip(rust.lines()).filter(|(c, rust)| c != rust) {
                shown += &format!("# C:    {c}\n# Rust: {rust}\n");
            }
            shown
        };
        let found = self.found.entry(fault).or_insert_with(|| (0, shown()));
        found.0 += 1;
        against
    }

    /// Says what came out, and whether it may be.
    fn print(&self, of: &str) -> bool {
        for ((c, rust), count) in &self.numbers {
            println!("{of}: both refuse, C with {c}, Rust with {rust}: {count}");
        }
        for (reason, count) in &self.stricter {
            println!("{of}: only C takes it, {reason}: {count}");
        }
        for (fault, (count, shown)) in &self.found {
            println!("{of}: {fault}: {count}, the first of them:\n{shown}");
        }
        let faults: u64 = self.found.values().map(|(count, _)| count).sum();
        println!(
            "parsers: {of}: read={} taken={} refused={} stricter={} faults={faults}",
            self.total,
            self.taken,
            self.refused,
            self.stricter.values().sum::<u64>(),
        );
        faults == 0
    }
}

/// Why Rust refuses it.
fn reason(what: What, world: &World, input: &[u8]) -> Option<String> {
    let ml_dsa = world.series().tree.ml_dsa;
    let error: Error = match what {
        What::Certificate => x509::read(input, ml_dsa).err()?,
        What::Message => cms::read_general(input, ml_dsa).err()?,
    };
    let debug = format!("{error:?}");
    let end = debug.find(|c: char| !c.is_ascii_alphanumeric());
    Some(debug[..end.unwrap_or(debug.len())].to_owned())
}

/// A time, most of them good or nearly so; what the two say of it if that is not the same.
fn time(session: &Session<'_>, rng: &mut Rng) -> Option<String> {
    let tag = *rng.pick(&[0x17, 0x17, 0x18, 0x18, 0x16]);
    let (width, years) = if tag == 0x17 { (2, 100) } else { (4, 10_000) };
    let [year, month, day, hour, minute, second] =
        [years, 14, 33, 26, 61, 62].map(|end| rng.below(end));
    let text = format!("{year:0width$}{month:02}{day:02}{hour:02}{minute:02}{second:02}Z");
    let mut text = text.into_bytes();
    if rng.percent(10) {
        let at = rng.below(text.len());
        text[at] = rng.draw() as u8;
    }
    if rng.percent(5) {
        text.truncate(rng.below(16));
    }
    let [c, rust] = [Reads::C, Reads::Rust].map(|by| session.time(by, tag, &text));
    (c != rust).then(|| format!("{tag:02x} {}: C {c:?}, Rust {rust:?}", hex(&text)))
}

/// The files of a directory, by name.
fn all(dir: Option<&Path>) -> Result<Vec<(String, Vec<u8>)>, String> {
    let Some(dir) = dir else { return Ok(vec![]) };
    let each = files(dir)?.into_iter().map(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Ok((name.into_owned(), read(&path)?))
    });
    each.collect()
}

fn run() -> Result<bool, String> {
    let options = options()?;
    let documented = String::from_utf8(read(&options.documented)?).map_err(|e| e.to_string())?;
    let documented = Documented::parse(&documented);
    let mut corpus = Corpus::read(&options.corpus)?;
    let certificates = all(options.certificates.as_deref())?;
    let messages = all(options.messages.as_deref())?;
    for (what, real) in [
        (What::Certificate, &certificates),
        (What::Message, &messages),
    ] {
        for (_, input) in real {
            corpus.add(input, 0, what == What::Certificate);
        }
    }
    let mut good = true;
    for (series, path) in &options.libraries {
        let mut run = Run {
            library: Library::load(path)?,
            series: *series,
            options: &options,
            documented: &documented,
            corpus: &corpus,
        };
        good &= run.of(What::Certificate, &certificates);
        if SERIES[*series].tree.ml_dsa {
            good &= run.of(What::Message, &messages);
        }
        good &= run.times();
    }
    Ok(good)
}

/// Rust held against one tree.
struct Run<'a> {
    library: Library,
    series: usize,
    options: &'a Options,
    documented: &'a Documented,
    corpus: &'a Corpus,
}

impl Run<'_> {
    /// Reads those that are in use, and generated ones.
    fn of(&mut self, what: What, real: &[(String, Vec<u8>)]) -> bool {
        let name = SERIES[self.series].name;
        let mut good = true;
        if !real.is_empty() {
            let world = World {
                rule: Rule::Every,
                ..World::new(self.series)
            };
            let session = Session::new(&mut self.library, &world);
            let mut tally = Tally::default();
            for (file, input) in real {
                if let Some(reason) = tally.count(&session, what, &world, input, self.documented) {
                    println!("{name}: only C takes {file}: {reason}");
                }
            }
            good &= tally.print(&format!("{name} {what:?}, real"));
        }
        let mut tally = Tally::default();
        for number in 0..self.options.count {
            let (seed, series) = (self.options.seed, [self.series]);
            let (world, input) = match what {
                What::Certificate => generate::certificate(seed, number, &series, self.corpus),
                What::Message => {
                    let case = generate::case(seed, number, &series, self.corpus);
                    let Some((_, message)) = shrink::split(&case.file) else {
                        continue;
                    };
                    let message = message.to_vec();
                    (case.world, message)
                }
            };
            let session = Session::new(&mut self.library, &world);
            tally.count(&session, what, &world, &input, self.documented);
        }
        good &= tally.print(&format!("{name} {what:?}, generated"));
        let floor = tally.total * FLOOR / 100;
        if tally.taken < floor || tally.refused < floor {
            println!("{name}: too few are taken, or refused, for this run to say anything");
            good = false;
        }
        good
    }

    /// Reads times.
    fn times(&mut self) -> bool {
        let world = World::new(self.series);
        let session = Session::new(&mut self.library, &world);
        let mut rng = Rng::new(self.options.seed, 0);
        let each = (0..self.options.count).filter_map(|_| time(&session, &mut rng));
        let wrong: Vec<_> = each.collect();
        let name = SERIES[self.series].name;
        if let Some(first) = wrong.first() {
            println!("{name}: {} times differ: {first}", wrong.len());
        }
        wrong.is_empty()
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("parsers: {error}");
            ExitCode::from(2)
        }
    }
}
