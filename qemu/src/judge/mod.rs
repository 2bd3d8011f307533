// SPDX-License-Identifier: MIT OR Apache-2.0

//! What should come of a file: by the tables, by the kernel's code on the host, and by another
//! kernel.

pub mod compare;
pub mod expect;
pub mod host;
pub mod secure_boot;
pub mod why;
