// SPDX-License-Identifier: MIT OR Apache-2.0

//! Proofs for the modules of a kernel that was built, made anew from the modules themselves.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use anyhow::{ensure, Context, Result};
use modsig::verify::{
    merkle,
    trailer::{self, Kind},
};
use modsig_testing::script::run;
use modsig_tools::hashes::{leaf, Tree};

/// Takes the symbols for debuggers off a module, and what is appended: as Kbuild does for
/// INSTALL_MOD_STRIP.
pub fn strip(module: &[u8]) -> Result<Vec<u8>> {
    let work = tempfile::tempdir()?;
    let path = work.path().join("module.ko");
    fs::write(&path, module)?;
    run(Command::new("/usr/lib/llvm-19/bin/llvm-strip")
        .arg("--strip-debug")
        .arg(&path))?;
    Ok(fs::read(&path)?)
}

/// The proof for a module of the kernel in this directory, as it was built or stripped.
///
/// The tree has two leaves for each module: itself, then itself stripped. The order of the modules
/// is in the proofs that the build has put on them; all else is made anew.
pub fn proof(kernel: &Path, name: &str, stripped: bool) -> Result<Vec<u8>> {
    let mut modules = BTreeMap::new();
    for entry in fs::read_dir(kernel.join("modules"))? {
        let path = entry?.path();
        let file = fs::read(&path)?;
        let position = position(&file).with_context(|| path.display().to_string())?;
        let module = trailer::split(&file).map_or(&file[..], |split| split.content);
        let ours = path.file_stem().is_some_and(|stem| stem == name);
        modules.insert(position, (ours, module.to_vec()));
    }
    let mut leaves = vec![];
    let mut wanted = None;
    for (position, (ours, module)) in &modules {
        let own = u32::try_from(leaves.len())?;
        ensure!(*position == own, "no proof for position {own}");
        leaves.push(leaf(own, module));
        leaves.push(leaf(own + 1, &strip(module)?));
        if *ours {
            wanted = Some(own + u32::from(stripped));
        }
    }
    Tree::new(leaves)?.proof(wanted.context("no such module")?)
}

/// Where in the tree a module stands, by its proof.
fn position(file: &[u8]) -> Result<u32> {
    let parsed = match trailer::split(file) {
        Ok(split) if split.kind == Kind::Merkle => merkle::parse(split.message),
        _ => None,
    };
    Ok(parsed.context("it has no proof")?.0)
}

#[cfg(test)]
#[path = "../../../rust/tests/common/merkle.rs"]
// Some of it is for other tests.
#[allow(dead_code)]
mod slow;

#[cfg(test)]
pub(crate) mod tests {
    use modsig::verify::merkle::Root;
    use modsig_tools::{message::trailer_of, platform::Host};

    use super::*;

    /// Compiles modules and lays them out as `scripts/build/kernel` does, with proofs from the slow
    /// tree. Returns its root.
    pub(crate) fn build(kernel: &Path, names: &[&str]) -> Root {
        fs::create_dir(kernel.join("modules")).unwrap();
        let mut leaves = vec![];
        for name in names {
            let object = kernel.join("object");
            let source = kernel.join("source.c");
            fs::write(&source, format!("int {name}(int a) {{ return a * 2; }}")).unwrap();
            run(Command::new("clang-19")
                .args(["-g", "-c", "-o"])
                .args([&object, &source]))
            .unwrap();
            let module = fs::read(&object).unwrap();
            let stripped = strip(&module).unwrap();
            assert!(stripped.len() < module.len());
            leaves.extend([module, stripped]);
        }
        for (at, name) in names.iter().enumerate() {
            let proof = slow::proof(&leaves, 2 * at);
            let trailer = trailer_of(Kind::Merkle, proof.len() as u32);
            let file = [&leaves[2 * at], &proof, &trailer].map(Vec::as_slice);
            fs::write(kernel.join(format!("modules/{name}.ko")), file.concat()).unwrap();
        }
        slow::root(&leaves)
    }

    /// In an order that is not the alphabet's, and with a level that has an odd number of nodes.
    #[test]
    fn proofs_made_anew_are_those_of_the_slow_tree() {
        let work = tempfile::tempdir().unwrap();
        let names = ["c", "a", "b"];
        let root = build(work.path(), &names);
        for name in names {
            let file = fs::read(work.path().join(format!("modules/{name}.ko"))).unwrap();
            let split = trailer::split(&file).unwrap();
            assert_eq!(proof(work.path(), name, false).unwrap(), split.message);
            let stripped = strip(split.content).unwrap();
            let proof = proof(work.path(), name, true).unwrap();
            let check = |module| merkle::check(&Host::default(), &root, module, &proof);
            assert_eq!(check(&stripped), Ok(()));
            assert!(check(split.content).is_err());
        }
        assert!(proof(work.path(), "d", false).is_err());
    }

    #[test]
    fn modules_without_proofs_and_gaps_between_them_are_errors() {
        let work = tempfile::tempdir().unwrap();
        build(work.path(), &["a", "b"]);
        let first = work.path().join("modules/a.ko");
        let module = strip(&fs::read(&first).unwrap()).unwrap();
        fs::write(&first, module).unwrap();
        assert!(proof(work.path(), "b", false).is_err());
        fs::remove_file(&first).unwrap();
        assert!(proof(work.path(), "b", false).is_err());
    }
}
