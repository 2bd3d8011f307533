// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The message of a module of a release.

#![no_main]

use libfuzzer_sys::fuzz_target;
use modsig_fuzz::invariants;

fuzz_target!(|input: &[u8]| invariants::of_release(input));
