// SPDX-License-Identifier: MIT OR Apache-2.0

//! What is printed as JSON. Its shape is described in Documentation/json.md.

use std::{os::unix::ffi::OsStrExt, path::Path};

use anyhow::Result;
use modsig::verify::SignerInfo;
use modsig_tools::{certificate::shown_id, hex};
use serde::Serialize;
use serde_json::{Map, Value};

use super::report;

/// Of the shape of all objects. It goes up when a program that reads them could misunderstand the
/// new ones; members may be added without.
const SCHEMA: u32 = 1;

/// What a module counts as in the summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Count {
    Attached,
    AttachedBefore,
    Bad,
    Digested,
    Failed,
    Good,
    NotSigned,
    Signed,
    SignedAgain,
    SignedBefore,
    Stripped,
    Taints,
    ToBeAttached,
    ToBeSigned,
    ToBeStripped,
    Unsigned,
    WithProof,
}

impl Count {
    /// In words, behind a number.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Count::Attached => "attached",
            Count::AttachedBefore => "attached before",
            Count::Bad => "bad",
            Count::Digested => "digested",
            Count::Failed => "failed",
            Count::Good => "good",
            Count::NotSigned => "not signed",
            Count::Signed => "signed",
            Count::SignedAgain => "signed again",
            Count::SignedBefore => "signed before",
            Count::Stripped => "stripped",
            Count::Taints => "taints",
            Count::ToBeAttached => "to be attached",
            Count::ToBeSigned => "to be signed",
            Count::ToBeStripped => "to be stripped",
            Count::Unsigned => "unsigned",
            Count::WithProof => "with a proof",
        }
    }
}

/// The members of an object.
pub(crate) type Members = Map<String, Value>;

/// Those of a structure. Any can be written as JSON, since it has no maps but those with text as keys.
pub(crate) fn members(facts: &impl Serialize) -> Members {
    match serde_json::to_value(facts) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    }
}

/// A path, and its bytes if they are not UTF-8.
#[derive(Serialize)]
pub(crate) struct Named {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
}

impl Named {
    pub(crate) fn new(path: &Path) -> Self {
        Named {
            path: path.to_string_lossy().into_owned(),
            path_hex: path
                .to_str()
                .is_none()
                .then(|| hex::encode(path.as_os_str().as_bytes())),
        }
    }
}

/// Who has signed.
#[derive(Serialize)]
pub(crate) struct Signer {
    /// Issuer and serial number, or the key's identifier.
    id: String,
    digest: &'static str,
    key: &'static str,
}

impl Signer {
    pub(crate) fn new(signer: &SignerInfo<'_>) -> Self {
        Signer {
            id: shown_id(&signer.id),
            digest: signer.digest.name(),
            key: signer.key.name(),
        }
    }
}

/// An object as it stands by itself.
pub(crate) fn document(facts: &impl Serialize) -> String {
    let mut members = members(facts);
    members.insert("schema".to_owned(), SCHEMA.into());
    Value::Object(members).to_string()
}

/// Prints such an object.
pub(crate) fn print(facts: &impl Serialize) -> Result<()> {
    report::print(&document(facts))
}

/// What is printed if nothing could be done.
#[derive(Serialize)]
pub(crate) struct Failure {
    pub(crate) error: String,
}
