// SPDX-License-Identifier: MIT OR Apache-2.0

//! Seeded mutants of several good messages.

use anyhow::{ensure, Context, Result};
use modsig::verify::DigestAlgorithm;
use modsig_tools::certificate::SignerIdForm;

use super::{
    craft::Message,
    der::Node,
    kitchen::Kitchen,
    mutate::{mutate, Rng, OPERATIONS},
    Corpus,
};

/// How many mutants there are of a message.
const EACH: usize = 700;

/// How many of them differ from it, at least.
const LEAST: usize = 500;

/// Adds mutants: any operation on any element.
pub fn add(kitchen: &Kitchen, seed: u64, out: &mut Corpus) -> Result<()> {
    let content = &kitchen.content;
    let by_key_id = kitchen.id("rsa2048").parts(
        SignerIdForm::SubjectKeyId,
        DigestAlgorithm::Sha256,
        content,
    )?;
    let id = |name| kitchen.id(name);
    let originals = [
        ("RSA", kitchen.good()?),
        ("P-256", Message::new(&[kitchen.signs("p256")?])),
        ("P-384", Message::new(&[kitchen.signs("p384")?])),
        ("RSA by key id", Message::new(&[by_key_id])),
        ("two signers", {
            Message::new(&[kitchen.signs("rsa2048")?, kitchen.signs("p384")?])
        }),
        (
            "leaf",
            Message::new(&[kitchen.signs("leaf")?]).with(&[id("leaf")]),
        ),
        ("chain", {
            Message::new(&[kitchen.signs("leaf2")?]).with(&[id("leaf2"), id("inter")])
        }),
        // Whether the certificate can be read decides.
        ("certificate beside", kitchen.good()?.with(&[id("stray")])),
    ];
    let mut rng = Rng::new(seed);
    for (name, message) in originals {
        let root = Node::parse(&message.encode()).context("our own message")?;
        let paths = root.paths();
        let pairs = paths
            .iter()
            .flat_map(|path| OPERATIONS.map(|operation| (path, operation)));
        let mut pairs: Vec<_> = pairs.collect();
        // All of them as often as it takes, and in the last round those that chance has in front.
        rng.shuffle(&mut pairs);
        let pairs = pairs.into_iter().cycle().take(EACH);
        let before = out.cases.len();
        for (path, operation) in pairs {
            if let Some(mutant) = mutate(&root, path, operation, &mut rng) {
                out.message(
                    format!("mutant of {name}: {operation:?} at {path:?}"),
                    &mutant,
                )?;
            }
        }
        // Some operations leave some elements as they are.
        let made = out.cases.len() - before;
        ensure!(made >= LEAST, "only {made} mutants of {name} of {LEAST}");
    }
    Ok(())
}
