// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The whole of the verifier, held against the C verifiers that it stands for: guided by the coverage
//! of both sides. `scripts/tools/fuzz` builds the C verifiers for it.

#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use modsig_differ::fuzz::{Fuzz, HEADER};
use modsig_fuzz::mutate;

thread_local! {
    static FUZZ: RefCell<Fuzz> = RefCell::new(Fuzz::new().unwrap_or_else(|error| panic!("{error}")));
}

fuzz_target!(|input: &[u8]| FUZZ.with(|fuzz| fuzz.borrow_mut().ask(input)));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    // A block is what the macro wants.
    mutate::der(data, size, max_size, seed, HEADER)
});
