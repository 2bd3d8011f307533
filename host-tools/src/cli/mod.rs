// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the subcommands have in common: which modules, how they are gone about and written, what is
//! told to people and to programs.

pub(crate) mod batch;
pub(crate) mod build_tree;
pub(crate) mod help;
pub(crate) mod output;
mod progress;
pub(crate) mod report;
