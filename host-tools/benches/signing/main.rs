// SPDX-License-Identifier: GPL-2.0

//! Signing a distribution's modules, with the kernel's signer and with this one, beside what cannot
//! be saved: the signatures themselves (`make bench`).

mod measure;
mod report;
mod tree;

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::AtomicBool,
};

use anyhow::Result;
use clap::Parser;
use measure::own_peak;
use modsig_qemu::figures;
use modsig_tools::{
    files::{walk, Links},
    parallel,
};
use openssl::hash::{hash, MessageDigest};
use report::{Figures, Ratios, Target};
use serde_json::json;
use tree::*;

/// Times the signing of a distribution's modules
#[derive(Parser)]
struct Arguments {
    /// Rounds, in each of which everything is run once
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// 200 modules and 2 rounds: to see that it works
    #[arg(long)]
    quick: bool,
    /// Directory, on the file system that is to be measured with, for copies of the modules
    /// [default: the cache]
    #[arg(long)]
    work: Option<PathBuf>,
    /// Where the figures go, besides those that are there already
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../build/bench.json"))]
    json: PathBuf,
    /// Only hash the modules below this directory (it runs itself so)
    #[arg(long, hide = true)]
    hash: Option<PathBuf>,
    /// What cargo adds
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match &arguments.hash {
        Some(directory) => hash_all(directory),
        None => run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("signing: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let bench = Bench::prepare(arguments.work.as_deref(), arguments.quick)?;
    let rounds = if arguments.quick { 2 } else { arguments.rounds };
    let (modules, octets) = (bench.modules.len(), bench.octets);
    let load = || fs::read_to_string("/proc/loadavg");
    let before = load()?;
    let mut figures = Figures::default();
    for round in 1..=rounds {
        eprintln!("signing: round {round} of {rounds}");
        bench.round(&mut figures)?;
    }

    let processor = processor()?;
    let openssl = openssl::version::version();
    println!(
        "{modules} modules, {:.0} MB; {} x {processor}; {openssl}; {rounds} rounds",
        octets as f64 / 1e6,
        bench.processors,
    );
    print!("load before: {before}load after:  {}", load()?);
    let rows = figures.table(modules, octets);
    let own = own_peak()? as f64 / 1024.0;
    println!("peak: of the largest process; - if it is below the {own:.1} MiB of this one");
    let ratios = ratios(&figures);
    let value = json!({
        "modules": modules, "octets": octets, "rounds": rounds, "openssl": openssl,
        "processor": processor, "processors": bench.processors, "load": [before.trim(), load()?.trim()],
        "seconds": rows, "ratios": ratios,
    });
    figures::save(&arguments.json, &["host"], value)
}

fn processor() -> Result<String> {
    let text = fs::read_to_string("/proc/cpuinfo")?;
    let line = text.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split_once(": "));
    Ok(name
        .map_or("unknown processor", |(_, name)| name)
        .to_owned())
}

fn ratios(figures: &Figures) -> serde_json::Value {
    let mut ratios = Ratios::of(figures);
    for Algorithm { name, .. } in &ALGORITHMS {
        // What is to be reached.
        let [most, least, install] = if name.starts_with("RSA") {
            [Some(Target::AtMost(1.15)), None, None]
        } else {
            [None, Some(Target::AtLeast(5.0)), Some(Target::AtMost(1.0))]
        };
        ratios.row(name, OURS, &[BARE], most);
        ratios.row(name, OURS, &[BARE, HASH], None);
        ratios.row(name, STOCK, &[OURS], least);
        ratios.row(name, SYNCED, &[OURS], None);
        ratios.row(name, INSTALL_OURS, &[UNSIGNED], install);
        ratios.row(name, INSTALL_STOCK, &[INSTALL_OURS], None);
    }
    ratios.json()
}

/// What `--hash` does: reads and hashes each module, as many at once as there are processors.
fn hash_all(directory: &Path) -> Result<()> {
    let found = walk(&[directory.to_path_buf()], Links::Leave);
    let found: Vec<_> = found.into_iter().flatten().collect();
    let work = |buffer: &mut Vec<u8>, path: &Path| -> Result<()> {
        buffer.clear();
        fs::File::open(path)?.read_to_end(buffer)?;
        hash(MessageDigest::sha512(), buffer)?;
        Ok(())
    };
    let mut result = Ok(());
    parallel::each(
        &found,
        parallel::processors(),
        &AtomicBool::new(false),
        |buffer, found| work(buffer, &found.path),
        |_, done| result = std::mem::replace(&mut result, Ok(())).and(done),
    );
    result
}
