// SPDX-License-Identifier: MIT OR Apache-2.0

//! Signs and verifies Linux kernel modules.
//!
//! What a signature is worth is decided by [`modsig::verify`], the code that runs in the kernel;
//! [`platform`] brings OpenSSL to it.

// Only `secret` and `store` may: scripts/check/unsafe.
#![deny(unsafe_code)]
// Standard error may be closed, or a disk that is full: report::complain() does not mind.
#![deny(clippy::print_stderr)]

// The commands name the library as any other user of it does.
extern crate self as modsig_tools;

// For other processors AWS-LC has to make its bindings, with tools of its own.
#[cfg_attr(
    not(all(
        feature = "aws-lc",
        any(target_arch = "x86_64", target_arch = "aarch64")
    )),
    path = "aws_lc_missing.rs"
)]
mod aws_lc;
pub mod certificate;
mod cli;
pub mod commands;
pub mod compression;
pub mod detached;
pub mod digest;
pub mod files;
pub mod hashes;
pub mod hex;
pub mod image;
pub mod initramfs;
pub mod keys;
pub mod library;
pub mod loader;
pub mod lz4;
pub mod machine;
pub mod memory;
pub mod message;
pub mod ml_dsa;
pub mod module;
pub mod new_key;
pub mod one_time;
pub mod parallel;
pub mod passphrase;
pub mod pkcs12;
pub mod platform;
pub mod recognize;
pub mod release;
pub mod scene;
#[allow(unsafe_code)]
pub mod secret;
pub mod signer;
#[allow(unsafe_code)]
pub mod store;
