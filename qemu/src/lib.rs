// SPDX-License-Identifier: GPL-2.0

//! Boots real kernels under QEMU, inserts good and bad modules, and reports which were let in.

#![forbid(unsafe_code)]

pub mod cases;
pub mod harness;
pub mod initramfs;
pub mod instruments;
pub mod recipe;
pub mod report;
pub mod vm;
