// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a proof costs, by which a kernel knows a module without a key.
//!
//! The kernel gets the root ([`crate::machine::root`]) of a tree that has the measured files in it, and is as
//! deep as that of a distribution. There are three files of each size:
//!
//! | file | ends with | what was done |
//! |---|---|---|
//! | [`Stop::Unsigned`], marker altered | ENOEXEC | nothing |
//! | [`Stop::Flipped`], altered afterwards | EKEYREJECTED | content and way to the root digested |
//! | [`Stop::Good`] | ENOEXEC | all; Debian's 6.12 with keys also asks whether the file is blacklisted |
//!
//! - digest = what a block of SHA-256 costs, times the number of blocks of the content with the
//!   padding; the former from how `Flipped` grows with size more than `Unsigned` does
//! - blacklist = growth of `Good` with size over that of `Flipped`
//! - rest = `Good` - `Unsigned` - digest - blacklist: the trailer, the way to the root, what there is
//!   to a digest besides its blocks; and the fixed part of the blacklist

use anyhow::Result;
use modsig::verify::merkle::Root;
use modsig_tools::hashes::{leaf, Hash, Tree};

use super::{
    blocks_sha256, fill, with_other_vermagic, Costs, Input, Key, Stop, LARGEST, SIGNERS, SIZES,
    SMALLEST,
};

/// Stands in [`Key::signer`] for a proof.
pub const PROOF: usize = SIGNERS.len();

/// Leaves of the tree: two for each module that Debian 12 has for x86_64.
pub const LEAVES: usize = 2 * 4022;

/// Bytes behind a module of a tree with so many leaves.
pub fn appended() -> Result<usize> {
    Ok(Tree::new(vec![Hash::default(); LEAVES])?.end(0)?.len())
}

/// Makes all files from a module of the kernel's build, and the root by which the kernel is to know
/// them. There is one for each `other`, which the other modules are made of.
pub fn inputs(module: &[u8], other: u8) -> Result<(Vec<Input>, Root)> {
    let module = with_other_vermagic(module)?;
    let others = (0..).take(LEAVES);
    let mut leaves: Vec<Hash> = others.map(|position| leaf(position, &[other])).collect();
    let mut contents = vec![];
    // Anywhere.
    for (size, position) in SIZES.into_iter().zip([1234, 4321, 7654]) {
        let content = fill(&module, size - appended()?)?;
        leaves[position as usize] = leaf(position, &content);
        contents.push((size, position, content));
    }
    let tree = Tree::new(leaves)?;
    let mut inputs = vec![];
    for (size, position, content) in contents {
        let good = [&content[..], &tree.end(position)?].concat();
        let mut unsigned = good.clone();
        unsigned[size - 1] ^= 1;
        let mut flipped = good.clone();
        // In the filling, which the loader does not look at.
        flipped[size / 2] ^= 1;
        for (stop, file) in [
            (Stop::Unsigned, unsigned),
            (Stop::Flipped, flipped),
            (Stop::Good, good),
        ] {
            inputs.push(Input {
                key: key(size, stop),
                file,
                content: content.len(),
            });
        }
    }
    Ok((inputs, tree.root()))
}

fn key(size: usize, stop: Stop) -> Key {
    Key {
        size,
        signer: PROOF,
        stop,
        logged: false,
    }
}

/// Instructions of each stage.
#[derive(Clone, Copy, Debug)]
pub struct Stages {
    /// SHA-256 of the content, which cannot be saved.
    pub digest: f64,
    /// Digesting the whole file for the blacklist, in trees that do.
    pub blacklist: f64,
    /// All else.
    pub rest: f64,
}

impl Costs {
    /// The stages of checking a good proof on a module of a size.
    pub fn proof(&self, size: usize) -> Result<Stages> {
        let get = |size, stop| anyhow::Ok(self.total(&key(size, stop))? as f64);
        let content = |size| self.content(size, PROOF);
        let growth = |stop| anyhow::Ok(get(LARGEST, stop)? - get(SMALLEST, stop)?);
        // For what is digested in front of the content as well.
        let leaf = |size| anyhow::Ok(blocks_sha256(content(size)? + 5));
        let block =
            (growth(Stop::Flipped)? - growth(Stop::Unsigned)?) / (leaf(LARGEST)? - leaf(SMALLEST)?);
        let digest = block * blocks_sha256(content(size)?);
        let blacklist = (growth(Stop::Good)? - growth(Stop::Flipped)?)
            / (blocks_sha256(LARGEST) - blocks_sha256(SMALLEST))
            * blocks_sha256(size);
        let rest = get(size, Stop::Good)? - get(size, Stop::Unsigned)? - digest - blacklist;
        Ok(Stages {
            digest,
            blacklist,
            rest,
        })
    }
}

#[cfg(test)]
mod tests {
    use modsig::verify::{merkle, trailer};
    use modsig_tools::platform::Host;

    use super::*;

    /// A module of ELF header, one section header, and what makes it one of a kernel.
    fn module() -> Vec<u8> {
        let mut module = vec![0; 64];
        module[60] = 1;
        module.extend(b"\0vermagic=6.12 \0");
        module[40] = module.len() as u8;
        module.extend([7; 64]);
        module
    }

    #[test]
    fn only_the_good_files_are_of_the_tree() {
        let (inputs, root) = inputs(&module(), 0).unwrap();
        assert_eq!(root.levels, 13);
        for Input { key, file, .. } in &inputs {
            assert_eq!(file.len(), key.size);
            let split = trailer::split(file);
            let good = split.map(|split| {
                merkle::check(&Host::default(), &root, split.content, split.message).is_ok()
            });
            match key.stop {
                Stop::Unsigned => assert!(good.is_err()),
                stop => assert_eq!(good.unwrap(), stop == Stop::Good),
            }
        }
        assert!(super::inputs(&module(), 1).unwrap().1 != root);
    }

    #[test]
    fn stages_are_found() {
        let (inputs, _) = inputs(&module(), 0).unwrap();
        let mut text = String::new();
        for (index, Input { key, content, .. }) in inputs.iter().enumerate() {
            let digest = 3000 * blocks_sha256(content + 5) as usize + 80_000;
            let blacklist = 1000 * blocks_sha256(key.size) as usize + 200;
            let (done, ending, line) = match key.stop {
                Stop::Flipped => (digest, 4000, ""),
                Stop::Good => (digest + blacklist, 20_000, "log version magic\n"),
                _ => (0, 20_000, "log version magic\n"),
            };
            let count = key.size / 2 + done + ending;
            text += &format!("cost {index:03} 0 {} {count}\n{line}", key.errno());
        }
        let costs = Costs::parse(&(text + "done\n"), &inputs).unwrap();
        for size in SIZES {
            let stages = costs.proof(size).unwrap();
            let near = |found: f64, wanted: f64| (found - wanted).abs() < 1.0;
            let content = size - appended().unwrap();
            let bare = 3000.0 * blocks_sha256(content);
            assert!(near(stages.digest, bare), "{stages:?}");
            let blacklist = 1000.0 * blocks_sha256(size);
            assert!(near(stages.blacklist, blacklist), "{stages:?}");
            // What is in front of the content may take a block more.
            let more = 3000.0 * blocks_sha256(content + 5) - bare;
            assert!(near(stages.rest, 80_200.0 + more), "{stages:?}");
        }
    }
}
