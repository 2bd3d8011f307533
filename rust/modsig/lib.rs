// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The pure part of the module-signature verifier, for cargo.
//!
//! A kernel builds the same files from `modsig.rs`, which adds the part that talks to the kernel.

#![no_std]

pub mod verify;
