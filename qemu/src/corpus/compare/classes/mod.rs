// SPDX-License-Identifier: MIT OR Apache-2.0

//! The classes in which such verifiers have failed, case by case: what is wrong with each file is
//! in its name. Class 22 is that of a mode which does not exist yet. Class 23, every error number
//! with and without enforcement, is what comes of giving each file to kernels in every mode.

mod algorithms;
mod certificates;
mod chains;
mod files;
mod messages;
mod signers;
mod values;

use anyhow::Result;

use super::{kitchen::Kitchen, Corpus};

/// Adds the cases of all classes.
pub fn add(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
    messages::messages_of_no_size(out)?;
    messages::lengths_and_tags(kitchen, out)?;
    messages::truncated(kitchen, out)?;
    messages::mismatches(kitchen, out)?;
    certificates::extensions(kitchen, out)?;
    certificates::times(kitchen, out)?;
    certificates::bit_strings(kitchen, out)?;
    values::rsa_values(kitchen, out)?;
    values::ecdsa_values(kitchen, out)?;
    values::identifiers(kitchen, out)?;
    chains::add(kitchen, out)?;
    signers::signers(kitchen, out)?;
    signers::attributes(kitchen, out)?;
    signers::contents(kitchen, out)?;
    algorithms::algorithms(kitchen, out)?;
    files::trailers(kitchen, out)?;
    files::flags(kitchen, out)?;
    files::compressed(kitchen, out)?;
    files::flipped(kitchen, out)
}
