// SPDX-License-Identifier: MIT OR Apache-2.0

//! Signing a distribution's modules, with the kernel's signer and with this one, beside what cannot
//! be saved: the signatures themselves (`make bench`).

#[path = "../common/mod.rs"]
mod common;
mod floor;
mod token;

use std::{
    cmp::Ordering,
    fs,
    io::Write,
    path::Path,
    process::{Command, ExitCode},
};

use anyhow::Result;
use common::{
    hash_command,
    measure::Cost,
    report::{Figures, Ratios, Target},
    Arguments, Bench, Trees, MODSIG,
};
use modsig_testing::script::script;
use modsig_tools::parallel;
use openssl::hash::MessageDigest;
use token::Token;

/// The tree whose `sign-file` and `modules_install` are measured.
const SERIES: &str = "7.3";

struct Algorithm {
    name: &'static str,
    /// For `modsig keygen`.
    kind: &'static str,
    hash: &'static str,
    /// For `openssl speed`.
    speed: &'static str,
}

const ALGORITHMS: [Algorithm; 3] = [
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
    Algorithm {
        name: "P-256/SHA-256",
        kind: "p256",
        hash: "sha256",
        speed: "ecdsap256",
    },
];

const SPEED: &str = "openssl speed";
const BARE: &str = "bare signatures";
const STOCK: &str = "xargs sign-file";
const OURS: &str = "modsig sign --no-sync";
const BY_OPENSSL: &str = "the same, --library openssl";
const SYNCED: &str = "modsig sign";
const RELEASE: &str = "sign --release --no-sync";
const BY_TOKEN: &str = "sign --no-sync, token";
const RELEASE_BY_TOKEN: &str = "sign --release --no-sync, token";
const VERIFY: &str = "modsig verify";
const VERIFY_RELEASE: &str = "modsig verify, of a release";
const INSPECT: &str = "modsig inspect";
const HASH: &str = "read and hash with SHA-512";
const COPY: &str = "cp -r";
const UNSIGNED: &str = "modules_install unsigned";
const INSTALL_STOCK: &str = "modules_install sign-file";
const INSTALL_OURS: &str = "modules_install modsig";

fn main() -> ExitCode {
    common::main::<Signing>()
}

/// Everything that is measured.
struct Signing {
    /// With the kernel's `source` and `objects`, and the keys, in the cache; `tree` is a copy of the
    /// modules, `installed` what make made.
    trees: Trees,
    /// With the key of the first algorithm, by the name of its kind.
    token: Token,
}

impl Bench for Signing {
    const NAME: &'static str = "signing";

    fn digest() -> MessageDigest {
        MessageDigest::sha512()
    }

    fn prepare(arguments: &Arguments) -> Result<Self> {
        let trees = Trees::prepare(arguments)?;
        for Algorithm { kind, .. } in &ALGORITHMS {
            trees.keygen(kind)?;
        }
        let kind = ALGORITHMS[0].kind;
        let token = Token::new(&trees, &trees.cached(&format!("{kind}.key")), kind)?;
        let bench = Signing { trees, token };
        bench.objects(&script("get/kernel-source", &[SERIES])?)?;
        Ok(bench)
    }

    fn trees(&self) -> &Trees {
        &self.trees
    }

    fn round(&self, figures: &mut Figures, install: bool) -> Result<()> {
        let trees = &self.trees;
        trees.fresh("tree")?;
        figures.add("", COPY, trees.copy("copy")?);
        fs::remove_dir_all(trees.path("copy"))?;
        let mut hash = hash_command(&trees.path("plain"))?;
        figures.add("", HASH, trees.measure(&mut hash)?);
        for algorithm in &ALGORITHMS {
            self.sign(algorithm, figures)?;
        }
        fs::remove_dir_all(trees.path("tree"))?;
        if !install {
            return Ok(());
        }
        figures.add("", UNSIGNED, self.install(None, "")?);
        for algorithm in &ALGORITHMS[..2] {
            for (what, modsig) in [(INSTALL_STOCK, ""), (INSTALL_OURS, MODSIG)] {
                figures.add(algorithm.name, what, self.install(Some(algorithm), modsig)?);
            }
        }
        Ok(())
    }

    fn compare(&self, ratios: &mut Ratios<'_>) {
        for Algorithm { name, kind, .. } in &ALGORITHMS {
            let at_least = |ratio| Some(Target(Ordering::Greater, ratio));
            let at_most = |ratio| Some(Target(Ordering::Less, ratio));
            // What is to be reached.
            let [most, least, install] = match *kind {
                "rsa-4096" => [at_most(1.05), None, None],
                "p384" => [None, at_least(8.0), at_most(1.0)],
                _ => [None, at_least(10.0), None],
            };
            ratios.row(name, STOCK, &[OURS], least);
            ratios.row(name, OURS, &[SPEED], most);
            ratios.row(name, OURS, &[BARE], None);
            ratios.row(name, OURS, &[BARE, HASH], None);
            ratios.row(name, BY_OPENSSL, &[SPEED], None);
            ratios.row(name, STOCK, &[BY_OPENSSL], None);
            ratios.row(name, SYNCED, &[OURS], None);
            ratios.row(name, OURS, &[RELEASE], None);
            ratios.row(name, BY_TOKEN, &[RELEASE_BY_TOKEN], None);
            ratios.row(name, INSTALL_OURS, &[UNSIGNED], install);
            ratios.row(name, INSTALL_STOCK, &[INSTALL_OURS], None);
        }
    }
}

impl Signing {
    /// A tree with modsig, and objects for it as if these modules had been built there.
    fn objects(&self, source: &Path) -> Result<()> {
        let (tree, objects) = (self.trees.cached("source"), self.trees.cached("objects"));
        self.trees
            .quietly(Command::new("cp").arg("-al").arg(source).arg(&tree))?;
        script("integrate", &[&tree.display().to_string()])?;
        fs::create_dir(&objects)?;
        let wanted = objects.join("wanted");
        fs::write(&wanted, "CONFIG_MODULES=y\nCONFIG_MODULE_SIG=y\n")?;
        let wanted = format!("KCONFIG_ALLCONFIG={}", wanted.display());
        for goals in [
            &["allnoconfig", &wanted][..],
            &["scripts", "include/config/kernel.release"],
        ] {
            self.trees.quietly(self.make().args(goals))?;
        }

        let mut order = fs::File::create(objects.join("modules.order"))?;
        for name in &self.trees.modules {
            writeln!(order, "{}", name.with_extension("o").display())?;
            let object = objects.join(name);
            fs::create_dir_all(object.parent().unwrap_or(&objects))?;
            fs::copy(self.trees.path("plain").join(name), object)?;
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
        shell
            .args(["-c", symbols, "sh"])
            .arg(self.trees.path("plain"));
        self.trees.quietly(shell.arg(objects.join("System.map")))
    }

    fn make(&self) -> Command {
        let mut command = Command::new("make");
        command.arg(format!("-j{}", parallel::processors()));
        command.arg("-C").arg(self.trees.cached("source"));
        command.arg(format!("O={}", self.trees.cached("objects").display()));
        command
    }

    fn sign(&self, algorithm: &Algorithm, figures: &mut Figures) -> Result<()> {
        let Algorithm {
            name, kind, hash, ..
        } = algorithm;
        let tree = self.trees.path("tree");
        let key = self.trees.cached(&format!("{kind}.key"));
        let certificate = self.trees.cached(&format!("{kind}.cert"));
        let modsig = |what: &str| {
            let mut command = Command::new(MODSIG);
            command.arg(what).arg(&tree);
            command
        };
        let sign = |options: &[&str]| {
            let mut command = modsig("sign");
            command.args(options).args(["--hash", hash]);
            command.arg("--key").arg(&key);
            command.arg("--cert").arg(&certificate);
            command
        };
        let sign_file = self.trees.cached("objects/scripts/sign-file");
        let signer = [&*sign_file, Path::new(hash), &key, &certificate];
        let stock = self.trees.on_each("tree", signer)?;
        let mut add = |what, cost| figures.add(name, what, cost);

        let bare = floor::bare(
            algorithm.speed,
            self.trees.modules.len(),
            parallel::processors().get(),
        )?;
        add(SPEED, bare);
        let count = self.trees.modules.len().to_string();
        let mut bare =
            floor::by_library(&[&key, &certificate, Path::new(hash), Path::new(&count)])?;
        add(BARE, self.trees.measure(&mut bare)?);
        for (what, mut command) in [
            (STOCK, stock),
            (SYNCED, sign(&[])),
            (OURS, sign(&["--no-sync"])),
            (BY_OPENSSL, sign(&["--no-sync", "--library", "openssl"])),
            (RELEASE, sign(&["--no-sync", "--release"])),
        ] {
            self.trees.fresh("tree")?;
            add(what, self.trees.measure(&mut command)?);
            let cost = self.verify(algorithm, &tree)?;
            match what {
                OURS => add(VERIFY, cost),
                RELEASE => add(VERIFY_RELEASE, cost),
                _ => (),
            }
        }
        add(INSPECT, self.trees.measure(&mut modsig("inspect"))?);
        if *kind != ALGORITHMS[0].kind {
            return Ok(());
        }
        for (what, release) in [(BY_TOKEN, None), (RELEASE_BY_TOKEN, Some("--release"))] {
            let mut command = modsig("sign");
            command.args(["--no-sync", "--hash", hash]).args(release);
            command.arg("--key").arg(Token::uri(kind));
            command.arg("--cert").arg(&certificate);
            self.trees.fresh("tree")?;
            add(what, self.trees.measure(self.token.with(&mut command))?);
            self.verify(algorithm, &tree)?;
        }
        Ok(())
    }

    /// That all is signed, whoever did it.
    fn verify(&self, algorithm: &Algorithm, directory: &Path) -> Result<Cost> {
        let certificate = self.trees.cached(&format!("{}.cert", algorithm.kind));
        let mut verify = Command::new(MODSIG);
        verify.arg("verify").arg(directory);
        self.trees.measure(verify.arg("--cert").arg(certificate))
    }

    /// `make modules_install`, signing or not.
    fn install(&self, algorithm: Option<&Algorithm>, modsig: &str) -> Result<Cost> {
        let installed = self.trees.path("installed");
        if installed.exists() {
            fs::remove_dir_all(&installed)?;
        }
        let mut make = self.make();
        make.arg("modules_install");
        make.arg(format!("INSTALL_MOD_PATH={}", installed.display()));
        make.arg(format!("MODSIG={modsig}"));
        if let Some(Algorithm { kind, hash, .. }) = algorithm {
            let key = self.trees.cached(&format!("{kind}.key"));
            make.arg("CONFIG_MODULE_SIG_ALL=y");
            make.arg(format!("CONFIG_MODULE_SIG_HASH={hash}"));
            make.arg(format!("CONFIG_MODULE_SIG_KEY={}", key.display()));
            let certificate = self.trees.cached("objects/certs/signing_key.x509");
            fs::copy(self.trees.cached(&format!("{kind}.cert")), certificate)?;
        } else {
            make.arg("CONFIG_MODULE_SIG_ALL=");
        }
        self.trees.settle()?;
        let cost = self.trees.measure(&mut make)?;
        if let Some(algorithm) = algorithm {
            self.verify(algorithm, &installed)?;
        }
        Ok(cost)
    }
}
