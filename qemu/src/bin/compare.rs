// SPDX-License-Identifier: GPL-2.0

//! `compare`: gives thousands of files to the verifier in C and to the one in Rust, in every mode,
//! and says where they differ.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{bail, Context, Result};
use clap::Parser;
use modsig::verify::{check, Flags};
use modsig_qemu::{
    compare::{
        classes::{self, Kitchen},
        judge::{self, Documented, Relation, Verdict},
        mutants, suites, Case, Corpus,
    },
    host::host,
    initramfs, instruments,
    script::script,
    target::Target,
    vm,
};
use modsig_tools::platform::Host;

/// Holds the verifier in Rust against the one in C
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Chooses the mutants
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A run of less than a minute: all classes, fewer of everything
    #[arg(long)]
    reduced: bool,
    /// The unmodified kernel, as scripts/build/kernel makes it, in place of a call of that
    #[arg(long, requires = "rust_kernel", value_name = "DIR")]
    c_kernel: Option<PathBuf>,
    /// The kernel with the verifier in Rust
    #[arg(long, requires = "c_kernel", value_name = "DIR")]
    rust_kernel: Option<PathBuf>,
}

/// A name, and what is added to the kernel's command line.
const MODES: [(&str, &str); 3] = [
    ("permissive", ""),
    ("enforcing", "module.sig_enforce=1"),
    ("lockdown", "lockdown=integrity"),
];

/// How many cases of each kind are left in a reduced run.
const REDUCED: usize = 30;

/// Where everything is listed, and files are put that Rust lets in and C does not.
const RESULTS: &str = "build/compare";

/// How long a guest may take. It needs one or two minutes.
const LIMIT: Duration = Duration::from_secs(1200);

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("compare: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<bool> {
    let arch = vm::arch(&arguments.target.arch)?;
    let build = |given: &Option<PathBuf>, flavour| match given {
        Some(directory) => Ok(directory.clone()),
        None => script(
            "build/kernel",
            &[&arguments.target.kernel, arch.name, flavour],
        ),
    };
    let kernels = [
        ("C", build(&arguments.c_kernel, "c")?),
        ("Rust", build(&arguments.rust_kernel, "permissive")?),
    ];
    let keys = script("build/keys", &[])?;
    let module = kernels[0].1.join("modules/test_module.ko");
    let module = fs::read(&module).with_context(|| module.display().to_string())?;

    let mut corpus = Corpus::new(module.clone());
    let kitchen = Kitchen::new(&keys, module)?;
    classes::add(&kitchen, &mut corpus)?;
    mutants::add(&kitchen, arguments.seed, &mut corpus)?;
    suites::add(&kitchen, &script("get/vectors", &[])?, &mut corpus)?;
    if arguments.reduced {
        corpus.thin(REDUCED);
    }
    println!(
        "Linux {}, {}: {} files, seed {}",
        arguments.target.kernel,
        arch.name,
        corpus.cases.len(),
        arguments.seed
    );

    let mut archive = initramfs::Archive::default();
    for directory in ["dev", "proc", "sys"] {
        archive.directory(directory);
    }
    archive.file("init", &initramfs::program("compare", arch.clang_target)?);
    archive.file("corpus", &corpus.encode()?);
    let archive = archive.finish();
    let boot = |(verifier, kernel): &(&str, PathBuf), (mode, append): (&str, &str)| {
        let name = format!(
            "compare-{}-{}-{verifier}-{mode}",
            arguments.target.kernel, arch.name
        );
        let console = PathBuf::from(format!("build/console/{name}.log"));
        let start = Instant::now();
        // Warnings are not printed, so that the console is not what takes the time, but one of the
        // kernel's own ends the boot.
        let append = format!("loglevel=4 panic_on_warn=1 {append}");
        let kernel = kernel.join("kernel");
        // With what a kernel under instruments needs, so that one can be given as well.
        let options = vm::Options {
            limit: LIMIT,
            memory: 1024,
            append: instruments::OPTIONS.append,
            ..vm::Options::default()
        };
        let verdict = vm::run(arch, &kernel, &archive, &append, &console, &options)?;
        let (verdicts, outcome) = judge::parse(&verdict, corpus.cases.len());
        let outcome = match vm::trouble(&fs::read(&console)?) {
            Some(trouble) => Err(anyhow::anyhow!(trouble)),
            None => outcome,
        };
        outcome.with_context(|| {
            let next = corpus.cases.get(verdicts.len());
            let next = next.map_or("the last case", |case| &case.name);
            format!("{}: {verifier}, {mode}, at {next:?}", console.display())
        })?;
        println!("{verifier}, {mode}: {:.0?}", start.elapsed());
        Ok(verdicts)
    };
    // One mode after the other, both kernels at a time.
    let mut verdicts: [Vec<Vec<Verdict>>; 2] = Default::default();
    for mode in MODES {
        let [c, rust] = std::thread::scope(|scope| {
            let boot = &boot;
            let threads = kernels
                .each_ref()
                .map(|kernel| scope.spawn(move || boot(kernel, mode)));
            threads.map(|thread| match thread.join() {
                Ok(outcome) => outcome,
                Err(_) => bail!("a thread has panicked"),
            })
        });
        verdicts[0].push(c?);
        verdicts[1].push(rust?);
    }
    let [c, rust] = verdicts;
    let name = format!("{}-{}", arguments.target.kernel, arch.name);
    report(
        &name,
        &corpus,
        &host(&keys, &arguments.target.kernel, None)?,
        &c,
        &rust,
    )
}

/// The reason for which the kernel's code on the host refuses a file, or lets it in with taint.
fn reason(corpus: &Corpus, host: &Host, case: &Case) -> String {
    let flags = Flags {
        ignore_modversions: case.flags & 1 != 0,
        ignore_vermagic: case.flags & 2 != 0,
    };
    let file = case.unpacked.clone().unwrap_or_else(|| corpus.octets(case));
    match check(host, &file, flags).result {
        Ok(()) => "none".to_owned(),
        Err(error) => judge::reason(&error),
    }
}

/// Says what came of it; whether Rust was nowhere weaker, and stricter only where it is said to be.
fn report(
    name: &str,
    corpus: &Corpus,
    host: &Host,
    c: &[Vec<Verdict>],
    rust: &[Vec<Verdict>],
) -> Result<bool> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Documentation/differences.md");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let documented = Documented::parse(&text);

    let (mut same, mut weaker, mut undocumented) = (0, vec![], vec![]);
    let mut stricter: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut errnos: BTreeMap<(Verdict, Verdict, String), usize> = BTreeMap::new();
    let mut listing = String::new();
    for (index, case) in corpus.cases.iter().enumerate() {
        let of = |verdicts: &[Vec<Verdict>]| -> Vec<Verdict> {
            verdicts.iter().map(|mode| mode[index].clone()).collect()
        };
        let (of_c, of_rust) = (of(c), of(rust));
        let reason = reason(corpus, host, case);
        for (c, rust) in of_c.iter().zip(&of_rust) {
            if let (Verdict::Refused(one), Verdict::Refused(other)) = (c, rust) {
                if one != other {
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
        MODES.map(|(mode, _)| mode).join("/"),
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
            "\nStricter for a reason that {} does not name:",
            path.display()
        );
    }
    for line in &undocumented {
        println!("  {line}");
    }
    let total = corpus.cases.len();
    let strict: usize = stricter.values().map(Vec::len).sum();
    println!(
        "\ncompare: cases={total} same={same} stricter={strict} weaker={}",
        weaker.len()
    );
    Ok(weaker.is_empty() && undocumented.is_empty())
}
