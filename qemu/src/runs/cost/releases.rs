// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a module of a release costs, by the signature that it has: the first one that is loaded, for which
//! the key is asked, and each later one, for which it is not.
//!
//! The tree is as large as that of a distribution, with a leaf for each module and one for its stripped form. As for
//! proofs and for other signatures, all files of one size have exactly that size, and the loader refuses each
//! for its `vermagic`, after the check.
//!
//! | file | attempts | what is counted |
//! |---|---|---|
//! | [`Stop::First`] | one | the kernel does not know the signature |
//! | [`Stop::Good`], the same file | ten, after that | it does |

use anyhow::{bail, Context, Result};
use modsig_tools::{
    certificate::SignerIdForm,
    message,
    release::{self, Tree},
    signer,
};

use super::{fill, proofs::PROOF, with_other_vermagic, Costs, Input, Key, Stop, SIGNERS, SIZES};
use crate::{corpus::recipe::Pantry, machine::kernels::Series};

/// Key and digest of the signatures that releases have: those of [`SIGNERS`], then those that newer trees
/// know.
const ALGORITHMS: [(&str, &str); 5] = [
    SIGNERS[0],
    SIGNERS[1],
    SIGNERS[2],
    ("mldsa44", "sha512"),
    ("mldsa87", "sha512"),
];

/// Leaves of the tree: two for each module that Debian 12 has for x86_64.
const LEAVES: u32 = super::proofs::LEAVES as u32;

/// What stands in [`Key::signer`] for a release, and for a module that is signed by itself.
fn signers(algorithm: usize) -> (usize, usize) {
    let of_release = PROOF + 1 + algorithm;
    let by_itself = match algorithm < SIGNERS.len() {
        true => algorithm,
        false => of_release + ALGORITHMS.len(),
    };
    (of_release, by_itself)
}

/// What a kernel of a series is measured with.
fn algorithms(series: &Series) -> &'static [(&'static str, &'static str)] {
    match series.is_6() {
        true => &ALGORITHMS[..SIGNERS.len()],
        false => &ALGORITHMS,
    }
}

/// Makes all files from a module of the kernel's build.
pub fn inputs(module: &[u8], pantry: &Pantry, series: &Series) -> Result<Vec<Input>> {
    let module = with_other_vermagic(module)?;
    let mut inputs = vec![];
    for (index, (key, digest)) in algorithms(series).iter().enumerate() {
        let form = SignerIdForm::IssuerAndSerial;
        let message = |content: &[u8]| -> Result<Vec<u8>> {
            let parts = pantry.parts(content, key, digest, form)?;
            Ok(message::signed_data(&[parts], &[]))
        };
        let (of_release, by_itself) = signers(index);
        for size in SIZES {
            let mut add = |signer, stop, (file, content): &(Vec<u8>, usize)| {
                inputs.push(Input {
                    key: Key {
                        size,
                        signer,
                        stop,
                        logged: false,
                    },
                    file: file.clone(),
                    content: *content,
                });
            };
            // Others are there already.
            if by_itself != index {
                let signed = file(&module, size, |content| {
                    signer::append(&[], &message(content)?)
                })?;
                add(by_itself, Stop::Good, &signed);
            }
            let signed = file(&module, size, |content| {
                let own = release::leaf(content);
                let others = (1..LEAVES).map(|other| release::leaf(&other.to_be_bytes()));
                let tree = Tree::new(others.chain([own]).collect())?;
                let position = tree.position(&own).context("it is not in the tree")?;
                release::end(&tree.proof(position)?, &message(&tree.head())?)
            })?;
            add(of_release, Stop::First, &signed);
            add(of_release, Stop::Good, &signed);
        }
    }
    Ok(inputs)
}

/// A module that fills a file of this size together with what is appended to it, which may be longer or shorter by
/// chance. Returns the file, and the size of the module.
fn file(
    module: &[u8],
    size: usize,
    end: impl Fn(&[u8]) -> Result<Vec<u8>>,
) -> Result<(Vec<u8>, usize)> {
    let mut appended = end(module)?.len();
    for _ in 0..100 {
        let content = fill(module, size.checked_sub(appended).context("a small file")?)?;
        let end = end(&content)?;
        if end.len() == appended {
            return Ok(([&content[..], &end].concat(), content.len()));
        }
        appended = end.len();
    }
    bail!("no two signatures of one length")
}

/// What loading a module takes.
#[derive(Clone, Copy, Debug)]
pub struct Release {
    /// Key and digest of the signature.
    pub algorithm: (&'static str, &'static str),
    /// A module that is signed by itself.
    pub by_itself: f64,
    /// The first of a release.
    pub first: f64,
    /// Each later one.
    pub later: f64,
    /// One that the kernel's own build has given a proof.
    pub proof: f64,
}

impl Costs {
    /// What loading a module of this size takes, by the signature of its release.
    pub fn releases(&self, series: &Series, size: usize) -> Result<Vec<Release>> {
        let algorithms = algorithms(series).iter().enumerate();
        let rows = algorithms.map(|(index, algorithm)| {
            let (of_release, by_itself) = signers(index);
            Ok(Release {
                algorithm: *algorithm,
                by_itself: self.get(size, by_itself, Stop::Good)?,
                first: self.get(size, of_release, Stop::First)?,
                later: self.get(size, of_release, Stop::Good)?,
                proof: self.get(size, PROOF, Stop::Good)?,
            })
        });
        rows.collect()
    }
}
