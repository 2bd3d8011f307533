// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What a fuzzer that is guided by the coverage of both sides changes: a message, in the world of one
//! that [`generate::case`] makes.

use std::{env, path::Path};

use crate::{
    documented::Documented,
    generate::{self, Corpus},
    judge::{library, Judge, Relation},
    read, shrink,
    world::Case,
};

/// Bytes in front of the message: the seed and the number of the case whose world it is in.
pub const HEADER: usize = 16;

/// An input: that of a case, if it has a message.
pub fn input(seed: u64, number: u64, series: &[usize], corpus: &Corpus) -> Option<Vec<u8>> {
    let case = generate::case(seed, number, series, corpus);
    let (_, message) = shrink::split(&case.file)?;
    Some([&seed.to_le_bytes(), &number.to_le_bytes(), message].concat())
}

/// Both verifiers, and what the worlds are made of.
pub struct Fuzz {
    judge: Judge,
    series: Vec<usize>,
    corpus: Corpus,
}

impl Fuzz {
    /// Takes the C verifiers from `MODSIG_DIFFER` (`NAME=FILE`, with spaces between) and the rest from
    /// this tree.
    pub fn new() -> Result<Self, String> {
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let named = env::var("MODSIG_DIFFER")
            .map_err(|_| "MODSIG_DIFFER is not set: scripts/tools/fuzz does that".to_owned())?;
        let libraries: Vec<_> = named
            .split_whitespace()
            .map(library)
            .collect::<Result<_, _>>()?;
        let documented = read(&top.join("Documentation/differences.md"))?;
        Ok(Fuzz {
            judge: Judge::new(
                &libraries,
                Documented::parse(&String::from_utf8_lossy(&documented)),
            )?,
            series: libraries.iter().map(|(index, _)| *index).collect(),
            corpus: Corpus::read(&top.join("rust/fuzz/corpus"))?,
        })
    }

    /// Asks both.
    ///
    /// # Panics
    ///
    /// If this verifier is weaker, or stricter for a reason that is not documented.
    pub fn ask(&mut self, input: &[u8]) {
        let Some((header, message)) = input.split_at_checked(HEADER) else {
            return;
        };
        let number = |at: usize| {
            let octets = header[at..at + 8].try_into().expect("has eight bytes");
            u64::from_le_bytes(octets)
        };
        let mut case = generate::case(number(0), number(8), &self.series, &self.corpus);
        let Some((content, _)) = shrink::split(&case.file) else {
            return;
        };
        case.file = shrink::join(content, message);
        match self.judge.relation(&case) {
            Ok(Relation::Same | Relation::Stricter(_)) => {}
            found => panic!("{found:?}\n{}", self.shown(&case)),
        }
    }

    fn shown(&mut self, case: &Case) -> String {
        self.judge.show(case).unwrap_or_else(|error| error)
    }
}
