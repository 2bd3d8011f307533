// SPDX-License-Identifier: MIT OR Apache-2.0

//! The files that are inserted: the cases of the tables, each made by its recipe, and the thousands
//! that two verifiers are compared by.

pub mod cases;
pub mod compare;
pub mod proofs;
pub mod recipe;
pub mod secure_boot;
pub mod situations;
