// SPDX-License-Identifier: MIT OR Apache-2.0

//! Boots real kernels under QEMU, inserts good and bad modules, and reports which were let in.
//!
//! The modules are layers: each takes what those in front of it give, and knows nothing of those
//! behind it.

#![forbid(unsafe_code)]

/// The files that are inserted.
pub mod corpus;
/// What should come of it.
pub mod judge;
/// Kernels, and guests that boot them and say what they saw.
pub mod machine;
/// What runs leave behind, and the report of it.
pub mod record;
/// Everything that is run, each of them a command.
pub mod runs;
/// What a guest's words mean: what came of each file.
pub mod verdict;
