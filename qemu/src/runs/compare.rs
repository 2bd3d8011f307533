// SPDX-License-Identifier: MIT OR Apache-2.0

//! Gives thousands of files to the verifier in C and to the one in Rust, in every mode, and says
//! where they differ.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{anyhow, bail, Context, Result};
use modsig::verify::Flags;
use modsig_testing::{
    script::script,
    vm::{self, Arch},
};
use modsig_tools::platform::{outcome as foreseen, Host, Mode};

use super::{instruments, outcome::Outcome};
use crate::{
    corpus::compare::{classes, kitchen::Kitchen, mutants, suites, Case, Corpus},
    judge::{
        compare::{self as judge, Documented, Holes, Relation},
        host::host,
    },
    machine::{
        boot::{append, mode_name, MODES},
        guest::Guest,
        kernels::{self, Kernel, C, C_FIXED, IMAGE, PERMISSIVE},
    },
    verdict::compare::{parse, Verdict},
};

/// How many cases of each kind are left in a reduced run.
const REDUCED: usize = 30;

/// Where everything is listed, and files are put that Rust lets in and C does not.
const RESULTS: &str = "build/compare";

/// How long a guest may take. It needs one or two minutes.
const LIMIT: Duration = Duration::from_secs(1200);

/// What is compared.
pub struct Comparison<'a> {
    /// The architecture.
    pub arch: Arch,
    /// The kernel's series, as asked for.
    pub series: &'a str,
    /// Chooses the mutants.
    pub seed: u64,
    /// A tenth of the files.
    pub reduced: bool,
    /// The C verifier has its holes mended.
    pub fixed: bool,
    /// Kernels that were built before, C and Rust.
    pub kernels: Option<[PathBuf; 2]>,
}

impl Comparison<'_> {
    /// Says whether Rust was nowhere weaker, and stricter only where it is said to be.
    pub fn run(&self, outcome: &mut Outcome) -> Result<()> {
        let [c, rust] = match &self.kernels {
            Some(directories) => {
                let [c, rust] = directories.clone().map(Kernel::at);
                [c?, rust?]
            }
            None => [
                Kernel::build(self.series, self.arch, if self.fixed { C_FIXED } else { C })?,
                Kernel::build(self.series, self.arch, PERMISSIVE)?,
            ],
        };
        c.series.name().clone_into(&mut outcome.series);
        let keys = kernels::keys()?;
        let corpus = self.corpus(&keys, &c)?;
        let name = format!("{}-{}", c.series, self.arch.name);
        println!(
            "Linux {}, {}: {} files, seed {}",
            c.series,
            self.arch.name,
            corpus.cases.len(),
            self.seed
        );

        let mut guest = Guest::new(self.arch, Path::new(""), "");
        guest.program("compare")?;
        guest.files.file("corpus", &corpus.encode()?);
        // With what a kernel under instruments needs, so that one can be given as well.
        guest.options = vm::Options {
            limit: LIMIT,
            memory: 1024,
            append: instruments::OPTIONS.append,
            ..vm::Options::default()
        };
        let boot = |verifier: &str, kernel: &Kernel, mode: Mode| {
            let of = mode_name(mode);
            let console = format!("compare-{name}-{verifier}-{of}");
            let mut guest = Guest {
                files: guest.files.clone(),
                options: guest.options,
                ..Guest::new(self.arch, &kernel.path(IMAGE), &console)
            };
            let start = Instant::now();
            // Warnings are not printed, so that the console is not what takes the time, but one of
            // the kernel's own ends the boot.
            guest.append = format!("loglevel=4 panic_on_warn=1 {}", append(mode));
            let (verdicts, outcome) = parse(&guest.run()?, corpus.cases.len());
            let outcome = match vm::trouble(&fs::read(&guest.console)?) {
                Some(trouble) => Err(anyhow!(trouble)),
                None => outcome,
            };
            outcome.with_context(|| {
                let next = corpus.cases.get(verdicts.len());
                let next = next.map_or("the last case", |case| &case.name);
                let console = guest.console.display();
                format!("{console}: {verifier}, {of}, at {next:?}")
            })?;
            println!("{verifier}, {of}: {:.0?}", start.elapsed());
            Ok(verdicts)
        };
        // One mode after the other, both kernels at a time.
        let mut verdicts: [Vec<Vec<Verdict>>; 2] = Default::default();
        for mode in MODES {
            let [c, rust] = std::thread::scope(|scope| {
                let boot = &boot;
                let threads = [("C", &c), ("Rust", &rust)]
                    .map(|(verifier, kernel)| scope.spawn(move || boot(verifier, kernel, mode)));
                threads.map(|thread| match thread.join() {
                    Ok(outcome) => outcome,
                    Err(_) => bail!("a thread has panicked"),
                })
            });
            verdicts[0].push(c?);
            verdicts[1].push(rust?);
        }
        let [of_c, of_rust] = verdicts;
        let host = host(&keys, &c.series, None)?;
        let holes = match (self.fixed, c.series.is_6()) {
            (true, _) => Holes::Mended,
            (false, true) => Holes::Of6_12,
            (false, false) => Holes::OfLater,
        };
        report(&name, &corpus, &host, holes, &of_c, &of_rust, outcome)
    }

    fn corpus(&self, keys: &Path, kernel: &Kernel) -> Result<Corpus> {
        let module = kernel.path("modules/test_module.ko");
        let module = fs::read(&module).with_context(|| module.display().to_string())?;
        let mut corpus = Corpus::new(module.clone());
        let kitchen = Kitchen::new(keys, module)?;
        classes::add(&kitchen, &mut corpus)?;
        mutants::add(&kitchen, self.seed, &mut corpus)?;
        suites::add(&kitchen, &script("get/vectors", &[])?, &mut corpus)?;
        corpus.is_whole()?;
        if self.reduced {
            corpus.thin(REDUCED);
        }
        Ok(corpus)
    }
}

/// The number of "Invalid argument" (include/uapi/asm-generic/errno-base.h).
const EINVAL: u32 = 22;

/// The reason for which the kernel's code on the host refuses a file, or lets it in with taint; and whether
/// the kernel did with it what that code foresaw, in every mode.
fn reason(
    corpus: &Corpus,
    host: &Host,
    case: &Case,
    c: &[Verdict],
    rust: &[Verdict],
) -> (String, bool) {
    let flags = Flags {
        ignore_modversions: case.flags & 1 != 0,
        ignore_vermagic: case.flags & 2 != 0,
    };
    let file = case.unpacked.clone().unwrap_or_else(|| corpus.octets(case));
    let checked = host.check(&file, flags);
    let error = checked.result.as_ref().err();
    let mut modes = MODES.into_iter().zip(c.iter().zip(rust));
    let is_foreseen = modes.all(|(mode, (c, rust))| {
        judge::is_foreseen(foreseen(&checked, mode), error, [c, rust], case.flags)
            // The kernel reads no empty file, so that no verifier is asked.
            || file.is_empty() && *rust == Verdict::Refused(EINVAL)
    });
    (
        error.map_or_else(|| "none".to_owned(), judge::reason),
        is_foreseen,
    )
}

/// Says what came of it; whether Rust was nowhere weaker, and stricter only where it is said to be.
fn report(
    name: &str,
    corpus: &Corpus,
    host: &Host,
    holes: Holes,
    c: &[Vec<Verdict>],
    rust: &[Vec<Verdict>],
    outcome: &mut Outcome,
) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Documentation/differences.md");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let documented = Documented::parse(&text);

    let (mut same, mut weaker, mut undocumented) = (0, vec![], vec![]);
    let mut stricter: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut errnos: BTreeMap<(Verdict, Verdict, String), usize> = BTreeMap::new();
    let mut listing = String::new();
    let names: Vec<&str> = corpus.cases.iter().map(|case| &case.name[..]).collect();
    let mut broken = judge::says_nothing(&MODES.map(mode_name), c, rust);
    broken.extend(judge::holes(holes, &names, c, rust));
    for (index, case) in corpus.cases.iter().enumerate() {
        let of = |verdicts: &[Vec<Verdict>]| -> Vec<Verdict> {
            verdicts.iter().map(|mode| mode[index].clone()).collect()
        };
        let (of_c, of_rust) = (of(c), of(rust));
        let (reason, is_foreseen) = reason(corpus, host, case, &of_c, &of_rust);
        for (c, rust) in of_c.iter().zip(&of_rust) {
            if let (Verdict::Refused(one), Verdict::Refused(other)) = (c, rust) {
                if one != other {
                    if !judge::numbers_may_differ(*one, *other, &reason, &documented) {
                        undocumented.push(format!("{reason}: {}: C {c}, Rust {rust}", case.name));
                    }
                    let key = (c.clone(), rust.clone(), reason.clone());
                    *errnos.entry(key).or_default() += 1;
                }
            }
        }
        let joined = |verdicts: &[Verdict]| {
            let each = verdicts.iter().map(Verdict::to_string);
            each.collect::<Vec<_>>().join("/")
        };
        let verdicts = format!("C {}, Rust {}", joined(&of_c), joined(&of_rust));
        if !is_foreseen {
            broken.push(format!(
                "{}: {verdicts}, and not what its code says on the host: {reason}",
                case.name
            ));
        }
        let relation = judge::relate_all(&of_c, &of_rust);
        listing += &format!("{relation:?}; {}; {verdicts}; {reason}\n", case.name);
        match relation {
            Relation::Same => same += 1,
            Relation::Stricter => {
                let line = format!("{}: {verdicts}", case.name);
                if !documented.allows(&reason, &of_c) {
                    undocumented.push(format!("{reason}: {line}"));
                }
                stricter.entry(reason).or_default().push(line);
            }
            Relation::Weaker => weaker.push((index, verdicts)),
        }
    }
    fs::create_dir_all(RESULTS).context(RESULTS)?;
    let list = Path::new(RESULTS).join(format!("{name}.txt"));
    fs::write(&list, listing).with_context(|| list.display().to_string())?;
    println!(
        "\nEvery case, {}: {}",
        MODES.map(mode_name).join("/"),
        list.display()
    );

    println!("\nRefused by both, with different error numbers (each mode counts):");
    for ((c, rust, reason), count) in &errnos {
        println!("  {count:6}  C {c}, Rust {rust}, {reason}");
    }
    println!("\nStricter, by reason, with an example:");
    for (reason, cases) in &stricter {
        println!("  {:6}  {reason}: {}", cases.len(), cases[0]);
    }
    if !weaker.is_empty() {
        println!("\nWEAKER:");
    }
    for (index, verdicts) in &weaker {
        let case = &corpus.cases[*index];
        let file = Path::new(RESULTS).join(format!("{name}-{index:05}.ko"));
        fs::write(&file, corpus.octets(case)).with_context(|| file.display().to_string())?;
        println!("  {} ({}): {verdicts}", case.name, file.display());
    }
    if !undocumented.is_empty() {
        println!(
            "\nStricter, or refused with another number, for a reason that {} does not name:",
            path.display()
        );
    }
    for line in &undocumented {
        println!("  {line}");
    }
    for line in &broken {
        println!("\nNOT COMPARED: {line}");
    }
    let total = corpus.cases.len();
    let strict: usize = stricter.values().map(Vec::len).sum();
    outcome.said = format!(
        "cases={total} same={same} stricter={strict} weaker={}",
        weaker.len()
    );
    let numbers: usize = errnos.values().sum();
    println!("\nRefused by both with different numbers, over all modes: {numbers}");
    println!("compare: {}", outcome.said);
    outcome.good = weaker.is_empty() && undocumented.is_empty() && broken.is_empty();
    let weaker = weaker.iter().map(|(index, verdicts)| {
        let name = &corpus.cases[*index].name;
        format!("weaker: {name}: {verdicts}")
    });
    let undocumented = undocumented.iter().map(|line| format!("stricter: {line}"));
    outcome.details = broken
        .into_iter()
        .chain(weaker)
        .chain(undocumented)
        .collect();
    Ok(())
}
