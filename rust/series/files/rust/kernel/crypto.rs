// SPDX-License-Identifier: GPL-2.0

//! Cryptographic API.
//!
//! C headers: [`include/crypto`](srctree/include/crypto).

pub mod shash;
