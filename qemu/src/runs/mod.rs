// SPDX-License-Identifier: MIT OR Apache-2.0

//! What can be run, from the files that are inserted to whether all was as it should be.

pub mod boots;
pub mod compare;
pub mod cost;
pub mod distro;
pub mod instruments;
pub mod integrity;
pub mod outcome;
pub mod page;
pub mod parsers;
pub mod secure_boot;
pub mod seen;
pub mod why;
