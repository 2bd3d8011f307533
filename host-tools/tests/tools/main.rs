// SPDX-License-Identifier: MIT OR Apache-2.0

//! The host tools, run as a person runs them, and parts of their library. This is one program, since each
//! takes as long to link as the tools themselves.
//!
//! The tests run beside each other in one process. So none of them changes what belongs to all of it: the
//! environment, the directory, limits, whether it may be looked into. `keys::pair`, and `keys::certificates`
//! of a PKCS#12 file, change the last two (`secret::hide`); a test runs the program for that.

mod common;

mod certificates;
mod detached;
mod hashes;
mod help;
mod hostile;
mod images;
mod in_place;
mod initrd;
mod interposed;
mod library;
mod many;
mod mldsa;
mod modsig;
mod output;
mod packed;
mod pkcs12;
mod policy;
mod release;
mod replace;
mod seal;
mod tokens;
mod tpm;
mod tree;
mod why;
