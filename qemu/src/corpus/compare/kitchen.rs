// SPDX-License-Identifier: MIT OR Apache-2.0

//! The test keys, and messages made with them.

use std::{collections::BTreeMap, path::Path};

use anyhow::Result;
use modsig_tools::message::SignerParts;

use super::craft::{Identity, Message};

/// What cases are made of.
pub struct Kitchen {
    /// The unsigned module.
    pub content: Vec<u8>,
    identities: BTreeMap<&'static str, Identity>,
}

const KEYS: [&str; 17] = [
    "rsa2048",
    "rsa4096",
    "p256",
    "p384",
    "p521",
    "revoked",
    "untrusted",
    "ca",
    "leaf",
    "inter",
    "leaf2",
    "blocked",
    "inter-blocked",
    "leaf3",
    "revoked-leaf",
    "root",
    "stray",
];

impl Kitchen {
    /// With the test keys (`scripts/build/keys`) from this directory.
    pub fn new(keys: &Path, content: Vec<u8>) -> Result<Self> {
        let load = |name| Ok((name, Identity::load(keys, name)?));
        Ok(Kitchen {
            content,
            identities: KEYS.into_iter().map(load).collect::<Result<_>>()?,
        })
    }

    /// One of the test keys.
    pub fn id(&self, name: &str) -> &Identity {
        &self.identities[name]
    }

    /// Its part of a message over the module.
    pub fn signs(&self, name: &str) -> Result<SignerParts> {
        self.id(name).signs(&self.content)
    }

    /// The same with a signature over something else.
    pub fn signs_wrongly(&self, name: &str) -> Result<SignerParts> {
        self.id(name).signs(b"something else")
    }

    /// A message of which nothing is to be complained.
    pub fn good(&self) -> Result<Message> {
        Ok(Message::new(&[self.signs("rsa2048")?]))
    }
}
