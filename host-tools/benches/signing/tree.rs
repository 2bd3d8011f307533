// SPDX-License-Identifier: GPL-2.0

//! Everything that is measured, and the modules that it is measured with.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{ensure, Context, Result};
use modsig_qemu::script::script;
use modsig_tools::{
    files::{walk, Links},
    parallel,
};
use tempfile::TempDir;

use crate::{
    measure::{bare, measure, Cost},
    report::Figures,
};

const MODSIG: &str = env!("CARGO_BIN_EXE_modsig");

/// The tree whose `sign-file` and `modules_install` are measured.
const SERIES: &str = "7.3";

pub(crate) struct Algorithm {
    pub(crate) name: &'static str,
    /// For `modsig keygen`.
    kind: &'static str,
    hash: &'static str,
    /// For `openssl speed`.
    speed: &'static str,
}

pub(crate) const ALGORITHMS: [Algorithm; 2] = [
    Algorithm {
        name: "RSA-4096/SHA-512",
        kind: "rsa-4096",
        hash: "sha512",
        speed: "rsa4096",
    },
    Algorithm {
        name: "P-384/SHA-384",
        kind: "p384",
        hash: "sha384",
        speed: "ecdsap384",
    },
];

pub(crate) const BARE: &str = "openssl speed";
pub(crate) const STOCK: &str = "xargs sign-file";
pub(crate) const OURS: &str = "modsig sign --no-sync";
pub(crate) const SYNCED: &str = "modsig sign";
pub(crate) const VERIFY: &str = "modsig verify";
pub(crate) const INSPECT: &str = "modsig inspect";
pub(crate) const HASH: &str = "read and hash with SHA-512";
pub(crate) const COPY: &str = "cp -r";
pub(crate) const UNSIGNED: &str = "modules_install unsigned";
pub(crate) const INSTALL_STOCK: &str = "modules_install sign-file";
pub(crate) const INSTALL_OURS: &str = "modules_install modsig";

/// Everything that is measured.
pub(crate) struct Bench {
    /// In the cache, because the kernel's source is copied by hard links: `source`, `objects`, keys.
    cache: TempDir,
    /// Where modules are signed: `plain` is as they were, `tree` a copy, `installed` what make made.
    work: TempDir,
    pub(crate) processors: usize,
    /// Names of the modules below `plain`, where they stand unsigned.
    pub(crate) modules: Vec<PathBuf>,
    pub(crate) octets: u64,
}

impl Bench {
    fn cached(&self, name: &str) -> PathBuf {
        self.cache.path().join(name)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.work.path().join(name)
    }

    fn measure(&self, command: &mut Command) -> Result<Cost> {
        measure(command, &self.cached("log"))
    }

    /// Runs a program of which not the time matters.
    fn quietly(&self, command: &mut Command) -> Result<()> {
        self.measure(command).map(drop)
    }

    pub(crate) fn prepare(work: Option<&Path>, quick: bool) -> Result<Self> {
        eprintln!("signing: preparing");
        let distribution = script("distro-kernel", &["bookworm", "x86_64"])?;
        let source = script("kernel-source", &[SERIES])?;
        let cache = source.ancestors().nth(2).context("an odd cache")?;
        let directory = |place| tempfile::Builder::new().prefix("bench.").tempdir_in(place);
        let mut bench = Bench {
            cache: directory(cache)?,
            work: directory(&fs::canonicalize(work.unwrap_or(cache))?)?,
            processors: parallel::processors().get(),
            modules: vec![],
            octets: 0,
        };
        bench.modules(&distribution, quick)?;
        bench.keys()?;
        bench.objects(&source)?;
        Ok(bench)
    }

    /// The distribution's modules, unsigned; for a quick run some of all sizes.
    fn modules(&mut self, distribution: &Path, quick: bool) -> Result<()> {
        let all = walk(&[distribution.join("lib/modules")], Links::Leave);
        let all: Vec<_> = all.into_iter().flatten().collect();
        ensure!(all.len() >= 4000, "only {} modules", all.len());
        let step = if quick { all.len() / 200 } else { 1 };
        let plain = self.path("plain");
        for found in all.iter().step_by(step) {
            // Less RELEASE/kernel.
            let name: PathBuf = found.name.components().skip(2).collect();
            let path = plain.join(&name);
            fs::create_dir_all(path.parent().unwrap_or(&plain))?;
            fs::copy(&found.path, path)?;
            self.modules.push(name);
        }
        self.quietly(Command::new(MODSIG).args(["strip", "--no-sync"]).arg(plain))?;
        for name in &self.modules {
            self.octets += fs::metadata(self.path("plain").join(name))?.len();
        }
        let mut list = fs::File::create(self.cached("list"))?;
        for name in &self.modules {
            list.write_all(self.path("tree").join(name).as_os_str().as_encoded_bytes())?;
            list.write_all(b"\0")?;
        }
        Ok(())
    }

    fn keys(&self) -> Result<()> {
        for Algorithm { kind, .. } in &ALGORITHMS {
            let mut keygen = Command::new(MODSIG);
            keygen.args(["keygen", "--algorithm", kind]);
            keygen.arg("--key").arg(self.cached(&format!("{kind}.key")));
            keygen
                .arg("--cert")
                .arg(self.cached(&format!("{kind}.cert")));
            self.quietly(&mut keygen)?;
        }
        Ok(())
    }

    /// A tree with modsig, and objects for it as if these modules had been built there.
    fn objects(&self, source: &Path) -> Result<()> {
        let (tree, objects) = (self.cached("source"), self.cached("objects"));
        self.quietly(Command::new("cp").arg("-al").arg(source).arg(&tree))?;
        script("integrate", &[&tree.display().to_string()])?;
        fs::create_dir(&objects)?;
        let wanted = objects.join("wanted");
        fs::write(&wanted, "CONFIG_MODULES=y\nCONFIG_MODULE_SIG=y\n")?;
        let wanted = format!("KCONFIG_ALLCONFIG={}", wanted.display());
        for goals in [
            &["allnoconfig", &wanted][..],
            &["scripts", "include/config/kernel.release"],
        ] {
            self.quietly(self.make().args(goals))?;
        }

        let mut order = fs::File::create(objects.join("modules.order"))?;
        for name in &self.modules {
            writeln!(order, "{}", name.with_extension("o").display())?;
            let object = objects.join(name);
            fs::create_dir_all(object.parent().unwrap_or(&objects))?;
            fs::copy(self.path("plain").join(name), object)?;
        }
        for name in ["modules.builtin", "modules.builtin.modinfo"] {
            fs::write(objects.join(name), "")?;
        }
        fs::create_dir_all(objects.join("certs"))?;
        // For depmod: exported by the kernel is what modules use and no module exports.
        let symbols = r#"find "$1" -name '*.ko' -exec nm {} + | awk '
            $NF ~ /^__ksymtab_/ { has[substr($NF, 11)] }
            $1 == "U" { uses[$2] }
            END { for (name in uses) if (!(name in has)) print "ffffffff81000000 r __ksymtab_" name }
            ' > "$2""#;
        let mut shell = Command::new("sh");
        shell.args(["-c", symbols, "sh"]).arg(self.path("plain"));
        self.quietly(shell.arg(objects.join("System.map")))
    }

    fn make(&self) -> Command {
        let mut command = Command::new("make");
        command.arg(format!("-j{}", self.processors));
        command.arg("-C").arg(self.cached("source"));
        command.arg(format!("O={}", self.cached("objects").display()));
        command
    }

    /// Measures everything once.
    pub(crate) fn round(&self, figures: &mut Figures) -> Result<()> {
        self.fresh("tree")?;
        figures.add("", COPY, self.copy("copy")?);
        fs::remove_dir_all(self.path("copy"))?;
        let itself = std::env::current_exe()?;
        let mut hash = Command::new(itself);
        hash.arg("--hash").arg(self.path("plain"));
        figures.add("", HASH, self.measure(&mut hash)?);
        for algorithm in &ALGORITHMS {
            self.sign(algorithm, figures)?;
        }
        fs::remove_dir_all(self.path("tree"))?;
        figures.add("", UNSIGNED, self.install(None, "")?);
        for algorithm in &ALGORITHMS {
            for (what, modsig) in [(INSTALL_STOCK, ""), (INSTALL_OURS, MODSIG)] {
                figures.add(algorithm.name, what, self.install(Some(algorithm), modsig)?);
            }
        }
        Ok(())
    }

    fn sign(&self, algorithm: &Algorithm, figures: &mut Figures) -> Result<()> {
        let Algorithm {
            name, kind, hash, ..
        } = algorithm;
        let tree = self.path("tree");
        let key = self.cached(&format!("{kind}.key"));
        let certificate = self.cached(&format!("{kind}.cert"));
        let modsig = |what: &str| {
            let mut command = Command::new(MODSIG);
            command.arg(what).arg(&tree);
            command
        };
        let signer = |options: &[&str]| {
            let mut command = modsig("sign");
            command.args(options).args(["--hash", hash]);
            command.arg("--key").arg(&key);
            command.arg("--cert").arg(&certificate);
            command
        };
        let mut stock = Command::new("xargs");
        stock.arg("-0a").arg(self.cached("list"));
        stock.args(["-n1", "-P", &self.processors.to_string()]);
        stock.arg(self.cached("objects/scripts/sign-file"));
        stock.arg(hash).arg(&key).arg(&certificate);
        let mut add = |what, cost| figures.add(name, what, cost);

        let bare = bare(algorithm.speed, self.modules.len(), self.processors)?;
        add(BARE, bare);
        for (what, mut command) in [
            (STOCK, stock),
            (SYNCED, signer(&[])),
            (OURS, signer(&["--no-sync"])),
        ] {
            self.fresh("tree")?;
            add(what, self.measure(&mut command)?);
            let cost = self.verify(algorithm, &tree)?;
            if what == OURS {
                add(VERIFY, cost);
            }
        }
        add(INSPECT, self.measure(&mut modsig("inspect"))?);
        Ok(())
    }

    /// That all is signed, whoever did it.
    fn verify(&self, algorithm: &Algorithm, directory: &Path) -> Result<Cost> {
        let certificate = self.cached(&format!("{}.cert", algorithm.kind));
        let mut verify = Command::new(MODSIG);
        verify.arg("verify").arg(directory);
        self.measure(verify.arg("--cert").arg(certificate))
    }

    /// `make modules_install`, signing or not.
    fn install(&self, algorithm: Option<&Algorithm>, modsig: &str) -> Result<Cost> {
        let installed = self.path("installed");
        if installed.exists() {
            fs::remove_dir_all(&installed)?;
        }
        let mut make = self.make();
        make.arg("modules_install");
        make.arg(format!("INSTALL_MOD_PATH={}", installed.display()));
        make.arg(format!("MODSIG={modsig}"));
        if let Some(Algorithm { kind, hash, .. }) = algorithm {
            let key = self.cached(&format!("{kind}.key"));
            make.arg("CONFIG_MODULE_SIG_ALL=y");
            make.arg(format!("CONFIG_MODULE_SIG_HASH={hash}"));
            make.arg(format!("CONFIG_MODULE_SIG_KEY={}", key.display()));
            let certificate = self.cached("objects/certs/signing_key.x509");
            fs::copy(self.cached(&format!("{kind}.cert")), certificate)?;
        } else {
            make.arg("CONFIG_MODULE_SIG_ALL=");
        }
        self.settle()?;
        let cost = self.measure(&mut make)?;
        if let Some(algorithm) = algorithm {
            self.verify(algorithm, &installed)?;
        }
        Ok(cost)
    }

    /// A copy of the unsigned modules, on the disk and in the page cache.
    fn fresh(&self, name: &str) -> Result<()> {
        if self.path(name).exists() {
            fs::remove_dir_all(self.path(name))?;
        }
        self.copy(name)?;
        self.settle()
    }

    fn copy(&self, name: &str) -> Result<Cost> {
        let mut copy = Command::new("cp");
        copy.args(["-r", "--reflink=never"]);
        self.measure(copy.arg(self.path("plain")).arg(self.path(name)))
    }

    /// Waits for the disk, so that nothing is written for what was before.
    fn settle(&self) -> Result<()> {
        rustix::fs::syncfs(fs::File::open(self.work.path())?)?;
        Ok(())
    }
}
