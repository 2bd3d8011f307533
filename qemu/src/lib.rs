// SPDX-License-Identifier: GPL-2.0

//! Boots real kernels under QEMU, inserts good and bad modules, and reports which were let in.

#![forbid(unsafe_code)]

pub mod cases;
pub mod compare;
pub mod cost;
pub mod figures;
pub mod harness;
pub mod hashes;
pub mod host;
pub mod initramfs;
pub mod instruments;
pub mod ml_dsa;
pub mod page;
pub mod recipe;
pub mod record;
pub mod report;
pub mod root;
pub mod scenario;
pub mod script;
pub mod target;
pub mod vm;
