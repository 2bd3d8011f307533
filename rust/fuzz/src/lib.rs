// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What the fuzz targets share with each other, and with the tests of the verifier.

#[path = "../../tests/common/mod.rs"]
#[allow(clippy::should_implement_trait, reason = "for tests only")]
pub mod common;
#[path = "../../tests/invariants/mod.rs"]
pub mod invariants;
pub mod mutate;
