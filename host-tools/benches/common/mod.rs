// SPDX-License-Identifier: MIT OR Apache-2.0

//! What benchmarks of the host tool have in common: a distribution's modules, the measuring and the
//! figures.

pub(crate) mod measure;
pub(crate) mod report;
mod tree;

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{bail, Context, Result};
use clap::Parser;
use modsig_testing::results::{save_figures, Measured};
use modsig_tools::{
    digest::{digest_by_name, message_digest},
    files::{walk, Links},
    keys::pair,
    library::Library,
    parallel,
};
use openssl::{
    hash::{hash, MessageDigest},
    md::Md,
};
use serde_json::{json, Value};

pub(crate) use tree::{Trees, MODSIG};

use measure::own_peak;
use report::{Figures, Ratios};

/// Times work on a distribution's modules
#[derive(Parser)]
pub(crate) struct Arguments {
    /// Rounds, in each of which everything is run once
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// 200 modules and 2 rounds: to see that it works
    #[arg(long)]
    pub(crate) quick: bool,
    /// Directory, on the file system that is to be measured with, for copies of the modules
    /// [default: the cache]
    #[arg(long)]
    pub(crate) work: Option<PathBuf>,
    /// Where the figures go, besides those that are there already
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../build/bench.json"))]
    json: PathBuf,
    /// Leave out `make modules_install`
    #[arg(long)]
    no_install: bool,
    /// Only hash the modules below this directory (it runs itself so)
    #[arg(long, hide = true)]
    hash: Option<PathBuf>,
    /// Only sign: key, certificate, digest algorithm, number of signatures (it runs itself so)
    #[arg(long, hide = true, num_args = 4)]
    bare: Option<Vec<String>>,
    /// What cargo adds
    #[arg(long, hide = true)]
    bench: bool,
}

/// Something that is measured in rounds.
pub(crate) trait Bench: Sized {
    /// What it is called.
    const NAME: &'static str;
    /// The digest of modules that are only read and hashed.
    fn digest() -> MessageDigest;
    /// Readies what is measured.
    fn prepare(arguments: &Arguments) -> Result<Self>;
    /// The modules that it is measured with.
    fn trees(&self) -> &Trees;
    /// Measures everything once, with `make modules_install` or without.
    fn round(&self, figures: &mut Figures, install: bool) -> Result<()>;
    /// Prints what is to be compared.
    fn compare(&self, ratios: &mut Ratios<'_>);
    /// Prints what else there is to tell.
    fn more(&self) -> Result<Value> {
        Ok(Value::Null)
    }
}

/// What the programs do.
pub(crate) fn main<B: Bench>() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match (&arguments.hash, &arguments.bare) {
        (Some(directory), _) => hash_all(directory, B::digest()),
        (_, Some(words)) => sign_digests(words),
        _ => run::<B>(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error:#}", B::NAME);
            ExitCode::FAILURE
        }
    }
}

fn run<B: Bench>(arguments: &Arguments) -> Result<()> {
    eprintln!("{}: preparing", B::NAME);
    let bench = B::prepare(arguments)?;
    let trees = bench.trees();
    let rounds = if arguments.quick { 2 } else { arguments.rounds };
    let (modules, octets) = (trees.modules.len(), trees.octets);
    let load = || fs::read_to_string("/proc/loadavg");
    let before = load()?;
    let mut figures = Figures::default();
    for round in 1..=rounds {
        eprintln!("{}: round {round} of {rounds}", B::NAME);
        bench.round(&mut figures, !arguments.no_install)?;
    }

    let processor = processor()?;
    let processors = parallel::processors();
    let openssl = openssl::version::version();
    println!(
        "{modules} modules, {:.0} MB; {processors} x {processor}; {openssl}; {rounds} rounds",
        octets as f64 / 1e6,
    );
    print!("load before: {before}load after:  {}", load()?);
    let rows = figures.table(modules, octets);
    let own = own_peak()? as f64 / 1024.0;
    println!("peak: of the largest process; - if it is below the {own:.1} MiB of this one");
    let mut ratios = Ratios::of(&figures);
    bench.compare(&mut ratios);
    let load = [before.trim().to_owned(), load()?.trim().to_owned()];
    let measured = Measured {
        note: format!(
            "{modules} modules, {rounds} rounds, {processors} x {processor}, {openssl}, load before and after: {}",
            load.join("; ")
        ),
        tables: vec![ratios.table()],
        more: json!({
            "modules": modules, "bytes": octets, "rounds": rounds, "openssl": openssl,
            "processor": processor, "processors": processors, "load": load, "seconds": rows,
            "more": bench.more()?,
        }),
    };
    save_figures(&arguments.json, &["host", B::NAME], &measured)
}

fn processor() -> Result<String> {
    let text = fs::read_to_string("/proc/cpuinfo")?;
    let line = text.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split_once(": "));
    Ok(name
        .map_or("unknown processor", |(_, name)| name)
        .to_owned())
}

/// This program, told to do nothing but read and hash the modules below a directory.
pub(crate) fn hash_command(directory: &Path) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--hash").arg(directory);
    Ok(command)
}

/// What `--hash` does: reads and hashes each module, as many at once as there are processors.
fn hash_all(directory: &Path, digest: MessageDigest) -> Result<()> {
    let found = walk(&[directory.to_path_buf()], Links::Leave);
    let found: Vec<_> = found.into_iter().flatten().collect();
    let work = |buffer: &mut Vec<u8>, path: &Path| -> Result<()> {
        buffer.clear();
        fs::File::open(path)?.read_to_end(buffer)?;
        hash(digest, buffer)?;
        Ok(())
    };
    let results = parallel::map(&found, parallel::processors(), |buffer, found| {
        work(buffer, &found.path)
    });
    results.into_iter().collect()
}

/// What `--bare` does: signs so many digests, as many at once as there are processors, with whatever signs
/// so many modules.
fn sign_digests(words: &[String]) -> Result<()> {
    let [key, certificate, name, count] = words else {
        bail!("--bare KEY CERT HASH COUNT");
    };
    let (digest, count) = (digest_by_name(name)?, count.parse()?);
    let (key, _) = pair(Path::new(key), Path::new(certificate), None)?;
    let key = key.by(Library::Auto, digest, count)?;
    eprintln!("{}", key.signed_by());
    let algorithm = message_digest(digest).context("no such digest")?;
    let algorithm = Md::from_nid(algorithm.type_()).context("no such digest")?;
    let digests: Vec<Vec<u8>> = (0..count)
        .map(|number| hash(MessageDigest::sha512(), &number.to_le_bytes()))
        .map(|digest| Ok(digest?.to_vec()))
        .collect::<Result<_>>()?;
    let signed = parallel::map(&digests, parallel::processors(), |_, bytes| {
        key.sign_digest(algorithm, &bytes[..digest.size()])
    });
    signed.into_iter().try_for_each(|signed| signed.map(drop))
}
