// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The reader of signature messages.

#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use modsig_fuzz::{invariants, mutate};

fuzz_target!(|input: &[u8]| invariants::message(input));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    // A block is what the macro wants.
    mutate::der(data, size, max_size, seed, 1)
});
