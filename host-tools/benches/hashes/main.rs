// SPDX-License-Identifier: MIT OR Apache-2.0

//! Letting a distribution's modules in by their hashes, beside what cannot be saved, reading and
//! hashing them, and beside signing them (`make bench`).

#[path = "../common/mod.rs"]
mod common;

use std::{
    cmp::Ordering,
    fs::{self, File},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result};
use common::{
    hash_command,
    report::{Figures, Ratios, Target},
    Arguments, Bench, Trees, MODSIG,
};
use modsig::verify::merkle::HASH_SIZE;
use modsig_testing::script::script;
use modsig_tools::{hashes::Tree, loader::Loadable};
use openssl::hash::MessageDigest;
use serde_json::{json, Value};

/// Of keys and certificates, what Linux makes for itself if nobody gives it any.
const RSA: &str = "RSA-4096/SHA-512";
const KIND: &str = "rsa-4096";
const DIGEST: &str = "sha512";
const KEY: &str = "rsa-4096.key";
const CERTIFICATE: &str = "rsa-4096.cert";

const HASH: &str = "read and hash with SHA-256";
const FIRST: &str = "modsig hashes, first";
const CHECK: &str = "modsig hashes --check";
const AGAIN: &str = "modsig hashes, none changed";
const CHANGED: &str = "modsig hashes, one changed";
const STRIPPING: &str = "modsig hashes --stripped-by";
/// As Kbuild does it, by the name of what is measured.
const STRIP: &str = "strip --strip-debug";
const STOCK: &str = "xargs sign-file";
const SIGN: &str = "modsig sign --no-sync";
const RELEASE: &str = "sign --release --no-sync";

fn main() -> ExitCode {
    common::main::<Hashes>()
}

/// Everything that is measured.
struct Hashes {
    /// `tree` is a copy of the modules, and `vmlinux` a kernel that they might be of.
    trees: Trees,
    sign_file: PathBuf,
}

impl Bench for Hashes {
    const NAME: &'static str = "hashes";

    fn digest() -> MessageDigest {
        MessageDigest::sha256()
    }

    fn prepare(arguments: &Arguments) -> Result<Self> {
        let trees = Trees::prepare(arguments)?;
        trees.keygen(KIND)?;
        let kernel = script("build/kernel", &["6.12", "x86_64", "hashes"])?;
        // It is to be of the same release and configuration as the modules.
        let original = trees.cached("original");
        fs::copy(kernel.join("vmlinux"), &original)?;
        let module = fs::read(trees.path("plain").join(&trees.modules[0]))?;
        let vermagic = Loadable::read(&module)?
            .vermagic()
            .context("a module without vermagic")?;
        write!(File::options().append(true).open(original)?, "{vermagic}\0")?;
        Ok(Hashes {
            trees,
            sign_file: kernel.join("sign-file"),
        })
    }

    fn trees(&self) -> &Trees {
        &self.trees
    }

    fn round(&self, figures: &mut Figures, _: bool) -> Result<()> {
        let trees = &self.trees;
        let mut add = |algorithm, what, mut command: Command| {
            trees.settle()?;
            figures.add(algorithm, what, trees.measure(&mut command)?);
            anyhow::Ok(())
        };
        self.fresh()?;
        add("", HASH, hash_command(&trees.path("tree"))?)?;
        add("", FIRST, self.hashes(&["--no-sync"]))?;
        add("", CHECK, self.hashes(&["--check"]))?;
        add("", AGAIN, self.hashes(&["--no-sync"]))?;
        self.change_one()?;
        add("", CHANGED, self.hashes(&["--no-sync"]))?;
        self.check()?;

        self.fresh()?;
        let stripped_by = ["--no-sync", "--stripped-by", STRIP];
        let mut stripping = self.hashes(&stripped_by);
        // Where it makes its copies.
        stripping.env("TMPDIR", trees.path("tree"));
        add("", STRIPPING, stripping)?;
        self.check()?;
        trees.fresh("tree")?;
        add("", STRIP, trees.on_each("tree", STRIP.split(' '))?)?;

        for (what, command) in [
            (STOCK, self.stock()?),
            (SIGN, self.sign(&[])),
            (RELEASE, self.sign(&["--release"])),
        ] {
            trees.fresh("tree")?;
            add(RSA, what, command)?;
            let mut verify = Command::new(MODSIG);
            verify.arg("verify").arg(trees.path("tree")).arg("--cert");
            trees.quietly(verify.arg(trees.cached(CERTIFICATE)))?;
        }
        Ok(())
    }

    fn compare(&self, ratios: &mut Ratios<'_>) {
        let most = Some(Target(Ordering::Less, 1.5));
        ratios.row("", FIRST, &[HASH], most);
        for what in [AGAIN, CHANGED, CHECK] {
            ratios.row("", what, &[HASH], None);
        }
        ratios.row("", STRIPPING, &[STRIP], None);
        ratios.row(RSA, STOCK, &[FIRST], None);
        ratios.row(RSA, SIGN, &[FIRST], None);
        // Beside hashing there is one signature, which takes some milliseconds.
        let most = Some(Target(Ordering::Less, 1.3));
        ratios.row(RSA, RELEASE, &[FIRST], most);
    }

    fn more(&self) -> Result<Value> {
        let module = &self.trees.modules[0];
        let size = |tree| anyhow::Ok(fs::metadata(self.trees.path(tree).join(module))?.len());
        // The last that was done to them was signing them as a release.
        let release = size("tree")? - size("plain")?;
        self.trees.fresh("tree")?;
        self.trees.quietly(&mut self.sign(&[]))?;
        let signature = size("tree")? - size("plain")?;
        // As if made by --stripped-by, with two leaves for each.
        let leaves = |each| vec![[1; HASH_SIZE]; each * self.trees.modules.len()];
        let proof = |each| anyhow::Ok(Tree::new(leaves(each))?.end(0)?.len());
        let (proof, stripping) = (proof(1)?, proof(2)?);
        println!("\nbytes behind each module: {proof}, {stripping} with --stripped-by; {RSA}: {signature}, {release} with --release");
        Ok(json!({ "proof": proof, "stripping": stripping, "rsa": signature, "release": release }))
    }
}

impl Hashes {
    /// Modules without proofs, a kernel without a root, and nothing that is remembered.
    fn fresh(&self) -> Result<()> {
        self.trees.fresh("tree")?;
        let [original, vmlinux] = ["original", "vmlinux"].map(|name| self.trees.cached(name));
        fs::copy(original, vmlinux)?;
        match fs::remove_file(self.trees.cached("modules.hashes")) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// As if a module had been built again, of other sources.
    fn change_one(&self) -> Result<()> {
        let module = &self.trees.modules[self.trees.modules.len() / 2];
        let content = fs::read(self.trees.path("plain").join(module))?;
        fs::write(
            self.trees.path("tree").join(module),
            [&content[..], b"\0"].concat(),
        )?;
        Ok(())
    }

    fn hashes(&self, options: &[&str]) -> Command {
        let mut hashes = Command::new(MODSIG);
        hashes.arg("hashes").args(options);
        hashes.arg("--modules").arg(self.trees.path("tree"));
        hashes.arg("--vmlinux").arg(self.trees.cached("vmlinux"));
        hashes
    }

    /// That the kernel lets all modules in.
    fn check(&self) -> Result<()> {
        self.trees.quietly(&mut self.hashes(&["--check"]))
    }

    fn stock(&self) -> Result<Command> {
        let [key, certificate] = [KEY, CERTIFICATE].map(|name| self.trees.cached(name));
        let signer = [&*self.sign_file, Path::new(DIGEST), &key, &certificate];
        self.trees.on_each("tree", signer)
    }

    fn sign(&self, options: &[&str]) -> Command {
        let mut sign = Command::new(MODSIG);
        sign.args(["sign", "--no-sync", "--hash", DIGEST]);
        sign.args(options);
        sign.arg("--key").arg(self.trees.cached(KEY));
        sign.arg("--cert").arg(self.trees.cached(CERTIFICATE));
        sign.arg(self.trees.path("tree"));
        sign
    }
}
