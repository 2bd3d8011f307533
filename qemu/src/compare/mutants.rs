// SPDX-License-Identifier: GPL-2.0

//! Seeded mutants of several good messages.

use anyhow::{Context, Result};
use modsig::verify::DigestAlgorithm;
use modsig_tools::signer::SignerIdForm;

use super::{
    classes::Kitchen,
    craft::Message,
    der::Node,
    mutate::{mutate, Rng, OPERATIONS},
    Corpus,
};

/// Adds mutants: every operation on every element of the small messages, and as many on the
/// larger ones, each as often as `rounds` says.
pub fn add(
    kitchen: &Kitchen,
    seed: u64,
    rounds: usize,
    limit: usize,
    out: &mut Corpus,
) -> Result<()> {
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
        let mut pairs: Vec<_> = (0..rounds)
            .flat_map(|_| &paths)
            .flat_map(|path| OPERATIONS.map(|operation| (path, operation)))
            .collect();
        // The first ones of a shuffled list.
        for at in 0..pairs.len().min(limit) {
            let other = at + rng.below(pairs.len() - at);
            pairs.swap(at, other);
        }
        pairs.truncate(limit);
        for (path, operation) in pairs {
            if let Some(mutant) = mutate(&root, path, operation, &mut rng) {
                out.message(
                    format!("mutant of {name}: {operation:?} at {path:?}"),
                    &mutant,
                )?;
            }
        }
    }
    Ok(())
}
