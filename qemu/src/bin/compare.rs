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

use anyhow::{bail, ensure, Context, Result};
use clap::Parser;
use modsig::verify::{check, Flags};
use modsig_qemu::{
    compare::{
        classes::{self, Kitchen},
        judge::{self, Relation, Verdict},
        mutants, suites, Case, Corpus,
    },
    initramfs,
    setup::{host, script},
    vm,
};
use modsig_tools::platform::Host;

/// Holds the verifier in Rust against the one in C
#[derive(Parser)]
struct Arguments {
    /// x86_64 or arm64
    #[arg(long, default_value = "x86_64")]
    arch: String,
    /// Kernel series: 6.12, 7.3 or newest
    #[arg(long, default_value = "6.12")]
    kernel: String,
    /// Chooses the mutants
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A run of less than a minute: all classes, fewer of everything
    #[arg(long)]
    reduced: bool,
    /// The unmodified kernel, as scripts/kernel-build makes it, in place of a call of that
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

/// Where files are put that Rust lets in and C does not.
const WEAKER: &str = "build/compare";

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
    let arch = vm::arch(&arguments.arch)?;
    let build = |given: &Option<PathBuf>, flavour| match given {
        Some(directory) => Ok(directory.clone()),
        None => script("kernel-build", &[&arguments.kernel, arch.name, flavour]),
    };
    let kernels = [
        ("C", build(&arguments.c_kernel, "c")?),
        ("Rust", build(&arguments.rust_kernel, "permissive")?),
    ];
    let keys = script("test-keys", &[])?;
    let module = kernels[0].1.join("modules/test_module.ko");
    let module = fs::read(&module).with_context(|| module.display().to_string())?;

    let full = !arguments.reduced;
    let mut corpus = Corpus::new(module.clone());
    let kitchen = Kitchen::new(&keys, module, full)?;
    classes::add(&kitchen, &mut corpus)?;
    let (rounds, limit, every) = if full { (2, 1000, 1) } else { (1, 20, 40) };
    mutants::add(&kitchen, arguments.seed, rounds, limit, &mut corpus)?;
    suites::add(&kitchen, &script("vectors", &[])?, every, &mut corpus)?;
    println!(
        "Linux {}, {}: {} files, seed {}",
        arguments.kernel,
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
            arguments.kernel, arch.name
        );
        let console = PathBuf::from(format!("build/console/{name}.log"));
        let start = Instant::now();
        // Warnings are not printed, so that the console is not what takes the time, but one of the
        // kernel's own ends the boot.
        let append = format!("loglevel=4 panic_on_warn=1 {append}");
        let kernel = kernel.join("kernel");
        let ended = vm::run(arch, &kernel, &archive, &append, &console, LIMIT)?;
        let (verdicts, outcome) = judge::parse(&ended.verdict, corpus.cases.len());
        let outcome = match ended.trouble {
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
    report(&corpus, &host(&keys)?, &c, &rust)
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
fn report(corpus: &Corpus, host: &Host, c: &[Vec<Verdict>], rust: &[Vec<Verdict>]) -> Result<bool> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Documentation/differences.md");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let documented = judge::documented_reasons(&text);

    let (mut same, mut weaker) = (0, vec![]);
    let mut stricter: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut errnos: BTreeMap<(Verdict, Verdict, String), usize> = BTreeMap::new();
    let shown = |case: usize| {
        let each = MODES.iter().enumerate().map(|(mode, (name, _))| {
            let (c, rust) = (&c[mode][case], &rust[mode][case]);
            format!("{name}: C {c}, Rust {rust}")
        });
        each.collect::<Vec<_>>().join("; ")
    };
    for (index, case) in corpus.cases.iter().enumerate() {
        let of = |verdicts: &[Vec<Verdict>]| -> Vec<Verdict> {
            verdicts.iter().map(|mode| mode[index].clone()).collect()
        };
        let (of_c, of_rust) = (of(c), of(rust));
        for (c, rust) in of_c.iter().zip(&of_rust) {
            if let (Verdict::Refused(one), Verdict::Refused(other)) = (c, rust) {
                if one != other {
                    let key = (c.clone(), rust.clone(), reason(corpus, host, case));
                    *errnos.entry(key).or_default() += 1;
                }
            }
        }
        match judge::relate_all(&of_c, &of_rust) {
            Relation::Same => same += 1,
            Relation::Stricter => stricter
                .entry(reason(corpus, host, case))
                .or_default()
                .push(index),
            Relation::Weaker => weaker.push(index),
        }
    }

    println!("\nRefused by both, with different error numbers (each mode counts):");
    for ((c, rust, reason), count) in &errnos {
        println!("  {count:6}  C {c}, Rust {rust}, {reason}");
    }
    println!("\nStricter:");
    let mut undocumented = 0;
    for (reason, cases) in &stricter {
        let known = documented.contains(reason);
        undocumented += if known { 0 } else { cases.len() };
        let mark = if known { "" } else { ", NOT DOCUMENTED" };
        println!("  {:6}  {reason}{mark}", cases.len());
        // One is enough of what is known.
        for &case in &cases[..if known { 1 } else { cases.len() }] {
            println!("          {}: {}", corpus.cases[case].name, shown(case));
        }
    }
    if !weaker.is_empty() {
        fs::create_dir_all(WEAKER).context(WEAKER)?;
        println!("\nWEAKER:");
    }
    for &index in &weaker {
        let case = &corpus.cases[index];
        let file = Path::new(WEAKER).join(format!("{index:05}.ko"));
        fs::write(&file, corpus.octets(case)).with_context(|| file.display().to_string())?;
        println!("  {} ({}): {}", case.name, file.display(), shown(index));
    }
    let total = corpus.cases.len();
    let strict: usize = stricter.values().map(Vec::len).sum();
    ensure!(
        same + strict + weaker.len() == total,
        "the sums do not add up"
    );
    if undocumented > 0 {
        println!("\n{undocumented} cases are stricter for reasons that Documentation/differences.md does not name");
    }
    println!(
        "\ncompare: cases={total} same={same} stricter={strict} weaker={}",
        weaker.len()
    );
    Ok(weaker.is_empty() && undocumented == 0)
}
