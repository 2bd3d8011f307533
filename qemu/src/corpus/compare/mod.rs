// SPDX-License-Identifier: MIT OR Apache-2.0

//! The files by which the verifier in Rust is held against the one in C.

pub mod classes;
pub mod craft;
pub mod der;
pub mod kitchen;
pub mod mutants;
pub mod mutate;
pub mod suites;

use std::collections::BTreeMap;

use anyhow::{ensure, Context, Result};
use modsig_tools::message;

/// A file to be inserted: a module, changed in places, and what stands behind it.
#[derive(Clone, Debug, Default)]
pub struct Case {
    /// What it is.
    pub name: String,
    /// How much of the module; `None`: all.
    pub keep: Option<usize>,
    /// Offsets in the module, and the bytes that are to be there.
    pub edits: Vec<(usize, u8)>,
    /// What is appended.
    pub tail: Vec<u8>,
    /// Flags for finit_module(2).
    pub flags: u8,
    /// Of a compressed file: what is in it.
    pub unpacked: Option<Vec<u8>>,
}

/// All files. What they have in common, the module, is kept once.
#[derive(Clone, Debug)]
pub struct Corpus {
    /// The unsigned module.
    pub module: Vec<u8>,
    /// The files.
    pub cases: Vec<Case>,
}

impl Corpus {
    /// A corpus without files, for this module.
    pub fn new(module: Vec<u8>) -> Self {
        Corpus {
            module,
            cases: vec![],
        }
    }

    /// Adds the module with this message appended as its signature.
    pub fn message(&mut self, name: impl Into<String>, message: &[u8]) -> Result<&mut Case> {
        let length = u32::try_from(message.len()).context("an oversized message")?;
        Ok(self.tail(name, [message, &message::trailer(length)].concat()))
    }

    /// Adds the module with these bytes appended.
    pub fn tail(&mut self, name: impl Into<String>, tail: Vec<u8>) -> &mut Case {
        self.cases.push(Case {
            name: name.into(),
            tail,
            ..Case::default()
        });
        let last = self.cases.len() - 1;
        &mut self.cases[last]
    }

    /// Adds a file that has nothing of the module.
    pub fn file(&mut self, name: impl Into<String>, file: Vec<u8>) -> &mut Case {
        let case = self.tail(name, file);
        case.keep = Some(0);
        case
    }

    /// Leaves up to `each` of the cases of each kind (what stands in front of the colon), and all of
    /// those that C is known to be wrong about.
    pub fn thin(&mut self, each: usize) {
        let kind = |case: &Case| case.name.split(':').next().unwrap_or_default().to_owned();
        let mut sizes: BTreeMap<String, usize> = BTreeMap::new();
        for case in &self.cases {
            *sizes.entry(kind(case)).or_default() += 1;
        }
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        self.cases.retain(|case| {
            let size = sizes[&kind(case)];
            let index = seen.entry(kind(case)).or_default();
            *index += 1;
            // Evenly: where the multiple of each/size reaches a new whole number.
            case.name.contains("hole") || *index * each / size != (*index - 1) * each / size
        });
    }

    /// Whether nothing has got lost of it: as many cases, in as many kinds, as there have been.
    pub fn is_whole(&self) -> Result<()> {
        let kinds: BTreeMap<&str, usize> =
            self.cases.iter().fold(BTreeMap::new(), |mut kinds, case| {
                let kind = case.name.split(':').next().unwrap_or_default();
                *kinds.entry(kind).or_default() += 1;
                kinds
            });
        ensure!(
            self.cases.len() >= CASES && kinds.len() >= KINDS,
            "a corpus of {} cases of {} kinds, where there have been {CASES} of {KINDS}",
            self.cases.len(),
            kinds.len()
        );
        Ok(())
    }

    fn start(&self, case: &Case) -> &[u8] {
        &self.module[..case.keep.unwrap_or(self.module.len())]
    }

    /// The file of a case.
    pub fn octets(&self, case: &Case) -> Vec<u8> {
        let mut file = self.start(case).to_vec();
        for &(offset, octet) in &case.edits {
            file[offset] = octet;
        }
        file.extend(&case.tail);
        file
    }

    /// What the guest (`guest/compare.c`) reads.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let mut out = u32::try_from(self.module.len())?.to_le_bytes().to_vec();
        out.extend(&self.module);
        for case in &self.cases {
            let mut numbers = vec![
                self.start(case).len(),
                case.flags.into(),
                case.edits.len(),
                case.tail.len(),
            ];
            for &(offset, octet) in &case.edits {
                numbers.extend([offset, octet.into()]);
            }
            for number in numbers {
                out.extend(u32::try_from(number)?.to_le_bytes());
            }
            out.extend(&case.tail);
        }
        ensure!(
            out.len() < GUEST_LIMIT,
            "a corpus larger than the guest takes"
        );
        Ok(out)
    }
}

/// How many cases there are at least, and how many kinds of them. A change that adds some raises these.
const CASES: usize = 13_620;
const KINDS: usize = 50;

/// Bytes of the guest's buffer.
const GUEST_LIMIT: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_what_the_guest_makes() {
        let mut corpus = Corpus::new(vec![1, 2, 3]);
        let case = corpus.tail("a", vec![9]);
        (case.edits, case.keep, case.flags) = (vec![(1, 7)], Some(2), 3);
        assert_eq!(corpus.octets(&corpus.cases[0]), [1, 7, 9]);
        let numbers = |numbers: &[u32]| -> Vec<u8> {
            numbers
                .iter()
                .flat_map(|number| number.to_le_bytes())
                .collect()
        };
        let expected = [
            &numbers(&[3])[..],
            &[1, 2, 3],
            &numbers(&[2, 3, 1, 1, 1, 7]),
            &[9],
        ];
        assert_eq!(corpus.encode().unwrap(), expected.concat());
    }

    #[test]
    fn a_thinned_corpus_has_some_of_each_kind() {
        let mut corpus = Corpus::new(vec![]);
        for index in 0..100 {
            corpus.tail(format!("a: {index}"), vec![]);
        }
        corpus.tail("a: hole", vec![]);
        corpus.tail("b: 1", vec![]);
        corpus.thin(10);
        let count = |kind: &str| {
            corpus
                .cases
                .iter()
                .filter(|case| case.name.starts_with(kind))
                .count()
        };
        assert!((10..=11).contains(&count("a: ")));
        assert_eq!((count("a: hole"), count("b: 1")), (1, 1));
    }
}
